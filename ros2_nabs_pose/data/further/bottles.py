# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Bottles beyond the family: with stoppers, rings, spouts, bulbs, teats, loops and bars."""

from __future__ import annotations

import numpy as np

from ..labels import label_texture, sample_palette
from ..looks import Look, metal_color, Paint, PATTERNS, sample_color, srgb_to_linear
from ..shapes import on_axis, Shape
from ..shapes.lofts import fillet, loft
from ..shapes.measures import about
from ..shapes.solids import circle, cylinder, facing, rounded_box, turned
from ..shapes.surfaces import Mesh, resample, sweep_xz

_Parts = dict[str, tuple[Mesh, str]]
_Points = list[tuple[float, float]]


def _about(rng: np.random.Generator, middle: float, std: float = 0.2) -> float:
    return about(rng, middle, std, 1.8)


def _square(rng: np.random.Generator, share: float = 0.25) -> float:
    """The exponent of a section: mostly round."""
    return float(rng.uniform(3.0, 6.0)) if rng.random() < share else 2.0


def _solid(points: _Points, rounding: float = 0.003, square: float = 2.0) -> Mesh:
    """Closed, through (radius, z) from the bottom up; the widest part squared, the rest round."""
    profile = fillet([(0.0, points[0][1]), *points, (0.0, points[-1][1])], rounding)
    r, z = profile.T
    wide = np.clip((r - 0.5 * r.max()) / (0.5 * r.max()), 0.0, 1.0)
    return loft(r, r, z, 2.0 + (square - 2.0) * wide, (z - z.min()) / np.ptp(z))


def _label(rng: np.random.Generator, r: float, rounding: float, high: float,
           square: float = 2.0) -> _Parts:
    """A sleeve on most straight walls, which end in rounded edges at 0 and high."""
    low, high = rounding, high - rounding
    if rng.random() < 0.3 or high - low < 0.01:
        return {}
    z = low + np.sort(rng.uniform((0.05, 0.6), (0.4, 0.95))) * (high - low)
    half = np.full(2, r + 0.0004)
    return {'label': (loft(half, half, z, square, np.array((0.0, 1.0))), 'label')}


def _ring(radius: float, half: float, axis: int, x: float, y: float, z: float) -> Mesh:
    """A round wire bent to a circle about an axis through a point."""
    wire = circle(half, 16)
    wire = np.concatenate([wire, wire[:1]]) + (radius, 0.0)
    return facing(turned(wire), axis).moved(np.array((x, y, z)))


def _bar(points: _Points, half: float, wide: float = 1.0, tip: float = 1.0,
         rounding: float = 0.02) -> Mesh:
    """A bar along (x, z) with rounded bends, its width and its last thickness by the first's."""
    path = resample(fillet(points, rounding, 9), 40)
    thick = half * np.linspace(1.0, tip, 40)
    ends = np.concatenate([[1e-4 / half], np.ones(38), [1e-4 / half]])  # closes them
    path[[0, -1]] = path[[1, -2]] + 0.02 * (path[[0, -1]] - path[[1, -2]])
    return sweep_xz(path, wide * thick * ends, thick * ends, 2.4)


def _bottle(parts: _Parts, material: str = 'any') -> Shape:
    """material: 'steel' is never clear."""
    return on_axis('bottle', parts, {'material': material})


def swing_top(rng: np.random.Generator) -> Shape:
    """Beer or lemonade under a stopper that a wire holds down."""
    r, h, n = _about(rng, 0.036), _about(rng, 0.215, 0.18), _about(rng, 0.0135, 0.12)
    low, e, top = float(rng.uniform(0.45, 0.66)) * h, _square(rng), h + _about(rng, 0.018)
    out, hold, half = 1.35 * n, h - 0.026, _about(rng, 0.0016, 0.2)
    tail, edge = hold - _about(rng, 0.035), float(rng.uniform(0.006, 0.03))
    parts = {
        'body': (_solid([(r, 0.0), (r, low), (1.1 * n, 0.78 * h), (n, h - 0.012),
                         (1.2 * n, h - 0.01), (1.2 * n, h)],
                        edge, e), 'body'),
        'gasket': (cylinder(1.05 * n, h - 0.001, h + 0.004, 0.001), 'rubber'),
        'cap': (_solid([(0.95 * n, h + 0.003), (0.95 * n, h + 0.009), (0.6 * n, top)], 0.004),
                'cap'),
        'wire': (_bar([(-1.05 * n, hold), (-out, hold + 0.008), (-out, top), (out, top),
                       (out, hold + 0.008), (1.05 * n, hold)], half, rounding=0.006), 'trim'),
        'collar': (_ring(1.08 * n, half, 2, 0.0, 0.0, hold), 'trim'),
        'lever': (_bar([(out, hold + 0.012), (out + 0.012, hold), (out + 0.008, tail)], half, 1.5),
                  'trim')}
    return _bottle(parts | _label(rng, r, edge, low, e))


def growler(rng: np.random.Generator) -> Shape:
    """A wide jug with a ring for one finger at its neck."""
    r, h, n = _about(rng, 0.062), _about(rng, 0.22), _about(rng, 0.018, 0.15)
    low, foot = float(rng.uniform(0.5, 0.64)) * h, float(rng.uniform(0.74, 0.84)) * h
    e, edge = _square(rng), float(rng.uniform(0.008, 0.05))
    ring, half = _about(rng, 0.015), _about(rng, 0.0045, 0.15)
    parts = {'body': (_solid([(r, 0.0), (r, low), (1.1 * n, foot), (n, h)],
                             edge, e), 'body'),
             'ring': (_ring(ring, half, 1, n + 0.85 * ring, 0.0, foot + 0.6 * ring), 'body'),
             'cap': (cylinder(1.15 * n, h - 0.012, h + 0.006, 0.0015), 'cap')}
    return _bottle(parts | _label(rng, r, edge, low, e))


def hip_flask(rng: np.random.Generator) -> Shape:
    """Flat and bent, an arm keeps its cap."""
    w, d, h = _about(rng, 0.085), _about(rng, 0.022), _about(rng, 0.115)
    n, tall = min(_about(rng, 0.009, 0.15), 0.42 * d), _about(rng, 0.014)
    half_y, z = fillet([(0.0, 0.0), (0.42 * w, 0.0), (0.5 * w, 0.5 * h), (0.44 * w, h), (0.0, h)],
                       0.35 * min(w, h) * float(rng.uniform(0.4, 1.0))).T
    half_x = 0.5 * d * (1.0 - (1.0 - half_y / half_y.max()) ** 3)
    flat = loft(half_x, half_y, z, float(rng.uniform(2.4, 4.5)), z / h)
    bend, aside = float(rng.uniform(0.0, 0.4)) * d / (0.5 * w) ** 2, float(rng.uniform(0, 0.2)) * w
    y = flat.vertices[:, 1]
    normals = flat.normals - np.outer(2.0 * bend * y * flat.normals[:, 0], (0.0, 1.0, 0.0))
    body = Mesh(flat.vertices + np.outer(bend * y ** 2, (1.0, 0.0, 0.0)), flat.faces,
                normals / np.linalg.norm(normals, axis=1, keepdims=True), flat.uv)
    at, top, arm = np.array((bend * aside ** 2, -aside, 0.0)), h + tall, 2.3 * n
    fitted = {'neck': (cylinder(0.85 * n, h - 0.004, h + 0.004, 0.0), 'trim'),
              'cap': (cylinder(n, h + 0.003, top, 0.0015), 'cap'),
              'arm': (_bar([(0.0, top), (arm, top), (arm, h - 0.006)], 0.0015, 2.0, rounding=0.006
                           ).turned(0.5 * np.pi), 'trim')}
    return _bottle({'body': (body, 'body')} | {k: (mesh.moved(at), paint)
                                               for k, (mesh, paint) in fitted.items()}, 'steel')


def sports(rng: np.random.Generator) -> Shape:
    """A lid with a nozzle or a bent straw, and a loop to hang it by."""
    r, h = _about(rng, 0.036), _about(rng, 0.185)
    waist, lid, top = float(rng.uniform(0.78, 1.0)) * r, 1.04 * r, h + _about(rng, 0.02)
    n, tall, loop = _about(rng, 0.3, 0.15) * r, _about(rng, 0.028), _about(rng, 0.018)
    parts = {'body': (_solid([(0.93 * r, 0.0), (r, 0.3 * h), (waist, 0.6 * h), (r, 0.8 * h),
                              (r, h)], 0.015), 'body'),
             'lid': (_solid([(lid, h - 0.012), (lid, h + 0.006), (1.2 * n, top), (n, top + 0.002)],
                            0.004), 'cap')}
    if rng.random() < 0.5:
        parts['nozzle'] = (_solid([(n, top), (0.8 * n, top + 0.6 * tall),
                                   (1.05 * n, top + 0.7 * tall), (0.7 * n, top + tall)], 0.002),
                           'trim')
    else:
        lean = float(rng.uniform(-0.6, 1.2)) * r
        parts['straw'] = (_bar([(0.0, top - 0.004), (0.0, top + 0.5 * tall),
                                (lean, top + tall)], 0.45 * n, tip=1.2), 'rubber')
    if rng.random() < 0.6:
        parts['loop'] = (_ring(loop, _about(rng, 0.0035), 1, -lid - 0.75 * loop, 0.0, h), 'trim')
    else:
        over = top + tall + _about(rng, 0.022)
        parts['loop'] = (_bar([(-0.92 * lid, h), (-0.95 * lid, over), (0.95 * lid, over),
                               (0.92 * lid, h)], 0.003, 3.0, rounding=0.03), 'trim')
    return _bottle(parts)


def thermos(rng: np.random.Generator) -> Shape:
    """Its cap is a cup; a handle at the side of most."""
    r, h, cup = _about(rng, 0.038), _about(rng, 0.2), _about(rng, 0.065)
    wide, grip = float(rng.uniform(0.8, 1.05)) * r, _about(rng, 0.036)
    high, low = float(rng.uniform(0.8, 0.93)) * h, float(rng.uniform(0.3, 0.55)) * h
    parts = {'body': (_solid([(r, 0.0), (r, 0.94 * h), (0.85 * r, h)], 0.008), 'body'),
             'foot': (cylinder(1.03 * r, 0.0, _about(rng, 0.012), 0.002), 'trim'),
             'collar': (cylinder(0.8 * wide, h - 0.002, h + 0.007, 0.0), 'trim'),
             'cap': (_solid([(wide, h + 0.005), (wide, h + 0.012), (0.93 * wide, h + 0.014),
                             (0.85 * wide, h + cup)], 0.004), 'cap')}
    if rng.random() < 0.85:
        parts['handle'] = (_bar([(0.85 * r, high), (r + grip, high), (r + grip, low),
                                 (0.85 * r, low)], 0.005, 1.8, rounding=0.03), 'trim')
    if rng.random() < 0.35:
        parts['ear'] = (_ring(0.3 * cup, 0.003, 1, -0.9 * wide - 0.2 * cup, 0.0, h + 0.5 * cup),
                        'cap')
    return _bottle(parts, 'steel')


def dropper(rng: np.random.Generator) -> Shape:
    """Small, with a rubber bulb on its cap."""
    r, h, n, e = _about(rng, 0.018), _about(rng, 0.06), _about(rng, 0.009, 0.12), _square(rng, 0.3)
    low, top, bulb = float(rng.uniform(0.65, 0.85)) * h, h + 0.006, _about(rng, 0.028)
    edge = float(rng.uniform(0.002, 0.012))
    parts = {'body': (_solid([(r, 0.0), (r, low), (min(n, 0.8 * r), 0.9 * h),
                              (min(n, 0.8 * r), h)], edge, e), 'body'),
             'cap': (cylinder(1.2 * n, h - 0.008, top, 0.001), 'cap'),
             'bulb': (_solid([(0.8 * n, top - 0.001), (0.72 * n, top + 0.25 * bulb),
                              (float(rng.uniform(0.75, 1.15)) * n, top + 0.5 * bulb),
                              (0.55 * n, top + bulb)], 0.006), 'rubber')}
    return _bottle(parts | _label(rng, r, edge, low, e))


def canister(rng: np.random.Generator) -> Shape:
    """A box to carry by a bar on top, the spout at one end."""
    w, d, h = _about(rng, 0.13), _about(rng, 0.075), _about(rng, 0.19)
    edge, n = float(rng.uniform(0.05, 0.2)) * d, min(_about(rng, 0.015), 0.3 * d)
    rise, y, spout = _about(rng, 0.03), 0.46 * w - n - edge, _about(rng, 0.02)
    far, near = -0.38 * w, y - 1.6 * n - 0.006
    middle, aside = np.array((0.0, 0.0, 0.5 * h)), np.array((0.0, y, 0.0))
    lean = float(rng.uniform(0.0, 0.5)) * rise
    bar = [(far, h - 0.004), (far + lean, h + rise), (near - lean, h + rise), (near, h - 0.004)]
    parts = {'body': (rounded_box(np.array((d, w, h)), edge, 0.8 * edge).moved(middle), 'body'),
             'bar': (_bar(bar, _about(rng, 0.006), 1.3).turned(0.5 * np.pi), 'body'),
             'spout': (cylinder(0.85 * n, h - 0.004, h + spout, 0.0).moved(aside), 'body'),
             'cap': (cylinder(n, h + 0.4 * spout, h + spout + 0.006, 0.0015).moved(aside), 'cap')}
    if rng.random() < 0.6:
        share = rng.uniform((0.5, 0.4), (0.75, 0.7))
        size = np.array((d + 0.006, share[0] * w, share[1] * h))
        parts['panel'] = (rounded_box(size, 0.012, 0.003, 0).moved(middle),
                          str(rng.choice(('body', 'trim'))))
    return _bottle(parts, str(rng.choice(('steel', 'any'))))


def oil_can(rng: np.random.Generator) -> Shape:
    """Oil or vinegar: a thin spout at the side, a knob on top, some with a handle."""
    r, h, n = _about(rng, 0.042), _about(rng, 0.14), _about(rng, 0.35, 0.2)
    low, n = float(rng.uniform(0.05, 0.5)) * h, min(n, 0.6) * r
    start, reach = float(rng.uniform(0.25, 0.5)) * h, r + _about(rng, 0.035)
    tip = h * float(rng.uniform(0.9, 1.25))
    spout = [(0.5 * r, start), (float(rng.uniform(0.9, 1.25)) * r, start + 0.1 * h),
             (0.6 * reach + 0.4 * r, 0.75 * tip), (reach, tip)]
    half = _about(rng, 0.006)
    parts = {'body': (_solid([(r, 0.0), (r, low), (n, 0.9 * h), (n, h)],
                             float(rng.uniform(0.004, 0.04))), 'body'),
             'spout': (_bar(spout, half, tip=0.5, rounding=0.03),
                       str(rng.choice(('body', 'trim')))),
             'cap': (_solid([(1.08 * n, h - 0.005), (1.08 * n, h + 0.004), (0.3 * n, h + 0.3 * n),
                             (0.45 * n, h + 0.9 * n), (0.2 * n, h + 1.1 * n)], 0.003), 'cap')}
    if rng.random() < 0.5:
        out = -r - _about(rng, 0.022)
        parts['handle'] = (_bar([(-0.8 * n, 0.86 * h), (out, 0.88 * h), (out, 0.3 * h),
                                 (-0.6 * r, 0.25 * h)], 0.004, 1.5, rounding=0.03), 'body')
    return _bottle(parts)


def canteen(rng: np.random.Generator) -> Shape:
    """A disc that stands on its edge, a loop for the strap at both sides."""
    r, t, n = _about(rng, 0.08), _about(rng, 0.055), _about(rng, 0.016, 0.15)
    flat, n = float(rng.uniform(0.5, 0.85)) * r, min(n, 0.4 * t)
    disc = _solid([(flat, -0.5 * t), (r, -0.12 * t), (r, 0.12 * t), (flat, 0.5 * t)], 0.4 * t)
    up, loop, top = np.radians(rng.uniform(10.0, 50.0)), _about(rng, 0.011), 2.0 * r
    neck, tall = _about(rng, 0.012), _about(rng, 0.018)
    y, z = (r + 0.6 * loop) * np.cos(up), r + (r + 0.6 * loop) * np.sin(up)
    parts = {'body': (facing(disc, 0).moved(np.array((0.0, 0.0, r))), 'body'),
             'neck': (cylinder(0.85 * n, top - 0.25 * n - 0.006, top + neck, 0.0), 'body'),
             'cap': (cylinder(n, top + 0.6 * neck, top + neck + tall, 0.002), 'cap')}
    for name, side in (('loop', -1.0), ('other loop', 1.0)):
        parts[name] = (_ring(loop, 0.0025, 0, 0.0, side * y, z), 'trim')
    if rng.random() < 0.5:
        wide = float(rng.uniform(0.3, 0.6)) * t
        parts['strap'] = (cylinder(r + 0.0015, -0.5 * wide, 0.5 * wide, 0.001, 0).moved(
            np.array((0.0, 0.0, r))), 'trim')
    return _bottle(parts, str(rng.choice(('steel', 'any'))))


def aerosol(rng: np.random.Generator) -> Shape:
    """A spray can: a dome, and a button or a cap over it."""
    r, h, dome = _about(rng, 0.027), _about(rng, 0.15), _about(rng, 0.014)
    n, top = float(rng.uniform(0.3, 0.45)) * r, h + dome
    parts = {'body': (_solid([(r, 0.0), (r, h)], 0.001), 'label'),
             'foot': (_ring(0.99 * r, 0.0015, 2, 0.0, 0.0, 0.0015), 'trim'),
             'rim': (_ring(0.98 * r, 0.0018, 2, 0.0, 0.0, h), 'trim'),
             'dome': (_solid([(0.97 * r, h - 0.001), (0.8 * r, h + 0.6 * dome), (1.3 * n, top),
                              (1.3 * n, top + 0.003)], 0.006), 'trim')}
    if rng.random() < 0.5:
        parts['cap'] = (_solid([(0.9 * n, top), (0.9 * n, top + 0.008), (0.7 * n, top + 0.016)],
                               0.003), 'cap')
        parts['nozzle'] = (cylinder(0.0025, 0.0, 1.05 * n, 0.0, 0).moved(
            np.array((0.0, 0.0, top + 0.006))), 'rubber')
    else:
        wide, tall = float(rng.uniform(0.8, 1.0)) * r, dome + _about(rng, 0.028)
        parts['cap'] = (_solid([(wide, h), (wide, h + 0.5 * tall), (0.7 * wide, h + tall)],
                               float(rng.uniform(0.002, 0.015))), 'cap')
    return _bottle(parts, 'steel')


def baby(rng: np.random.Generator) -> Shape:
    """A collar with a teat."""
    r, h, n = _about(rng, 0.031), _about(rng, 0.125), float(rng.uniform(0.65, 1.05))
    waist, n, teat = float(rng.uniform(0.75, 1.0)) * r, n * r, _about(rng, 0.036)
    ring, tall, e = 1.1 * n, _about(rng, 0.018), _square(rng)
    tip = _about(rng, 0.006, 0.15)
    return _bottle({
        'body': (_solid([(r, 0.0), (r, 0.25 * h), (waist, 0.55 * h), (r, 0.82 * h),
                         (0.95 * n, 0.95 * h), (0.95 * n, h)], 0.012, e), 'body'),
        'collar': (_solid([(ring, h - 0.004), (ring, h - 0.004 + tall), (0.8 * ring, h + tall)],
                          0.003), 'cap'),
        'teat': (_solid([(0.78 * n, h), (0.72 * n, h + tall + 0.004),
                         (1.2 * tip, h + tall + 0.5 * teat), (tip, h + tall + 0.7 * teat),
                         (tip, h + tall + teat)], 0.006), 'rubber')})


def milk(rng: np.random.Generator) -> Shape:
    """Wide at the mouth and open, with or without something in it."""
    r, h, e = _about(rng, 0.043), _about(rng, 0.2), _square(rng, 0.35)
    n, t = float(rng.uniform(0.55, 0.8)) * r, float(rng.uniform(0.002, 0.004))
    low, neck, lip = float(rng.uniform(0.45, 0.62)) * h, float(rng.uniform(0.7, 0.8)) * h, 0.003
    flare, edge = n * float(rng.uniform(1.0, 1.35)), 0.02
    parts = {'body': (_solid([
        (r, 0.0), (r, low), (n, neck), (n, 0.9 * h), (flare, h - 2.0 * lip),
        (flare + lip, h - lip), (flare, h), (flare - t, h - lip), (n - t, 0.9 * h), (n - t, neck),
        (r - t, low), (r - t, t)], edge, e), 'body')}
    if rng.random() < 0.6:
        wide, bottom = r - 1.3 * t, 1.3 * t
        level = max(low * float(rng.uniform(0.4, 0.95)), bottom + 1.5 * edge)
        # Within the rounded edge at the bottom.
        parts['drink'] = (_solid([(wide - edge, bottom), (wide, bottom + edge), (wide, level)],
                                 0.001, e), 'drink')
    return _bottle(parts | _label(rng, r, edge, low, e))


KINDS = {'swing-top': swing_top, 'growler': growler, 'hip flask': hip_flask, 'sports': sports,
         'thermos': thermos, 'dropper': dropper, 'canister': canister, 'oil can': oil_can,
         'canteen': canteen, 'aerosol': aerosol, 'baby': baby, 'milk': milk}

_GLASS = ((0.10, 0.22, 0.12), (0.20, 0.30, 0.14), (0.30, 0.15, 0.06), (0.66, 0.72, 0.70),
          (0.80, 0.84, 0.84), (0.08, 0.10, 0.20))


def sample_look(rng: np.random.Generator, shape: Shape) -> Look:
    """Bodies of steel, dark or pale glass, plain or patterned; all else of colours of its own."""
    def metal() -> Paint:
        return Paint(metal_color(rng), 'metal', float(rng.uniform(0.15, 0.45)))

    def paint(steel: float) -> Paint:
        if rng.random() < steel:
            return metal()
        finish = str(rng.choice(('matte', 'satin', 'glazed')))
        return Paint(sample_color(rng), finish, float(rng.uniform(0.06, 0.5)))

    steel = shape.parameters['material'] == 'steel'
    body = paint(0.4 if steel else 0.05)
    if not steel and rng.random() < 0.4:
        tint = np.array(_GLASS[int(rng.integers(len(_GLASS)))]) * rng.uniform(0.85, 1.15)
        body = Paint(srgb_to_linear(tint), 'glazed', float(rng.uniform(0.03, 0.15)))
    pattern = 'plain'
    if body.finish != 'metal' and rng.random() < 0.2:
        pattern = str(rng.choice(list(PATTERNS)))
        texture = np.clip(PATTERNS[pattern](rng, body.color), 0.01, 0.95)
        body = Paint(texture, body.finish, body.roughness)
    label = Paint(label_texture(rng, float(rng.uniform(1.0, 4.0)), sample_palette(rng)),
                  str(rng.choice(('satin', 'glazed', 'matte'))), float(rng.uniform(0.1, 0.6)))
    cap = paint(0.15) if rng.random() < 0.75 or body.color.ndim > 1 else body
    trim = cap if rng.random() < 0.25 else paint(0.45)
    rubber = Paint(sample_color(rng), 'matte', 0.6)
    drink = Paint(sample_color(rng), 'glazed', 0.1)
    return Look({'body': body, 'label': label, 'cap': cap, 'trim': trim, 'rubber': rubber,
                 'drink': drink}, pattern)
