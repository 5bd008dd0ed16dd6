# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The loop that every training goes through: steps, a log, a look now and then, a safe end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import csv
import itertools
import math
from pathlib import Path
import signal
import time
from typing import Any, Protocol

import torch
from torch import nn, Tensor
from tqdm import tqdm

from .engine import Engine

LOG_EVERY = 50


class Schedule(Protocol):
    """What the learning rate is made of."""

    @property
    def learning_rate(self) -> float: ...
    @property
    def warmup(self) -> int: ...
    @property
    def steps(self) -> int: ...


class Stepping(Protocol):
    """A trainer as the loop sees it: steps taken so far, and one more."""

    step: int

    def train_step(self) -> dict[str, float]: ...


def learning_rate(step: int, config: Schedule) -> float:
    """Linear warm-up, then half a cosine down to 2 % of the peak."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.learning_rate * (0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done))))


def descend(terms: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, engine: Engine,
            rate: float, longest: float) -> dict[str, float]:
    """One step down the sum of weighted terms, at a rate; the sum as ``loss``, and the terms.

    Gradients are the mean of all processes', no longer than ``longest``. Where they are no numbers,
    no step is taken. All processes must call this.
    """
    parameters = [p for group in optimizer.param_groups for p in group['params']]
    for group in optimizer.param_groups:
        group['lr'] = rate
    loss = torch.stack(list(terms.values())).sum()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    engine.average_gradients(parameters)
    norm = torch.nn.utils.clip_grad_norm_(parameters, longest)
    if torch.isfinite(norm):
        optimizer.step()
    return {'loss': float(loss.detach()), **{k: float(v.detach()) for k, v in terms.items()}}


@torch.no_grad()
def follow(average: nn.Module, trained: nn.Module, ema: float, step: int) -> None:
    """Move averaged weights towards the trained ones; while steps are few, farther than ``ema``."""
    keep = min(ema, (1.0 + step) / (10.0 + step))
    for mean, now in zip(average.state_dict().values(), trained.state_dict().values(),
                         strict=True):
        if mean.is_floating_point():
            mean.lerp_(now, 1.0 - keep)
        else:
            mean.copy_(now)


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Add a row to a CSV file; the first one writes the header.

    A file of other columns, as other versions write them, is put aside: ``log.csv`` as
    ``log.1.csv``, or the next number that is free.
    """
    if path.exists():
        with path.open(newline='') as file:
            header = next(csv.reader(file), [])
        if header != list(row):
            names = (path.with_suffix(f'.{k}{path.suffix}') for k in itertools.count(1))
            path.rename(next(name for name in names if not name.exists()))
    new = not path.exists()
    with path.open('a', newline='') as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def train_until(trainer: Stepping, steps: int, run: Path, engine: Engine,
                look: Callable[[], None], every: int,
                told: Callable[[dict[str, float]], None] | None = None) -> None:
    """Take steps up to ``steps``, or until Ctrl-C (SIGINT, SIGTERM) asks for the end.

    look: called every ``every`` steps and at the end; it must save the state first of all, for
    who asked for the end may not wait for what follows (torchrun: 30 s). told: gets the mean terms
    of the last ``LOG_EVERY`` steps, which also go to ``run``/log.csv. All processes must call this;
    the first one writes.
    """
    first = engine.rank == 0
    stop = {'asked': False}

    def ask_to_stop(number: int, frame: object) -> None:
        stop['asked'] = True

    previous = [(s, signal.signal(s, ask_to_stop)) for s in (signal.SIGINT, signal.SIGTERM)]
    recent: list[dict[str, float]] = []
    looked_at = -1
    progress = tqdm(total=steps, initial=trainer.step, unit='step', dynamic_ncols=True,
                    disable=not first)
    try:
        while trainer.step < steps and not engine.any(stop['asked']):
            recent.append(trainer.train_step())
            progress.update()
            if trainer.step % LOG_EVERY == 0:
                means = {k: sum(r[k] for r in recent) / len(recent) for k in recent[0]}
                recent.clear()
                if first:
                    append_row(run / 'log.csv',
                               {'step': trainer.step, 'time': round(time.time()), **means})
                    progress.set_postfix(loss=f'{means["loss"]:.3f}')
                if told is not None:
                    told(means)
            if trainer.step % every == 0 and trainer.step < steps:
                look()
                looked_at = trainer.step
    finally:
        progress.close()
        for number, handler in previous:
            signal.signal(number, handler)
    if looked_at != trainer.step:
        look()
    if first and trainer.step < steps:
        print(f'Stopped at step {trainer.step}; the same command goes on from here.')
    engine.barrier()
