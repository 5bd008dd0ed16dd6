# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What generator and clean encoder make of instances that training does not see, crops left aside.

About what a perfect reading of a crop would have drawn: codes are read off the clean views.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from .codes import agreed
from .compose import Views
from .engine import own_random_numbers
from .instances import TrainingViews
from .sheets import depth_shade, on_white, write_sheet
from .teacher import clean_input, CleanEncoder
from .validate import BATCHES, draw, drawing_errors, INSTANCES, median, SEED, VIEWS
from ..core.checkpoint import CategoryModel


@torch.no_grad()
def _drawn(model: CategoryModel, teacher: CleanEncoder, data: TrainingViews,
           batches: int) -> list[tuple[Views, dict[str, Tensor]]]:
    """Views (B), and what is drawn of them (B, 5, S, S), by the code that it is drawn from.

    clean: what an instance's views agree on; clean_own: each view's own. A round body's code is of
    the side that is seen: each view has its own alone, which is clean then. The same views every
    time: the global random state is kept as it was.
    """
    model.eval()
    free = model.card.symmetry == 'free_z'
    found = []
    with own_random_numbers(SEED, data.rgba.device):
        for _ in range(batches):
            _, views = data.batch(INSTANCES, VIEWS)
            own, logvar = teacher(clean_input(views, free))
            codes = {'clean': own}
            if not free:
                together = agreed(*(x.view(INSTANCES, VIEWS, -1)
                                    for x in (own, torch.exp(-logvar))))
                codes = {'clean': together.repeat_interleave(VIEWS, 0), 'clean_own': own}
            found.append((views, {k: draw(model, code, views) for k, code in codes.items()}))
    return found


def validate_drawing(model: CategoryModel, teacher: CleanEncoder,
                     data: TrainingViews) -> dict[str, float]:
    """Medians over held-out views of ``validate.drawing_errors``, as CODE_FIGURE_median."""
    errors: dict[str, list[Tensor]] = {}
    for views, drawings in _drawn(model, teacher, data, BATCHES):
        for code, drawn in drawings.items():
            for name, values in drawing_errors(drawn, views).items():
                errors.setdefault(f'{code}_{name}_median', []).append(values)
    return {name: median(values) for name, values in errors.items()}


def drawing_sheet(model: CategoryModel, teacher: CleanEncoder, data: TrainingViews,
                  path: Path) -> None:
    """Rows of a held-out view, and what is drawn of it from the codes, with depth."""
    (views, drawings), = _drawn(model, teacher, data, 1)
    write_sheet((*(on_white(x) for x in (views.stacked, *drawings.values())),
                 depth_shade(drawings['clean'])), path)
