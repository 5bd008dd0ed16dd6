# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Things that lie about on tables, and what table tops and walls are made of.

A family apart from the clutter that training sees (backgrounds.py), so that evaluation pictures
do not show a model what it was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .looks import Paint, sample_color, srgb_to_linear
from .shapes.surfaces import box, Mesh, revolve

SURFACE_PX = 768
_TITLES = ('ATLAS', 'Field Notes', 'Garden', 'RIVERS', 'Baking', 'Vol. 3', 'Maps', 'Oats', 'RICE',
           'Fine Tea', 'Soup', 'Signals', 'Paper', 'NORTH')


@dataclass(frozen=True)
class Item:
    """A thing standing on z = 0 around the z axis: painted meshes, and the radius it needs."""

    parts: tuple[tuple[Mesh, Paint], ...]
    radius_m: float


def _noise(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int]) -> np.ndarray:
    """Smooth noise of unit variance at ``cells``, enlarged to ``shape`` (rows, columns)."""
    return cv2.resize(rng.normal(0.0, 1.0, cells), shape[::-1], interpolation=cv2.INTER_CUBIC)


def _wood(rng: np.random.Generator) -> np.ndarray:
    """Planks with grain along the columns."""
    n = SURFACE_PX
    base = srgb_to_linear(np.array(((0.76, 0.60, 0.42), (0.62, 0.44, 0.29), (0.42, 0.28, 0.19),
                                    (0.84, 0.74, 0.60))[int(rng.integers(4))]))
    x = np.linspace(0.0, 1.0, n)[None, :]
    warp = 0.02 * _noise(rng, (n, n), (5, 9)) + 0.012 * _noise(rng, (n, n), (3, 40))
    rings = np.sin(2.0 * np.pi * rng.uniform(14, 34) * (x + warp))
    fibre = _noise(rng, (n, n), (24, n))
    shade = 0.10 * rings + 0.07 * fibre
    planks = int(rng.integers(1, 8))
    edge = (x * planks) % 1.0
    shade = shade + rng.normal(0.0, 0.12, planks)[np.minimum((x * planks).astype(int), planks - 1)]
    if planks > 1:
        shade = shade - 0.6 * ((edge < 0.010) | (edge > 0.990))
    return base * np.exp(shade)[..., None]


def _cloth(rng: np.random.Generator) -> np.ndarray:
    """A woven cloth: plain, striped or checked."""
    n = SURFACE_PX
    base = sample_color(rng)
    image = np.tile(base, (n, n, 1))
    kind = rng.integers(3)
    if kind > 0:
        other = np.clip(base * np.exp(rng.normal(0.0, 0.6, 3)), 0.02, 0.9)
        count, share = rng.uniform(6, 20), rng.uniform(0.2, 0.5)
        band = ((np.arange(n) / n * count) % 1.0 < share).astype(float)
        mix = 0.5 * (band[None, :] + band[:, None]) if kind == 2 else np.tile(band, (n, 1))
        image = image * (1.0 - mix[..., None]) + other * mix[..., None]
    threads = 0.06 * (rng.normal(size=(n, 1)) + rng.normal(size=(1, n)))
    return image * np.exp(threads + 0.05 * rng.normal(size=(n, n)))[..., None]


def _laminate(rng: np.random.Generator) -> np.ndarray:
    """Plain or speckled board, faintly cloudy, as desks and counters are."""
    n = SURFACE_PX
    light = rng.random() < 0.7
    base = np.full(3, rng.uniform(0.45, 0.75) if light else rng.uniform(0.06, 0.25))
    base = base * np.exp(rng.normal(0.0, 0.06, 3))
    shade = 0.04 * _noise(rng, (n, n), (6, 6))
    if rng.random() < 0.6:
        shade = shade + rng.uniform(0.05, 0.25) * _noise(rng, (n, n), (n // 4, n // 4))
    return base * np.exp(shade)[..., None]


def surface_paint(rng: np.random.Generator) -> Paint:
    """A table top: wood, cloth or laminate."""
    kind = rng.choice(('wood', 'cloth', 'laminate'), p=(0.5, 0.2, 0.3))
    image = {'wood': _wood, 'cloth': _cloth, 'laminate': _laminate}[str(kind)](rng)
    finish = 'matte' if kind == 'cloth' else 'satin'
    return Paint(np.clip(image, 0.01, 0.92), finish, float(rng.uniform(0.30, 0.6)))


def wall_paint(rng: np.random.Generator) -> Paint:
    """Plaster with a few framed pictures and shelves' edges on it."""
    image = np.tile(np.full(3, rng.uniform(0.35, 0.75)) * np.exp(rng.normal(0.0, 0.10, 3)),
                    (256, 384, 1))
    for _ in range(int(rng.integers(1, 7))):
        x, y = int(rng.integers(0, 340)), int(rng.integers(0, 220))
        end = (x + int(rng.integers(15, 90)), y + int(rng.integers(10, 60)))
        cv2.rectangle(image, (x, y), end, tuple(map(float, sample_color(rng))), -1)
        cv2.rectangle(image, (x, y), end, tuple(map(float, sample_color(rng))), 3)
    return Paint(np.clip(image, 0.02, 0.92), 'matte', 0.8)


def _print(rng: np.random.Generator, height: int = 160, width: int = 220) -> np.ndarray:
    """A cover or label: a ground, blocks, and a title or two."""
    image = np.tile(sample_color(rng), (height, width, 1))
    for _ in range(int(rng.integers(1, 4))):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        color = tuple(map(float, sample_color(rng)))
        if rng.random() < 0.6:
            cv2.rectangle(image, (x, y), (x + int(rng.integers(20, width)),
                                          y + int(rng.integers(8, height // 2))), color, -1)
        else:
            cv2.circle(image, (x, y), int(rng.integers(10, height // 3)), color, -1, cv2.LINE_AA)
    for _ in range(int(rng.integers(1, 3))):
        cv2.putText(image, str(rng.choice(_TITLES)),
                    (int(rng.integers(4, 50)), int(rng.integers(35, height - 10))), 2,
                    float(rng.uniform(0.8, 1.7)), tuple(map(float, sample_color(rng))), 2,
                    cv2.LINE_AA)
    return np.clip(image, 0.01, 0.92)


def _at(mesh: Mesh, x: float, y: float, z: float) -> Mesh:
    return mesh.moved(np.array([x, y, z]))


def _books(rng: np.random.Generator) -> Item:
    """One to three books on one another."""
    parts: list[tuple[Mesh, Paint]] = []
    z, radius = 0.0, 0.0
    for _ in range(int(rng.integers(1, 4))):
        length, width = rng.uniform(0.15, 0.23), rng.uniform(0.11, 0.16)
        thick, board = rng.uniform(0.014, 0.035), 0.0025
        x, y = rng.uniform(-0.01, 0.01, 2)
        cover = Paint(_print(rng), 'satin', float(rng.uniform(0.25, 0.6)))
        paper = Paint(np.array((0.78, 0.74, 0.64)), 'matte', 0.9)
        for low in (0.0, thick - board):
            plate = box(np.array([width, length, board]))
            parts.append((_at(plate, x, y, z + low + board / 2), cover))
        pages = box(np.array([width - 0.006, length - 0.008, thick - 2 * board]))
        parts.append((_at(pages, x, y, z + thick / 2), paper))
        spine = box(np.array([board, length, thick]))
        parts.append((_at(spine, x - width / 2, y, z + thick / 2), cover))
        z += thick
        radius = max(radius, float(np.hypot(length, width)) / 2 + 0.015)
    return Item(tuple(parts), radius)


def _carton(rng: np.random.Generator) -> Item:
    size = np.array([rng.uniform(0.03, 0.10), rng.uniform(0.04, 0.14), rng.uniform(0.03, 0.17)])
    paint = Paint(_print(rng), 'satin', float(rng.uniform(0.3, 0.7)))
    return Item(((_at(box(size), 0.0, 0.0, size[2] / 2), paint),),
                float(np.hypot(size[0], size[1])) / 2)


def _turned(points: list[tuple[float, float]], paint: Paint) -> Item:
    profile = np.array(points)
    mesh = revolve(profile, profile[:, 1] / profile[:, 1].max(), 40)
    return Item(((mesh, paint),), float(profile[:, 0].max()))


def _can(rng: np.random.Generator) -> Item:
    r, h = rng.uniform(0.026, 0.045), rng.uniform(0.05, 0.13)
    paint = Paint(_print(rng), 'satin', float(rng.uniform(0.2, 0.5)))
    return _turned([(0, 0.001), (r - 0.002, 0), (r, 0.002), (r, h - 0.002), (r - 0.002, h),
                    (r - 0.003, h - 0.002), (0, h - 0.002)], paint)


def _bottle(rng: np.random.Generator) -> Item:
    r, h = rng.uniform(0.026, 0.038), rng.uniform(0.15, 0.24)
    neck = rng.uniform(0.010, 0.014)
    paint = Paint(_print(rng) if rng.random() < 0.5 else sample_color(rng), 'glazed',
                  float(rng.uniform(0.05, 0.2)))
    turn = np.linspace(0.0, 1.0, 9)
    shoulder = [(neck + (r - neck) * 0.5 * (1 + np.cos(np.pi * t)), h * (0.60 + 0.18 * t))
                for t in turn]
    return _turned([(0, 0), (r - 0.003, 0), (r, 0.004), *shoulder, (neck, h - 0.02),
                    (neck + 0.002, h - 0.019), (neck + 0.002, h), (0, h)], paint)


def _bowl(rng: np.random.Generator) -> Item:
    """A bowl, a plate or a cup without a handle."""
    kind = rng.integers(3)
    r, h = ((rng.uniform(0.05, 0.08), rng.uniform(0.04, 0.07)),
            (rng.uniform(0.07, 0.11), rng.uniform(0.014, 0.022)),
            (rng.uniform(0.033, 0.042), rng.uniform(0.07, 0.11)))[kind]
    power = (0.5, 0.35, 0.12)[kind]
    foot, wall = (0.45, 0.55, 0.7)[kind] * r, 0.004
    turn = np.linspace(0.0, 1.0, 12)
    outer = [(foot + (r - foot) * t ** power, 0.004 + (h - 0.004) * t) for t in turn]
    inner = [(max(q - wall, 0.001), max(z, 0.008)) for q, z in outer[::-1]]
    paint = Paint(sample_color(rng), 'glazed', float(rng.uniform(0.06, 0.25)))
    return _turned([(0, 0), (foot, 0), *outer, *inner, (0, 0.008)], paint)


def _fruit(rng: np.random.Generator) -> Item:
    r = rng.uniform(0.028, 0.042)
    stretch = rng.uniform(0.88, 1.05)
    color = srgb_to_linear(np.array(((0.93, 0.52, 0.10), (0.75, 0.12, 0.12), (0.55, 0.70, 0.20),
                                     (0.93, 0.82, 0.22))[int(rng.integers(4))]))
    angle = np.linspace(-np.pi / 2, np.pi / 2, 25)
    texture = color * np.exp(0.10 * _noise(rng, (96, 128), (12, 24)))[..., None]
    return _turned([(r * np.cos(a), r * stretch * (1 + np.sin(a))) for a in angle],
                   Paint(np.clip(texture, 0.01, 0.92), 'satin', 0.35))


def _flat(rng: np.random.Generator) -> Item:
    """A phone or a notepad with a pencil on it."""
    phone = rng.random() < 0.5
    size = np.array([0.072, 0.148, 0.009]) if phone else np.array([
        rng.uniform(0.09, 0.15), rng.uniform(0.13, 0.21), 0.006])
    paint = Paint(np.array((0.012, 0.012, 0.014)), 'glazed', 0.08) if phone else Paint(
        np.array((0.72, 0.71, 0.66)), 'matte', 0.9)
    parts = [(_at(box(size), 0.0, 0.0, size[2] / 2), paint)]
    if not phone:
        pencil = box(np.array([0.007, 0.16, 0.007]))
        parts.append((_at(pencil, 0.01, 0.0, size[2] + 0.0035),
                      Paint(sample_color(rng), 'satin', 0.3)))
    return Item(tuple(parts), float(np.hypot(size[0], size[1])) / 2)


_KINDS = (_books, _carton, _can, _bottle, _bowl, _fruit, _flat)
_WEIGHTS = (0.17, 0.18, 0.13, 0.10, 0.18, 0.10, 0.14)


def sample_item(rng: np.random.Generator) -> Item:
    """A random thing."""
    return _KINDS[int(rng.choice(len(_KINDS), p=_WEIGHTS))](rng)


def sample_occluder(rng: np.random.Generator) -> Item:
    """A random thing that is tall and slim enough to stand before a mug and hide part of it."""
    return (_carton, _can, _bottle, _fruit)[int(rng.integers(4))](rng)
