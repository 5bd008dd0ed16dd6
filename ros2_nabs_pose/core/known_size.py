# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What a user knows of an object's size: the longest side of the box around it, or all three.

An object's code tells its shape but no metres. A told side is compared with the same side of what
the code draws; three together say more, since a code's proportions are no exact ones either, and
they say what the proportions are (``sized_codes``). Nothing here needs torch: nodes answer before
it is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
import math

import numpy as np

from .types import PoseError

KnownSize = float | Sequence[float]
"""Metres of the longest side; or of x (towards the front), y (across) and z (up) of the object."""
FARTHEST = 10.0
"""A told longest side that is so many times the usual one, or its inverse, is told in other
units."""


def check_size(size: KnownSize, of: str = '') -> tuple[float, ...]:
    """One side or three; PoseError for another number of them or for one that is no length.

    of: what has that size, for the message.
    """
    try:
        told = np.asarray(size, dtype=float)
    except (TypeError, ValueError):
        told = np.full(2, np.nan)
    sides: tuple[float, ...] = tuple(told.ravel().tolist())
    if told.ndim > 1 or len(sides) not in (1, 3) or not all(0.0 < s < math.inf for s in sides):
        raise PoseError(f'{size!r} is no size{of and " of a "}{of}: give the longest side, or '
                        'three sides, in metres above 0.')
    return sides


def read_size(text: str, of: str = '') -> tuple[float, ...]:
    """'0.12' or '0.12x0.08x0.10' as one side or three; PoseError where it is neither."""
    try:
        return check_size([float(part) for part in text.split('x')])
    except (ValueError, PoseError):
        raise PoseError(f'{text!r} is no size{of and " of a "}{of}: give the longest side or three '
                        'sides in metres above 0, as 0.12 or 0.12x0.08x0.10.') from None


def check_likely(sides: Sequence[float], usual: Sequence[float], category: str) -> None:
    """PoseError for a size that nothing of its category has, since metres were not meant.

    usual: (3,) sides (m) of the category's mean object.
    """
    times = max(sides) / max(usual)
    if not 1.0 / FARTHEST < times < FARTHEST:
        raise PoseError(f'A {category} of {max(sides):g} m is {times:.2g} times as large as usual: '
                        'give its size in metres.')


def of_round(sides: Sequence[float]) -> tuple[float, ...]:
    """Sides of an object that may spin freely: x is the shorter of the two across its axis.

    Its front is nowhere, so which is told first says nothing; models' own flat bottles have x thin.
    """
    return tuple(sides) if len(sides) == 1 else (*sorted(sides[:2]), sides[2])


def radius_of(sides: Sequence[float], drawn: np.ndarray) -> float:
    """Radius (m) at which a drawn box agrees with told sides.

    sides: as ``check_size`` gives them. drawn: (3,) sides of the drawn box, radii. Three sides
    agree with it as a whole, by least squares: the longer a side, the more it tells.
    """
    if len(sides) == 1:
        return sides[0] / float(drawn.max())
    return float(np.dot(sides, drawn) / np.dot(drawn, drawn))
