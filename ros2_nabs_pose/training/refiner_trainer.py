# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What a run of the refiner's training holds, and its steps.

Hypotheses beside the truth, drawn by trained models, are to be corrected. Encoders and generators
stay as they are. Each crop gets three hypotheses: what the encoder thinks first, one of its other
readings, and the truth turned by anything up to 60 degrees. So the refiner sees the errors that
readings make, and others that it must not take for usual. Some have been moved by what it has
learned so far, since in a fit it looks at what it has moved itself.
"""

from __future__ import annotations

from collections.abc import Mapping
import copy
from dataclasses import dataclass, replace
import json
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from .compose import compose, FRONT_SEEN, mirrored, recolour, roughly
from .engine import Engine, full_precision
from .framing import CUT_OFF
from .instances import STEEP, TrainingViews
from .loop import descend, follow, learning_rate
from .painting import instances_repainted
from .refiner_task import (
    as_tracked,
    BESIDE,
    HYPOTHESES,
    hypotheses_of,
    losses,
    misread,
    Task,
)
from .state import check_pictures, read_state, save_state, Stateful, take_up
from .stretching import STRETCHED
from ..core.checkpoint import CategoryModel
from ..core.losses import Observed
from ..core.pose_steps import draw
from ..core.readings import read
from ..core.refiner import load_refiner, moved_by, pairs, Refiner, RefinerConfig
from ..core.starts import Hypotheses
from ..core.types import PoseError

READINGS = (1, 2, 4)
"""In how many ways crops are read, by chance: as presets do (``Preset.readings``)."""
MOVED = 0.35
"""Share of what was read that the refiner's average has moved once."""
UNTOLD = 0.1
"""Share of hypotheses beside which the refiner is not shown what points the encoder read."""
VIEWS = 4
"""Crops of each instance in a step, which tell a track's code together."""


@dataclass(frozen=True)
class RefinerTraining:
    """One run; data and models are folders with something for each category."""

    categories: tuple[str, ...]
    data: str
    models: str
    backgrounds: str | None
    run: str
    out: str
    init: str = ''
    steps: int = 6000
    crops: int = 8
    learning_rate: float = 1e-3
    warmup: int = 100
    ema: float = 0.999
    mirror: bool = True
    stretch: bool = True
    seed: int = 1
    device: str = 'cpu'
    threads: int = 0
    precision: str = '32-true'
    validate_every: int = 500
    command: str = ''


class RefinerTrainer:
    """The refiner (trained and averaged), its optimiser, and models and data that stay."""

    def __init__(self, config: RefinerTraining, models: Mapping[str, CategoryModel],
                 data: Mapping[str, TrainingViews], engine: Engine | None = None) -> None:
        torch.manual_seed(config.seed)
        self.engine = engine or Engine(config.device, config.precision)
        self.config, self.data = config, dict(data)
        self.device = torch.device(self.engine.device)
        self.models = {name: model.to(self.device) for name, model in models.items()}
        names = tuple(sorted(models))
        symmetries = tuple(models[name].card.symmetry for name in names)
        self.refiner = Refiner(RefinerConfig(names, symmetries)).to(self.device)
        if config.init:
            go_on_from(self.refiner, load_refiner(Path(config.init)))
        else:
            begin_with(self.refiner, next(iter(self.models.values())))
        self.average = copy.deepcopy(self.refiner).requires_grad_(False).eval()
        self.optimizer = torch.optim.AdamW(self.refiner.parameters(), lr=config.learning_rate,
                                           betas=(0.9, 0.99), weight_decay=1e-2)
        self.step = 0
        if self.engine.rank:  # the same network everywhere, other pictures
            torch.manual_seed(config.seed + 7919 * self.engine.rank)

    @property
    def fingerprint(self) -> str:
        """What the run was trained on: the data's fingerprints by category."""
        return json.dumps({name: d.fingerprint for name, d in sorted(self.data.items())})

    @property
    def instances(self) -> int:
        """Of each category in a step: at least two, since some are given another one's code."""
        return max(2, self.config.crops // VIEWS)

    @property
    def hypotheses_a_step(self) -> int:
        """Of all categories and processes."""
        crops = VIEWS * self.instances
        return crops * HYPOTHESES * len(self.models) * self.engine.world

    @torch.no_grad()
    def task(self, name: str) -> Task:
        """Crops of a category with hypotheses, as its own models read and draw them."""
        model, data = self.models[name], self.data[name]
        free = model.card.symmetry == 'free_z'
        instances = self.instances
        views, _ = data.some_stretched(*data.batch(instances, VIEWS, STEEP),
                                       STRETCHED if self.config.stretch else 0.0)
        if self.config.mirror:
            flip = torch.rand(instances, device=self.device) < 0.5
            views = mirrored(views, flip.repeat_interleave(VIEWS))
        shown = instances_repainted(recolour(views, VIEWS), data.backgrounds, VIEWS)
        crops = compose(shown, data.backgrounds, cut_off=CUT_OFF)
        focal = roughly(crops.focal)
        ways = READINGS[int(torch.randint(len(READINGS), ()))]
        with self.engine.autocast():
            said = read(model, crops.image, ways, focal)
        said = full_precision(said)
        said = replace(said, axis=functional.normalize(said.axis, dim=1))
        said = misread(as_tracked(said, VIEWS, model.card.codes), VIEWS)
        now = hypotheses_of(said, crops, free)
        seen = Observed.of(crops.image, said).pick(now.owner)
        untold = torch.rand(len(now.owner), 1, 1, 1, device=self.device) < UNTOLD
        seen = replace(seen, points=torch.where(untold, 0.0, seen.points))
        with self.engine.autocast():
            shapes, styles = model.generator.volume(said.mean)
        volume = shapes.float()[now.owner], styles.float()[now.owner]
        focal = focal[now.owner]

        def compared(now: Hypotheses, rows: Tensor) -> Tensor:
            with self.engine.autocast():
                drawn = draw(model, now, focal[rows], (volume[0][rows], volume[1][rows]),
                             alone=True)
            return pairs(now, seen.pick(rows), drawn[:, 0].float(), focal[rows])

        rows = torch.arange(len(now.owner), device=self.device)
        own = torch.nonzero((torch.rand(len(rows), device=self.device) < MOVED)
                            & (rows % HYPOTHESES != BESIDE))[:, 0]
        if len(own):
            before = now.pick(own)
            with self.engine.autocast():
                said_of = self.average(compared(before, own))
            now = now.moved(own, moved_by(before, full_precision(said_of), free))
        visible = crops.front_visible[now.owner] > FRONT_SEEN
        return Task(compared(now, rows), now, crops.R[now.owner], crops.t[now.owner],
                    crops.log_scale[now.owner], visible & (not free))

    def train_step(self) -> dict[str, float]:
        """One optimiser step over all categories; returns the terms."""
        task = Task.joined([self.task(name) for name in self.models])
        self.refiner.train()
        with self.engine.autocast():
            said = self.refiner(task.pair)
        said = full_precision(said)
        told = descend(losses(said, task), self.optimizer, self.engine,
                       learning_rate(self.step, self.config), 2.0)
        follow(self.average, self.refiner, self.config.ema, self.step)
        self.step += 1
        return told

    @property
    def _parts(self) -> dict[str, Stateful]:
        return {'refiner': self.refiner, 'average': self.average, 'optimizer': self.optimizer}

    def save_state(self, path: Path) -> None:
        """Everything a resumed run needs; atomic. All processes must call it, the first writes."""
        config = self.config
        save_state(path, self.engine, self._parts, {
            'step': self.step, 'seed': config.seed, 'data': self.fingerprint,
            'mirror': config.mirror, 'stretch': config.stretch})

    def load_state(self, path: Path) -> None:
        """Take up a run; PoseError where it was another one."""
        config = self.config
        state = read_state(path, self.device, self.fingerprint, config.seed)
        check_pictures(path, state, config.mirror, config.stretch)
        take_up(path, state, self.engine, self._parts)
        self.step = state['step']


def begin_with(refiner: Refiner, model: CategoryModel) -> None:
    """Start from an encoder's way down: what edges and shading are is known there already.

    The drawing's colours come in with the opposite sign, so that differences stand out at once.
    Blocks that only one of them has are left out; where sizes differ, nothing is taken.
    """
    own = refiner.state_dict()
    known = {k: v for k, v in model.encoder.state_dict().items()
             if k.startswith('down') and k in own}
    if any(k != 'down0.conv.weight' and own[k].shape != v.shape for k, v in known.items()):
        return
    first = known.pop('down0.conv.weight')
    mixed = 0.5 * own['down0.conv.weight']
    mixed[:, :3], mixed[:, 4:7] = 2.0 * first, -0.5 * first
    refiner.load_state_dict({**own, **known, 'down0.conv.weight': mixed})


def go_on_from(refiner: Refiner, trained: Refiner) -> None:
    """Begin with the weights of a trained refiner, whatever it was trained on.

    PoseError where its sizes differ.
    """
    try:
        refiner.load_state_dict(trained.state_dict())
    except RuntimeError as error:
        raise PoseError('The refiner to begin with has other sizes than the one to be trained: '
                        'leave --init away.') from error
