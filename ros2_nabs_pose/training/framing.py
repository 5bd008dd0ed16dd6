# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Where an object lies in its crop: in the middle of a loose box, and whole, or cut off.

Objects at the picture's edge are seen in part. Detectors box that part alone, so it is what the
crop's middle and width come from; beyond the edge the crop shows the nearest colour of it again
(``core.crop.take_crop``).
"""

from __future__ import annotations

from dataclasses import dataclass
import math

import torch
from torch import Tensor
from torch.nn import functional

from .surroundings import uniform
from ..core.generator import FRAME_MARGIN, pixel_line

CUT_OFF = 0.2
"""Share of the objects that training cuts off, but for those of which too little would be left."""
LEAST_CUT, MOST_CUT = 0.03, 0.5
"""Share of the object's extent across an edge that lies beyond it."""
CORNER, LESS_IN_CORNERS = 0.2, 0.6
"""Share of the cut objects that lie in a corner, beyond two edges, and what the second one cuts in
comparison with the first."""
LEAST_LEFT = 0.25
"""Share of its pixels that must be left; objects that would keep less are not cut off."""
STRAIGHT, LEAN_RAD, TURNED_RAD = 0.7, math.radians(4.0), math.radians(25.0)
"""Share of the pictures whose edges lie along the crop but for a little lean, as far from their
middle, and spread of the lean of these and of the others, which were turned so that what leans in
them stands upright."""
LOOSE = 1.22, 1.65
"""Limits of what boxes are wider than the objects in them."""
FAR = 9.0
"""Farther from the middle than anything is, in radii or half widths: an edge out of sight."""


@dataclass(frozen=True)
class Edges:
    """Up to two edges of the picture, of B crops.

    normal: (B, 2, 2) unit vectors out of the picture, of the first and the second edge. offset:
    (B, 2) how far along them the edges lie from the origin, in the units of what is cut.
    """

    normal: Tensor
    offset: Tensor

    def placed(self, t: Tensor, scale: Tensor) -> Edges:
        """The same edges after all is scaled (B,) and then moved by t (B, 2)."""
        moved = scale[:, None] * self.offset + torch.einsum('bki,bi->bk', self.normal, t)
        return Edges(self.normal, moved)

    def beyond(self, points: Tensor) -> Tensor:
        """How far points (B, N, 2) lie beyond each edge, (B, N, 2); negative inside."""
        return points @ self.normal.transpose(1, 2) - self.offset[:, None]

    def covers(self, size_px: int) -> Tensor:
        """(B, 1, S, S) 1 where a crop's pixels show the picture, 0 beyond its edges."""
        inside = (self.beyond(pixel_grid(size_px, self.offset)) <= 0.0).all(2)
        return inside.view(-1, 1, size_px, size_px).to(self.offset.dtype)

    def carried_on(self, image: Tensor) -> Tensor:
        """Crops (B, C, S, S) whose edges' colours are carried on beyond them."""
        size = image.shape[-1]
        cut = torch.nonzero((self.offset < math.sqrt(2.0)).any(1))[:, 0]
        if not len(cut):
            return image
        normal, offset = self.normal[cut], self.offset[cut]
        # The outermost pixels are shown whole.
        offset = offset - 1.0 / size
        at = pixel_grid(size, image).expand(len(cut), -1, -1)
        over = Edges(normal, offset).beyond(at).clamp_min(0.0)
        shown = (at - over @ normal).view(-1, size, size, 2)
        taken = functional.grid_sample(image[cut], shown, mode='bilinear', padding_mode='border',
                                       align_corners=False)
        # Only what lies beyond is taken, so that nothing else is blurred.
        beyond = (over > 0.0).any(2).view(-1, 1, size, size)
        return image.index_copy(0, cut, torch.where(beyond, taken, image[cut]))


@dataclass(frozen=True)
class Framing:
    """t: (B, 2), scale: (B,) of objects in their crops; what the picture's edges leave of them.

    edges: of the picture, in half widths. inside: (B, 1, S', S') 1 where the upright view's pixels
    lie in the picture.
    """

    t: Tensor
    scale: Tensor
    edges: Edges
    inside: Tensor


def pixel_grid(size_px: int, like: Tensor) -> Tensor:
    """Pixel centres (1, S * S, 2), x right and y down, half widths."""
    line = pixel_line(size_px, like)
    v, u = torch.meshgrid(line, line, indexing='ij')
    return torch.stack((u.flatten(), v.flatten()), 1)[None]


def _bounds(points: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
    """Lower and upper corner (B, 2) of the points (B, N, 2) that are shown (B, N)."""
    hidden = ~shown.unsqueeze(-1)
    return points.masked_fill(hidden, FAR).amin(1), points.masked_fill(hidden, -FAR).amax(1)


def _in_box(points: Tensor, shown: Tensor, wider: Tensor | float) -> tuple[Tensor, Tensor]:
    """t (B, 2) and scale (B,) that put what is shown in the middle of a box so much wider."""
    low, high = _bounds(points, shown)
    scale = 2.0 / ((high - low).amax(1) * wider)
    return -scale[:, None] * 0.5 * (low + high), scale


def _some_edges(points: Tensor, shown: Tensor, share: float) -> Edges:
    """Edges that cut ``share`` of the objects off, in radii; the others' are far away."""
    batch = len(points)
    straight = torch.rand(batch, device=points.device) < STRAIGHT
    lean = (torch.where(straight, LEAN_RAD, TURNED_RAD)
            * torch.randn(batch, device=points.device))
    side = torch.randint(4, (batch,), device=points.device)
    other = torch.where(torch.rand(batch, device=points.device) < 0.5, 1, -1)
    angle = lean[:, None] + 0.5 * math.pi * torch.stack((side, side + other), 1)
    normal = torch.stack((torch.cos(angle), torch.sin(angle)), 2)
    low, high = _bounds(points @ normal.transpose(1, 2), shown)
    lost = uniform((batch, 2), LEAST_CUT, MOST_CUT, points)
    lost[:, 1] *= LESS_IN_CORNERS
    cut = torch.rand(batch, 2, device=points.device) < points.new_tensor((share, CORNER))
    cut[:, 1] &= cut[:, 0]
    return Edges(normal, torch.where(cut, high - lost * (high - low), FAR))


def framed(alpha: Tensor, in_plane: Tensor, cut_off: float = 0.0) -> Framing:
    """Loose boxes around upright views' coverage (B, 1, S', S'), turned in the plane (B,) rad.

    cut_off: share of the objects that the picture's edge cuts off; their boxes are those of what
    is left.
    """
    batch, size = len(alpha), alpha.shape[-1]
    u, v = (pixel_grid(size, alpha) * FRAME_MARGIN).unbind(2)
    cos, sin = torch.cos(in_plane)[:, None], torch.sin(in_plane)[:, None]
    points = torch.stack((cos * u - sin * v, sin * u + cos * v), -1)
    shown = alpha.flatten(1) >= 0.5
    edges = Edges(points.new_tensor((1.0, 0.0)).expand(batch, 2, 2),
                  points.new_full((batch, 2), FAR))
    inside = torch.ones_like(shown)
    if cut_off > 0.0:
        edges = _some_edges(points, shown, cut_off)
        inside = (edges.beyond(points) <= 0.0).all(2)
        # Of a laptop's L, a corner may be nothing.
        little = (inside & shown).sum(1, keepdim=True) < LEAST_LEFT * shown.sum(1, keepdim=True)
        edges = Edges(edges.normal, torch.where(little, FAR, edges.offset))
        inside = inside | little
    shown = shown & inside

    t, scale = _in_box(points, shown, uniform((batch,), *LOOSE, alpha))
    t = t + uniform((batch, 2), -0.14, 0.14, alpha)
    return Framing(t, scale, edges.placed(t, scale),
                   inside.view(-1, 1, size, size).to(alpha.dtype))


def boxed(alpha: Tensor) -> tuple[Tensor, Tensor]:
    """t (B, 2) and scale (B,) of upright views' coverage (B, 1, S', S') in usual boxes, centred."""
    points = (pixel_grid(alpha.shape[-1], alpha) * FRAME_MARGIN).expand(len(alpha), -1, -1)
    return _in_box(points, alpha.flatten(1) >= 0.5, 0.5 * sum(LOOSE))
