# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Single rotations as plain floats, for messages: no torch, whose overhead is a tenth of a ms."""

from __future__ import annotations

from collections.abc import Sequence
import math

Row = tuple[float, float, float]


def quaternion_values(R: Sequence[Sequence[float]]) -> tuple[float, float, float, float]:
    """Unit quaternion x, y, z, w with w >= 0 of a rotation matrix (3, 3) (Shepperd 1978)."""
    (a, b, c), (d, e, f), (g, h, i) = ((float(v) for v in row) for row in R)
    # The rows are 4 q_i q; the one of the largest q_i is the best conditioned.
    rows = ((1.0 + a - e - i, b + d, c + g, h - f), (b + d, 1.0 - a + e - i, f + h, c - g),
            (c + g, f + h, 1.0 - a - e + i, d - b), (h - f, c - g, d - b, 1.0 + a + e + i))
    row = rows[max(range(4), key=lambda k: rows[k][k])]
    scale = (-1.0 if row[3] < 0.0 else 1.0) / math.hypot(*row)
    x, y, z, w = (scale * v for v in row)
    return x, y, z, w


def matrix_rows(x: float, y: float, z: float, w: float) -> tuple[Row, Row, Row]:
    """Rows of the rotation matrix of a quaternion, which need not be unit; not all may be 0."""
    n = math.hypot(x, y, z, w)
    x, y, z, w = x / n, y / n, z / n, w / n
    return ((1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
            (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
            (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)))
