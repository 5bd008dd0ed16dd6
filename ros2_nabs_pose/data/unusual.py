# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Objects as no family and no folder of meshes has them, for networks to learn from.

A model that has seen a few kinds of a category alone reads a pose off what these kinds have in
common, and fails on the next kind. So a share of what is rendered may be made unusual: bent out of
shape by smooth maps of space, and with further parts. Families build theirs with other measures
before (unusual_measures.py), or a rarer kind takes the object's place (further). Poses stay what
they were: no map moves the axes, an axis of symmetry stays one, and a front stays in front.

Whether an instance is unusual, and how, is drawn from a stream of its own, so that all others stay
as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .categories import about_axis, ORIGIN_BOX, SYMMETRY_FREE_Z
from .looks import GLASS, Look, Paint, sample_color
from .shapes import Part, Shape
from .shapes.solids import circle, facing, loft, prism, rounded_box, superellipse
from .shapes.surfaces import Mesh

STREAM = 7
"""Of random numbers, beside those of rendering.STREAMS."""
TAPER, BULGE, BEND = 0.16, 0.14, 0.12
"""Standard deviations of what maps do at the ends or in the middle of an object's box, as shares of
its size there, where there is no axis; twice as much at most."""
WAVES = (0.22, 0.18, 0.12)
"""Standard deviations of the log of how much wider what has an axis gets: towards one end, in the
middle against both ends, and in one half against the other."""
SIDED, SIDES = 0.3, (4, 9)
"""Share of what has an axis that gets flat sides, and how many, least and one more than most."""
REACH, THICK = (0.65, 1.5), (0.6, 1.8)
"""Factors, least and most, of how far a front part (a mug's handle) stands out, and of its width.
"""
BLOCKS, SIDE_BLOCKS, RINGS = (1, 5), (0, 2), (0, 3)
"""Further parts, least and one more than most: blocks of what has no axis, blocks beside the axis
of what may be spun about it (a mug's might be taken for its handle), and rings about an axis."""
SECTORS = 16
"""Around an axis, in which it is looked for how wide a body is."""
LARGEST_BLOCK = 0.65
"""Of the object's size along each side; half of that beside an axis."""
RECOLOURED = 0.25
"""Share of an unusual object's materials that get a colour drawn for themselves."""

#: Maps points (N, 3), in half sizes of the box about its middle, to where they go.
_Map = Callable[[np.ndarray], np.ndarray]


def made_unusual(shape: Shape, look: Look, symmetry: str, origin: str,
                 rng: np.random.Generator) -> tuple[Shape, Look]:
    """Shape and look of an object, made unusual; its ``parameters`` say so.

    symmetry, origin: the category's (categories.py). What has an axis keeps it: maps widen and
    narrow it on its way up and may give it flat sides, further parts are rings and perhaps a block
    at the side of what has no front. A front part, such as a mug's handle, reaches farther or less
    far and is wider or narrower. What has no axis is bulged and bent, and gets blocks. The front
    point goes where the maps take it.
    """
    has_axis = about_axis(symmetry, origin)
    if shape.front_part is not None and len(shape.parts) > 1:
        shape = _other_front(shape, rng)
    shape = _mapped(shape, _map(rng, has_axis), has_axis)
    if has_axis:
        extra = _rings(shape, rng)
        if symmetry == SYMMETRY_FREE_Z:
            extra |= _blocks(shape, rng, int(rng.integers(*SIDE_BLOCKS)), 0.5 * LARGEST_BLOCK)
    else:
        extra = _blocks(shape, rng, int(rng.integers(*BLOCKS)), LARGEST_BLOCK)
    paints = {name: _paint(rng) if rng.random() < RECOLOURED and paint.finish != GLASS else paint
              for name, paint in look.paints.items()}
    paints |= {name: _paint(rng) for name in extra}
    shape = replace(shape, parts=shape.parts | extra,
                    parameters=shape.parameters | {'unusual': True, 'extra_parts': len(extra)})
    if origin == ORIGIN_BOX:  # but an axis stays where it is
        shape = _moved(shape, -shape.box_center_m * ((0.0, 0.0, 1.0) if has_axis else 1.0))
    return shape, replace(look, paints=paints, pattern=f'unusual {look.pattern}')


def is_unusual(meta: dict) -> bool:
    """Whether a stored instance, by its meta, was made unusual."""
    return bool(meta.get('shape', {}).get('unusual', False))


def _paint(rng: np.random.Generator) -> Paint:
    finish = str(rng.choice(('matte', 'satin', 'glazed')))
    dark = rng.random() < 0.35  # plastics, rubber, screens
    return Paint(np.full(3, rng.uniform(0.01, 0.05)) if dark else sample_color(rng), finish,
                 {'matte': 0.7, 'satin': 0.35, 'glazed': 0.1}[finish])


def _moved(shape: Shape, offset_m: np.ndarray) -> Shape:
    return replace(shape, front_point_m=shape.front_point_m + offset_m,
                   parts={name: Part(part.mesh.moved(offset_m), part.material)
                          for name, part in shape.parts.items()})


def _map(rng: np.random.Generator, has_axis: bool) -> _Map:
    """A smooth map that keeps the box's middle and the directions of the axes there."""
    def draw(std: float) -> float:
        return std * float(np.clip(rng.normal(), -2.0, 2.0))

    if has_axis:
        waves = [draw(std) for std in WAVES]
        sides = int(rng.integers(*SIDES)) if rng.random() < SIDED else 0
        sharp, start = float(rng.uniform(0.4, 1.0)), float(rng.uniform(0.0, 2.0 * np.pi))

        def about_axis(u: np.ndarray) -> np.ndarray:
            height = np.clip(u[:, 2], -1.0, 1.0)
            factor = np.exp(waves[0] * height + waves[1] * np.cos(np.pi * height)
                            + waves[2] * np.sin(np.pi * height))
            if sides:
                part = 2.0 * np.pi / sides
                off = np.mod(np.arctan2(u[:, 1], u[:, 0]) - start, part) - 0.5 * part
                factor = factor * (np.cos(0.5 * part) / np.cos(off)) ** sharp
            return u * np.stack([factor, factor, np.ones_like(factor)], 1)
        return about_axis
    taper, bulge = draw(TAPER), draw(BULGE)
    narrower, rounder, bend = draw(TAPER), draw(BULGE), draw(BEND)

    def anywhere(u: np.ndarray) -> np.ndarray:
        x, y, z = u.T
        # Narrower or wider towards the top and the front, a curved front and back, and ends that
        # point forwards or backwards; left and right alike, so that nothing leans.
        across = (1.0 + taper * z) * (1.0 + narrower * x) * (1.0 + bulge * (1.0 - z ** 2))
        deep = (1.0 + taper * z) * (1.0 + rounder * (1.0 - y ** 2))
        tall = 1.0 + narrower * x
        return np.stack([x * deep + bend * (y ** 2 - 1.0 / 3.0), y * across, z * tall], 1)
    return anywhere


def _body(shape: Shape) -> np.ndarray:
    """(N, 3) vertices of all parts but the front one; of all where there is no other."""
    return np.concatenate([part.mesh.vertices for name, part in shape.parts.items()
                           if name != shape.front_part or len(shape.parts) == 1])


def _mapped(shape: Shape, move: _Map, has_axis: bool) -> Shape:
    """The shape under a map of its box; where there is an axis, of its body's about the axis."""
    points = _body(shape) if has_axis else shape.vertices
    low, high = points.min(0), points.max(0)
    half = 0.5 * np.maximum(high - low, 1e-6)
    middle = 0.5 * (low + high) * ((0.0, 0.0, 1.0) if has_axis else 1.0)

    def there(points: np.ndarray) -> np.ndarray:
        return middle + half * move((np.atleast_2d(points) - middle) / half)

    parts = {name: Part(_mesh_mapped(part.mesh, there), part.material)
             for name, part in shape.parts.items()}
    return replace(shape, parts=parts, front_point_m=there(shape.front_point_m)[0])


def _mesh_mapped(mesh: Mesh, there: Callable[[np.ndarray], np.ndarray]) -> Mesh:
    """A mesh moved by a map; its normals follow the inverse transpose of the map's derivative."""
    step = 1e-6
    columns = [(there(mesh.vertices + step * e) - there(mesh.vertices - step * e)) / (2.0 * step)
               for e in np.eye(3)]
    jacobian = np.stack(columns, -1)  # (N, 3, 3)
    normals = np.einsum('nij,nj->ni', np.linalg.inv(jacobian).transpose(0, 2, 1), mesh.normals)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return Mesh(there(mesh.vertices), mesh.faces, normals / np.maximum(length, 1e-30), mesh.uv)


def _other_front(shape: Shape, rng: np.random.Generator) -> Shape:
    """The shape, its front part reaching farther or less far, and wider or narrower."""
    assert shape.front_part is not None
    part = shape.parts[shape.front_part]
    reach, width = (float(np.exp(rng.uniform(*np.log(span)))) for span in (REACH, THICK))
    x, y, z = part.mesh.vertices.T
    middle = 0.5 * float(y.min() + y.max())
    # Where it is joined on, at its lower and its upper end, so that it stays joined.
    lower = z <= 0.5 * (z.min() + z.max())
    ends = [np.flatnonzero(half)[x[half].argmin()] for half in (lower, ~lower) if half.any()]

    def there(points: np.ndarray) -> np.ndarray:
        root = np.interp(points[:, 2], z[ends], x[ends])
        return np.stack([root + reach * (points[:, 0] - root),
                         middle + width * (points[:, 1] - middle), points[:, 2]], 1)

    front = Part(_mesh_mapped(part.mesh, there), part.material)
    return replace(shape, parts=shape.parts | {shape.front_part: front},
                   front_point_m=there(shape.front_point_m[None])[0])


def _rings(shape: Shape, rng: np.random.Generator) -> dict[str, Part]:
    """Collars around what has an axis, open in the middle so that vessels stay open."""
    body = _body(shape)
    low, high = float(body[:, 2].min()), float(body[:, 2].max())
    height = high - low
    radius = np.linalg.norm(body[:, :2], axis=1)
    sector = np.floor(np.arctan2(body[:, 1], body[:, 0]) / (2.0 * np.pi) * SECTORS)
    rings = {}
    for k in range(int(rng.integers(*RINGS))):
        tall = height * float(rng.uniform(0.04, 0.2))
        at = float(rng.uniform(low, high - tall))
        beside = (body[:, 2] > at - 0.25 * tall) & (body[:, 2] < at + 1.25 * tall)
        # As wide as it is on most sides: spouts and handles stand out through it.
        reaches = [float(radius[beside & (sector == s)].max())
                   for s in np.unique(sector[beside])]
        inner = float(np.median(reaches)) if reaches else 0.0
        if inner < 0.05 * radius.max():
            continue
        out = float(rng.uniform(0.01, 0.12)) * inner
        # Once around its section, the outside to the right: up, in, down, and out again.
        profile = np.array([(0.0, at), (0.0, at + tall), (out + 1e-4, at + tall),
                            (out + 1e-4, at), (0.0, at)])
        rings[f'ring {k}'] = Part(loft(circle(inner + out), profile), f'ring {k}')
    return rings


def _blocks(shape: Shape, rng: np.random.Generator, count: int,
            largest: float) -> dict[str, Part]:
    """Boxes, drums and knobs, half in and half out of the object's surface."""
    size = shape.size_m
    points, low = shape.vertices, shape.vertices.min(0)
    blocks = {}
    for k in range(count):
        across = size * np.exp(rng.uniform(np.log(0.1), np.log(largest), 3))
        kind = int(rng.integers(3))
        axis = int(rng.integers(3))
        a, b, c = np.roll(across, -(axis + 1))
        edge = 0.1 * float(across.min())
        if kind == 0:
            mesh = rounded_box(across, 2.0 * edge, edge)
        elif kind == 1:
            mesh = facing(prism(superellipse(0.5 * a, 0.5 * b, float(rng.uniform(2.0, 5.0))),
                                -0.5 * c, 0.5 * c, edge), axis)
        else:
            d = 0.5 * min(a, b)
            mesh = facing(prism(circle(d), -0.5 * c, 0.5 * c, edge), axis)
        # About the point of the surface that is nearest to one of the box's, so joined on.
        outside = rng.random(3)
        outside[int(rng.integers(3))] = float(rng.random() < 0.5)
        at = points[np.linalg.norm(points - (low + outside * size), axis=1).argmin()]
        blocks[f'block {k}'] = Part(mesh.moved(at), f'block {k}')
    return blocks
