# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""From the fit's state in the crop to a pose in metres, and back.

The fit speaks of the object as a picture in the crop: ``R_fit`` (3, 3), the object as seen by a
camera that looks straight at its origin; ``t`` (2,), where the origin appears, in normalised crop
coordinates (edges at -1 and 1, v down); ``s``, the apparent radius in half crop widths.

The origin lies on the ray rho = normalize(t_u / f, t_v / f, 1), f being the view's focal length in
half widths. A camera that looks straight at it is the crop's camera turned by the smallest
rotation from z to rho, so R_crop_obj = R(z -> rho) R_fit.

A small patch across the ray, seen at the angle theta off the crop's axis (cos theta = rho_z), is
magnified in the crop's plane by 1 / cos^2 theta radially, for d(tan theta) = d theta / cos^2
theta, and by 1 / cos theta tangentially, for the plane is that much farther away. The fit has one
scale for both: their geometric mean, m = cos^-1.5 theta, which keeps the area. So
s = radius / distance * f * m, with distance measured along the ray.
"""

from __future__ import annotations

import numpy as np

from .camera import rotation_z_to
from .types import CropView

MIN_DEPTH_PIXELS = 20


def _ray(view: CropView, t: np.ndarray) -> tuple[np.ndarray, float]:
    """Unit ray (3,) through ``t`` in the crop's camera, and the magnification around it."""
    ray = np.array([t[0] / view.focal, t[1] / view.focal, 1.0])
    ray /= np.linalg.norm(ray)
    return ray, float(ray[2] ** -1.5)


def distance_in_radii(view: CropView, t: np.ndarray, s: float) -> float:
    """Distance of the origin along its ray, in units of the object's radius."""
    return view.focal * _ray(view, t)[1] / s


def lift(view: CropView, R_fit: np.ndarray, t: np.ndarray, s: float,
         radius_m: float) -> np.ndarray:
    """T_cam_obj (4, 4), metres, of a fit's state and the object's radius."""
    ray, _ = _ray(view, t)
    R_cam_crop = view.R_crop_cam.T
    T_cam_obj = np.eye(4)
    T_cam_obj[:3, :3] = R_cam_crop @ rotation_z_to(ray) @ R_fit
    T_cam_obj[:3, 3] = R_cam_crop @ ray * (radius_m * distance_in_radii(view, t, s))
    return T_cam_obj


def unlift(view: CropView, T_cam_obj: np.ndarray,
           radius_m: float) -> tuple[np.ndarray, np.ndarray, float]:
    """R_fit (3, 3), t (2,) and s of a pose in front of the view: the inverse of ``lift``."""
    position = view.R_crop_cam @ T_cam_obj[:3, 3]
    distance = float(np.linalg.norm(position))
    t = position[:2] / position[2] * view.focal
    ray, magnification = _ray(view, t)
    R_fit = rotation_z_to(ray).T @ view.R_crop_cam @ T_cam_obj[:3, :3]
    return R_fit, t, radius_m / distance * view.focal * magnification


def scale_from_depth(view: CropView, t: np.ndarray, s: float, depth_m: np.ndarray,
                     mask: np.ndarray, relative_depth: np.ndarray,
                     min_pixels: int = MIN_DEPTH_PIXELS) -> float | None:
    """Radius in metres at which the fitted shape agrees with measured depth; None if it cannot.

    depth_m: (S, S) along the view's z, 0 where unmeasured (``crop.take_depth_crop``). mask:
    (S, S), the object's pixels. relative_depth: (S, S), the synthesised (z - distance) / radius,
    z along the ray to the origin. The fit knows the distance in radii, so each pixel's depth
    gives a radius; their median is robust to the background at the outline and to flying pixels.
    """
    ray, _ = _ray(view, t)
    # Measured depth along the ray to the origin, in which the synthesised depth counts.
    tangent = (np.arange(view.size_px) + 0.5) / (0.5 * view.size_px) - 1.0
    tangent /= view.focal
    along = depth_m * (tangent[None, :] * ray[0] + tangent[:, None] * ray[1] + ray[2])
    expected = distance_in_radii(view, t, s) + relative_depth
    used = mask.astype(bool) & np.isfinite(depth_m) & (depth_m > 0) & (expected > 0)
    if np.count_nonzero(used) < min_pixels:
        return None
    along, expected = along[used], expected[used]
    radius = float(np.median(along / expected))
    # What is farther off than the object is deep belongs to something else.
    agree = np.abs(along - radius * expected) < radius
    if np.count_nonzero(agree) < max(min_pixels, 0.5 * agree.size):
        return None
    return float(np.median(along[agree] / expected[agree]))
