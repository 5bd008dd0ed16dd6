# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A crop read more than once: as it is, in a mirror, and turned a little to and fro.

A network errs a little differently in every such picture, so their mean is nearer to the truth than
any of them. All go through the encoder in one batch, which on a CPU costs far less than reading
them one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
import math

import torch
from torch import Tensor
from torch.nn import functional

from .checkpoint import CategoryModel
from .encoder import Encoding
from .rotations import angles_among, geodesic_angle, rotation_from_columns, rotation_z

TURN_RAD = math.radians(15.0)
"""About how far the crop is turned; turned by twice that, it is read too badly to be of use."""
WIDEST_BIN_RAD = math.radians(20.0)
"""Encoders with wider bins of the azimuth get no turned looks."""

AROUND_RAD = math.radians(14.0)
"""Rotations of several looks are the same one where they are this near; as the spread of their
mean's weights it lets those just beyond have a little say."""
LEAST = 1e-6
"""Odds below this are none."""


@dataclass(frozen=True)
class Look:
    """One way to look at a crop: mirrored left to right or not, then turned.

    turns: 1, 0 or -1 times so many azimuth bins as are about ``TURN_RAD``: a turn by whole bins
    shifts the histogram of the azimuth, so it is easily undone.
    """

    mirrored: bool = False
    turns: int = 0


LOOKS = (Look(), Look(mirrored=True), Look(turns=1), Look(turns=-1))
"""Ways of looking in the order in which they are added."""


def read(model: CategoryModel, rgb: Tensor, count: int = 1,
         focal: Tensor | None = None, known: Tensor | None = None) -> Encoding:
    """What crops (B, 3, S, S), RGB in [0, 1], show: the mean of the first ``count`` of ``LOOKS``.

    focal: (B,) of the crops, half widths, where it is known. known: (B, D) their objects' codes,
    where other pictures tell them, else NaN. A mirror image is another object's picture: its code
    is not known.

    Mirrored looks are left out for models that have not learned from mirror images, since left and
    right of their objects may differ, and where the histogram has no mirrored bins (an odd number);
    turned ones where its bins are wider than ``WIDEST_BIN_RAD``.
    """
    bins = model.encoder.config.azimuth_bins
    mirrors = model.mirrors and bins % 2 == 0
    turns = 2.0 * math.pi / bins <= WIDEST_BIN_RAD
    ways = [x for x in LOOKS[:count] if (mirrors or not x.mirrored) and (turns or not x.turns)]
    if len(ways) == 1:
        return model.encoder(rgb, focal, known)
    step = max(1, round(TURN_RAD * bins / (2.0 * math.pi)))
    said = model.encoder(torch.cat([_seen(rgb, x, step, bins) for x in ways]),
                         None if focal is None else focal.repeat(len(ways)),
                         None if known is None else torch.cat([
                             torch.full_like(known, math.nan) if x.mirrored else known
                             for x in ways]))
    parts = zip(*(getattr(said, f.name).chunk(len(ways)) for f in fields(said)), strict=True)
    free = model.card.symmetry == 'free_z'
    return _mean([_undone(Encoding(*part), x, step, free)
                  for part, x in zip(parts, ways, strict=True)], ways)


def turned(maps: Tensor, turn: Tensor, zoom: Tensor | None = None) -> Tensor:
    """Maps (B, C, S, S) turned by ``turn`` (B,) rad, clockwise, and enlarged by ``zoom`` (B,).

    What they do not hold is mirrored in from their edges.
    """
    cos, sin, zero = torch.cos(turn), torch.sin(turn), torch.zeros_like(turn)
    if zoom is not None:
        cos, sin = cos / zoom, sin / zoom
    theta = torch.stack((cos, sin, zero, -sin, cos, zero), 1).view(-1, 2, 3)
    grid = functional.affine_grid(theta, list(maps.shape), align_corners=False)
    return functional.grid_sample(maps, grid, align_corners=False, padding_mode='reflection')


def _rotated(maps: Tensor, angle: float) -> Tensor:
    """Maps (B, C, S, S), all turned by ``angle`` rad, clockwise."""
    return turned(maps, maps.new_full((len(maps),), angle))


def _seen(rgb: Tensor, way: Look, step: int, bins: int) -> Tensor:
    """Crops (B, 3, S, S) as a look shows them to the encoder."""
    rgb = rgb.flip(3) if way.mirrored else rgb
    return _rotated(rgb, way.turns * step * 2.0 * math.pi / bins) if way.turns else rgb


def _undone(said: Encoding, way: Look, step: int, free_about_z: bool) -> Encoding:
    """What a look read, told of the crop as it is.

    With swing and twist (``rotation_from_axis_azimuth``) a picture that is turned by a has its
    azimuth turned by -a, and a mirrored one (see ``training.compose.mirrored``) pi less itself.
    """
    bins = said.azimuth_logits.shape[1]
    if way.turns:
        angle = way.turns * step * 2.0 * math.pi / bins
        back = rotation_z(said.axis.new_tensor(-angle))
        said = replace(
            said, axis=said.axis @ back.T, others=back @ said.others,
            t=said.t @ back[:2, :2].T,
            mask_logits=_rotated(said.mask_logits, -angle), points=_rotated(said.points, -angle),
            azimuth_logits=said.azimuth_logits.roll(way.turns * step, 1),
            azimuth_offset=said.azimuth_offset.roll(way.turns * step, 1))
    if way.mirrored:
        # Bodies that may spin are told by a frame that lies to the picture's right: x changes sides
        # there, the body's own y elsewhere.
        sides = (-1.0, 1.0, 1.0) if free_about_z else (1.0, -1.0, 1.0)
        left, own = said.axis.new_tensor(((-1.0, 1.0, 1.0), (1.0, -1.0, 1.0)))
        said = replace(
            said, axis=said.axis * left, others=left[:, None] * said.others * own,
            t=said.t * said.t.new_tensor((-1.0, 1.0)), mask_logits=said.mask_logits.flip(3),
            points=said.points.flip(3) * said.points.new_tensor(sides).view(3, 1, 1),
            azimuth_logits=said.azimuth_logits.flip(1).roll(bins // 2, 1),
            azimuth_offset=-said.azimuth_offset.flip(1).roll(bins // 2, 1))
    return said


def _mean(said: list[Encoding], ways: list[Look]) -> Encoding:
    """The mean of what was read of the same crops."""
    def of_all(name: str) -> Tensor:
        return torch.stack([getattr(x, name) for x in said])

    def mean(name: str) -> Tensor:
        return of_all(name).mean(0)

    cover = torch.sigmoid(of_all('mask_logits'))
    share = functional.avg_pool2d(cover.flatten(0, 1), 2).unflatten(0, cover.shape[:2])
    points = (share * of_all('points')).sum(0) / share.sum(0).clamp_min(1e-3)
    # Readings of the same turn may fall into neighbouring bins: each bin's offset is the mean of
    # what was read there and beside it.
    likely = functional.softmax(of_all('azimuth_logits'), 2)
    bins = likely.shape[2]
    width = 2.0 * math.pi / bins
    near, far = torch.zeros_like(likely[0]), torch.zeros_like(likely[0])
    for shift in (-1, 0, 1):
        p = likely.roll(-shift, 2)
        near = near + p.sum(0)
        far = far + (p * (shift * width + of_all('azimuth_offset').roll(-shift, 2))).sum(0)
    # A mirror image is another object's picture: its code is not this one's.
    own = [x for x, way in zip(said, ways, strict=True) if not way.mirrored]
    whole = Encoding(
        mean=torch.stack([x.mean for x in own]).mean(0),
        logvar=torch.stack([x.logvar for x in own]).mean(0),
        mask_logits=torch.logit(cover.mean(0), eps=1e-4),
        axis=functional.normalize(mean('axis'), dim=1),
        azimuth_logits=torch.log(likely.mean(0) + 1e-9), azimuth_offset=far / near.clamp_min(1e-9),
        t=mean('t'), log_scale=mean('log_scale'), front_logit=mean('front_logit'), points=points,
        others=of_all('others').transpose(0, 1).flatten(1, 2),
        other_logits=of_all('other_logits').transpose(0, 1).flatten(1))
    if not whole.others.shape[1]:
        return whole
    return _gathered(whole, torch.stack([x.first() for x in said], 1))


def _gathered(said: Encoding, firsts: Tensor) -> Encoding:
    """A mean whose further rotations, of all looks (B, looks * M), are brought down to M.

    firsts: (B, looks, 3, 3) what each look's axis and histogram say. Which further rotation is
    which differs from look to look, so those are taken that most of the odds lie around, one after
    the other, each as the mean of those around it; what agrees with the mean's axis and histogram
    speaks for those.
    """
    looks, count = firsts.shape[1], said.others.shape[1]
    R = torch.cat((firsts, said.others), 1)
    odds = functional.softmax(functional.pad(
        said.other_logits.unflatten(1, (looks, -1)), (1, 0)), 2) / looks
    odds = torch.cat((odds[..., 0], odds[..., 1:].flatten(1)), 1)
    apart = angles_among(R)
    near = torch.exp(-0.5 * (apart / AROUND_RAD).square())
    agree = geodesic_angle(R, said.first()[:, None].expand_as(R)) < AROUND_RAD
    right = (odds * agree).sum(1, keepdim=True)
    left = torch.where(agree, torch.zeros_like(odds), odds).clamp_min(LEAST)
    rows = torch.arange(len(R), device=R.device)
    taken, weights = [], []
    for _ in range(count // looks):
        best = (near * left[:, None]).sum(2).mul(left > LEAST).argmax(1)
        mean = ((near[rows, best] * left)[..., None, None] * R).sum(1)
        taken.append(rotation_from_columns(mean[..., :2].transpose(1, 2).flatten(1)))
        same = apart[rows, best] < AROUND_RAD
        weights.append((left * same).sum(1))
        left = torch.where(same, LEAST, left)
    return replace(said, others=torch.stack(taken, 1),
                   other_logits=torch.log(torch.stack(weights, 1) / right.clamp_min(LEAST)))
