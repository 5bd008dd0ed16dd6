# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What is remembered of an object once a frame has told its pose."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .checkpoint import ModelCard
from .cuts import Cut, limited, STANDS_RAD, tight_zoom
from .memory import CodeMemory, seen_along
from .rotations import rotation_z
from .tracks import Track
from .types import PoseEstimate, SCALE_DEPTH


@dataclass(frozen=True)
class Told:
    """What there is to know of an object's code (D,) at a frame.

    read: what this frame's crop alone tells. sureness: of it, one over its variance. own: what the
    starts had that the crop itself proposed: ``read``, moved where the object's size is known.
    remembered: what the track's starts had, None for a first sight.
    """

    read: np.ndarray
    sureness: np.ndarray
    own: np.ndarray
    remembered: np.ndarray | None = None


def followed(cut: Cut, estimate: PoseEstimate, R_crop: Tensor, told: Told, kept: bool,
             stamp_s: float | None, card: ModelCard) -> Track:
    """The object's track after ``estimate``, or its first.

    R_crop: (3, 3) float64, the rotation in the crop as it was cut. kept: whether the track's own
    start won. card: of the object's category.
    """
    # Tracks remember the object in a crop that is cut out straight.
    straight = rotation_z(torch.tensor(-cut.turn_rad, dtype=torch.float64))
    R = (straight @ R_crop).numpy()
    R_cam_obj = estimate.T_cam_obj[:3, :3]
    zoom = cut.track.zoom if cut.track is not None else 1.0
    # Other cuts of what stands are turned as well, but by less.
    turned = abs(cut.turn_rad) >= STANDS_RAD
    if turned:
        zoom = limited(cut.zoom * tight_zoom(estimate.synthesis_rgba[..., 3]))
    along = seen_along(R, card.symmetry == 'free_z')
    # Memory is of what pictures tell; a known size is put to it whenever it is asked.
    code = told.read if np.array_equal(estimate.latent, told.own) else estimate.latent
    begun = CodeMemory.begun(code, told.sureness, along, card.codes)
    if cut.track is None:
        track = Track(estimate.track_id, cut.box, R, begun, stamp_s, R_cam_obj)
    else:
        memory = cut.track.memory
        # The victory of a challenger with a code of its own is a new beginning: what was
        # remembered of the object's looks may be another's. Some bring the track's code along,
        # since they are its own pose turned around (``starts.turned_around``): then its sides were
        # seen from elsewhere.
        if kept:
            memory = memory.joined(told.read, told.sureness, along)
        elif told.remembered is not None and np.array_equal(estimate.latent, told.remembered):
            memory = memory.joined(told.read, told.sureness, along).seen_from_one_side()
        else:
            memory = begun
        track = cut.track.followed_by(cut.box, R, R_cam_obj, memory, stamp_s)
    measured = estimate.scale_source == SCALE_DEPTH
    return replace(track, turned=turned, zoom=zoom,
                   radius_m=estimate.radius_m if measured else track.radius_m)
