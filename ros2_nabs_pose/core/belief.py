# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""How sure a fit is: confidence from the explained outline and the yaw's posterior, covariance."""

from __future__ import annotations

import math

import numpy as np

MIN_OUTLINE = 0.5
"""Overlap of synthesised outline and mask below which a pose is not believed in."""

CONFIDENCE = (-7.64, 10.39, -1.52)
"""Bias, weight of the outline's overlap, weight of the yaw's spread (1 / rad)."""

# Spread of a good fit on held-out renders; see "nabs-pose benchmark accuracy".
AXIS_STD_RAD = math.radians(4.0)
LATERAL_STD = 0.01
"""Lateral position spread, relative to the distance."""


def outline_overlap(alpha: np.ndarray, mask: np.ndarray, valid: np.ndarray) -> float:
    """Soft intersection over union of two coverages (S, S), where ``valid``."""
    both = float((np.minimum(alpha, mask) * valid).sum())
    either = float((np.maximum(alpha, mask) * valid).sum())
    return both / max(either, 1e-6)


def yaw_spread(probability: np.ndarray, centers_rad: np.ndarray, yaw_rad: float) -> float:
    """Standard deviation (rad) of the yaw's posterior (K,) around the chosen yaw."""
    apart = np.remainder(centers_rad - yaw_rad + math.pi, 2.0 * math.pi) - math.pi
    return float(math.sqrt((probability * apart ** 2).sum()))


def confidence(outline: float, yaw_std_rad: float) -> float:
    """How likely the rotation is within 10 degrees (yaw left out where it cannot be seen).

    A logistic of how well the outline is explained and of what is unknown of the yaw; its numbers
    are scripts/calibrate.py's, from rendered instances of six categories that training left out.
    """
    bias, by_outline, by_yaw = CONFIDENCE
    return 1.0 / (1.0 + math.exp(-(bias + by_outline * outline + by_yaw * yaw_std_rad)))


def pose_covariance(T_cam_obj: np.ndarray, yaw_std_rad: float, radius_std: float) -> np.ndarray:
    """Covariance (6, 6), order x y z (m), rotation about x y z (rad), camera frame.

    radius_std: relative uncertainty of the metric scale, which acts along the viewing ray.
    """
    position = T_cam_obj[:3, 3]
    distance = float(np.linalg.norm(position))
    ray = position / max(distance, 1e-9)
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = ((LATERAL_STD * distance) ** 2 * np.eye(3)
                          + (radius_std * distance) ** 2 * np.outer(ray, ray))
    axis = T_cam_obj[:3, 2]
    covariance[3:, 3:] = (AXIS_STD_RAD ** 2 * np.eye(3)
                          + yaw_std_rad ** 2 * np.outer(axis, axis))
    return covariance
