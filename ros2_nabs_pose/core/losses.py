# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What a fit minimises: how badly a synthesised view explains an observed crop.

Every term takes the same two arguments and returns one value a hypothesis, so that they can be
chosen by name and summed with weights. The background is never fitted: terms look at the object
the mask shows, or paint the synthesis over the observed background.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import nn, Tensor
from torch.nn import functional

from .encoder import Encoder, Encoding
from .types import PoseError


@dataclass(frozen=True)
class Observed:
    """Crops to explain, one row a hypothesis (H).

    rgb: (H, 3, S, S) in [0, 1]. mask: (H, 1, S, S) probability that a pixel shows the object.
    valid: (H, 1, S, S) 0 where the crop reaches beyond the image. points: (H, 3, S/2, S/2) what the
    pixels show of the object (see ``Encoding``), all 0 where nobody told.
    """

    rgb: Tensor
    mask: Tensor
    valid: Tensor
    points: Tensor

    @classmethod
    def of(cls, rgb: Tensor, said: Encoding, mask: Tensor | None = None,
           valid: Tensor | None = None) -> Observed:
        """Crops (H, 3, S, S) as an encoder read them; a better mask and where to look, if known."""
        read = torch.sigmoid(said.mask_logits) if mask is None else mask
        return cls(rgb, read, torch.ones_like(read) if valid is None else valid, said.points)

    @classmethod
    def unread(cls, rgb: Tensor, mask: Tensor, valid: Tensor | None = None) -> Observed:
        """Crops (H, 3, S, S) with masks (H, 1, S, S) that no encoder has read.

        The refiner has learned to do without points, too.
        """
        half = rgb.shape[-1] // 2
        return cls(rgb, mask, torch.ones_like(mask) if valid is None else valid,
                   rgb.new_zeros(len(rgb), 3, half, half))

    def pick(self, index: Tensor) -> Observed:
        """Rows ``index`` (H',)."""
        return Observed(self.rgb[index], self.mask[index], self.valid[index], self.points[index])


@dataclass(frozen=True)
class Synthesised:
    """Placed synthesis: premultiplied colour (H, 3, S, S), alpha (H, 1, S, S), and depth relative
    to the origin's in radii, multiplied by alpha (H, 1, S, S).
    """

    rgb: Tensor
    alpha: Tensor
    depth: Tensor

    def pick(self, index: Tensor) -> Synthesised:
        """Rows ``index`` (H',)."""
        return Synthesised(self.rgb[index], self.alpha[index], self.depth[index])


Term = Callable[[Synthesised, Observed], Tensor]


def gain_and_bias(source: Tensor, target: Tensor, weight: Tensor,
                  stiffness: float = 0.02) -> tuple[Tensor, Tensor]:
    """Per-channel gain and bias (H, 3, 1, 1) that bring ``source`` nearest to ``target``.

    Weighted least squares in closed form, with the gain held towards 1 by ``stiffness`` so that a
    flat source does not become a free colour. Images (H, 3, S, S), weight (H, 1, S, S).
    """
    total = weight.sum((2, 3), keepdim=True).clamp_min(1e-6)
    mean_s = (source * weight).sum((2, 3), keepdim=True) / total
    mean_t = (target * weight).sum((2, 3), keepdim=True) / total
    ds, dt = source - mean_s, target - mean_t
    cov = (ds * dt * weight).sum((2, 3), keepdim=True) / total
    var = (ds * ds * weight).sum((2, 3), keepdim=True) / total
    gain = ((cov + stiffness) / (var + stiffness)).clamp(0.5, 2.0)
    return gain, mean_t - gain * mean_s


def photometric(made: Synthesised, seen: Observed) -> Tensor:
    """Robust colour difference where mask and synthesis agree that the object is, (H,).

    A darker room is not another pose: gain and bias are removed first, and the bias is charged
    a little, so that among equal shapes the true colour wins.
    """
    alpha = made.alpha.clamp_min(1e-4)
    colour = made.rgb / alpha
    weight = made.alpha * seen.mask * seen.valid
    gain, bias = gain_and_bias(colour, seen.rgb, weight)
    difference = gain * colour + bias - seen.rgb
    robust = torch.sqrt(difference.square() + 1e-4) - 1e-2
    total = weight.sum((1, 2, 3)).clamp_min(1.0)
    charge = 0.05 * (bias.abs().mean((1, 2, 3)) + (gain - 1.0).abs().mean((1, 2, 3)))
    return (robust.mean(1, keepdim=True) * weight).sum((1, 2, 3)) / total + charge


def silhouette(made: Synthesised, seen: Observed) -> Tensor:
    """Squared difference of alpha and mask over the object's area, (H,)."""
    difference = (made.alpha - seen.mask).square() * seen.valid
    area = (seen.mask * seen.valid).sum((1, 2, 3)).clamp_min(16.0)
    return difference.sum((1, 2, 3)) / area


class EncoderFeatures:
    """Perceptual term from the category's own encoder: needs no download.

    The synthesis is painted over the observed background, so that only the object differs;
    feature maps at 1/2 and 1/4 of the crop are compared, each scaled by its own spread.
    """

    def __init__(self, encoder: Encoder, levels: int = 2) -> None:
        self.encoder = encoder
        self.levels = levels
        self._seen: tuple[Observed, list[Tensor]] | None = None

    def _maps(self, image: Tensor) -> list[Tensor]:
        maps: list[Tensor] = []
        x = (image * 4.0 - 2.0).contiguous(memory_format=torch.channels_last)
        for stage in (self.encoder.down0, self.encoder.down1)[:self.levels]:
            x = stage(x)
            maps.append(x)
        return maps

    def __call__(self, made: Synthesised, seen: Observed) -> Tensor:
        if self._seen is None or self._seen[0] is not seen:
            with torch.no_grad():
                self._seen = (seen, self._maps(seen.rgb))
        painted = made.rgb + (1.0 - made.alpha) * seen.rgb
        total = made.alpha.new_zeros(len(made.alpha))
        near = functional.max_pool2d(torch.maximum(made.alpha, seen.mask), 5, 1, 2)
        for ours, theirs in zip(self._maps(painted), self._seen[1], strict=True):
            weight = functional.adaptive_avg_pool2d(near * seen.valid, ours.shape[-1])
            spread = theirs.flatten(2).std(2).mean(1).clamp_min(1e-3)
            apart = ((ours - theirs).abs().mean(1, keepdim=True) * weight).sum((1, 2, 3))
            total = total + apart / weight.sum((1, 2, 3)).clamp_min(1.0) / spread
        return total / self.levels


@cache
def _lpips_network(backbone: str, device: torch.device) -> nn.Module:
    """LPIPS with its backbone, loaded once for all fits."""
    try:
        import lpips
        network: nn.Module = lpips.LPIPS(net=backbone, verbose=False)
    except Exception as error:  # the package raises whatever its download raised
        raise PoseError(
            f'The LPIPS backbone "{backbone}" could not be loaded ({error}): install lpips '
            'and let it download once with internet, or use the loss "features", which '
            'needs no download.') from error
    return network.eval().requires_grad_(False).to(device)


class Lpips:
    """The LPIPS distance (Zhang et al., CVPR 2018) through the ``lpips`` package."""

    def __init__(self, backbone: str = 'alex', device: torch.device | None = None) -> None:
        self.network = _lpips_network(backbone, device or torch.device('cpu'))

    def __call__(self, made: Synthesised, seen: Observed) -> Tensor:
        painted = made.rgb + (1.0 - made.alpha) * seen.rgb
        distance: Tensor = self.network(painted, seen.rgb, normalize=True)
        return distance.flatten(1).mean(1)


VGG_LAYERS = 15
"""Of VGG-19; the last one's activation is the 16th."""
VGG_CHANNELS = (64, 64, 0, 128, 128, 0, 256, 256, 256)
"""Of these layers' convolutions; 0 is a pooling."""


@cache
def _vgg_layers(trained: bool, device: torch.device) -> nn.Sequential:
    """VGG-19 up to its 15th layer, loaded once for all fits."""
    layers = _trained_vgg() if trained else _untrained_vgg()
    first = nn.Sequential(*list(layers)[:VGG_LAYERS])
    return first.eval().requires_grad_(False).to(device)


def _trained_vgg() -> nn.Sequential:
    try:
        from torchvision.models import vgg19, VGG19_Weights
        layers: nn.Sequential = vgg19(weights=VGG19_Weights.IMAGENET1K_V1).features
    except Exception as error:  # torchvision raises whatever its download raised
        raise PoseError(
            f'The weights of VGG-19 could not be loaded ({error}): let torchvision download '
            'them once with internet, or use the preset "paper_offline", which compares the '
            'features of our own encoder.') from error
    return layers


def _untrained_vgg() -> nn.Sequential:
    layers: list[nn.Module] = []
    before = 3
    for channels in VGG_CHANNELS:
        if channels == 0:
            layers.append(nn.MaxPool2d(2))
            continue
        layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU()]
        before = channels
    return nn.Sequential(*layers)


class Vgg:
    """Mean squared difference of VGG-19's features up to its 15th layer, as in the paper.

    trained: False draws the weights by chance. It then says nothing about poses, but takes the same
    time: a yardstick of speed where the weights cannot be downloaded.
    """

    def __init__(self, trained: bool = True, device: torch.device | None = None) -> None:
        self.layers = _vgg_layers(trained, device or torch.device('cpu'))
        self._seen: tuple[Observed, Tensor] | None = None

    def _maps(self, image: Tensor) -> Tensor:
        mean, std = image.new_tensor(((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        features: Tensor = self.layers((image - mean.view(3, 1, 1)) / std.view(3, 1, 1))
        return features

    def __call__(self, made: Synthesised, seen: Observed) -> Tensor:
        if self._seen is None or self._seen[0] is not seen:
            with torch.no_grad():
                self._seen = (seen, self._maps(seen.rgb))
        painted = made.rgb + (1.0 - made.alpha) * seen.rgb
        return (self._maps(painted) - self._seen[1]).square().mean((1, 2, 3))


LPIPS_BACKBONES = ('alex', 'vgg', 'squeeze')


def build_terms(weights: Mapping[str, float], encoder: Encoder,
                device: torch.device | None = None) -> list[tuple[float, Term]]:
    """Terms with their weights, by name; networks are on ``device`` (default: CPU).

    'photometric', 'silhouette' and 'features' need nothing but the model; 'lpips-alex' (or just
    'lpips'), 'lpips-vgg', 'lpips-squeeze' and 'vgg' download an ImageNet backbone on first use;
    'vgg-untrained' needs none and is for measuring speed alone.
    Raises PoseError for other names, and where a backbone cannot be had.
    """
    makers: dict[str, Callable[[], Term]] = {
        'photometric': lambda: photometric, 'silhouette': lambda: silhouette,
        'features': lambda: EncoderFeatures(encoder), 'lpips': partial(Lpips, device=device),
        'vgg': partial(Vgg, device=device),
        'vgg-untrained': partial(Vgg, trained=False, device=device),
        **{f'lpips-{name}': partial(Lpips, name, device) for name in LPIPS_BACKBONES},
    }
    unknown = set(weights) - set(makers)
    if unknown:
        raise PoseError(f'There is no loss "{min(unknown)}": choose from '
                        f'{", ".join(makers)}.')
    return [(weight, makers[name]()) for name, weight in weights.items() if weight > 0.0]
