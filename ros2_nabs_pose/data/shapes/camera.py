# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Procedural photo cameras: z up, x the way the lens looks, origin in the middle of the box.

y points to the camera's left (as for whoever holds it), so grip and shutter release lie at -y.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from . import boxed, Shape
from .camera_paint import sample_look
from .camera_parts import faces, lens, top
from .solids import facing, prism, rounded_box, rounded_polygon, superellipse
from .surfaces import Mesh

__all__ = ['build', 'CameraParameters', 'sample', 'sample_look', 'sample_parameters']

KINDS = ('compact', 'mirrorless', 'slr', 'film', 'retro', 'bridge', 'instant')
KIND_WEIGHTS = (0.24, 0.14, 0.20, 0.14, 0.11, 0.06, 0.11)
#: Of each kind: body depth, width, height (m); lens length and radius (m).
KIND_SIZES = {'compact': (0.026, 0.100, 0.059, 0.018, 0.021),
              'mirrorless': (0.038, 0.118, 0.068, 0.048, 0.029),
              'slr': (0.058, 0.136, 0.082, 0.075, 0.034),
              'film': (0.044, 0.139, 0.080, 0.052, 0.031),
              'retro': (0.034, 0.132, 0.074, 0.036, 0.026),
              'bridge': (0.056, 0.120, 0.078, 0.060, 0.035),
              'instant': (0.066, 0.114, 0.100, 0.022, 0.025)}
#: Share of each kind that has a finder's hump, a hand grip, a top plate of its own.
HUMPED = {'slr': 1.0, 'film': 1.0, 'bridge': 1.0, 'mirrorless': 0.6}
GRIPPED = {'slr': 1.0, 'bridge': 1.0, 'mirrorless': 0.6, 'compact': 0.6}
PLATED = {'film': 1.0, 'retro': 1.0, 'compact': 0.25, 'mirrorless': 0.3, 'instant': 0.2}


@dataclass(frozen=True)
class CameraParameters:
    """Everything that makes one camera's shape; lengths in metres.

    depth_m, width_m, height_m: of the body alone. corner, edge: radii seen from above, and of the
    other edges. lens_m, lens_radius_m: of the barrel; lens_y_m: its axis beside the middle.
    rings: steps of the barrel. flare: its front radius over the rear one. hood_m: length of a lens
    hood (0: none). grip_m: how far the hand grip stands out (0: none). hump_m: height of the
    finder's hump (0: none), hump_y_m its middle. plate: share of the height that a separate top
    plate takes (0: none). slope: share of an instant camera's height over which it gets thinner
    towards the top, thin: depth that is left there as a share; slope_back: at the back, not the
    front. tray_m: how far its film slot stands out. block_m: height of its finder and flash on top.
    """

    kind: str
    depth_m: float
    width_m: float
    height_m: float
    corner_m: float
    edge_m: float
    lens_m: float
    lens_radius_m: float
    lens_y_m: float
    lens_z_m: float
    rings: int
    flare: float
    hood_m: float
    grip_m: float
    hump_m: float
    hump_y_m: float
    plate: float
    flash_y_m: float
    slope: float
    thin: float
    slope_back: bool
    tray_m: float
    block_m: float


def sample_parameters(rng: np.random.Generator) -> CameraParameters:
    """Draws a camera as people own them, from pocket compacts to SLRs with a zoom."""
    kind = str(rng.choice(KINDS, p=KIND_WEIGHTS))
    depth, width, height, lens, radius = (
        x * float(np.exp(rng.normal(0.0, s))) for x, s in
        zip(KIND_SIZES[kind], (0.10, 0.08, 0.08, 0.28, 0.10), strict=True))
    humped = rng.random() < HUMPED.get(kind, 0.0)
    gripped = rng.random() < GRIPPED.get(kind, 0.0)
    if kind == 'compact' and rng.random() < 0.2:
        lens = float(rng.uniform(0.004, 0.010))  # switched off, the lens drawn in
    off = {'compact': 0.10, 'mirrorless': 0.06, 'slr': 0.03, 'film': 0.02, 'retro': 0.05,
           'bridge': 0.04, 'instant': 0.05}[kind]
    lens_y = float(rng.normal(0.5 * off, 0.6 * off)) * width
    radius = min(radius, 0.47 * height)
    changeable = kind in ('mirrorless', 'slr', 'film')
    flare = float(rng.uniform(0.85, 1.18)) if changeable else 1.0
    instant = kind == 'instant'
    wedge = instant and rng.random() < 0.6
    thin = float(rng.uniform(0.35, 0.75)) if wedge else 1.0
    slope_back = bool(rng.random() < 0.6)
    slope = float(rng.uniform(0.35, 0.75)) if wedge else 0.0
    lens_z = float(rng.normal(-0.04, 0.03)) * height
    if wedge and not slope_back:  # the lens needs the upright part of the front
        lens_z = (0.5 - slope) * height - radius - 0.003
        radius = min(radius, 0.4 * (1.0 - slope) * height)
        lens_z = max(lens_z, -0.5 * height + 1.15 * radius)
    return CameraParameters(
        kind=kind, depth_m=depth, width_m=width, height_m=height,
        corner_m=float(rng.uniform(0.15, 0.48) * depth), edge_m=float(rng.uniform(0.0015, 0.006)),
        lens_m=float(np.clip(lens, 0.004, 0.13)), lens_radius_m=radius, lens_y_m=lens_y,
        lens_z_m=lens_z, rings=int(rng.integers(2, 6)), flare=flare,
        hood_m=float(rng.uniform(0.012, 0.035)) if changeable and rng.random() < 0.12 else 0.0,
        grip_m=float({'slr': rng.uniform(0.015, 0.028), 'bridge': rng.uniform(0.015, 0.03),
                      'mirrorless': rng.uniform(0.006, 0.018),
                      'compact': rng.uniform(0.002, 0.007)}.get(kind, 0.0)) if gripped else 0.0,
        hump_m=float(rng.uniform(0.010, 0.022)) if humped else 0.0,
        hump_y_m=lens_y + float(rng.normal(0.0, 0.003)),
        plate=float(rng.uniform(0.15, 0.32)) if rng.random() < PLATED.get(kind, 0.0) and not wedge
        else 0.0,
        flash_y_m=float(rng.uniform(-0.28, 0.28)) * width, slope=slope, thin=thin,
        slope_back=slope_back,
        tray_m=float(rng.uniform(0.008, 0.03)) if wedge and rng.random() < 0.7 else 0.0,
        block_m=float(rng.uniform(0.012, 0.03)) if instant and rng.random() < 0.4 else 0.0)


def _body(p: CameraParameters) -> Mesh:
    """A rounded box, or a wedge that gets thinner towards the top."""
    d, w, h = p.depth_m, p.width_m, p.height_m
    if p.slope == 0.0:
        return rounded_box(np.array([d, w, h]), p.corner_m, p.edge_m)
    # Drawn in (z, x), which facing(..., 1) puts along y.
    bend, slim = 0.5 * h - p.slope * h, -0.5 * d + p.thin * d
    corners = np.array([(-0.5 * h, -0.5 * d), (0.5 * h, -0.5 * d), (0.5 * h, slim),
                        (bend, 0.5 * d), (-0.5 * h, 0.5 * d)])
    if p.slope_back:
        corners = (corners * (1.0, -1.0))[::-1]
    radius = 0.004 + p.edge_m
    return facing(prism(rounded_polygon(corners, radius), -0.5 * w, 0.5 * w, p.edge_m), 1)


def build(p: CameraParameters) -> Shape:
    """The camera's meshes, the box of all of them centred at the origin."""
    d, w, h = p.depth_m, p.width_m, p.height_m
    meshes: dict[str, tuple[Mesh, str]] = {'body': (_body(p), 'body')}
    if p.plate > 0.0:
        tall = p.plate * h
        plate = rounded_box(np.array([d + 0.001, w + 0.001, tall]), p.corner_m,
                            min(p.edge_m, 0.4 * tall))
        meshes['plate'] = (plate.moved(np.array([0.0, 0.0, 0.5 * (h - tall) + 0.0008])), 'plate')
        foot = rounded_box(np.array([d + 0.001, w + 0.001, 0.12 * h]), p.corner_m, 0.001)
        meshes['foot'] = (foot.moved(np.array([0.0, 0.0, -0.44 * h - 0.0008])), 'plate')
    if p.grip_m > 0.0:
        outline = superellipse(0.5 * d * 0.6 + p.grip_m, 0.13 * w, 2.6)
        grip = prism(outline, -0.49 * h, 0.44 * h, 0.003)
        meshes['grip'] = (grip.moved(np.array([0.5 * d - 0.3 * d, -0.36 * w, 0.0])), 'grip')
    if p.tray_m > 0.0 and p.lens_z_m - p.lens_radius_m + 0.5 * h > 0.012:
        # Below lens and flash, which it would hide.
        tall = min(0.28 * h, p.lens_z_m - p.lens_radius_m + 0.5 * h - 0.002)
        tray = rounded_box(np.array([p.tray_m + 0.02, 0.94 * w, tall]), 0.004, 0.002)
        meshes['tray'] = (tray.moved(np.array([0.5 * (d + p.tray_m) - 0.01, 0.0,
                                               0.5 * (tall - h)])), 'plate')
    meshes |= lens(p) | top(p) | faces(p)
    tip = np.array([0.5 * d + p.lens_m + p.hood_m, p.lens_y_m, p.lens_z_m])
    return boxed('camera', meshes, tip, asdict(p))


def sample(rng: np.random.Generator) -> Shape:
    """A random camera."""
    return build(sample_parameters(rng))
