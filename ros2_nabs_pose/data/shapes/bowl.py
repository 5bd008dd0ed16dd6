# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Procedural bowls: z up the axis, origin on the axis at half height; no front."""

from __future__ import annotations

import colorsys
from dataclasses import asdict, dataclass, replace

import cv2
import numpy as np

from . import Part, Shape
from .solids import turned
from .surfaces import Mesh, resample
from ..looks import (
    contrasting,
    Look,
    metal_color,
    Paint,
    PATTERNS,
    sample_color,
    sample_vessel_look,
    srgb_to_linear,
    TEXTURE_HEIGHT,
    TEXTURE_WIDTH,
)

KINDS = ('cereal', 'rice', 'soup', 'salad', 'mixing', 'straight')
KIND_WEIGHTS = (0.30, 0.16, 0.14, 0.12, 0.12, 0.16)
MATERIALS = ('ceramic', 'plastic', 'wood', 'steel')
SQUARE_SHARE = 0.03
_SEGMENTS = 64


@dataclass(frozen=True)
class BowlParameters:
    """Everything that makes one bowl's shape; lengths in metres.

    diameter_m: at the rim. base: radius of the bottom, share of the rim's. power: of the wall's
    curve (1: a quarter ellipse, 2: straight, less than 1: upright walls). sweep: how far of the
    quarter the wall goes (1: upright at the rim). flare: of the topmost part, share of the radius.
    foot_m: height of a foot ring (0: none). rim_m: overhang of a rolled or flat rim (0: none).
    square: exponent of the outline seen from above (2: a circle).
    """

    kind: str
    material: str
    diameter_m: float
    height_m: float
    wall_m: float
    base: float
    power: float
    sweep: float
    flare: float
    foot_m: float
    rim_m: float
    square: float


def sample_parameters(rng: np.random.Generator) -> BowlParameters:
    """Draws a bowl as shops sell them: from 10 cm rice bowls to 28 cm salad bowls."""
    kind = str(rng.choice(KINDS, p=KIND_WEIGHTS))
    mean, spread, low, high = {
        'cereal': (0.153, 0.011, 0.36, 0.50), 'rice': (0.117, 0.008, 0.42, 0.60),
        'soup': (0.180, 0.016, 0.22, 0.32), 'salad': (0.225, 0.022, 0.32, 0.48),
        'mixing': (0.205, 0.028, 0.40, 0.62), 'straight': (0.143, 0.016, 0.36, 0.62)}[kind]
    diameter = float(np.clip(rng.normal(mean, spread), 0.10, 0.28))
    material = str(rng.choice(MATERIALS, p={
        'mixing': (0.16, 0.24, 0.04, 0.56), 'salad': (0.52, 0.16, 0.27, 0.05),
        'rice': (0.85, 0.07, 0.06, 0.02)}.get(kind, (0.76, 0.14, 0.06, 0.04))))
    wall = {'ceramic': rng.uniform(0.0030, 0.0050), 'plastic': rng.uniform(0.0018, 0.0030),
            'wood': rng.uniform(0.0050, 0.0085), 'steel': rng.uniform(0.0010, 0.0016)}[material]
    power = {'cereal': rng.uniform(0.9, 1.3), 'rice': rng.uniform(1.0, 1.6),
             'soup': rng.uniform(0.75, 1.5), 'salad': rng.uniform(0.85, 1.4),
             'mixing': rng.uniform(0.8, 1.2), 'straight': rng.uniform(1.6, 2.0)}[kind]
    footed = rng.random() < {'rice': 0.9, 'mixing': 0.1}.get(kind, 0.4) and material != 'steel'
    foot = rng.uniform(0.004, 0.012 if kind == 'rice' else 0.008)
    rim = rng.uniform(0.003, 0.009) if kind == 'mixing' and material != 'wood' else (
        rng.uniform(0.010, 0.025) if kind == 'soup' else 0.003)
    rimmed = rng.random() < {'mixing': 0.75, 'soup': 0.25}.get(kind, 0.04)
    flared = rng.random() < {'rice': 0.35, 'mixing': 0.0}.get(kind, 0.18)
    return BowlParameters(
        kind=kind, material=material, diameter_m=diameter,
        height_m=diameter * float(rng.uniform(low, high)), wall_m=float(wall),
        base=float(rng.uniform(0.50, 0.78) if kind == 'straight' else rng.uniform(0.32, 0.55)),
        power=float(power), sweep=float(rng.uniform(0.72, 1.0)),
        flare=float(rng.uniform(0.03, 0.09)) if flared else 0.0,
        foot_m=float(foot) if footed else 0.0, rim_m=float(rim) if rimmed else 0.0,
        square=float(rng.uniform(2.4, 3.4)) if rng.random() < SQUARE_SHARE else 2.0)


def _wall(p: BowlParameters) -> np.ndarray:
    """(P, 2) radius and height of the outside, from the edge of the bottom to the rim."""
    rim = p.diameter_m / 2.0
    angle = np.linspace(0.0, p.sweep * np.pi / 2.0, 120)
    out = np.sin(angle) ** p.power
    up = 1.0 - np.cos(angle) ** p.power
    out, up = out / out[-1], up / up[-1]
    reach = rim - p.rim_m
    base = min(p.base * rim, 0.8 * reach)
    r = base + (reach - base) * out
    r = r * (1.0 - p.flare) + p.flare * reach * np.clip((up - 0.65) / 0.35, 0.0, 1.0) ** 2
    z = p.foot_m + (p.height_m - p.wall_m / 2.0 - p.foot_m) * up
    wall = np.stack([r * reach / r[-1], z], 1)
    if p.rim_m > 0.0:  # outwards, with a short bend
        top = wall[-1, 1]
        bend = min(0.004, p.rim_m)
        turn = np.linspace(0.0, np.pi / 2.0, 7)[1:]
        wall[:, 1] -= bend * (wall[:, 1] - p.foot_m) / (top - p.foot_m)
        arc = np.stack([reach + bend * (1.0 - np.cos(turn)), top - bend * (1.0 - np.sin(turn))], 1)
        wall = np.concatenate([wall, arc, [(rim - 1e-6, top + 1e-6)]])
    return resample(wall, 34)


def _profiles(p: BowlParameters) -> dict[str, np.ndarray]:
    """(P, 2) profiles of the outside, the rim, the inside and, for some, the foot."""
    wall = _wall(p)
    step = np.gradient(wall, axis=0)
    step /= np.linalg.norm(step, axis=1, keepdims=True)
    normal = np.stack([step[:, 1], -step[:, 0]], 1)
    inner = (wall - p.wall_m * normal)[::-1]
    # The half circle over the rim, around the middle of the wall's end.
    middle, half = 0.5 * (wall[-1] + inner[0]), 0.5 * p.wall_m
    turn = np.linspace(0.0, np.pi, 9)[:, None]
    rim = middle + half * (np.cos(turn) * normal[-1] + np.sin(turn) * step[-1])
    base, foot = wall[0, 0], wall[0, 1]
    floor = foot + p.wall_m
    inner = inner[(inner[:, 1] > floor + 1e-4) & (inner[:, 0] > 0.003)]
    inner = np.concatenate([inner, [(0.75 * inner[-1, 0], floor + 2e-5), (0.0, floor)]])
    profiles = {'inside': inner, 'rim': rim,
                'outside': np.concatenate([[(0.0, foot), (0.5 * base, foot)], wall])}
    if p.foot_m > 0.0:
        ring = min(0.005, 0.3 * base)
        edge = min(0.0012, 0.3 * p.foot_m)
        profiles['foot'] = np.array([
            (base - ring, foot), (base - ring, edge), (base - ring + edge, 0.0),
            (base - edge, 0.0), (base, edge), (base, foot + 0.3 * p.wall_m)])
    return profiles


def _squared(mesh: Mesh, exponent: float) -> Mesh:
    """Corners instead of a circle, seen from above; the normals follow."""
    angle = np.arctan2(mesh.vertices[:, 1], mesh.vertices[:, 0]) + np.pi / 4.0
    fine = np.linspace(-np.pi, 2.0 * np.pi, 1201)
    factor = (np.abs(np.cos(fine)) ** exponent + np.abs(np.sin(fine)) ** exponent) ** (
        -1.0 / exponent)
    factor /= factor.max()
    f = np.interp(angle, fine, factor)[:, None]
    slope = np.interp(angle, fine, np.gradient(np.log(factor), fine))[:, None]
    n_r = np.linalg.norm(mesh.normals[:, :2], axis=1, keepdims=True)
    outwards = np.sign((mesh.normals[:, :2] * mesh.vertices[:, :2]).sum(1, keepdims=True))
    r = np.maximum(np.linalg.norm(mesh.vertices[:, :2], axis=1, keepdims=True), 1e-9)
    radial = mesh.vertices[:, :2] / r
    along = np.stack([-radial[:, 1], radial[:, 0]], 1)
    flat = n_r * outwards * (radial - slope * along)
    normals = np.concatenate([flat, f * mesh.normals[:, 2:]], 1)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return replace(mesh, vertices=mesh.vertices * np.concatenate([f, f, np.ones_like(f)], 1),
                   normals=normals)


def build(p: BowlParameters) -> Shape:
    """The bowl's meshes: outside, rim, inside and, for some, a foot ring."""
    meshes = {name: turned(profile, _SEGMENTS) for name, profile in _profiles(p).items()}
    if p.square > 2.0:
        meshes = {name: _squared(mesh, p.square) for name, mesh in meshes.items()}
    heights = np.concatenate([m.vertices[:, 2] for m in meshes.values()])
    drop = np.array([0.0, 0.0, -0.5 * (heights.min() + heights.max())])
    parts = {name: Part(mesh.moved(drop), name) for name, mesh in meshes.items()}
    reach = max(m.vertices[:, 0].max() for m in meshes.values())
    return Shape(category='bowl', parts=parts, front_part=None,
                 front_point_m=np.array([reach, 0.0, float(heights.max()) + drop[2]]),
                 parameters=asdict(p))


def sample(rng: np.random.Generator) -> Shape:
    """A random bowl."""
    return build(sample_parameters(rng))


def _wood(rng: np.random.Generator) -> np.ndarray:
    """Grain along u, from maple to walnut."""
    light = srgb_to_linear(np.array(colorsys.hsv_to_rgb(
        rng.uniform(0.05, 0.095), rng.uniform(0.35, 0.65), rng.uniform(0.35, 0.80))))
    grain = cv2.resize(rng.normal(0.0, 1.0, (int(rng.integers(14, 40)), 5)),
                       (TEXTURE_WIDTH, TEXTURE_HEIGHT), interpolation=cv2.INTER_CUBIC)
    fine = cv2.resize(rng.normal(0.0, 1.0, (TEXTURE_HEIGHT, 24)),
                      (TEXTURE_WIDTH, TEXTURE_HEIGHT), interpolation=cv2.INTER_LINEAR)
    return np.clip(light * np.exp(0.20 * grain + 0.06 * fine)[..., None], 0.01, 0.95)


def sample_look(rng: np.random.Generator, shape: Shape) -> Look:
    """Paints of a bowl, by what it is made of."""
    material = shape.parameters['material']
    if material == 'wood':
        grain = Paint(_wood(rng), str(rng.choice(('matte', 'satin'))),
                      float(rng.uniform(0.35, 0.6)))
        inside = grain
        if rng.random() < 0.12:  # lacquered within
            inside = Paint(sample_color(rng), 'satin', 0.3)
        return Look({'outside': grain, 'inside': inside, 'rim': grain, 'foot': grain}, 'wood')
    if material == 'steel':
        steel = Paint(metal_color(rng), 'metal', float(rng.uniform(0.12, 0.42)))
        outside = steel
        if rng.random() < 0.12:
            outside = Paint(sample_color(rng), 'satin', 0.3)
        return Look({'outside': outside, 'inside': steel, 'rim': steel, 'foot': outside}, 'steel')
    if material == 'plastic':
        hsv = (rng.random(), rng.uniform(0.3, 0.9), rng.uniform(0.5, 0.95))
        color = srgb_to_linear(np.array(colorsys.hsv_to_rgb(*hsv)))
        outside = Paint(color if rng.random() < 0.7 else sample_color(rng), 'satin',
                        float(rng.uniform(0.2, 0.45)))
        inside = outside
        if rng.random() < 0.25:
            inside = Paint(np.array((0.80, 0.79, 0.76)), 'satin', outside.roughness)
        return Look({'outside': outside, 'inside': inside, 'rim': outside, 'foot': outside},
                    'plain' if inside is outside else 'two-tone')
    vessel = sample_vessel_look(rng)
    outside, inside = vessel.paints['outside'], vessel.paints['inside']
    base = inside.color
    pattern = vessel.pattern
    if pattern == 'plain' and outside.finish != 'metal' and rng.random() < 0.22:
        # Painted within: most such bowls show it from above.
        pattern = 'inside ' + str(rng.choice(sorted(PATTERNS)))
        texture = np.clip(PATTERNS[pattern.split()[1]](rng, base), 0.01, 0.95)
        inside = Paint(texture, inside.finish, inside.roughness)
    rim = Paint(base, inside.finish, inside.roughness)
    if rng.random() < 0.15:
        rim = Paint(contrasting(rng, base), inside.finish, inside.roughness)
    foot = rim
    if rng.random() < 0.35:  # left unglazed
        foot = Paint(np.array((0.55, 0.45, 0.34)) * rng.uniform(0.6, 1.1), 'matte', 0.8)
    return Look({'outside': outside, 'inside': inside, 'rim': rim, 'foot': foot}, pattern)
