# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""How sure a fit is: confidence from outline, the yaw's posterior and refiner; covariance."""

from __future__ import annotations

import math

import numpy as np

MIN_OUTLINE = 0.5
"""Overlap of synthesised outline and mask below which a pose is not believed in."""

CONFIDENCE = (-1.55, 0.82, -0.69, 1.51)
"""Bias, weights of the outline's overlap, the yaw's spread (1 / rad), the worth's log odds."""
UNREFINED = (-9.40, 11.93, -1.08)
"""The first three where no refiner knows the category."""

AXIS_SPREAD = (-1.55, -0.32)
"""Log of the spread of the axis' tilt (rad) at even odds, and by log odds of the
confidence; scripts/calibrate.py's as well."""
UNREFINED_AXIS_SPREAD = (-1.18, -0.72)
"""The same where no refiner knows the category."""
NINE_IN_TEN = math.sqrt(2.0 * math.log(10.0))
"""Spreads within which nine in ten lie in two dimensions."""
AXIS_STD_RAD = (math.radians(1.0), math.radians(30.0))
"""Limits of the axis' spread; the lower one holds for its lean, too."""
LEAN = 0.36
"""How much better the picture tells how far an axis leans to the side than how far it is tilted
towards the camera, seen from the side: the spread of the one over that of the other;
scripts/calibrate.py's as well."""
OF_THE_AXIS = 0.59
"""Of wrong answers to objects that have a front, so many have a wrong axis, too;
scripts/calibrate.py's as well."""
RIGHT_RAD = math.radians(10.0)
"""What the confidence calls right."""
SUREST = 0.999
CIRCLE_SLICES = 32
UNKNOWN_YAW_STD_RAD = math.pi / math.sqrt(3.0)
"""Of a turn about the axis that nobody can tell: every one is equally likely."""
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


def confidence(outline: float, yaw_std_rad: float, worth: float = math.nan) -> float:
    """How likely the rotation is within 10 degrees (yaw left out where it cannot be seen).

    A logistic of how well the outline is explained, of what is unknown of the yaw, and of what the
    refiner says of the pose (``Comparison.worth``, NaN where none was asked); its numbers
    are scripts/calibrate.py's, from rendered instances of six categories that training left out.
    """
    if math.isnan(worth):
        bias, by_outline, by_yaw = UNREFINED
        odds = 0.0
    else:
        bias, by_outline, by_yaw, by_worth = CONFIDENCE
        odds = by_worth * log_odds(worth)
    return 1.0 / (1.0 + math.exp(-(bias + by_outline * outline + by_yaw * yaw_std_rad + odds)))


def log_odds(share: float) -> float:
    """Log odds of a worth or a confidence, held within 0.001 and 0.999."""
    share = min(max(share, 1e-3), 1.0 - 1e-3)
    return math.log(share / (1.0 - share))


def axis_spread(sure: float, refined: bool = True) -> float:
    """Standard deviation (rad) of the axis' tilt towards the camera, at a confidence.

    refined: whether a refiner knows the category. For the lean see ``lean_scale``.
    """
    level, slope = AXIS_SPREAD if refined else UNREFINED_AXIS_SPREAD
    low, high = AXIS_STD_RAD
    return min(max(math.exp(level + slope * log_odds(sure)), low), high)


def axis_within(axis: np.ndarray, turns: np.ndarray, limit_rad: float = RIGHT_RAD) -> float:
    """How likely an axis (3,) is right to ``limit_rad``, by its object's turns' covariance (3, 3).
    """
    across = np.eye(3) - np.outer(axis, axis)
    variances = np.linalg.eigvalsh(across @ turns @ across)[1:]
    surest, least = np.sqrt(np.maximum(variances, 1e-12))
    # Over slices of the circle along the direction that is told least, as far as that goes.
    end = min(limit_rad, 6.0 * least)
    width = 2.0 * end / CIRCLE_SLICES
    along = -end + width * (np.arange(CIRCLE_SLICES) + 0.5)
    density = np.exp(-0.5 * (along / least) ** 2) / (math.sqrt(2.0 * math.pi) * least)
    inside = [math.erf(math.sqrt(limit_rad ** 2 - x ** 2) / (math.sqrt(2.0) * surest))
              for x in along.tolist()]
    return min(1.0, float(density @ np.array(inside)) * width)


def surer(sure: float, before: float, after: float, has_front: bool) -> float:
    """Confidence once the axis, within 10 degrees by ``before``, is so by ``after``.

    What is doubted of the axis shrinks as its own doubt does; what else is doubted stays: of an
    object that has a front, the turn about its axis. It is not believed more than its axis is.
    """
    if after <= before:
        return sure * after / max(before, 1e-9)
    other = (1.0 - OF_THE_AXIS) * (1.0 - sure) if has_front else 0.0
    left = other + (1.0 - sure - other) * (1.0 - after) / max(1.0 - before, 1e-9)
    return max(sure, min(1.0 - left, after, SUREST))


def lean_scale(side: float) -> float:
    """Spread of an axis' lean over that of its tilt: ``LEAN`` from the side, 1 from its end.

    side: sine of the angle between axis and viewing ray.
    """
    return math.sqrt(1.0 - side ** 2 * (1.0 - LEAN ** 2))


def position_covariance(position: np.ndarray, radius_std: float) -> np.ndarray:
    """Covariance (3, 3) of a position (3,), m; radius_std as in ``pose_covariance``."""
    distance = float(np.linalg.norm(position))
    ray = position / max(distance, 1e-9)
    covariance: np.ndarray = ((LATERAL_STD * distance) ** 2 * np.eye(3)
                              + (radius_std * distance) ** 2 * np.outer(ray, ray))
    return covariance


def pose_covariance(T_cam_obj: np.ndarray, axis_std_rad: float, yaw_std_rad: float,
                    radius_std: float) -> np.ndarray:
    """Covariance (6, 6), order x y z (m), rotation about x y z (rad), camera frame.

    axis_std_rad: of the axis' tilt; its lean to the side is told better (``lean_scale``).
    yaw_std_rad: what is unknown of the turn about the axis beside it. radius_std: relative
    uncertainty of the metric scale, which acts along the viewing ray.
    """
    position = T_cam_obj[:3, 3]
    ray = position / max(float(np.linalg.norm(position)), 1e-9)
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = position_covariance(position, radius_std)
    axis = T_cam_obj[:3, 2]
    # A turn about this direction is lean and nothing else; none where the axis is seen end on.
    leans = np.cross(axis, np.cross(ray, axis))
    side = float(np.linalg.norm(leans))
    leans /= max(side, 1e-9)
    lean_std_rad = max(lean_scale(side) * axis_std_rad, AXIS_STD_RAD[0])
    covariance[3:, 3:] = (
        axis_std_rad ** 2 * np.eye(3)
        + (lean_std_rad ** 2 - axis_std_rad ** 2) * np.outer(leans, leans)
        + yaw_std_rad ** 2 * np.outer(axis, axis))
    return covariance
