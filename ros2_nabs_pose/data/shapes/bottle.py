# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Procedural bottles: z up the axis, origin on the axis at half height; no front."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from . import on_axis, Shape
from .lofts import fillet, loft
from .surfaces import Mesh, oriented, resample, revolve, sweep_xz
from ..labels import brand_color, label_texture, sample_palette
from ..looks import Look, metal_color, Paint, sample_color, srgb_to_linear

KINDS = ('water', 'soda', 'wine', 'beer', 'sauce', 'cleaner', 'shampoo', 'pump', 'flask',
         'squeeze', 'tube', 'jug')
KIND_WEIGHTS = (0.11, 0.07, 0.09, 0.08, 0.13, 0.07, 0.10, 0.06, 0.07, 0.10, 0.04, 0.08)
#: Of each kind: width, height (m), share of the height of body and neck, neck's width (m).
KIND_SIZES = {
    'water': (0.066, 0.215, 0.68, 0.10, 0.028), 'soda': (0.088, 0.290, 0.62, 0.10, 0.028),
    'wine': (0.076, 0.300, 0.62, 0.26, 0.029), 'beer': (0.062, 0.235, 0.60, 0.26, 0.027),
    'sauce': (0.066, 0.200, 0.70, 0.08, 0.030), 'cleaner': (0.096, 0.265, 0.66, 0.10, 0.036),
    'shampoo': (0.070, 0.190, 0.84, 0.03, 0.034), 'pump': (0.070, 0.140, 0.82, 0.06, 0.028),
    'flask': (0.072, 0.235, 0.80, 0.05, 0.046), 'squeeze': (0.082, 0.150, 0.70, 0.06, 0.036),
    'tube': (0.066, 0.165, 0.95, 0.0, 0.042), 'jug': (0.112, 0.245, 0.52, 0.12, 0.036)}
UPSIDE_DOWN = 0.3
"""Share of the bottles to be squeezed, of those with caps to stand on, that stand on them."""


@dataclass(frozen=True)
class BottleParameters:
    """Everything that makes one bottle's shape; lengths in metres.

    depth: of the section, share of its width (1: round or square). exponent: of the section, 2
    for an ellipse, more for a rounded rectangle; the neck is always round. waist: how far the body
    draws in at waist_at of its height, share of the radius. ribs: rings around the body.
    shoulder: how round the way from body to neck is, 0 straight to 1. cap: its kind; cap_m its
    height, cap_wide its radius over the neck's. label_low, label_high: share of the body's height.
    upside_down: it stands on its cap. aside_m: how far the neck lies to the side of the middle,
    along -y. handle_m: half the thickness of the handle on the other side, 0 where there is none.
    A tube stands on its cap, which is as wide as its neck, and ends in a flat seam at the top.
    """

    kind: str
    half_m: float
    depth: float
    exponent: float
    height_m: float
    body: float
    neck: float
    neck_half_m: float
    waist: float
    waist_at: float
    ribs: int
    shoulder: float
    cap: str
    cap_m: float
    cap_wide: float
    label_low: float
    label_high: float
    upside_down: bool
    aside_m: float
    handle_m: float


def sample_parameters(rng: np.random.Generator) -> BottleParameters:
    """Draws a bottle as shops sell them, 12 to 33 cm high; squeezed ones are wide and flat,
    jugs have a neck to the side of the middle and mostly a handle on the other.
    """
    kind = str(rng.choice(KINDS, p=KIND_WEIGHTS))
    width, height, body, neck, neck_width = KIND_SIZES[kind]
    width *= float(np.exp(rng.normal(0.0, 0.07)))
    height *= float(np.exp(rng.normal(0.0, 0.09)))
    depth, exponent = 1.0, 2.0
    if kind in ('sauce', 'shampoo', 'cleaner', 'pump') and rng.random() < 0.6:
        depth, exponent = float(rng.uniform(0.55, 0.95)), float(rng.uniform(2.0, 4.5))
        width *= depth ** -0.4
    elif kind == 'squeeze':
        depth, exponent = float(rng.uniform(0.45, 0.85)), float(rng.uniform(2.0, 3.2))
    elif kind == 'jug':
        depth, exponent = float(rng.uniform(0.5, 0.85)), float(rng.uniform(2.2, 4.5))
    elif kind in ('water', 'sauce', 'pump') and rng.random() < 0.2:
        exponent = float(rng.uniform(3.0, 6.0))
    caps = {
        'water': ('screw', 'sport'), 'soda': ('screw',),
        'wine': ('capsule', 'cork', 'screw'), 'beer': ('crown', 'swing'),
        'sauce': ('screw', 'nozzle', 'flip', 'lid'), 'cleaner': ('screw', 'nozzle'),
        'shampoo': ('flip', 'screw'), 'pump': ('pump',),
        'flask': ('lid', 'screw'), 'squeeze': ('nozzle', 'flip', 'lid', 'screw'),
        'tube': ('stand',), 'jug': ('screw', 'lid', 'flip')}[kind]
    cap = str(rng.choice(caps))
    lengths = {'screw': (0.016, 0.024), 'sport': (0.028, 0.040), 'capsule': (0.045, 0.065),
               'cork': (0.008, 0.016), 'crown': (0.006, 0.007), 'swing': (0.014, 0.020),
               'nozzle': (0.035, 0.055), 'flip': (0.018, 0.030), 'pump': (0.040, 0.060),
               'lid': (0.022, 0.050), 'stand': (0.016, 0.034)}[cap]
    wide = {'flip': (1.3, 1.9), 'lid': (1.1, 1.5), 'nozzle': (1.05, 1.4),
            'stand': (0.95, 1.3)}.get(cap, (1.04, 1.18))
    waisted = kind in ('water', 'soda', 'sauce', 'squeeze') and rng.random() < 0.45
    low = float(rng.uniform(0.06, 0.25))
    half = width / 2.0
    upside_down = (kind in ('sauce', 'shampoo', 'squeeze') and cap in ('flip', 'lid')
                   and rng.random() < UPSIDE_DOWN)
    neck_half = float(min(neck_width / 2.0 * rng.uniform(0.92, 1.1), 0.85 * half * depth)
                      if kind != 'tube' else min(0.5 * neck_width, 0.8 * half))
    cap_wide = float(rng.uniform(*wide))
    aside = grip = 0.0
    if kind == 'jug':  # the cap stays above the foot
        aside = float(rng.uniform(0.3, 0.95)) * max(half - neck_half * cap_wide, 0.0)
        grip = float(rng.uniform(0.008, 0.013)) if rng.random() < 0.8 else 0.0
    return BottleParameters(
        kind=kind, half_m=half, depth=depth, exponent=exponent, height_m=height,
        body=float(np.clip(body + rng.normal(0.0, 0.04), 0.45, 0.88)),
        neck=float(neck * rng.uniform(0.7, 1.25)),
        neck_half_m=neck_half,
        waist=float(rng.uniform(0.05, 0.17)) if waisted else 0.0,
        waist_at=float(rng.uniform(0.35, 0.65)),
        ribs=int(rng.integers(3, 9)) if kind in ('water', 'soda') and rng.random() < 0.5 else 0,
        shoulder=float(rng.uniform(0.0, 0.35) if kind == 'jug' or kind == 'wine'
                       and rng.random() < 0.4 else rng.uniform(0.4, 1.0)),
        cap=cap, cap_m=float(rng.uniform(*lengths)), cap_wide=cap_wide,
        label_low=low, label_high=float(min(low + rng.uniform(0.35, 0.75), 0.97)),
        upside_down=upside_down, aside_m=aside, handle_m=grip)


def _profile(p: BottleParameters) -> tuple[np.ndarray, np.ndarray]:
    """Half width and height (P, 2) of the glass from the bottom's centre to the mouth, and how
    round its section is there (P,): 0 the body's, 1 the neck's circle.
    """
    h, r = p.height_m, p.half_m
    top_of_body, foot_of_neck = p.body * h, (1.0 - p.neck) * h
    corner = min(0.006, 0.2 * r)
    bottom = fillet([(0.0, 0.003), (0.55 * r, 0.003), (0.75 * r, 0.0), (r - corner, 0.0),
                     (r, corner)], 0.003)
    z = np.linspace(corner, top_of_body, 48)[1:]
    share = z / top_of_body
    wall = np.full_like(z, r)
    wall -= p.waist * r * np.exp(-((share - p.waist_at) / 0.18) ** 2)
    if p.ribs:
        wave = 0.5 - 0.5 * np.cos(2.0 * np.pi * p.ribs * share)
        outside = (share < p.label_low) | (share > p.label_high)
        wall -= 0.03 * r * wave * outside
    a = np.linspace(0.0, np.pi / 2.0, 17)[1:]
    straight = a / (np.pi / 2.0)
    across = p.shoulder * (1.0 - np.cos(a)) + (1.0 - p.shoulder) * straight
    up = p.shoulder * np.sin(a) + (1.0 - p.shoulder) * straight
    shoulder = np.stack([wall[-1] + (p.neck_half_m - wall[-1]) * across,
                         top_of_body + (foot_of_neck - top_of_body) * up], 1)
    neck = np.array([(p.neck_half_m, 0.5 * (foot_of_neck + h)), (p.neck_half_m, h),
                     (0.6 * p.neck_half_m, h)])
    points = np.concatenate([bottom, np.stack([wall, z], 1), shoulder, neck])
    round_ = np.clip((points[:, 1] - top_of_body) / max(foot_of_neck - top_of_body, 1e-6), 0.0, 1.0)
    return points, round_


def _tube(p: BottleParameters) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Half width in x and in y, and height (P,), from the cap to the seam and over it."""
    share = np.linspace(0.0, 1.0, 48)
    z = p.cap_m + share * (p.height_m - p.cap_m)
    start = 0.85 * p.neck_half_m
    wide = start + (p.half_m - start) * np.minimum(1.0, share / 0.12) ** 0.5
    wide *= 1.0 + 0.10 * share
    thick = np.maximum(wide * (1.0 - share ** 1.3), 0.0012)
    return (np.concatenate([[0.0], thick, [0.0]]), np.concatenate([[0.0], wide, [0.0]]),
            np.concatenate([z[:1], z, z[-1:]]))


def _section(p: BottleParameters, points: np.ndarray,
             round_: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """half_x, half_y and exponent (P,) of the loft."""
    flat = p.depth + (1.0 - p.depth) * round_
    return points[:, 0] * flat, points[:, 0], p.exponent + (2.0 - p.exponent) * round_


def _cap(p: BottleParameters) -> dict[str, tuple[Mesh, str]]:
    """The closure's meshes, from below the mouth upwards."""
    h, r = p.height_m, p.neck_half_m * p.cap_wide

    def solid(points: list[tuple[float, float]], radius: float = 0.0012) -> Mesh:
        profile = fillet(points, radius)
        return revolve(profile, np.linspace(0.0, 1.0, len(profile)))

    if p.cap == 'stand':
        return {'cap': (solid([(0.0, 0.0), (r, 0.0), (r, p.cap_m + 0.001), (0.0, p.cap_m + 0.001)]),
                        'cap')}
    if p.cap == 'cork':
        inner = 0.8 * p.neck_half_m
        return {'cap': (solid([(inner, h - 0.002), (inner, h + p.cap_m), (0.0, h + p.cap_m)]),
                        'cork')}
    if p.cap == 'capsule':
        low = h - p.cap_m
        return {'cap': (solid([(r, low), (r, h + 0.002), (0.0, h + 0.002)]), 'cap')}
    if p.cap == 'nozzle':
        base = h + 0.4 * p.cap_m
        return {'cap': (solid([(r, h - 0.008), (r, base), (0.55 * r, base + 0.004),
                               (0.28 * r, h + p.cap_m), (0.0, h + p.cap_m)], 0.003), 'cap')}
    if p.cap == 'sport':
        base = h + 0.45 * p.cap_m
        return {'cap': (solid([(r, h - 0.012), (r, base), (0.6 * r, base + 0.003),
                               (0.55 * r, h + p.cap_m), (0.0, h + p.cap_m)], 0.003), 'cap')}
    if p.cap == 'pump':
        stem = 0.0045
        collar = solid([(r, h - 0.010), (r, h + 0.008), (stem, h + 0.012), (stem, h + p.cap_m)])
        head = solid([(0.0, h + p.cap_m - 0.002), (0.010, h + p.cap_m - 0.002),
                      (0.011, h + p.cap_m + 0.008), (0.0, h + p.cap_m + 0.009)], 0.002)
        path = np.stack([np.linspace(0.0, 0.045, 12),
                         h + p.cap_m + 0.004 - 0.006 * np.linspace(0.0, 1.0, 12) ** 2], 1)
        spout = sweep_xz(path, np.linspace(0.006, 0.0035, 12), np.linspace(0.005, 0.003, 12), 2.4)
        return {'collar': (collar, 'cap'), 'head': (head, 'cap'), 'spout': (spout, 'cap')}
    low = h - (0.004 if p.cap == 'crown' else 0.6 * p.cap_m)
    high = low + max(p.cap_m, h - low + 0.002)
    return {'cap': (solid([(r, low), (r, high - 0.001), (0.97 * r, high), (0.0, high)]), 'cap')}


def _aside(p: BottleParameters, mesh: Mesh) -> Mesh:
    """The mesh with all that is above the body drawn to the side where the neck is, along -y."""
    foot, top = p.body * p.height_m, (1.0 - p.neck) * p.height_m
    share = np.clip((mesh.vertices[:, 2] - foot) / (top - foot), 0.0, 1.0)  # jugs have shoulders
    vertices, normals = mesh.vertices.copy(), mesh.normals.copy()
    vertices[:, 1] -= p.aside_m * share ** 2 * (3.0 - 2.0 * share)
    lean = -p.aside_m * 6.0 * share * (1.0 - share) / (top - foot)
    normals[:, 2] -= lean * normals[:, 1]  # the normal of what is sheared
    return Mesh(vertices, mesh.faces, normals / np.linalg.norm(normals, axis=1, keepdims=True),
                mesh.uv)


def _grip(p: BottleParameters) -> Mesh:
    """A handle beside the neck: from its foot out, and down to the edge of the body."""
    foot, top = p.body * p.height_m, (1.0 - p.neck) * p.height_m
    inner = p.neck_half_m - p.aside_m
    outer = p.half_m - 1.1 * p.handle_m
    corners = [(inner - p.handle_m, top - 1.2 * p.handle_m),
               (0.4 * inner + 0.6 * outer, top - 1.3 * p.handle_m),
               (outer, 0.6 * top + 0.4 * foot), (outer, foot - 1.5 * p.handle_m)]
    path = resample(fillet(corners, 0.03, 9), 40)
    half = np.full(len(path), p.handle_m)
    return sweep_xz(path, half, 0.8 * half, 2.5).turned(0.5 * np.pi)


def _upside_down(p: BottleParameters, mesh: Mesh, printed: bool) -> Mesh:
    """The mesh reflected at half the height; what is printed on it stays as it is read."""
    upwards = np.array([1.0, 1.0, -1.0])
    vertices = mesh.vertices * upwards + np.array([0.0, 0.0, p.height_m])
    uv = mesh.uv * np.array([1.0, -1.0]) + np.array([0.0, 1.0]) if printed else mesh.uv
    return oriented(Mesh(vertices, mesh.faces, mesh.normals * upwards, uv))


def build(p: BottleParameters) -> Shape:
    """The bottle's meshes: body, label around it, the closure, and a handle for some."""
    if p.kind == 'tube':
        half_x, half_y, height = _tube(p)
        exponent = np.full_like(height, 2.0)
        low = p.cap_m
    else:
        points, round_ = _profile(p)
        half_x, half_y, exponent = _section(p, points, round_)
        height, low = points[:, 1], 0.0
    meshes = {'body': (loft(half_x, half_y, height, exponent, height / p.height_m), 'body')}
    top = p.body * p.height_m
    low, high = (low + share * (top - low) for share in (p.label_low, p.label_high))
    on_wall = (height >= low) & (height <= high) & (half_y > 0.5 * p.half_m)
    if on_wall.sum() >= 2:
        grow = 0.0004
        z = height[on_wall]
        meshes['label'] = (loft(half_x[on_wall] + grow, half_y[on_wall] + grow, z,
                                exponent[on_wall], (z - z[0]) / (z[-1] - z[0])), 'label')
    meshes |= _cap(p)
    if p.aside_m:
        meshes = {name: (_aside(p, mesh), paint) for name, (mesh, paint) in meshes.items()}
    if p.handle_m:
        meshes['handle'] = (_grip(p), 'body')
    if p.upside_down:
        meshes = {name: (_upside_down(p, mesh, name == 'label'), paint)
                  for name, (mesh, paint) in meshes.items()}
    return on_axis('bottle', meshes, asdict(p), p.half_m * p.depth)


def sample(rng: np.random.Generator) -> Shape:
    """A random bottle."""
    return build(sample_parameters(rng))


def _glass(rng: np.random.Generator) -> np.ndarray:
    """Green, brown, clear or dark glass, as an opaque colour."""
    return srgb_to_linear(np.array(((0.10, 0.22, 0.12), (0.20, 0.30, 0.14), (0.28, 0.14, 0.06),
                                    (0.35, 0.18, 0.07), (0.66, 0.72, 0.70), (0.08, 0.08, 0.08),
                                    (0.74, 0.70, 0.45))[int(rng.integers(7))])
                          * rng.uniform(0.85, 1.15))


def _liquid(rng: np.random.Generator) -> np.ndarray:
    """What a clear plastic bottle looks like with water, juice or cola in it."""
    return srgb_to_linear(np.clip(np.array(
        ((0.78, 0.84, 0.86), (0.70, 0.78, 0.82), (0.62, 0.76, 0.86), (0.85, 0.55, 0.16),
         (0.16, 0.08, 0.06), (0.80, 0.78, 0.40), (0.45, 0.62, 0.30))[int(rng.integers(7))])
        * rng.uniform(0.85, 1.1), 0.02, 0.95))


def sample_look(rng: np.random.Generator, shape: Shape) -> Look:
    """Glass or plastic body, printed label (one in eight has none), cap in a colour of its own."""
    p = shape.parameters
    kind = p['kind']
    if kind in ('wine', 'beer'):
        body = Paint(_glass(rng), 'glazed', float(rng.uniform(0.03, 0.12)))
    elif kind in ('water', 'soda') and rng.random() < 0.8:
        body = Paint(_liquid(rng), 'glazed', float(rng.uniform(0.05, 0.2)))
    elif kind == 'flask':
        steel = rng.random() < 0.4
        body = (Paint(metal_color(rng), 'metal', float(rng.uniform(0.2, 0.4))) if steel
                else Paint(sample_color(rng), 'satin', float(rng.uniform(0.25, 0.6))))
    else:
        color = brand_color(rng) if rng.random() < 0.6 else sample_color(rng)
        body = Paint(color, str(rng.choice(('satin', 'glazed'))), float(rng.uniform(0.1, 0.45)))
    palette = sample_palette(rng)
    label = body
    if rng.random() < (0.45 if kind == 'flask' else 0.88):
        tall = (p['label_high'] - p['label_low']) * p['body'] * p['height_m']
        around = np.pi * p['half_m'] * (1.0 + p['depth'])
        texture = label_texture(rng, around / max(tall, 0.01), palette)
        label = Paint(texture, str(rng.choice(('satin', 'glazed', 'matte'))),
                      float(rng.uniform(0.1, 0.6)))
    white = np.array((0.82, 0.82, 0.80))
    draw = rng.random()
    cap_color = white if draw < 0.3 else body.color if draw < 0.45 else brand_color(rng)
    cap = Paint(cap_color, 'satin', 0.35)
    if p['cap'] in ('crown', 'capsule') and rng.random() < 0.5:
        cap = Paint(metal_color(rng), 'metal', 0.3)
    cork = Paint(srgb_to_linear(np.array((0.76, 0.60, 0.42))), 'matte', 0.8)
    return Look({'body': body, 'label': label, 'cap': cap, 'cork': cork},
                'plain' if label is body else 'label')
