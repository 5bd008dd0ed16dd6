# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Analysis by synthesis: move pose and code of every hypothesis until the crop is explained.

All hypotheses of all crops go through the generator in one batch. The refiner (``refiner``) moves
poses of the categories that it knows. Where there is none, or a preset asks for them, pose steps
are second-order (``pose_steps``) and joint steps follow the gradient through the network to the
code as well. All are taken in the tangent space of the rotation (camera frame), so there is no
singular angle.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
import math

import torch
from torch import Tensor

from .checkpoint import CategoryModel
from .deadline import late
from .losses import build_terms, Observed, Synthesised, Term
from .pose_steps import draw, place, pose_steps, Stepped, synthesise, Targets
from .presets import JointStage, PoseStage, Preset, RefineStage
from .refiner import (
    best_of_each,
    Comparing,
    facing,
    Mirrored,
    Moved,
    pairs,
    refine,
    Refiner,
    worth_of,
)
from .rotations import exp_so3, rotation_z
from .starts import Hypotheses, turned_around

START_SHARE = 0.15
"""What the encoder's weight of a start counts beside the refiner's word."""
TRACK_SHARE = 0.25
"""By how much (log) a challenger must be worth more to the refiner than a track's own pose."""
TRACK_LOSS_SHARE = 0.03
"""The same where losses are compared, as a share of the track's own."""

SPIN_SHARE = 0.8
"""Steps from a turn about the object's axis must end with at most this share of the loss where it
was, and of that where steps from there end: where all turns look alike, since a handle is hidden,
chance would decide."""


@dataclass(frozen=True)
class FitResult:
    """Best hypothesis of each crop (O), and what speaks for it.

    loss: (O,) final loss. synthesis: what the best ones draw in their crops, rows O. iterations:
    steps taken. worth: (O,) what the refiner says of them in the end (``Comparison.worth``), NaN
    where none was asked.
    """

    best: Hypotheses
    loss: Tensor
    synthesis: Synthesised
    iterations: int
    worth: Tensor

    def with_better(self, rows: Tensor, other: FitResult) -> FitResult:
        """The same with rows ``rows`` (O',) from ``other``, which holds those alone, if better."""
        better = other.loss < self.loss[rows]
        rows = rows[better]

        def put(mine: Tensor, theirs: Tensor) -> Tensor:
            return mine.index_copy(0, rows, theirs[better])

        best = Hypotheses(*(self.best.owner if f.name == 'owner' else put(
            getattr(self.best, f.name), getattr(other.best, f.name)) for f in fields(Hypotheses)))
        made = Synthesised(*(put(getattr(self.synthesis, f.name), getattr(other.synthesis, f.name))
                             for f in fields(Synthesised)))
        return FitResult(best, put(self.loss, other.loss), made,
                         self.iterations + other.iterations, put(self.worth, other.worth))


class _Adam:
    """Adam on a few tensors, one row a hypothesis."""

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


def _best_rows(loss: Tensor, owner: Tensor, keep: int) -> Tensor:
    """Indices of each owner's ``keep`` lowest losses, grouped by owner, best first."""
    rows = []
    for o in owner.unique():
        members = torch.nonzero(owner == o)[:, 0]
        rows.append(members[loss[members].argsort()[:keep]])
    return torch.cat(rows)


def volumes(model: CategoryModel, latent: Tensor) -> tuple[Tensor, Tensor]:
    """Feature volume and style of each code (H, D); equal codes are computed once."""
    with torch.no_grad():
        codes, which = torch.unique(latent, dim=0, return_inverse=True)
        shapes, styles = model.generator.volume(codes)
        return shapes[which], styles[which]


def _joint_steps(model: CategoryModel, now: Hypotheses, seen: Observed, focal: Tensor,
                 stage: JointStage, preset: Preset, terms: list[tuple[float, Term]],
                 deadline_s: float | None) -> tuple[Hypotheses, int]:
    """Steps of Adam over pose and code together; the states after them, and how many."""
    adam = _Adam([preset.rate_rotation, preset.rate_place, preset.rate_place, preset.rate_latent])
    for step in range(stage.iterations):
        if late(deadline_s):
            return now, step
        wanted = [x.detach().requires_grad_() for x in (
            now.t.new_zeros(len(now.t), 3), now.t, now.log_scale, now.latent)]
        omega, t, log_scale, latent = wanted
        made = synthesise(model, *model.generator.volume(latent), exp_so3(omega) @ now.R, t,
                          log_scale, focal, seen.rgb.shape[-1])
        loss = torch.stack([weight * term(made, seen) for weight, term in terms]).sum(0)
        total = loss.sum() + preset.latent_prior * latent.square().mean(1).sum()
        gradients = torch.autograd.grad(total, wanted)
        ease = 1.0 - 0.7 * step / stage.iterations
        with torch.no_grad():
            turn, shift, grow, change = (
                ease * torch.nan_to_num(m) for m in adam.update(list(gradients)))
            if model.card.symmetry == 'free_z':
                axis = now.R[:, :, 2]
                turn = turn - (turn * axis).sum(1, keepdim=True) * axis
            now = replace(now, R=exp_so3(turn) @ now.R, t=now.t + shift,
                          log_scale=now.log_scale + grow, latent=now.latent + change)
    return now, stage.iterations


def _refined(model: CategoryModel, refiner: Comparing, begun: Hypotheses, seen: Observed,
             focal: Tensor, volume: tuple[Tensor, Tensor], stage: RefineStage,
             deadline_s: float | None) -> Moved:
    """A refine stage; seen, focal, volume: rows H."""
    def shown(rows: Tensor) -> tuple[Observed, Tensor, tuple[Tensor, Tensor]]:
        return seen.pick(rows), focal[rows], (volume[0][rows], volume[1][rows])

    settled_rad = math.radians(stage.settled_deg)
    moved = refine(model, refiner, begun, seen, focal, volume, stage.times, deadline_s,
                   stage.hopeless, settled_rad)
    now, rows, taken = moved.now, moved.rows, moved.taken
    if not stage.around_deg and int(torch.bincount(now.owner).max()) == 1:
        return moved  # nothing to choose from, so nobody is asked
    worth = worth_of(model, refiner, now, *shown(rows))
    lost = torch.nonzero(best_of_each(worth, now.owner) < stage.doubt)[:, 0]
    if stage.around_deg and len(lost) and not late(deadline_s):
        turned, of = turned_around(now.pick(lost), stage.around_deg,
                                   model.card.symmetry == 'free_z')
        around = rows[lost][of]
        further = refine(model, refiner, turned, *shown(around),
                         stage.around_times or stage.times, deadline_s,
                         settled_rad=settled_rad)
        turned = further.now
        worth = torch.cat((worth, worth_of(model, refiner, turned, *shown(around))))
        now, rows = now.joined(turned), torch.cat((rows, around))
        taken += further.taken
    likely = torch.log(worth + 1e-3) + START_SHARE * now.log_prior
    kept = _best_rows(-(likely + TRACK_SHARE * now.previous), now.owner, stage.keep)
    return Moved(replace(now, log_prior=likely).pick(kept), rows[kept], taken)


def _if_explained(model: CategoryModel, stage: PoseStage, now: Hypotheses, seen: Observed,
                  focal: Tensor, volume: tuple[Tensor, Tensor], terms: list[tuple[float, Term]],
                  deadline_s: float | None) -> Stepped:
    """A pose stage whose steps are kept only where they explain what is seen."""
    if late(deadline_s):
        return pose_steps(model, now, Targets(seen, now, 0.0), focal, volume, ())
    size = seen.rgb.shape[-1]
    spins_deg = () if model.card.symmetry == 'free_z' else stage.spins_deg
    angles = torch.deg2rad(focal.new_tensor((0.0, *spins_deg)))
    first = torch.arange(len(focal), device=focal.device)
    rows = first.repeat_interleave(len(angles))
    spun = now.pick(rows)
    spun = replace(spun, R=spun.R @ rotation_z(angles.repeat(len(focal))))
    views = draw(model, spun, focal[rows], (volume[0][rows], volume[1][rows]), alone=True)[:, 0]
    losses = _total(terms, place(views, spun, size), seen.pick(rows)).view(len(focal), -1)
    before, views = losses[:, 0], views[first * len(angles)]
    if late(deadline_s):
        return Stepped(now, views, 0)
    # Steps from the hypothesis itself and, behind those, from the best of its turns.
    begun = first * len(angles)
    if spins_deg:
        begun = torch.cat((begun, begun + 1 + losses[:, 1:].argmin(1)))
    start, of = spun.pick(begun), rows[begun]
    shown = seen.pick(of)
    stepped = pose_steps(model, start, Targets(shown, start, 0.0), focal[of],
                         (volume[0][of], volume[1][of]), stage.sizes, deadline_s=deadline_s)
    after = _total(terms, place(stepped.views, stepped.best, size), shown).view(-1, len(focal))
    # Steps lower their own residuals; by the whole loss they may end worse than they began.
    better = after[-1] < SPIN_SHARE * torch.minimum(before, after[0])
    chosen = first + len(focal) * better
    lowest = after.flatten()[chosen]
    kept = (lowest < before) & (lowest < stage.explained)
    return Stepped(stepped.best.pick(chosen).where(kept, now),
                   torch.where(kept.view(-1, 1, 1, 1), stepped.views[chosen], views),
                   stepped.taken)


def fit(model: CategoryModel, starts: Hypotheses, crops: Observed, focal: Tensor,
        preset: Preset, deadline_s: float | None = None,
        refiner: Refiner | None = None) -> FitResult:
    """Fit all hypotheses; rows of ``crops`` and ``focal`` (O,) are the crops' own.

    deadline_s: time of ``time.perf_counter`` after which no further step is begun: the best pose
    so far is the answer. refiner: its stages do what stands ``instead`` where there is none, or
    where it does not know the category.
    """
    terms = build_terms(preset.losses, model.encoder, focal.device)
    asked: Comparing | None = None
    if refiner is not None and refiner.knows(model):
        mirror = preset.mirror and model.mirrors and refiner.mirrors
        asked = Mirrored(refiner) if mirror else refiner
    free = model.card.symmetry == 'free_z'
    stages = [x for s in preset.stages
              for x in (s.instead if isinstance(s, RefineStage) and asked is None else (s,))]
    now, reading = starts, starts
    seen = crops.pick(now.owner)
    volume = volumes(model, now.latent)
    iterations = 0
    for number, stage in enumerate(stages):
        if (stage == PoseStage((), stage.keep) and len(now.owner) == len(focal)
                and number < len(stages) - 1):
            continue  # nothing to choose from
        where = focal[now.owner]
        if isinstance(stage, RefineStage):
            if asked is not None and not late(deadline_s):
                refined = _refined(model, asked, now, seen, where, volume, stage, deadline_s)
                now = reading = refined.now
                seen = seen.pick(refined.rows)
                volume = volume[0][refined.rows], volume[1][refined.rows]
                iterations += refined.taken
            continue
        if isinstance(stage, JointStage):
            now, taken = _joint_steps(model, now, seen, where, stage, preset, terms, deadline_s)
            volume = volumes(model, now.latent)
            iterations += taken
        with torch.no_grad():
            if isinstance(stage, PoseStage) and stage.explained:
                stepped = _if_explained(model, stage, now, seen, where, volume, terms, deadline_s)
            else:
                sizes = stage.sizes if isinstance(stage, PoseStage) else ()
                stepped = pose_steps(model, now, Targets(seen, reading, preset.pull), where,
                                     volume, sizes, deadline_s=deadline_s)
            now = stepped.best
            iterations += stepped.taken
            final = late(deadline_s) or number == len(stages) - 1
            if not final and len(now.owner) == len(focal):
                continue
            made = place(stepped.views, now, seen.rgb.shape[-1])
            loss = _total(terms, made, seen)
            fair = torch.where(now.previous, loss * (1.0 - TRACK_LOSS_SHARE), loss)
            fair = fair - preset.start_prior * now.log_prior
            kept = _best_rows(fair, now.owner, 1 if final else stage.keep)
            now, reading, seen = now.pick(kept), reading.pick(kept), seen.pick(kept)
            volume = volume[0][kept], volume[1][kept]
        if final:
            break
    worth = torch.full_like(focal, torch.nan)
    if asked is not None:
        with torch.no_grad():
            shown = facing(now) if free else now
            worth = asked(pairs(shown, seen, stepped.views[kept], focal[now.owner])).worth
    return FitResult(best=now, loss=loss[kept], iterations=iterations,
                     synthesis=made.pick(kept), worth=worth)


def _total(terms: list[tuple[float, Term]], made: Synthesised, seen: Observed) -> Tensor:
    loss = torch.stack([weight * term(made, seen) for weight, term in terms]).sum(0)
    return torch.nan_to_num(loss, nan=torch.inf)
