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

from .looks import CLEAR, linear_to_srgb, Look, Paint, srgb_to_linear
from .shapes import Shape

TIMES_SAMPLES = 3
"""Times the light paths of other objects: what a few paths reflect is all that clear ones show."""
THICKNESS = 2.0
"""Thick parts and edges bend light to the side: what shows through goes with this power."""
BACKDROP = 0.5
"""Grey (sRGB) that is seen through clear objects in stored pictures."""
SHARES = {'mug': 0.10, 'bowl': 0.12, 'bottle': 0.14}
"""Of the instances of a category that are asked whether they are clear."""
_MATERIALS = {'mug': ('outside', 'inside', 'handle'), 'bowl': ('outside', 'inside', 'rim', 'foot'),
              'bottle': ('body',)}
_OPAQUE = {'material': ('wood', 'steel'), 'kind': ('flask', 'shampoo', 'cleaner', 'tube')}
"""What is made of other things than glass and clear plastic, by the shape's parameters."""


def perhaps_clear(shape: Shape, look: Look, rng: np.random.Generator) -> Look:
    """The look, or for some vessels the same in glass; lids, caps and labels stay as they are."""
    clear = rng.random() < SHARES.get(shape.category, 0.0)
    if not clear or any(shape.parameters.get(name) in kinds for name, kinds in _OPAQUE.items()):
        return look
    glass = Paint(srgb_to_linear(np.clip(rng.uniform(0.05, 0.75) + rng.normal(0.0, 0.04, 3), 0.0,
                                         1.0)), CLEAR, 0.0)
    body = look.paints[_MATERIALS[shape.category][0]]
    paints = {name: glass if name in _MATERIALS[shape.category] else paint
              for name, paint in look.paints.items()}
    if look.paints.get('label') is body:  # a bottle without one
        paints['label'] = glass
    return replace(look, paints=paints, pattern=f'clear {look.pattern}')


def glass_of(look: Look) -> Paint | None:
    """The paint of a clear object's clear parts; None of others."""
    return next((paint for paint in look.paints.values() if paint.finish == CLEAR), None)


def over_backdrop(photograph: np.ndarray, coverage: np.ndarray,
                  glass: Paint) -> tuple[np.ndarray, np.ndarray]:
    """A picture of a clear object over the backdrop, (H, W, 4) uint8, and what shows through it.

    photograph: (H, W, 4) uint8, the object's own light; alpha is the share of it that is no
    backdrop. coverage: (H, W) of the object. The second: (H, W) uint8 share of the backdrop.
    """
    own = photograph[..., 3:] / 255.0
    coverage = np.maximum(coverage[..., None], own)
    straight = coverage - own
    through = straight * (straight / np.maximum(coverage, 1e-4)) ** (THICKNESS - 1.0)
    light = (photograph[..., :3] / 255.0 * own + BACKDROP * through
             + linear_to_srgb(glass.color) * (straight - through))
    return (np.round(255.0 * np.concatenate((light / np.maximum(coverage, 1e-4), coverage), -1)
                     ).astype(np.uint8),
            np.round(255.0 * through[..., 0]).astype(np.uint8))
