# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Mugs that no training set has: tea cups, steins, wire handles, square and faceted ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..looks import Look
from ..shapes import mug, Part, Shape
from ..shapes.solids import loft, prism, rounded_polygon, superellipse


def tea_cup(rng: np.random.Generator) -> Shape:
    """Low and wide, on a foot, with a small ear."""
    return mug.build(replace(
        mug.sample_parameters(rng), body='bulged', height_m=float(rng.uniform(0.048, 0.062)),
        radius_m=float(rng.uniform(0.044, 0.054)), taper=float(rng.uniform(0.3, 0.5)),
        bulge=float(rng.uniform(0.15, 0.3)), bulge_at=0.4, corner_m=0.02, foot_m=0.004,
        foot_inset=0.5, lip=0.05, reach_m=float(rng.uniform(0.018, 0.026)), handle_top=0.9,
        handle_bottom=0.4, section_width_m=0.006, section_depth_m=0.005, handle_exponent=2.0,
        skew=0.3, wall_m=0.0022, floor_m=0.003))


def stein(rng: np.random.Generator) -> Shape:
    """High, narrower at the top, with a handle for a whole hand."""
    return mug.build(replace(
        mug.sample_parameters(rng), body='tapered', height_m=float(rng.uniform(0.15, 0.19)),
        radius_m=float(rng.uniform(0.042, 0.055)), taper=-float(rng.uniform(0.0, 0.15)), bulge=0.0,
        reach_m=float(rng.uniform(0.045, 0.06)), handle_top=0.88, handle_bottom=0.12,
        section_width_m=float(rng.uniform(0.018, 0.026)), section_depth_m=0.016,
        handle_exponent=float(rng.uniform(2.5, 8.0)), skew=0.0, end_narrow=0.0))


def wire(rng: np.random.Generator) -> Shape:
    """Thin-walled, its handle a bent wire."""
    return mug.build(replace(
        mug.sample_parameters(rng), body='straight', height_m=float(rng.uniform(0.07, 0.09)),
        radius_m=float(rng.uniform(0.038, 0.046)), taper=0.02, bulge=0.0, wall_m=0.0015,
        floor_m=0.002, reach_m=float(rng.uniform(0.03, 0.045)), section_width_m=0.004,
        section_depth_m=0.004, section_exponent=2.0, handle_exponent=float(rng.uniform(2.0, 9.0)),
        end_narrow=0.0, end_flare=0.0))


def _prismatic(p: mug.MugParameters, outline: np.ndarray) -> Shape:
    """A mug whose section is an outline (N, 2) about the axis, with a usual handle along x."""
    p = replace(p, body='straight', taper=0.0, bulge=0.0, foot_m=0.0, lip=0.0)
    h, r, t = p.height_m, p.radius_m, p.wall_m
    before, after = outline, np.roll(outline, -1, axis=0)
    over = (before[:, 1] <= 0.0) & (after[:, 1] > 0.0)
    share = -before[over, 1] / (after[over, 1] - before[over, 1])
    wall = float((before[over, 0] + share * (after[over, 0] - before[over, 0])).max())
    profile = np.array([(0.5 * r, 0.0), (0.004, 0.0), (0.001, 0.001), (0.0, 0.004),
                        (0.0, h - 0.001), (0.001, h), (t - 0.001, h), (t, h - 0.001),
                        (t, 0.006), (t + 0.003, 0.0045), (0.6 * r, 0.0045)])
    parts = {'outside': (loft(outline, profile), 'outside'),
             'floor': (prism(0.98 * outline, 0.0005, 0.0042), 'inside'),
             'handle': (mug.handle_of(replace(p, radius_m=wall + 0.0005)), 'handle')}
    lift = np.array([0.0, 0.0, -0.5 * h])
    made = {name: Part(mesh.moved(lift), paint) for name, (mesh, paint) in parts.items()}
    tip = made['handle'].mesh.vertices
    return Shape(category='mug', parts=made, front_part='handle',
                 front_point_m=np.array([tip[:, 0].max(), 0.0, tip[tip[:, 0].argmax(), 2]]),
                 parameters={})


def square(rng: np.random.Generator) -> Shape:
    """With four walls."""
    p = mug.sample_parameters(rng)
    return _prismatic(p, superellipse(p.radius_m, p.radius_m, float(rng.uniform(4.5, 8.0)), 64))


def faceted(rng: np.random.Generator) -> Shape:
    """With five to eight walls."""
    p = mug.sample_parameters(rng)
    sides = int(rng.integers(5, 9))
    angle = (np.arange(sides) + 0.5) / sides * 2.0 * np.pi  # the handle at the middle of a wall
    return _prismatic(p, rounded_polygon(
        p.radius_m * np.stack([np.cos(angle), np.sin(angle)], 1), 0.003))


KINDS = {'tea cup': tea_cup, 'stein': stein, 'wire': wire, 'square': square, 'faceted': faceted}


def sample_look(rng: np.random.Generator, shape: Shape) -> Look:
    """Paints as the family's mugs wear them."""
    return mug.sample_look(rng, shape)
