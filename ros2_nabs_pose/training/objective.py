# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What training minimises: the VAE's reconstruction across views, and the encoder's readings."""

from __future__ import annotations

from dataclasses import dataclass
import math

import torch
from torch import Tensor
from torch.nn import functional

from .compose import Crops, FRONT_SEEN, Views
from ..core.encoder import bin_centers, Encoding, LEAST_LOGVAR
from ..core.generator import Proportions, UprightViews
from ..core.rotations import axis_azimuth_from_rotation


@dataclass(frozen=True)
class Weights:
    """Weights of the terms; the front part is thin, so its pixels count several times.

    code, kl: of each number of a code; both were found with codes of some thirty.
    """

    colour: float = 5.0
    alpha: float = 3.0
    depth: float = 2.0
    edges: float = 4.0
    front: float = 5.0
    kl: float = 1e-4
    code: float = 0.09
    mask: float = 2.0
    axis: float = 3.0
    azimuth: float = 0.5
    place: float = 2.0
    points: float = 1.0
    front_seen: float = 0.2
    others: float = 0.3
    proportions: float = 1.0


def _slopes(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[..., :, 1:] - x[..., :, :-1], x[..., 1:, :] - x[..., :-1, :]


def reconstruction(drawn: UprightViews, views: Views, weights: Weights) -> dict[str, Tensor]:
    """Terms of the generator: colour, alpha and depth of the clean upright views."""
    target_alpha = views.stacked[:, 3:4]
    # Where the front part is, and around it: a missing handle and its filled-in hole both cost.
    near_front = functional.max_pool2d(views.front, 5, 1, 2)
    weight = 1.0 + weights.front * near_front
    weight = weight / weight.mean((2, 3), keepdim=True)
    painted = drawn.rgb * drawn.alpha
    colour = ((painted - views.stacked[:, :3]).abs() * weight).mean()
    alpha = ((drawn.alpha - target_alpha).abs() * weight).mean()
    depth = ((drawn.depth * target_alpha - views.stacked[:, 4:5]).abs() * weight).mean()
    edges = colour.new_zeros(())
    stacked = torch.cat((painted, drawn.alpha), 1)
    goal = views.stacked[:, :4]
    for level in range(2):
        if level:
            stacked, goal = functional.avg_pool2d(stacked, 2), functional.avg_pool2d(goal, 2)
        for a, b in zip(_slopes(stacked), _slopes(goal), strict=True):
            edges = edges + 0.5 * (a - b).abs().mean()
    return {'colour': weights.colour * colour, 'alpha': weights.alpha * alpha,
            'depth': weights.depth * depth, 'edges': weights.edges * edges}


def soft_bins(azimuth: Tensor, bins: int) -> Tensor:
    """Azimuth (B,) shared out between its two nearest bins, (B, bins)."""
    place = (azimuth + math.pi) / (2.0 * math.pi) * bins - 0.5
    low = torch.floor(place)
    share = (place - low)[:, None]
    index = low.long()[:, None]
    target = azimuth.new_zeros(len(azimuth), bins)
    target.scatter_(1, index % bins, 1.0 - share)
    return target.scatter_add(1, (index + 1) % bins, share)


def _missed_points(said: Encoding, crops: Crops, weights: Weights, free_about_z: bool) -> Tensor:
    """Mean distance (L1, radii) of the points told from those seen; the front part counts more."""
    share = functional.avg_pool2d(crops.mask, 2)
    true = crops.facing() if free_about_z else crops.points
    weight = 1.0 + weights.front * crops.front
    missed = (said.points * share - true).abs().sum(1, keepdim=True) * weight
    return (missed.sum((1, 2, 3)) / (share * weight).sum((1, 2, 3)).clamp_min(1.0)).mean()


WRONG, WRONG_SPREAD = 0.5, 0.1
"""Axis and histogram are wrong from about this chordal distance on (2 sqrt 2 sin(angle / 2), so 20
degrees), and over what distance they become so."""
NEAREST, USELESS, ALWAYS, ODDS = 3.0, 0.2, 0.1, 0.1
"""Weights within the term of further rotations: of the nearest and of all where axis and histogram
are wrong, of the nearest wherever, and of the odds. On encoders of laptops that were held still,
0, 0.1 and 0.5 of the third did equally well: it is there so that a small batch without a wrong one
teaches, too."""


def _further_rotations(said: Encoding, crops: Crops) -> Tensor:
    """How far the nearest further rotation is, above all where axis and histogram are wrong.

    Only the nearest one pays in full, so each may speak for another hypothesis; the others pay
    a little, so that none stays where it is of no use (as in Rupprecht et al., ICCV 2017, arXiv
    1612.00197). The odds learn whether axis and histogram are right, and which one is the
    nearest where they are not. Where the front is hidden the axis alone counts.
    """
    def off(R: Tensor) -> Tensor:
        missed = R - crops.R[:, None]
        axis = math.sqrt(2.0) * torch.linalg.vector_norm(missed[..., 2], dim=2)
        seen = (crops.front_visible > FRONT_SEEN)[:, None]
        return torch.where(seen, torch.linalg.vector_norm(missed.flatten(2), dim=2), axis)

    first_off = off(said.first().detach()[:, None])[:, 0]
    off_by = off(said.others)
    wrong = torch.sigmoid((first_off - WRONG) / WRONG_SPREAD)
    log_p = functional.log_softmax(functional.pad(said.other_logits, (1, 0)), 1)
    nearest = log_p[:, 1:].gather(1, off_by.detach().argmin(1, keepdim=True))[:, 0]
    odds = -(1.0 - wrong) * log_p[:, 0] - wrong * nearest
    missed = (NEAREST * wrong + ALWAYS) * off_by.amin(1) + USELESS * wrong * off_by.sum(1)
    return (missed + ODDS * odds).mean()


def readings(said: Encoding, crops: Crops, weights: Weights,
             free_about_z: bool = False) -> dict[str, Tensor]:
    """Terms of the encoder: mask, points, axis, azimuth, place, further rotations, front seen."""
    axis, azimuth = axis_azimuth_from_rotation(crops.R)
    mask = functional.binary_cross_entropy_with_logits(said.mask_logits, crops.mask)
    seen = torch.sigmoid(said.mask_logits)
    overlap = 1.0 - (2.0 * (seen * crops.mask).sum((1, 2, 3)) + 1.0) / (
        seen.sum((1, 2, 3)) + crops.mask.sum((1, 2, 3)) + 1.0)
    terms = {
        'mask': weights.mask * (mask + 0.5 * overlap.mean()),
        'axis': weights.axis * torch.linalg.vector_norm(said.axis - axis, dim=1).mean(),
        'place': weights.place * ((said.t - crops.t).abs().sum(1).mean()
                                  + (said.log_scale - crops.log_scale).abs().mean()),
        'points': weights.points * _missed_points(said, crops, weights, free_about_z),
    }
    if free_about_z:
        return terms
    bins = said.azimuth_logits.shape[1]
    target = soft_bins(azimuth, bins)
    log_p = functional.log_softmax(said.azimuth_logits, 1)
    terms['azimuth'] = weights.azimuth * -(target * log_p).sum(1).mean()
    missed = azimuth[:, None] - bin_centers(bins, azimuth.device) - said.azimuth_offset
    missed = torch.remainder(missed + math.pi, 2.0 * math.pi) - math.pi
    terms['offset'] = weights.azimuth * 6.0 * (target * missed.abs()).sum(1).mean()
    if said.others.shape[1]:
        terms['others'] = weights.others * _further_rotations(said, crops)
    seen_front = (crops.front_visible > FRONT_SEEN).to(said.front_logit.dtype)
    terms['front'] = weights.front_seen * functional.binary_cross_entropy_with_logits(
        said.front_logit, seen_front)
    return terms


def kl(mean: Tensor, logvar: Tensor, weights: Weights) -> Tensor:
    """From the clean views' posterior (B, D) to the unit normal."""
    return weights.kl * 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar).sum(1).mean()


def code_term(said: Encoding, target: Tensor, weights: Weights,
              counts: Tensor | None = None) -> Tensor:
    """How unlikely the cluttered crops' posterior makes the instance's code ``target`` (B, D).

    The spread is held above 0.1. As in ``kl`` each number counts alike, however many there are.
    counts: (B, D) what each of them counts where they do not; None: 1.
    """
    spread = said.logvar.clamp_min(LEAST_LOGVAR)
    unlikely = 0.5 * (spread + (said.mean - target).square() * torch.exp(-spread))
    return weights.code * (unlikely if counts is None else unlikely * counts).sum(1).mean()


def proportions(read: Proportions, size: Tensor, center: Tensor, log_radius: Tensor,
                weights: Weights) -> dict[str, Tensor]:
    """How far size and centre (I, 3; in radii) and the log radius (I,) are from the truth."""
    return {'proportions': weights.proportions * (
        (read.size - size).abs().mean() + (read.center - center).abs().mean()
        + (read.log_radius_m - log_radius).abs().mean())}
