# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Procedural cans and tins: z up the axis, origin on the axis at half height; no front."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from . import on_axis, Shape
from .lofts import fillet
from .surfaces import box, Mesh, revolve
from ..labels import brand_color, label_texture, sample_palette
from ..looks import Look, metal_color, Paint

KINDS = ('soda', 'slim', 'tall', 'soup', 'tuna', 'lidded', 'tube')
KIND_WEIGHTS = (0.26, 0.12, 0.10, 0.26, 0.12, 0.09, 0.05)
#: Mean diameter and height of each kind, metres.
KIND_SIZES = {'soda': (0.066, 0.117), 'slim': (0.054, 0.138), 'tall': (0.066, 0.167),
              'soup': (0.074, 0.109), 'tuna': (0.086, 0.042), 'lidded': (0.099, 0.132),
              'tube': (0.075, 0.175)}
DRINKS = ('soda', 'slim', 'tall')


@dataclass(frozen=True)
class CanParameters:
    """Everything that makes one can's shape; lengths in metres.

    neck_m: how far the ends of a drinks can draw in (0: straight). bevel_m: height of that draw.
    ribs: beads around the wall, rib_m deep. rim_m: of the seam at both ends. recess_m: depth of
    the lid below the rim. lid_m: height of an overlapping lid (0: none). tab: a pull tab.
    """

    kind: str
    radius_m: float
    height_m: float
    neck_m: float
    bevel_m: float
    ribs: int
    rib_m: float
    rim_m: float
    recess_m: float
    lid_m: float
    tab: bool


def sample_parameters(rng: np.random.Generator) -> CanParameters:
    """Draws a can as shops sell them, from tuna tins to half-litre drinks cans."""
    kind = str(rng.choice(KINDS, p=KIND_WEIGHTS))
    diameter, height = KIND_SIZES[kind]
    drink = kind in DRINKS
    spread = 0.02 if drink else 0.09
    diameter *= float(np.exp(rng.normal(0.0, spread)))
    height *= float(np.exp(rng.normal(0.0, spread)))
    ribbed = kind in ('soup', 'lidded') and rng.random() < 0.45
    return CanParameters(
        kind=kind, radius_m=diameter / 2.0, height_m=height,
        neck_m=float(rng.uniform(0.004, 0.007)) if drink else 0.0,
        bevel_m=float(rng.uniform(0.008, 0.014)) if drink else 0.0,
        ribs=int(rng.integers(4, 13)) if ribbed else 0,
        rib_m=float(rng.uniform(0.0006, 0.0014)),
        rim_m=float(rng.uniform(0.0012, 0.002)), recess_m=float(rng.uniform(0.003, 0.006)),
        lid_m=float(rng.uniform(0.012, 0.022)) if kind in ('lidded', 'tube') else 0.0,
        tab=drink or bool(kind in ('soup', 'tuna') and rng.random() < 0.55))


def _wall(p: CanParameters) -> np.ndarray:
    """(P, 2) radius and height of the printed wall, bottom up."""
    low, high = p.bevel_m * 0.7, p.height_m - p.bevel_m
    if not p.ribs:
        return np.array([(p.radius_m, low), (p.radius_m, 0.5 * (low + high)), (p.radius_m, high)])
    z = np.linspace(low + p.rim_m, high - p.rim_m, 12 * p.ribs + 1)
    share = (z - low) / (high - low)
    middle = np.clip((0.42 - np.abs(share - 0.5)) / 0.06, 0.0, 1.0)
    wave = 0.5 - 0.5 * np.cos(2.0 * np.pi * p.ribs * share)
    inner = np.stack([p.radius_m - p.rib_m * middle * wave, z], 1)
    return np.concatenate([[(p.radius_m, low)], inner, [(p.radius_m, high)]])


def _ends(p: CanParameters) -> tuple[Mesh, Mesh]:
    """Bottom and top, metal: draw-in, seam and recessed plate."""
    r, h, rim = p.radius_m, p.height_m, p.rim_m
    if p.bevel_m > 0.0:
        foot = r - 1.6 * p.neck_m
        bottom = fillet([(0.0, 0.007), (0.7 * foot, 0.006), (foot - 0.003, 0.0), (foot, 0.0),
                         (r, 0.7 * p.bevel_m)], 0.002)
        top_r = r - p.neck_m
        top = fillet([(r, h - p.bevel_m), (top_r, h - rim), (top_r + 0.3 * rim, h),
                      (top_r - rim, h), (top_r - 1.5 * rim, h - p.recess_m),
                      (0.0, h - 0.8 * p.recess_m)], 0.0012)
    else:
        bottom = fillet([(0.0, 0.5 * p.recess_m), (r - 2.0 * rim, 0.5 * p.recess_m),
                         (r - rim, 0.0), (r + 0.6 * rim, 0.0), (r + 0.6 * rim, rim), (r, rim)],
                        0.0006)
        top = fillet([(r, h - rim), (r + 0.6 * rim, h - rim), (r + 0.6 * rim, h), (r - rim, h),
                      (r - 1.6 * rim, h - p.recess_m), (0.8 * r, h - p.recess_m),
                      (0.78 * r, h - p.recess_m + 0.0008), (0.0, h - p.recess_m + 0.0008)], 0.0006)
    return (revolve(bottom, np.linspace(0.0, 1.0, len(bottom))),
            revolve(top, np.linspace(0.0, 1.0, len(top))))


def _tab(p: CanParameters, turn: float) -> Mesh:
    """A pull tab lying on the lid, turned about z."""
    reach = 0.34 * p.radius_m
    plate = box(np.array([1.2 * reach, 0.55 * reach, 0.0014]))
    return plate.moved(np.array([0.25 * reach, 0.0, p.height_m - p.recess_m + 0.0022])).turned(turn)


def build(p: CanParameters, turn_rad: float = 0.0) -> Shape:
    """The can's meshes: printed wall, metal ends and, for some, a tab or an overlapping lid."""
    wall = _wall(p)
    share = (wall[:, 1] - wall[0, 1]) / (wall[-1, 1] - wall[0, 1])
    bottom, top = _ends(p)
    meshes = {'wall': (revolve(wall, share), 'label'), 'bottom': (bottom, 'metal'),
              'top': (top, 'metal')}
    if p.tab:
        meshes['tab'] = (_tab(p, turn_rad), 'tab')
    if p.lid_m > 0.0:
        r, e, low = p.radius_m + 0.0015, 0.0015, p.height_m - p.lid_m
        lid = fillet([(r - 0.001, low), (r, low), (r, p.height_m + e), (r - 2.0 * e,
                      p.height_m + e), (r - 3.0 * e, p.height_m - 0.4 * e),
                      (0.0, p.height_m - 0.4 * e)], 0.0008)
        meshes['lid'] = (revolve(lid, np.linspace(0.0, 1.0, len(lid))), 'lid')
    return on_axis('can', meshes, asdict(p), p.radius_m)


def sample(rng: np.random.Generator) -> Shape:
    """A random can."""
    p = sample_parameters(rng)
    return build(p, float(rng.uniform(0.0, 2.0 * np.pi)))


def sample_look(rng: np.random.Generator, shape: Shape) -> Look:
    """A printed or labelled wall between metal ends; a few bare tins."""
    p = shape.parameters
    drink = p['kind'] in DRINKS
    metal = Paint(metal_color(rng), 'metal', float(rng.uniform(0.15, 0.4)))
    palette = sample_palette(rng)
    bare = not drink and rng.random() < 0.06
    if bare:
        return Look({'label': metal, 'metal': metal, 'tab': metal, 'lid': metal}, 'bare')
    aspect = 2.0 * np.pi * p['radius_m'] / p['height_m']
    texture = label_texture(rng, aspect, palette)
    if not drink and rng.random() < 0.35:
        # A paper label that leaves a ring of metal free at both ends.
        edge = max(2, int(rng.uniform(0.03, 0.09) * len(texture)))
        texture[:edge] = texture[-edge:] = metal.color
    if drink and rng.random() < 0.3:
        finish, roughness = 'metal', float(rng.uniform(0.25, 0.5))
    else:
        finish = str(rng.choice(('satin', 'glazed')))
        roughness = float(rng.uniform(0.08, 0.4))
    tab = metal if rng.random() < 0.8 else Paint(brand_color(rng), 'satin', 0.3)
    lid = Paint(brand_color(rng), 'satin', 0.4) if rng.random() < 0.6 else metal
    return Look({'label': Paint(texture, finish, roughness), 'metal': metal, 'tab': tab,
                 'lid': lid}, 'label')
