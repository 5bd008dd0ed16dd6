# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Intrinsics from CameraInfo, projection against OpenCV's, and the way back."""

import cv2
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from ros2_nabs_pose.core import camera
from ros2_nabs_pose.core.types import Intrinsics, PoseError

K = [600.0, 0.0, 320.0, 0.0, 610.0, 240.0, 0.0, 0.0, 1.0]
PLUMB_BOB = (0.14405, -0.46132, 0.001, -0.002, 0.05)
RATIONAL = (0.5, -0.2, 0.0005, -0.0003, 0.02, 0.8, -0.1, 0.01)


def lens(distortion=()):
    return Intrinsics(600.0, 610.0, 320.0, 240.0, 640, 480, tuple(distortion))


def test_full_sensor_is_taken_as_it_is():
    got = camera.from_camera_info_values(K, 640, 480, PLUMB_BOB)
    assert got == Intrinsics(600.0, 610.0, 320.0, 240.0, 640, 480, PLUMB_BOB)


def test_region_of_interest_is_subtracted_and_binning_divides():
    got = camera.from_camera_info_values(K, 640, 480, roi=(100, 40, 400, 300), binning=(2, 4))
    assert (got.fx, got.fy, got.cx, got.cy) == (300.0, 152.5, 110.0, 50.0)
    assert (got.width, got.height) == (200, 75)


def test_rectified_image_has_no_distortion_and_may_come_with_p():
    P = [500.0, 0.0, 310.0, -50.0, 0.0, 500.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    got = camera.from_camera_info_values(P, 640, 480, (0.1,) * 4, rectified=True,
                                         distortion_model='equidistant')
    assert got == Intrinsics(500.0, 500.0, 310.0, 230.0, 640, 480)


@pytest.mark.parametrize('changes, words', [
    ({'K': [0.0] * 9}, 'uncalibrated'),
    ({'K': [float('nan')] * 9}, 'finite'),
    ({'K': K[:4]}, '9 finite numbers'),
    ({'K': [1.2, 0, 0.5, 0, 1.2, 0.5, 0, 0, 1]}, 'in pixels'),
    ({'width': 0}, '0 x 480'),
    ({'roi': (600, 0, 100, 480)}, 'leaves'),
    ({'distortion': (0.1,) * 4, 'distortion_model': 'equidistant'}, 'rectified'),
    ({'distortion': (0.1, float('inf'), 0, 0, 0)}, 'not finite'),
    ({'distortion': (0.1, 0.1)}, '2 distortion coefficients'),
])
def test_camera_info_without_a_calibration_is_refused_in_one_sentence(changes, words):
    arguments = {'K': K, 'width': 640, 'height': 480} | changes
    with pytest.raises(PoseError, match=words) as error:
        camera.from_camera_info_values(**arguments)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('distortion', [(), PLUMB_BOB[:4], PLUMB_BOB, RATIONAL])
def test_projection_agrees_with_opencv(distortion):
    points = np.random.default_rng(0).uniform((-0.5, -0.4, 1.0), (0.5, 0.4, 1.2), (50, 3))
    intrinsics = lens(distortion)
    expected = cv2.projectPoints(points, np.zeros(3), np.zeros(3), intrinsics.matrix,
                                 np.array(distortion))[0][:, 0]
    np.testing.assert_allclose(camera.project(intrinsics, points), expected, atol=1e-9)


@given(st.floats(-0.5, 639.5), st.floats(-0.5, 479.5),
       st.sampled_from([(), PLUMB_BOB, RATIONAL, (-0.3, 0.1, 0.0, 0.0, 0.0)]))
@settings(max_examples=80, deadline=None)
def test_unproject_inverts_project(u, v, distortion):
    intrinsics = lens(distortion)
    ray = camera.unproject_directions(intrinsics, np.array([[u, v]]))
    assert np.linalg.norm(ray) == pytest.approx(1.0)
    np.testing.assert_allclose(camera.project(intrinsics, 2.5 * ray), [[u, v]], atol=1e-6)


def test_nothing_is_seen_behind_the_camera_or_past_the_fold_of_the_lens():
    # This lens' polynomial turns back at tan = 0.87: without a stop, 1.4 would land at tan 0.26.
    intrinsics = lens((0.14405, -0.46132, 0.0, 0.0, 0.0))
    px = camera.project(intrinsics, np.array([[0.0, 0, -1], [1.4, 0, 1], [0.5, 0, 1]]))
    assert np.isnan(px[:2]).all()
    assert px[2, 0] == pytest.approx(320 + 600 * 0.5 * (1 + 0.14405 / 4 - 0.46132 / 16))
    beyond = camera.unproject_directions(intrinsics, np.array([[5000.0, 240.0]]))[0]
    assert beyond[0] / beyond[2] == pytest.approx(0.87, abs=0.01)


def test_resizing_keeps_rays():
    full = lens(PLUMB_BOB)
    half = camera.scaled_to(full, 320, 240)
    # The corner of the image is the corner of the resized one.
    np.testing.assert_allclose(
        camera.unproject_directions(half, np.array([[-0.5, -0.5], [319.5, 239.5]])),
        camera.unproject_directions(full, np.array([[-0.5, -0.5], [639.5, 479.5]])), atol=1e-9)
    with pytest.raises(PoseError, match='another shape'):
        camera.scaled_to(full, 640, 360)


def test_guess_is_about_a_phone():
    guess = camera.guess_intrinsics(480, 640)
    assert (guess.fx, guess.fy, guess.cx, guess.cy) == (768.0, 768.0, 239.5, 319.5)


def test_turn_without_roll():
    direction = np.array([0.6, 0.0, 0.8])
    R = camera.rotation_z_to(direction)
    np.testing.assert_allclose(R @ [0, 0, 1], direction, atol=1e-12)
    np.testing.assert_allclose(R @ [0, 1, 0], [0, 1, 0], atol=1e-12)  # the turn's own axis stays
    np.testing.assert_allclose(R.T @ R, np.eye(3), atol=1e-12)
