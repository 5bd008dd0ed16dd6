# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Objects that stand on one ground share their up: what all axes of a frame say, told to each.

How far an axis is tilted towards the camera is what one picture tells worst. Where several objects
agree on an up, or where the camera's own up is known, each axis is drawn towards it, the doubtful
ones most. What lies does not agree, and stays as it was seen; what leans, the more the farther it
leans in comparison with its own spread: some 20 degrees of an axis that is known to 8 pass for a
misread one that stands.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
import math

import numpy as np

from .belief import axis_within, surer
from .types import PoseEstimate

STANDING, LEANING, ANYHOW = 0.8, 0.15, 0.05
"""Shares of objects that stand on the ground of the others, that lean or are held, and the rest."""
LEAN_STD_RAD = math.radians(25.0)
"""How far those that lean or are held do so."""
SHARED_STD_RAD = math.radians(2.0)
"""Of what several axes say together: their tilts are misread alike to that extent."""
USUAL_UP, NOT_UP_RAD = np.array([0.0, -math.sqrt(0.5), -math.sqrt(0.5)]), math.radians(75.0)
"""A camera that is held somehow upright and looks level or down has its up within that angle of
this direction; axes beyond it, such as those of bottles that lie across the picture, tell none."""
ROUGH_RAD = math.radians(1.0)
"""How far the axes of things that stand on one ground are apart."""
UP_STD_RAD = math.radians(1.0)
"""How well the camera's own up is known where it is given."""
ROUNDS = 8
"""The common axis is settled after three or four."""


@dataclass(frozen=True)
class Standing:
    """Axes (N, 3) told together, their turns' covariances (N, 3, 3), and share (N,) in [0, 1]:
    how likely each stands, and something that tells the up does.
    """

    axes: np.ndarray
    turns: np.ndarray
    share: np.ndarray


def told_together(axes: np.ndarray, turns: np.ndarray, up: np.ndarray | None = None) -> Standing:
    """What N axes say together.

    axes: (N, 3) unit vectors, each object's up, in one frame. turns: (N, 3, 3) covariance of the
    rotation (rad) of each object; what it says of turns about the axis itself does not matter and
    stays. up: (3,) unit vector, the direction that is known to be up, if any. The axis that is told
    is the mean of two answers, that it stands and that it does not, and its spread that of both.
    """
    seen = _across(axes, turns)
    votes = np.linalg.inv(seen + ROUGH_RAD ** 2 * np.eye(3))
    known = np.zeros((3, 3)) if up is None else np.eye(3) / UP_STD_RAD ** 2
    known_vector = np.zeros(3) if up is None else known @ up

    weights = _agreement(axes, seen, votes, up)
    counted = weights[:, None, None] * votes
    of_others = known + counted.sum(0) - counted
    toward = known_vector + np.einsum('nij,nj->i', counted, axes) - np.einsum(
        'nij,nj->ni', counted, axes)
    # Without others nothing is expected: a spread as wide as the sphere.
    mean_spread = np.linalg.inv(of_others + np.eye(3))
    expected = _unit(np.einsum('nij,nj->ni', mean_spread, toward), axes)
    alike = ROUGH_RAD ** 2 + (SHARED_STD_RAD ** 2 if up is None else 0.0)
    expected_spread = mean_spread + alike * np.eye(3)
    share = _upright(axes - expected, seen + expected_spread, axes)[0]
    if up is None:
        share = share * (1.0 - _products_of_others(1.0 - weights))

    said, prior = np.linalg.inv(seen), np.linalg.inv(expected_spread)
    spread = np.linalg.inv(said + prior)
    joint = _unit(np.einsum('nij,nj->ni', spread, np.einsum('nij,nj->ni', said, axes)
                            + np.einsum('nij,nj->ni', prior, expected)), axes)
    told = _unit(axes + share[:, None] * (joint - axes), axes)
    yaw = np.einsum('ni,nij,nj->n', axes, turns, axes)
    between = np.cross(axes, joint)
    between -= np.einsum('ni,ni->n', between, told)[:, None] * told
    doubt = (share * (1.0 - share))[:, None, None] * between[:, :, None] * between[:, None, :]
    across = projections_across(told)
    of_axis = across @ ((1.0 - share)[:, None, None] * _turned_across(axes, seen)
                        + share[:, None, None] * _turned_across(joint, spread)) @ across + doubt
    return Standing(told, of_axis + yaw[:, None, None] * told[:, :, None] * told[:, None, :],
                    share)


def stood_up(estimates: Sequence[PoseEstimate], up: np.ndarray | None = None,
             spinning: Collection[str] = ()) -> tuple[PoseEstimate, ...]:
    """The estimates of one frame, their axes told together (``told_together``).

    up: (3,) direction in the camera frame that is known to be up, of any length, or None. Each
    pose is turned about its own origin by the smallest rotation, and its covariance with it;
    ``standing`` says how likely the object stands with the others, and the confidence how likely
    the new rotation is right. spinning: categories whose turn about the axis does not count. One
    estimate alone, without a known up, stays as it is, and so do axes that can hardly be up in any
    picture (``USUAL_UP``).
    """
    stood = list(estimates)
    some = [i for i, e in enumerate(estimates) if _can_stand(e, up)]
    if len(some) + (up is not None) < 2 or not some:
        return tuple(stood)
    axes = np.stack([estimates[i].T_cam_obj[:3, 2] for i in some])
    told = told_together(axes, np.stack([estimates[i].covariance[3:, 3:] for i in some]),
                         None if up is None else up / np.linalg.norm(up))
    for k, i in enumerate(some):
        T_cam_obj, covariance = estimates[i].T_cam_obj.copy(), estimates[i].covariance.copy()
        before, after = (axis_within(axis, turns) for axis, turns in (
            (axes[k], covariance[3:, 3:]), (told.axes[k], told.turns[k])))
        T_cam_obj[:3, :3] = shortest_turn(axes[k], told.axes[k]) @ T_cam_obj[:3, :3]
        covariance[3:, 3:] = told.turns[k]
        stood[i] = replace(
            estimates[i], T_cam_obj=T_cam_obj, covariance=covariance,
            standing=float(told.share[k]),
            confidence=surer(estimates[i].confidence, before, after,
                             estimates[i].category not in spinning))
    return tuple(stood)


def _can_stand(estimate: PoseEstimate, up: np.ndarray | None) -> bool:
    """Whether an estimate's axis may tell, or be told, what is up; none that is not finite."""
    if not (np.isfinite(estimate.T_cam_obj).all() and np.isfinite(estimate.covariance).all()):
        return False
    return up is not None or bool(
        estimate.T_cam_obj[:3, 2] @ USUAL_UP > math.cos(NOT_UP_RAD))


def shortest_turn(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(3, 3) the smallest rotation between two unit vectors (3,); of opposite ones, some half turn.
    """
    across, along = np.cross(source, target), float(source @ target)
    if along < -1.0 + 1e-9:
        about = np.cross(source, np.eye(3)[np.abs(source).argmin()])
        about /= np.linalg.norm(about)
        return 2.0 * np.outer(about, about) - np.eye(3)
    cross = _skew(across)
    turn: np.ndarray = np.eye(3) + cross + cross @ cross / (1.0 + along)
    return turn


def projections_across(axes: np.ndarray) -> np.ndarray:
    """(N, 3, 3) matrices that take away what lies along unit vectors (N, 3)."""
    projections: np.ndarray = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    return projections


def _skew(vectors: np.ndarray) -> np.ndarray:
    """(..., 3, 3) matrices that take the cross product from the left with vectors (..., 3)."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    zero = np.zeros_like(x)
    return np.stack((zero, -z, y, z, zero, -x, -y, x, zero), -1).reshape(*x.shape, 3, 3)


def _across(axes: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """(N, 3, 3) spread of axes whose objects' turns have covariances ``turns``.

    A unit vector has none along itself; the mean of the other two stands there, which keeps the
    matrix regular and changes nothing across.
    """
    spread = _turned_across(axes, turns)
    along = 0.5 * np.trace(spread, axis1=1, axis2=2)
    return spread + along[:, None, None] * axes[:, :, None] * axes[:, None, :]


def _turned_across(axes: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """(N, 3, 3) covariance of the turns across axes (N, 3) that spread (N, 3, 3) so far.

    And the other way round, how far axes spread whose turns have a covariance.
    """
    cross = _skew(axes)
    return cross @ spread @ cross.transpose(0, 2, 1)


def _unit(vectors: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) at length 1; ``otherwise`` where they have next to none."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(length > 1e-9, vectors / np.maximum(length, 1e-9), otherwise)


def _products_of_others(factors: np.ndarray) -> np.ndarray:
    """(N,) for each the product of the others of ``factors`` (N,)."""
    others = np.where(np.eye(len(factors), dtype=bool), 1.0, factors)
    product: np.ndarray = others.prod(1)
    return product


def _upright(apart: np.ndarray, spread: np.ndarray,
             axes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probability that axes so far from the common one (..., 3) stand, and their density (...,).

    Else they lean about it, or point anywhere. spread: (..., 3, 3) of that difference, regular.
    """
    stands = STANDING * _density(apart, spread, axes)
    leans = LEANING * _density(apart, spread + LEAN_STD_RAD ** 2 * np.eye(3), axes)
    density = stands + leans + ANYHOW / (4.0 * math.pi)
    return stands / density, density


def _density(apart: np.ndarray, spread: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Normal density (...,), 1 / sr, of differences (..., 3) across axes (..., 3)."""
    far = np.einsum('...i,...ij,...j->...', apart, np.linalg.inv(spread), apart)
    along = np.einsum('...i,...ij,...j->...', axes, spread, axes)
    area = 2.0 * math.pi * np.sqrt(np.linalg.det(spread) / along)
    density: np.ndarray = np.exp(-0.5 * far) / area
    return density


def _agreement(axes: np.ndarray, seen: np.ndarray, votes: np.ndarray,
               up: np.ndarray | None) -> np.ndarray:
    """(N,) how far each axis belongs to the up that most of them agree on, or to the known one.

    Expectation and maximisation from every axis as a first guess, all at once; guesses count by how
    likely they make what is seen, so that of two that are as good neither wins by chance.
    """
    guess = axes if up is None else up[None]
    spread = seen + ROUGH_RAD ** 2 * np.eye(3)
    weights = np.zeros((len(guess), len(axes)))
    for _ in range(ROUNDS):
        weights, density = _upright(guess[:, None] - axes, spread, axes)
        if up is not None:
            break
        counted = weights[:, :, None, None] * votes
        guess = _unit(np.linalg.solve(
            counted.sum(1), np.einsum('gnij,nj->gi', counted, axes)[..., None])[..., 0], guess)
    return by_evidence(weights, density)


def by_evidence(weights: np.ndarray, density: np.ndarray) -> np.ndarray:
    """(N,) mean of the weights (G, N) of several guesses by the density (G, N) that they give."""
    evidence = np.log(density).sum(1)
    counts = np.exp(evidence - evidence.max())
    mean: np.ndarray = counts @ weights / counts.sum()
    return mean
