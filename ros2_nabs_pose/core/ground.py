# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Objects that stand on one ground are as far away as it lets them be: metric scale from contact.

One picture does not tell a small mug that is near from a large one that is far; the category's
usual size is a guess. But each guess puts the ground at some depth below the camera, and it is one
ground: where several objects stand on it, what their sizes say is put together, and one whose size
or depth is known tells all. Where the camera's height over the ground is known, it tells by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math

import numpy as np

from .belief import LATERAL_STD, position_covariance
from .standing import by_evidence, projections_across, UP_STD_RAD
from .types import Ground, PoseEstimate, SCALE_CATEGORY_MEAN, SCALE_GROUND

STANDS = 0.5
"""``PoseEstimate.standing`` from which on an object is taken to touch the ground."""
ON_IT = 0.9
"""Share of standing objects that stand on the others' ground, not on a shelf or a pile of books."""
ON_THE_KNOWN = 0.95
"""The same for a ground that is known, which is told to be the one that they stand on."""
ELSEWHERE = 0.5
"""Density of the log height of the ground of one that stands elsewhere."""
TILT_STD_RAD = math.radians(1.5)
"""How well standing objects tell the ground's tilt at best; it weighs the more the flatter it is
seen."""
LEAST_SLOPE = 0.05
"""Sine of the angle to the ground below which its height tells nothing."""
ROUNDS = 8


@dataclass(frozen=True)
class _Footing:
    """Where standing objects put the ground; log of the camera's height (m) over it, each (N,).

    size_std: by what is unknown of the object's size. view_std: by the ground's own tilt.
    guessed: whether the size is a guess.
    """

    log_height: np.ndarray
    size_std: np.ndarray
    view_std: np.ndarray
    guessed: np.ndarray


def on_one_ground(estimates: Sequence[PoseEstimate],
                  ground: Ground | None = None) -> tuple[PoseEstimate, ...]:
    """The estimates of one frame, guessed sizes mended by the ground that they stand on.

    Of those that stand (``standing.stood_up``, which goes before); the others stay as they are.
    An object whose guess is mended moves along its viewing ray and grows as it moves away, so that
    it looks as before; one that may as well stand elsewhere moves by the share of belief that is
    left. What is held upright or stands on something looks like a larger one on the ground: where
    sizes differ as much it is taken for that, and the spread does not cover it. ``scale_source``
    becomes 'ground' where the height over it, or the size or depth of another object on it, is
    known.
    """
    estimates = tuple(estimates)
    standing = [i for i, e in enumerate(estimates) if e.standing > STANDS]
    known_m = None if ground is None else ground.height_m
    if len(standing) + (known_m is not None) < 2:
        return estimates
    some = [estimates[i] for i in standing]
    up = _up(some) if ground is None else ground.up / np.linalg.norm(ground.up)
    footing, level = _footing(some, up, known_up=ground is not None)
    standing = [i for i, seen in zip(standing, level, strict=True) if seen]
    if not standing:
        return estimates
    if known_m is not None:
        count = len(standing)
        expected, spread, on_it = np.full(count, math.log(known_m)), np.zeros(count), np.ones(count)
        measured = np.ones(count, dtype=bool)
    else:
        expected, spread, on_it, measured = _of_others(footing)
    likely, _ = _on_it(footing.log_height - expected,
                       np.sqrt(footing.size_std ** 2 + footing.view_std ** 2 + spread ** 2),
                       ON_IT if known_m is None else ON_THE_KNOWN)
    share = on_it * likely
    told_std = np.sqrt(footing.view_std ** 2 + spread ** 2)
    weight = footing.size_std ** 2 / (footing.size_std ** 2 + told_std ** 2)
    apart = weight * (expected - footing.log_height)
    left_std = np.sqrt(footing.size_std ** 2 * (1.0 - share * weight)
                       + share * (1.0 - share) * apart ** 2)
    told = list(estimates)
    for k, i in enumerate(standing):
        if footing.guessed[k]:
            source = SCALE_GROUND if measured[k] and share[k] > 0.5 else SCALE_CATEGORY_MEAN
            told[i] = _scaled(estimates[i], math.exp(share[k] * apart[k]), float(left_std[k]),
                              source)
    return tuple(told)


def _up(estimates: Sequence[PoseEstimate]) -> np.ndarray:
    """(3,) what standing objects say is up."""
    up: np.ndarray = np.sum([e.standing * e.T_cam_obj[:3, 2] for e in estimates], 0)
    return up / np.linalg.norm(up)


def foot_of(T_cam_obj: np.ndarray, box_center_m: np.ndarray, size_m: np.ndarray) -> np.ndarray:
    """(3,) the middle of the bottom of an object's box (3,), (3,), in the camera frame, metres."""
    foot: np.ndarray = T_cam_obj[:3, 3] + T_cam_obj[:3, :3] @ (
        box_center_m - np.array([0.0, 0.0, 0.5 * size_m[2]]))
    return foot


def _footing(estimates: Sequence[PoseEstimate], up: np.ndarray,
             known_up: bool) -> tuple[_Footing, np.ndarray]:
    """Where objects put the ground, of those that see it from above, and which ones do (N,).

    known_up: else it is the objects that tell the ground's tilt, no better than the surest of them.
    """
    rows, level = [], []
    axes = np.stack([e.T_cam_obj[:3, 2] for e in estimates])
    across = projections_across(axes)  # turns about them do not matter
    turns = across @ np.stack([e.covariance[3:, 3:] for e in estimates]) @ across
    for estimate in estimates:
        position = estimate.T_cam_obj[:3, 3]
        foot = foot_of(estimate.T_cam_obj, estimate.box_center_m, estimate.size_m)
        height, far = float(-up @ foot), float(np.linalg.norm(foot))
        slope = height / far
        level.append(slope > LEAST_SLOPE)
        if level[-1]:
            distance = float(np.linalg.norm(position))
            ray = position / distance
            tilts = np.cross(up, foot)
            tilts /= max(float(np.linalg.norm(tilts)), 1e-9)
            told = math.sqrt(float(np.einsum('i,nij,j->n', tilts, turns, tilts).min()))
            tilt_std = UP_STD_RAD if known_up else max(told, TILT_STD_RAD)
            variance = float(ray @ estimate.covariance[:3, :3] @ ray) / distance ** 2
            rows.append((math.log(height), math.sqrt(max(variance - LATERAL_STD ** 2, 1e-6)),
                         tilt_std * math.sqrt(1.0 - slope ** 2) / slope,
                         estimate.scale_source == SCALE_CATEGORY_MEAN))
    columns = np.array(rows, float).reshape(-1, 4).T
    log_height, size_std, view_std, guessed = columns
    return _Footing(log_height, size_std, view_std, guessed > 0.5), np.array(level, bool)


def _of_others(footing: _Footing) -> tuple[np.ndarray, ...]:
    """What the others of each say of the log height: mean, spread, how likely any of them stands on
    the ground that most agree on, and whether a measured one does; each (N,).
    """
    heights = footing.log_height
    variance = footing.size_std ** 2 + footing.view_std ** 2
    guesses = heights.copy()
    for _ in range(ROUNDS):
        likely, density = _on_it(guesses[:, None] - heights, np.sqrt(variance))
        votes = likely / variance
        guesses = (votes * heights).sum(1) / votes.sum(1)
    others = np.where(np.eye(len(heights), dtype=bool), 0.0, by_evidence(likely, density))
    votes = others / variance
    total = np.maximum(votes.sum(1), 1e-9)
    return ((votes * heights).sum(1) / total, 1.0 / np.sqrt(total), 1.0 - (1.0 - others).prod(1),
            (others * ~footing.guessed > 0.5).any(1))


def _on_it(apart: np.ndarray, std: np.ndarray,
           prior: float = ON_IT) -> tuple[np.ndarray, np.ndarray]:
    """Probability that log heights so far from the common one are of the same ground, and density.
    """
    on_it = prior * np.exp(-0.5 * (apart / std) ** 2) / (math.sqrt(2.0 * math.pi) * std)
    density = on_it + (1.0 - prior) * ELSEWHERE
    return on_it / density, density


def _scaled(estimate: PoseEstimate, factor: float, scale_std: float, source: str) -> PoseEstimate:
    """The estimate as much larger and farther away, its scale known to ``scale_std``."""
    T_cam_obj, covariance = estimate.T_cam_obj.copy(), estimate.covariance.copy()
    T_cam_obj[:3, 3] *= factor
    covariance[:3, :3] = position_covariance(T_cam_obj[:3, 3], scale_std)
    return replace(estimate, T_cam_obj=T_cam_obj, covariance=covariance,
                   size_m=factor * estimate.size_m, box_center_m=factor * estimate.box_center_m,
                   radius_m=factor * estimate.radius_m, scale_source=source)
