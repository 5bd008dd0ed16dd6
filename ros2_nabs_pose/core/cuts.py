# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What is cut out of an image for each box, turned so that the object stands upright.

Most objects stand, so the encoder reads standing ones best: on held-out renders it misses a lying
bottle or an upside-down camera several times as often. Where its first look at a crop tells that
the object leans, the crop is taken again with the object's axis up, and the fit goes on there.
All new crops are read again then, in several ways (``readings``). A tracked object is cut out as
its track says.

A fit that leaves doubt may begin in other cuts of the same box (``OTHER_CUTS``), where encoder and
refiner err a little differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np
import torch
from torch import Tensor

from .crop import check_box, make_view, MARGIN, take_crop, take_crop_nearest, take_depth_crop
from .tracks import Track
from .types import Box, CropView, Intrinsics, PoseError

MIN_CONTRAST = 0.004
"""Standard deviation of a crop's colours below which there is nothing to see in it."""
LEANS_RAD = 0.35
"""An axis within so much of upright is left as it is: the encoder reads it as well as any."""
STANDS_RAD = 0.25
"""What was turned upright stays so until it leans by less: tracks do not flicker."""
MIN_ACROSS = 0.2
"""Length of an axis' part across the view below which nobody can tell which way it leans."""
ZOOMS = (0.6, 1.6)
"""Limits of how much closer or farther a turned crop looks than its box tells; other cuts of it go
an eighth beyond."""
OTHER_CUTS = ((math.radians(9.0), 1.0), (-math.radians(9.0), 1.0), (0.0, 1.12), (0.0, 0.89))
"""Further turns (rad) and zooms to cut a box out with, in the order in which they are added."""


@dataclass(frozen=True)
class Frame:
    """One image and what was measured with it; see ``PosePipeline.estimate_frame``."""

    image: np.ndarray
    intrinsics: Intrinsics
    depth_m: np.ndarray | None = None
    masks: Sequence[np.ndarray | None] | None = None


@dataclass(frozen=True)
class Cut:
    """A box's crop: its view, picture, and what the user measured there.

    place: index of the box. rgb: (S, S, 3), valid: (S, S), mask, depth_m: (S, S) or None.
    turn_rad: by how much the picture is turned against one that is cut out straight. zoom: how
    much closer it looks than the box tells.
    """

    place: int
    box: Box
    view: CropView
    rgb: np.ndarray
    valid: np.ndarray
    mask: np.ndarray | None
    depth_m: np.ndarray | None
    track: Track | None
    turn_rad: float = 0.0
    zoom: float = 1.0


def cut_out(frame: Frame, place: int, box: Box, size_px: int, track: Track | None = None,
            turn_rad: float = 0.0, zoom: float = 1.0) -> Cut:
    """The crop of a box; PoseError in one sentence where it shows nothing."""
    view = make_view(frame.intrinsics, check_box(box, frame.intrinsics), size_px,
                     turn_rad=turn_rad, zoom=zoom)
    rgb, valid = take_crop(frame.image, frame.intrinsics, view)
    if not np.isfinite(rgb).all() or rgb.std() < MIN_CONTRAST:
        raise PoseError('The crop of the box shows nothing (it is flat): check the exposure and '
                        'the box.')
    mask = frame.masks[place] if frame.masks is not None else None
    if mask is not None:
        mask = take_crop_nearest((mask > 0).astype(np.float32), frame.intrinsics, view)
    depth = (None if frame.depth_m is None
             else take_depth_crop(frame.depth_m, frame.intrinsics, view))
    return Cut(place, box, view, rgb, valid, mask, depth, track, turn_rad, zoom)


def cut_upright(frame: Frame, cuts: Sequence[Cut], axis: Tensor, mask: Tensor) -> list[Cut]:
    """The cuts, but for what leans, which is cut out once more, turned upright, where it can be.

    axis, mask: (B, 3) and (B, 1, S, S) of the objects in the cuts, as a first look tells them.
    """
    upright = list(cuts)
    for i, turn in enumerate(turn_upright(axis).tolist()):
        if not turn:
            continue
        cut, zoom = cuts[i], limited(tight_zoom(mask[i, 0].cpu().numpy(), turn))
        try:
            upright[i] = cut_out(frame, cut.place, cut.box, cut.view.size_px, None, turn, zoom)
        except PoseError:
            continue  # the first look has to do
    return upright


def other_cuts(frame: Frame, cut: Cut, count: int) -> list[Cut]:
    """The box of ``cut``, an object without a track, cut out in ``count`` of ``OTHER_CUTS``.

    Those that show nothing are left out.
    """
    found = []
    for turn_rad, zoom in OTHER_CUTS[:count]:
        try:
            found.append(cut_out(frame, cut.place, cut.box, cut.view.size_px, None,
                                 cut.turn_rad + turn_rad, cut.zoom * zoom))
        except PoseError:
            continue
    return found


def turn_upright(axis: Tensor, from_rad: float = LEANS_RAD) -> Tensor:
    """Turns (...) rad of the picture that bring leaning axes (..., 3; crop camera) upright.

    0 where the axis leans by less than ``from_rad``, points so much along the view that its lean
    cannot be told, or is no number.
    """
    turn = -torch.atan2(axis[..., 0], -axis[..., 1])
    across = torch.hypot(axis[..., 0], axis[..., 1])
    return torch.where((turn.abs() >= from_rad) & (across >= MIN_ACROSS),
                       turn, torch.zeros_like(turn))


def tight_zoom(mask: np.ndarray, turn_rad: float = 0.0) -> float:
    """How much closer a crop should look so that a mask (S, S), once turned, fits it.

    A box stands along the image's sides; around an object that leans it is not the box that it
    would have upright. The crop stays centred on the box, so what counts is how far the mask
    reaches from there: half of an object may be hidden. 1 where the mask is empty.
    """
    rows, columns = np.nonzero(mask > 0.5)
    if len(rows) == 0:
        return 1.0
    half = 0.5 * mask.shape[-1]
    u, v = (columns + 0.5) / half - 1.0, (rows + 0.5) / half - 1.0
    cos, sin = math.cos(turn_rad), math.sin(turn_rad)
    reach = max(np.abs(cos * u - sin * v).max(), np.abs(sin * u + cos * v).max()) + 0.5 / half
    return float(1.0 / (MARGIN * reach))


def limited(zoom: float) -> float:
    """A zoom within ``ZOOMS``."""
    return min(max(zoom, ZOOMS[0]), ZOOMS[1])
