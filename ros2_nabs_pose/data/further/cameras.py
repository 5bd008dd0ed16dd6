# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Cameras that the family has not: for cinemas, walls, desks, helmets, seas and children."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..looks import Look
from ..shapes import boxed, camera, Shape
from ..shapes.camera_parts import lens
from ..shapes.measures import about
from ..shapes.solids import circle, cylinder, facing, prism, rounded_box, superellipse, turned
from ..shapes.surfaces import Mesh

_Parts = dict[str, tuple[Mesh, str]]


def _about(rng: np.random.Generator, middle: float, std: float = 0.15) -> float:
    return about(rng, middle, std)


def _box(size: tuple[float, float, float], at: tuple[float, float, float],
         corner: float = 0.004, axis: int = 2) -> Mesh:
    """A box of that size about a point; corner: radius of its edges along an axis."""
    edge = min(0.0025, 0.3 * min(size))
    return rounded_box(np.array(size), min(corner, 0.45 * min(size)), edge, axis).moved(
        np.array(at))


def _optics(rng: np.random.Generator, name: str, at: tuple[float, float, float], radius: float,
            long: float, hooded: float) -> _Parts:
    """A lens as the family's cameras have it, along x from a point; its name before its parts'."""
    p = replace(camera.sample_parameters(rng), depth_m=2.0 * at[0], lens_y_m=at[1],
                lens_z_m=at[2], lens_radius_m=radius, lens_m=long, flare=_about(rng, 1.0, 0.08),
                hood_m=0.5 * radius if rng.random() < hooded else 0.0,
                rings=int(rng.integers(2, 6)))
    return {f'{name} {part}': mesh for part, mesh in lens(p).items()}


def _back(rng: np.random.Generator, x: float, w: float, h: float) -> _Parts:
    """What shows at the back: a screen, a door or an eyepiece."""
    kind = int(rng.integers(3))
    if kind < 2:
        size = (0.003, w * float(rng.uniform(0.5, 0.85)), h * float(rng.uniform(0.5, 0.85)))
        return {'back': (_box(size, (x, 0.0, 0.0), 0.001), ('screen', 'door')[kind])}
    return {'eyepiece': (_box((0.02, 0.026, 0.02), (x - 0.004, 0.0, 0.3 * h), 0.006, 0), 'dark')}


def _knobs(rng: np.random.Generator, d: float, w: float, over: float) -> _Parts:
    """Releases, dials and lamps on top."""
    parts: _Parts = {}
    for k in range(int(rng.integers(0, 4))):
        knob = cylinder(float(rng.uniform(0.003, 0.012)), over - 0.003,
                        over + float(rng.uniform(0.002, 0.012)), 0.0008)
        at = np.array([d * rng.uniform(-0.3, 0.3), w * rng.uniform(-0.4, 0.4), 0.0])
        parts[f'knob {k}'] = (knob.moved(at), ('trim', 'metal', 'accent')[int(rng.integers(3))])
    return parts


def _camera(rng: np.random.Generator, parts: _Parts, beside: tuple[float, float]) -> Shape:
    """The box of all parts about the origin, in the colours of any of the family's kinds.

    beside: y and z of the middle of its lens or lenses.
    """
    front = max(float(mesh.vertices[:, 0].max()) for name, (mesh, _) in parts.items()
                if name.endswith((' rim', ' hood', ' glass')))
    return boxed('camera', parts, np.array((front, *beside)),
                 {'kind': str(rng.choice(camera.KINDS)), 'hump_m': 0.0, 'plate': 0.0})


def cine(rng: np.random.Generator) -> Shape:
    """For narrow film: longer than wide, a zoom in front, a pistol's grip, perhaps reels above."""
    d, w, h = _about(rng, 0.14, 0.25), _about(rng, 0.05), _about(rng, 0.095)
    long, r = _about(rng, 0.06, 0.35), float(rng.uniform(0.3, 0.48)) * min(w, h)
    z = float(rng.uniform(-0.1, 0.2)) * h
    parts: _Parts = {'body': (_box((d, w, h), (0.0, 0.0, 0.0), 0.015, 1), 'body'),
                     'side': (_box((0.8 * d, 0.004, 0.75 * h), (0.0, -0.5 * w, 0.0)), 'plate'),
                     'eyepiece': (cylinder(0.012, -0.5 * d - 0.03, -0.4 * d, 0.001, 0).moved(
                         np.array([0.0, 0.0, 0.3 * h])), 'dark')}
    if rng.random() < 0.7:
        deep = float(rng.uniform(0.03, 0.05))
        parts['grip'] = (_box((deep, 0.8 * w, 0.1), (d * float(rng.uniform(-0.2, 0.2)), 0.0,
                                                     -0.5 * h - 0.045), 0.012), 'grip')
    if rng.random() < 0.3:
        for name, x in (('front reel', 0.22 * d), ('back reel', -0.26 * d)):
            reel = cylinder(0.26 * d, -0.012, 0.012, 0.002, 1)
            parts[name] = (reel.moved(np.array([x, 0.0, 0.5 * h + 0.22 * d])), 'plate')
    parts |= _optics(rng, 'zoom', (0.5 * d, 0.0, z), r, long, 0.4)
    return _camera(rng, parts, (0.0, z))


def stereo(rng: np.random.Generator) -> Shape:
    """Two lenses side by side."""
    d, w, h = _about(rng, 0.045, 0.25), _about(rng, 0.15), _about(rng, 0.07)
    r, apart = float(rng.uniform(0.2, 0.4)) * h, 0.5 * w * float(rng.uniform(0.4, 0.7))
    long = _about(rng, 0.02, 0.5)
    parts: _Parts = {'body': (_box((d, w, h), (0.0, 0.0, 0.0), 0.4 * d), 'body'),
                     'top': (_box((0.7 * d, 0.5 * w, 0.014), (0.0, 0.0, 0.5 * h + 0.004)),
                             'plate')}
    parts |= _back(rng, -0.5 * d, w, h) | _knobs(rng, d, w, 0.5 * h)
    r = min(r, 0.9 * apart)
    for name, y in (('left', apart), ('right', -apart)):
        parts |= _optics(rng, name, (0.5 * d, y, 0.0), r, long, 0.0)
    return _camera(rng, parts, (0.0, 0.0))


def reporter(rng: np.random.Generator) -> Shape:
    """On a second grip, as high as wide, behind a lens longer than all of it, or both."""
    p = camera.sample_parameters(rng)
    while p.kind not in ('slr', 'film', 'mirrorless'):
        p = camera.sample_parameters(rng)
    tall = rng.random() < 0.5
    if tall:
        taller = float(rng.uniform(1.35, 1.75))
        p = replace(p, height_m=taller * p.height_m,
                    lens_z_m=p.lens_z_m + 0.5 * (taller - 1.0) * p.height_m)
    if not tall or rng.random() < 0.4:
        p = replace(p, lens_m=float(rng.uniform(0.11, 0.26)),
                    lens_radius_m=min(_about(rng, 0.036), 0.47 * p.height_m),
                    flare=float(rng.uniform(1.0, 1.5)), rings=int(rng.integers(4, 6)))
    made = camera.build(p)
    return replace(made, parameters={'kind': p.kind, 'hump_m': p.hump_m, 'plate': p.plate})


def action(rng: np.random.Generator) -> Shape:
    """As small as a matchbox, a flat lens in its corner, perhaps in a case on a foot."""
    d, w, h = _about(rng, 0.03, 0.25), _about(rng, 0.06), _about(rng, 0.044, 0.2)
    r = float(rng.uniform(0.22, 0.38)) * min(w, h)
    y, z = (0.5 * w - 1.25 * r) * float(rng.uniform(-1.0, 1.0)), 0.5 * h - 1.25 * r
    out = float(rng.uniform(0.003, 0.012))
    parts: _Parts = {
        'body': (_box((d, w, h), (0.0, 0.0, 0.0), 0.008, 0), 'body'),
        'around': (_box((out, 2.3 * r, 2.3 * r), (0.5 * (d + out) - 0.001, y, z), 0.3 * r, 0),
                   'plate'),
        'face': (_box((0.002, 0.9 * w, 0.9 * h), (0.5 * d, 0.0, 0.0), 0.006, 0), 'grip')}
    if rng.random() < 0.4:
        parts['foot'] = (_box((0.012, 0.02, 0.025), (0.0, 0.0, -0.5 * h - 0.01)), 'dark')
    parts |= _back(rng, -0.5 * d, w, h) | _knobs(rng, d, w, 0.5 * h)
    parts |= _optics(rng, 'lens', (0.5 * d + out - 0.003, y, z), r, 0.006, 0.0)
    return _camera(rng, parts, (y, z))


def bullet(rng: np.random.Generator) -> Shape:
    """On a wall: a tube that looks along itself, under a visor, on an arm."""
    long, r = _about(rng, 0.14, 0.25), _about(rng, 0.034, 0.2)
    outline = circle(r) if rng.random() < 0.6 else superellipse(r, r, float(rng.uniform(3.0, 8.0)))
    parts: _Parts = {
        'body': (facing(prism(outline, -0.5 * long, 0.5 * long, 0.15 * r), 0), 'body'),
        'face': (cylinder(0.85 * r, 0.5 * long - 0.003, 0.5 * long + 0.002, 0.0005, 0), 'dark')}
    if rng.random() < 0.6:
        parts['visor'] = (_box((0.85 * long, 1.7 * r, 0.003), (0.15 * long, 0.0, 1.02 * r), 0.01),
                          'body')
    up = 1.0 if rng.random() < 0.3 else -1.0
    arm = float(rng.uniform(0.5, 1.5)) * r
    parts['arm'] = (_box((0.018, 0.018, arm + r), (-0.2 * long, 0.0, up * (0.5 * arm + r))),
                    'plate')
    parts['plate'] = (cylinder(0.9 * r, -0.004, 0.004, 0.001).moved(
        np.array([-0.2 * long, 0.0, up * (arm + 1.5 * r)])), 'plate')
    parts |= _optics(rng, 'lens', (0.5 * long, 0.0, 0.0), 0.55 * r, 0.008, 0.0)
    return _camera(rng, parts, (0.0, 0.0))


def desk(rng: np.random.Generator) -> Shape:
    """For a computer: a ball or a bar with a lens, on a foot or a clip."""
    parts: _Parts
    if rng.random() < 0.5:
        r = _about(rng, 0.03, 0.2)
        arc = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 17)
        ball = turned(np.stack([np.maximum(r * np.cos(arc), 1e-4), r * np.sin(arc)], 1))
        front, half, under = 0.93 * r, r, -0.9 * r
        parts = {'body': (ball, 'body')}
    else:
        d, w, h = _about(rng, 0.03, 0.3), _about(rng, 0.09, 0.25), _about(rng, 0.028, 0.2)
        front, half, under = 0.5 * d, 0.5 * h, -0.48 * h
        parts = {'body': (_box((d, w, h), (0.0, 0.0, 0.0), 0.45 * h, 0), 'body'),
                 'face': (_box((0.002, 0.94 * w, 0.9 * h), (front, 0.0, 0.0), 0.4 * h, 0), 'dark')}
    low = under - float(rng.uniform(0.01, 0.05))
    parts['stalk'] = (_box((0.014, 0.014, under - low + 0.006), (0.0, 0.0, 0.5 * (under + low))),
                      'trim')
    parts['foot'] = ((cylinder(_about(rng, 0.03), low - 0.006, low, 0.002) if rng.random() < 0.5
                      else _box((0.06, 0.05, 0.01), (-0.012, 0.0, low))), 'plate')
    r = float(rng.uniform(0.35, 0.65)) * half
    parts |= _optics(rng, 'lens', (front - 0.004, 0.0, 0.0), r, 0.010, 0.0)
    return _camera(rng, parts, (0.0, 0.0))


def technical(rng: np.random.Generator) -> Shape:
    """A pyramid from a high body to a small lens, a lamp's bowl at its left."""
    d, w, h = _about(rng, 0.035, 0.3), _about(rng, 0.12, 0.2), _about(rng, 0.12, 0.2)
    deep, tip = _about(rng, 0.08, 0.3), float(rng.uniform(0.3, 0.6))
    cone = facing(prism(superellipse(0.42 * w, 0.42 * h, 12.0), 0.5 * d - 0.002, 0.5 * d + deep,
                        0.002, taper=1.0 - tip), 0)
    parts: _Parts = {'body': (_box((d, w, h), (0.0, 0.0, 0.0)), 'body'), 'cone': (cone, 'grip'),
                     'finder': (_box((0.04, 0.03, 0.022), (0.0, w * float(rng.uniform(-0.3, 0.3)),
                                                           0.5 * h + 0.008)), 'plate')}
    if rng.random() < 0.5:
        y = 0.5 * w + 0.03
        bowl = facing(turned(np.array([(0.012, -0.01), (0.05, 0.022), (0.047, 0.024),
                                       (1e-4, 0.0)])), 0)
        parts['bowl'] = (bowl.moved(np.array([0.0, y, 0.5 * h])), 'metal')
        parts['stick'] = (cylinder(0.013, -0.5 * h, 0.5 * h + 0.012, 0.002).moved(
            np.array([-0.008, y, 0.0])), 'metal')
        parts['joint'] = (_box((0.02, 0.05, 0.02), (0.0, 0.5 * w + 0.01, 0.0)), 'metal')
    parts |= _back(rng, -0.5 * d, w, h) | _knobs(rng, d, w, 0.5 * h)
    long = _about(rng, 0.02, 0.3)
    r = float(rng.uniform(0.7, 0.95)) * 0.42 * tip * min(w, h)
    parts |= _optics(rng, 'lens', (0.5 * d + deep - 0.002, 0.0, 0.0), r, long, 0.0)
    return _camera(rng, parts, (0.0, 0.0))


def housing(rng: np.random.Generator) -> Shape:
    """For divers: a camera in a case with a dome of glass and a handle at each side."""
    d, w, h = _about(rng, 0.085, 0.2), _about(rng, 0.15), _about(rng, 0.12)
    r = float(rng.uniform(0.3, 0.48)) * h
    arc = np.linspace(0.5 * np.pi, 0.0, 9)
    dome = facing(turned(np.stack([r * np.sin(arc), 0.5 * d + 0.02 + 0.8 * r * np.cos(arc)], 1)),
                  0)
    y = float(rng.uniform(-0.15, 0.15)) * w
    parts: _Parts = {'body': (_box((d, w, h), (0.0, 0.0, 0.0), 0.02), 'body'),
                     'port': (cylinder(1.08 * r, 0.5 * d - 0.003, 0.5 * d + 0.021, 0.002, 0).moved(
                         np.array([0.0, y, 0.0])), 'barrel'),
                     'dome glass': (dome.moved(np.array([0.0, y, 0.0])), 'glass')}
    if rng.random() < 0.6:
        for name, side in (('left', 1.0), ('right', -1.0)):
            parts[f'{name} handle'] = (_box((0.026, 0.026, 0.9 * h), (0.0, side * (0.5 * w + 0.045),
                                                                     0.0), 0.012), 'grip')
            parts[f'{name} arm'] = (_box((0.02, 0.07, 0.014), (0.0, side * (0.5 * w + 0.02),
                                                               -0.38 * h)), 'plate')
    parts |= _back(rng, -0.5 * d, w, h) | _knobs(rng, d, w, 0.5 * h)
    return _camera(rng, parts, (y, 0.0))


def cinema(rng: np.random.Generator) -> Shape:
    """For films: a handle above, a frame of shades before a large lens, a screen at its left."""
    d, w, h = _about(rng, 0.13, 0.2), _about(rng, 0.085, 0.2), _about(rng, 0.10, 0.15)
    long, r = _about(rng, 0.09, 0.3), float(rng.uniform(0.33, 0.47)) * min(w, h)
    tip = 0.5 * d + long
    parts: _Parts = {'body': (_box((d, w, h), (0.0, 0.0, 0.0)), 'body'),
                     'handle': (_box((0.85 * d, 0.022, 0.02), (0.0, 0.0, 0.5 * h + 0.05), 0.008),
                                'grip')}
    for name, x in (('front post', 0.32 * d), ('back post', -0.32 * d)):
        parts[name] = (_box((0.016, 0.016, 0.055), (x, 0.0, 0.5 * h + 0.022)), 'metal')
    if rng.random() < 0.5:
        wide, tall, x = 2.6 * r, 2.2 * r, tip + 0.01
        for name, size, at in (
                ('frame', (0.005, wide, tall), (tip - 0.025, 0.0, 0.0)),
                ('upper shade', (0.07, wide, 0.004), (x, 0.0, 0.5 * tall)),
                ('lower shade', (0.07, wide, 0.004), (x, 0.0, -0.5 * tall)),
                ('left shade', (0.07, 0.004, tall), (x, 0.5 * wide, 0.0)),
                ('right shade', (0.07, 0.004, tall), (x, -0.5 * wide, 0.0))):
            parts[name] = (_box(size, at, 0.001), 'dark')
    if rng.random() < 0.5:
        parts['monitor'] = (_box((0.018, 0.09, 0.06), (0.1 * d, 0.5 * w + 0.05, 0.4 * h)), 'dark')
        parts['joint'] = (_box((0.012, 0.03, 0.012), (0.1 * d, 0.5 * w, 0.4 * h)), 'metal')
    if rng.random() < 0.5:
        parts['battery'] = (_box((0.05, 0.8 * w, 0.8 * h), (-0.5 * d - 0.02, 0.0, 0.0)), 'plate')
    parts |= _optics(rng, 'lens', (0.5 * d, 0.0, 0.0), r, long, 0.0)
    return _camera(rng, parts, (0.0, 0.0))


def upright(rng: np.random.Generator) -> Shape:
    """Higher than wide: for the hand, its lens above, a screen or a finder behind."""
    d, w, h = _about(rng, 0.035, 0.35), _about(rng, 0.06, 0.2), _about(rng, 0.11, 0.15)
    r = float(rng.uniform(0.25, 0.45)) * w
    y, z = 0.3 * (0.5 * w - r) * float(rng.normal()), h * float(rng.uniform(-0.1, 0.25))
    long = _about(rng, 0.02, 0.6)
    parts: _Parts = {'body': (_box((d, w, h), (0.0, 0.0, 0.0), 0.012, int(rng.integers(3))),
                              'body'),
                     'foot': (_box((d + 0.002, w + 0.002, 0.2 * h), (0.0, 0.0, -0.38 * h), 0.012),
                              'plate')}
    parts |= _back(rng, -0.5 * d, w, h) | _knobs(rng, d, w, 0.5 * h)
    parts |= _optics(rng, 'lens', (0.5 * d, y, z), r, long, 0.0)
    return _camera(rng, parts, (y, z))


def toy(rng: np.random.Generator) -> Shape:
    """For children: round or thick, with ears or handles, a large ring about the lens."""
    d, w, h = _about(rng, 0.045, 0.3), _about(rng, 0.1, 0.2), _about(rng, 0.08, 0.2)
    outline = superellipse(0.5 * w, 0.5 * h, float(rng.uniform(2.0, 4.5)))
    parts: _Parts = {'body': (facing(prism(outline, -0.5 * d, 0.5 * d, 0.006), 0), 'body')}
    r, long = float(rng.uniform(0.25, 0.42)) * min(w, h), _about(rng, 0.016, 0.4)
    parts['ring'] = (cylinder(1.12 * r, 0.5 * d - 0.002, 0.5 * d + 0.006, 0.002, 0), 'plate')
    if rng.random() < 0.6:
        high = 0.42 * h if rng.random() < 0.5 else 0.0
        for name, side in (('left', 1.0), ('right', -1.0)):
            ear = cylinder(0.16 * w, -0.3 * d, 0.3 * d, 0.003, 0)
            parts[f'{name} ear'] = (ear.moved(np.array([
                0.0, side * (0.38 if high else 0.53) * w, high])), 'plate')
    parts |= _back(rng, -0.5 * d, w, h)
    parts |= _optics(rng, 'lens', (0.5 * d, 0.0, 0.0), r, long, 0.0)
    return _camera(rng, parts, (0.0, 0.0))


KINDS = {'cine': cine, 'stereo': stereo, 'reporter': reporter, 'action': action,
         'bullet': bullet, 'desk': desk, 'technical': technical, 'housing': housing,
         'cinema': cinema, 'upright': upright, 'toy': toy}


def sample_look(rng: np.random.Generator, shape: Shape) -> Look:
    """Paints as the family's cameras wear them."""
    return camera.sample_look(rng, shape)
