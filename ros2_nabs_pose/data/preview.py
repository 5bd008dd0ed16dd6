# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Contact sheets: a few views of some objects with the object frame's axes drawn into them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from .dataset import DatasetError
from .rendering import project, render_instance, RenderSettings

_AXIS_COLORS = ((220, 40, 40), (40, 170, 40), (50, 80, 230))
_GREY = 128
#: Pictures smaller than this have no room for letters.
_LETTERS_FROM_PX = 96


def draw_axes(image: np.ndarray, R_cam_obj: np.ndarray, kappa: float, radius_m: float) -> None:
    """Draws x red, y green, z blue from the origin, each 0.95 radii long, into (S, S, 3) uint8.

    Large pictures get the letters x, y and z at the ends of axes that do not point at the camera.
    """
    size = len(image)
    points = np.concatenate([np.zeros((1, 3)), 0.95 * radius_m * np.eye(3)])
    px = (project(points, R_cam_obj, kappa, radius_m) + 1.0) * size / 2.0 - 0.5
    ends = [tuple(int(v) for v in np.round(p * 16)) for p in px]
    for end, color in zip(ends[1:], _AXIS_COLORS, strict=True):
        cv2.line(image, ends[0], end, color, 1, cv2.LINE_AA, 4)
    if size < _LETTERS_FROM_PX:
        return
    for letter, end, color in zip('xyz', px[1:], _AXIS_COLORS, strict=True):
        along = end - px[0]
        if np.hypot(*along) < 0.12 * size:
            continue
        u, v = np.clip(end + 7.0 * along / np.hypot(*along), 5.0, size - 5.0)
        place = (int(u) - 4, int(v) + 4)
        cv2.putText(image, letter, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 3,
                    cv2.LINE_AA)
        cv2.putText(image, letter, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, color, 1, cv2.LINE_AA)


def contact_row(data: dict, axes: bool = True) -> np.ndarray:
    """One instance's views side by side over grey, (S, V * S, 3) uint8."""
    rgba = data['rgba'].astype(np.float32)
    alpha = rgba[..., 3:] / 255.0
    images = np.round(rgba[..., :3] * alpha + _GREY * (1.0 - alpha)).astype(np.uint8)
    for i, image in enumerate(images):
        if axes:
            draw_axes(image, data['R_cam_obj'][i], float(data['kappa'][i]),
                      data['meta']['radius_m'])
    return np.concatenate(list(images), axis=1)


def write_preview(path: Path, category: str, seed: int, instances: int = 8, views: int = 8,
                  size_px: int = 112, samples: int = 24, unusual: float = 0.0,
                  stream: str = 'training') -> None:
    """Renders and writes a contact sheet: one row an instance of a stream, axes drawn in."""
    settings = RenderSettings(views, size_px, samples, lights=2, unusual=unusual)
    rows = [contact_row(render_instance(category, seed, k, settings, stream))
            for k in range(instances)]
    write_sheet(path, np.concatenate(rows))


def write_sheet(path: Path, image: np.ndarray) -> None:
    """Writes (H, W, 3) RGB; DatasetError where that is impossible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except (OSError, cv2.error):
        written = False
    if not written:
        raise DatasetError(f"cannot write the preview '{path}': give a .png in a folder that "
                           'can be written')
