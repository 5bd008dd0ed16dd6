# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What generator and clean encoder make of instances that training does not see, crops left aside.

The bound of what any reading of a crop can have drawn: codes are read off the clean views.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from .compose import Views
from .engine import random_devices
from .instances import TrainingViews
from .teacher import clean_input, CleanEncoder
from .validate import draw, drawing_errors, INSTANCES, SEED, tile, VIEWS
from ..core.checkpoint import CategoryModel

BATCHES = 12
SHOWN = 24
"""Views on a sheet."""


@torch.no_grad()
def _drawn(model: CategoryModel, teacher: CleanEncoder, data: TrainingViews,
           batches: int) -> list[tuple[Views, Tensor, Tensor]]:
    """Views (B), what is drawn of each from its own code, and from its instance's mean code.

    Of a round body each view has its own side and code: both drawings are the same then. The same
    views every time: the global random state is kept as it was.
    """
    model.eval()
    teacher.eval()
    found = []
    with torch.random.fork_rng(devices=random_devices(data.rgba.device)):
        torch.manual_seed(SEED)
        for _ in range(batches):
            _, views = data.batch(INSTANCES, VIEWS)
            free = model.card.symmetry == 'free_z'
            mean = own = teacher(clean_input(views, free))[0]
            if not free:
                mean = own.view(INSTANCES, VIEWS, -1).mean(1).repeat_interleave(VIEWS, 0)
            found.append((views, draw(model, own, views), draw(model, mean, views)))
    teacher.train()
    return found


def validate_drawing(model: CategoryModel, teacher: CleanEncoder,
                     data: TrainingViews) -> dict[str, float]:
    """Medians over held-out views of ``validate.drawing_errors``.

    From the mean code of an instance's views; own_*: from the view's own.
    """
    drawn = _drawn(model, teacher, data, BATCHES)
    own = [drawing_errors(a, views) for views, a, _ in drawn]
    mean = [drawing_errors(b, views) for views, _, b in drawn]
    return {f'{kind}{name}_median': float(torch.cat([e[name] for e in errors]).median())
            for kind, errors in (('', mean), ('own_', own)) for name in errors[0]}


def drawing_sheet(model: CategoryModel, teacher: CleanEncoder, data: TrainingViews,
                  path: Path) -> None:
    """Rows of a held-out view, and what is drawn of it from its own code and from the mean one."""
    (views, own, mean), = _drawn(model, teacher, data, 1)
    strips = [np.hstack([tile(x[b, :3] + 1.0 - x[b, 3:4]) for x in (views.stacked, own, mean)])
              for b in range(SHOWN)]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.hstack([np.vstack(strips[i::3]) for i in range(3)]))
