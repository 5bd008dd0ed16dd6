# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Meshes whose section changes on the way up: from a rounded rectangle into a round neck, say."""

from __future__ import annotations

import numpy as np

from .surfaces import _grid_faces, _unit, Mesh, oriented


def fillet(points: list[tuple[float, float]], radius: float | list[float],
           steps: int = 5) -> np.ndarray:
    """(N, 2) polyline with its inner corners rounded.

    radius: how far from a corner the rounding starts, metres, for all or for each inner corner;
    never more than 0.45 of the shorter side. steps: points a corner.
    """
    p = np.asarray(points, dtype=np.float64)
    radii = np.broadcast_to(np.asarray(radius, dtype=np.float64), len(p) - 2)
    length = np.linalg.norm(np.diff(p, axis=0), axis=1)
    t = np.linspace(0.0, 1.0, steps)[:, None]
    pieces = [p[:1]]
    for k in range(1, len(p) - 1):
        cut = min(radii[k - 1], 0.45 * length[k - 1], 0.45 * length[k])
        before = p[k] + (p[k - 1] - p[k]) * cut / length[k - 1]
        after = p[k] + (p[k + 1] - p[k]) * cut / length[k]
        pieces.append((1.0 - t) ** 2 * before + 2.0 * t * (1.0 - t) * p[k] + t ** 2 * after)
    return np.concatenate([*pieces, p[-1:]])


def _section(half_x: np.ndarray, half_y: np.ndarray, exponent: np.ndarray,
             phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x and y, (P, S), of superellipses of P sizes at S angles."""
    cos, sin = np.cos(phi), np.sin(phi)
    e = exponent[:, None]
    scale = (np.abs(cos) ** e + np.abs(sin) ** e) ** (-1.0 / e)
    return half_x[:, None] * cos * scale, half_y[:, None] * sin * scale


def loft(half_x: np.ndarray, half_y: np.ndarray, z: np.ndarray, exponent: np.ndarray | float,
         v: np.ndarray, segments: int = 64, span: tuple[float, float] = (0.0, 1.0)) -> Mesh:
    """Superellipses stacked along z.

    half_x, half_y, z: (P,) metres, ordered so that the outside lies to the right of the profile
    (as for ``revolve``). exponent: 2 for ellipses, more for rounded rectangles, (P,) or one.
    v: (P,) texture coordinate. span: the part of the turn that is made, in turns from the x axis;
    u runs from 0 to 1 over it, at an even pace along the widest section.
    """
    hx, hy, z = (np.asarray(a, dtype=np.float64) for a in (half_x, half_y, z))
    e = np.broadcast_to(np.asarray(exponent, dtype=np.float64), hx.shape)
    phi = 2.0 * np.pi * np.linspace(span[0], span[1], segments + 1)
    x, y = _section(hx, hy, e, phi)
    vertices = np.stack([x, y, np.broadcast_to(z[:, None], x.shape)], -1)
    # Around: from a section that is never quite a point, so that the poles have a direction too.
    least = 1e-5
    ahead = np.stack(_section(hx + least, hy + least, e, phi + 1e-4), -1)
    behind = np.stack(_section(hx + least, hy + least, e, phi - 1e-4), -1)
    around = np.concatenate([ahead - behind, np.zeros((*x.shape, 1))], -1)
    # Along: the mean of the two steps that meet there; a doubled row makes a sharp edge.
    steps = _unit(np.diff(vertices, axis=0))
    along = np.concatenate([steps[:1], steps[:-1] + steps[1:], steps[-1:]])
    normals = _unit(np.cross(_unit(around), _unit(along)))
    widest = int(np.argmax(hx + hy))
    pace = np.linalg.norm(np.diff(vertices[widest], axis=0), axis=1)
    u = np.concatenate([[0.0], np.cumsum(pace)]) / pace.sum()
    uv = np.stack(np.broadcast_arrays(u[None, :], np.asarray(v, dtype=np.float64)[:, None]), -1)
    return oriented(Mesh(vertices.reshape(-1, 3), _grid_faces(len(z), segments + 1),
                         normals.reshape(-1, 3), uv.reshape(-1, 2)))
