# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A run of a category's training, from rendered instances to a model file (see ``trainer``).

A run is a folder: ``state.pt`` (everything a resume needs), ``log.csv``, ``validation.csv``,
``samples/*.png`` and ``tensorboard/`` where asked for. The model file is written beside it, unless
the shipped encoder does not learn.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from .code_length import with_codes_of
from .codes import usual_codes
from .curves import Curves
from .engine import Engine
from .instances import TrainingViews
from .loop import append_row, train_until
from .state import check_out, STATE, write_config
from .teacher import CleanEncoder
from .trainer import TrainConfig, Trainer
from .validate import sample_sheet, validate
from .validate_drawing import drawing_sheet, validate_drawing
from ..core.types import PoseError
from ..core.variants import get_variant


def train(config: TrainConfig, replace_out: bool = False) -> dict[str, Any]:
    """Run (or resume) a training; returns the validation figures of the last model.

    Ctrl-C saves the state and a usable model before it leaves. With ``only='teacher'`` and
    ``only='drawing'`` there is no model to write, since no encoder has learned to read the codes;
    the figures are those of what is drawn from clean views' codes. replace_out: weights at ``out``
    that another run wrote may be written over; PoseError otherwise.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    run = Path(config.run)
    if not replace_out and config.reads_crops:
        check_out(run, Path(config.out))
    folder = Path(config.data)
    clutter = Path(config.backgrounds) if config.backgrounds else None
    state = run / STATE
    sizes = get_variant(config.variant)
    if config.only in ('encoder', 'teacher'):
        sizes = with_codes_of(state if state.exists() else Path(config.init), sizes)
    engine = Engine(config.device, config.precision)
    data = TrainingViews.load(folder, clutter, 'train', engine.device)
    held_out = TrainingViews.load(folder, clutter, 'validation', engine.device)
    trainer = Trainer(config, data, data.card(config.category), *sizes, engine=engine)
    first = engine.rank == 0
    if state.exists():
        trainer.load_state(state)
        if first:
            print(f'Resuming {run} at step {trainer.step} of {config.steps}.')
    elif config.init:
        trainer.begin_from(Path(config.init))
    elif config.only in ('encoder', 'teacher'):
        raise PoseError(f'Training the {config.only} alone needs a trained generator beside it: '
                        'give --init the state.pt of a run, or a model.')
    if first:
        write_config(run, dataclasses.asdict(config))
    curves = Curves(run / 'tensorboard', trainer.step) if config.tensorboard and first else None

    figures: dict[str, Any] = {}

    def look() -> None:
        nonlocal figures
        trainer.save_state(state)
        if first:
            figures = _look_at(trainer, held_out, run, curves)
            if config.reads_crops:
                trainer.finish(figures)
        engine.barrier()

    def told(means: dict[str, float]) -> None:
        if curves:
            curves.scalars('training', trainer.step, means)

    try:
        train_until(trainer, config.steps, run, engine, look, config.validate_every, told)
    finally:
        if curves:
            curves.close()
    return figures


def _look_at(trainer: Trainer, held_out: TrainingViews, run: Path,
             curves: Curves | None) -> dict[str, Any]:
    """Validate the averaged model; figures and a sample sheet go into the run's folder."""
    sheet = run / f'samples/{trainer.step:06d}.png'
    if trainer.config.reads_crops:
        # Tracks need it, and so do the figures of several crops together.
        average = trainer.average
        average.card = dataclasses.replace(average.card, codes=usual_codes(average, trainer.data))
        figures = validate(average, held_out, trainer.free_about_z)
        sample_sheet(average, held_out, sheet)
    else:
        teacher = trainer.teacher
        assert isinstance(teacher, CleanEncoder)  # the former encoder teaches encoders alone
        figures = validate_drawing(trainer.average, teacher, held_out)
        drawing_sheet(trainer.average, teacher, held_out, sheet)
    append_row(run / 'validation.csv', {'step': trainer.step, **figures})
    tqdm.write(f'step {trainer.step}: ' + ', '.join(f'{k} {v:.3g}' for k, v in figures.items()))
    if curves:
        curves.scalars('validation', trainer.step, figures)
        curves.picture('samples', trainer.step, sheet)
    return figures
