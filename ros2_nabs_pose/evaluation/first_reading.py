# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What the encoder alone says of an evaluation set's objects: proposals, masks, and drawings.

Nothing is fitted: proposals are those that a fit would start from, and the drawing is of the code
and the pose as they were read. Every frame is a first sight, also in sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from . import metrics
from .accuracy import FREE_Z
from .pictures import write_image
from .sets import EvaluationSet, load_frame, LoadedFrame, TrueObject
from .. import visualization
from ..core import PosePipeline
from ..core.answers import straight
from ..core.crop import take_crop_nearest
from ..core.cuts import cut_upright, Frame
from ..core.lift import lift
from ..core.pose_steps import synthesise
from ..core.presets import Preset
from ..core.starts import first_rotations
from ..core.types import Box, CropView

PROPOSALS = 4
SHEET_TILES = 24


@dataclass(frozen=True)
class Read:
    """What was read of one box: R_cam_obj (4, 3, 3) of the proposals, the likeliest first; crop.

    crop: (S, S, 3), mask: (S, S) in [0, 1], drawing: (S, S, 4), straight alpha; float32.
    """

    view: CropView
    R_cam_obj: np.ndarray
    crop: np.ndarray
    mask: np.ndarray
    drawing: np.ndarray


@dataclass(frozen=True)
class Judged:
    """One object's errors; None where its truth is not known.

    errors_deg: of the four proposals, symmetry-aware. mask_iou: of the mask that was read.
    drawing_iou: of the drawing's outline. Both against the set's mask.
    """

    category: str
    counts: bool
    errors_deg: tuple[float, ...] | None
    mask_iou: float | None
    drawing_iou: float | None


class ReadingPipeline(PosePipeline):
    """A pipeline that tells what it reads before anything is fitted."""

    @torch.no_grad()
    def read_boxes(self, loaded: LoadedFrame, boxes: Sequence[Box]) -> dict[int, Read]:
        """What was read of each box, by its place; boxes that cannot be cut out are left out."""
        self.reset()
        assert isinstance(self.preset, Preset)
        frame = Frame(loaded.image, loaded.intrinsics)
        cuts, _ = self._cut(frame, boxes, None)
        found: dict[int, Read] = {}
        for category, model in self.models.items():
            mine = [c for c in cuts if c.box.category == category]
            if not mine:
                continue
            first, seen = self._read(model, mine)
            mine = cut_upright(frame, mine, first.axis, seen.mask)
            said, seen = self._read(model, mine, self.preset.readings)
            free = model.card.symmetry == FREE_Z
            proposals, _ = first_rotations(said, PROPOSALS, free)
            drawn = synthesise(model, *model.generator.volume(said.mean), proposals[:, 0], said.t,
                               said.log_scale, self._focal(mine), seen.rgb.shape[-1])
            rotations = proposals.double().cpu().numpy()
            places = said.t.double().cpu().numpy()
            for i, cut in enumerate(mine):
                scale = float(torch.exp(said.log_scale[i]))
                made = torch.cat((drawn.rgb[i], drawn.alpha[i])).permute(1, 2, 0)
                found[cut.place] = Read(
                    cut.view, np.stack([lift(cut.view, R, places[i], scale, 1.0)[:3, :3]
                                        for R in rotations[i]]),
                    cut.rgb, seen.mask[i, 0].cpu().numpy(),
                    straight(made.cpu().numpy()))
        return found


def judge(true: TrueObject, read: Read, loaded: LoadedFrame, mask: np.ndarray | None,
          free_z: bool) -> Judged:
    """One object's errors."""
    hidden = true.yaw_visible is False
    errors: tuple[float, ...] | None = None
    read_iou: float | None = None
    drawn_iou: float | None = None
    if true.T_cam_obj is not None:
        T = np.eye(4)
        angles = []
        for R in read.R_cam_obj:
            T[:3, :3] = R
            angles.append(metrics.rotation_error_deg(T, true.T_cam_obj, free_z or hidden))
        errors = tuple(angles)
    if mask is not None:
        seen = take_crop_nearest(mask, loaded.intrinsics, read.view) > 0
        read_iou = metrics.mask_iou(read.mask > 0.5, seen)
        drawn_iou = metrics.mask_iou(read.drawing[..., 3] > 0.5, seen)
    return Judged(true.category, free_z or not hidden, errors, read_iou, drawn_iou)


def summarise(judged: Sequence[Judged]) -> dict[str, Any]:
    """Figures over objects whose front can be seen; masks over all that have one."""
    told = [j.errors_deg for j in judged if j.counts and j.errors_deg is not None]
    first, best = [e[0] for e in told], [min(e) for e in told]

    def share(errors: list[float], most: float) -> float | None:
        return float(np.mean(np.array(errors) <= most)) if errors else None

    def median(values: list[float]) -> float | None:
        return float(np.median(values)) if values else None

    return {
        'n': len(judged), 'n_front_visible': len(told), 'rotation_median_deg': median(first),
        'within_10_deg': share(first, 10.0), 'within_20_deg': share(first, 20.0),
        'best_of_4_within_20_deg': share(best, 20.0),
        'mask_iou_median': median([j.mask_iou for j in judged if j.mask_iou is not None]),
        'drawing_iou_median': median(
            [j.drawing_iou for j in judged if j.drawing_iou is not None])}


def measure_set(pipeline: ReadingPipeline, evaluation_set: EvaluationSet, sheet: Path | None = None,
                progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Figures of a set, overall and by category; sheet: crops, masks and drawings go there."""
    judged: list[Judged] = []
    shown: list[tuple[str, np.ndarray]] = []
    for done, true_frame in enumerate(evaluation_set.frames, 1):
        loaded = load_frame(true_frame)
        known = [i for i, o in enumerate(true_frame.objects) if o.category in pipeline.models]
        read = pipeline.read_boxes(loaded, [true_frame.objects[i].box for i in known])
        for place, found in read.items():
            true = true_frame.objects[known[place]]
            one = judge(true, found, loaded, loaded.masks[known[place]],
                        pipeline.models[true.category].card.symmetry == FREE_Z)
            judged.append(one)
            error = '' if one.errors_deg is None else f' {one.errors_deg[0]:.0f} deg'
            shown.append((f'{true.category}{error}', _tile(found)))
        if progress is not None:
            progress(done, len(evaluation_set.frames))
    if sheet is not None and shown:
        some = [shown[int(i)] for i in np.linspace(0, len(shown) - 1,
                                                   min(SHEET_TILES, len(shown)))]
        write_image(sheet, visualization.contact_sheet(
            [tile for _, tile in some], 4, (384, 128), [caption for caption, _ in some]))
    names = sorted({j.category for j in judged})
    return {'overall': summarise(judged), 'categories': {
        name: summarise([j for j in judged if j.category == name]) for name in names}}


def _tile(read: Read) -> np.ndarray:
    """Crop, mask that was read, and drawing on grey, side by side; uint8 RGB."""
    alpha = read.drawing[..., 3:]
    parts = (read.crop, np.repeat(read.mask[..., None], 3, 2),
             read.drawing[..., :3] * alpha + 0.4 * (1.0 - alpha))
    tile = (255.0 * np.concatenate(parts, 1)).round().astype(np.uint8)
    return cv2.resize(tile, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
