# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Objects of other proportions than were rendered: longer, flatter, wider ones.

Seen from afar, a stretched object looks like the object itself, seen from a little elsewhere, in a
picture that is stretched and sheared: a camera shows of points S p under the rotation R the first
two rows of R S p, and for every rendered view R' and every S there is one R with A R'[:2] =
R[:2] S, A being 2 x 2. So few rendered shapes become many, poses stay exact, and who learns from
them relies less on usual proportions. How far rays converge is not stretched along, which shifts
the outline of near objects by some hundredths of their radius at most.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from .compose import Views, visible_points
from ..core.generator import pixel_line

STRETCHED = 0.5
"""Share of the instances that are stretched where training does so."""
SPREAD = 0.15
"""Standard deviation of the log of each side's factor."""
DIRECTIONS = 192
"""In which the outermost points of an object are known."""
GOLDEN_ANGLE_RAD = 2.399963


def outermost(points: Tensor, covered: Tensor) -> Tensor:
    """Of points (N, 3), where ``covered`` (N,), those (DIRECTIONS, 3) that lie farthest each way.

    What is convex about them does not change when all are stretched.
    """
    k = torch.arange(DIRECTIONS, device=points.device) + 0.5
    z = 1.0 - 2.0 * k / DIRECTIONS
    across = torch.sqrt(1.0 - z * z)
    ways = torch.stack((across * torch.cos(GOLDEN_ANGLE_RAD * k),
                        across * torch.sin(GOLDEN_ANGLE_RAD * k), z), 1)
    found = points[covered]
    return found[(found @ ways.T).argmax(0)]


def some_sides(count: int, about_axis: bool, like: Tensor, share: float = STRETCHED) -> Tensor:
    """Factors (count, 3) of the sides of objects, of a ``share`` of them other ones than 1.

    about_axis: x and y alike, so that what is round stays round.
    """
    log = SPREAD * torch.randn(count, 3, device=like.device)
    if about_axis:
        log[:, 1] = log[:, 0]
    some = torch.rand(count, 1, device=like.device) < share
    return torch.exp(log * some)


def grown(outermost: Tensor, sides: Tensor) -> Tensor:
    """(I,) radii, in radii of before, of objects with outermost points (I, K, 3) once stretched."""
    before, after = (torch.linalg.vector_norm(points, dim=2).amax(1)
                     for points in (outermost, outermost * sides[:, None]))
    return after / before.clamp_min(1e-3)


def stretched(views: Views, sides: Tensor, radius: Tensor) -> Views:
    """Views (B) of objects whose sides (B, 3) are so many times as long, upright as before.

    radius: (B,) of the new objects, in radii of before; it is the unit of what is told of them.
    Those whose sides are all 1 stay as they are, to the pixel.
    """
    rows = views.R_view[:, :2] / sides[:, None]
    # The inverse of a Cholesky factor is lower triangular, so what points up in the picture
    # still does.
    A = torch.linalg.inv(torch.linalg.cholesky(rows @ rows.transpose(1, 2)))
    right, down = (A @ rows).unbind(1)
    R = torch.stack((right, down, torch.linalg.cross(right, down)), 1)
    depth = torch.einsum('bi,bihw->bhw', R[:, 2] * sides / radius[:, None], visible_points(views))
    line = pixel_line(views.stacked.shape[-1], depth)
    v, u = torch.meshgrid(line, line, indexing='ij')
    back = radius[:, None, None] * torch.linalg.inv(A)
    grid = torch.einsum('bij,jhw->bhwi', back, torch.stack((u, v)))
    seen = torch.cat((views.stacked[:, :4], depth[:, None], views.front, views.clear), 1)
    stacked, front, clear = functional.grid_sample(
        seen, grid, mode='bilinear', align_corners=False).split((5, 1, 1), 1)
    changed = (sides != 1.0).any(1).view(-1, 1, 1, 1)
    return replace(views, stacked=torch.where(changed, stacked, views.stacked),
                   front=torch.where(changed, front, views.front),
                   clear=torch.where(changed, clear, views.clear),
                   R_view=torch.where(changed[..., 0], R, views.R_view))
