# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The presets on held-out crops of every category, in one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .ablation import draw_cases, Runs, summarise, take_turns, Variant
from ..core.checkpoint import load_model
from ..core.presets import staged
from ..core.refiner import Refiner
from ..core.types import PoseError
from ..training.instances import TrainingViews

ALL = 'all of them'
COMPARED = ('cold', 'warm', 'accurate')


def _runs(path: Path, data: Path, backgrounds: Path | None, crops: int, refiner: Refiner | None,
          progress: Callable[[str], None]) -> Runs:
    """Errors and seconds by preset, on crops of one category."""
    model = load_model(path)
    free, size = model.card.symmetry == 'free_z', model.encoder.config.resolution
    try:
        views = TrainingViews.load(data / path.stem, backgrounds, 'validation')
        views.require_size(size)
        cases = draw_cases(views, crops, free, size)
    except PoseError as error:
        raise PoseError(f'{data / path.stem}: {error}') from error
    # Each preset for what it is for: tracked objects begin near the truth.
    variants = [Variant(name, 'preset', staged(name), warm=name == 'warm') for name in COMPARED]
    return take_turns(model, cases, variants, refiner, path.stem, progress)


def presets_by_category(models: Sequence[Path], data: Path, backgrounds: Path | None, crops: int,
                        refiner: Refiner | None = None,
                        progress: Callable[[str], None] = print) -> list[dict[str, Any]]:
    """Rows of category, preset and ``summarise``'s figures; last those of all crops, as ``ALL``.

    models: files, each with its category rendered in ``data``. crops: of each category, the same
    for all presets, as ``draw_cases`` draws them. PoseError, which names the folder, where one
    cannot be used.
    """
    by_category = {path.stem: _runs(path, data, backgrounds, crops, refiner, progress)
                   for path in models}
    together = {name: [run for runs in by_category.values() for run in runs[name]]
                for name in COMPARED}
    return [{'category': category, 'preset': name, **summarise(*zip(*runs[name], strict=True))}
            for category, runs in {**by_category, ALL: together}.items() for name in COMPARED]
