# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The presets on held-out crops of every category, in one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .ablation import draw_cases, run_case, summarise, Variant
from ..core.checkpoint import CategoryModel
from ..core.presets import staged
from ..core.refiner import Refiner
from ..training.instances import TrainingViews

ALL = 'all'


def preset_variants() -> tuple[Variant, ...]:
    """Each preset for what it is for: tracked objects begin near the truth."""
    return tuple(Variant(name, 'preset', staged(name), warm=name == 'warm')
                 for name in ('cold', 'warm', 'accurate'))


def presets_by_category(models: Mapping[str, CategoryModel], data: Mapping[str, TrainingViews],
                        crops: int, refiner: Refiner | None = None,
                        progress: Callable[[str], None] = print) -> list[dict[str, Any]]:
    """Rows of category, preset and ``summarise``'s figures; last those of all crops, as ``ALL``.

    crops: of each category, the same for all presets, as ``draw_cases`` draws them.
    """
    variants = preset_variants()
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for category, model in models.items():
        free = model.card.symmetry == 'free_z'
        cases = draw_cases(data[category], crops, free, model.encoder.config.resolution)
        for variant in variants:
            run_case(model, cases[0], variant, refiner)  # the first call allocates
        for number, case in enumerate(cases):
            for variant in variants:
                run = run_case(model, case, variant, refiner)
                for name in (category, ALL):
                    found.setdefault((name, variant.name), []).append(run)
            progress(f'{category}: crop {number + 1} of {len(cases)}')
    return [{'category': name, 'preset': variant.name,
             **summarise(*zip(*found[name, variant.name], strict=True))}
            for name in (*models, ALL) for variant in variants if (name, variant.name) in found]
