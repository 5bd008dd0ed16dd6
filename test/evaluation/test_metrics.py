# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Metrics: values known by hand."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ros2_nabs_pose.evaluation import metrics


def pose(rotvec_deg=(0, 0, 0), t=(0, 0, 1)):
    T = np.eye(4)
    T[:3, :3] = Rotation.from_rotvec(rotvec_deg, degrees=True).as_matrix()
    T[:3, 3] = t
    return T


def test_rotation_error_counts_the_spin_only_where_it_can_be_seen():
    true = pose((100, 0, 0))
    spun = true @ pose((0, 0, 70), (0, 0, 0))
    assert metrics.rotation_error_deg(spun, true, free_z=False) == pytest.approx(70)
    assert metrics.rotation_error_deg(spun, true, free_z=True) == pytest.approx(0, abs=1e-6)
    tilted = spun @ pose((5, 0, 0), (0, 0, 0))
    assert metrics.rotation_error_deg(tilted, true, free_z=True) == pytest.approx(5)
    assert metrics.axis_error_deg(tilted, true) == pytest.approx(5)


@pytest.mark.parametrize('angle', [1e-7, 0.5, 90, 179.9999])
def test_rotation_error_is_exact_at_both_ends(angle):
    assert metrics.rotation_error_deg(pose((0, angle, 0)), pose(), False) == pytest.approx(
        angle, rel=1e-6)


def test_translation_errors():
    assert metrics.translation_error_m(pose(t=(0.3, 0, 2.4)), pose(t=(0, 0, 2))) == pytest.approx(
        0.5)
    assert metrics.translation_error_relative(
        pose(t=(0.3, 0, 2.4)), pose(t=(0, 0, 2))) == pytest.approx(0.25)


def test_mask_iou():
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert metrics.mask_iou(a, b) == 1.0
    a[:2], b[1:3] = True, True
    assert metrics.mask_iou(a, b) == pytest.approx(4 / 12)


def test_calibration_error_is_the_gap_between_said_and_done():
    said = np.array([0.95, 0.95, 0.95, 0.95, 0.15, 0.15])
    right = np.array([True, True, True, False, False, False])
    # Said 0.95, right 0.75 (of 4); said 0.15, right 0 (of 2).
    assert metrics.expected_calibration_error(said, right) == pytest.approx(
        4 / 6 * 0.2 + 2 / 6 * 0.15)
    assert metrics.expected_calibration_error(np.array([1.0]), np.array([True])) == 0.0


def test_image_angle_is_clockwise_as_seen():
    right, down = np.array([1.0, 0.0]), np.array([0.0, 2.0])
    assert metrics.signed_image_angle_deg(down, right) == pytest.approx(90)
    assert metrics.signed_image_angle_deg(right, down) == pytest.approx(-90)


def test_reference_points_of_a_mug_and_their_angle():
    points = metrics.reference_points(np.array([0.12, 0.08, 0.1]), np.array([0.08, 0, 0]))
    np.testing.assert_allclose(points, [[0, 0, 0.05], [0, 0, -0.05], [0.08, 0, 0]])
    true = np.array([[100, 50], [100, 150], [160, 100]])
    turned = np.array([[100, 50], [100, 150], [100, 160]])
    assert metrics.front_angle_deg(turned, true) == pytest.approx(90)
