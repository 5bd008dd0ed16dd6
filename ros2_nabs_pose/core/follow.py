# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What is remembered of an object once a frame has told its pose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from .checkpoint import ModelCard
from .cuts import Cut, limited, tight_zoom
from .memory import CodeMemory, seen_along
from .rotations import rotation_z
from .tracks import Track
from .types import PoseEstimate, SCALE_DEPTH


def followed(cut: Cut, estimate: PoseEstimate, R_crop: Tensor, read: np.ndarray,
             sureness: np.ndarray, kept: bool, stamp_s: float | None, card: ModelCard,
             remembered: np.ndarray | None = None) -> Track:
    """The object's track after ``estimate``, or its first.

    R_crop: (3, 3) float64, the rotation in the crop as it was cut. read: (D,) the code that this
    frame's crop alone tells. sureness: (D,) of it, one over its variance. kept: whether the
    track's own start won. card: of the object's category. remembered: (D,) the code that the
    track's starts had, None for a first sight.
    """
    # Tracks remember the object in a crop that is cut out straight.
    straight = rotation_z(torch.tensor(-cut.turn_rad, dtype=torch.float64))
    R = (straight @ R_crop).numpy()
    R_cam_obj = estimate.T_cam_obj[:3, :3]
    zoom = cut.track.zoom if cut.track is not None else 1.0
    if cut.turn_rad:
        zoom = limited(cut.zoom * tight_zoom(estimate.synthesis_rgba[..., 3]))
    along = seen_along(R, card.symmetry == 'free_z')
    begun = CodeMemory.begun(estimate.latent, sureness, along, card.codes)
    if cut.track is None:
        track = Track(estimate.track_id, cut.box, R, begun, stamp_s, R_cam_obj)
    else:
        memory = cut.track.memory
        # The victory of a challenger with a code of its own is a new beginning: what was
        # remembered of the object's looks may be another's. Some bring the track's code along,
        # since they are its own pose turned around (``starts.turned_around``): then its sides were
        # seen from elsewhere.
        if kept:
            memory = memory.joined(read, sureness, along)
        elif remembered is not None and np.array_equal(estimate.latent, remembered):
            memory = memory.joined(read, sureness, along).seen_from_one_side()
        else:
            memory = begun
        track = cut.track.followed_by(cut.box, R, R_cam_obj, memory, stamp_s)
    measured = estimate.scale_source == SCALE_DEPTH
    return replace(track, turned=bool(cut.turn_rad), zoom=zoom,
                   radius_m=estimate.radius_m if measured else track.radius_m)
