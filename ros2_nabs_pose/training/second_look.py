# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Crops without a picture around them, read as a fit reads them: turned upright, in several ways.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .compose import Crops
from ..core.checkpoint import CategoryModel
from ..core.cuts import limited, tight_zoom, turn_upright
from ..core.encoder import Encoding
from ..core.presets import staged
from ..core.readings import read, turned
from ..core.rotations import rotation_z
from ..core.starts import first_rotations


def upright(image: Tensor, axis: Tensor, mask: Tensor,
            other: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Crops (B, 3, S, S) with leaning objects turned upright, the turns and the zooms (B,).

    axis: (B, 3) of the objects, crop camera. mask: (B, 1, S, S) what shows them. other: (B, 2)
    further turns (rad) and zooms, as of ``core.cuts.OTHER_CUTS``. It is what the pipeline does at
    its second look (``core.cuts``), but here there is no picture around the crops to cut from:
    their own pixels are turned. Without ``other`` turns are 0 where nothing leans.
    """
    turn = turn_upright(axis)
    zoom = torch.ones_like(turn)
    leaning = torch.nonzero(turn)[:, 0]
    if len(leaning):
        masks = mask[leaning, 0].cpu().numpy()
        zoom[leaning] = torch.tensor([limited(tight_zoom(m, t)) for m, t in
                                      zip(masks, turn[leaning].tolist(), strict=True)]).to(zoom)
    if other is not None:
        turn, zoom = turn + other[:, 0], zoom * other[:, 1]
    moved = torch.nonzero((turn != 0.0) | (zoom != 1.0))[:, 0]
    if len(moved):
        image = image.index_copy(0, moved, turned(image[moved], turn[moved], zoom[moved]))
    return image, turn, zoom


@dataclass(frozen=True)
class SecondLook:
    """Crops as a fit reads them in the end: what leans turned upright, in several ways.

    image: (B, 3, S, S). turn, zoom: (B,) of the pictures, see ``upright``. focal: (B,) of what they
    show then, half widths. said: what was read of them, mask and points as they are turned.
    """

    image: Tensor
    turn: Tensor
    zoom: Tensor
    focal: Tensor
    said: Encoding


def second_look(model: CategoryModel, image: Tensor, focal: Tensor, axis: Tensor, mask: Tensor,
                readings: int, other: Tensor | None = None) -> SecondLook:
    """Crops (B, 3, S, S) of focal lengths (B,) read in so many ways, turned as ``upright`` says.

    axis, mask: (B, 3) and (B, 1, S, S) by a first look, or as a track knows them.
    """
    image, turn, zoom = upright(image, axis, mask, other)
    focal = zoom * focal
    return SecondLook(image, turn, zoom, focal, read(model, image, readings, focal))


def read_as_fitted(model: CategoryModel, crops: Crops, first: Encoding, count: int) -> tuple[
        Encoding, Tensor]:
    """What a fit begins with: the second look, and rotations (B, count, 3, 3), best first.

    first: the first look. The rotations are of the crops as they came.
    """
    look = second_look(model, crops.image, crops.focal, first.axis,
                       torch.sigmoid(first.mask_logits), staged('cold').readings)
    R = first_rotations(look.said, count, model.card.symmetry == 'free_z')[0]
    return look.said, rotation_z(-look.turn)[:, None] @ R
