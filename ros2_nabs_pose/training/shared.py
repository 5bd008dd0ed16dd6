# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What the trainings of networks that all categories share have in common.

Encoders and generators stay as they are; every step takes crops of all categories. A run is a
folder with ``state.pt`` (everything a resume needs) and ``log.csv``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
import copy
from dataclasses import asdict, dataclass
import json
from pathlib import Path
import signal
from typing import Any, Generic, TypeVar

import torch
from torch import nn, Tensor
from tqdm import tqdm

from .engine import Engine
from .instances import TrainingViews
from .train import append_row, learning_rate
from ..core.checkpoint import CategoryModel, load_model
from ..core.files import written_whole
from ..core.types import PoseError

Figures = dict[str, dict[str, float]]
"""Of each category."""
Network = TypeVar('Network', bound=nn.Module)


@dataclass(frozen=True)
class SharedTraining:
    """One run; data and models are folders with something for each category."""

    categories: tuple[str, ...]
    data: str
    models: str
    backgrounds: str | None
    run: str
    out: str
    steps: int = 6000
    crops: int = 4
    learning_rate: float = 1e-3
    warmup: int = 100
    ema: float = 0.999
    mirror: bool = True
    seed: int = 1
    device: str = 'cpu'
    threads: int = 0
    precision: str = '32-true'
    validate_every: int = 500
    command: str = ''


class SharedTrainer(ABC, Generic[Network]):
    """The network (trained and averaged), its optimiser, and models and data that stay."""

    def __init__(self, config: SharedTraining, models: Mapping[str, CategoryModel],
                 data: Mapping[str, TrainingViews], engine: Engine | None = None) -> None:
        torch.manual_seed(config.seed)
        self.engine = engine or Engine(config.device, config.precision)
        self.config, self.data = config, dict(data)
        self.device = torch.device(self.engine.device)
        self.models = {name: model.to(self.device) for name, model in models.items()}
        self.network = self.build().to(self.device)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=config.learning_rate,
                                           betas=(0.9, 0.99), weight_decay=1e-2)
        self.step = 0
        if self.engine.rank:  # the same network everywhere, other pictures
            torch.manual_seed(config.seed + 7919 * self.engine.rank)

    @abstractmethod
    def build(self) -> Network:
        """The network as it begins."""

    @abstractmethod
    def terms(self) -> dict[str, Tensor]:
        """Weighted terms of the loss on new crops of all categories."""

    @property
    def fingerprint(self) -> str:
        """What the run was trained on: the data's fingerprints by category."""
        return json.dumps({name: d.fingerprint for name, d in sorted(self.data.items())})

    def train_step(self) -> dict[str, float]:
        """One optimiser step over all categories; returns the terms."""
        rate = learning_rate(self.step, self.config)
        for group in self.optimizer.param_groups:
            group['lr'] = rate
        self.network.train()
        terms = self.terms()
        loss = torch.stack(list(terms.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        parameters = list(self.network.parameters())
        self.engine.average_gradients(parameters)
        norm = torch.nn.utils.clip_grad_norm_(parameters, 2.0)
        if torch.isfinite(norm):
            self.optimizer.step()
        keep = min(self.config.ema, (1.0 + self.step) / (10.0 + self.step))
        with torch.no_grad():
            for mean, now in zip(self.average.state_dict().values(),
                                 self.network.state_dict().values(), strict=True):
                if mean.is_floating_point():
                    mean.lerp_(now, 1.0 - keep)
                else:
                    mean.copy_(now)
        self.step += 1
        return {'loss': float(loss.detach()), **{k: float(v.detach()) for k, v in terms.items()}}

    def save_state(self, path: Path) -> None:
        """Everything a resumed run needs; atomic. All processes must call it, the first writes."""
        random = self.engine.gather(torch.get_rng_state())
        cuda = self.device.type == 'cuda'
        there = self.engine.gather(torch.cuda.get_rng_state(self.device)) if cuda else None
        if self.engine.rank:
            return
        with written_whole(path) as partial:
            torch.save({
                'step': self.step, 'seed': self.config.seed, 'data': self.fingerprint,
                'network': self.network.state_dict(), 'average': self.average.state_dict(),
                'optimizer': self.optimizer.state_dict(), 'random': random,
                'random_device': there}, partial)

    def load_state(self, path: Path) -> None:
        """Take up a run.

        PoseError where it had other data, another seed or other processes, or is no such run.
        """
        state = torch.load(path, map_location=self.device, weights_only=True)
        if 'network' not in state:
            raise PoseError(f'{path.parent} holds another kind of run: choose another --run.')
        if (state['data'], state['seed']) != (self.fingerprint, self.config.seed):
            raise PoseError(f'{path.parent} holds a run with other data or another seed: choose '
                            'another --run, or remove that folder.')
        if len(state['random']) != self.engine.world:
            raise PoseError(f"{path.parent} holds a run on {len(state['random'])} processes: take "
                            'it up on as many, or choose another --run.')
        try:
            self.network.load_state_dict(state['network'])
        except RuntimeError as error:
            raise PoseError(f'{path.parent} holds a run of another network: choose another '
                            '--run.') from error
        self.average.load_state_dict(state['average'])
        self.optimizer.load_state_dict(state['optimizer'])
        self.step = state['step']
        # Cloned: torch reads a state from where its storage begins, whatever the slice.
        torch.set_rng_state(state['random'][self.engine.rank].cpu().clone())
        if state['random_device'] is not None and self.device.type == 'cuda':
            torch.cuda.set_rng_state(state['random_device'][self.engine.rank].cpu().clone(),
                                     self.device)

    def record(self, figures: Figures) -> dict[str, Any]:
        """What the weights' file says of how they came to be."""
        return {**asdict(self.config), 'step': self.step, 'figures': figures,
                'data_hash': json.loads(self.fingerprint),
                'licence': ' AND '.join(sorted({m.card.licence for m in self.models.values()})),
                'torch': str(torch.__version__)}


def load_parts(config: SharedTraining, engine: Engine) -> tuple[
        dict[str, CategoryModel], dict[str, TrainingViews], dict[str, TrainingViews]]:
    """Models, training and validation views of the run's categories."""
    clutter = Path(config.backgrounds) if config.backgrounds else None
    models = {c: load_model(Path(config.models) / f'{c}.safetensors').to(engine.device)
              for c in config.categories}
    views, held_out = ({c: TrainingViews.load(Path(config.data) / c, clutter, split,
                                              engine.device) for c in config.categories}
                       for split in ('train', 'validation'))
    return models, views, held_out


def warn_of_lost(out: Path, known: tuple[str, ...], now: tuple[str, ...]) -> None:
    """Say which categories of the weights at ``out`` the new ones will not know."""
    lost = set(known) - set(now)
    if lost:
        print(f'{out} knows {", ".join(sorted(lost))}, too: what is trained now will '
              'not, and takes its place. Name them as well, or choose another --out.')


def run_training(trainer: SharedTrainer[Any], validate: Callable[[], Figures],
                 save: Callable[[dict[str, Any]], None]) -> Figures:
    """Run (or resume) a training; returns the last validation.

    validate: figures of the averaged network. save: writes it with the record that it is given.
    Ctrl-C saves the state and usable weights before it leaves.
    """
    config, engine = trainer.config, trainer.engine
    run, first = Path(config.run), engine.rank == 0
    state = run / 'state.pt'
    if state.exists():
        trainer.load_state(state)
        if first:
            print(f'Resuming {run} at step {trainer.step} of {config.steps}.')
    run.mkdir(parents=True, exist_ok=True)
    stop = {'asked': False}

    def ask_to_stop(number: int, frame: object) -> None:
        stop['asked'] = True

    previous = [(s, signal.signal(s, ask_to_stop)) for s in (signal.SIGINT, signal.SIGTERM)]
    figures: Figures = {}

    def look() -> None:
        nonlocal figures
        # First of all: who asked for the end may not wait for a validation (torchrun: 30 s).
        trainer.save_state(state)
        if first:
            figures = validate()
            save(trainer.record(figures))
        engine.barrier()

    recent: list[dict[str, float]] = []
    progress = tqdm(total=config.steps, initial=trainer.step, unit='step', dynamic_ncols=True,
                    disable=not first)
    try:
        while trainer.step < config.steps and not engine.any(stop['asked']):
            recent.append(trainer.train_step())
            progress.update()
            if trainer.step % 50 == 0:
                means = {k: sum(r[k] for r in recent) / len(recent) for k in recent[0]}
                recent.clear()
                if first:
                    append_row(run / 'log.csv', {'step': trainer.step, **means})
                    progress.set_postfix(loss=f'{means["loss"]:.3f}')
            if trainer.step % config.validate_every == 0 and trainer.step < config.steps:
                look()
                for name, row in figures.items():
                    tqdm.write(f'step {trainer.step} {name}: ' + ', '.join(
                        f'{k} {v:.3g}' for k, v in row.items()))
    finally:
        progress.close()
        for number, handler in previous:
            signal.signal(number, handler)
    look()
    if first and trainer.step < config.steps:
        print(f'Stopped at step {trainer.step}; the same command goes on from here.')
    return figures
