# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Second-order pose steps: Gauss-Newton with Levenberg-Marquardt damping, the code held.

Of the six dimensions of a pose only the two rotations out of the image plane need the network;
turning in the plane, shifting and scaling are warps of the view that is drawn already. So the
Jacobian of all pixels costs three synthesised views (where the hypothesis stands, and a little
beside it in both directions) and four more warps, taken forward by finite differences. The
residuals are few and dense, so the normal equations are 6 x 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math

import torch
from torch import Tensor
from torch.nn import functional

from .checkpoint import CategoryModel
from .deadline import late
from .generator import warp_to_crop
from .losses import gain_and_bias, Observed, Synthesised
from .rotations import exp_so3, log_so3, rotation_z
from .starts import Hypotheses

POLE_RADIUS = 0.25
"""Below this length of the projected axis the in-plane angle is held during a step."""

DELTA = (0.02, 0.02, 0.015, 0.01, 0.01, 0.015)
"""Finite steps: turns about the crop's x, y, z (rad), shift (half crop widths), log scale."""
MAX_STEP = (0.35, 0.35, 0.35, 0.15, 0.15, 0.20)
"""Largest step in each dimension; farther the linear model is not to be trusted."""
PULL_SIGMA = (0.10, 0.10, 0.10, 0.05, 0.05, 0.08)
"""Spread of the readings that ``pull`` draws towards, same dimensions."""
SOURCE = (0, 1, 2, 0, 0, 0, 0)
"""Which of the three drawn views each of the seven warps takes."""


def in_plane(R: Tensor) -> Tensor:
    """In-plane angle (H,) of rotations, differentiable away from the pole and held near it."""
    x, y = R[:, 0, 2], -R[:, 1, 2]
    near_pole = x.square() + y.square() < POLE_RADIUS ** 2
    free = torch.atan2(torch.where(near_pole, torch.zeros_like(x), x),
                       torch.where(near_pole, torch.ones_like(y), y))
    return torch.where(near_pole, torch.atan2(x.detach(), y.detach()), free)


def synthesise(model: CategoryModel, volume: Tensor, style: Tensor, R: Tensor, t: Tensor,
               log_scale: Tensor, focal: Tensor, size_px: int) -> Synthesised:
    """Views of volumes (V) at full rotations R (H, 3, 3), placed in their crops.

    focal: (H,) the crops' focal length in half widths; with the apparent radius it gives the
    perspective. H must be a multiple of V, grouped.
    """
    angle = in_plane(R)
    R_view = rotation_z(-angle) @ R
    scale = torch.exp(log_scale)
    views = model.generator.render(volume, style, R_view, (scale / focal).clamp_max(0.5))
    placed = warp_to_crop(views.stacked(), angle, t, scale, size_px)
    return Synthesised(placed[:, :3], placed[:, 3:4], placed[:, 4:])


@dataclass(frozen=True)
class Targets:
    """What the steps look at: crops and mask at the working size, and readings that pull.

    seen: rows (H). reading: hypotheses (H) whose pose draws the fit with weight ``pull``.
    """

    seen: Observed
    reading: Hypotheses
    pull: float


@dataclass(frozen=True)
class Weighting:
    """Weights of silhouette and colour among the residuals; ``softness``: colour differences above
    it count linearly, so that an occluder or a highlight does not drag the pose.
    """

    silhouette: float = 0.5
    photometric: float = 1.0
    softness: float = 0.1


def shrink(seen: Observed, size_px: int) -> Observed:
    """Crops averaged to ``size_px``, for coarse steps."""
    if seen.rgb.shape[-1] == size_px:
        return seen
    rgb, mask, valid = (functional.adaptive_avg_pool2d(x, size_px)
                        for x in (seen.rgb, seen.mask, seen.valid))
    return Observed(rgb, mask, valid, seen.points)


def _beside(R: Tensor) -> Tensor:
    """(H, 3, 3, 3): the rotations, and turned a little about the crop's x and y."""
    turns = exp_so3(torch.tensor([[0.0, 0.0, 0.0], [DELTA[0], 0.0, 0.0], [0.0, DELTA[1], 0.0]],
                                 dtype=R.dtype, device=R.device))
    return turns @ R[:, None]


def draw(model: CategoryModel, now: Hypotheses, focal: Tensor, volume: tuple[Tensor, Tensor],
         alone: bool = False) -> Tensor:
    """(H, K, 5, S, S): the upright view and, but for ``alone``, the two beside it.

    That is all that a step asks of the network.
    """
    # Mixed precision is for the networks: in 16 bits a rotation is off by half a degree.
    with torch.autocast(now.R.device.type, enabled=False):
        R = now.R if alone else _beside(now.R).flatten(0, 1)
        upright = rotation_z(-in_plane(R)) @ R
    kinds = len(R) // len(now.R)
    perspective = (torch.exp(now.log_scale) / focal).clamp_max(0.5).repeat_interleave(kinds)
    views = model.generator.render(*volume, upright, perspective)
    return views.stacked().unflatten(0, (len(now.R), kinds))


def place(views: Tensor, now: Hypotheses, size_px: int) -> Synthesised:
    """Upright views (H, 5, S, S) as hypotheses place them in their crops."""
    placed = warp_to_crop(views, in_plane(now.R), now.t, torch.exp(now.log_scale), size_px)
    return Synthesised(placed[:, :3], placed[:, 3:4], placed[:, 4:])


def _place_around(views: Tensor, now: Hypotheses, size_px: int) -> Tensor:
    """(H, 7, 5, S, S): the placed view, and with each pose dimension moved by its ``DELTA``."""
    count = len(now.R)
    angle = in_plane(_beside(now.R).flatten(0, 1)).view(count, 3)
    if size_px < views.shape[-1]:
        views = functional.adaptive_avg_pool2d(views.flatten(0, 1), size_px).unflatten(
            0, (count, 3))
    moved = torch.zeros(7, 4, dtype=angle.dtype, device=angle.device)
    moved[3, 0], moved[4, 1], moved[5, 2], moved[6, 3] = DELTA[2:]
    turned = angle[:, SOURCE] + moved[:, 0]
    t = now.t[:, None] + moved[None, :, 1:3]
    scales = torch.exp(now.log_scale[:, None] + moved[:, 3])
    placed = warp_to_crop(views[:, SOURCE, :].flatten(0, 1), turned.flatten(), t.flatten(0, 1),
                          scales.flatten(), size_px)
    return placed.unflatten(0, (count, 7))


def residuals(placed: Tensor, seen: Observed, weighting: Weighting) -> Tensor:
    """(H, K, P) residuals whose squares sum to the loss; placed (H, K, 5, S, S), seen rows H.

    Weights of the colour residuals come from the first of the K views and are the same for all.
    """
    count, kinds = placed.shape[:2]
    alpha = placed[:, :, 3:4]
    area = (seen.mask * seen.valid).sum((1, 2, 3)).clamp_min(4.0)
    outline = (alpha - seen.mask[:, None]) * seen.valid[:, None].sqrt()
    outline = outline * (weighting.silhouette / area).sqrt().view(-1, 1, 1, 1, 1)

    colour = placed[:, :, :3] / alpha.clamp_min(1e-3)
    weight = (placed[:, :1, 3:4] * seen.mask[:, None] * seen.valid[:, None])
    target = seen.rgb[:, None].expand(-1, kinds, -1, -1, -1)
    gain, bias = gain_and_bias(colour.flatten(0, 1), target.flatten(0, 1),
                               weight.expand(-1, kinds, -1, -1, -1).flatten(0, 1))
    fit = (gain * colour.flatten(0, 1) + bias).unflatten(0, (count, kinds))
    apart = fit - target
    # Where a moved view leaves the object, its colour is nothing: that is the outline's business.
    apart = torch.where(alpha > 0.3, apart, apart[:, :1])
    soft = (apart[:, :1].square().mean(2, keepdim=True) + weighting.softness ** 2).rsqrt()
    total = weight.sum((2, 3, 4), keepdim=True).clamp_min(1.0)
    apart = apart * (weighting.photometric / 3.0 * weight * soft / total).sqrt()
    return torch.cat((outline.flatten(2), apart.flatten(2)), 2)


def _from_reading(now: Hypotheses, reading: Hypotheses) -> Tensor:
    """(H, 6) how far a state is from its reading, in spreads."""
    apart = torch.cat((log_so3(now.R @ reading.R.transpose(1, 2)), now.t - reading.t,
                       (now.log_scale - reading.log_scale)[:, None]), 1)
    return apart / apart.new_tensor(PULL_SIGMA)


@dataclass(frozen=True)
class _Linear:
    """Normal equations of H hypotheses: A (H, 6, 6), g (H, 6), and the loss (H,) there."""

    A: Tensor
    g: Tensor
    loss: Tensor

    def where(self, better: Tensor, other: _Linear) -> _Linear:
        return _Linear(torch.where(better[:, None, None], self.A, other.A),
                       torch.where(better[:, None], self.g, other.g),
                       torch.where(better, self.loss, other.loss))


def _linearise(model: CategoryModel, now: Hypotheses, views: Tensor, targets: Targets,
               size_px: int, weighting: Weighting) -> _Linear:
    r = residuals(_place_around(views, now, size_px), targets.seen, weighting)
    base = r[:, 0]
    J = (r[:, 1:] - base[:, None]) / r.new_tensor(DELTA)[:, None]
    A = J @ J.transpose(1, 2)
    g = (J @ base[:, :, None])[..., 0]
    loss = base.square().sum(1)
    if targets.pull > 0.0:
        away = _from_reading(now, targets.reading)
        sigma = away.new_tensor(PULL_SIGMA)
        A = A + targets.pull * torch.diag(1.0 / sigma.square())
        g = g + targets.pull * away / sigma
        loss = loss + targets.pull * away.square().sum(1)
    if model.card.symmetry == 'free_z':
        # A spin about the object's own axis is nobody's to tell.
        axis = functional.pad(now.R[:, :, 2], (0, 3))
        A = A + 1e3 * axis[:, :, None] * axis[:, None, :]
    return _Linear(A, g, torch.nan_to_num(loss, nan=math.inf))


def _loss(now: Hypotheses, view: Tensor, targets: Targets, size_px: int,
          weighting: Weighting) -> Tensor:
    """(H,) what ``_linearise`` gives as the loss, from the view alone."""
    if size_px < view.shape[-1]:
        view = functional.adaptive_avg_pool2d(view, size_px)
    made = place(view, now, size_px)
    placed = torch.cat((made.rgb, made.alpha, made.depth), 1)[:, None]
    loss = residuals(placed, targets.seen, weighting)[:, 0].square().sum(1)
    if targets.pull > 0.0:
        loss = loss + targets.pull * _from_reading(now, targets.reading).square().sum(1)
    return torch.nan_to_num(loss, nan=math.inf)


def moved(now: Hypotheses, step: Tensor) -> Hypotheses:
    """Hypotheses after steps (H, 6)."""
    return replace(now, R=exp_so3(step[:, :3]) @ now.R, t=now.t + step[:, 3:5],
                   log_scale=now.log_scale + step[:, 5])


@dataclass(frozen=True)
class Stepped:
    """Where pose steps led: the best states seen (H), their upright views (H, 5, S, S), steps."""

    best: Hypotheses
    views: Tensor
    taken: int


def pose_steps(model: CategoryModel, starts: Hypotheses, targets: Targets, focal: Tensor,
               volume: tuple[Tensor, Tensor], sizes: Sequence[int],
               weighting: Weighting | None = None,
               deadline_s: float | None = None) -> Stepped:
    """Damped Gauss-Newton from every start, coarse to fine.

    volume: features and style of each hypothesis (H). sizes: pixels of the crop that each step
    looks at. A step that raises the loss is taken back and tried shorter. Fewer steps are taken
    than asked for where ``deadline_s`` (``time.perf_counter``) passed.
    """
    weighting = weighting or Weighting()
    best = starts
    views = draw(model, best, focal, volume, alone=not sizes)
    at_best: _Linear | None = None
    size, taken = 0, 0
    level = targets
    damping = torch.full_like(best.log_scale, 0.03)
    limit = damping.new_tensor(MAX_STEP)
    for number, next_size in enumerate(sizes):
        if late(deadline_s):
            break
        if at_best is None or next_size != size:
            size, level = next_size, replace(targets, seen=shrink(targets.seen, next_size))
            at_best = _linearise(model, best, views, level, size, weighting)
        taken += 1
        scaled = at_best.A + torch.diag_embed(
            damping[:, None] * at_best.A.diagonal(dim1=1, dim2=2) + 1e-6)
        step = torch.nan_to_num(torch.linalg.solve(scaled, -at_best.g))
        step = step / (step.abs() / limit).amax(1, keepdim=True).clamp_min(1.0)
        now = moved(best, step)
        if number == len(sizes) - 1:
            # Nothing is derived from the last state: one view tells whether it is better.
            drawn = draw(model, now, focal, volume, alone=True)
            better = _loss(now, drawn[:, 0], level, size, weighting) < at_best.loss
            views = views[:, :1]
        else:
            drawn = draw(model, now, focal, volume)
            at = _linearise(model, now, drawn, level, size, weighting)
            better = at.loss < at_best.loss
            at_best = at.where(better, at_best)
        best = now.where(better, best)
        views = torch.where(better.view(-1, 1, 1, 1, 1), drawn, views)
        damping = torch.where(better, damping / 3.0, damping * 6.0).clamp(1e-4, 1e3)
    return Stepped(best, views[:, 0], taken)
