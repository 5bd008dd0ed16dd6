# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Random measures of shapes."""

from __future__ import annotations

import numpy as np


def about(rng: np.random.Generator, middle: float, std: float, most: float = 2.0) -> float:
    """A log-normal measure about its middle, without the far ends.

    std: standard deviation of its logarithm. most: so many of them it is off at most.
    """
    return float(middle * np.exp(std * np.clip(rng.normal(), -most, most)))
