# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Sheets of crops, masks and drawings, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from torch import Tensor

SHOWN = 24
"""Views on a sheet."""


def _tile(image: Tensor) -> np.ndarray:
    """(3, S, S) in [0, 1] -> (2 S, 2 S, 3) uint8 BGR."""
    array = (image.clamp(0.0, 1.0).permute(1, 2, 0).cpu().numpy() * 255.0).astype(np.uint8)
    return cv2.resize(array[..., ::-1], None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)


def on_white(stacked: Tensor) -> Tensor:
    """Pictures (B, 3, S, S) of views (B, 5, S, S)."""
    return stacked[:, :3] + 1.0 - stacked[:, 3:4]


def depth_shade(stacked: Tensor) -> Tensor:
    """Depths of views (B, 5, S, S) as pictures (B, 3, S, S): the nearer the brighter."""
    return (0.5 - 0.5 * stacked[:, 4:]).expand(-1, 3, -1, -1) * stacked[:, 3:4]


def write_sheet(shown: Sequence[Tensor], path: Path) -> None:
    """A picture of rows of ``SHOWN`` things, in three columns; each of ``shown`` (B, 3, S, S)."""
    strips = [np.hstack([_tile(x[b]) for x in shown]) for b in range(SHOWN)]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.hstack([np.vstack(strips[i::3]) for i in range(3)]))
