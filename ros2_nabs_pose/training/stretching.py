# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Objects of other proportions than were rendered: longer, flatter, wider ones.

A picture of an object that is stretched along its own axes is a picture of the object itself, from
a little elsewhere, whose plane has been mapped: rays from C to points p become rays from S C to
S p. The rotation R from there has the rows A R'[:2] S^-1, R' being the one that was rendered and A
the 2 x 2 matrix that makes them orthonormal. So few rendered shapes become many, and who learns
from them relies less on usual proportions.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from .compose import Views, visible_points
from .framing import pixel_grid
from ..core.generator import FRAME_MARGIN

STRETCHED = 0.5
"""Share of the instances that are stretched where training does so."""
SPREAD, MOST = 0.15, 2.0
"""Standard deviation of the log of each side's factor, and how many of them it may be at most."""
DIRECTIONS = 192
"""In which the outermost points of an object are known."""
GOLDEN_ANGLE_RAD = 2.399963


def outermost(points: Tensor, covered: Tensor) -> Tensor:
    """Of points (N, 3), where ``covered`` (N,), those (DIRECTIONS, 3) that lie farthest each way.

    What is convex about them does not change when all are stretched. Where nothing is covered, they
    are the origin.
    """
    k = torch.arange(DIRECTIONS, device=points.device) + 0.5
    z = 1.0 - 2.0 * k / DIRECTIONS
    across = torch.sqrt(1.0 - z * z)
    ways = torch.stack((across * torch.cos(GOLDEN_ANGLE_RAD * k),
                        across * torch.sin(GOLDEN_ANGLE_RAD * k), z), 1)
    found = points[covered] if covered.any() else torch.zeros_like(points[:1])
    return found[(found @ ways.T).argmax(0)]


def some_sides(count: int, about_axis: bool, like: Tensor, share: float = STRETCHED) -> Tensor:
    """Factors (count, 3) of the sides of objects, of a ``share`` of them other ones than 1.

    about_axis: x and y alike, so that what is round stays round.
    """
    log = SPREAD * torch.randn(count, 3, device=like.device).clamp(-MOST, MOST)
    if about_axis:
        log[:, 1] = log[:, 0]
    some = torch.rand(count, 1, device=like.device) < share
    return torch.exp(log * some)


def grown(outermost: Tensor, sides: Tensor) -> Tensor:
    """(I,) radii, in radii of before, of objects with outermost points (I, K, 3) once stretched."""
    before, after = (torch.linalg.vector_norm(points, dim=2).amax(1)
                     for points in (outermost, outermost * sides[:, None]))
    return torch.where(before > 0.0, after / before, 1.0)


def stretched(views: Views, sides: Tensor, radius: Tensor) -> Views:
    """Views (B) of objects whose sides (B, 3) are so many times as long, upright as before.

    radius: (B,) of the new objects, in radii of before; it is the unit of what is told of them.
    The camera goes along, as if its place were a point of the object, and so the perspective
    changes, too: what is near and becomes wide may reach beyond the view's edge. Those whose sides
    are all 1 stay as they are, to the pixel.
    """
    rows, away = views.R_view[:, :2] / sides[:, None], views.R_view[:, 2]
    # The inverse of a Cholesky factor is lower triangular, so what points up in the picture
    # still does.
    A = torch.linalg.inv(torch.linalg.cholesky(rows @ rows.transpose(1, 2)))
    right, down = (A @ rows).unbind(1)
    R = torch.stack((right, down, torch.linalg.cross(right, down)), 1)
    depth = torch.einsum('bi,bihw->bhw', R[:, 2] * sides / radius[:, None], visible_points(views))
    # Where a pixel's ray meets the plane through the new origin, in the view of before.
    at = pixel_grid(depth.shape[-1], depth)
    back = radius[:, None, None] * torch.linalg.inv(A)
    behind = radius[:, None, None] * (R[:, :2] @ (away / sides)[..., None])
    wider = 1.0 + FRAME_MARGIN * views.perspective.view(-1, 1, 1) * (at @ behind)
    grid = (at @ back.transpose(1, 2) / wider).unflatten(1, depth.shape[1:])
    seen = torch.cat((views.stacked[:, :4], depth[:, None], views.front, views.clear), 1)
    stacked, front, clear = functional.grid_sample(
        seen, grid, mode='bilinear', align_corners=False).split((5, 1, 1), 1)
    farther = torch.linalg.vector_norm(away * sides, dim=1) / radius
    changed = (sides != 1.0).any(1)
    whole = changed.view(-1, 1, 1, 1)
    return replace(views, stacked=torch.where(whole, stacked, views.stacked),
                   front=torch.where(whole, front, views.front),
                   clear=torch.where(whole, clear, views.clear),
                   R_view=torch.where(changed.view(-1, 1, 1), R, views.R_view),
                   perspective=torch.where(changed, views.perspective / farther,
                                           views.perspective))
