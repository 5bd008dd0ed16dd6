# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Bottles that no training set has: sprayers, flacons, amphoras, peanuts, decanters."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from ..looks import Look, Paint, sample_color
from ..shapes import on_axis, Shape
from ..shapes.solids import cylinder, rounded_box
from ..shapes.surfaces import Mesh, revolve, sweep_xz

_Parts = dict[str, tuple[Mesh, str]]


def _smooth(points: list[tuple[float, float]], count: int) -> np.ndarray:
    """(count, 2) points of a curve through those given that never overshoots them."""
    p = np.array(points)
    s = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(p, axis=0), axis=1))])
    at = np.linspace(0.0, s[-1], count)
    return np.stack([PchipInterpolator(s, p[:, 0])(at), PchipInterpolator(s, p[:, 1])(at)], 1)


def _turned(points: list[tuple[float, float]]) -> Mesh:
    """A closed body of revolution through (radius, z), from the bottom up."""
    curve = _smooth(points, 60)
    profile = np.concatenate([[(0.0, curve[0, 1])], curve, [(0.0, curve[-1, 1])]])
    return revolve(profile, np.linspace(0.0, 1.0, len(profile)))


def sprayer(rng: np.random.Generator) -> Shape:
    """A cleaner's bottle with a head and a trigger."""
    h, r = float(rng.normal(0.17, 0.012)), float(rng.normal(0.04, 0.004))
    return on_axis('bottle', {
        'body': (_turned([(0.95 * r, 0.0), (r, 0.01), (r * rng.uniform(0.85, 1.0), 0.55 * h),
                          (0.9 * r, 0.75 * h), (0.014, h), (0.014, h + 0.02)]), 'body'),
        'cap': (cylinder(0.016, h + 0.01, h + 0.035, 0.001), 'cap'),
        'head': (rounded_box(np.array([0.09, 0.026, 0.03]), 0.008, 0.004).moved(
            np.array([0.018, 0.0, h + 0.05])), 'cap'),
        'nozzle': (cylinder(0.007, 0.06, 0.075, 0.001, 0).moved(np.array([0.0, 0.0, h + 0.055])),
                   'trim'),
        'trigger': (rounded_box(np.array([0.010, 0.014, 0.05]), 0.004, 0.003).moved(
            np.array([0.042, 0.0, h + 0.018])), 'trim')}, {})


def flacon(rng: np.random.Generator) -> Shape:
    """Perfume: a block of glass under a large cap."""
    w, d, h = rng.uniform(0.05, 0.075), rng.uniform(0.025, 0.05), float(rng.uniform(0.05, 0.09))
    body = rounded_box(np.array([d, w, h]), float(rng.uniform(0.003, 0.01)), 0.004)
    r, tall = float(rng.uniform(0.010, 0.018)), float(rng.uniform(0.018, 0.035))
    return on_axis('bottle', {'body': (body.moved(np.array([0.0, 0.0, 0.5 * h])), 'body'),
                              'neck': (cylinder(0.7 * r, h - 0.002, h + 0.006, 0.0005), 'trim'),
                              'cap': (cylinder(r, h + 0.004, h + 0.004 + tall, 0.002), 'cap')}, {})


def amphora(rng: np.random.Generator) -> Shape:
    """A narrow foot, a wide belly, two handles at the neck."""
    h, r = float(rng.normal(0.24, 0.02)), float(rng.normal(0.06, 0.006))
    parts: _Parts = {'body': (_turned([
        (0.4 * r, 0.0), (0.45 * r, 0.01), (0.7 * r, 0.2 * h), (r, 0.5 * h), (0.75 * r, 0.7 * h),
        (0.28 * r, 0.8 * h), (0.25 * r, 0.9 * h), (0.42 * r, h)]), 'body')}
    path = _smooth([(0.3 * r, 0.92 * h), (0.75 * r, 0.93 * h), (r, 0.8 * h), (0.8 * r, 0.66 * h)],
                   30)
    handle = sweep_xz(path, np.full(30, 0.007), np.full(30, 0.006), 2.0)
    return on_axis('bottle', parts | {'handle': (handle, 'body'),
                                      'other handle': (handle.turned(np.pi), 'body')}, {})


def peanut(rng: np.random.Generator) -> Shape:
    """Two bellies, one over the other."""
    h, r = float(rng.normal(0.16, 0.012)), float(rng.normal(0.038, 0.004))
    waist = float(rng.uniform(0.55, 0.8))
    return on_axis('bottle', {
        'body': (_turned([(0.6 * r, 0.0), (0.9 * r, 0.012), (r, 0.22 * h),
                          (0.8 * waist * r, 0.48 * h), (0.9 * r, 0.72 * h), (0.75 * r, 0.9 * h),
                          (0.016, h), (0.016, h + 0.01)]), 'body'),
        'cap': (cylinder(0.02, h + 0.004, h + 0.026, 0.002), 'cap')}, {})


def decanter(rng: np.random.Generator) -> Shape:
    """Very wide at the foot, a long neck, a stopper or a ball on it."""
    h, r = float(rng.normal(0.22, 0.015)), float(rng.normal(0.085, 0.006))
    body = _turned([(0.95 * r, 0.0), (r, 0.006), (0.98 * r, 0.03), (0.3 * r, 0.45 * h),
                    (0.02, 0.6 * h), (0.018, 0.9 * h), (0.03, h)])
    ball = _turned([(0.012, h - 0.01), (0.02, h + 0.012), (0.026, h + 0.03), (0.02, h + 0.048),
                    (0.004, h + 0.054)])
    cap = ball if rng.random() < 0.5 else cylinder(0.017, h - 0.02, h + 0.012, 0.002)
    return on_axis('bottle', {'body': (body, 'body'), 'cap': (cap, 'cap')}, {})


KINDS = {'sprayer': sprayer, 'flacon': flacon, 'amphora': amphora, 'peanut': peanut,
         'decanter': decanter}


def sample_look(rng: np.random.Generator, shape: Shape) -> Look:
    """Body, cap and trim, each of a colour of its own."""
    def paint() -> Paint:
        return Paint(sample_color(rng), str(rng.choice(('satin', 'glazed'))),
                     float(rng.uniform(0.1, 0.4)))

    return Look({'body': paint(), 'cap': paint(), 'trim': paint()}, 'plain')
