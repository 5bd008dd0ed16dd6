# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Clear vessels among those that are rendered to learn from.

Whether an instance is clear is drawn from a stream of its own, so that all others stay as they
are. A clear vessel shows what is behind it. Its pictures hold its own light over ``BACKDROP`` and,
beside that, how much of the backdrop shows through (``clear`` in dataset.py), so that training can
put any background there instead.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .looks import GLASS, linear_to_srgb, Look, Paint, srgb_to_linear
from .shapes import Shape

TIMES_SAMPLES = 3
"""Times the light paths of other objects: what a few paths reflect is all that clear ones show."""
BACKDROP = 0.5
"""Grey (sRGB) that is seen through clear objects in stored pictures."""
SHARES = {'mug': 0.10, 'bowl': 0.12, 'bottle': 0.14}
"""Of a category's instances that are made clear, unless they are of wood, steel or the like."""
STREAM = 5
"""Of random numbers, beside those of rendering.STREAMS."""
_MATERIALS = {'mug': ('outside', 'inside', 'handle'), 'bowl': ('outside', 'inside', 'rim', 'foot'),
              'bottle': ('body',)}
_OPAQUE = {'material': ('wood', 'steel'), 'kind': ('flask', 'shampoo', 'cleaner', 'tube')}
"""What is made of other things than glass and clear plastic, by the shape's parameters."""


def perhaps_clear(shape: Shape, look: Look, rng: np.random.Generator) -> tuple[Shape, Look]:
    """Shape and look, for some vessels in glass; lids, caps, drinks, rims of another material
    and printed labels stay as they are.

    A label that is not printed, which is the bottle's own colour on a sleeve around it, goes.
    """
    clear = rng.random() < SHARES.get(shape.category, 0.0)
    if not clear or any(shape.parameters.get(name) in kinds for name, kinds in _OPAQUE.items()):
        return shape, look
    edges = np.clip(rng.uniform(0.05, 0.75) + rng.normal(0.0, 0.04, 3), 0.0, 1.0)
    glass = Paint(srgb_to_linear(edges), GLASS, float(rng.random()))
    materials = _MATERIALS[shape.category]
    if look.paints.get('label') is look.paints[materials[0]]:
        shape = replace(shape, parts={name: part for name, part in shape.parts.items()
                                      if part.material != 'label'})
    paints = {name: glass if name in materials else paint for name, paint in look.paints.items()}
    return shape, replace(look, paints=paints, pattern=f'clear {look.pattern}')


def glass_of(look: Look) -> Paint | None:
    """The paint of a clear object's clear parts; None of others."""
    return next((paint for paint in look.paints.values() if paint.finish == GLASS), None)


def over_backdrop(light: np.ndarray, opaque: np.ndarray, coverage: np.ndarray,
                  glass: Paint) -> tuple[np.ndarray, np.ndarray]:
    """A picture of a clear object over the backdrop, (H, W, 4) uint8, and what shows through it.

    light: (H, W, 3) sRGB in [0, 1], the object's own over black. opaque: (H, W) share of the rays
    that do not go straight through, backgrounds included. coverage: (H, W) of the object. The
    second: (H, W) uint8 share of the backdrop, in sRGB: of a share T of the light about T^(1/2.2)
    is left to the eye, and less where glass is thick, whose edges bend away what lies behind.
    Where the object's own light is bright, nothing else is seen.
    """
    opaque = opaque[..., None]
    coverage = np.maximum(coverage[..., None], opaque)
    covered = np.maximum(coverage, 1e-4)
    straight = np.clip(1.0 - opaque / covered, 0.0, 1.0)
    thin, thick = (coverage * straight ** (power / 2.2) for power in (
        1.0, 1.0 + 2.0 * glass.roughness))
    own = np.minimum(light + linear_to_srgb(glass.color) * (thin - thick), coverage)
    through = np.minimum(thick, (coverage - own.max(-1, keepdims=True)) / BACKDROP)
    colour = (own + BACKDROP * through) / covered
    return (np.round(255.0 * np.concatenate((np.minimum(colour, 1.0), coverage), -1)).astype(
        np.uint8), np.round(255.0 * through[..., 0]).astype(np.uint8))
