# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The encoder: a cluttered crop in; latent posterior, mask and weighted pose proposals out.

The azimuth about the object's own axis is a histogram, because a hidden handle or a round body
leaves it undecided; its modes are proposals. The axis itself is one direction, and may be the wrong
one of several that the crop allows (a laptop's screen taken for its base): further rotations, which
learn from what axis and histogram get wrong, are proposals, too (as in Guzman-Rivera et al.,
Multiple Choice Learning, NIPS 2012: of several answers only the best one pays).

On the way to the pose the network tells, pixel by pixel, which point of the object it sees: its
coordinates in the object's frame, as in Wang et al. (NOCS, CVPR 2019, arXiv 1901.02970), and the
pose is read off this map, as in Wang et al. (GDR-Net, CVPR 2021, arXiv 2102.12145). Training has a
target for every pixel then, in place of a few numbers a crop.

Seen from near by, an object shows its rim and its foot under angles that differ by more than ten
degrees. How near it is for its size follows from the box and the camera, so the network is told
the crop's field of view, and need not guess it off the same picture as tilt and height. Where other
frames have told what the object is like, it is told that, too: a low mug that leans away looks
like a high one that does not.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
import math

import torch
from torch import nn, Tensor
from torch.nn import functional

from .generator import channels_last
from .palette import check_room, looked_for
from .rotations import (
    angle_apart,
    angles_among,
    axis_azimuth_from_rotation,
    rotation_from_axis_azimuth,
    rotation_from_columns,
)

SAME_RAD = math.radians(10.0)
"""Rotations nearer than this are one proposal: fitting bridges more."""
AGREE_RAD = 0.35
"""Nearer to a track's rotation than this, a reading says the same: the refiner bridges it."""
MODE_SHARE = 0.3
"""What the weight of a histogram's mode counts beside the odds of further rotations."""
USUAL_FIELD, FIELD_SPREAD = 0.18, 0.09
"""Mean and spread of half a crop's field of view (its tangent) where encoders learn."""
MOST_FIELD = 4.0
"""Spreads that a field may be away from there: beyond, nothing was learned."""
LEAST_LOGVAR = -4.6
"""Below it a code's spread (0.1) is not trained."""


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes of the encoder; the defaults are the compact variant.

    others: how many further rotations it reads; those of bodies that may spin about their axis,
    whose starts are other tilts, are trained with none. informed: whether it is told the crop's
    field of view and codes that are known from elsewhere; former ones are not. colour_dims and
    palette: as in ``generator.GeneratorConfig``.
    """

    latent_dim: int = 60
    colour_dims: int = 3
    palette: int = 3
    channels: tuple[int, int, int, int] = (32, 64, 112, 160)
    blocks: tuple[int, int, int, int] = (2, 2, 2, 1)
    reduced: int = 128
    hidden: int = 256
    azimuth_bins: int = 24
    others: int = 3
    informed: bool = True
    resolution: int = 64

    def __post_init__(self) -> None:
        check_room(self.latent_dim, self.colour_dims, self.palette)


@dataclass(frozen=True)
class Encoding:
    """What the encoder reads from crops; batch B, K azimuth bins.

    mean, logvar: (B, D) posterior of the latent code. mask_logits: (B, 1, S, S).
    axis: (B, 3) the object's z axis in the (allocentric) crop camera, unit length.
    azimuth_logits: (B, K); azimuth_offset: (B, K) rad from each bin's centre.
    t: (B, 2), log_scale: (B,) place and apparent radius in the crop, see ``lift``.
    front_logit: (B,) whether the front part (a mug's handle) is seen. points: (B, 3, S/2, S/2) the
    object's points that the pixels show, in its own frame (facing frame where it may spin freely,
    see ``rotations.rotation_facing``), radii; of no meaning outside the mask.
    others: (B, M, 3, 3) what the rotation may be where axis and histogram are wrong; M may be 0.
    other_logits: (B, M) log odds that each is the right one, against ``first``.
    """

    mean: Tensor
    logvar: Tensor
    mask_logits: Tensor
    axis: Tensor
    azimuth_logits: Tensor
    azimuth_offset: Tensor
    t: Tensor
    log_scale: Tensor
    front_logit: Tensor
    points: Tensor
    others: Tensor
    other_logits: Tensor

    def pick(self, rows: Tensor) -> Encoding:
        """Those of ``rows`` (B',)."""
        return Encoding(*(getattr(self, f.name)[rows] for f in fields(self)))

    @property
    def sureness(self) -> Tensor:
        """(B, D) one over the variance of each number of the code, as far as training tells it."""
        return torch.exp(-self.logvar.clamp_min(LEAST_LOGVAR))

    def proposals(self, count: int) -> tuple[Tensor, Tensor]:
        """Rotations (B, count, 3, 3) to begin with, and their weights (B, count).

        The likeliest first: mostly ``first``, else one of the further rotations. Then the others by
        their odds, and the histogram's other modes, which count ``MODE_SHARE`` in that order, for
        where the strongest is wrong it is mostly so in the axis that all share. What is nearer
        than ``SAME_RAD`` to one chosen before is passed over, its weight added to that one's.
        Without further rotations the modes are all there is.
        """
        R, weights = self._modes(count)
        if not self.others.shape[1]:
            return R, weights
        right, odds = self._odds()
        R, weights = torch.cat((R, self.others), 1), torch.cat((right * weights, odds), 1)
        apart = angles_among(R)
        rank = torch.cat((MODE_SHARE * weights[:, :count], odds), 1)
        rank[:, 0] = right[:, 0]
        chosen, sums = [], []
        for _ in range(count):
            best = rank.argmax(1)
            near = apart.gather(1, best.view(-1, 1, 1).expand(-1, 1, R.shape[1]))[:, 0] < SAME_RAD
            sums.append((weights * near).sum(1))
            weights = torch.where(near, torch.zeros_like(weights), weights)
            # What is passed over comes last, it is not lost: there may be no other.
            rank = torch.where(near, rank - 3.0, rank)
            chosen.append(best)
            rank = rank.scatter(1, best[:, None], -math.inf)
        index = torch.stack(chosen, 1)
        picked = index.view(*index.shape, 1, 1).expand(-1, -1, 3, 3)
        return R.gather(1, picked), torch.stack(sums, 1)

    def _odds(self) -> tuple[Tensor, Tensor]:
        """How likely ``first`` (B, 1) and each further rotation (B, M) is the right one."""
        return functional.softmax(functional.pad(self.other_logits, (1, 0)), 1).split(
            (1, self.others.shape[1]), 1)

    def first(self) -> Tensor:
        """The rotation of the axis and the histogram's strongest bin, (B, 3, 3)."""
        return self._modes(1)[0][:, 0]

    def _modes(self, count: int) -> tuple[Tensor, Tensor]:
        """Rotations (B, count, 3, 3) at the histogram's strongest bins, and weights (B, count).

        Neighbours of a chosen bin are passed over; weights add up the neighbours' probability.
        """
        probability = functional.softmax(self.azimuth_logits, 1)
        bins = probability.shape[1]
        spread = (probability + probability.roll(1, 1) + probability.roll(-1, 1))
        left = probability.clone()
        chosen, weights = [], []
        for _ in range(count):
            best = left.argmax(1)
            chosen.append(best)
            weights.append(spread.gather(1, best[:, None])[:, 0])
            for shift in (-1, 0, 1):
                left = left.scatter(1, ((best + shift) % bins)[:, None], -1.0)
        index = torch.stack(chosen, 1)
        azimuth = bin_centers(bins, index.device)[index] + self.azimuth_offset.gather(1, index)
        axis = self.axis.unsqueeze(1).expand(-1, count, -1)
        return rotation_from_axis_azimuth(axis, azimuth), torch.stack(weights, 1)

    def weight_at(self, R: Tensor) -> Tensor:
        """How likely rotations (B, 3, 3) are, (B,).

        The histogram around their turn, where their axis is the one that was read, and the odds of
        the further rotations around them. Without these the histogram alone, whatever the axis.
        """
        probability = functional.softmax(self.azimuth_logits, 1)
        bins = probability.shape[1]
        _, azimuth = axis_azimuth_from_rotation(R)
        index = torch.floor((azimuth + math.pi) / (2.0 * math.pi) * bins).long()
        near = torch.stack([(index + shift) % bins for shift in (-1, 0, 1)], 1)
        turn = probability.gather(1, near).sum(1)
        if not self.others.shape[1]:
            return turn
        right, odds = self._odds()
        read = angle_apart(R, self.first(), True) < AGREE_RAD
        there = angle_apart(self.others, R[:, None], False) < AGREE_RAD
        return right[:, 0] * turn * read + (odds * there).sum(1)


def bin_centers(bins: int, device: torch.device | None = None) -> Tensor:
    """Centres of the azimuth bins, (bins,) rad in [-pi, pi)."""
    return (torch.arange(bins, device=device) + 0.5) * (2.0 * math.pi / bins) - math.pi


def _over_mask(mask: Tensor, *features: Tensor) -> list[Tensor]:
    """Means (B, C) of feature maps (B, C, S', S') over a mask (B, 1, S, S)."""
    means = []
    for x in features:
        weight = functional.adaptive_avg_pool2d(mask, x.shape[-1])
        means.append((x * weight).sum((2, 3)) / weight.sum((2, 3)).clamp_min(1e-3))
    return means


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm0 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm1.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norm0(self.conv0(x)))
        return functional.relu(x + self.norm1(self.conv1(y)))


class Down(nn.Module):
    """Halve the resolution, then residual blocks."""

    def __init__(self, channels_in: int, channels: int, blocks: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(functional.relu(self.norm(self.conv(x))))


class Up(nn.Module):
    """Double the resolution and join the features of the way down."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.lateral = nn.Conv2d(channels_in, channels, 1)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = functional.interpolate(self.lateral(x), scale_factor=2, mode='nearest') + skip
        return functional.relu(self.norm(self.conv(x)))


class Encoder(nn.Module):
    """Residual network over a 64 x 64 crop; mask and points are decoded, the pose is read off them.
    """

    def __init__(self, config: EncoderConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or EncoderConfig()
        c0, c1, c2, c3 = config.channels
        b0, b1, b2, b3 = config.blocks
        cells = (config.resolution // 16) ** 2
        self.down0 = Down(3, c0, b0)
        self.down1 = Down(c0, c1, b1)
        self.down2 = Down(c1, c2, b2)
        self.down3 = Down(c2, c3, b3)
        self.up2 = Up(c3, c2)
        self.up1 = Up(c2, c1)
        self.up0 = Up(c1, c0)
        self.to_mask = nn.Conv2d(c0, 4, 3, padding=1)
        self.to_points = nn.Conv2d(c0, 3, 3, padding=1)
        if config.palette:
            self.to_palette = nn.Conv2d(c0, config.palette, 3, padding=1)
        # The pose is read off the map of points, with the decoder's features beside it ...
        self.pose0 = nn.Conv2d(4, c0, 3, stride=2, padding=1)
        self.pose1 = nn.Conv2d(c0 + c1, c1, 3, stride=2, padding=1)
        self.pose2 = nn.Conv2d(c1 + c2, 3 * c3 // 10, 3, stride=2, padding=1)
        self.from_points = nn.Linear(3 * c3 // 10 * cells, config.hidden)
        # ... and off the coarse features, and, cell by cell, finer ones after the mask decoder has
        # told object from clutter.
        self.squeeze = nn.Conv2d(c2, c2 // 4, 1)
        self.reduce = nn.Linear((c3 + c2 // 4 * 4) * cells, config.reduced, bias=False)
        self.from_features = nn.Linear(config.reduced, config.hidden)
        if config.informed:
            self.from_field = nn.Linear(1, config.hidden, bias=False)
            self.from_known = nn.Linear(config.latent_dim, config.hidden)
            for layer in (self.from_field.weight, self.from_known.weight, self.from_known.bias):
                nn.init.zeros_(layer)
        self.hidden = nn.Linear(config.hidden, config.hidden)
        self.head = nn.Linear(config.hidden, 7 + 2 * config.azimuth_bins)
        if config.others:
            self.others = nn.Sequential(
                nn.Linear(config.hidden, config.hidden), nn.LeakyReLU(0.1),
                nn.Linear(config.hidden, 7 * config.others))
        # What the object looks like, clutter left out: features averaged over the mask.
        self.look = nn.Sequential(
            nn.Linear(config.hidden + 12 + 2 * c0 + 2 * c1, 160), nn.LeakyReLU(0.1),
            nn.Linear(160, 2 * config.latent_dim))
        channels_last(self)

    def features(self, crop: Tensor) -> tuple[Tensor, Tensor]:
        """Feature maps at 1/2 and 1/4 of the crop's size; crop (B, 3, S, S)."""
        f0 = self.down0((crop * 4.0 - 2.0).contiguous(memory_format=torch.channels_last))
        return f0, self.down1(f0)

    def _considered(self, read: Tensor) -> Tensor:
        """(B, hidden) of the first layer's sums (B, hidden)."""
        return functional.leaky_relu(self.hidden(functional.leaky_relu(read, 0.1)), 0.1)

    def forward(self, crop: Tensor, focal: Tensor | None = None,
                known: Tensor | None = None) -> Encoding:
        """Read crops (B, 3, S, S), RGB in [0, 1].

        focal: (B,) their focal lengths in half widths (``CropView.focal``); None where they are not
        known, which is read as a usual one. known: (B, D) codes of the objects as other pictures
        tell them, for the pose; rows of NaN where nothing is known. The code that is read is this
        crop's own whatever they say.
        """
        f0, f1 = self.features(crop)
        f2 = self.down2(f1)
        f3 = self.down3(f2)
        g2 = self.up2(f3, f2)
        g1 = self.up1(g2, f1)
        g0 = self.up0(g1, f0)
        mask_logits = functional.pixel_shuffle(self.to_mask(g0), 2)
        points = self.to_points(g0)
        covered = torch.sigmoid(mask_logits)
        share = functional.avg_pool2d(covered, 2)
        # Only the object's own points speak.
        x = functional.relu(self.pose0(torch.cat((points * share, 2.0 * share - 1.0), 1)))
        x = functional.relu(self.pose1(torch.cat((x, g1), 1)))
        x = functional.relu(self.pose2(torch.cat((x, g2), 1)))
        fine = functional.pixel_unshuffle(self.squeeze(g2), 2)
        read = self.from_points(x.flatten(1)) + self.from_features(
            self.reduce(torch.cat((f3, fine), 1).flatten(1)))
        if self.config.informed and focal is not None:
            field = (1.0 / focal - USUAL_FIELD) / FIELD_SPREAD
            read = read + self.from_field(field.clamp(-MOST_FIELD, MOST_FIELD)[:, None])
        hidden = self._considered(read)
        informed = hidden
        if self.config.informed and known is not None:
            told = ~torch.isnan(known).any(1, keepdim=True)
            informed = self._considered(read + told * self.from_known(
                torch.where(told, known, 0.0)))

        covered = covered.detach()
        colour, point = _over_mask(covered, crop, points)
        spread, extent = _over_mask(covered, (crop - colour[:, :, None, None]).square(),
                                    (points - point[:, :, None, None]).square())
        mean_colour = 4.0 * colour - 2.0
        mean, logvar = self.look(torch.cat((
            hidden, mean_colour, 4.0 * torch.sqrt(spread + 1e-6),
            *_over_mask(covered, f0, f1, g0, g1), point, torch.sqrt(extent + 1e-6)), 1)).chunk(2, 1)
        if self.config.colour_dims:
            mean = torch.cat((mean[:, :3] + mean_colour, mean[:, 3:]), 1)
        if self.config.palette:
            # As for the mean colour, what is added takes the crop's light and exposure back.
            found = looked_for(self.to_palette(g0), functional.avg_pool2d(crop, 2),
                               share.detach())
            first = mean.shape[1] - found.shape[1]
            mean = torch.cat((mean[:, :first], mean[:, first:] + found), 1)
        k = self.config.azimuth_bins
        axis, place, front, logits, offset = self.head(informed).split((3, 3, 1, k, k), 1)
        others = (self.others(informed) if self.config.others else informed[:, :0]).view(
            len(informed), self.config.others, 7)
        others = others.to(torch.promote_types(others.dtype, torch.float32))  # 16 bits do not do
        return Encoding(
            mean=mean, logvar=logvar.clamp(-8.0, 4.0), mask_logits=mask_logits,
            axis=functional.normalize(axis + axis.new_tensor((0.0, -0.7, -0.7)), dim=1),
            azimuth_logits=logits, azimuth_offset=1.5 * math.pi / k * torch.tanh(offset),
            t=0.5 * place[:, :2], log_scale=place[:, 2] - 0.5, front_logit=front[:, 0],
            points=points, others=rotation_from_columns(others[..., :6]),
            other_logits=others[..., 6])
