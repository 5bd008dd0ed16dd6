# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Other prints on rendered objects: what a shop glues on them that no renderer of ours thought of.

Every pixel of a view tells which point of the object it shows, so colours can be put on the surface
itself, after rendering, and turn with it. They carry the brightness that was rendered: the shading,
and a ghost of the print below.
"""

from __future__ import annotations

from dataclasses import replace
import math

import torch
from torch import Tensor
from torch.nn import functional

from .compose import Views, visible_points
from .surroundings import uniform

PRINTED = 0.5
"""Share of the painted objects that wear a picture; the others have bands or patches of colour."""
COLOURS, WAVES = 4, 3
"""Of bands and patches."""
AS_RENDERED, PAINTED_SHARE = 2, 0.7
"""The first so many views of an instance keep their looks, so that what is drawn from their codes
can be compared with them; of its others a share is painted."""
INSTANCES_SHARE = 0.4
"""Of the instances, where all views of one are painted alike."""


def _directions(count: int, like: Tensor) -> Tensor:
    """Unit vectors (count, 3) in the object's frame: half of them up, a quarter to the front."""
    any_way = functional.normalize(torch.randn(count, 3, device=like.device), dim=1)
    kind = torch.rand(count, 1, device=like.device)
    up, front = any_way.new_tensor((0.0, 0.0, 1.0)), any_way.new_tensor((1.0, 0.0, 0.0))
    return torch.where(kind < 0.5, up, torch.where(kind < 0.75, front, any_way))


def _bands(points: Tensor, of: Tensor) -> Tensor:
    """Colours (B, 3, S, S) of bands and patches on the surface.

    points: (B, 3, S, S) in the object's frame, radii. of: (B,) the number of each one's print.
    """
    count = int(of.max()) + 1
    along = torch.einsum('bi,bihw->bhw', _directions(count, points)[of], points)
    wave = torch.randn(count, WAVES, 3, device=points.device) * 4.0
    phase = uniform((count, WAVES, 1, 1), 0.0, 2.0 * math.pi, points)
    waves = torch.sin(torch.einsum('bki,bihw->bkhw', wave[of], points) + phase[of]).mean(1)
    # From bands that are cut clean to patches that follow no direction.
    wavy = uniform((count, 1, 1), 0.0, 1.0, points) ** 2
    height = (1.0 - wavy[of]) * along + wavy[of] * waves
    edges = uniform((count, COLOURS - 1), -0.6, 0.6, points)
    which = (height[:, None] > edges[of][:, :, None, None]).sum(1)
    palette = torch.rand(count, COLOURS, 3, device=points.device)
    return palette[of[:, None, None], which].movedim(3, 1)


def _pictures(points: Tensor, of: Tensor, pool: Tensor) -> Tensor:
    """Colours (B, 3, S, S) of pictures (N, 3, H, W) uint8 that are glued on from some side.

    points, of: as for bands.
    """
    count = int(of.max()) + 1
    toward = torch.randn(count, 3, device=points.device)
    toward[:, 2] *= 0.3  # from the side, mostly
    toward = functional.normalize(toward, dim=1)
    up = functional.normalize(torch.randn(count, 3, device=points.device) * 0.3
                              + points.new_tensor((0.0, 0.0, 1.0)), dim=1)
    right = functional.normalize(torch.linalg.cross(up, toward), dim=1)
    up = torch.linalg.cross(toward, right)
    # Which way up clutter is glued on does not matter.
    grid = torch.einsum('bki,bihw->bhwk', torch.stack((right, up), 1)[of], points)
    zoom = torch.exp(uniform((count, 1, 1, 1), math.log(0.3), math.log(2.0), points))
    grid = grid * zoom[of] + uniform((count, 1, 1, 2), -1.0, 1.0, points)[of]
    pick = torch.randint(len(pool), (count,))
    pictures = pool[pick[of.cpu()]].to(points.device).to(points.dtype) / 255.0
    return functional.grid_sample(pictures, grid, align_corners=False, padding_mode='reflection')


def repainted(views: Views, pool: Tensor | None, chosen: Tensor,
              alike: int = 1) -> tuple[Views, Tensor]:
    """Views of which the ``chosen`` (B,) wear other colours, and which (B,) do.

    Bands, patches, pictures out of ``pool`` (N, 3, H, W) uint8, or colours alone where it is None.
    alike: so many views in a row wear one print, or none where one shows something clear. What is
    clear stays as it is; so do geometry and poses.
    """
    clear = views.clear.flatten(1).amax(1).view(-1, alike).amax(1) > 0.0
    chosen = chosen & ~clear.repeat_interleave(alike)
    rows = chosen.nonzero()[:, 0]
    if not len(rows):
        return views, chosen
    some = views.pick(rows)
    prints, of = torch.unique(rows // alike, return_inverse=True)
    count = len(prints)
    alpha = some.stacked[:, 3:4]
    covered = alpha.clamp_min(1e-3)
    points = visible_points(some) / covered
    colour = some.stacked[:, :3] / covered
    paint = _bands(points, of)
    if pool is not None:
        printed = torch.rand(count, 1, 1, 1, device=alpha.device) < PRINTED
        paint = torch.where(printed[of], _pictures(points, of, pool), paint)
    grey = colour.mean(1, keepdim=True)
    usual = ((grey * alpha).sum((1, 2, 3), keepdim=True)
             / alpha.sum((1, 2, 3), keepdim=True).clamp_min(1.0)).clamp_min(0.05)
    shading = (grey / usual).clamp(0.0, 2.0)
    # A part of the object stays as it is in half of them: a label, a lid, a strap.
    height = torch.einsum('bi,bihw->bhw', _directions(count, points)[of], points)[:, None]
    start = uniform((count, 1, 1, 1), -1.0, 0.4, points)
    end = start + uniform((count, 1, 1, 1), 0.3, 1.5, points)
    there = (height > start[of]) & (height < end[of])
    there = there | (torch.rand(count, 1, 1, 1, device=alpha.device) < 0.5)[of]
    strength = uniform((count, 1, 1, 1), 0.6, 1.0, points)[of] * there
    colour = torch.lerp(colour, (paint * shading * 1.1).clamp(0.0, 1.0), strength) * alpha
    stacked = views.stacked.index_copy(0, rows, torch.cat((colour, some.stacked[:, 3:]), 1))
    return replace(views, stacked=stacked), chosen


def some_repainted(views: Views, pool: Tensor | None, group: int) -> tuple[Views, Tensor]:
    """``repainted`` views, ``group`` of an instance in a row, of those beyond ``AS_RENDERED``."""
    device = views.stacked.device
    place = torch.arange(len(views.stacked), device=device) % group
    chosen = (place >= AS_RENDERED) & (torch.rand(len(place), device=device) < PAINTED_SHARE)
    return repainted(views, pool, chosen)


def instances_repainted(views: Views, pool: Tensor | None, group: int) -> Views:
    """Views, ``group`` of an instance in a row, of which some instances wear a print of their own.

    All views of one show the same, as frames of a track do.
    """
    count = len(views.stacked) // group
    chosen = torch.rand(count, device=views.stacked.device) < INSTANCES_SHARE
    return repainted(views, pool, chosen.repeat_interleave(group), group)[0]
