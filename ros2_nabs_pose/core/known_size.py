# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What a user knows of an object's size: the longest side of the box around it, or all three.

An object's code tells its shape but no metres. A told side is compared with the same side of what
the code draws; three together say more, since a code's proportions are no exact ones either.
"""

from __future__ import annotations

from collections.abc import Sequence
import math

import numpy as np

from .types import PoseError

KnownSize = float | Sequence[float]
"""Metres of the longest side; or of x (towards the front), y (across) and z (up) of the object."""


def check_size(size: KnownSize) -> tuple[float, ...]:
    """One side or three; PoseError for another number of them or for one that is no length."""
    sides = tuple(np.atleast_1d(np.asarray(size, dtype=float)).tolist())
    if len(sides) not in (1, 3) or not all(0.0 < side < math.inf for side in sides):
        told = 'x'.join(f'{side:g}' for side in sides)
        raise PoseError(f'A known size of {told} m is of no use: give the longest side, or '
                        'three sides, in metres above 0.')
    return sides


def read_size(text: str) -> tuple[float, ...]:
    """'0.12' or '0.12x0.08x0.10' as one side or three; PoseError where it is neither."""
    try:
        sides = [float(part) for part in text.split('x')]
    except ValueError:
        raise PoseError(f'{text!r} is no size: give metres as 0.12 or as '
                        '0.12x0.08x0.10.') from None
    return check_size(sides)


def radius_of(sides: Sequence[float], drawn: np.ndarray) -> float:
    """Radius (m) at which a drawn box agrees with told sides.

    sides: as ``check_size`` gives them. drawn: (3,) sides of the drawn box, radii. Three sides
    agree with it as a whole, by least squares: the longer a side, the more it tells.
    """
    if len(sides) == 1:
        return sides[0] / float(drawn.max())
    return float(np.dot(sides, drawn) / np.dot(drawn, drawn))
