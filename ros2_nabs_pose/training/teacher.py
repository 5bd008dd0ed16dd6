# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The VAE's own encoder: reads clean views, so that the codes form before clutter is mastered.

It has the paper's form (arXiv 2008.08145, section 3.2: four strided convolutions and two linear
layers) with residual blocks between, and serves in training alone, so it may see what no crop
tells: beside the picture, which point of the object each pixel shows. An instance's code is what
several of its views agree on; the shipped encoder learns to read that code off one cluttered crop.
Where a run begins with a model file, which holds no such encoder, and trains the shipped one alone,
that one's former self tells the codes (``FormerEncoder``).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn, Tensor
from torch.nn import functional

from .code_length import lengthened
from .compose import facing_first, Views, visible_points
from .framing import boxed
from .surroundings import background_of
from ..core.encoder import Encoder, EncoderConfig, LEAST_LOGVAR
from ..core.generator import channels_last, warp_to_crop
from ..core.palette import looked_for

PICTURE, CHANNELS = 4, 7
"""Colour times alpha and alpha; the same and the points times alpha."""


PALETTE = 'attention.', 'towards'
"""Where its parameters begin."""
TOWARDS = (2.0, 0.0, 0.0), (0.0, 0.0, 2.0), (0.0, 0.0, -2.0)
"""Where the colours of a palette are looked for at first, by object coordinates: in front, at the
top, at the bottom; what more there are, anywhere."""
FORMER = 'encoder.'
"""Where the parameters of a ``FormerEncoder`` begin."""


class _Block(nn.Module):
    """Two 3 x 3 convolutions beside the identity, which is all they are at first."""

    SHARE = 0.1  # nothing is normalised: at high rates the codes would run away otherwise

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.kaiming_normal_(self.conv0.weight, a=0.1)
        for values in self.conv1.parameters():
            nn.init.zeros_(values)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.SHARE * self.conv1(functional.leaky_relu(self.conv0(x), 0.1))


def clean_input(views: Views, free_about_z: bool) -> Tensor:
    """What the clean encoder sees of views, (B, CHANNELS, S, S).

    Points are in the object's frame, radii; where it may spin freely, in that of the side that the
    view shows, of which its code speaks.
    """
    if free_about_z:
        views = replace(views, R_view=facing_first(views.R_view, 1))
    return torch.cat((views.stacked[:, :PICTURE], visible_points(views)), 1)


class CleanEncoder(nn.Module):
    """Posterior of the code from clean upright views as ``clean_input`` gives them.

    colour_dims, palette: as in ``GeneratorConfig``, 0 where the code has no such numbers.
    """

    def __init__(self, latent_dim: int, channels: tuple[int, int, int, int] = (24, 48, 96, 128),
                 resolution: int = 64, colour_dims: int = 3, palette: int = 0) -> None:
        super().__init__()
        self.colour_dims = colour_dims
        layers: list[nn.Module] = []
        before = CHANNELS
        for after in channels:
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(0.1)]
            before = after
        cells = (resolution // 16) ** 2
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * cells, 192),
                                    nn.LeakyReLU(0.1), nn.Linear(192, 2 * latent_dim))
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, a=0.1)
        self.blocks = nn.ModuleList(_Block(after) for after in channels)
        self.attention: nn.Module | None = None
        if palette:
            self.attention = nn.Sequential(
                nn.Conv2d(channels[0], 32, 3, padding=1), nn.LeakyReLU(0.1),
                nn.Conv2d(32, palette, 3, padding=1))
            self.towards = nn.Parameter(torch.zeros(palette, 3))
            with torch.no_grad():
                for place, direction in zip(self.towards, TOWARDS, strict=False):
                    place.copy_(torch.tensor(direction))
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            # The posterior starts narrow: drowned in noise, the code would be ignored.
            last.weight *= 0.3
            last.bias[latent_dim:] = -4.0
        channels_last(self)

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (B, D) of views (B, CHANNELS, S, S)."""
        x = torch.cat((seen[:, :PICTURE] * 2.0 - 1.0, seen[:, PICTURE:]), 1)
        x = x.contiguous(memory_format=torch.channels_last)
        fine = x
        for place, block in enumerate(self.blocks):
            x = block(self.layers[2 * place + 1](self.layers[2 * place](x)))
            if not place:
                fine = x
        mean, logvar = self.layers[2 * len(self.blocks):](x).chunk(2, 1)
        if self.colour_dims:
            # As the generator wants it: the code begins with the mean colour, 4 c - 2.
            colour = seen[:, :3].sum((2, 3)) / seen[:, 3:4].sum((2, 3)).clamp_min(1.0)
            mean = torch.cat((mean[:, :3] + 4.0 * colour - 2.0, mean[:, 3:]), 1)
        if self.attention is not None:
            small = functional.avg_pool2d(seen, 2)
            cover = small[:, 3:4]
            painted, points = (values / cover.clamp_min(1e-3)
                               for values in (small[:, :3], small[:, PICTURE:]))
            logits = self.attention(fine) + torch.einsum('pi,bihw->bphw', self.towards, points)
            found = looked_for(logits, painted, cover)
            mean = torch.cat((mean[:, :mean.shape[1] - found.shape[1]], found), 1)
        return mean, logvar.clamp(-8.0, 4.0)

    def taking_up(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights of another run as this network's.

        Those of runs whose clean encoder saw the picture alone have no blocks and no weights for
        points: blocks are one's own then, which change nothing at first, and points count nothing,
        so that the codes stay what they were. Shorter codes become as long as this one's, and who
        had no palette gets one's own.
        """
        own = self.state_dict()
        blocks, palette = ({k: v for k, v in own.items() if k.startswith(part)}
                           for part in ('blocks.', PALETTE))
        last = f'layers.{len(self.layers) - 1}.'
        state = {**palette, **lengthened(state, own, tell=(last,), hear=(),
                                         palette=len(state.get('towards', ())))}
        first = state['layers.0.weight']
        if first.shape[1] != PICTURE:
            return state
        wider = functional.pad(first, (0, 0, 0, 0, 0, CHANNELS - PICTURE))
        return {**blocks, **state, 'layers.0.weight': wider}


def clean_crops(views: Views, size_px: int) -> tuple[Tensor, Tensor]:
    """Crops (B, 3, S, S) as good as crops get, and their focal lengths (B,), half widths.

    Upright, whole and sharp, in the middle of a usual box, with nothing beside or before the
    object and noise behind it.
    """
    t, scale = boxed(views.stacked[:, 3:4])
    placed = warp_to_crop(views.own_light(), torch.zeros_like(scale), t, scale, size_px)
    behind = background_of(None, len(scale), size_px, placed)
    image = placed[:, :3] + behind * (1.0 - placed[:, 3:].clamp(0.0, 1.0))
    return image.clamp(0.0, 1.0), scale / views.perspective


class FormerEncoder(nn.Module):
    """A shipped encoder as it is now, which tells codes where a run has no clean encoder.

    Models hold none, and an encoder that has learned to read cluttered crops reads clean ones well
    enough to tell what it should go on reading in the others.
    """

    def __init__(self, config: EncoderConfig | None = None) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> FormerEncoder:
        """It stays as it is: its norms do not learn, either."""
        return super().train(False)

    def forward(self, image: Tensor, focal: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (B, D) of the codes of ``clean_crops``."""
        said = self.encoder(image, focal)
        return said.mean, said.logvar.clamp_min(LEAST_LOGVAR)

    @staticmethod
    def state_of(encoder: Encoder) -> dict[str, Tensor]:
        """The weights of an encoder as this network's."""
        return {f'{FORMER}{name}': value for name, value in encoder.state_dict().items()}


def is_former(state: dict[str, Tensor]) -> bool:
    """Whether a run's teacher of this state is a ``FormerEncoder``."""
    return all(name.startswith(FORMER) for name in state)
