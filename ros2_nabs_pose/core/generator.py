# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The pose-aware image generator: latent code and rotation in, RGBA and depth out.

The structure follows Chen et al., ECCV 2020 (arXiv 2008.08145), section 3: a learned constant
grows into a 3D feature volume under adaptive instance normalisation by the latent code; the
volume is turned by the out-of-plane rotation and projected; a 2D decoder draws the image; in-plane
rotation, translation and scale are a warp of that image. Three things are added: alpha and depth
beside colour, the perspective of the crop (the volume is sampled along converging rays), and the
object's proportions, read from the code.

Convention. Lengths are in units of the object's radius, the largest distance of a surface point
from the object's origin. The *upright view* is the image of an object whose origin lies on the
optical axis and whose z axis projects upwards; it spans +-FRAME_MARGIN radii at the origin's
depth, over normalised coordinates [-1, 1] (edges, not pixel centres), v down.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn, Tensor
from torch.nn import functional

from .palette import check_room, mixed
from .types import FRAME_MARGIN
from .volume import (
    convolved_twice_as_fine,
    from_slices,
    normalised,
    normalised_slices,
    sampled,
    to_slices,
    twice_as_fine,
)

SLICED_UP_TO = 8
"""Of larger batches torch convolves volumes as fast as slices."""


@dataclass(frozen=True)
class GeneratorConfig:
    """Sizes of the generator; the defaults are the compact variant for CPUs.

    colour_dims: 3 where the code begins with the object's mean colour (see ``Generator``), else 0.
    palette: how many further colours it ends with; 0 in former models.
    """

    latent_dim: int = 60
    colour_dims: int = 3
    palette: int = 3
    style_dim: int = 96
    volume_channels: tuple[int, int, int] = (64, 32, 16)
    image_channels: tuple[int, int, int] = (64, 32, 20)
    volume_size: int = 16
    resolution: int = 64

    def __post_init__(self) -> None:
        if self.resolution != 4 * self.volume_size:
            raise ValueError('resolution must be four times volume_size')
        check_room(self.latent_dim, self.colour_dims, self.palette)


@dataclass(frozen=True)
class UprightViews:
    """What the generator draws; all (B, ., S, S).

    rgb: (B, 3, S, S) in [0, 1], not multiplied by alpha. alpha: (B, 1, S, S) coverage in [0, 1].
    depth: (B, 1, S, S) offset of the surface from the origin's depth, radii, positive away.
    """

    rgb: Tensor
    alpha: Tensor
    depth: Tensor

    def stacked(self) -> Tensor:
        """(B, 5, S, S): colour times alpha, alpha, depth times alpha: what may be interpolated."""
        return torch.cat((self.rgb * self.alpha, self.alpha, self.depth * self.alpha), 1)


@dataclass(frozen=True)
class Proportions:
    """Size read from the code: box size and centre in radii (B, 3), log of the radius in m (B,)."""

    size: Tensor
    center: Tensor
    log_radius_m: Tensor


class Modulation(nn.Module):
    """Scale and shift, (B, channels) each, of features by a style (B, style_dim).

    In the volume they follow an instance normalisation (AdaIN).
    """

    def __init__(self, style_dim: int, channels: int) -> None:
        super().__init__()
        self.affine = nn.Linear(style_dim, 2 * channels)
        nn.init.normal_(self.affine.weight, std=0.5 * style_dim ** -0.5)
        nn.init.zeros_(self.affine.bias)

    def forward(self, style: Tensor) -> tuple[Tensor, Tensor]:
        scale, shift = self.affine(style).chunk(2, 1)
        return 1.0 + scale, shift


def _modulated(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    shape = scale.shape + (1,) * (x.dim() - 2)
    return torch.addcmul(shift.view(shape), x, scale.view(shape))


def _activated(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, 0.1)


def channels_last(module: nn.Module) -> None:
    """Store 2D convolutions channels-last, which CPUs (and tensor cores) run a third faster."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            part.weight.data = part.weight.data.contiguous(memory_format=torch.channels_last)


class Generator(nn.Module):
    """Latent code -> feature volume -> rotated, projected, decoded upright view.

    The first three numbers of a code are the object's mean colour, 4 c - 2 for c in [0, 1]; what is
    decoded is the difference to it. An encoder reads that colour off a crop by averaging, so no
    capacity and no training goes into telling a red mug from a blue one. The last numbers are
    further colours of its parts, told in the same way: each pixel is painted in a mixture of
    them and the mean, so that what is learned is where a cap or a screen is, whatever its colour.
    """

    frustum: Tensor

    def __init__(self, config: GeneratorConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or GeneratorConfig()
        v0, v1, v2 = config.volume_channels
        i0, i1, i2 = config.image_channels
        style = config.style_dim
        start = config.volume_size // 4

        first, second = nn.Linear(config.latent_dim, style), nn.Linear(style, style)
        self.style = nn.Sequential(first, nn.LeakyReLU(0.1), second, nn.LeakyReLU(0.1))
        with torch.no_grad():
            # Codes start small; what they say must reach the modulations undamped.
            nn.init.kaiming_normal_(first.weight, a=0.1)
            nn.init.kaiming_normal_(second.weight, a=0.1)
            first.weight *= 3.0
        self.constant = nn.Parameter(torch.randn(1, v0, start, start, start))
        self.conv_v0 = nn.Conv3d(v0, v0, 3, padding=1)
        self.conv_v1 = nn.Conv3d(v0, v1, 3, padding=1)
        self.conv_v2 = nn.Conv3d(v1, v2, 3, padding=1)
        self.mod_const = Modulation(style, v0)
        self.mod_v0 = Modulation(style, v0)
        self.mod_v1 = Modulation(style, v1)
        self.mod_v2 = Modulation(style, v2)

        self.project = nn.Conv2d(v2 * config.volume_size, 2 * i0, 1)
        self.project_out = nn.Conv2d(2 * i0, i0, 1)
        self.conv_i0 = nn.Conv2d(i0, i0, 3, padding=1)
        self.conv_i1 = nn.Conv2d(i0, i1, 3, padding=1)
        self.conv_i2 = nn.Conv2d(i1, i2, 3, padding=1)
        self.mod_i0 = Modulation(style, i0)
        self.mod_i1 = Modulation(style, i1)
        self.mod_i2 = Modulation(style, i2)
        self.to_image = nn.Conv2d(i2, 5, 3, padding=1)
        if config.palette:
            self.to_palette = nn.Conv2d(i2, config.palette, 3, padding=1)
            assert self.to_palette.bias is not None
            nn.init.constant_(self.to_palette.bias, -2.0)  # the mean counts most at first

        self.proportions_head = nn.Sequential(
            nn.Linear(style, 64), nn.LeakyReLU(0.1), nn.Linear(64, 7))

        self._register_sampling_grid()
        channels_last(self)

    def _register_sampling_grid(self) -> None:
        """Sample points of the view frustum, (D*H*W, 5): x right, y down, z away, x z, y z."""
        n = self.config.volume_size
        line = (torch.arange(n, dtype=torch.float32) + 0.5) / n * 2.0 - 1.0
        z, y, x = torch.meshgrid(line, line, line, indexing='ij')
        points = torch.stack((x, y, z), -1).reshape(-1, 3) * FRAME_MARGIN
        points = torch.cat((points, points[:, :2] * points[:, 2:]), 1)
        self.register_buffer('frustum', points, persistent=False)

    def volume(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Feature volume (B, C, N, N, N) and style of a code (B, latent_dim).

        The style is (B, style_dim + colour_dims + 3 palette): it ends with the code's colours. Both
        depend on the code alone: while a fit holds the code, compute them once.
        """
        style = self.style(latent)
        palette = self.config.latent_dim - 3 * self.config.palette
        colours = latent[:, :self.config.colour_dims], latent[:, palette:]
        return self._grown(style), torch.cat((style, *colours), 1)

    def _grown(self, style: Tensor) -> Tensor:
        """Feature volume (B, C, N, N, N) of a style (B, style_dim)."""
        batch = len(style)
        first, *others = self._volume_modulations(style)
        x = self._begun(style)
        if x.device.type == 'cpu' and batch <= SLICED_UP_TO:
            slices = _activated(normalised_slices(to_slices(x), *first))
            for kernel, said in zip(self._finer(), others, strict=True):
                slices = convolved_twice_as_fine(*kernel, slices, batch)
                slices = _activated(normalised_slices(slices, *said))
            return from_slices(slices, batch)
        x = _activated(normalised(x, *first))
        for conv, said in zip((self.conv_v1, self.conv_v2), others, strict=True):
            x = functional.interpolate(x, scale_factor=2, mode='nearest')
            x = _activated(normalised(conv(x), *said))
        return x

    # Of what follows ``folding.FoldedGenerator`` keeps what does not depend on the style.

    def _begun(self, style: Tensor) -> Tensor:
        """The volume before its first activation, (B, C, N / 4, N / 4, N / 4).

        An affine function of the style.
        """
        x = self.constant.expand(style.shape[0], -1, -1, -1, -1)
        return self.conv_v0(normalised(x, *self.mod_const(style)))

    def _finer(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """The further convolutions as ``convolved_twice_as_fine`` takes them."""
        return twice_as_fine(self.conv_v1), twice_as_fine(self.conv_v2)

    def _volume_modulations(self, style: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Scales and shifts, (B, C) each, of the volume's three sizes."""
        return [mod(style) for mod in (self.mod_v0, self.mod_v1, self.mod_v2)]

    def _image_modulations(self, style: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The same of the picture's three sizes."""
        return [mod(style) for mod in (self.mod_i0, self.mod_i1, self.mod_i2)]

    def _last(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of what draws the picture and, if there is one, mixes the palette.

        One convolution: of two, each would read the same features.
        """
        convs = [self.to_image, self.to_palette] if self.config.palette else [self.to_image]
        biases = [conv.bias for conv in convs if conv.bias is not None]
        return torch.cat([conv.weight for conv in convs]), torch.cat(biases)

    def render(self, volume: Tensor, style: Tensor, R_view: Tensor,
               perspective: Tensor) -> UprightViews:
        """Upright views of volumes.

        volume, style: as from ``volume``, batch V. R_view: (B, 3, 3) rotation object -> camera
        with the object's z axis projecting upwards. perspective: (B,) radius over distance, 0 is
        an orthographic view. B must be a multiple of V: view b shows volume b // (B / V).
        """
        batch = R_view.shape[0]
        repeat = batch // volume.shape[0]
        n = self.config.volume_size
        # Rays converge: x and y grow with the depth, x' = x + perspective x z. So the points are
        # linear in rows of R_view that are, and are not, multiplied by the perspective.
        # Mixed precision is for the networks: in 16 bits the volume would be sampled beside itself.
        with torch.autocast(R_view.device.type, enabled=False):
            rows = torch.cat((R_view, perspective.view(-1, 1, 1) * R_view[:, :2]), 1)
            points_obj = self.frustum @ (rows / FRAME_MARGIN)
        if repeat > 1:
            # One volume seen from several sides: side by side in one sampling grid, so that the
            # volume is not copied for each of them.
            grid = points_obj.view(volume.shape[0], repeat * n, n, n, 3)
        else:
            grid = points_obj.view(batch, n, n, n, 3)
        seen = sampled(volume, grid)
        channels = volume.shape[1]
        if repeat > 1:
            seen = seen.view(volume.shape[0], channels, repeat, n, n, n).transpose(1, 2)
            style = style.repeat_interleave(repeat, 0)
        flat = seen.reshape(batch, channels * n, n, n)
        flat = flat.contiguous(memory_format=torch.channels_last)
        style, colours = style[:, :self.config.style_dim], style[:, self.config.style_dim:]

        first, second, third = self._image_modulations(style)
        x = _activated(self.project_out(_activated(self.project(flat))))
        x = _activated(_modulated(self.conv_i0(x), *first))
        x = functional.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)
        x = _activated(_modulated(self.conv_i1(x), *second))
        x = functional.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)
        x = _activated(_modulated(self.conv_i2(x), *third))
        out = functional.conv2d(x, *self._last(), padding=1)
        paint = mixed(out[:, 5:], colours) if self.config.palette else colours[:, :, None, None]
        painted = out[:, :3]
        if self.config.colour_dims:
            painted = painted + 1.25 * paint
        return UprightViews(rgb=torch.sigmoid(painted), alpha=torch.sigmoid(2.0 * out[:, 3:4]),
                            depth=out[:, 4:5])

    def proportions(self, style: Tensor) -> Proportions:
        """Size, box centre and radius that go with a style as ``volume`` gives it."""
        out = self.proportions_head(style[:, :self.config.style_dim])
        return Proportions(size=functional.softplus(out[:, :3] + 0.5), center=0.5 * out[:, 3:6],
                           log_radius_m=0.2 * out[:, 6] - 2.5)

    def forward(self, latent: Tensor, R_view: Tensor, perspective: Tensor) -> UprightViews:
        """Upright views (B) of codes (B, latent_dim) at rotations (B, 3, 3)."""
        volume, style = self.volume(latent)
        return self.render(volume, style, R_view, perspective)


def pixel_line(size: int, like: Tensor) -> Tensor:
    """Where the pixels' middles of a picture's row (or column) lie between its edges at -1 and 1.

    (size,) where ``like`` lives.
    """
    return (torch.arange(size, device=like.device) + 0.5) / size * 2.0 - 1.0


def warp_to_crop(stacked: Tensor, in_plane_rad: Tensor, t: Tensor, scale: Tensor,
                 size_px: int) -> Tensor:
    """Place upright views in a crop by in-plane rotation, translation and scale.

    stacked: (B, C, S, S). in_plane_rad: (B,) rotation about the optical axis, x towards y
    (clockwise as seen, because v points down). t: (B, 2) the origin's place in the crop,
    normalised. scale: (B,) apparent radius in half crop widths. Returns (B, C, size_px, size_px);
    zero outside.
    """
    cos, sin = torch.cos(in_plane_rad), torch.sin(in_plane_rad)
    inv = 1.0 / (scale * FRAME_MARGIN)
    a, b = cos * inv, sin * inv
    theta = torch.stack((
        torch.stack((a, b, -(a * t[:, 0] + b * t[:, 1])), 1),
        torch.stack((-b, a, b * t[:, 0] - a * t[:, 1]), 1)), 1)
    grid = functional.affine_grid(theta, [stacked.shape[0], 1, size_px, size_px],
                                  align_corners=False)
    return functional.grid_sample(stacked, grid, mode='bilinear', padding_mode='zeros',
                                  align_corners=False)
