# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What sits on a camera's body: lens, top, front and back; body frame, its middle the origin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .solids import cylinder, facing, merged, prism, rounded_box, turned
from .surfaces import Mesh

if TYPE_CHECKING:
    from .camera import CameraParameters

HANDWOUND = ('film', 'retro')
"""Kinds with a film, wound by hand: no screen, a lever and a crank on top."""


def lens(p: CameraParameters) -> dict[str, tuple[Mesh, str]]:
    """Barrel with rings, front rim and glass, along x from the body's front."""
    front, r = 0.5 * p.depth_m, p.lens_radius_m
    at = np.array([0.0, p.lens_y_m, p.lens_z_m])
    cuts = np.linspace(0.0, p.lens_m, p.rings + 1)
    # Rings alternate in radius, as zoom and focus rings do, or step inwards as a compact's tubes.
    tubes = []
    for k in range(p.rings):
        shrink = 1.0 - 0.16 * k / p.rings if p.kind in ('compact', 'bridge') else (
            1.0 - 0.07 * ((k + p.rings) % 2))
        wider = 1.0 + (p.flare - 1.0) * k / (p.rings - 1)
        tubes.append((r * shrink * wider, cuts[k], cuts[k + 1]))
    tip = front + p.lens_m
    last = tubes[-1][0]
    inner = 0.72 * last
    # The glass lies in the foremost tube, which ends behind it: a closed one would cover it.
    deep = min(0.35 * inner, 0.7 * p.lens_m / p.rings)
    ends = [(low, high - (deep + 0.0005) * (k == p.rings - 1))
            for k, (_, low, high) in enumerate(tubes)]
    barrel = [cylinder(radius, front - 0.004 + low, front + high, 0.0008, 0)
              for (radius, _, _), (low, high) in zip(tubes, ends, strict=True)]
    rim = facing(turned(np.array([(last, tip - deep - 0.002), (last, tip), (0.92 * last, tip),
                                  (inner, tip - deep)])), 0)
    bulge = np.linspace(np.pi / 2.0, 0.0, 7)
    glass = facing(turned(np.stack([inner * np.sin(bulge),
                                    tip - deep + 0.45 * deep * np.cos(bulge)], 1)), 0)
    ring = facing(turned(np.array([(0.955 * last, tip + 0.0003), (0.90 * last, tip + 0.0003)])), 0)
    parts = {'barrel': (merged([barrel[0], *barrel[2:]]).moved(at), 'barrel'),
             # One ring may be of another material: the aperture's or the focus ring.
             'band': (barrel[1].moved(at), 'band'), 'rim': (rim.moved(at), 'dark'),
             'glass': (glass.moved(at), 'glass'), 'ring': (ring.moved(at), 'accent')}
    if p.hood_m > 0.0:
        edge = last + 0.25 * p.hood_m
        hood = facing(turned(np.array([(last, tip - 0.004), (edge, tip + p.hood_m),
                                       (edge - 0.0015, tip + p.hood_m), (last - 0.001, tip)])), 0)
        parts['hood'] = (hood.moved(at), 'dark')
    return parts


def top(p: CameraParameters) -> dict[str, tuple[Mesh, str]]:
    """Finder, shutter release, dials or winding lever, hot shoe."""
    parts: dict[str, tuple[Mesh, str]] = {}
    over, right = 0.5 * p.height_m, -0.5 * p.width_m
    # A wedge's top lies where it is thin.
    middle = 0.0 if p.slope == 0.0 else (
        0.5 * (1.0 if p.slope_back else -1.0) * (1.0 - p.thin) * p.depth_m)
    release = cylinder(0.0055, over - 0.002, over + 0.004, 0.001)
    ahead = 0.1 * p.depth_m * p.thin + 0.5 * p.grip_m
    if p.block_m == 0.0:
        at = np.array([middle + ahead, right + 0.16 * p.width_m, 0.0])
        parts['release'] = (release.moved(at), 'accent')
    if p.kind in HANDWOUND:
        parts |= _winding(p, over, right)
    elif p.kind != 'instant':
        dial = cylinder(0.0095, over - 0.002, over + 0.006, 0.001)
        parts['dial'] = (dial.moved(np.array([-0.12 * p.depth_m, right + 0.30 * p.width_m, 0.0])),
                         'trim')
    if p.hump_m > 0.0:
        parts |= _hump(p, over)
    elif p.kind == 'retro' or (p.kind == 'mirrorless' and p.rings > 3):
        shoe = rounded_box(np.array([0.018, 0.019, 0.004]), 0.001, 0.0005)
        parts['shoe'] = (shoe.moved(np.array([-0.1 * p.depth_m, p.lens_y_m, over + 0.0015])),
                         'metal')
    if p.block_m > 0.0:
        deep = min(0.026, 0.8 * p.thin * p.depth_m)
        block = rounded_box(np.array([deep, 0.55 * p.width_m, p.block_m + 0.004]), 0.004, 0.002)
        parts['block'] = (block.moved(np.array([middle, _block_y(p), over + 0.5 * p.block_m])),
                          'plate')
    return parts


def _block_y(p: CameraParameters) -> float:
    """The middle of the finder's block, which does not overhang the body."""
    return float(np.clip(p.flash_y_m, -0.2 * p.width_m, 0.2 * p.width_m))


def _winding(p: CameraParameters, over: float, right: float) -> dict[str, tuple[Mesh, str]]:
    """Rewind crank on the left, shutter speeds, lever and counter on the right."""
    wide = p.width_m
    crank = merged([cylinder(0.004, over - 0.002, over + 0.004, 0.0005),
                    cylinder(0.0095, over + 0.003, over + 0.009, 0.001)])
    speeds = cylinder(0.009, over - 0.002, over + 0.007, 0.001)
    lever = merged([cylinder(0.0085, over - 0.002, over + 0.004, 0.001),
                    rounded_box(np.array([0.006, 0.022, 0.003]), 0.0025, 0.0008).moved(
                        np.array([-0.006, -0.004, over + 0.0035]))])
    return {'crank': (crank.moved(np.array([-0.05 * p.depth_m, -right - 0.13 * wide, 0.0])),
                      'metal'),
            'dial': (speeds.moved(np.array([0.0, right + 0.29 * wide, 0.0])), 'trim'),
            'lever': (lever.moved(np.array([-0.18 * p.depth_m, right + 0.13 * wide, 0.0])),
                      'metal')}


def _hump(p: CameraParameters, over: float) -> dict[str, tuple[Mesh, str]]:
    wide = 0.30 * p.width_m
    outline = np.array([(-0.5 * wide, over - 0.004), (0.5 * wide, over - 0.004),
                        (0.30 * wide, over + p.hump_m), (-0.30 * wide, over + p.hump_m)])
    hump = facing(prism(outline, -0.5 * p.depth_m - 0.002, 0.5 * p.depth_m + 0.004, 0.002), 0)
    shoe = rounded_box(np.array([0.018, 0.019, 0.003]), 0.001, 0.0005)
    return {'hump': (hump.moved(np.array([0.0, p.hump_y_m, 0.0])), 'plate'),
            'shoe': (shoe.moved(np.array([-0.1 * p.depth_m, p.hump_y_m,
                                          over + p.hump_m + 0.0008])), 'metal')}


def _plate(size_y: float, size_z: float, x: float, y: float, z: float, back: bool) -> Mesh:
    """A flat patch on the front or the back, its picture upright for who looks at it."""
    side = -1.0 if back else 1.0
    # Seen from the front the object's y runs to the right, seen from behind to the left.
    a, b = side * size_y / 2.0, size_z / 2.0
    corners = np.array([(0.0, -a, -b), (0.0, a, -b), (0.0, a, b), (0.0, -a, b)])
    uv = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
    return Mesh(corners + (x, y, z), np.array([(0, 1, 2), (0, 2, 3)]),
                np.tile((side, 0.0, 0.0), (4, 1)), uv)


def faces(p: CameraParameters) -> dict[str, tuple[Mesh, str]]:
    """What is on the front and the back: name, flash, finder window; screen, buttons, eyepiece.

    Where a film is in it, there is a door in place of the screen.
    """
    front, back = 0.5 * p.depth_m + 0.0004, -0.5 * p.depth_m - 0.0004
    h, w = p.height_m, p.width_m
    if p.kind == 'instant':
        return _instant_faces(p, front, back)
    if p.kind in HANDWOUND:
        parts = {'screen': (_plate(0.74 * w, 0.66 * h, back, 0.0, -0.08 * h, True), 'door')}
        timer = rounded_box(np.array([0.004, 0.006, 0.022]), 0.0015, 0.001)
        parts['timer'] = (timer.moved(np.array([front + 0.001, -0.29 * w, 0.12 * h])), 'metal')
    else:
        parts = {'screen': (_plate(0.52 * w, 0.58 * h, back, 0.08 * w, -0.06 * h, True), 'screen')}
        parts |= _buttons(back, h, w)
    if p.hump_m > 0.0:
        eyepiece = rounded_box(np.array([0.010, 0.026, 0.016]), 0.003, 0.001, 0)
        parts['eyepiece'] = (eyepiece.moved(np.array([back - 0.003, p.hump_y_m, 0.5 * h + 0.002])),
                             'dark')
        name = _plate(0.16 * w, 0.5 * p.hump_m, front + 0.0044, p.hump_y_m,
                      0.5 * h + 0.35 * p.hump_m, False)
    else:
        flash = _plate(0.16 * w, 0.13 * h, front + 0.0005, p.flash_y_m, 0.38 * h, False)
        parts['flash'] = (flash, 'flash' if p.kind != 'retro' else 'screen_off')
        name = _plate(0.22 * w, 0.11 * h, front + 0.0005, -np.sign(p.flash_y_m) * 0.30 * w,
                      0.37 * h, False)
    parts['name'] = (name, 'name')
    if p.kind == 'retro':
        finder = _plate(0.12 * w, 0.10 * h, front + 0.0005, -0.30 * w * np.sign(p.flash_y_m),
                        0.37 * h, False)
        parts['name'] = (finder, 'screen_off')
    return parts


def _instant_faces(p: CameraParameters, front: float,
                   back: float) -> dict[str, tuple[Mesh, str]]:
    """Door, flash and finder of an instant camera; in its block where it has one."""
    h, w = p.height_m, p.width_m
    upright = (1.0 - p.slope) * h if p.slope_back else h
    door = _plate(0.7 * w, 0.7 * upright, back, 0.0, 0.5 * (upright - h), True)
    if p.block_m > 0.0:
        middle = 0.5 * (1.0 if p.slope_back else -1.0) * (1.0 - p.thin) * p.depth_m
        x = middle + 0.5 * min(0.026, 0.8 * p.thin * p.depth_m) + 0.0006
        y, z, tall = _block_y(p), 0.5 * h + 0.5 * p.block_m, 0.5 * p.block_m
    elif p.slope > 0.0 and not p.slope_back:  # the upright part is the lens's
        x, y, tall = front, 0.0, 0.09 * h
        z = (0.5 - p.slope) * h - 0.6 * tall
        z = min(z, p.lens_z_m + p.lens_radius_m)
    else:
        x, y, z, tall = front, 0.0, 0.37 * h, 0.13 * h
    flash = _plate(0.24 * w, tall, x, y + 0.14 * w, z, False)
    finder = _plate(0.12 * w, tall, x, y - 0.16 * w, z, False)
    return {'screen': (door, 'door'), 'flash': (flash, 'flash'), 'name': (finder, 'screen_off')}


def _buttons(back: float, h: float, w: float) -> dict[str, tuple[Mesh, str]]:
    keys = [cylinder(0.010, -0.001, 0.0015, 0.0005, 0)]
    keys += [cylinder(0.0035, -0.001, 0.0012, 0.0004, 0).moved(np.array([0.0, y, z]))
             for y, z in ((0.0, 0.020), (0.004, -0.018), (-0.006, -0.019))]
    keys_at = np.array([back, -0.36 * w, -0.08 * h])
    return {'buttons': (merged(keys).moved(keys_at), 'trim')}
