# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Strangers: kinds of objects that no training set has, to measure what a model makes of them.

They belong to no family (``data/shapes``), and what is rendered here is never trained on:
``TrainingViews`` refuses it. What is made unusual (``data/unusual.py``) comes near some of them.
Their frames are their categories'.
"""

from __future__ import annotations

from importlib import import_module

import numpy as np

from ..looks import Look
from ..shapes import Shape

#: Categories that have strangers; each names its module, which has ``KINDS`` (name -> function of
#: a generator that makes a Shape) and ``sample_look(rng, shape)``.
STRANGERS = {name: f'.{name}s' for name in ('bottle', 'camera', 'laptop', 'mug')}


def sample_stranger(category: str, instance: int,
                    rng: np.random.Generator) -> tuple[Shape, Look]:
    """A stranger of the category; its kinds take turns. KeyError where the category has none."""
    if category not in STRANGERS:
        raise KeyError(f"no strangers of '{category}': there are some of "
                       f"{', '.join(sorted(STRANGERS))}")
    kinds = import_module(STRANGERS[category], __name__)
    name = list(kinds.KINDS)[instance % len(kinds.KINDS)]
    shape = kinds.KINDS[name](rng)
    shape.parameters['stranger'] = name
    return shape, kinds.sample_look(rng, shape)
