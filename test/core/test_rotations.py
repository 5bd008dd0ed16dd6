# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Rotations: round trips, values known by hand, and gradients at the awkward places."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
import torch

from ros2_nabs_pose.core import quaternions, rotations

COMPONENT = st.floats(-1.0, 1.0)
ANGLE = st.floats(-math.pi, math.pi)


@st.composite
def rotation_vectors(draw, max_angle=math.pi):
    """Rotation vectors of every length up to ``max_angle``, short ones included."""
    direction = np.array([draw(COMPONENT) for _ in range(3)])
    norm = np.linalg.norm(direction)
    direction = direction / norm if norm > 1e-3 else np.array([0.0, 0.0, 1.0])
    angle = draw(st.one_of(st.floats(0.0, max_angle), st.floats(0.0, 1e-4),
                           st.floats(max_angle - 1e-6, max_angle)))
    return torch.from_numpy(direction * angle)


def random_rotations(n, seed=0, dtype=torch.float64):
    matrices = Rotation.random(n, random_state=seed).as_matrix()
    return torch.from_numpy(matrices).to(dtype)


@given(rotation_vectors())
@settings(max_examples=80, deadline=None)
def test_exp_agrees_with_scipy_and_log_goes_back(w):
    R = rotations.exp_so3(w)
    np.testing.assert_allclose(R, Rotation.from_rotvec(w.numpy()).as_matrix(), atol=1e-12)
    np.testing.assert_allclose(rotations.exp_so3(rotations.log_so3(R)), R, atol=1e-9)
    assert float(rotations.log_so3(R).norm()) == pytest.approx(float(w.norm()), abs=1e-7)
    assert float(rotations.geodesic_angle(torch.eye(3, dtype=w.dtype), R)) == pytest.approx(
        float(w.norm()), abs=1e-9)


@given(rotation_vectors())
@settings(max_examples=60, deadline=None)
def test_quaternions_agree_with_scipy_and_go_back(w):
    R = rotations.exp_so3(w)
    q = rotations.quaternion_from_matrix(R)
    expected = Rotation.from_matrix(R.numpy()).as_quat()
    assert float(q[3]) >= 0
    assert abs(float(q @ torch.from_numpy(expected))) == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(rotations.matrix_from_quaternion(3.0 * q), R, atol=1e-12)
    np.testing.assert_allclose(quaternions.quaternion_values(R.tolist()), q, atol=1e-12)
    np.testing.assert_allclose(quaternions.matrix_rows(*(3.0 * q).tolist()), R, atol=1e-12)


@given(rotation_vectors(), ANGLE)
@settings(max_examples=80, deadline=None)
def test_axis_azimuth_round_trip(w, azimuth):
    axis = rotations.exp_so3(w)[:, 2]
    R = rotations.rotation_from_axis_azimuth(axis, torch.tensor(azimuth, dtype=w.dtype))
    np.testing.assert_allclose(R.T @ R, np.eye(3), atol=1e-9)
    assert float(torch.linalg.det(R)) == pytest.approx(1.0)
    np.testing.assert_allclose(R[:, 2], axis, atol=1e-12)
    again = rotations.rotation_from_axis_azimuth(*rotations.axis_azimuth_from_rotation(R))
    np.testing.assert_allclose(again, R, atol=1e-9)


def test_axis_azimuth_seen_from_above_and_from_below():
    quarter = torch.tensor(math.pi / 2)
    above = rotations.rotation_from_axis_azimuth(torch.tensor([0.0, 0.0, -1.0]), quarter)
    # Anticlockwise from the right: object x points up in the image, which is -y.
    np.testing.assert_allclose(above[:, 0], [0.0, -1.0, 0.0], atol=1e-6)
    below = rotations.rotation_from_axis_azimuth(torch.tensor([0.0, 0.0, 1.0]), quarter)
    np.testing.assert_allclose(below.T @ below, np.eye(3), atol=1e-6)
    assert float(torch.linalg.det(below)) == pytest.approx(1.0)


def test_axis_azimuth_is_continuous_away_from_its_one_singular_direction():
    # Around the top view the axis goes once round the pole in a small circle: nothing may jump.
    turn = torch.linspace(0, 2 * math.pi, 361, dtype=torch.float64)
    for tilt in (1e-3, 0.5, 2.0):
        axis = torch.stack([math.sin(tilt) * torch.cos(turn), math.sin(tilt) * torch.sin(turn),
                            torch.full_like(turn, -math.cos(tilt))], -1)
        R = rotations.rotation_from_axis_azimuth(axis, torch.zeros_like(turn))
        step = rotations.geodesic_angle(R[:-1], R[1:])
        assert float(step.max()) < 2.0 * math.radians(1.0)


def test_geodesic_angle_keeps_its_digits_in_float32():
    w = torch.tensor([0.0, 1e-4, 0.0])
    angle = rotations.geodesic_angle(torch.eye(3), rotations.exp_so3(w))
    assert float(angle) == pytest.approx(1e-4, rel=1e-3)


@pytest.mark.parametrize('length', [0.0, 1e-5, 1e-3, 1.0, 3.0])
def test_gradients_of_exp_and_log(length):
    w = torch.tensor([[2.0, -1.0, 2.0]], dtype=torch.float64) / 3.0 * length
    w.requires_grad_()
    assert torch.autograd.gradcheck(rotations.exp_so3, (w,))
    assert torch.autograd.gradcheck(lambda v: rotations.log_so3(rotations.exp_so3(v)), (w,))


@pytest.mark.parametrize('axis', [[0.0, 0.0, -1.0], [0.6, 0.0, 0.8], [0.8, 0.6, 0.0]])
def test_gradients_of_axis_and_azimuth(axis):
    axis = torch.tensor(axis, dtype=torch.float64, requires_grad=True)
    azimuth = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)

    def build(a, b):
        return rotations.rotation_from_axis_azimuth(a / a.norm(), b)

    assert torch.autograd.gradcheck(build, (axis, azimuth))
    assert torch.autograd.gradcheck(
        lambda a, b: rotations.axis_azimuth_from_rotation(build(a, b)), (axis, azimuth))


@given(st.floats(-3.1, 3.1), st.floats(-1.4, 1.5), st.floats(-3.1, 3.1))
def test_a_round_object_faces_the_viewer_whatever_its_roll(azimuth, elevation, roll):
    lean = torch.tensor([0.5 * math.pi - elevation, 0.0, 0.0], dtype=torch.float64)
    tilt = rotations.exp_so3(lean)
    flip = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
    upright = tilt @ flip
    R = rotations.rotation_z(torch.tensor(roll, dtype=torch.float64)) @ upright
    spun = R @ rotations.rotation_z(torch.tensor(azimuth, dtype=torch.float64))
    facing = rotations.rotation_facing(spun[:, 2])
    assert torch.allclose(facing @ facing.T, torch.eye(3, dtype=torch.float64), atol=1e-9)
    assert torch.linalg.det(facing) == pytest.approx(1.0)
    assert torch.allclose(facing[:, 2], spun[:, 2], atol=1e-9)
    assert torch.allclose(facing, R, atol=1e-6) or torch.allclose(
        facing, R @ rotations.rotation_z(torch.tensor(math.pi, dtype=torch.float64)), atol=1e-6)
    again = rotations.spin_nearest(facing, spun)
    assert torch.allclose(again, spun, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-3.0, 3.0), min_size=6, max_size=6))
def test_columns_make_a_rotation_with_x_along_the_first(numbers):
    columns = torch.tensor(numbers, dtype=torch.float64)
    x, y = columns[:3], columns[3:]
    if float(torch.linalg.cross(x, y).norm()) < 1e-2:
        return
    R = rotations.rotation_from_columns(columns)
    torch.testing.assert_close(R.T @ R, torch.eye(3, dtype=torch.float64))
    assert float(torch.linalg.det(R)) == pytest.approx(1.0)
    torch.testing.assert_close(R[:, 0], x / x.norm())
    assert float(R[:, 1] @ y) > 0.0 and abs(float(R[:, 2] @ y)) < 1e-6


def test_angles_among_rotations_are_those_between_every_two():
    R = random_rotations(6).view(2, 3, 3, 3)
    apart = rotations.angles_among(R)
    assert apart.shape == (2, 3, 3)
    for b in range(2):
        for i in range(3):
            for j in range(3):
                wanted = rotations.geodesic_angle(R[b, i], R[b, j])
                assert float(apart[b, i, j]) == pytest.approx(float(wanted), abs=1e-9)
