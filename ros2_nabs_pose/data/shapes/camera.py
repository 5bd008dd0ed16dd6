# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Procedural photo cameras: z up, x the way the lens looks, origin in the middle of the box.

y points to the camera's left (as for whoever holds it), so grip and shutter release lie at -y.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import cv2
import numpy as np

from . import Part, Shape
from .solids import cylinder, facing, merged, prism, rounded_box, superellipse, turned
from .surfaces import Mesh
from ..looks import Look, Paint, sample_color, srgb_to_linear

KINDS = ('compact', 'mirrorless', 'slr', 'retro', 'bridge', 'instant')
KIND_WEIGHTS = (0.30, 0.18, 0.26, 0.12, 0.08, 0.06)
#: Of each kind: body depth, width, height (m); lens length and radius (m).
KIND_SIZES = {'compact': (0.026, 0.100, 0.059, 0.018, 0.021),
              'mirrorless': (0.038, 0.118, 0.068, 0.048, 0.029),
              'slr': (0.058, 0.136, 0.082, 0.075, 0.034),
              'retro': (0.034, 0.132, 0.074, 0.036, 0.026),
              'bridge': (0.056, 0.120, 0.078, 0.060, 0.035),
              'instant': (0.060, 0.118, 0.108, 0.022, 0.027)}
_NAMES = ('NOVA', 'Lumen', 'ORION', 'Kestrel', 'Fotex', 'VISTA', 'Argo', 'Zeon', 'MIRA', 'Optar')


@dataclass(frozen=True)
class CameraParameters:
    """Everything that makes one camera's shape; lengths in metres.

    depth_m, width_m, height_m: of the body alone. corner, edge: radii seen from above, and of the
    other edges. lens_m, lens_radius_m: of the barrel; lens_y_m: its axis beside the middle.
    rings: steps of the barrel. grip_m: how far the hand grip stands out (0: none). hump_m: height
    of the finder's hump (0: none), hump_y_m its middle. plate: share of the height that a
    separate top plate takes (0: none).
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
    grip_m: float
    hump_m: float
    hump_y_m: float
    plate: float
    flash_y_m: float


def sample_parameters(rng: np.random.Generator) -> CameraParameters:
    """Draws a camera as people own them, from pocket compacts to SLRs with a zoom."""
    kind = str(rng.choice(KINDS, p=KIND_WEIGHTS))
    depth, width, height, lens, radius = (
        x * float(np.exp(rng.normal(0.0, s))) for x, s in
        zip(KIND_SIZES[kind], (0.10, 0.07, 0.07, 0.25, 0.08), strict=True))
    humped = kind in ('slr', 'bridge') or (kind == 'mirrorless' and rng.random() < 0.6)
    gripped = kind in ('slr', 'bridge') or (kind in ('mirrorless', 'compact')
                                            and rng.random() < 0.6)
    off = {'compact': 0.10, 'mirrorless': 0.06, 'slr': 0.03, 'retro': 0.05, 'bridge': 0.04,
           'instant': 0.05}[kind]
    lens_y = float(rng.normal(0.5 * off, 0.6 * off)) * width
    radius = min(radius, 0.47 * height)
    return CameraParameters(
        kind=kind, depth_m=depth, width_m=width, height_m=height,
        corner_m=float(rng.uniform(0.15, 0.48) * depth), edge_m=float(rng.uniform(0.0015, 0.006)),
        lens_m=float(np.clip(lens, 0.008, 0.13)), lens_radius_m=radius, lens_y_m=lens_y,
        lens_z_m=float(rng.normal(-0.04, 0.03)) * height, rings=int(rng.integers(2, 6)),
        grip_m=float({'slr': rng.uniform(0.015, 0.028), 'bridge': rng.uniform(0.015, 0.03),
                      'mirrorless': rng.uniform(0.006, 0.018),
                      'compact': rng.uniform(0.002, 0.007)}.get(kind, 0.0)) if gripped else 0.0,
        hump_m=float(rng.uniform(0.010, 0.022)) if humped else 0.0,
        hump_y_m=lens_y + float(rng.normal(0.0, 0.003)),
        plate=float(rng.uniform(0.2, 0.32)) if kind == 'retro' or rng.random() < 0.08 else 0.0,
        flash_y_m=float(rng.uniform(-0.28, 0.28)) * width)


def _lens(p: CameraParameters) -> dict[str, tuple[Mesh, str]]:
    """Barrel with rings, front rim and glass, along x from the body's front."""
    front, r = 0.5 * p.depth_m, p.lens_radius_m
    at = np.array([0.0, p.lens_y_m, p.lens_z_m])
    cuts = np.linspace(0.0, p.lens_m, p.rings + 1)
    # Rings alternate in radius, as zoom and focus rings do, or step inwards as a compact's tubes.
    tubes = []
    for k in range(p.rings):
        shrink = 1.0 - 0.16 * k / p.rings if p.kind in ('compact', 'bridge') else (
            1.0 - 0.07 * ((k + p.rings) % 2))
        tubes.append((r * shrink, cuts[k], cuts[k + 1]))
    tip = front + p.lens_m
    last = r * (1.0 - 0.16 * (p.rings - 1) / p.rings) if p.kind in ('compact', 'bridge') else (
        r * (1.0 - 0.07 * ((2 * p.rings - 1) % 2)))
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
    return {'barrel': (merged(barrel).moved(at), 'barrel'), 'rim': (rim.moved(at), 'dark'),
            'glass': (glass.moved(at), 'glass'), 'ring': (ring.moved(at), 'accent')}


def _top(p: CameraParameters) -> dict[str, tuple[Mesh, str]]:
    """Finder hump, shutter release, dial, hot shoe."""
    parts: dict[str, tuple[Mesh, str]] = {}
    top, right = 0.5 * p.height_m, -0.5 * p.width_m
    release = cylinder(0.0055, top - 0.002, top + 0.004, 0.001)
    parts['release'] = (release.moved(np.array([0.1 * p.depth_m + 0.5 * p.grip_m,
                                                right + 0.16 * p.width_m, 0.0])), 'accent')
    if p.kind != 'instant':
        dial = cylinder(0.0095, top - 0.002, top + 0.006, 0.001)
        parts['dial'] = (dial.moved(np.array([-0.12 * p.depth_m, right + 0.30 * p.width_m, 0.0])),
                         'trim')
    if p.hump_m > 0.0:
        wide = 0.30 * p.width_m
        outline = np.array([(-0.5 * wide, top - 0.004), (0.5 * wide, top - 0.004),
                            (0.30 * wide, top + p.hump_m), (-0.30 * wide, top + p.hump_m)])
        hump = facing(prism(outline, -0.5 * p.depth_m - 0.002, 0.5 * p.depth_m + 0.004, 0.002), 0)
        parts['hump'] = (hump.moved(np.array([0.0, p.hump_y_m, 0.0])), 'plate')
        shoe = rounded_box(np.array([0.018, 0.019, 0.003]), 0.001, 0.0005)
        parts['shoe'] = (shoe.moved(np.array([-0.1 * p.depth_m, p.hump_y_m,
                                              top + p.hump_m + 0.0008])), 'metal')
    return parts


def _plate(size_y: float, size_z: float, x: float, y: float, z: float, back: bool) -> Mesh:
    """A flat patch on the front or the back, its picture upright for who looks at it."""
    side = -1.0 if back else 1.0
    # Seen from the front the object's y runs to the right, seen from behind to the left.
    a, b = side * size_y / 2.0, size_z / 2.0
    corners = np.array([(0.0, -a, -b), (0.0, a, -b), (0.0, a, b), (0.0, -a, b)])
    uv = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
    return Mesh(corners + (x, y, z), np.array([(0, 1, 2), (0, 2, 3)]),
                np.tile((side, 0.0, 0.0), (4, 1)), uv)


def _faces(p: CameraParameters) -> dict[str, tuple[Mesh, str]]:
    """What is on the front and the back: name, flash, finder window; screen, buttons, eyepiece."""
    front, back = 0.5 * p.depth_m + 0.0004, -0.5 * p.depth_m - 0.0004
    h, w = p.height_m, p.width_m
    parts = {'screen': (_plate(0.52 * w, 0.58 * h, back, 0.08 * w, -0.06 * h, True), 'screen')}
    keys = [cylinder(0.010, -0.001, 0.0015, 0.0005, 0)]
    keys += [cylinder(0.0035, -0.001, 0.0012, 0.0004, 0).moved(np.array([0.0, y, z]))
             for y, z in ((0.0, 0.020), (0.004, -0.018), (-0.006, -0.019))]
    keys_at = np.array([back, -0.36 * w, -0.08 * h])
    parts['buttons'] = (merged(keys).moved(keys_at), 'trim')
    if p.hump_m > 0.0:
        eyepiece = rounded_box(np.array([0.010, 0.026, 0.016]), 0.003, 0.001, 0)
        parts['eyepiece'] = (eyepiece.moved(np.array([back - 0.003, p.hump_y_m, 0.5 * h + 0.002])),
                             'dark')
        name = _plate(0.16 * w, 0.5 * p.hump_m, front + 0.0044, p.hump_y_m,
                      0.5 * h + 0.35 * p.hump_m, False)
    else:
        flash = _plate(0.16 * w, 0.13 * h, front, p.flash_y_m, 0.38 * h, False)
        parts['flash'] = (flash, 'flash')
        name = _plate(0.22 * w, 0.11 * h, front, -np.sign(p.flash_y_m) * 0.30 * w, 0.37 * h, False)
    parts['name'] = (name, 'name')
    if p.kind in ('retro', 'instant'):
        finder = _plate(0.12 * w, 0.10 * h, front, -0.30 * w * np.sign(p.flash_y_m), 0.37 * h,
                        False)
        parts['name'] = (finder, 'screen_off')
    return parts


def build(p: CameraParameters) -> Shape:
    """The camera's meshes, the box of all of them centred at the origin."""
    d, w, h = p.depth_m, p.width_m, p.height_m
    body = rounded_box(np.array([d, w, h]), p.corner_m, p.edge_m)
    meshes: dict[str, tuple[Mesh, str]] = {'body': (body, 'body')}
    if p.plate > 0.0:
        tall = p.plate * h
        plate = rounded_box(np.array([d + 0.001, w + 0.001, tall]), p.corner_m, p.edge_m)
        meshes['plate'] = (plate.moved(np.array([0.0, 0.0, 0.5 * (h - tall) + 0.0008])), 'plate')
        foot = rounded_box(np.array([d + 0.001, w + 0.001, 0.12 * h]), p.corner_m, 0.001)
        meshes['foot'] = (foot.moved(np.array([0.0, 0.0, -0.44 * h - 0.0008])), 'plate')
    if p.grip_m > 0.0:
        outline = superellipse(0.5 * d * 0.6 + p.grip_m, 0.13 * w, 2.6)
        grip = prism(outline, -0.49 * h, 0.44 * h, 0.003)
        meshes['grip'] = (grip.moved(np.array([0.5 * d - 0.3 * d, -0.36 * w, 0.0])), 'grip')
    meshes |= _lens(p) | _top(p) | _faces(p)
    points = np.concatenate([mesh.vertices for mesh, _ in meshes.values()])
    middle = 0.5 * (points.min(0) + points.max(0))
    parts = {name: Part(mesh.moved(-middle), material) for name, (mesh, material) in meshes.items()}
    tip = np.array([0.5 * d + p.lens_m, p.lens_y_m, p.lens_z_m]) - middle
    return Shape(category='camera', parts=parts, front_part=None, front_point_m=tip,
                 parameters=asdict(p))


def sample(rng: np.random.Generator) -> Shape:
    """A random camera."""
    return build(sample_parameters(rng))


def _name_texture(rng: np.random.Generator, ground: np.ndarray) -> np.ndarray:
    """A maker's name, light on dark or dark on light."""
    image = np.tile(ground, (32, 96, 1))
    ink = (0.85, 0.85, 0.85) if ground.mean() < 0.3 else (0.02, 0.02, 0.02)
    text = str(rng.choice(_NAMES))
    (width, height), _ = cv2.getTextSize(text, 0, 1.0, 2)
    scale = min(86.0 / width, 22.0 / height)
    cv2.putText(image, text, (int(48 - width * scale / 2), int(16 + height * scale / 2)), 0, scale,
                ink, 2, cv2.LINE_AA)
    return image


def _screen(rng: np.random.Generator) -> Paint:
    """The display: off mostly, or showing a landscape."""
    dark = np.full(3, rng.uniform(0.008, 0.03))
    if rng.random() < 0.7:
        return Paint(dark, 'glazed', 0.06)
    rows = np.linspace(0.0, 1.0, 48)[:, None, None]
    sky, ground = sample_color(rng), sample_color(rng)
    image = np.where(rows < rng.uniform(0.35, 0.65), sky * (0.6 + 0.4 * rows), ground)
    return Paint(np.clip(np.broadcast_to(image, (48, 64, 3)), 0.01, 0.95).copy(), 'glazed', 0.1)


def sample_look(rng: np.random.Generator, shape: Shape) -> Look:
    """Black plastics mostly, silver for some, loud colours for compacts and instant cameras."""
    kind = shape.parameters['kind']
    black = Paint(np.full(3, rng.uniform(0.012, 0.05)), 'satin', float(rng.uniform(0.3, 0.6)))
    silver = Paint(np.array((0.58, 0.58, 0.57)) * rng.uniform(0.8, 1.1), 'satin', 0.3)
    color = Paint(sample_color(rng), str(rng.choice(('satin', 'glazed'))),
                  float(rng.uniform(0.1, 0.4)))
    draw = rng.random()
    black_share, silver_share = {'slr': (0.93, 0.97), 'bridge': (0.93, 0.97),
                                 'mirrorless': (0.66, 0.88), 'retro': (0.65, 0.75),
                                 'compact': (0.36, 0.66), 'instant': (0.15, 0.25)}[kind]
    body = black if draw < black_share else silver if draw < silver_share else color
    plate = silver if kind == 'retro' or (body is black and rng.random() < 0.12) else body
    leather = Paint(np.full(3, rng.uniform(0.012, 0.035)), 'matte', 0.8)
    if kind == 'retro' and body is black:
        body = leather
    barrel = body if rng.random() < 0.35 and body is not leather else black
    if kind in ('compact', 'retro') and rng.random() < 0.4:
        barrel = silver
    accent_color = srgb_to_linear(np.array(((0.8, 0.1, 0.1), (0.85, 0.7, 0.2), (0.75, 0.75, 0.75),
                                            (0.1, 0.1, 0.1), (0.3, 0.3, 0.32))[rng.integers(5)]))
    tint = np.array(((0.01, 0.01, 0.02), (0.03, 0.01, 0.04), (0.01, 0.03, 0.03))[rng.integers(3)])
    screen = _screen(rng)
    ground = np.asarray(plate.color if shape.parameters['hump_m'] > 0.0 else body.color)
    paints = {
        'body': body, 'plate': plate, 'grip': leather if body is not color else body,
        'barrel': barrel, 'dark': Paint(np.full(3, 0.012), 'matte', 0.6),
        'glass': Paint(tint, 'glazed', 0.03), 'accent': Paint(accent_color, 'satin', 0.3),
        'trim': black if rng.random() < 0.6 else silver, 'metal': silver, 'screen': screen,
        'screen_off': Paint(np.full(3, 0.015), 'glazed', 0.05),
        'flash': Paint(np.array((0.72, 0.72, 0.68)), 'glazed', 0.15),
        'name': Paint(_name_texture(rng, ground), body.finish, body.roughness)}
    return Look(paints, kind)
