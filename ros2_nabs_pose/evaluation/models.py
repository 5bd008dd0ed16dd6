# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What encoders and generators reach by themselves on instances that training left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import ROUNDS
from ..core.checkpoint import load_model, save_model
from ..core.types import PoseError
from ..data.dataset import read_recipe
from ..resources import models_dir

#: Keys of the figures, and what they are called in tables.
COLUMNS = {
    'rotation_median_deg': 'best proposal, median deg', 'within_20_deg': 'within 20 deg',
    'best4_within_20_deg': 'best of 4 within 20 deg',
    'first_look_within_20_deg': 'first look within 20 deg',
    'standing_within_20_deg': 'standing, within 20 deg',
    'standing_best4_within_20_deg': 'standing, best of 4', 'axis_median_deg': 'axis, median deg',
    'cut_off_within_20_deg': 'cut off, within 20 deg',
    'cut_off_axis_median_deg': 'cut off, axis median deg',
    'painted_within_20_deg': 'other prints, within 20 deg',
    'painted_axis_median_deg': 'other prints, axis median deg',
    'stretched_within_20_deg': 'other proportions, within 20 deg',
    'stretched_axis_median_deg': 'other proportions, axis median deg',
    'mask_iou_median': 'mask IoU', 'alpha_iou_median': 'alpha IoU', 'psnr_db_median': 'PSNR dB',
    'psnr_lit_db_median': 'PSNR dB, light removed', 'depth_error_median': 'depth error',
    'together_alpha_iou_median': 'of four crops: alpha IoU',
    'together_depth_error_median': 'of four crops: depth error'}


#: Of the figures of strangers.
STRANGER_COLUMNS = {
    'rotation_median_deg': 'best proposal, median deg', 'within_10_deg': 'within 10 deg',
    'within_20_deg': 'within 20 deg', 'best4_within_20_deg': 'best of 4 within 20 deg',
    'axis_median_deg': 'axis, median deg', 'mask_iou_median': 'mask IoU'}


def rendered_models(folder: Path, data: Path,
                    categories: Sequence[str] | None = None) -> list[Path]:
    """Models in ``folder`` whose categories were rendered to ``data``; PoseError where none was."""
    paths = sorted(p for p in folder.glob('*.safetensors')
                   if (data / p.stem / 'dataset.json').is_file()
                   and (not categories or p.stem in categories))
    if not paths:
        raise PoseError(f'No category has both a model in {folder} and rendered instances in '
                        f'{data}: render them with "nabs-pose render CATEGORY --out '
                        f'{data}/CATEGORY".')
    return paths


def strangers_in(folder: Path, categories: Sequence[str]) -> list[str]:
    """Those of the categories that the folder has strangers of.

    PoseError where there are none, or something else.
    """
    there = [name for name in categories if (folder / name).is_dir()]
    if not there:
        raise PoseError(f'{folder} has no folder of {", ".join(categories)}: render some with '
                        f'"nabs-pose render CATEGORY --strangers --out {folder}/CATEGORY".')
    for name in there:
        recipe = read_recipe(folder / name)
        if not recipe.get('strangers') or recipe.get('what') != name:
            raise PoseError(f'{folder / name} holds no strangers of {name}: it was not rendered '
                            f'with "nabs-pose render {name} --strangers".')
    return there


def measure_models(data: Path, backgrounds: Path | None, models: Path | None = None,
                   categories: Sequence[str] | None = None, sheets: Path | None = None,
                   progress: Callable[[str], None] = print,
                   write_cards: bool = False, rounds: int = ROUNDS,
                   strangers: Path | None = None) -> dict[str, Any]:
    """JSON-ready figures of every category that has a model and a folder in ``data``.

    sheets: folder for a picture a category: crop, mask, true view, synthesis and its depth.
    write_cards: the figures, and what is usual for codes, become those of the models' own cards,
    which averaged weights lack.
    rounds: of validation, each with other crops. strangers: folder of what "nabs-pose render
    --strangers" made, one folder a category; of those that are there, ``strangers`` of a category's
    figures tells how kinds are read that training never saw. Raises PoseError where nothing can be
    measured.
    """
    from ..training.codes import usual_codes
    from ..training.instances import TrainingViews
    from ..training.validate import CROPS, read_strangers, sample_sheet, validate

    paths = rendered_models(models or models_dir(), data, categories)
    never_seen = [] if strangers is None else strangers_in(strangers, [p.stem for p in paths])
    found = {}
    for path in paths:
        progress(f'measuring {path.stem}')
        model = load_model(path)
        held_out = TrainingViews.load(data / path.stem, backgrounds, 'validation')
        held_out.require_size(model.generator.config.resolution)
        if write_cards:
            learned = TrainingViews.load(data / path.stem, backgrounds, 'train')
            model.card = replace(model.card, codes=usual_codes(model, learned))
        figures = validate(model, held_out, model.card.symmetry == 'free_z', rounds)
        found[path.stem] = {'instances': len(held_out.rgba), 'crops': rounds * CROPS,
                            'data_hash': held_out.fingerprint, **figures}
        if strangers is not None and path.stem in never_seen:
            others = TrainingViews.load(strangers / path.stem, backgrounds, 'validation')
            others.require_size(model.generator.config.resolution)
            found[path.stem]['strangers'] = {
                'instances': len(others.rgba), 'crops': rounds * CROPS,
                'data_hash': others.fingerprint,
                **read_strangers(model, others, model.card.symmetry == 'free_z', rounds)}
        if write_cards:
            model.card = replace(model.card, figures=figures)
            save_model(model, path)
        if sheets is not None:
            sample_sheet(model, held_out, sheets / f'{path.stem}.png')
    return {'categories': found}
