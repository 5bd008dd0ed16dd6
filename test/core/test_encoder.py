# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What the encoder proposes, and how its numbers become rotations."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
import torch

from ros2_nabs_pose.core.encoder import (
    bin_centers,
    Encoder,
    EncoderConfig,
    Encoding,
    rotation_from_columns,
    SAME_RAD,
)
from ros2_nabs_pose.core.rotations import (
    axis_azimuth_from_rotation,
    exp_so3,
    geodesic_angle,
    rotation_from_axis_azimuth,
)

TINY = EncoderConfig(latent_dim=4, channels=(4, 4, 8, 8), hidden=8)
AXIS = torch.nn.functional.normalize(torch.tensor([0.1, -0.8, -0.5]), dim=0)


def of_bin(index):
    """Rotation (3, 3) that a bin of the azimuth stands for."""
    return rotation_from_axis_azimuth(AXIS, bin_centers(24)[index])


def reading(probabilities, others=(), odds=()):
    """One crop: a histogram {bin: share}, and further rotations with their odds."""
    logits = torch.full((1, 24), 1e-9).log()
    for index, share in probabilities.items():
        logits[0, index] = math.log(share)
    zero = torch.zeros(1)
    return Encoding(
        mean=torch.zeros(1, 4), logvar=torch.zeros(1, 4), mask_logits=torch.zeros(1, 1, 8, 8),
        axis=AXIS[None], azimuth_logits=logits, azimuth_offset=torch.zeros(1, 24),
        t=torch.zeros(1, 2), log_scale=zero, front_logit=zero, points=torch.zeros(1, 3, 4, 4),
        others=torch.stack(list(others))[None] if others else torch.zeros(1, 0, 3, 3),
        other_logits=torch.tensor([odds]).reshape(1, len(others)).float())


def turned(R, degrees):
    return exp_so3(torch.tensor([math.radians(degrees), 0.0, 0.0])) @ R


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-3.0, 3.0), min_size=6, max_size=6))
def test_columns_make_a_rotation_with_x_along_the_first(numbers):
    columns = torch.tensor(numbers, dtype=torch.float64)
    x, y = columns[:3], columns[3:]
    if float(torch.linalg.cross(x, y).norm()) < 1e-2:
        return
    R = rotation_from_columns(columns)
    torch.testing.assert_close(R.T @ R, torch.eye(3, dtype=torch.float64))
    assert float(torch.linalg.det(R)) == pytest.approx(1.0)
    torch.testing.assert_close(R[:, 0], x / x.norm())
    assert float(R[:, 1] @ y) > 0.0 and abs(float(R[:, 2] @ y)) < 1e-6


def test_without_further_rotations_the_histograms_modes_are_proposed():
    R, weights = reading({5: 0.6, 6: 0.1, 17: 0.3}).proposals(2)
    torch.testing.assert_close(R[0], torch.stack((of_bin(5), of_bin(17))), atol=1e-5, rtol=0.0)
    assert weights[0].tolist() == pytest.approx([0.7, 0.3], abs=1e-5)


def test_further_rotations_come_by_their_odds_before_the_other_modes():
    """Odds 4 and 1 against 1 of the first: shares 4/6 and 1/6."""
    likely, unlikely = turned(of_bin(5), 80.0), turned(of_bin(5), -120.0)
    said = reading({5: 0.7, 17: 0.3}, (unlikely, likely), (0.0, math.log(4.0)))
    R, weights = said.proposals(4)
    wanted = torch.stack((of_bin(5), likely, unlikely, of_bin(17)))
    torch.testing.assert_close(R[0], wanted, atol=1e-5, rtol=0.0)
    assert weights[0].tolist() == pytest.approx([0.7 / 6, 4 / 6, 1 / 6, 0.3 / 6], abs=1e-5)
    assert said.proposals(1)[0].shape == (1, 1, 3, 3)
    torch.testing.assert_close(said.first()[0], of_bin(5), atol=1e-5, rtol=0.0)


def test_the_same_rotation_is_not_proposed_twice_while_there_are_others():
    near = turned(of_bin(5), 0.8 * math.degrees(SAME_RAD))
    said = reading({5: 0.7, 17: 0.3}, (near, turned(of_bin(5), 90.0)), (3.0, -3.0))
    R, _ = said.proposals(3)
    wanted = torch.stack((of_bin(5), turned(of_bin(5), 90.0), of_bin(17)))
    torch.testing.assert_close(R[0], wanted, atol=1e-5, rtol=0.0)


def test_an_encoder_tells_as_many_further_rotations_as_it_is_made_for():
    torch.manual_seed(1)
    said = Encoder(TINY).eval()(torch.rand(2, 3, 64, 64))
    assert said.others.shape == (2, 3, 3, 3) and said.other_logits.shape == (2, 3)
    torch.testing.assert_close(torch.linalg.det(said.others), torch.ones(2, 3))
    assert float(geodesic_angle(said.others[:, 0], said.others[:, 1]).detach().min()) > 0.1
    axis, _ = axis_azimuth_from_rotation(said.first())
    torch.testing.assert_close(axis, said.axis, atol=1e-4, rtol=0.0)
