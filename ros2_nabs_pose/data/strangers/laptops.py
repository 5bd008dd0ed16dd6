# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Laptops that no training set has: bricks of long ago, tablets on a keyboard, square ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..looks import Look
from ..shapes import laptop, Shape
from ..shapes.laptop_paint import paint_laptop


def brick(rng: np.random.Generator) -> Shape:
    """Thick, with a small screen in a wide frame."""
    p = laptop.sample_parameters(rng)
    width = p.screen_width_m * float(rng.uniform(0.7, 0.85))
    return laptop.build(replace(
        p, screen_width_m=width, screen_height_m=0.75 * width, bezel_side_m=0.035,
        bezel_top_m=0.03, bezel_bottom_m=0.05, depth_m=0.75 * width + 0.09,
        front_m=float(rng.uniform(0.04, 0.045)),
        rear_m=float(rng.uniform(0.045, 0.06)), lid_m=float(rng.uniform(0.018, 0.028)),
        hinge_radius_m=0.014, angle_deg=float(rng.uniform(95.0, 125.0))))


def tablet(rng: np.random.Generator) -> Shape:
    """A thick screen on a thin, short keyboard."""
    p = laptop.sample_parameters(rng)
    return laptop.build(replace(
        p, front_m=0.005, rear_m=0.005, lid_m=0.010, base_edge_m=0.001, bezel_side_m=0.012,
        bezel_top_m=0.012, bezel_bottom_m=0.012,
        depth_m=p.lid_height_m * float(rng.uniform(0.6, 0.8)),
        angle_deg=float(rng.uniform(95.0, 130.0))))


def square(rng: np.random.Generator) -> Shape:
    """Small, as high as it is wide."""
    p = laptop.sample_parameters(rng)
    width = float(rng.uniform(0.15, 0.22))
    height = width * float(rng.uniform(0.85, 1.05))
    return laptop.build(replace(
        p, screen_width_m=width, screen_height_m=height,
        depth_m=height * float(rng.uniform(0.9, 1.3)), angle_deg=float(rng.uniform(95.0, 130.0))))


KINDS = {'brick': brick, 'tablet': tablet, 'square': square}


def sample_look(rng: np.random.Generator, shape: Shape) -> Look:
    """Paints as the family's laptops wear them."""
    known = {k: v for k, v in shape.parameters.items() if k != 'stranger'}
    return paint_laptop(rng, laptop.LaptopParameters(**known))
