# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Cameras that no training set has: with two lenses, with bellows, boxes, camcorders, cubes."""

from __future__ import annotations

import numpy as np

from ..looks import Look
from ..shapes import boxed, camera, Shape
from ..shapes.solids import cylinder, facing, prism, rounded_box, superellipse, turned
from ..shapes.surfaces import Mesh

_Parts = dict[str, tuple[Mesh, str]]


def _box(size: tuple[float, float, float], at: tuple[float, float, float], corner: float = 0.004,
         edge: float = 0.002) -> Mesh:
    return rounded_box(np.array(size), corner, edge).moved(np.array(at))


def _lens(name: str, at: tuple[float, float, float], radius: float, length: float,
          rings: int = 3) -> _Parts:
    """A barrel of ever narrower rings along x from a point, with rim and glass."""
    x, y, z = at
    aside = np.array([0.0, y, z])
    parts: _Parts = {}
    for k in range(rings):
        low, high = x + length * k / rings, x + length * (k + 1) / rings
        ring = cylinder(radius * (1.0 - 0.08 * k), low - 0.002,
                        high - (0.004 if k == rings - 1 else 0.0), 0.0008, 0)
        parts[f'{name} ring {k}'] = (ring.moved(aside), 'barrel' if k % 2 == 0 else 'band')
    tip, last = x + length, radius * (1.0 - 0.08 * (rings - 1))
    rim = facing(turned(np.array([(last, tip - 0.005), (last, tip), (0.9 * last, tip),
                                  (0.75 * last, tip - 0.004)])), 0)
    bulge = np.linspace(np.pi / 2.0, 0.0, 7)
    glass = facing(turned(np.stack([0.75 * last * np.sin(bulge),
                                    tip - 0.004 + 0.2 * last * np.cos(bulge)], 1)), 0)
    return parts | {f'{name} rim': (rim.moved(aside), 'dark'),
                    f'{name} glass': (glass.moved(aside), 'glass')}


def _camera(parts: _Parts, tip: tuple[float, float, float], painted_as: str) -> Shape:
    """The box of all parts about the origin. painted_as: the family's kind whose colours it has."""
    return boxed('camera', parts, np.array(tip),
                 {'kind': painted_as, 'hump_m': 0.0, 'plate': 0.0})


def two_lenses(rng: np.random.Generator) -> Shape:
    """A twin-lens reflex: upright, a finder's lens over the other, its hood open or closed."""
    d, w, h = rng.normal(0.085, 0.006), rng.normal(0.078, 0.004), rng.normal(0.115, 0.008)
    radius = 0.021 * float(np.exp(rng.normal(0.0, 0.08)))
    low = -0.2 * h
    parts: _Parts = {
        'body': (_box((d, w, h), (0.0, 0.0, 0.0)), 'body'),
        'face': (_box((0.016, 0.86 * w, 0.72 * h), (0.5 * d + 0.006, 0.0, -0.02 * h)), 'plate'),
        'hood': (_box((0.78 * d, 0.8 * w, 0.022), (0.0, 0.0, 0.5 * h + 0.009)), 'body'),
        'crank': (cylinder(0.014, -0.5 * w - 0.014, -0.5 * w + 0.002, 0.001, 1).moved(
            np.array([0.0, 0.0, 0.15 * h])), 'metal'),
        'focus': (cylinder(0.012, 0.5 * w - 0.002, 0.5 * w + 0.010, 0.001, 1).moved(
            np.array([0.2 * d, 0.0, -0.2 * h])), 'metal')}
    parts |= _lens('taking', (0.5 * d + 0.012, 0.0, low), radius,
                   0.018 * float(np.exp(rng.normal(0.0, 0.2))))
    parts |= _lens('viewing', (0.5 * d + 0.012, 0.0, low + 2.25 * radius), 0.95 * radius, 0.014)
    if rng.random() < 0.5:
        for name, x in (('hood front', 0.36 * d), ('hood back', -0.36 * d)):
            parts[name] = (_box((0.003, 0.7 * w, 0.05), (x, 0.0, 0.5 * h + 0.04), 0.001, 0.0005),
                           'plate')
    return _camera(parts, (0.5 * d + 0.03, 0.0, low), 'film')


def bellows(rng: np.random.Generator) -> Shape:
    """A folding camera, its bellows drawn out."""
    d, w, h = rng.normal(0.032, 0.003), rng.normal(0.15, 0.01), rng.normal(0.085, 0.005)
    long, folds = float(rng.normal(0.06, 0.008)), 7
    parts: _Parts = {
        'body': (_box((d, w, h), (0.0, 0.0, 0.0), 0.012, 0.003), 'body'),
        'standard': (_box((0.006, 0.042, 0.055), (0.5 * d + long, 0.0, 0.0)), 'metal'),
        'bed': (_box((long + 0.01, 0.06, 0.004), (0.5 * d + 0.5 * long, 0.0, -0.46 * h), 0.001,
                     0.0005), 'plate'),
        'finder': (_box((0.02, 0.03, 0.014), (0.0, 0.1 * w * rng.normal(), 0.5 * h + 0.006)),
                   'plate')}
    for k in range(folds):
        size = 1.0 - 0.5 * k / folds
        parts[f'fold {k}'] = (_box((0.8 * long / folds, 0.5 * w * size, 0.85 * h * size),
                                   (0.5 * d + long * (k + 0.5) / folds, 0.0, 0.0), 0.002, 0.001),
                              'grip')
    parts |= _lens('lens', (0.5 * d + long + 0.003, 0.0, 0.004), 0.018, 0.014)
    return _camera(parts, (0.5 * d + long + 0.02, 0.0, 0.004), 'retro')


def box(rng: np.random.Generator) -> Shape:
    """A box camera: a small lens low on its front, two finders above, a strap on top."""
    d, w, h = rng.normal(0.095, 0.008), rng.normal(0.078, 0.006), rng.normal(0.098, 0.008)
    parts: _Parts = {
        'body': (_box((d, w, h), (0.0, 0.0, 0.0), 0.006, 0.003), 'body'),
        'face': (_box((0.004, 0.9 * w, 0.9 * h), (0.5 * d + 0.001, 0.0, 0.0)), 'plate'),
        'strap': (_box((0.7 * d, 0.016, 0.006), (0.0, 0.0, 0.5 * h + 0.012), 0.002, 0.001),
                  'grip'),
        'key': (cylinder(0.011, -0.5 * w - 0.012, -0.5 * w + 0.002, 0.001, 1).moved(
            np.array([-0.2 * d, 0.0, 0.1 * h])), 'metal')}
    for name, x in (('strap front', 0.32 * d), ('strap back', -0.32 * d)):
        parts[name] = (_box((0.01, 0.014, 0.014), (x, 0.0, 0.5 * h + 0.006)), 'grip')
    for name, y in (('finder left', 0.25 * w), ('finder right', -0.25 * w)):
        finder = cylinder(0.007, 0.5 * d - 0.002, 0.5 * d + 0.005, 0.0005, 0)
        parts[name] = (finder.moved(np.array([0.0, y, 0.34 * h])), 'glass')
    parts |= _lens('lens', (0.5 * d, 0.0, -0.1 * h), float(rng.uniform(0.012, 0.022)),
                   float(rng.uniform(0.006, 0.02)), 2)
    return _camera(parts, (0.5 * d + 0.02, 0.0, -0.1 * h), 'instant')


def camcorder(rng: np.random.Generator) -> Shape:
    """Longer than wide, a strap for the hand, a screen at its left, closed or swung out."""
    d, w, h = rng.normal(0.115, 0.01), rng.normal(0.055, 0.005), rng.normal(0.065, 0.006)
    tube = facing(prism(superellipse(0.5 * w, 0.5 * h, 3.5), -0.5 * d, 0.5 * d, 0.004), 0)
    parts: _Parts = {
        'body': (tube, 'body'),
        'strap': (_box((0.085, 0.008, 0.03), (-0.05 * d, -0.5 * w - 0.010, 0.0), 0.004, 0.003),
                  'grip'),
        'battery': (_box((0.03, 0.045, 0.045), (-0.5 * d - 0.012, 0.0, 0.0)), 'dark'),
        'finder': (_box((0.05, 0.028, 0.022), (-0.5 * d, 0.0, 0.5 * h + 0.008)), 'dark')}
    parts |= _lens('lens', (0.5 * d - 0.002, 0.0, 0.004), 0.42 * w, float(rng.uniform(0.015, 0.04)))
    parts['screen'] = ((_box((0.075, 0.008, 0.052), (0.0, 0.5 * w + 0.006, 0.0))
                        if rng.random() < 0.6 else
                        _box((0.006, 0.08, 0.05), (0.0, 0.5 * w + 0.045, 0.0))), 'plate')
    return _camera(parts, (0.5 * d + 0.03, 0.0, 0.004), 'compact')


def cube(rng: np.random.Generator) -> Shape:
    """A cube for large film: a magazine behind, a finder to look into from above, a crank."""
    d, w, h = rng.normal(0.09, 0.006), rng.normal(0.095, 0.005), rng.normal(0.095, 0.005)
    parts: _Parts = {
        'body': (_box((d, w, h), (0.0, 0.0, 0.0)), 'plate'),
        'magazine': (_box((0.045, 0.9 * w, 0.9 * h), (-0.5 * d - 0.02, 0.0, 0.0)), 'body'),
        'finder': (_box((0.8 * d, 0.75 * w, 0.02), (0.0, 0.0, 0.5 * h + 0.008)), 'body'),
        'crank': (cylinder(0.022, -0.5 * w - 0.016, -0.5 * w + 0.002, 0.001, 1), 'metal')}
    parts |= _lens('lens', (0.5 * d, 0.0, -0.04 * h), 0.04 * float(np.exp(rng.normal(0.0, 0.08))),
                   0.06 * float(np.exp(rng.normal(0.0, 0.25))), 4)
    if rng.random() < 0.5:
        parts['flap front'] = (_box((0.003, 0.7 * w, 0.055), (0.38 * d, 0.0, 0.5 * h + 0.04),
                                    0.001, 0.0005), 'body')
        for name, y in (('flap left', 0.34 * w), ('flap right', -0.34 * w)):
            parts[name] = (_box((0.7 * d, 0.003, 0.045), (0.0, y, 0.5 * h + 0.036), 0.001,
                                0.0005), 'body')
    return _camera(parts, (0.5 * d + 0.06, 0.0, -0.04 * h), 'film')


KINDS = {'two lenses': two_lenses, 'bellows': bellows, 'box': box, 'camcorder': camcorder,
         'cube': cube}


def sample_look(rng: np.random.Generator, shape: Shape) -> Look:
    """Paints as the family's cameras wear them."""
    return camera.sample_look(rng, shape)
