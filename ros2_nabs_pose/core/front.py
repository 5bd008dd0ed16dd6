# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Where the front of an object ends: the middle of a handle's outer edge, the end of a lens."""

from __future__ import annotations

import torch
from torch import Tensor

from .checkpoint import CategoryModel
from .generator import pixel_line
from .rotations import rotation_from_axis_azimuth
from .types import FRAME_MARGIN

FAR = 0.01
"""Perspective (radii over distance) of the view from the side: nearly none."""
EDGE_SHARE = 0.03
"""The outer edge: what lies so near (share of the reach) to the outermost point."""


@torch.no_grad()
def front_point(model: CategoryModel, latent: Tensor) -> Tensor:
    """Outermost points (B, 3) along x of what codes (B, D) draw, object frame, radii.

    Read off the outline seen along the y axis, y is 0; the point's height is the mean of the
    outer edge's. Where nothing is drawn on the front's side, a point is the origin.
    """
    count, like = len(latent), latent
    # Seen so, x points to the right and z up.
    R = rotation_from_axis_azimuth(like.new_tensor([[0.0, -1.0, 0.0]]), like.new_zeros(1))
    assert R[0, 0, 0] > 0.99
    alpha = model.generator(latent, R.expand(count, -1, -1), like.new_full((count,), FAR)).alpha
    size = alpha.shape[-1]
    line = pixel_line(size, like) * FRAME_MARGIN
    edge = alpha[:, 0] > 0.5
    reach = torch.where(edge.any(1), line, 0.0).amax(1)
    outer = (edge & (line >= (1.0 - EDGE_SHARE) * reach[:, None])[:, None]).any(2)
    height = -(outer * line).sum(1) / outer.sum(1).clamp_min(1)
    height = torch.where(reach > 0.0, height, 0.0)
    return torch.stack((reach, torch.zeros_like(reach), height), 1)
