# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Analysis by synthesis: move pose and code of every hypothesis until the crop is explained.

All hypotheses of all crops go through the generator in one batch. The pose steps are taken in the
tangent space of the rotation (camera frame), so there is no singular angle; only where the view
is split into an in-plane warp and an out-of-plane rotation is the pole treated apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from .checkpoint import CategoryModel
from .generator import warp_to_crop
from .losses import Observed, Synthesised, build_terms
from .rotations import exp_so3, rotation_z
from .starts import Hypotheses

POLE_RADIUS = 0.25
"""Below this length of the projected axis the in-plane angle is held during a step."""


@dataclass(frozen=True)
class Stage:
    """A run of Adam steps; afterwards each crop keeps its ``keep`` best hypotheses."""

    iterations: int
    keep: int
    latent: bool


@dataclass(frozen=True)
class Preset:
    """How a fit goes: number of starts, stages, learning rates and loss weights.

    More starts find the right basin more often; more iterations polish; ``latent`` stages cost
    twice a pose-only stage, because the feature volume is computed anew in every step.
    ``start_prior`` weighs the log of a start's prior against the loss when hypotheses are compared:
    where views look alike, the encoder's word decides.
    """

    name: str
    cold_starts: int
    warm_starts: int
    stages: tuple[Stage, ...]
    rate_rotation: float = 0.035
    rate_place: float = 0.012
    rate_latent: float = 0.06
    latent_prior: float = 0.002
    start_prior: float = 0.04
    losses: Mapping[str, float] = field(default_factory=lambda: {
        'photometric': 1.0, 'silhouette': 0.5, 'features': 0.3})


PRESETS = {
    'warm': Preset('warm', cold_starts=3, warm_starts=1, stages=(
        Stage(5, 1, False), Stage(2, 1, True))),
    'cold': Preset('cold', cold_starts=4, warm_starts=2, stages=(
        Stage(6, 2, False), Stage(8, 1, True))),
    'accurate': Preset('accurate', cold_starts=8, warm_starts=4, stages=(
        Stage(10, 4, False), Stage(15, 2, True), Stage(15, 1, True))),
}


@dataclass(frozen=True)
class FitResult:
    """Best hypothesis of each crop (O), and what speaks for it.

    loss: (O,) final loss. synthesis: what the best ones draw in their crops, rows O. iterations:
    steps taken. runner_up: (O,) loss of the best other start when the field was last compared,
    inf where there was one start only.
    """

    best: Hypotheses
    loss: Tensor
    synthesis: Synthesised
    iterations: int
    runner_up: Tensor


def _in_plane(R: Tensor) -> Tensor:
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
    angle = _in_plane(R)
    R_view = rotation_z(-angle) @ R
    scale = torch.exp(log_scale)
    views = model.generator.render(volume, style, R_view, (scale / focal).clamp_max(0.5))
    placed = warp_to_crop(views.stacked(), angle, t, scale, size_px)
    return Synthesised(placed[:, :3], placed[:, 3:4], placed[:, 4:])


def _evaluate(model: CategoryModel, hypotheses: Hypotheses, seen: Observed, focal: Tensor,
              terms: list, omega: Tensor, t: Tensor, log_scale: Tensor, latent: Tensor,
              volume: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Synthesised]:
    R = exp_so3(omega) @ hypotheses.R
    shape = volume if volume is not None else model.generator.volume(latent)
    made = synthesise(model, *shape, R, t, log_scale, focal, seen.rgb.shape[-1])
    loss = torch.stack([weight * term(made, seen) for weight, term in terms]).sum(0)
    return loss, made


class _Adam:
    """Adam on a few tensors, one row a hypothesis; rows can be dropped as the field shrinks."""

    def __init__(self, rates: list[float]) -> None:
        self.rates = rates
        self.moments: list[tuple[Tensor, Tensor]] = []
        self.step = 0

    def update(self, gradients: list[Tensor]) -> list[Tensor]:
        if not self.moments:
            self.moments = [(torch.zeros_like(g), torch.zeros_like(g)) for g in gradients]
        self.step += 1
        moves = []
        for (first, second), gradient, rate in zip(self.moments, gradients, self.rates,
                                                   strict=True):
            first.lerp_(gradient, 0.2)
            second.lerp_(gradient.square(), 0.05)
            mean = first / (1.0 - 0.8 ** self.step)
            spread = (second / (1.0 - 0.95 ** self.step)).sqrt()
            # One scale a parameter block, so that the step keeps the gradient's direction.
            rows = spread.reshape(len(spread), -1)
            size = rows.square().mean(1).sqrt().view(-1, *(1,) * (spread.dim() - 1))
            moves.append(-rate * mean / (size + 1e-8))
        return moves

    def pick(self, index: Tensor) -> None:
        self.moments = [(a[index], b[index]) for a, b in self.moments]


def _best_rows(loss: Tensor, owner: Tensor, keep: int) -> Tensor:
    """Indices of each owner's ``keep`` lowest losses, grouped by owner, best first."""
    rows = []
    for o in owner.unique():
        members = torch.nonzero(owner == o)[:, 0]
        rows.append(members[loss[members].argsort()[:keep]])
    return torch.cat(rows)


def fit(model: CategoryModel, starts: Hypotheses, crops: Observed, focal: Tensor,
        preset: Preset, previous_bonus: float = 0.03) -> FitResult:
    """Fit all hypotheses; rows of ``crops`` and ``focal`` (O,) are the crops' own.

    previous_bonus: share of the loss by which a new start must beat the track's own, so that a
    track does not jump between equals.
    """
    terms = build_terms(preset.losses, model.encoder)
    now = starts
    seen = crops.pick(now.owner)
    iterations = 0
    runner_up = torch.full((len(focal),), torch.inf, device=focal.device)
    adam = _Adam([preset.rate_rotation, preset.rate_place, preset.rate_place])
    latent_adam = _Adam([preset.rate_latent])
    for stage in preset.stages:
        volume = None
        if not stage.latent:
            with torch.no_grad():
                codes, which = torch.unique(now.latent, dim=0, return_inverse=True)
                shapes, styles = model.generator.volume(codes)
                volume = shapes[which], styles[which]
        for step in range(stage.iterations):
            omega = now.t.new_zeros(len(now.t), 3).requires_grad_()
            t, log_scale = now.t.detach().requires_grad_(), now.log_scale.detach().requires_grad_()
            latent = now.latent.detach().requires_grad_(stage.latent)
            loss, _ = _evaluate(model, now, seen, focal[now.owner], terms, omega, t, log_scale,
                                latent, volume)
            total = loss.sum()
            if stage.latent:
                total = total + preset.latent_prior * latent.square().mean(1).sum()
            wanted = [omega, t, log_scale] + ([latent] if stage.latent else [])
            gradients = torch.autograd.grad(total, wanted)
            ease = 1.0 - 0.7 * step / max(1, stage.iterations)
            with torch.no_grad():
                moves = [ease * m for m in adam.update(list(gradients[:3]))]
                new_latent = now.latent
                if stage.latent:
                    new_latent = new_latent + ease * latent_adam.update([gradients[3]])[0]
                now = replace(now, R=exp_so3(moves[0]) @ now.R, t=now.t + moves[1],
                              log_scale=now.log_scale + moves[2], latent=new_latent)
            iterations += 1
        with torch.no_grad():
            loss, made = _evaluate(model, now, seen, focal[now.owner], terms,
                                   now.t.new_zeros(len(now.t), 3), now.t, now.log_scale,
                                   now.latent, volume)
            loss = torch.nan_to_num(loss, nan=torch.inf)
            fair = torch.where(now.previous, loss * (1.0 - previous_bonus), loss)
            fair = fair - preset.start_prior * now.log_prior
            ranked = _best_rows(fair, now.owner, 2)
            for o in now.owner.unique():
                members = ranked[now.owner[ranked] == o]
                if len(members) > 1:
                    runner_up[o] = loss[members[1]]
            kept = _best_rows(fair, now.owner, stage.keep)
            now, seen = now.pick(kept), seen.pick(kept)
            adam.pick(kept)
            if stage.latent:
                latent_adam.pick(kept)
    first = _best_rows(fair[kept], now.owner, 1)
    chosen = kept[first]
    return FitResult(best=now.pick(first), loss=loss[chosen], iterations=iterations,
                     synthesis=made.pick(chosen), runner_up=runner_up)
