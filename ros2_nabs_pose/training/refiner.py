# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Training of the refiner: hypotheses beside the truth, drawn by trained models, to be corrected.

Encoders and generators stay as they are. Each crop gets three hypotheses: what the encoder thinks
first, one of its other readings, and the truth turned by anything up to 60 degrees. So the refiner
sees the errors that readings make, and others that it must not take for usual.
"""

from __future__ import annotations

from collections.abc import Mapping
import copy
from dataclasses import dataclass, fields, replace
import math
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .compose import compose, Crops, mirrored, recolour
from .engine import Engine, random_devices
from .instances import TrainingViews
from .shared import (
    Figures,
    load_parts,
    run_training,
    SharedTrainer,
    SharedTraining,
    warn_of_lost,
)
from ..core.checkpoint import CategoryModel
from ..core.encoder import Encoding
from ..core.fit import volumes
from ..core.losses import Observed
from ..core.pose_steps import draw, in_plane
from ..core.refiner import (
    Comparison,
    EDGES_DEG,
    load_refiner,
    moved_by,
    pairs,
    refine,
    Refiner,
    RefinerConfig,
    save_refiner,
)
from ..core.rotations import exp_so3, geodesic_angle, rotation_z
from ..core.starts import first_rotations, Hypotheses, make_starts

HYPOTHESES = 3
STARTS = 4
FRONT_SEEN = 0.15
NEAR_RAD = math.radians(70.0)
"""Farther off, there is more than one way back, and the correction counts little."""
VALIDATION_BATCHES = 4
VALIDATION_SEED = 23


@dataclass(frozen=True)
class RefinerTraining(SharedTraining):
    """One run."""


@dataclass(frozen=True)
class Task:
    """What the refiner is shown and should say, a row a hypothesis (H).

    pair: (H, 9, S, S). now: the hypotheses; their owners are rows of no use here. R: (H, 3, 3),
    t: (H, 2), log_scale: (H,) of the truth. turn_seen: (H,) whether the turn about the object's
    axis can be told; where it cannot, the axis alone counts.
    """

    pair: Tensor
    now: Hypotheses
    R: Tensor
    t: Tensor
    log_scale: Tensor
    turn_seen: Tensor

    @classmethod
    def joined(cls, tasks: list[Task]) -> Task:
        """All of several categories; codes, which may differ in length, are left out."""
        def of_all(*names: str) -> list[Tensor]:
            return [torch.cat([attrgetter(name)(x) for x in tasks]) for name in names]

        owner, R, t, log_scale, warm, loss = of_all(
            *(f'now.{f.name}' for f in fields(Hypotheses) if f.name != 'latent'))
        now = Hypotheses(owner, R, t, log_scale, tasks[0].now.latent, warm, loss)
        pair, *rest = of_all('pair', 'R', 't', 'log_scale', 'turn_seen')
        return cls(pair, now, *rest)


def rotation_errors(R: Tensor, truth: Tensor, turn_seen: Tensor) -> Tensor:
    """(H,) rad between rotations, or between their axes where no turn can be told."""
    axis = torch.arccos((R[:, :, 2] * truth[:, :, 2]).sum(1).clamp(-1.0, 1.0))
    return torch.where(turn_seen, geodesic_angle(R, truth), axis)


def _some_turns(count: int, device: torch.device) -> Tensor:
    """Rotation vectors (count, 3): a third small, two fifths middling, the rest up to 60 deg."""
    kind = torch.rand(count, 1, device=device)
    normal = torch.randn(count, 1, device=device)
    angle = torch.where(kind < 0.35, math.radians(6.0) * normal,
                        torch.where(kind < 0.75, math.radians(18.0) * normal,
                                    math.radians(60.0) * torch.rand(count, 1, device=device)))
    return angle * functional.normalize(torch.randn(count, 3, device=device), dim=1)


def hypotheses_of(said: Encoding, crops: Crops, free_about_z: bool) -> Hypotheses:
    """Three hypotheses of each crop (B), in a row: read, read otherwise, beside the truth."""
    count, device = len(crops.t), crops.t.device
    read, _ = first_rotations(said, STARTS, free_about_z)
    other = torch.randint(STARTS, (count,), device=device)
    rows = torch.arange(count, device=device)
    R = torch.stack((read[:, 0], read[rows, other],
                     exp_so3(_some_turns(count, device)) @ crops.R), 1)
    # Half of what was read is turned a little more, so that the same crop is not the same task.
    some = (torch.rand(count, HYPOTHESES, 1, device=device) < 0.5).to(R.dtype)
    some[:, 2] = 0.0
    about = functional.normalize(torch.randn(count, HYPOTHESES, 3, device=device), dim=2)
    angle = math.radians(6.0) * torch.randn(count, HYPOTHESES, 1, device=device)
    R = exp_so3(some * angle * about) @ R
    t, log_scale = (x.unsqueeze(1).repeat_interleave(HYPOTHESES, 1)
                    for x in (said.t, said.log_scale))
    exact = torch.rand(count, device=device) < 0.5
    t[exact, 2], log_scale[exact, 2] = crops.t[exact], crops.log_scale[exact]
    t = t + 0.02 * torch.randn_like(t)
    log_scale = log_scale + 0.03 * torch.randn_like(log_scale)
    total = count * HYPOTHESES
    return Hypotheses(rows.repeat_interleave(HYPOTHESES), R.flatten(0, 1), t.flatten(0, 1),
                      log_scale.flatten(), said.mean.repeat_interleave(HYPOTHESES, 0),
                      torch.zeros(total, dtype=torch.bool, device=device),
                      torch.zeros(total, device=device))


def losses(said: Comparison, task: Task) -> dict[str, Tensor]:
    """Terms: the rotation after the move, place and size after it, and the error before it."""
    before = rotation_errors(task.now.R, task.R, task.turn_seen)
    after = moved_by(task.now, said, free_about_z=False)
    axis, front = (torch.linalg.vector_norm(after.R[:, :, k] - task.R[:, :, k] + 1e-6, dim=1)
                   for k in (2, 0))
    counts = torch.where(before < NEAR_RAD, 1.0, 0.15)
    rotation = counts * (1.5 * axis + front * task.turn_seen)
    # A turn that nobody can tell is not to be told.
    own_axis = (rotation_z(-in_plane(task.now.R)) @ task.now.R)[:, :, 2]
    spin = 0.3 * (said.turn * own_axis).sum(1).abs() * ~task.turn_seen
    place = (after.t - task.t).abs().sum(1) + (after.log_scale - task.log_scale).abs()
    wanted = torch.bucketize(torch.rad2deg(before), before.new_tensor(EDGES_DEG))
    return {'rotation': 3.0 * (rotation + spin).mean(), 'place': 2.0 * place.mean(),
            'class': 0.5 * functional.cross_entropy(said.logits, wanted)}


class RefinerTrainer(SharedTrainer[Refiner]):
    """The refiner (trained and averaged), its optimiser, and models and data that stay."""

    def build(self) -> Refiner:
        names = tuple(sorted(self.models))
        symmetries = tuple(self.models[name].card.symmetry for name in names)
        refiner = Refiner(RefinerConfig(names, symmetries))
        begin_with(refiner, next(iter(self.models.values())))
        return refiner

    @property
    def hypotheses_a_step(self) -> int:
        """Of all categories and processes."""
        crops = 2 * max(1, self.config.crops // 2)
        return crops * HYPOTHESES * len(self.models) * self.engine.world

    @torch.no_grad()
    def task(self, name: str) -> Task:
        """Crops of a category with hypotheses, as its own models read and draw them."""
        model, data = self.models[name], self.data[name]
        free = model.card.symmetry == 'free_z'
        instances = max(1, self.config.crops // 2)
        _, views = data.batch(instances, 2)
        if self.config.mirror:
            flip = torch.rand(instances, device=self.device) < 0.5
            views = mirrored(views, flip.repeat_interleave(2))
        crops = compose(recolour(views, 2), data.backgrounds)
        with self.engine.autocast():
            said = model.encoder(crops.image)
        said = Encoding(**{f.name: getattr(said, f.name).float() for f in fields(said)})
        said = replace(said, axis=functional.normalize(said.axis, dim=1))
        now = hypotheses_of(said, crops, free)
        seen = Observed(crops.image, torch.sigmoid(said.mask_logits),
                        torch.ones_like(crops.mask)).pick(now.owner)
        perspective = views.perspective[now.owner] * torch.exp(
            0.15 * torch.randn(len(now.owner), device=self.device))
        with self.engine.autocast():
            shapes, styles = model.generator.volume(said.mean)
            volume = shapes.float()[now.owner], styles.float()[now.owner]
            drawn = draw(model, now, torch.exp(now.log_scale) / perspective, volume,
                         alone=True)[:, 0].float()
        visible = crops.front_visible[now.owner] > FRONT_SEEN
        return Task(pairs(now, seen, drawn), now, crops.R[now.owner], crops.t[now.owner],
                    crops.log_scale[now.owner], visible & (not free))

    def terms(self) -> dict[str, Tensor]:
        task = Task.joined([self.task(name) for name in self.models])
        with self.engine.autocast():
            said = self.network(task.pair)
        return losses(Comparison(*(getattr(said, f.name).float() for f in fields(said))), task)

    def record(self, figures: Figures) -> dict[str, Any]:
        return {**super().record(figures), 'hypotheses': self.hypotheses_a_step}


def begin_with(refiner: Refiner, model: CategoryModel) -> None:
    """Start from an encoder's way down: what edges and shading are is known there already.

    The drawing's colours come in with the opposite sign, so that differences stand out at once.
    Where sizes differ, nothing is taken.
    """
    known = {k: v for k, v in model.encoder.state_dict().items() if k.startswith('down')}
    own = refiner.state_dict()
    if any(k != 'down0.conv.weight' and own[k].shape != v.shape for k, v in known.items()):
        return
    first = known.pop('down0.conv.weight')
    mixed = 0.5 * own['down0.conv.weight']
    mixed[:, :3], mixed[:, 4:7] = 2.0 * first, -0.5 * first
    refiner.load_state_dict({**own, **known, 'down0.conv.weight': mixed})


@torch.no_grad()
def validate_refiner(refiner: Refiner, models: Mapping[str, CategoryModel],
                     data: Mapping[str, TrainingViews]) -> Figures:
    """Rotation errors by category, before (the encoder's best reading) and after, degrees.

    After: four readings moved once, the likeliest by the refiner's word. Held-out instances, the
    same crops every time; the global random state is kept.
    """
    refiner = copy.deepcopy(refiner).eval()
    found: Figures = {}
    for name, model in models.items():
        free = model.card.symmetry == 'free_z'
        before: list[Tensor] = []
        after: list[Tensor] = []
        with torch.random.fork_rng(devices=random_devices(data[name].rgba.device)):
            torch.manual_seed(VALIDATION_SEED)
            for _ in range(VALIDATION_BATCHES):
                _, views = data[name].batch(8, 4)
                crops = compose(views, data[name].backgrounds)
                said = model.encoder(crops.image)
                starts = make_starts(said, [None] * len(crops.t), STARTS, 0, free)
                seen = Observed(crops.image, torch.sigmoid(said.mask_logits),
                                torch.ones_like(crops.mask)).pick(starts.owner)
                focal = (torch.exp(crops.log_scale) / views.perspective)[starts.owner]
                now, worth, _ = refine(model, refiner, starts, seen, focal,
                                       volumes(model, starts.latent), 1)
                best = worth.view(-1, STARTS).argmax(1)
                visible = crops.front_visible > FRONT_SEEN
                turn_seen = visible & (not free)
                for kept, R in ((before, starts.R.view(-1, STARTS, 3, 3)[:, 0]),
                                (after, now.R.view(-1, STARTS, 3, 3)[torch.arange(len(best)),
                                                                     best])):
                    kept.append(torch.rad2deg(rotation_errors(R, crops.R, turn_seen))[
                        visible | free])
        for label, errors in (('before', torch.cat(before)), ('after', torch.cat(after))):
            found.setdefault(name, {}).update({
                f'{label}_median_deg': float(errors.median()),
                f'{label}_within_10_deg': float((errors <= 10.0).float().mean()),
                f'{label}_within_20_deg': float((errors <= 20.0).float().mean())})
    return found


def train_refiner(config: RefinerTraining) -> Figures:
    """Run (or resume) a training; returns the last validation, see ``run_training``."""
    if config.threads:
        torch.set_num_threads(config.threads)
    engine = Engine(config.device, config.precision)
    models, views, held_out = load_parts(config, engine)
    trainer = RefinerTrainer(config, models, views, engine)
    out = Path(config.out)
    if engine.rank == 0 and out.is_file():
        warn_of_lost(out, load_refiner(out).config.categories, config.categories)
    return run_training(trainer, lambda: validate_refiner(trainer.average, models, held_out),
                        lambda record: save_refiner(trainer.average, out, record))
