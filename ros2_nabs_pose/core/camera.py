# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Where rays meet pixels: the one place that follows ROI, binning, resizing and the lens.

Convention: pixel centres lie at integer coordinates, so an image spans [-0.5, width - 0.5]. Camera
frames are optical frames (x right, y down, z forward). All arrays here are float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
import math

import numpy as np
import numpy.typing as npt

from .types import Intrinsics, PoseError

# Where nothing is known about a camera: phones and webcams lie between 0.8 and 1.4.
GUESSED_FOCAL = 1.2
# Lenses beyond this tangent are outside what the polynomial models were made for.
_WIDEST = 10.0
_COEFFICIENTS = {'plumb_bob': (4, 5), 'rational_polynomial': (8,)}


def from_camera_info_values(
        K: npt.ArrayLike, width: int, height: int, distortion: Sequence[float] = (),
        roi: tuple[int, int, int, int] = (0, 0, 0, 0), binning: tuple[int, int] = (0, 0),
        rectified: bool = False, distortion_model: str = 'plumb_bob') -> Intrinsics:
    """Intrinsics of the image that comes with a CameraInfo.

    K: 9 numbers, or the 12 of ``P`` for a rectified image, of the full and unbinned sensor.
    width, height: the full sensor in pixels. roi: (x_offset, y_offset, width, height) on that
    sensor; a width and height of 0 mean all of it. binning: pixels joined across and down; 0 is 1.
    rectified: the lens' distortion has been taken out of the image already.

    As in sensor_msgs/CameraInfo and image_geometry: subtract the ROI's offset, then divide by the
    binning. Raises PoseError when no calibration can be read from the numbers.
    """
    values = np.asarray(K, dtype=float)
    matrix = values.reshape(3, -1)[:, :3] if values.size in (9, 12) else np.full((3, 3), np.nan)
    fx, fy, cx, cy = matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]
    if width <= 0 or height <= 0:
        raise PoseError(f'camera_info gives an image of {width} x {height} pixels: set the size '
                        'that the camera was calibrated with')
    if not np.isfinite(matrix).all():
        raise PoseError('camera_info has a K that is not 9 finite numbers: calibrate the camera')
    if fx == 0 or fy == 0:
        raise PoseError('uncalibrated camera: camera_info has a focal length of 0; calibrate it, '
                        'or load a calibration file in the camera driver')
    longer = max(width, height)
    if not all(0.1 * longer <= f <= 50.0 * longer for f in (fx, fy)):
        raise PoseError(f'camera_info has focal lengths of {fx:g} and {fy:g} for an image '
                        f'{longer} pixels long: they must be in pixels and positive')
    coefficients = () if rectified else _checked_distortion(distortion, distortion_model)

    x_offset, y_offset, roi_width, roi_height = roi
    binning_x, binning_y = max(1, binning[0]), max(1, binning[1])
    if roi_width == 0 or roi_height == 0:
        roi_width, roi_height = width - x_offset, height - y_offset
    if (min(x_offset, y_offset) < 0 or min(roi_width, roi_height) <= 0
            or x_offset + roi_width > width or y_offset + roi_height > height):
        raise PoseError(f'camera_info has a region of interest of {roi_width} x {roi_height} at '
                        f'({x_offset}, {y_offset}), which leaves its {width} x {height} sensor')
    return Intrinsics(
        fx=float(fx / binning_x), fy=float(fy / binning_y),
        cx=float((cx - x_offset) / binning_x), cy=float((cy - y_offset) / binning_y),
        width=int(roi_width // binning_x), height=int(roi_height // binning_y),
        distortion=coefficients)


def _checked_distortion(distortion: Sequence[float], model: str) -> tuple[float, ...]:
    coefficients = tuple(float(k) for k in distortion)
    if not all(math.isfinite(k) for k in coefficients):
        raise PoseError('camera_info has distortion coefficients that are not finite: calibrate '
                        'the camera again')
    if not any(coefficients):
        return ()
    if model not in _COEFFICIENTS:
        raise PoseError(f'distortion model {model!r} is not supported: give the rectified image '
                        'and its camera_info, or calibrate with plumb_bob')
    if len(coefficients) not in _COEFFICIENTS[model]:
        raise PoseError(f'camera_info has {len(coefficients)} distortion coefficients, but '
                        f'{model} has {_COEFFICIENTS[model][-1]}: calibrate the camera again')
    return coefficients


def guess_intrinsics(width: int, height: int) -> Intrinsics:
    """Intrinsics for a photograph of which nothing is known: f = 1.2 x its longer side."""
    focal = GUESSED_FOCAL * max(width, height)
    return Intrinsics(fx=focal, fy=focal, cx=0.5 * (width - 1), cy=0.5 * (height - 1),
                      width=width, height=height)


def scaled_to(intrinsics: Intrinsics, width: int, height: int) -> Intrinsics:
    """Intrinsics of the same picture resized to ``width`` x ``height`` pixels.

    Raises PoseError if the shape differs by more than a pixel or 1 %: then it was cropped too.
    """
    if width <= 0 or height <= 0:
        raise PoseError(f'the image has no pixels ({width} x {height})')
    if (width, height) == (intrinsics.width, intrinsics.height):
        return intrinsics
    sx, sy = width / intrinsics.width, height / intrinsics.height
    if abs(intrinsics.height * sx - height) > max(1.0, 0.01 * height):
        raise PoseError(
            f'the image is {width} x {height}, but its camera_info describes {intrinsics.width} x '
            f'{intrinsics.height}, another shape: publish the camera_info that belongs to it')
    return replace(intrinsics, fx=intrinsics.fx * sx, fy=intrinsics.fy * sy,
                   cx=(intrinsics.cx + 0.5) * sx - 0.5, cy=(intrinsics.cy + 0.5) * sy - 0.5,
                   width=width, height=height)


def _lens(distortion: tuple[float, ...]) -> tuple[float, ...]:
    """k1 k2 p1 p2 k3 k4 k5 k6, zeros where not given."""
    return (tuple(distortion) + (0.0,) * 8)[:8]


def _radial(r2: np.ndarray, distortion: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Radial factor of the lens at squared radius ``r2`` and its derivative by ``r2``."""
    k1, k2, _, _, k3, k4, k5, k6 = _lens(distortion)
    top = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    bottom = 1.0 + r2 * (k4 + r2 * (k5 + r2 * k6))
    d_top = k1 + r2 * (2.0 * k2 + r2 * 3.0 * k3)
    d_bottom = k4 + r2 * (2.0 * k5 + r2 * 3.0 * k6)
    return top / bottom, (d_top * bottom - top * d_bottom) / (bottom * bottom)


@lru_cache(maxsize=64)
def _fold(distortion: tuple[float, ...]) -> float:
    """Tangent up to which the lens model sends larger angles to larger radii.

    Beyond it a polynomial turns back, and points outside the view would land inside the image.
    """
    r = np.linspace(0.0, _WIDEST, 4001)
    factor, slope = _radial(r * r, distortion)
    grows = (factor + 2.0 * r * r * slope > 0.0) & (factor > 0.0)
    return _WIDEST if grows.all() else float(r[max(0, int(np.argmin(grows)) - 1)])


def _distort(x: np.ndarray, y: np.ndarray, distortion: tuple[float, ...],
             ) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Distorted tangents and their symmetric Jacobian (dxx, dxy, dyy), OpenCV's lens model."""
    p1, p2 = _lens(distortion)[2:4]
    r2 = x * x + y * y
    factor, slope = _radial(r2, distortion)
    xy = x * y
    xd = x * factor + 2.0 * p1 * xy + p2 * (r2 + 2.0 * x * x)
    yd = y * factor + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * xy
    dxx = factor + 2.0 * x * x * slope + 2.0 * p1 * y + 6.0 * p2 * x
    dxy = 2.0 * xy * slope + 2.0 * p1 * x + 2.0 * p2 * y
    dyy = factor + 2.0 * y * y * slope + 6.0 * p1 * y + 2.0 * p2 * x
    return xd, yd, (dxx, dxy, dyy)


def project(intrinsics: Intrinsics, points_cam: np.ndarray) -> np.ndarray:
    """Pixels (N, 2) of points or directions (N, 3) in the camera frame.

    NaN for what no pixel can show: points behind the camera, or beyond the angle at which the
    lens model folds back.
    """
    points = np.asarray(points_cam, dtype=float)
    z = np.where(points[:, 2] > 1e-9, points[:, 2], np.nan)
    x, y = points[:, 0] / z, points[:, 1] / z
    if intrinsics.distortion:
        beyond = x * x + y * y > _fold(intrinsics.distortion) ** 2
        x, y, _ = _distort(x, y, intrinsics.distortion)
        x, y = np.where(beyond, np.nan, x), np.where(beyond, np.nan, y)
    return np.stack([intrinsics.fx * x + intrinsics.cx, intrinsics.fy * y + intrinsics.cy], -1)


def unproject_directions(intrinsics: Intrinsics, px: np.ndarray) -> np.ndarray:
    """Unit rays (N, 3) in the camera frame through pixels (N, 2), the lens undone (Newton).

    A pixel that the lens model cannot reach gets the ray at the angle where the model ends.
    """
    px = np.asarray(px, dtype=float)
    xd = (px[:, 0] - intrinsics.cx) / intrinsics.fx
    yd = (px[:, 1] - intrinsics.cy) / intrinsics.fy
    x, y = xd, yd
    if intrinsics.distortion:
        fold = _fold(intrinsics.distortion)
        for _ in range(20):
            shrink = np.minimum(1.0, fold / np.maximum(np.hypot(x, y), 1e-12))
            x, y = x * shrink, y * shrink
            ex, ey, (dxx, dxy, dyy) = _distort(x, y, intrinsics.distortion)
            ex, ey = ex - xd, ey - yd
            # Kept off zero at the fold, where the model is flat and a step would run away.
            det = np.maximum(dxx * dyy - dxy * dxy, 1e-3)
            step_x, step_y = (dyy * ex - dxy * ey) / det, (dxx * ey - dxy * ex) / det
            x, y = x - step_x, y - step_y
            if max(np.abs(step_x).max(initial=0.0), np.abs(step_y).max(initial=0.0)) < 1e-12:
                break
        shrink = np.minimum(1.0, fold / np.maximum(np.hypot(x, y), 1e-12))
        x, y = x * shrink, y * shrink
    rays = np.stack([x, y, np.ones_like(x)], -1)
    return rays / np.linalg.norm(rays, axis=-1, keepdims=True)


def rotation_z_to(direction: np.ndarray) -> np.ndarray:
    """Smallest rotation (3, 3) that takes the optical axis (0, 0, 1) to a unit ``direction`` (3,).

    The turn of a camera that looks elsewhere without rolling. The direction must lie in front.
    """
    x, y, z = direction
    g = 1.0 / (1.0 + z)
    return np.array([[1.0 - g * x * x, -g * x * y, x],
                     [-g * x * y, 1.0 - g * y * y, y],
                     [-x, -y, z]])
