# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Procedural objects in the canonical frame: one module a category, found by name."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

import numpy as np

from .surfaces import Mesh
from ..looks import Look

#: Categories that have a shape family; each names its module, which has ``sample(rng)`` for the
#: shape and ``sample_look(rng, shape)`` for what it is painted with.
FAMILIES = {name: f'.{name}' for name in ('bottle', 'bowl', 'camera', 'can', 'laptop', 'mug')}


@dataclass(frozen=True)
class Part:
    """One mesh and what it is made of: ``material`` names an entry of a look (see looks.py)."""

    mesh: Mesh
    material: str


@dataclass(frozen=True)
class Shape:
    """One object of a category, in the object frame, metres.

    parts: name -> part. front_part: name of the part whose visibility decides whether the yaw can
    be seen, or None. front_point_m: (3,) outermost point of the front. parameters: what it was
    made from, for the record (what JSON can hold).
    """

    category: str
    parts: dict[str, Part]
    front_part: str | None
    front_point_m: np.ndarray
    parameters: dict

    @property
    def vertices(self) -> np.ndarray:
        """All vertices, (N, 3)."""
        return np.concatenate([part.mesh.vertices for part in self.parts.values()])

    @property
    def radius_m(self) -> float:
        """Largest distance of any vertex from the origin."""
        return float(np.linalg.norm(self.vertices, axis=1).max())

    @property
    def size_m(self) -> np.ndarray:
        """(3,) extents of the axis-aligned bounding box."""
        return np.ptp(self.vertices, axis=0)

    @property
    def box_center_m(self) -> np.ndarray:
        """(3,) centre of the bounding box in the object frame."""
        return 0.5 * (self.vertices.min(axis=0) + self.vertices.max(axis=0))


def boxed(category: str, meshes: dict[str, tuple[Mesh, str]], front_m: np.ndarray,
          parameters: dict) -> Shape:
    """A shape of (mesh, material) by name, moved so that the box of all is about the origin.

    front_m: (3,) the front point, before that. There is no front part.
    """
    points = np.concatenate([mesh.vertices for mesh, _ in meshes.values()])
    middle = 0.5 * (points.min(0) + points.max(0))
    return Shape(category=category, front_part=None, front_point_m=front_m - middle,
                 parts={name: Part(mesh.moved(-middle), material)
                        for name, (mesh, material) in meshes.items()}, parameters=parameters)


def on_axis(category: str, meshes: dict[str, tuple[Mesh, str]], parameters: dict,
            reach_m: float | None = None) -> Shape:
    """A shape of (mesh, material) by name about its z axis, moved along it to be half way up.

    The front point is (reach_m, 0, 0); without it, it is as far along x as the ``body`` reaches.
    There is no front part.
    """
    z = np.concatenate([mesh.vertices[:, 2] for mesh, _ in meshes.values()])
    lift = np.array([0.0, 0.0, -0.5 * (z.min() + z.max())])
    if reach_m is None:
        reach_m = float(meshes['body'][0].vertices[:, 0].max())
    return Shape(category=category, front_part=None, front_point_m=np.array([reach_m, 0.0, 0.0]),
                 parts={name: Part(mesh.moved(lift), material)
                        for name, (mesh, material) in meshes.items()}, parameters=parameters)


def sample_object(category: str, rng: np.random.Generator) -> tuple[Shape, Look]:
    """A random object of the category; KeyError with one sentence when it has no family."""
    if category not in FAMILIES:
        raise KeyError(f"no procedural shapes for '{category}': there are "
                       f"{', '.join(sorted(FAMILIES))}")
    family = import_module(FAMILIES[category], __name__)
    shape = family.sample(rng)
    return shape, family.sample_look(rng, shape)
