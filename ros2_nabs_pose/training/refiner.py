# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A run of the refiner's training, and what its weights reach (see ``refiner_trainer``)."""

from __future__ import annotations

from collections.abc import Mapping
import copy
from dataclasses import asdict
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from .compose import compose, FRONT_SEEN
from .engine import Engine, own_random_numbers
from .instances import TrainingViews
from .loop import train_until
from .refiner_task import rotation_errors, STARTS
from .refiner_trainer import RefinerTrainer, RefinerTraining
from .state import check_out, STATE, write_config
from ..core.checkpoint import CategoryModel, load_model
from ..core.fit import volumes
from ..core.losses import Observed
from ..core.refiner import load_refiner, refine, Refiner, save_refiner, worth_of
from ..core.starts import make_starts

VALIDATION_BATCHES = 4
VALIDATION_SEED = 23


@torch.no_grad()
def validate_refiner(refiner: Refiner, models: Mapping[str, CategoryModel],
                     data: Mapping[str, TrainingViews]) -> dict[str, dict[str, float]]:
    """Rotation errors by category, before (the encoder's best reading) and after, degrees.

    After: four readings moved once, the likeliest by the refiner's word. Held-out instances, the
    same crops every time; the global random state is kept.
    """
    refiner = copy.deepcopy(refiner).eval()
    found: dict[str, dict[str, float]] = {}
    for name, model in models.items():
        free = model.card.symmetry == 'free_z'
        before: list[Tensor] = []
        after: list[Tensor] = []
        with own_random_numbers(VALIDATION_SEED, data[name].rgba.device):
            for _ in range(VALIDATION_BATCHES):
                _, views = data[name].batch(8, 4)
                crops = compose(views, data[name].backgrounds)
                said = model.encoder(crops.image, crops.focal)
                starts = make_starts(said, [None] * len(crops.t), STARTS, 0, free)
                seen = Observed.of(crops.image, said).pick(starts.owner)
                focal = crops.focal[starts.owner]
                volume = volumes(model, starts.latent)
                now = refine(model, refiner, starts, seen, focal, volume, 1).now
                worth = worth_of(model, refiner, now, seen, focal, volume)
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


def train_refiner(config: RefinerTraining,
                  replace_out: bool = False) -> dict[str, dict[str, float]]:
    """Run (or resume) a training; returns the last validation.

    Ctrl-C saves the state and usable weights before it leaves. replace_out: weights at ``out`` that
    another run wrote may be written over; PoseError otherwise.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    run = Path(config.run)
    if not replace_out:
        check_out(run, Path(config.out))
    engine = Engine(config.device, config.precision)
    clutter = Path(config.backgrounds) if config.backgrounds else None
    models = {c: load_model(Path(config.models) / f'{c}.safetensors').to(engine.device)
              for c in config.categories}
    views, held_out = ({c: TrainingViews.load(Path(config.data) / c, clutter, split,
                                              engine.device) for c in config.categories}
                       for split in ('train', 'validation'))
    trainer = RefinerTrainer(config, models, views, engine)
    first = engine.rank == 0
    state = run / STATE
    if first and Path(config.out).is_file():
        lost = set(load_refiner(Path(config.out)).config.categories) - set(config.categories)
        if lost:
            print(f'{config.out} knows {", ".join(sorted(lost))}, too: what is trained now will '
                  'not, and takes its place. Name them as well, or choose another --out.')
    if state.exists():
        trainer.load_state(state)
        if first:
            print(f'Resuming {run} at step {trainer.step} of {config.steps}.')
    if first:
        write_config(run, asdict(config))
    figures: dict[str, dict[str, float]] = {}

    def look() -> None:
        nonlocal figures
        trainer.save_state(state)
        if first:
            figures = validate_refiner(trainer.average, models, held_out)
            record: dict[str, Any] = {**asdict(config), 'step': trainer.step, 'figures': figures,
                                      'data_hash': json.loads(trainer.fingerprint),
                                      'hypotheses': trainer.hypotheses_a_step,
                                      'licence': ' AND '.join(sorted({
                                          m.card.licence for m in models.values()})),
                                      'torch': str(torch.__version__)}
            save_refiner(trainer.average, Path(config.out), record)
            for name, row in figures.items():
                tqdm.write(f'step {trainer.step} {name}: ' + ', '.join(
                    f'{k} {v:.3g}' for k, v in row.items()))
        engine.barrier()

    train_until(trainer, config.steps, run, engine, look, config.validate_every)
    return figures
