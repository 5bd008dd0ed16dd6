# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Closed solids with rounded edges: an outline drawn in a plane, lofted along the third axis.

An outline is a closed polyline (N, 2), counter-clockwise, its first point not repeated. Solids are
lofted along z; :func:`facing` turns them so that they stand along x or y instead.
"""

from __future__ import annotations

import numpy as np

from .surfaces import Mesh, oriented


def rounded_polygon(corners: np.ndarray, radius: float | np.ndarray, steps: int = 5) -> np.ndarray:
    """The outline of a convex polygon (K, 2), counter-clockwise, each corner an arc.

    radius: one for all corners, or (K,); cut down where an edge is too short for it.
    """
    corners = np.asarray(corners, dtype=np.float64)
    radii = np.broadcast_to(np.asarray(radius, dtype=np.float64), len(corners))
    before, after = np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0)
    points: list[np.ndarray] = []
    for corner, a, b, r in zip(corners, before, after, radii, strict=True):
        back, ahead = a - corner, b - corner
        room = 0.499 * min(np.linalg.norm(back), np.linalg.norm(ahead))
        back, ahead = back / np.linalg.norm(back), ahead / np.linalg.norm(ahead)
        half = 0.5 * np.arccos(np.clip(back @ ahead, -1.0, 1.0))
        cut = min(r / np.tan(half), room)
        fillet = cut * np.tan(half)
        middle = back + ahead
        centre = corner + middle / np.linalg.norm(middle) * fillet / np.sin(half)
        start = corner + back * cut - centre
        turn = np.linspace(0.0, np.pi - 2.0 * half, steps + 1)
        cos, sin = np.cos(turn), np.sin(turn)
        points.append(centre + np.stack([cos * start[0] - sin * start[1],
                                         sin * start[0] + cos * start[1]], 1))
    return np.concatenate(points)


def rounded_rectangle(width: float, height: float, radius: float | np.ndarray,
                      steps: int = 5) -> np.ndarray:
    """The outline of a rectangle about the origin; radii from the lower left corner onwards."""
    a, b = width / 2.0, height / 2.0
    return rounded_polygon(np.array([(-a, -b), (a, -b), (a, b), (-a, b)]), radius, steps)


def superellipse(half_a: float, half_b: float, exponent: float, count: int = 48) -> np.ndarray:
    """The outline |x / a|^e + |y / b|^e = 1: an ellipse for 2, squarer for more."""
    angle = np.arange(count) / count * 2.0 * np.pi
    cos, sin = np.cos(angle), np.sin(angle)
    power = 2.0 / exponent
    return np.stack([half_a * np.sign(cos) * np.abs(cos) ** power,
                     half_b * np.sign(sin) * np.abs(sin) ** power], 1)


def circle(radius: float, count: int = 40) -> np.ndarray:
    """The outline of a circle about the origin."""
    return superellipse(radius, radius, 2.0, count)


def _normals(points: np.ndarray, closed: bool) -> np.ndarray:
    """(N, 2) to the right of a polyline; long edges count more, so that flat sides stay flat."""
    steps = np.diff(points, axis=0, append=points[:1])
    if not closed:
        steps = steps[:-1]
    length = np.linalg.norm(steps, axis=1, keepdims=True)
    weighted = np.stack([steps[:, 1], -steps[:, 0]], 1) * length
    if closed:
        total = weighted + np.roll(weighted, 1, axis=0)
    else:
        total = np.concatenate([weighted, weighted[-1:]])
        total[1:-1] += weighted[:-1]
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-15)


def _strip(outline: np.ndarray, normals: np.ndarray, profile: np.ndarray, v: np.ndarray) -> Mesh:
    """One smooth run of a loft."""
    turn = _normals(profile * (-1.0, 1.0), closed=False)  # the inset grows inwards
    ring = np.concatenate([outline, outline[:1]])
    out = np.concatenate([normals, normals[:1]])
    steps = np.linalg.norm(np.diff(ring, axis=0), axis=1)
    u = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    flat = ring[None] - profile[:, None, :1] * out[None]
    rows, cols = len(profile), len(ring)
    vertices = np.concatenate([flat, np.broadcast_to(profile[:, None, 1:], (rows, cols, 1))], -1)
    normal = np.concatenate([turn[:, None, :1] * out[None],
                             np.broadcast_to(turn[:, None, 1:], (rows, cols, 1))], -1)
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(cols - 1), indexing='ij')
    a = (i * cols + j).ravel()
    faces = np.concatenate([np.stack([a, a + 1, a + cols + 1], 1),
                            np.stack([a, a + cols + 1, a + cols], 1)])
    uv = np.stack([np.broadcast_to(u, (rows, cols)),
                   np.broadcast_to(v[:, None], (rows, cols))], -1)
    return Mesh(vertices.reshape(-1, 3), faces, normal.reshape(-1, 3), uv.reshape(-1, 2))


def loft(outline: np.ndarray, profile: np.ndarray, crisp_deg: float = 35.0) -> Mesh:
    """An open surface: the outline moved along a profile (P, 2) of (inset, z), metres.

    The inset moves every point against the outline's normal, so a taper or a bevel is even all
    around. The profile has the outside to its right (up the outer wall, in over the rim); where it
    bends by more than ``crisp_deg`` the edge stays sharp. uv: share of the way around from the
    outline's first point, share of the profile's length.
    """
    outline, profile = np.asarray(outline, np.float64), np.asarray(profile, np.float64)
    normals = _normals(outline, closed=True)
    steps = np.diff(profile, axis=0)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(steps, axis=1))])
    v = length / length[-1]
    heading = steps / np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), 1e-15)
    bend = np.einsum('ij,ij->i', heading[1:], heading[:-1])
    cuts = [0, *(np.flatnonzero(bend < np.cos(np.radians(crisp_deg))) + 1), len(profile) - 1]
    return merged([_strip(outline, normals, profile[a:b + 1], v[a:b + 1])
                   for a, b in zip(cuts[:-1], cuts[1:], strict=True)])


def _cap(ring: np.ndarray, z: float, up: bool, low: np.ndarray, span: np.ndarray) -> Mesh:
    points = np.concatenate([ring, ring.mean(0, keepdims=True)])
    vertices = np.concatenate([points, np.full((len(points), 1), z)], 1)
    k = np.arange(len(ring))
    faces = np.stack([np.full(len(ring), len(ring)), k, np.roll(k, -1)], 1)
    normals = np.tile((0.0, 0.0, 1.0 if up else -1.0), (len(points), 1))
    return Mesh(vertices, faces if up else faces[:, ::-1], normals, (points - low) / span)


def prism(outline: np.ndarray, low: float, high: float, bevel: float = 0.0,
          bevel_low: float | None = None, taper: float = 0.0, steps: int = 4) -> Mesh:
    """A closed solid: the outline (seen whole from its middle) from z = low to high.

    bevel, bevel_low: radius of the rounded edges at the top and at the bottom (the same when not
    given); no more than the outline's own corners have. taper: share by which the top is smaller
    than the bottom, about the outline's box. uv: of the sides as in :func:`loft`; of the caps over
    the outline's bounding box.
    """
    outline = np.asarray(outline, dtype=np.float64)
    under = bevel if bevel_low is None else bevel_low
    turn = np.linspace(0.0, np.pi / 2.0, steps + 1)
    profile = [(under * (1.0 - np.sin(a)), low + under * (1.0 - np.cos(a))) for a in turn] \
        if under > 0.0 else [(0.0, low)]
    profile += [(bevel * (1.0 - np.cos(a)), high - bevel * (1.0 - np.sin(a)))
                for a in turn] if bevel > 0.0 else [(0.0, high)]
    normals = _normals(outline, closed=True)
    corner = outline.min(0)
    span = np.maximum(np.ptp(outline, axis=0), 1e-9)
    solid = merged([loft(outline, np.array(profile)),
                    _cap(outline - profile[0][0] * normals, low, False, corner, span),
                    _cap(outline - profile[-1][0] * normals, high, True, corner, span)])
    return _tapered(solid, corner + span / 2.0, low, high, taper) if taper else solid


def _tapered(mesh: Mesh, centre: np.ndarray, low: float, high: float, taper: float) -> Mesh:
    slope = -taper / (high - low)
    scale = 1.0 + slope * (mesh.vertices[:, 2:] - low)
    across = mesh.vertices[:, :2] - centre
    vertices = np.concatenate([centre + across * scale, mesh.vertices[:, 2:]], 1)
    # Normals follow the inverse transpose of the map's derivative.
    lean = slope * np.einsum('ij,ij->i', mesh.normals[:, :2], across)[:, None] / scale
    normals = np.concatenate([mesh.normals[:, :2] / scale, mesh.normals[:, 2:] - lean], 1)
    return Mesh(vertices, mesh.faces, normals / np.linalg.norm(normals, axis=1, keepdims=True),
                mesh.uv)


def rounded_box(size: np.ndarray, corner: float, edge: float, axis: int = 2) -> Mesh:
    """A box about the origin, (3,) metres, with large radii around one axis, small ones across.

    corner: radius of the four edges along ``axis`` (0 x, 1 y, 2 z); edge: of the eight others.
    """
    across = np.roll(np.asarray(size, dtype=np.float64), -(axis + 1))
    outline = rounded_rectangle(across[0], across[1], max(corner, edge))
    return facing(prism(outline, -across[2] / 2.0, across[2] / 2.0, edge), axis)


def turned(profile: np.ndarray, count: int = 40) -> Mesh:
    """A surface of revolution about z: profile (P, 2) of (radius, z), outside to its right."""
    profile = np.asarray(profile, dtype=np.float64)
    radius = float(profile[:, 0].max())
    return loft(circle(radius, count), np.stack([radius - profile[:, 0], profile[:, 1]], 1))


def cylinder(radius: float, low: float, high: float, edge: float = 0.0, axis: int = 2,
             count: int = 40) -> Mesh:
    """A closed cylinder along an axis (0 x, 1 y, 2 z) from low to high, its edges rounded."""
    return facing(prism(circle(radius, count), low, high, edge, steps=2), axis)


def facing(mesh: Mesh, axis: int) -> Mesh:
    """The solid turned so that its z lies along an axis: (a, b, z) to x: (z, a, b); y: (b, z, a).

    Seen along x from the front, an outline's a is then the object's y and its b the object's z.
    """
    return Mesh(np.roll(mesh.vertices, axis + 1, axis=1), mesh.faces,
                np.roll(mesh.normals, axis + 1, axis=1), mesh.uv)


def rotated(mesh: Mesh, R: np.ndarray) -> Mesh:
    """The mesh under a rotation (3, 3)."""
    return Mesh(mesh.vertices @ R.T, mesh.faces, mesh.normals @ R.T, mesh.uv)


def merged(meshes: list[Mesh]) -> Mesh:
    """Several meshes as one; ValueError for none."""
    offsets = np.cumsum([0, *(len(m.vertices) for m in meshes[:-1])])
    return oriented(Mesh(np.concatenate([m.vertices for m in meshes]),
                         np.concatenate([m.faces + k for m, k in zip(meshes, offsets,
                                                                     strict=True)]),
                         np.concatenate([m.normals for m in meshes]),
                         np.concatenate([m.uv for m in meshes])))
