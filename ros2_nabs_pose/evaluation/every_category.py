# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The presets on held-out crops of every category, in one run, beside the published protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .ablation import draw_cases, Runs, summarise, take_turns, Variant
from ..core.checkpoint import CategoryModel, load_model
from ..core.folding import made_ready
from ..core.losses import build_terms
from ..core.presets import PRESETS, staged
from ..core.refiner import Refiner
from ..core.types import PoseError
from ..training.instances import TrainingViews

ALL = 'all of them'
COMPARED = ('cold', 'warm', 'accurate')


def yardstick(model: CategoryModel) -> Variant:
    """The published protocol, or what stands in for it where its losses cannot be had."""
    try:
        build_terms(PRESETS['paper'].losses, model.encoder)
        name = 'paper'
    except PoseError:
        name = 'paper_offline'
    return Variant(name, 'paper', PRESETS[name])


def _runs(path: Path, data: Path, backgrounds: Path | None, crops: int, refiner: Refiner | None,
          progress: Callable[[str], None], paper: Variant | None, by_paper: int) -> Runs:
    """Errors and seconds by preset, on crops of one category; the paper's on the first so many."""
    model = made_ready(load_model(path))
    free, size = model.card.symmetry == 'free_z', model.encoder.config.resolution
    try:
        views = TrainingViews.load(data / path.stem, backgrounds, 'validation')
        views.require_size(size)
        cases = draw_cases(views, crops, free, size)
    except PoseError as error:
        raise PoseError(f'{data / path.stem}: {error}') from error
    # Each preset for what it is for: tracked objects begin near the truth.
    variants = [Variant(name, 'preset', staged(name), warm=name == 'warm') for name in COMPARED]
    runs = take_turns(model, cases, variants, refiner, path.stem, progress)
    if paper:
        runs |= take_turns(model, cases[:by_paper], [paper], None, f'{path.stem}, {paper.name}',
                           progress)
    return runs


def _rows(by_category: Mapping[str, Runs], names: Sequence[str]) -> list[dict[str, Any]]:
    """Category, preset and ``summarise``'s figures; last those of all categories, as ``ALL``."""
    together = {name: [run for runs in by_category.values() for run in runs[name]]
                for name in names}
    return [{'category': category, 'preset': name, **summarise(*zip(*runs[name], strict=True))}
            for category, runs in {**by_category, ALL: together}.items() for name in names]


def presets_by_category(models: Sequence[Path], data: Path, backgrounds: Path | None, crops: int,
                        refiner: Refiner | None = None,
                        progress: Callable[[str], None] = print,
                        by_paper: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Category, preset and ``ablation.summarise``'s figures, row by row, last those of ``ALL``.

    'presets': on all crops. 'beside_paper': on those that the published protocol had, with it.
    models: files, each with its category rendered in ``data``. crops: of each category, the same
    for all presets, as ``draw_cases`` draws them. by_paper: on the first so many of them the
    published protocol is measured, too (``yardstick``; half a minute each). PoseError, which names
    the folder, where one cannot be used.
    """
    # Asked once: where there are no weights, every question tries to fetch them.
    paper = yardstick(load_model(models[0])) if by_paper else None
    by_category = {path.stem: _runs(path, data, backgrounds, crops, refiner, progress, paper,
                                    by_paper) for path in models}
    beside = {category: {name: found[:by_paper] for name, found in runs.items()}
              for category, runs in by_category.items()}
    return {'presets': _rows(by_category, COMPARED),
            'beside_paper': _rows(beside, (*COMPARED, paper.name)) if paper else []}
