# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Pose errors as pure functions of numbers; angles in degrees, for people read them.

Poses are T_cam_obj (4, 4), object to camera, metres; the object's z axis is its symmetry axis.
"""

from __future__ import annotations

import math

import numpy as np


def _angle_deg(a: np.ndarray, b: np.ndarray) -> float:
    """Angle in [0, 180] between two vectors, exact for tiny ones too."""
    return math.degrees(math.atan2(float(np.linalg.norm(np.cross(a, b))), float(a @ b)))


def axis_error_deg(T_estimated: np.ndarray, T_true: np.ndarray) -> float:
    """Angle between the two z axes."""
    return _angle_deg(T_estimated[:3, 2], T_true[:3, 2])


def rotation_error_deg(T_estimated: np.ndarray, T_true: np.ndarray, free_z: bool) -> float:
    """Angle of the rotation between two poses.

    free_z: a spin about z cannot be seen (bottle, bowl, can; a mug with its handle hidden). Then
    it is the smallest angle over all spins, which is the angle between the z axes.
    """
    if free_z:
        return axis_error_deg(T_estimated, T_true)
    D = T_estimated[:3, :3].T @ T_true[:3, :3]
    twice_sine = math.hypot(D[2, 1] - D[1, 2], D[0, 2] - D[2, 0], D[1, 0] - D[0, 1])
    return math.degrees(math.atan2(twice_sine, float(np.trace(D)) - 1.0))


def translation_error_m(T_estimated: np.ndarray, T_true: np.ndarray) -> float:
    """Distance between the two origins, metres."""
    return float(np.linalg.norm(T_estimated[:3, 3] - T_true[:3, 3]))


def translation_error_relative(T_estimated: np.ndarray, T_true: np.ndarray) -> float:
    """Distance between the two origins in units of the true one's distance from the camera."""
    return translation_error_m(T_estimated, T_true) / float(np.linalg.norm(T_true[:3, 3]))


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boolean masks of one shape; 1 if both are empty."""
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def reliability(confidence: np.ndarray, correct: np.ndarray,
                bins: int = 10) -> list[dict[str, float]]:
    """Equally wide bins of confidence that hold answers: n, mean confidence, share correct.

    confidence: (N,) in [0, 1]. correct: (N,) bool.
    """
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    return [{'n': int(np.count_nonzero(which == b)),
             'confidence': float(confidence[which == b].mean()),
             'correct': float(correct[which == b].mean())} for b in np.unique(which)]


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray,
                               bins: int = 10) -> float:
    """Mean gap between stated confidence and the share of correct answers (ECE, Guo et al. 2017).

    confidence: (N,) in [0, 1], N > 0. correct: (N,) bool. Bins are equally wide, weighted by how
    many answers they hold.
    """
    return sum(b['n'] * abs(b['confidence'] - b['correct'])
               for b in reliability(confidence, correct, bins)) / len(confidence)


def signed_image_angle_deg(estimated: np.ndarray, true: np.ndarray) -> float:
    """Angle in (-180, 180] from a true to an estimated direction (2,) in the image.

    Positive is clockwise as seen, from x towards y, which points down.
    """
    cross = true[0] * estimated[1] - true[1] * estimated[0]
    return math.degrees(math.atan2(float(cross), float(true @ estimated)))


def reference_points(size_m: np.ndarray, front_m: np.ndarray) -> np.ndarray:
    """Object-frame points top, bottom and front (3, 3), as evaluation sets annotate them.

    Top and bottom lie on the axis at the ends of the box (size_m, (3,)); front_m: (3,) the
    outermost point of the front part (mug: the middle of the handle's outer edge).
    """
    top = np.array([0.0, 0.0, 0.5 * size_m[2]])
    return np.stack([top, -top, front_m])


def front_angle_deg(estimated_px: np.ndarray, true_px: np.ndarray) -> float:
    """Signed angle in the image between estimated and annotated direction of the front.

    Both are the pixels (3, 2) of top, bottom and front; the direction goes from half way up the
    axis to the front.
    """
    directions = [px[2] - 0.5 * (px[0] + px[1]) for px in (estimated_px, true_px)]
    return signed_image_angle_deg(directions[0], directions[1])
