# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What stands where, and where the camera is: objects on a table in a room, among clutter.

World frame: z up, the table's top at z = 0. Objects come from streams that training never draws
('evaluation' for single pictures, 'demo' for sequences). Nothing is rendered here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .clutter import Item, sample_item, sample_occluder, surface_paint, wall_paint
from .lighting import sample_environment, sample_exposure, sample_white_balance
from .looks import Look, Paint
from .rendering import instance_rng, look_at_origin
from .shapes import sample_object, Shape
from .shapes.surfaces import box, Mesh
from ..core.types import Intrinsics

#: Objects up to this radius fit the distances below as they are; larger ones stretch them.
_ORDINARY_RADIUS_M = 0.11


@dataclass(frozen=True)
class Placed:
    """An object standing in the world."""

    id: str
    shape: Shape
    look: Look
    T_world_obj: np.ndarray


@dataclass(frozen=True)
class SceneLayout:
    """All that stands in a room, and its light.

    things, walls: each with its T_world_thing (4, 4). environment: as in lighting.py. tint: (3,)
    how far the camera's exposure and white balance are off.
    """

    objects: tuple[Placed, ...]
    things: tuple[tuple[Item, np.ndarray], ...]
    table: tuple[Mesh, Paint]
    walls: tuple[tuple[Mesh, Paint, np.ndarray], ...]
    environment: np.ndarray
    tint: np.ndarray


@dataclass(frozen=True)
class View:
    """A camera: R_cam_world has the optical axes in its rows; the principal point is central."""

    R_cam_world: np.ndarray
    position_m: np.ndarray
    focal_px: float
    width: int
    height: int

    @property
    def intrinsics(self) -> Intrinsics:
        """Pixel centres at integers, so that the image's centre is at (size - 1) / 2."""
        return Intrinsics(self.focal_px, self.focal_px, (self.width - 1) / 2,
                          (self.height - 1) / 2, self.width, self.height)

    def T_cam_obj(self, T_world_obj: np.ndarray) -> np.ndarray:
        """(4, 4) of an object in the world."""
        T_cam_world = np.eye(4)
        T_cam_world[:3, :3] = self.R_cam_world
        T_cam_world[:3, 3] = -self.R_cam_world @ self.position_m
        return T_cam_world @ T_world_obj


def view_from(target_m: np.ndarray, distance_m: float, elevation_rad: float, azimuth_rad: float,
              roll_rad: float, focal_px: float, width: int, height: int) -> View:
    """A camera at a direction from a point, looking at it, then rolled about its axis."""
    R = look_at_origin(elevation_rad, azimuth_rad)
    c, s = np.cos(roll_rad), np.sin(roll_rad)
    roll = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    return View(roll @ R, np.asarray(target_m) - R[2] * distance_m, focal_px, width, height)


def stand(shape: Shape, x: float, y: float, yaw_rad: float) -> np.ndarray:
    """T_world_obj (4, 4) of an object standing on the table."""
    pose = pose_on_table(x, y, yaw_rad)
    pose[2, 3] = -shape.vertices[:, 2].min()
    return pose


def pose_on_table(x: float, y: float, yaw_rad: float) -> np.ndarray:
    """(4, 4) of a thing whose origin lies on the table."""
    pose = np.eye(4)
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    pose[:2, :2] = [[c, -s], [s, c]]
    pose[:2, 3] = x, y
    return pose


def footprint(placed: Placed) -> tuple[float, float, float]:
    """(x, y, radius) of a circle on the table that holds the object."""
    points = placed.shape.vertices @ placed.T_world_obj[:3, :3].T + placed.T_world_obj[:3, 3]
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    middle = (low + high) / 2
    return float(middle[0]), float(middle[1]), float(
        np.linalg.norm(points[:, :2] - middle, axis=1).max())


def scatter(rng: np.random.Generator, taken: list[tuple[float, float, float]], count: int,
            near_m: float, far_m: float) -> list[tuple[Item, np.ndarray]]:
    """Up to ``count`` things on free spots of the ring between the radii about the origin."""
    things = []
    for _ in range(count):
        item = sample_item(rng)
        for _ in range(30):
            r, a = np.sqrt(rng.uniform(near_m ** 2, far_m ** 2)), rng.uniform(0.0, 2.0 * np.pi)
            x, y = r * np.cos(a), r * np.sin(a)
            if is_free(taken, x, y, item.radius_m):
                taken.append((x, y, item.radius_m))
                things.append((item, pose_on_table(x, y, rng.uniform(0.0, 2.0 * np.pi))))
                break
    return things


def is_free(taken: list[tuple[float, float, float]], x: float, y: float, radius_m: float) -> bool:
    """Whether a circle keeps 8 mm from all circles (x, y, radius)."""
    return all(np.hypot(x - a, y - b) > radius_m + r + 0.008 for a, b, r in taken)


def stretch(shape: Shape) -> float:
    """How much farther than a mug's the distances about an object are; 1 or more."""
    return max(1.0, shape.radius_m / _ORDINARY_RADIUS_M)


def sample_layout(rng: np.random.Generator, objects: tuple[Placed, ...],
                  things: list[tuple[Item, np.ndarray]], camera_m: float = 1.0) -> SceneLayout:
    """A room around objects, things and a camera at a distance: table, one or two walls, light,
    exposure.
    """
    reach = max(np.hypot(x, y) + r for x, y, r in map(footprint, objects))
    size = np.maximum(rng.uniform(1.1, 1.7, 2), 2.0 * reach + 0.1)
    table = box(np.array([size[0], size[1], 0.04])).moved(np.array([0.0, 0.0, -0.02]))
    first, walls = rng.uniform(0.0, 2.0 * np.pi), []
    for k in range(int(rng.integers(1, 3))):
        pose = pose_on_table(0.0, 0.0, first + k * np.pi / 2)
        pose[:3, 3] = pose[:3, 0] * (
            rng.uniform(1.0, 2.2) + max(0.0, camera_m - 1.0)) + (0.0, 0.0, 0.4)
        walls.append((box(np.array([0.05, 5.0, 2.6])), wall_paint(rng), pose))
    tint = sample_exposure(rng) ** 0.6 * sample_white_balance(rng)
    return SceneLayout(objects, tuple(things), (table, surface_paint(rng)), tuple(walls),
                       sample_environment(rng), tint)


def _draw_object(category: str, seed: int, number: int, stream: str) -> tuple[Shape, Look]:
    return sample_object(category, instance_rng(seed, number, stream))


def random_scene(categories: Sequence[str], seed: int, index: int, width: int, height: int
                 ) -> tuple[SceneLayout, View]:
    """Picture ``index`` of a set of single pictures: one to three objects among clutter.

    Several categories take turns, both as the object looked at and beside it.
    """
    rng = np.random.default_rng(np.random.SeedSequence((seed, 101, index)))
    count = int(rng.choice(3, p=(0.5, 0.3, 0.2))) + 1
    objects: list[Placed] = []
    taken: list[tuple[float, float, float]] = []
    for number in range(count):
        category = categories[(index + number) % len(categories)]
        shape, look = _draw_object(category, seed, 10 * index + number, 'evaluation')
        # Where large ones find no room beside each other, the picture has fewer.
        for _ in range(60):
            reach = 0.0 if not objects else rng.uniform(0.10, 0.26) * max(
                stretch(objects[0].shape), stretch(shape))
            angle = rng.uniform(0.0, 2.0 * np.pi)
            placed = Placed(f'{category}_{number + 1}', shape, look, stand(
                shape, reach * np.cos(angle), reach * np.sin(angle),
                rng.uniform(0.0, 2.0 * np.pi)))
            if is_free(taken, *footprint(placed)):
                objects.append(placed)
                taken.append(footprint(placed))
                break
    azimuth = rng.uniform(0.0, 2.0 * np.pi)
    things = []
    if rng.random() < 0.25:
        # In front of the first object and to a side, so that it hides a part and not all.
        item = sample_occluder(rng)
        x0, y0, r0 = taken[0]
        out, side = r0 + item.radius_m + rng.uniform(0.01, 0.05), rng.choice((-1.0, 1.0))
        turn = azimuth + side * rng.uniform(0.15, 0.6)
        x, y = x0 + out * np.cos(turn), y0 + out * np.sin(turn)
        if is_free(taken, x, y, item.radius_m):
            taken.append((x, y, item.radius_m))
            things.append((item, pose_on_table(x, y, rng.uniform(0.0, 6.3))))
    things += scatter(rng, taken, int(rng.integers(3, 11)), 0.10,
                      max(0.50, taken[0][2] + 0.30))
    target = objects[0].T_world_obj[:3, 3] + rng.uniform(-0.05, 0.05, 3)
    distance = float(rng.uniform(0.35, 1.0)) * stretch(objects[0].shape)
    view = view_from(target, distance, float(np.radians(rng.uniform(10, 75))),
                     azimuth, float(np.radians(rng.uniform(-12, 12))),
                     float(rng.uniform(0.95, 1.35)) * width, width, height)
    return sample_layout(rng, tuple(objects), things, distance), view


def _calm(shape: Shape, look: Look) -> bool:
    """An object as one expects it: no lid on a mug, no body of bare metal."""
    outside = look.paints.get('outside')
    return shape.parameters.get('lid_m', 0.0) == 0.0 and (
        outside is None or outside.finish != 'metal')


def _alike(a: tuple[Shape, Look], b: tuple[Shape, Look]) -> bool:
    """Of one category, and the same in body or in paint (where it has kinds of bodies)."""
    bodies = [shape.parameters.get('body') for shape, _ in (a, b)]
    return a[0].category == b[0].category and bodies[0] is not None and (
        bodies[0] == bodies[1] or a[1].pattern == b[1].pattern)


def demo_scene(categories: Sequence[str], seed: int, calm: bool = True) -> SceneLayout:
    """Two objects 0.25 m apart (large ones farther) on a table with clutter behind and beside
    them.

    calm: objects as one expects them alone, without lids or bodies of bare metal.
    """
    rng = np.random.default_rng(np.random.SeedSequence((seed, 102)))
    drawn: list[tuple[Shape, Look]] = []
    # Objects that differ in body as well as in paint; after many tries any will do.
    for number in range(200):
        category = categories[len(drawn) % len(categories)]
        found = _draw_object(category, seed, number, 'demo')
        if number >= 198 - len(drawn) or ((_calm(*found) or not calm) and not any(
                _alike(found, other) for other in drawn)):
            drawn.append(found)
        if len(drawn) == 2:
            break
    # The camera moves about azimuth -90 degrees; handles point to either side of it.
    yaws = np.radians((-150.0, -35.0)) + rng.uniform(-0.2, 0.2, 2)
    far = max(stretch(shape) for shape, _ in drawn)
    objects = tuple(
        Placed(f'{shape.category}_{k + 1}', shape, look, stand(shape, far * x, far * y, yaw))
        for k, ((shape, look), (x, y), yaw) in enumerate(zip(
            drawn, ((-0.12, 0.0), (0.12, 0.04)), yaws, strict=True)))
    # The wedge towards the camera stays free, so that nothing hides the objects all the time.
    taken = [footprint(o) for o in objects]
    wedge = [(far * x, far * y, far * r) for x, y, r in (
        (0.0, -0.25, 0.14), (-0.2, -0.32, 0.12), (0.2, -0.32, 0.12), (0.0, -0.45, 0.2))]
    things = scatter(rng, taken + wedge, 14, 0.12, 0.52 * far)
    return sample_layout(rng, objects, things, 0.67 * far)


def demo_view(index: int, count: int, width: int, height: int, far: float = 1.0) -> View:
    """Frame ``index`` of ``count``: part of an orbit, up and down, nearer and farther.

    far: ``stretch`` of the largest object.
    """
    t = index / max(count - 1, 1)
    return _orbiting(t, 36.0 + 12.0 * np.sin(2.0 * np.pi * t), width, height, far)


def climbing_view(index: int, count: int, width: int, height: int, far: float = 1.0) -> View:
    """As ``demo_view``, but the camera climbs until it looks down steeply, and comes down again."""
    t = index / max(count - 1, 1)
    return _orbiting(t, 30.0 + 50.0 * np.sin(np.pi * t) ** 2, width, height, far)


def _orbiting(t: float, elevation_deg: float, width: int, height: int, far: float) -> View:
    """The view at ``t``, 0 to 1, of a quarter turn around the objects."""
    smooth = t * t * (3.0 - 2.0 * t)
    azimuth = np.radians(-135.0 + 90.0 * smooth)
    distance = far * (0.60 + 0.07 * np.sin(2.0 * np.pi * t + 1.2))
    roll = np.radians(2.5 * np.sin(4.0 * np.pi * t))
    target = np.array([0.02 * np.sin(2.0 * np.pi * t), 0.015, 0.03])
    return view_from(target, float(distance), float(np.radians(elevation_deg)), float(azimuth),
                     float(roll), 1.05 * width, width, height)
