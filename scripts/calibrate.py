#!/usr/bin/env python3
# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Fit the confidence: how likely a rotation is within 10 degrees, told from the fit alone.

    scripts/env python scripts/calibrate.py data data/backgrounds

Fits instances that training left out, composed into clutter as training does it (a fifth of them
cut off by the picture's edge), with the preset ``cold``; then a logistic regression of right or
wrong on the outline's overlap, the yaw's spread and the refiner's word, and once more without a
refiner. How far axes are off, over that confidence, gives the covariance its spread; where LEAN
or OF_THE_AXIS comes out otherwise than core/belief.py has it, mend it there and run this again.
Prints the numbers that stand there, and how well they hold on halves not used for them.
"""

from __future__ import annotations

from pathlib import Path
import sys

import numpy as np
from scipy.optimize import minimize
import torch

from ros2_nabs_pose.core import belief
from ros2_nabs_pose.core.checkpoint import load_model
from ros2_nabs_pose.core.encoder import bin_centers
from ros2_nabs_pose.core.presets import staged
from ros2_nabs_pose.core.refiner import load_refiner, Refiner
from ros2_nabs_pose.core.rotations import axis_azimuth_from_rotation, geodesic_angle
from ros2_nabs_pose.evaluation.accuracy import CORRECT_DEG
from ros2_nabs_pose.evaluation.crop_fits import fit_crops
from ros2_nabs_pose.evaluation.metrics import expected_calibration_error
from ros2_nabs_pose.resources import find_refiner, models_dir
from ros2_nabs_pose.training.compose import compose, FRONT_SEEN
from ros2_nabs_pose.training.framing import CUT_OFF
from ros2_nabs_pose.training.instances import TrainingViews

BATCHES = 15
SEED = 5
FROM_THE_SIDE = 0.7
"""Sine of the angle between axis and ray from which on lean and tilt are told apart."""


def observe(path: Path, data: Path, backgrounds: Path,
            refiner: Refiner | None) -> list[tuple[float, ...]]:
    """What tells whether the rotation is right, and whether it is, of one category's crops.

    Outline overlap, yaw spread, log odds of the refiner's word where there is one, right or wrong,
    the axis' error towards the camera and to the side, rad, and the sine of its angle to the ray.
    """
    model = load_model(path)
    if refiner is not None and not refiner.knows(model):
        return []
    views = TrainingViews.load(data / path.stem, backgrounds, 'validation')
    free = model.card.symmetry == 'free_z'
    preset = staged('cold')
    torch.manual_seed(SEED)
    rows: list[tuple[float, ...]] = []
    for _ in range(BATCHES):
        _, v = views.batch(4, 4)
        crops = compose(v, views.backgrounds, cut_off=CUT_OFF)
        found = fit_crops(model, crops.image, crops.focal, preset, refiner, crops.valid)
        for i, answer in enumerate(found):
            fitted = answer.fitted
            R, true = fitted.R, answer.turn @ crops.R[i]
            outline = fitted.outline(answer.valid.numpy())
            spread = 0.0
            axis = torch.arccos((R[:, 2] * true[:, 2]).sum().clamp(-1.0, 1.0))
            if free:
                error = axis
            elif crops.front_visible[i] > FRONT_SEEN:
                error = geodesic_angle(R, true)
                probability = torch.softmax(fitted.said.azimuth_logits[fitted.row], 0).numpy()
                spread = belief.yaw_spread(probability, bin_centers(len(probability)).numpy(),
                                           float(axis_azimuth_from_rotation(R)[1]))
            else:
                continue
            right = float(torch.rad2deg(error)) <= CORRECT_DEG
            said_of_it = () if refiner is None else (belief.log_odds(answer.worth),)
            rows.append((outline, spread, *said_of_it, right, *tilt_and_lean(R, true)))
    return rows


def tilt_and_lean(R: torch.Tensor, true: torch.Tensor) -> tuple[float, float, float]:
    """How far the true axis is off towards the camera and to the side, rad, as the answer sees it.

    And the sine of the angle between the answer's axis and the viewing ray.
    """
    axis, off = R[:, 2], true[:, 2] - R[:, 2] * (true[:, 2] @ R[:, 2])
    sideways = torch.linalg.cross(torch.tensor([0.0, 0.0, 1.0]), axis)
    side = sideways.norm().clamp_min(1e-9)
    if off.norm() < 1e-6:  # upside down is upside down in any direction: call it tilted
        off = torch.linalg.cross(sideways, axis) / side
    off = off / off.norm() * torch.arccos((R[:, 2] @ true[:, 2]).clamp(-1.0, 1.0))
    lean = off @ sideways / side
    tilt = off @ torch.linalg.cross(sideways, axis) / side
    return float(tilt.abs()), float(lean.abs()), float(side)


def logistic(features: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Weights (1 + F,) by Newton's method, held a little towards zero."""
    columns = np.c_[np.ones(len(features)), features]
    weights = np.zeros(columns.shape[1])
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-columns @ weights))
        slope = columns.T @ (p - right) + 1e-2 * weights
        bend = (columns * (p * (1.0 - p))[:, None]).T @ columns + 1e-2 * np.eye(len(weights))
        weights -= np.linalg.solve(bend, slope)
    return weights


def spread_over_odds(odds: np.ndarray, axis_rad: np.ndarray) -> np.ndarray:
    """a, b of a spread exp(a + b odds) (rad, of the axis' tilt) that holds for nine in ten.

    Quantile regression of the errors' logarithm: tails are heavy, and a spread by the mean square
    would be the worst ones' alone. Of two dimensions, nine in ten lie within ``NINE_IN_TEN``
    spreads.
    """
    log_error = np.log(np.maximum(axis_rad, 1e-3))

    def cost(line: np.ndarray) -> float:
        above = log_error - line[0] - line[1] * odds
        return float(np.where(above > 0.0, 0.9 * above, -0.1 * above).sum())

    best = minimize(cost, (np.quantile(log_error, 0.9), -0.3), method='Nelder-Mead')
    return best.x - (np.log(belief.NINE_IN_TEN), 0.0)


def report(table: np.ndarray, name: str) -> None:
    """Print what predicts right and the axis' error, the columns of ``observe``, and how it holds.
    """
    features, right = table[:, :-4], table[:, -4]
    tilt, lean, side = table[:, -3:].T
    from_the_side = side > FROM_THE_SIDE
    share = np.quantile(lean[from_the_side], 0.9) / np.quantile(tilt[from_the_side], 0.9)
    print(f'LEAN = {share:.2f}, as {name.lower()}')
    wrong = (right < 0.5) & (table[:, 1] > 0.0)  # the yaw's spread is 0 where there is no front
    print(f'OF_THE_AXIS = {(np.hypot(tilt, lean)[wrong] > belief.RIGHT_RAD).mean():.2f}')
    # As spreads of the tilt: what leans counts by how much better it is told.
    axis = np.hypot(tilt, lean / np.array([belief.lean_scale(s) for s in side]))
    columns = np.c_[np.ones(len(features)), features]
    errors, held, rng = [], [], np.random.default_rng(0)
    for _ in range(20):
        order = rng.permutation(len(table))
        a, b = np.array_split(order, 2)
        weights = logistic(features[a], right[a])
        odds = columns @ weights
        errors.append(expected_calibration_error(1.0 / (1.0 + np.exp(-odds[b])), right[b] > 0.5))
        line = spread_over_odds(odds[a], axis[a])
        held.append((axis[b] <= belief.NINE_IN_TEN * np.exp(line[0] + line[1] * odds[b])).mean())
    weights = logistic(features, right)
    print(f'{name} = {tuple(weights.round(2).tolist())}')
    print(f'calibration error on the other half (mean of 20): {np.mean(errors):.3f}, '
          f'{len(table)} answers')
    line = spread_over_odds(columns @ weights, axis)
    axes = 'AXIS_SPREAD' if name == 'CONFIDENCE' else f'{name}_AXIS_SPREAD'
    print(f'{axes} = {tuple(line.round(2).tolist())}; of the other half {np.mean(held):.2f} of '
          'the axes lie within what it says of nine in ten')


def main() -> int:
    """Measure and print."""
    if len(sys.argv) != 3:
        print('usage: calibrate.py FOLDER_OF_RENDERED_CATEGORIES BACKGROUNDS', file=sys.stderr)
        return 2
    data, backgrounds = map(Path, sys.argv[1:])
    shared = find_refiner(models_dir())
    for refiner in (None,) if shared is None else (load_refiner(shared), None):
        rows = []
        for path in sorted(models_dir().glob('*.safetensors')):
            rows += observe(path, data, backgrounds, refiner)
            print(f'{path.stem}: {len(rows)} answers so far', file=sys.stderr, flush=True)
        report(np.array(rows, dtype=float), 'UNREFINED' if refiner is None else 'CONFIDENCE')
    return 0


if __name__ == '__main__':
    sys.exit(main())
