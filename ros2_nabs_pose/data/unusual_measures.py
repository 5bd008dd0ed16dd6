# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Objects of the families built anew with measures that no shop sells; see unusual.py."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from .shapes import bottle, camera, laptop, mug, Shape
from .shapes.lids import Lid
from .shapes.measures import about

SIDES_M = (0.035, 0.14)
"""Least and most of a camera's body along each side."""
ANGLES_DEG = (35.0, 175.0)
"""By which laptops are opened."""


def _spread(rng: np.random.Generator, value: float, std: float, low: float = 0.0,
            high: float = np.inf) -> float:
    """A measure about the value, within bounds."""
    return float(np.clip(about(rng, value, std), low, high))


def _bottle(shape: Shape, rng: np.random.Generator) -> Shape:
    """The bottle with body, shoulders, neck and cap of any proportions; jugs and tubes are wider
    or narrower, higher or lower alone.
    """
    p = bottle.BottleParameters(**shape.parameters)
    wider = _spread(rng, 1.0, 0.25)
    p = replace(p, half_m=wider * p.half_m, height_m=_spread(rng, p.height_m, 0.25))
    if p.kind in ('jug', 'tube'):
        return bottle.build(replace(p, neck_half_m=wider * p.neck_half_m,
                                    aside_m=wider * p.aside_m))
    if rng.random() < 0.4:
        p = replace(p, exponent=float(rng.uniform(2.0, 8.0)))
    if rng.random() < 0.3:
        p = replace(p, depth=float(rng.uniform(0.4, 1.0)))
    body = float(rng.uniform(0.35, 0.88))
    waist = float(rng.uniform(0.1, 0.35)) if rng.random() < 0.3 else p.waist
    return bottle.build(replace(
        p, body=body, neck=_spread(rng, p.neck, 0.5, 0.0, 0.95 - body),
        neck_half_m=float(rng.uniform(0.2, 0.85)) * p.half_m * p.depth, waist=waist,
        waist_at=float(rng.uniform(0.25, 0.75)), shoulder=float(rng.uniform(0.0, 1.0)),
        cap_m=_spread(rng, p.cap_m, 0.3), cap_wide=_spread(rng, p.cap_wide, 0.2, 0.95, 2.0)))


def _camera(shape: Shape, rng: np.random.Generator) -> Shape:
    """The camera with a body of any proportions, and a lens of any size almost anywhere on it."""
    p = camera.CameraParameters(**shape.parameters)
    if p.slope == 0.0 and rng.random() < 0.6:  # boxes of any proportions, deeper than wide, too
        low, high = np.log(SIDES_M)
        depth, width, height = np.exp(rng.uniform(low, high, 3)).tolist()
    else:
        depth, width, height = (_spread(rng, x, 0.28) for x in (p.depth_m, p.width_m, p.height_m))
    radius = _spread(rng, p.lens_radius_m, 0.25, 0.006, 0.47 * min(height, width))
    lens_z = p.lens_z_m * height / p.height_m
    if p.slope > 0.0 and not p.slope_back:
        radius = min(radius, 0.4 * (1.0 - p.slope) * height)
        lens_z = max((0.5 - p.slope) * height - radius - 0.003, -0.5 * height + 1.15 * radius)
    elif p.slope == 0.0 and rng.random() < 0.5:
        lens_z = float(rng.uniform(-0.95, 0.95)) * (0.5 * height - radius)
    lens_y = p.lens_y_m * width / p.width_m
    if rng.random() < 0.4:
        lens_y = float(rng.uniform(-0.95, 0.95)) * (0.5 * width - radius)
    return camera.build(replace(
        p, depth_m=depth, width_m=width, height_m=height, lens_radius_m=radius, lens_y_m=lens_y,
        lens_z_m=lens_z, lens_m=_spread(rng, p.lens_m, 0.5, 0.004, 0.16),
        corner_m=min(p.corner_m, 0.48 * min(depth, width)), grip_m=_spread(rng, p.grip_m, 0.4),
        hump_m=_spread(rng, p.hump_m, 0.5), hump_y_m=lens_y + p.hump_y_m - p.lens_y_m,
        flash_y_m=p.flash_y_m * width / p.width_m, block_m=_spread(rng, p.block_m, 0.5)))


def _laptop(shape: Shape, rng: np.random.Generator) -> Shape:
    """The laptop opened by any angle, its lid and base of any proportions and thickness."""
    p = laptop.LaptopParameters(**shape.parameters)
    p = replace(
        p, angle_deg=float(rng.uniform(*ANGLES_DEG)),
        screen_width_m=_spread(rng, p.screen_width_m, 0.15),
        screen_height_m=_spread(rng, p.screen_height_m, 0.18),
        bezel_side_m=_spread(rng, p.bezel_side_m, 0.6),
        bezel_top_m=_spread(rng, p.bezel_top_m, 0.6),
        bezel_bottom_m=_spread(rng, p.bezel_bottom_m, 0.6))
    lid = _spread(rng, 1.2 * p.lid_m, 0.5, 0.003, 0.03)
    rear = _spread(rng, 1.2 * p.rear_m, 0.5, 0.004, 0.06)
    return laptop.build(replace(
        p, depth_m=_spread(rng, p.lid_height_m, 0.15), lid_m=lid, rear_m=rear,
        front_m=rear * p.front_m / p.rear_m,
        hinge_radius_m=0.5 * lid + p.hinge_radius_m - 0.5 * p.lid_m))


def _mug(shape: Shape, rng: np.random.Generator) -> Shape:
    """The mug with a body and a handle of any proportions."""
    made = shape.parameters
    p = mug.MugParameters(**{f.name: made[f.name] for f in fields(mug.MugParameters)})
    lid = Lid(**made['lid']) if made['lid'] is not None else None
    deep = _spread(rng, p.section_depth_m, 0.3, 0.003, 0.016)
    p = replace(
        p, height_m=_spread(rng, p.height_m, 0.32, 0.04, 0.2),
        radius_m=_spread(rng, p.radius_m, 0.22, 0.025, 0.075),
        taper=float(np.clip(p.taper + rng.normal(0.0, 0.15), -0.25, 0.5)),
        bulge=float(np.clip(p.bulge + rng.normal(0.0, 0.08), -0.2, 0.3)),
        handle_top=float(rng.uniform(0.6, 0.95)), handle_bottom=float(rng.uniform(0.08, 0.45)),
        handle_exponent=float(np.exp(rng.uniform(*np.log((1.8, 10.0))))),
        skew=float(rng.normal(0.0, 0.2)), reach_m=_spread(rng, p.reach_m, 0.2, deep + 0.012),
        section_width_m=_spread(rng, p.section_width_m, 0.35, 0.004, 0.03), section_depth_m=deep)
    # Ends nearer to each other than the handle is thick would fold into each other.
    apart = (2.0 * deep + 0.012) / p.height_m
    p = replace(p, handle_bottom=max(min(p.handle_bottom, p.handle_top - apart), 0.05))
    return mug.build(p, mug.Fittings(made['band_m'], made['drink'], lid))


_MAKERS = {'bottle': _bottle, 'camera': _camera, 'laptop': _laptop, 'mug': _mug}


def unusual_measures(shape: Shape, rng: np.random.Generator) -> Shape:
    """The shape of a family with other measures; bowls and cans, and others', as they are."""
    maker = _MAKERS.get(shape.category)
    return maker(shape, rng) if maker is not None else shape
