# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Meshes made of two kinds of surface: a profile turned about z and a section swept on a path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mesh:
    """Triangles with smooth normals and texture coordinates, in the object frame, metres.

    vertices (N, 3), faces (M, 3) int, normals (N, 3) unit and outwards, uv (N, 2).
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    uv: np.ndarray

    def moved(self, offset_m: np.ndarray) -> Mesh:
        """The same mesh, shifted."""
        return Mesh(self.vertices + np.asarray(offset_m), self.faces, self.normals, self.uv)

    def turned(self, angle_rad: float) -> Mesh:
        """The same mesh, turned about z, from x to y."""
        c, s = np.cos(angle_rad), np.sin(angle_rad)
        turn = np.array([(c, s, 0.0), (-s, c, 0.0), (0.0, 0.0, 1.0)])
        return Mesh(self.vertices @ turn, self.faces, self.normals @ turn, self.uv)


def _grid_faces(rows: int, cols: int) -> np.ndarray:
    """Triangles of a (rows, cols) grid of vertices stored row by row."""
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(cols - 1), indexing='ij')
    a = (i * cols + j).ravel()
    b, c, d = a + 1, a + cols, a + cols + 1
    return np.concatenate([np.stack([a, b, d], 1), np.stack([a, d, c], 1)])


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12)


def revolve(profile: np.ndarray, v: np.ndarray, segments: int = 56) -> Mesh:
    """Turns a profile about z.

    profile: (P, 2) of (radius, z), ordered so that the outside lies to its right (up the outside
    wall, in over the rim, down the inside). v: (P,) texture coordinate along the profile; u runs
    once around, starting at the x axis, with the seam's vertices doubled.
    """
    profile = np.asarray(profile, dtype=np.float64)
    tangent = np.empty_like(profile)
    steps = _unit(np.diff(profile, axis=0))
    tangent[0], tangent[-1] = steps[0], steps[-1]
    tangent[1:-1] = _unit(steps[:-1] + steps[1:])
    normal_rz = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)
    angle = np.linspace(0.0, 2.0 * np.pi, segments + 1)
    cos, sin = np.cos(angle), np.sin(angle)
    r, z = profile[:, :1], profile[:, 1:]
    vertices = np.stack([r * cos, r * sin, np.broadcast_to(z, r.shape[:1] + cos.shape)], -1)
    nr, nz = normal_rz[:, :1], normal_rz[:, 1:]
    normals = np.stack([nr * cos, nr * sin, np.broadcast_to(nz, nr.shape[:1] + cos.shape)], -1)
    u = np.broadcast_to(angle / (2.0 * np.pi), vertices.shape[:2])
    uv = np.stack([u, np.broadcast_to(np.asarray(v)[:, None], u.shape)], -1)
    faces = _grid_faces(len(profile), segments + 1)
    return Mesh(vertices.reshape(-1, 3), faces, normals.reshape(-1, 3), uv.reshape(-1, 2))


def sweep_xz(path: np.ndarray, half_width: np.ndarray, half_thickness: np.ndarray,
             exponent: float, segments: int = 20) -> Mesh:
    """Sweeps a superellipse along a path in the plane y = 0.

    path: (P, 2) of (x, z). half_width: (P,) along y; half_thickness: (P,) in the plane, across
    the path. exponent: 2 for an ellipse, larger for rounded rectangles.
    """
    path = np.asarray(path, dtype=np.float64)
    tangent = _unit(np.gradient(path, axis=0))
    across = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    angle = np.linspace(0.0, 2.0 * np.pi, segments + 1)
    power = 2.0 / exponent
    cos, sin = np.cos(angle), np.sin(angle)
    section_y = np.sign(cos) * np.abs(cos) ** power
    section_n = np.sign(sin) * np.abs(sin) ** power
    y = half_width[:, None] * section_y
    n = half_thickness[:, None] * section_n
    vertices = np.stack([path[:, :1] + across[:, :1] * n, y, path[:, 1:] + across[:, 1:] * n], -1)
    # Gradient of the superellipse |y/a|^e + |n/b|^e gives its normal.
    ny = np.sign(section_y) * np.abs(section_y) ** (exponent - 1.0) / half_width[:, None]
    nn = np.sign(section_n) * np.abs(section_n) ** (exponent - 1.0) / half_thickness[:, None]
    normals = _unit(np.stack([across[:, :1] * nn, ny, across[:, 1:] * nn], -1))
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    u = np.broadcast_to(angle / (2.0 * np.pi), y.shape)
    v = np.broadcast_to((length / length[-1])[:, None], y.shape)
    faces = _grid_faces(len(path), segments + 1)
    mesh = Mesh(vertices.reshape(-1, 3), faces, normals.reshape(-1, 3),
                np.stack([u, v], -1).reshape(-1, 2))
    return oriented(mesh)


def oriented(mesh: Mesh) -> Mesh:
    """The mesh with every triangle wound so that its face normal agrees with its vertex normals."""
    corners = mesh.vertices[mesh.faces]
    face_normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    wrong = np.einsum('ij,ij->i', face_normal, mesh.normals[mesh.faces].sum(1)) < 0
    faces = mesh.faces.copy()
    faces[wrong] = faces[wrong][:, ::-1]
    return Mesh(mesh.vertices, faces, mesh.normals, mesh.uv)


def resample(path: np.ndarray, count: int) -> np.ndarray:
    """(count, 2) points at equal steps of arc length along a polyline (N, 2)."""
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    at = np.linspace(0.0, length[-1], count)
    return np.stack([np.interp(at, length, path[:, k]) for k in range(2)], axis=1)


def box(size: np.ndarray) -> Mesh:
    """An axis-aligned box centred at the origin, (3,) metres, with flat faces and uv per face."""
    vertices: list[np.ndarray] = []
    normals: list[np.ndarray] = []
    uv: list[np.ndarray] = []
    faces: list[list[int]] = []
    half = np.asarray(size, dtype=np.float64) / 2.0
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float64)
    for axis in range(3):
        for sign in (-1.0, 1.0):
            quad = np.insert(corners, axis, sign, axis=1) * half
            normal = np.zeros(3)
            normal[axis] = sign
            first = 4 * len(vertices)
            vertices.append(quad)
            normals.append(np.tile(normal, (4, 1)))
            uv.append((corners + 1.0) / 2.0)
            faces += [[first, first + 1, first + 2], [first, first + 2, first + 3]]
    return oriented(Mesh(np.concatenate(vertices), np.array(faces), np.concatenate(normals),
                         np.concatenate(uv)))
