# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The maths of grasp_side.py: no ROS, numpy alone.

Transforms are (4, 4) arrays; ``T_a_b`` maps points of frame b to frame a. Metres and radians,
quaternions x, y, z, w.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

STRAIGHT_ABOVE = 0.2
"""Sine of the angle below which an axis that points at the robot leaves no side to come from."""


@dataclass(frozen=True)
class Sighting:
    """One pose of one object, in the robot's base frame."""

    name: str
    stamp_s: float
    T_base_obj: np.ndarray
    size_m: np.ndarray
    """Extents (3,) along the object's axes."""
    confidence: float


@dataclass(frozen=True)
class Steady:
    """An object that has held still: the mean pose and how far the poses were from it."""

    name: str
    T_base_obj: np.ndarray
    size_m: np.ndarray
    confidence: float
    spread_m: float
    spread_rad: float


@dataclass(frozen=True)
class PreGrasp:
    """Where the gripper goes before it closes in.

    T_base_gripper: z along the approach, x along the object's axis or towards its front; the
    fingers close along y. opening_m: what lies between the fingers.
    """

    T_base_gripper: np.ndarray
    approach: np.ndarray
    opening_m: float


class SteadyWatch:
    """Waits until the last ``count`` poses of one object agree and are believed in.

    Poses below ``min_confidence``, gaps of more than ``max_gap_s`` and a clock that jumps back
    start the count anew. ``max_spread_m`` and ``max_tilt_rad`` bound the distance of each position,
    and of each axis, from their mean; the turn about the axis is left out, since a mug with a
    hidden handle has none that is sure.
    """

    def __init__(self, count: int, max_spread_m: float, max_tilt_rad: float,
                 min_confidence: float, max_gap_s: float = 1.0) -> None:
        self._limits = max_spread_m, max_tilt_rad
        self._min_confidence = min_confidence
        self._max_gap_s = max_gap_s
        self._count = count
        self._seen: dict[str, deque[Sighting]] = {}

    def add(self, sighting: Sighting) -> Steady | None:
        """The object's mean pose, once it is steady; None before."""
        seen = self._seen.setdefault(sighting.name, deque(maxlen=self._count))
        if seen and not 0.0 <= sighting.stamp_s - seen[-1].stamp_s <= self._max_gap_s:
            seen.clear()
        if sighting.confidence < self._min_confidence:
            seen.clear()
            return None
        seen.append(sighting)
        if len(seen) < self._count:
            return None
        poses = [s.T_base_obj for s in seen]
        mean = mean_transform(poses)
        spread_m = max(float(np.linalg.norm(T[:3, 3] - mean[:3, 3])) for T in poses)
        tilt_rad = max(angle_between(T[:3, 2], mean[:3, 2]) for T in poses)
        if spread_m > self._limits[0] or tilt_rad > self._limits[1]:
            return None
        return Steady(sighting.name, mean, np.mean([s.size_m for s in seen], axis=0),
                      float(np.mean([s.confidence for s in seen])), spread_m, tilt_rad)


def pre_grasp(T_base_obj: np.ndarray, size_m: np.ndarray, approach: str,
              standoff_m: float) -> PreGrasp:
    """The gripper's pose ``standoff_m`` before it touches the bounding box.

    approach: 'side' comes from where the robot stands, across the object's axis; 'top' along the
    axis, from its end that is farther up. An axis that points at the robot has no side: ValueError.
    """
    position, axis = T_base_obj[:3, 3], T_base_obj[:3, 2]
    if approach == 'top':
        direction = -axis if axis[2] >= 0.0 else axis
        across = T_base_obj[:3, 0]
        reach, opening = 0.5 * size_m[2], size_m[1]
    elif approach == 'side':
        across = axis if axis[2] >= 0.0 else -axis
        outwards = position - across * float(position @ across)
        if np.linalg.norm(outwards) < STRAIGHT_ABOVE * np.linalg.norm(position):
            raise ValueError('the axis points at the robot: there is no side to come from')
        direction = outwards / np.linalg.norm(outwards)
        # The body is as wide as y; x may hold a handle.
        reach, opening = 0.5 * size_m[1], size_m[1]
    else:
        raise ValueError(f"approach is {approach!r}: choose 'side' or 'top'")
    T_base_gripper = np.eye(4)
    T_base_gripper[:3, :3] = np.column_stack((across, np.cross(direction, across), direction))
    T_base_gripper[:3, 3] = position - (reach + standoff_m) * direction
    return PreGrasp(T_base_gripper, direction, float(opening))


def mean_transform(transforms: Sequence[np.ndarray]) -> np.ndarray:
    """Mean position, and the rotation nearest to all in the least-squares (chordal) sense."""
    stacked = np.stack(transforms)
    U, _, Vt = np.linalg.svd(stacked[:, :3, :3].sum(axis=0))
    mean = np.eye(4)
    mean[:3, :3] = U @ np.diag((1.0, 1.0, np.linalg.det(U @ Vt))) @ Vt
    mean[:3, 3] = stacked[:, :3, 3].mean(axis=0)
    return mean


def angle_between(a: np.ndarray, b: np.ndarray) -> float:
    """Angle of two unit vectors, rad; exact for small ones, unlike the arc cosine."""
    return float(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b))


def transform_of(position: Sequence[float], quaternion: Sequence[float]) -> np.ndarray:
    """(4, 4) of a position and a quaternion x, y, z, w."""
    x, y, z, w = np.asarray(quaternion, float) / np.linalg.norm(quaternion)
    T = np.eye(4)
    T[:3, :3] = [[1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                 [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                 [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]]
    T[:3, 3] = position
    return T


def quaternion_of(T: np.ndarray) -> np.ndarray:
    """Quaternion x, y, z, w of a transform's rotation, w not negative."""
    R = T[:3, :3]
    # The eigenvector of the largest eigenvalue of Bar-Itzhack's matrix: sound for every angle.
    K = np.array([
        [R[0, 0] - R[1, 1] - R[2, 2], R[0, 1] + R[1, 0], R[0, 2] + R[2, 0], R[2, 1] - R[1, 2]],
        [R[0, 1] + R[1, 0], R[1, 1] - R[0, 0] - R[2, 2], R[1, 2] + R[2, 1], R[0, 2] - R[2, 0]],
        [R[0, 2] + R[2, 0], R[1, 2] + R[2, 1], R[2, 2] - R[0, 0] - R[1, 1], R[1, 0] - R[0, 1]],
        [R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1], np.trace(R)]])
    quaternion = np.linalg.eigh(K)[1][:, -1]
    return quaternion if quaternion[3] >= 0.0 else -quaternion
