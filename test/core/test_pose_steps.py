# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
import math

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
import torch

from ros2_nabs_pose.core.pose_steps import in_plane, POLE_RADIUS
from ros2_nabs_pose.core.rotations import exp_so3, rotation_z

PART = st.floats(-3.0, 3.0)


@given(PART, PART, PART)
@settings(max_examples=60, deadline=None)
def test_turned_back_in_the_plane_the_axis_points_upwards(x, y, z):
    R = exp_so3(torch.tensor([[x, y, z]], dtype=torch.float64))
    axis = (rotation_z(-in_plane(R)) @ R)[0, :, 2]
    assert float(axis[0]) == pytest.approx(0.0, abs=1e-9)
    assert float(axis[1]) <= 1e-9


def test_an_object_lying_to_the_right_is_turned_by_a_quarter():
    R = torch.tensor([[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    assert float(in_plane(R)) == pytest.approx(0.5 * math.pi)


@pytest.mark.parametrize('tilt', [0.0, 1e-9, 0.9 * POLE_RADIUS, 1.1 * POLE_RADIUS, 1.0])
def test_the_turn_has_a_gradient_that_is_held_near_the_pole(tilt):
    def angle(w):
        lean = exp_so3(w.new_tensor([[tilt + math.pi, 0.0, 0.0]]))
        turn = in_plane(exp_so3(w) @ lean)
        return torch.stack((torch.sin(turn), torch.cos(turn)))  # a half turn is at its own jump

    w = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    gradient, = torch.autograd.grad(angle(w).sum(), w)
    assert bool(torch.isfinite(gradient).all())
    if math.sin(tilt) < POLE_RADIUS:
        assert float(gradient.abs().max()) == 0.0
    else:
        assert torch.autograd.gradcheck(angle, (w,))
