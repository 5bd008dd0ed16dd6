# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Composed crops fitted as ``PosePipeline`` fits the boxes of new objects, cut by cut."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..core.answers import Fitted
from ..core.checkpoint import CategoryModel
from ..core.cuts import OTHER_CUTS
from ..core.fit import fit
from ..core.losses import Observed
from ..core.presets import Preset
from ..core.readings import turned
from ..core.refiner import Refiner
from ..core.rotations import rotation_z
from ..core.sights import doubted, likelier
from ..core.starts import make_starts
from ..training.second_look import second_look


@dataclass(frozen=True)
class CropFit:
    """A crop's answer. valid: (S, S) where the cut that led to it lies within the picture.

    R: (3, 3) in the crop as it came. turn: (3, 3) from there to the cut, whose focal length is
    ``focal`` (1,).
    """

    fitted: Fitted
    valid: Tensor
    turn: Tensor
    focal: Tensor

    @property
    def R(self) -> Tensor:
        return self.turn.T @ self.fitted.R

    @property
    def worth(self) -> float:
        return self.fitted.worth

    @property
    def explains(self) -> bool:
        return self.fitted.explains(self.valid.cpu().numpy())


def fit_crops(model: CategoryModel, image: Tensor, focal: Tensor, preset: Preset,
              refiner: Refiner | None = None, valid: Tensor | None = None) -> list[CropFit]:
    """The answers to crops (B, 3, S, S) of focal lengths (B,), half widths.

    valid: (B, 1, S, S) 1 where the picture is; None: everywhere. What leans is turned upright after
    a first look, and crops whose answers leave doubt are cut otherwise as well: all as
    ``PosePipeline`` does it but for a sweep, and from the crops' own pixels, with what lies beyond
    their edges mirrored in.
    """
    valid = torch.ones_like(image[:, :1]) if valid is None else valid
    with torch.no_grad():
        first = model.encoder(image, focal)
        mask = torch.sigmoid(first.mask_logits)

    def answers(rows: Tensor, other: Tensor | None = None) -> list[CropFit]:
        with torch.no_grad():
            look = second_look(model, image[rows], focal[rows], first.axis[rows], mask[rows],
                               preset.readings, other)
            inside = turned(valid[rows], look.turn, look.zoom)
        seen = Observed.of(look.image, look.said, valid=inside)
        starts = make_starts(look.said, [None] * len(rows), preset.cold_starts,
                             preset.warm_starts, model.card.symmetry == 'free_z')
        result = fit(model, starts, seen, look.focal, preset.begun, refiner=refiner)
        turns = rotation_z(look.turn)
        return [CropFit(Fitted(look.said, seen, result, i), inside[i, 0], turns[i],
                        look.focal[i:i + 1])
                for i in range(len(rows))]

    best = answers(torch.arange(len(image)))
    doubtful = doubted(best, preset.cuts_below) if preset.cuts > 1 else []
    if doubtful:
        others = focal.new_tensor(OTHER_CUTS[:preset.cuts - 1])
        rows = torch.tensor(doubtful).repeat_interleave(len(others))
        for k, found in zip(rows.tolist(), answers(rows, others.repeat(len(doubtful), 1)),
                            strict=True):
            best[k] = likelier(best[k], found)
    return [replace(found, fitted=found.fitted.ended(model, found.focal, preset, refiner))
            for found in best]
