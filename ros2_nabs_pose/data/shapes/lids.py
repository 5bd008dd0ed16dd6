# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Lids of mugs: discs, caps that reach over the rim, domes, sunken middles, knobs and tongues."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .lofts import fillet
from .surfaces import Mesh, revolve, sweep_xz

KINDS = ('flat', 'sunken', 'domed', 'knob')
KIND_WEIGHTS = (0.35, 0.27, 0.18, 0.20)


@dataclass(frozen=True)
class Lid:
    """A lid's measures, metres.

    edge: height of its edge over the rim. overhang: by how much it is wider than the rim. skirt:
    how far its edge reaches down outside the wall (0: it lies on the rim). middle: height of its
    middle over its edge, below 0 where it is sunken. knob: height of a knob in the middle (0:
    none), and its radius. tongue: how far one to lift it by stands out (0: none), at ``tongue_at``
    radians from the handle.
    """

    kind: str
    edge: float
    overhang: float
    skirt: float
    middle: float
    knob: float
    knob_radius: float
    tongue: float
    tongue_at: float

    @property
    def height(self) -> float:
        """Of its highest point over the rim."""
        return self.edge + max(self.middle, 0.0) + self.knob


def sample_lid(rng: np.random.Generator, room: float, most_tongue: float) -> Lid:
    """A random lid.

    room: over the handle, for a skirt. most_tongue: so long a tongue at most. Metres.
    """
    kind = str(rng.choice(KINDS, p=KIND_WEIGHTS))
    middle = {'flat': 0.0, 'sunken': -rng.uniform(0.0015, 0.006),
              'domed': rng.uniform(0.003, 0.014),
              'knob': rng.uniform(0.0, 0.006)}[kind]
    wide = rng.random() < 0.6
    tongue = rng.random() < 0.3
    return Lid(kind, edge=float(rng.uniform(0.004, 0.011)),
               overhang=float(rng.uniform(0.0015, 0.005) if wide else rng.uniform(0.0003, 0.0015)),
               skirt=float(min(rng.uniform(0.003, 0.010), room)) if wide and room > 0.002 else 0.0,
               middle=float(middle),
               knob=float(rng.uniform(0.006, 0.016)) if kind == 'knob' else 0.0,
               knob_radius=float(rng.uniform(0.005, 0.012)),
               tongue=float(rng.uniform(0.4, 1.0) * most_tongue) if tongue else 0.0,
               # Over the handle for the thumb mostly, or across from it.
               tongue_at=float(rng.choice((0.0, np.pi, rng.uniform(0.0, 2.0 * np.pi)),
                                          p=(0.6, 0.2, 0.2))))


def _middle(lid: Lid, radius: float, top: float) -> list[tuple[float, float]]:
    """Corners (radius, z) from the edge's top inwards to the axis."""
    if lid.kind == 'sunken':
        ring = 0.80 * radius
        return [(ring, top), (ring - 0.5 * abs(lid.middle), top + lid.middle),
                (0.0, top + lid.middle)]
    shares = np.linspace(0.9, 0.0, 7)
    dome = [(s * radius, top + lid.middle * (1.0 - s ** 2)) for s in shares]
    if lid.knob == 0.0:
        return dome
    foot = 0.6 * lid.knob_radius
    above = top + lid.middle
    stem = [(foot, above), (foot, above + 0.4 * lid.knob),
            (lid.knob_radius, above + 0.6 * lid.knob),
            (lid.knob_radius, above + lid.knob), (0.0, above + lid.knob)]
    return [corner for corner in dome if corner[0] > 1.3 * lid.knob_radius] + stem


def build_lid(lid: Lid, rim_radius: float, wall_radius: float, rim: float) -> dict[str, Mesh]:
    """Meshes by name.

    rim_radius, wall_radius: the wall's outer radius at the rim and at the skirt's lower edge. rim:
    its height. Metres.
    """
    radius, top = max(rim_radius, wall_radius) + lid.overhang, rim + lid.edge
    under = rim - 0.001 + min(0.0, lid.edge + lid.middle - 0.001)
    if lid.skirt > 0.0:
        # Its lower edge hugs the wall, so that none of the lid's hollow is seen.
        begin = [(0.0, under), (rim_radius - 0.0005, under),
                 (wall_radius - 0.0005, rim - lid.skirt), (radius, rim - lid.skirt)]
    else:
        begin = [(0.0, under), (radius - 0.001, under), (radius, rim + 0.001)]
    corners = [*begin, (radius, top), *_middle(lid, radius, top)]
    profile = fillet(corners, 0.0012)
    meshes = {'lid': revolve(profile, profile[:, 0] / radius)}
    if lid.tongue > 0.0:
        share = np.linspace(0.0, 1.0, 12)
        path = np.stack([radius * 0.9 + share * (0.1 * radius + lid.tongue),
                         np.full(12, top - 0.0018)], 1)
        ends = np.sqrt(np.clip(1.0 - share ** 6, 1e-4, 1.0))
        tongue = sweep_xz(path, (0.007 - 0.002 * share) * ends, np.full(12, 0.0016) * ends, 3.0)
        meshes['tongue'] = tongue.turned(lid.tongue_at)
    return meshes
