# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Procedural open laptops: z up, x to the user, origin at the centre of the bounding box."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from . import boxed, Shape
from .laptop_paint import paint_laptop
from .surfaces import Mesh, oriented
from ..looks import Look

INCH = 0.0254
DIAGONALS_IN = (11.6, 12.4, 13.3, 14.0, 15.0, 15.6, 16.0, 17.3)
DIAGONAL_WEIGHTS = (0.07, 0.05, 0.24, 0.20, 0.08, 0.22, 0.08, 0.06)
ASPECTS = (16 / 10, 16 / 9, 3 / 2)
HINGES = ('bar', 'pair', 'hidden')
#: Hinge angles, degrees between deck and screen, that are drawn.
ANGLE_RANGE_DEG = (60.0, 150.0)


@dataclass(frozen=True)
class LaptopParameters:
    """Everything that makes one laptop's shape; lengths in metres.

    screen_width_m, screen_height_m: of the lit area. bezel_side_m, bezel_top_m, bezel_bottom_m:
    from there to the lid's edges. depth_m: of the base, hinge to front. front_m, rear_m: the
    base's thickness at both ends. lid_m: the lid's thickness. corner_m: radius of the outline's
    corners, seen from above. base_edge_m: rounding of the base's lower edge. hinge: 'bar', 'pair'
    or 'hidden'; hinge_radius_m: of its cylinder. angle_deg: between deck and screen.
    """

    screen_width_m: float
    screen_height_m: float
    bezel_side_m: float
    bezel_top_m: float
    bezel_bottom_m: float
    depth_m: float
    front_m: float
    rear_m: float
    lid_m: float
    corner_m: float
    base_edge_m: float
    hinge: str
    hinge_radius_m: float
    angle_deg: float

    @property
    def width_m(self) -> float:
        """Of base and lid."""
        return self.screen_width_m + 2.0 * self.bezel_side_m

    @property
    def lid_height_m(self) -> float:
        """Of the lid along its own plane."""
        return self.screen_height_m + self.bezel_top_m + self.bezel_bottom_m


def sample_parameters(rng: np.random.Generator) -> LaptopParameters:
    """Draws a laptop as shops sell or offices keep them; three in ten are thick older ones."""
    diagonal = INCH * float(rng.choice(DIAGONALS_IN, p=DIAGONAL_WEIGHTS)) * rng.uniform(0.98, 1.02)
    old = rng.random() < 0.30
    aspect = float(rng.choice(ASPECTS, p=(0.25, 0.70, 0.05) if old else (0.50, 0.36, 0.14)))
    width = diagonal * aspect / np.hypot(aspect, 1.0)
    height = width / aspect
    side = rng.uniform(0.011, 0.021) if old else rng.uniform(0.0035, 0.012)
    top = rng.uniform(0.014, 0.024) if old else rng.uniform(0.005, 0.014)
    bottom = rng.uniform(0.018, 0.036) if old else rng.uniform(0.010, 0.026)
    thick = rng.uniform(0.017, 0.028) if old else rng.uniform(0.010, 0.018)
    wedge = rng.random() < 0.35
    lid = rng.uniform(0.006, 0.009) if old else rng.uniform(0.004, 0.0065)
    if rng.random() < 0.80:
        angle = np.clip(rng.normal(108.0, 9.0), 90.0, 125.0)
    else:
        angle = rng.uniform(*ANGLE_RANGE_DEG)
    hinge = str(rng.choice(HINGES, p=(0.40, 0.35, 0.25)))
    radius = 0.5 * lid + rng.uniform(0.0005, 0.0025)
    return LaptopParameters(
        screen_width_m=float(width), screen_height_m=float(height), bezel_side_m=float(side),
        bezel_top_m=float(top), bezel_bottom_m=float(bottom),
        depth_m=float(height + top + bottom + radius * 2.0 + rng.uniform(-0.002, 0.008)),
        front_m=float(thick * (rng.uniform(0.35, 0.75) if wedge else rng.uniform(0.93, 1.0))),
        rear_m=float(thick), lid_m=float(lid), corner_m=float(rng.uniform(0.003, 0.016)),
        base_edge_m=float(rng.uniform(0.001, 0.006)), hinge=hinge, hinge_radius_m=float(radius),
        angle_deg=float(angle))


def _outline(depth: float, width: float, corner: float, inset: float,
             steps: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Points (P, 2) around a rounded rectangle [0, depth] x [-width/2, width/2], counter-clockwise
    seen from above, the first repeated at the end, and their outward normals (P, 2).
    """
    radius = max(corner - inset, 0.0)
    points, normals = [], []
    for k, (sx, sy) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
        angle = np.linspace(0.0, np.pi / 2.0, steps) + k * np.pi / 2.0
        normal = np.stack([np.cos(angle), np.sin(angle)], 1)
        middle = (0.5 * depth + sx * (0.5 * depth - inset - radius),
                  sy * (0.5 * width - inset - radius))
        points.append(middle + radius * normal)
        normals.append(normal)
    points.append(points[0][:1])
    normals.append(normals[0][:1])
    return np.concatenate(points), np.concatenate(normals)


def _face(depth: float, width: float, corner: float, inset: float, z: float,
          sign: float) -> Mesh:
    """A flat rounded rectangle that faces up (sign 1) or down (-1).

    uv: u along +y, v along -x, over the whole rectangle without the inset.
    """
    ring, _ = _outline(depth, width, corner, inset)
    xy = np.concatenate([[[0.5 * depth, 0.0]], ring])
    count = len(ring)
    faces = np.stack([np.zeros(count - 1, int), np.arange(1, count), np.arange(2, count + 1)], 1)
    uv = np.stack([xy[:, 1] / width + 0.5, 1.0 - xy[:, 0] / depth], 1)
    vertices = np.column_stack([xy, np.full(len(xy), z)])
    return oriented(Mesh(vertices, faces, np.tile((0.0, 0.0, sign), (len(xy), 1)), uv))


def slab(depth: float, width: float, thickness: float, corner: float, lower_edge: float,
         upper_edge: float) -> dict[str, Mesh]:
    """A rounded board over [0, depth] x [-width/2, width/2] x [0, thickness]: sides, top, bottom.

    lower_edge, upper_edge: radii that round the rims. uv of top and bottom: u along +y, v along
    -x; of the sides: once around and up.
    """
    corner = max(corner, lower_edge, upper_edge)
    turn = np.linspace(0.0, np.pi / 2.0, 4)
    # (inset, z, outward share, upward share) from the lower rim to the upper one.
    profile = [(lower_edge * (1.0 - np.sin(a)), lower_edge * (1.0 - np.cos(a)), np.sin(a),
                -np.cos(a)) for a in turn]
    profile += [(upper_edge * (1.0 - np.cos(a)), thickness - upper_edge * (1.0 - np.sin(a)),
                 np.cos(a), np.sin(a)) for a in turn]
    vertices, normals, uv = [], [], []
    for inset, z, out, up in profile:
        ring, normal = _outline(depth, width, corner, inset)
        vertices.append(np.column_stack([ring, np.full(len(ring), z)]))
        normals.append(np.column_stack([out * normal, np.full(len(ring), up)]))
        uv.append(np.column_stack([np.linspace(0.0, 1.0, len(ring)),
                                   np.full(len(ring), z / thickness)]))
    cols = len(vertices[0])
    a = (np.arange(len(profile) - 1)[:, None] * cols + np.arange(cols - 1)).ravel()
    faces = np.concatenate([np.stack([a, a + 1, a + cols + 1], 1),
                            np.stack([a, a + cols + 1, a + cols], 1)])
    sides = oriented(Mesh(np.concatenate(vertices), faces, np.concatenate(normals),
                          np.concatenate(uv)))
    return {'sides': sides, 'top': _face(depth, width, corner, upper_edge, thickness, 1.0),
            'bottom': _face(depth, width, corner, lower_edge, 0.0, -1.0)}


def _rod(radius: float, centre: np.ndarray, length: float, segments: int = 20) -> Mesh:
    """A cylinder along y with closed ends."""
    angle = np.linspace(0.0, 2.0 * np.pi, segments + 1)
    normal = np.stack([np.cos(angle), np.zeros_like(angle), np.sin(angle)], 1)
    rings = [(radius * (normal if k in (1, 2, 3, 4) else 0.0 * normal)
              + (0.0, (-0.5 if k < 3 else 0.5) * length, 0.0)) for k in range(6)]
    along = (0.0, 1.0, 0.0)
    normals = [-np.tile(along, (segments + 1, 1))] * 2 + [normal] * 2 + [
        np.tile(along, (segments + 1, 1))] * 2
    cols = segments + 1
    a = (np.array([0, 2, 4])[:, None] * cols + np.arange(segments)).ravel()
    faces = np.concatenate([np.stack([a, a + 1, a + cols + 1], 1),
                            np.stack([a, a + cols + 1, a + cols], 1)])
    vertices = np.concatenate(rings) + centre
    return oriented(Mesh(vertices, faces, np.concatenate(normals),
                         np.zeros((len(vertices), 2))))


def _wedged(mesh: Mesh, p: LaptopParameters) -> Mesh:
    """The base's mesh with its heights scaled from rear_m at x = 0 to front_m at the front."""
    slope = (p.front_m / p.rear_m - 1.0) / p.depth_m
    vertices = mesh.vertices.copy()
    vertices[:, 2] *= 1.0 + slope * vertices[:, 0]
    # Gradient of the inverse map carries the normals.
    scale = 1.0 + slope * mesh.vertices[:, 0]
    normals = mesh.normals.copy()
    normals[:, 0] -= mesh.normals[:, 2] * mesh.vertices[:, 2] * slope / scale
    normals[:, 2] /= scale
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return replace(mesh, vertices=vertices, normals=normals)


def _raised(mesh: Mesh, p: LaptopParameters, axis_m: np.ndarray) -> Mesh:
    """The lid's mesh, made lying with its back up over the deck, opened about the hinge's axis."""
    angle = np.radians(p.angle_deg)
    along = np.array([np.cos(angle), 0.0, np.sin(angle)])
    back = np.array([-np.sin(angle), 0.0, np.cos(angle)])
    rotation = np.stack([along, (0.0, 1.0, 0.0), back], axis=1)
    local = mesh.vertices + (0.8 * p.hinge_radius_m, 0.0, -0.5 * p.lid_m)
    return replace(mesh, vertices=local @ rotation.T + axis_m, normals=mesh.normals @ rotation.T)


def _hinges(p: LaptopParameters, axis_m: np.ndarray) -> dict[str, Mesh]:
    if p.hinge == 'bar':
        return {'hinge': _rod(p.hinge_radius_m, axis_m, 0.78 * p.width_m)}
    length = 0.13 * p.width_m if p.hinge == 'pair' else 0.05 * p.width_m
    offset = np.array([0.0, 0.32 * p.width_m, 0.0])
    return {'hinge_left': _rod(p.hinge_radius_m, axis_m - offset, length),
            'hinge_right': _rod(p.hinge_radius_m, axis_m + offset, length)}


def build(p: LaptopParameters) -> Shape:
    """The laptop's meshes: base, deck (keyboard side), lid with its back and screen, hinges.

    Texture coordinates run upright and unmirrored for who looks at them: on deck and screen for
    the user at +x, on the lid's back for who stands behind it.
    """
    base = slab(p.depth_m, p.width_m, p.rear_m, p.corner_m,
                min(p.base_edge_m, 0.45 * p.front_m), 0.0008)
    lid = slab(p.lid_height_m, p.width_m, p.lid_m, p.corner_m, 0.0006, 0.3 * p.lid_m)
    axis = np.array([p.hinge_radius_m, 0.0, p.rear_m + 0.35 * p.hinge_radius_m])
    # Closed over the deck, the lid shows its screen below and its back above. Seen by the user
    # when open, v runs from the hinge to the top; from behind, u runs the other way.
    screen, back = lid['bottom'], lid['top']
    screen = replace(screen, uv=np.stack([screen.uv[:, 0], 1.0 - screen.uv[:, 1]], 1))
    back = replace(back, uv=1.0 - back.uv)
    meshes = {'base': (_wedged(base['sides'], p), 'shell'),
              'bottom': (_wedged(base['bottom'], p), 'bottom'),
              'deck': (_wedged(base['top'], p), 'deck'),
              'lid': (_raised(lid['sides'], p, axis), 'lid_rim'),
              'back': (_raised(back, p, axis), 'lid'),
              'screen': (_raised(screen, p, axis), 'screen')}
    meshes |= {name: (mesh, 'hinge') for name, mesh in _hinges(p, axis).items()}
    return boxed('laptop', meshes, np.array([p.depth_m, 0.0, 0.5 * p.front_m]), asdict(p))


def sample(rng: np.random.Generator) -> Shape:
    """A random laptop."""
    return build(sample_parameters(rng))


def sample_look(rng: np.random.Generator, shape: Shape) -> Look:
    """Paints of a laptop."""
    return paint_laptop(rng, LaptopParameters(**shape.parameters))
