# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Pictures of full scenes with known poses, and what is annotated in them.

scene_layout.py decides what stands where; this module renders one picture of it and says of each
object what of it is seen; scene_files.py writes folders in the evaluation set format.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from . import mitsuba_scene as ms
from .rendering import to_photograph
from .scene_layout import Placed, SceneLayout, View
from .shapes import Shape

MAX_DEPTH = 4
DEPTH_UNIT_M = 0.0001
#: Less of the front part than this in sight, and the yaw cannot be told.
YAW_SHARE = 0.15
#: Objects of which less than this share is in sight are not annotated.
VISIBLE_SHARE = 0.35
#: Rays a pixel, each way, of the pass that tells objects apart.
_FINE = 2


@dataclass(frozen=True)
class Seen:
    """One annotated object: ``mask`` (H, W) bool of what is visible; the rest as in the format."""

    id: str
    category: str
    T_cam_obj: np.ndarray
    size_m: np.ndarray
    box_center_m: np.ndarray
    mask: np.ndarray
    box_px: tuple[float, float, float, float]
    yaw_visible: bool
    visible_share: float


@dataclass(frozen=True)
class Picture:
    """rgb (H, W, 3) uint8, depth_m (H, W) float32, and the objects in it."""

    rgb: np.ndarray
    depth_m: np.ndarray
    objects: tuple[Seen, ...]


def sensor(view: View, finer: int = 1, sampler: str = 'independent') -> dict:
    """A view as Mitsuba's camera, of a picture ``finer`` times larger."""
    return ms.sensor(view.R_cam_world, view.position_m, view.width / 2 / view.focal_px,
                     view.width * finer, view.height * finer, 0.02, 50.0, sampler=sampler)


def load(layout: SceneLayout) -> object:
    """The layout as a Mitsuba scene; object k carries the number k + 1."""
    description: dict = {'type': 'scene',
                         'integrator': ms.integrator(MAX_DEPTH, hide_emitters=False),
                         'environment': ms.environment(layout.environment)}
    mesh, paint = layout.table
    description['table'] = ms.shape(mesh, ms.bsdf(paint))
    for k, (mesh, paint, pose) in enumerate(layout.walls):
        description[f'wall_{k}'] = ms.shape(mesh, ms.bsdf(paint), T_world_mesh=pose)
    for k, (item, pose) in enumerate(layout.things):
        for j, (mesh, paint) in enumerate(item.parts):
            description[f'thing_{k}_{j}'] = ms.shape(mesh, ms.bsdf(paint), T_world_mesh=pose)
    for k, placed in enumerate(layout.objects):
        for name, part in placed.shape.parts.items():
            description[f'object_{k}_{name}'] = ms.shape(
                part.mesh, ms.bsdf(placed.look.paints[part.material]),
                name == placed.shape.front_part, placed.T_world_obj, k + 1)
    return ms.mitsuba().load_dict(description)


def expose(layout: SceneLayout, scene: object, view: View) -> np.ndarray:
    """(3,) gains for pictures of the scene, metered through a view as a camera does."""
    small = View(view.R_cam_world, view.position_m, view.focal_px / 8, view.width // 8,
                 view.height // 8)
    frame = ms.render(scene, sensor(small), 16, 0)
    middle, bright = np.percentile(frame.rgb.mean(-1), (70, 97))
    # What is white may clip a little, but not all that is light.
    return min(0.42 / max(middle, 0.02), 1.1 / max(bright, 0.02)) * layout.tint


def outline(mesh_points_m: np.ndarray, faces: np.ndarray, view: View,
            T_cam_obj: np.ndarray) -> np.ndarray:
    """(H, W) bool: where the meshes would be seen if nothing stood before them."""
    points = mesh_points_m @ T_cam_obj[:3, :3].T + T_cam_obj[:3, 3]
    k = view.intrinsics
    px = points[:, :2] / points[:, 2:] * view.focal_px + (k.cx, k.cy)
    canvas = np.zeros((view.height, view.width), np.uint8)
    for corners in np.round(px[faces] * 16.0).astype(np.int32):
        cv2.fillConvexPoly(canvas, corners, 1, cv2.LINE_8, 4)
    return canvas > 0


def shape_faces(shape: Shape, part: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (N, 3) and faces (M, 3) of all parts, or of one."""
    meshes = [p.mesh for name, p in shape.parts.items() if part in (None, name)]
    starts = np.cumsum([0] + [len(m.vertices) for m in meshes])
    return (np.concatenate([m.vertices for m in meshes]),
            np.concatenate([m.faces + s for m, s in zip(meshes, starts, strict=False)]))


def _annotate(placed: Placed, view: View, mask: np.ndarray, marked: np.ndarray) -> Seen | None:
    """What the format says of an object, from its visible pixels; None where too few are."""
    T_cam_obj = view.T_cam_obj(placed.T_world_obj)
    whole = outline(*shape_faces(placed.shape), view, T_cam_obj)
    share = mask.sum() / max(whole.sum(), 1)
    vertices = placed.shape.vertices @ T_cam_obj[:3, :3].T + T_cam_obj[:3, 3]
    k = view.intrinsics
    px = vertices[:, :2] / vertices[:, 2:] * view.focal_px + (k.cx, k.cy)
    inside = ((px > -0.5) & (px < (view.width - 0.5, view.height - 0.5))).all(1).mean()
    if share < VISIBLE_SHARE or inside < 0.85:
        return None
    yaw_visible = True
    if placed.shape.front_part is not None:
        front = outline(*shape_faces(placed.shape, placed.shape.front_part), view, T_cam_obj)
        yaw_visible = bool(marked.sum() / max(front.sum(), 1) > YAW_SHARE)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    bounds = (float(columns[0]) - 0.5, float(rows[0]) - 0.5, float(columns[-1]) + 0.5,
              float(rows[-1]) + 0.5)
    return Seen(placed.id, placed.shape.category, T_cam_obj, placed.shape.size_m,
                placed.shape.box_center_m, mask, bounds, yaw_visible,
                float(share))


def shoot(layout: SceneLayout, scene: object, view: View, gains: np.ndarray, samples: int,
          seed: int) -> Picture:
    """Renders one picture and annotates the objects in it."""
    fine = ms.surfaces(scene, sensor(view, _FINE), view.R_cam_world, view.position_m, seed)
    blocks = (view.height, _FINE, view.width, _FINE)
    numbers = fine.number.reshape(blocks)
    marks = fine.marked.reshape(blocks)
    seen = []
    for k, placed in enumerate(layout.objects):
        own = numbers == k + 1
        found = _annotate(placed, view, own.mean((1, 3)) >= 0.5,
                          (own & marks).mean((1, 3)) >= 0.5)
        if found is not None:
            seen.append(found)
    # The nearer of a pixel's surfaces, as a depth camera's edges lie.
    z = fine.z.reshape(blocks)
    depth = np.where(z > 0.0, z, np.inf).min((1, 3))
    frame = ms.render(scene, sensor(view, 1, 'multijitter'), samples, seed)
    rgb = to_photograph(frame.rgb, np.ones_like(frame.alpha), gains)[..., :3]
    depth_m = np.where(np.isfinite(depth), depth, 0.0).astype(np.float32)
    return Picture(without_grain(rgb), depth_m, tuple(seen))


def without_grain(rgb: np.ndarray) -> np.ndarray:
    """The picture without the grain that few samples leave and no camera has."""
    rgb = np.ascontiguousarray(rgb)
    median = cv2.medianBlur(rgb, 3)
    # Single pixels far from all around them are glossy paths that were not met, or met too well.
    stray = np.abs(rgb.astype(np.int16) - median).max(-1, keepdims=True) > 24
    return cv2.fastNlMeansDenoisingColored(np.where(stray, median, rgb), None, 5, 8, 3, 13)
