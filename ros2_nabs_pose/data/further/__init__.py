# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Further kinds of objects: rarer ones than the families' (``data/shapes``), to learn from.

``render --unusual`` renders them among its unusual objects. None of them is a stranger's kind
(``data/strangers``): those are to measure on. Their frames are their categories'.
"""

from __future__ import annotations

from importlib import import_module

import numpy as np

from ..looks import Look
from ..shapes import Shape

#: Categories that have further kinds; each names its module, which has ``KINDS`` (name -> function
#: of a generator that makes a Shape) and ``sample_look(rng, shape)``.
FURTHER = {name: f'.{name}s' for name in ('bottle', 'camera')}
FURTHER_SHARE, BENT_SHARE = 0.6, 0.4
"""Of a category's unusual objects those of further kinds, and of these those that are bent, too."""


def sample_further(category: str, rng: np.random.Generator) -> tuple[Shape, Look]:
    """An object of one of the category's further kinds; KeyError where there are none."""
    kinds = import_module(FURTHER[category], __name__)
    name = str(rng.choice(list(kinds.KINDS)))
    shape = kinds.KINDS[name](rng)
    shape.parameters.update(further=name, unusual=True)
    return shape, kinds.sample_look(rng, shape)
