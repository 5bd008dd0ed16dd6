# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Procedural mugs: z up the body's axis, x to the handle, origin on the axis at half height."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from . import Part, Shape
from .lids import build_lid, Lid, sample_lid
from .surfaces import Mesh, resample, revolve, sweep_xz
from ..looks import contrasting, Look, metal_color, Paint, sample_vessel_look, srgb_to_linear

BODIES = ('straight', 'tapered', 'bulged', 'conical', 'footed')
BODY_WEIGHTS = (0.38, 0.20, 0.20, 0.10, 0.12)
HANDLES = ('round', 'd', 'square', 'ear')
HANDLE_WEIGHTS = (0.34, 0.32, 0.14, 0.20)
LID_SHARE = 0.15
DRINK_SHARE = 0.30
"""Of mugs without a lid, those that are not empty."""
BAND_SHARE, LIDDED_BAND_SHARE = 0.10, 0.40
"""Of mugs without and with a lid, those whose rim is of another material, as that of a steel mug
in a coat."""
RIM_STEPS = 9
"""Points of the arc over the rim."""


@dataclass(frozen=True)
class MugParameters:
    """Everything that makes one mug's shape; lengths in metres.

    height_m: of the body, without lid. radius_m: the body's largest. taper: top wider than bottom
    by this share of the radius. bulge: belly (positive) or waist (negative), share of the radius,
    at bulge_at of the height. lip: flare of the topmost tenth, share of the radius. corner_m:
    rounding of the bottom. foot_m: height of a narrower foot (0: none), foot_inset: by how much.
    handle_top, handle_bottom: where it meets the body, share of the height. reach_m: from the
    body's wall to the handle's outermost point. handle_exponent: 2 for a half ellipse, more for a
    squarer one. skew: how far the outer edge is pushed up. section_width_m, section_depth_m: of
    the handle's cross-section. end_flare: widening at the ends. end_narrow: narrowing towards the
    lower end.
    """

    body: str
    handle: str
    height_m: float
    radius_m: float
    wall_m: float
    floor_m: float
    taper: float
    bulge: float
    bulge_at: float
    lip: float
    corner_m: float
    foot_m: float
    foot_inset: float
    handle_top: float
    handle_bottom: float
    reach_m: float
    handle_exponent: float
    skew: float
    section_width_m: float
    section_depth_m: float
    section_exponent: float
    end_flare: float
    end_narrow: float


@dataclass(frozen=True)
class Fittings:
    """What some mugs have beside body and handle.

    band_m: height of a rim of another material (0: none). drink: how full it is, share of the
    height between floor and rim (0: empty). lid: its measures, or None.
    """

    band_m: float = 0.0
    drink: float = 0.0
    lid: Lid | None = None


def sample_parameters(rng: np.random.Generator) -> MugParameters:
    """Draws a mug as shops sell them: mostly 8 to 11 cm high and 7.5 to 9.5 cm wide."""
    body = str(rng.choice(BODIES, p=BODY_WEIGHTS))
    handle = str(rng.choice(HANDLES, p=HANDLE_WEIGHTS))
    kind = rng.choice(('common', 'espresso', 'wide', 'tall'), p=(0.80, 0.05, 0.08, 0.07))
    mean_height, mean_diameter = {'common': (0.096, 0.083), 'espresso': (0.066, 0.065),
                                  'wide': (0.076, 0.101), 'tall': (0.122, 0.085)}[kind]
    height = float(np.clip(rng.normal(mean_height, 0.008), 0.06, 0.14))
    diameter = float(np.clip(rng.normal(mean_diameter, 0.006), 0.06, 0.11))
    thin = rng.random() < 0.12  # enamelled or steel
    wall = rng.uniform(0.0013, 0.0022) if thin else rng.uniform(0.0028, 0.0052)
    corner = rng.uniform(0.002, 0.010) if rng.random() < 0.75 else rng.uniform(0.010, 0.028)
    taper = {'straight': rng.uniform(-0.01, 0.03), 'tapered': rng.uniform(0.06, 0.22),
             'bulged': rng.uniform(-0.05, 0.15), 'conical': rng.uniform(0.25, 0.42),
             'footed': rng.uniform(-0.02, 0.25)}[body]
    bulge = 0.0
    if body == 'bulged':
        bulge = rng.uniform(0.06, 0.22) if rng.random() < 0.75 else -rng.uniform(0.05, 0.14)
    elif body == 'footed':
        bulge = rng.uniform(0.0, 0.12)
    exponent = {'round': rng.uniform(1.9, 2.3), 'd': rng.uniform(2.7, 4.5),
                'square': rng.uniform(5.5, 9.0), 'ear': rng.uniform(1.9, 2.6)}[handle]
    top = rng.uniform(0.76, 0.93)
    bottom = rng.uniform(0.13, 0.34) if rng.random() < 0.85 else rng.uniform(0.30, 0.42)
    depth = rng.uniform(0.006, 0.0115)
    reach = float(np.clip(rng.normal(0.032, 0.005), 0.022, 0.045))
    if kind == 'espresso':
        depth, reach = min(depth, 0.008), min(reach, 0.030)
    return MugParameters(
        body=body, handle=handle, height_m=height, radius_m=diameter / 2.0, wall_m=float(wall),
        floor_m=float(wall * rng.uniform(1.0, 1.8)), taper=float(taper), bulge=float(bulge),
        bulge_at=float(rng.uniform(0.3, 0.6)),
        lip=float(rng.uniform(0.02, 0.07)) if rng.random() < 0.18 else 0.0,
        corner_m=float(corner),
        foot_m=float(rng.uniform(0.004, 0.014)) if body == 'footed' else 0.0,
        foot_inset=float(rng.uniform(0.15, 0.38)),
        handle_top=float(top), handle_bottom=float(bottom), reach_m=reach,
        handle_exponent=float(exponent),
        skew=float(rng.uniform(0.15, 0.55)) if handle == 'ear' else float(rng.normal(0.0, 0.05)),
        section_width_m=float(rng.uniform(0.008, 0.019)), section_depth_m=float(depth),
        section_exponent=float(rng.choice((2.0, 2.4, 3.5), p=(0.5, 0.3, 0.2))),
        end_flare=float(rng.uniform(0.0, 0.5)),
        end_narrow=float(rng.uniform(0.15, 0.45)) if handle == 'ear' else 0.0)


def sample_fittings(rng: np.random.Generator, p: MugParameters, lidded: bool) -> Fittings:
    """Draws what a mug has beside body and handle, with a lid or without."""
    banded = rng.random() < (LIDDED_BAND_SHARE if lidded else BAND_SHARE)
    full = not lidded and rng.random() < DRINK_SHARE
    top, half_depth = _upper_end(p)
    room = p.height_m - top - half_depth * (1.0 + 0.5 * p.end_flare)
    return Fittings(band_m=float(rng.uniform(0.003, 0.012)) if banded else 0.0,
                    drink=float(rng.uniform(0.4, 0.93)) if full else 0.0,
                    lid=sample_lid(rng, room, 0.6 * p.reach_m) if lidded else None)


def _relative_radius(p: MugParameters, t: np.ndarray) -> np.ndarray:
    shape = 1.0 - p.taper * (1.0 - t)
    warped = np.clip(t, 0.0, 1.0) ** (np.log(0.5) / np.log(p.bulge_at))
    shape = shape + p.bulge * np.sin(np.pi * warped)
    return shape + p.lip * np.clip((t - 0.85) / 0.15, 0.0, 1.0) ** 2


def body_radius(p: MugParameters, t: np.ndarray | float) -> np.ndarray:
    """Outer radius of the wall, metres, at shares ``t`` of the body's height."""
    largest = _relative_radius(p, np.linspace(0.0, 1.0, 101)).max()
    return _relative_radius(p, np.asarray(t, dtype=np.float64)) * p.radius_m / largest


def _outer_profile(p: MugParameters) -> np.ndarray:
    """(P, 2) radius and height, from the bottom's centre up to the rim's outer edge."""
    h = p.height_m
    start = p.foot_m
    corner = min(p.corner_m, 0.45 * float(body_radius(p, 0.0)), 0.4 * h)
    turn = np.linspace(0.0, np.pi / 2.0, 9)
    wall_r = float(body_radius(p, (start + corner) / h))
    points = []
    if p.foot_m > 0.0:
        foot_r = wall_r * (1.0 - p.foot_inset)
        edge = min(0.0015, 0.3 * p.foot_m)
        points += [(0.0, 0.0015), (foot_r - 0.005, 0.0015), (foot_r - 0.004, 0.0),
                   (foot_r - edge, 0.0), (foot_r, edge), (foot_r, p.foot_m - edge)]
        corner = max(corner, 0.6 * (wall_r - foot_r))
        wall_r = float(body_radius(p, (start + corner) / h))
    else:
        points += [(0.0, 0.0), (0.5 * (wall_r - corner), 0.0)]
    points += [(wall_r - corner + corner * np.sin(a), start + corner * (1.0 - np.cos(a)))
               for a in turn]
    heights = np.linspace(start + corner, h - p.wall_m / 2.0, 28)[1:]
    points += [(float(body_radius(p, z / h)), z) for z in heights]
    return np.array(points)


def _inner_profile(p: MugParameters, outer: np.ndarray) -> np.ndarray:
    """(P, 2) from the rim's outer edge over the rounded rim, down inside, to the floor's centre."""
    h, w = p.height_m, p.wall_m
    rim_r = outer[-1, 0]
    turn = np.linspace(0.0, np.pi, RIM_STEPS)
    rim = np.stack([rim_r - w / 2.0 + w / 2.0 * np.cos(turn), h - w / 2.0 + w / 2.0 * np.sin(turn)],
                   1)
    floor = p.foot_m + p.floor_m
    corner = float(np.clip(p.corner_m * 1.2, 0.004, 0.4 * (h - floor)))
    heights = np.linspace(h - w / 2.0, floor + corner, 24)[1:]
    wall = [(float(body_radius(p, z / h)) - w, z) for z in heights]
    corner_r = min(corner, 0.8 * wall[-1][0])
    quarter = np.linspace(0.0, np.pi / 2.0, 9)[1:]
    bottom = [(wall[-1][0] - corner_r * (1.0 - np.cos(a)), floor + corner * (1.0 - np.sin(a)))
              for a in quarter]
    return np.concatenate([rim, wall, bottom, [(0.0, floor)]])


def _upper_end(p: MugParameters) -> tuple[float, float]:
    """Height of the handle's upper end, its middle, and half its depth but for the flare."""
    half_depth = p.section_depth_m / 2.0
    return min(p.handle_top * p.height_m, p.height_m - half_depth - 0.004), half_depth


def handle_of(p: MugParameters) -> Mesh:
    """The handle as a closed sweep whose ends sit inside the wall (z from the body's bottom)."""
    h = p.height_m
    top, half_depth = _upper_end(p)
    bottom = max(p.handle_bottom * h, half_depth + 0.004 + p.foot_m)
    angle = np.linspace(np.pi / 2.0, -np.pi / 2.0, 181)
    power = 2.0 / p.handle_exponent
    out = np.abs(np.cos(angle)) ** power
    along = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power
    middle, half = 0.5 * (top + bottom), 0.5 * (top - bottom)
    z = middle + half * along
    z = z + p.skew * half * out * 0.5
    # Both ends start where the wall is; between them the base line follows from end to end.
    embed = 0.8 * p.wall_m
    wall_top = float(body_radius(p, top / h)) - embed
    wall_bottom = float(body_radius(p, bottom / h)) - embed
    share = np.clip((z - bottom) / (top - bottom), 0.0, 1.0)
    base = wall_bottom + (wall_top - wall_bottom) * share
    widest = max(wall_top, wall_bottom) + embed + p.reach_m - half_depth
    x = base + (widest - base) * out
    path = resample(np.stack([x, z], 1), 48)
    path[:, 1] = np.clip(path[:, 1], half_depth + 0.001, h - half_depth - 0.001)
    s = np.linspace(0.0, 1.0, len(path))
    flare = 1.0 + p.end_flare * (np.exp(-(s / 0.09) ** 2) + np.exp(-((1.0 - s) / 0.09) ** 2))
    narrow = 1.0 - p.end_narrow * s
    half_width = 0.5 * p.section_width_m * flare * narrow
    depth = half_depth * (0.5 + 0.5 * flare) * (0.5 + 0.5 * narrow)
    mesh = sweep_xz(path, half_width, depth, p.section_exponent)
    # Where the wall slants, the ends' lower or upper edges would come out on its inside.
    r = np.linalg.norm(mesh.vertices[:, :2], axis=1)
    least = body_radius(p, np.clip(mesh.vertices[:, 2] / h, 0.0, 1.0)) - embed
    mesh.vertices[:, :2] *= np.maximum(least / r, 1.0)[:, None]
    return mesh


def _front_point(handle: Mesh) -> np.ndarray:
    """Middle of the handle's outer edge: the outermost points' mean height, at y = 0."""
    x = handle.vertices[:, 0]
    outermost = handle.vertices[x > x.max() - 0.0005]
    return np.array([x.max(), 0.0, outermost[:, 2].mean()])


def _drink(p: MugParameters, drink: float, inner: np.ndarray) -> Mesh:
    """What is in the mug: a body that fills it, so that glass shows all of it."""
    up = inner[::-1]
    up = up[:up[:, 1].argmax()]  # from the floor's middle to the rim's highest ring
    floor = up[0, 1]
    surface = floor + drink * (p.height_m - p.wall_m - floor)
    side = up[up[:, 1] < surface - 0.001] + (-0.0002, 0.0002)
    edge = float(np.interp(surface, up[:, 1], up[:, 0])) - 0.0002
    # Rings beside the edge end its smooth normals there: what is liquid mirrors as a plane.
    flat = [(edge - 0.0005 * k, surface) for k in range(4)]
    profile = np.concatenate([np.maximum(side, 0.0), flat, [(0.0, surface)]])
    return revolve(profile, np.linspace(0.0, 1.0, len(profile)))


def _wall(p: MugParameters, band_m: float, outer: np.ndarray,
          inner: np.ndarray) -> dict[str, tuple[Mesh, str]]:
    """The wall's outside and inside, and between them a rim, where it is of another material."""
    h = p.height_m
    if band_m == 0.0:
        return {'outside': (revolve(outer, outer[:, 1] / h), 'outside'),
                'inside': (revolve(inner, inner[:, 1] / h), 'inside')}
    border = h - band_m
    edge = np.array([(float(body_radius(p, border / h)), border)])
    low = np.concatenate([outer[outer[:, 1] < border], edge])
    # The arc over the rim ends where the wall's inside begins.
    rim = np.concatenate([edge, outer[outer[:, 1] > border], inner[1:RIM_STEPS]])
    inside = inner[RIM_STEPS - 1:]
    return {'outside': (revolve(low, low[:, 1] / h), 'outside'),
            'band': (revolve(rim, np.linspace(0.0, 1.0, len(rim))), 'band'),
            'inside': (revolve(inside, inside[:, 1] / h), 'inside')}


def build(p: MugParameters, fittings: Fittings | None = None) -> Shape:
    """The mug's meshes: outside, inside (with the rim), handle and, for some, a rim of another
    material, a drink or a lid.
    """
    fittings = fittings or Fittings()
    lid = fittings.lid
    outer = _outer_profile(p)
    inner = _inner_profile(p, outer)
    h = p.height_m
    meshes = {**_wall(p, fittings.band_m, outer, inner), 'handle': (handle_of(p), 'handle')}
    if fittings.drink > 0.0:
        meshes['drink'] = (_drink(p, fittings.drink, inner), 'drink')
    if lid is not None:
        below = float(body_radius(p, 1.0 - lid.skirt / h))
        meshes |= {name: (mesh, 'lid')
                   for name, mesh in build_lid(lid, outer[-1, 0], below, h).items()}
    lid_m = 0.0 if lid is None else lid.height
    lift = np.array([0.0, 0.0, -0.5 * (h + lid_m)])
    parts = {name: Part(mesh.moved(lift), material) for name, (mesh, material) in meshes.items()}
    return Shape(category='mug', parts=parts, front_part='handle',
                 front_point_m=_front_point(parts['handle'].mesh),
                 parameters=asdict(p) | asdict(fittings) | {'lid_m': lid_m})


def sample(rng: np.random.Generator) -> Shape:
    """A random mug.

    Fittings are drawn beside it, so that one without them is what it would be if there were none.
    """
    p = sample_parameters(rng)
    lidded = bool(rng.random() < LID_SHARE)
    return build(p, sample_fittings(rng.spawn(1)[0], p, lidded))


#: sRGB of what is drunk from mugs: black coffee, with milk, foam, tea, green tea, milk, cocoa,
#: juice, soup.
_DRINKS = ((0.10, 0.05, 0.03), (0.55, 0.38, 0.25), (0.85, 0.74, 0.60), (0.48, 0.20, 0.06),
           (0.60, 0.58, 0.25), (0.93, 0.91, 0.86), (0.34, 0.20, 0.14), (0.93, 0.60, 0.14),
           (0.75, 0.32, 0.12))
_DRINK_WEIGHTS = (0.28, 0.18, 0.10, 0.16, 0.05, 0.07, 0.07, 0.05, 0.04)


def sample_look(rng: np.random.Generator, shape: Shape) -> Look:
    """Paints of a mug, a drink and a rim of another material among them where it has them."""
    look = sample_vessel_look(rng)
    beside = rng.spawn(1)[0]
    paints = dict(look.paints)
    if 'drink' in shape.parts:
        color = _DRINKS[int(beside.choice(len(_DRINKS), p=_DRINK_WEIGHTS))]
        tint = np.clip(color * np.exp(beside.normal(0.0, 0.12, 3)), 0.0, 1.0)
        paints['drink'] = Paint(srgb_to_linear(tint), 'glazed', float(beside.uniform(0.03, 0.3)))
    if 'band' in shape.parts:
        coat = paints['outside'].color.reshape(-1, 3).mean(0)
        paints['band'] = (
            Paint(metal_color(beside), 'metal', float(beside.uniform(0.15, 0.4)))
            if beside.random() < 0.5 else Paint(contrasting(beside, coat), 'glazed', 0.15))
    return replace(look, paints=paints)
