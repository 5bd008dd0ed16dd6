# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Copies of a mesh that differ as other objects of its kind might: size, proportions, colours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .categories import SYMMETRY_FREE_Z
from .looks import GLASS, Look, Paint, sample_color
from .manifest import Variation
from .mesh_paint import Coat, REFLECTANCE
from .meshes import LoadedMesh
from .shapes import Part, Shape
from .shapes.surfaces import Mesh

#: Roughness of finishes that a file leaves open.
_ROUGHNESS = {'matte': (0.5, 0.9), 'satin': (0.25, 0.45), 'glazed': (0.05, 0.16),
              'metal': (0.15, 0.45), GLASS: (0.0, 0.0)}


def stretched(shape: Shape, factors: np.ndarray) -> Shape:
    """The shape scaled by (3,) factors along the object frame's axes."""
    parts = {}
    for name, part in shape.parts.items():
        normals = part.mesh.normals / factors
        normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
        parts[name] = Part(Mesh(part.mesh.vertices * factors, part.mesh.faces, normals,
                                part.mesh.uv), part.material)
    return replace(shape, parts=parts, front_point_m=shape.front_point_m * factors)


def color_change(rng: np.random.Generator) -> np.ndarray:
    """(3, 3) matrix for linear colours: any hue turned, more or less colourful and bright.

    Greys stay grey but for their brightness.
    """
    angle = rng.uniform(0.0, 2.0 * np.pi)
    colorful, gain = rng.uniform(0.4, 1.2), rng.uniform(0.7, 1.15)
    grey = np.full((3, 3), 1.0 / 3.0)
    k = np.full(3, 3.0 ** -0.5)
    cross = np.array([[0.0, -k[2], k[1]], [k[2], 0.0, -k[0]], [-k[1], k[0], 0.0]])
    turn = np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross
    return gain * (grey + colorful * (np.eye(3) - grey) @ turn)


def _paints(coats: dict[str, Coat], rng: np.random.Generator,
            change: np.ndarray | None) -> dict[str, Paint]:
    # What nobody says anything of is one colour and one finish all over the object.
    open_color = sample_color(rng)
    open_finish = str(rng.choice(('matte', 'satin', 'glazed'), p=(0.35, 0.4, 0.25)))
    gloss = rng.random()
    paints = {}
    for name, coat in coats.items():
        color = open_color if coat.color is None else coat.color
        if change is not None and coat.color is not None:
            color = np.clip(color @ change.T.astype(np.asarray(color).dtype), *REFLECTANCE)
        finish = coat.finish or open_finish
        if finish == GLASS:  # which has no print
            color = np.asarray(color).reshape(-1, 3).mean(0)
        low, high = _ROUGHNESS[finish]
        paints[name] = Paint(color, finish, float(
            low + gloss * (high - low) if coat.roughness is None else coat.roughness))
    return paints


def vary(mesh: LoadedMesh, copy: int, rng: np.random.Generator, symmetry: str,
         variation: Variation) -> tuple[Shape, Look]:
    """Copy number ``copy`` of a mesh; number 0 is the mesh as it is, but for what its file leaves
    open. Round things stay round. The same generator gives the same copy.
    """
    size = np.exp(rng.normal(0.0, 1.0) * variation.scale)
    each = np.exp(np.clip(rng.normal(0.0, 1.0, 3), -2.0, 2.0) * variation.stretch)
    if symmetry == SYMMETRY_FREE_Z:
        each[1] = each[0]
    change = color_change(rng)
    recolour = rng.random() < variation.recolour
    factors = size * each if copy > 0 else np.ones(3)
    recolour = recolour and copy > 0
    paints = _paints(mesh.coats, rng, change if recolour else None)
    shape = replace(stretched(mesh.shape, factors), parameters={
        'copy': copy, 'factors': [round(float(f), 5) for f in factors], 'recoloured': recolour})
    textured = any(p.color.ndim == 3 for p in paints.values())
    return shape, Look(paints, 'textured' if textured else 'plain')
