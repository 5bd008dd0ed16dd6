# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
from dataclasses import replace
import math

import pytest
import torch
from torch.nn import functional

from ros2_nabs_pose.core.encoder import bin_centers, Encoding
from ros2_nabs_pose.core.rotations import (
    exp_so3,
    geodesic_angle,
    rotation_facing,
    rotation_from_axis_azimuth,
)
from ros2_nabs_pose.core.starts import (
    AGREE_RAD,
    LEAST_ODDS,
    make_starts,
    READ_SHARE,
    Remembered,
)

AXIS = functional.normalize(torch.tensor([[0.1, -0.8, -0.5]]), dim=1)


def reading(azimuth_bin=5):
    """One crop whose encoder is sure of one turn."""
    logits = torch.zeros(1, 24)
    logits[0, azimuth_bin] = 9.0
    zero = torch.zeros(1)
    return Encoding(torch.zeros(1, 4), torch.zeros(1, 4), torch.zeros(1, 1, 64, 64), AXIS, logits,
                    torch.zeros(1, 24), torch.zeros(1, 2), zero, zero, torch.zeros(1, 3, 32, 32),
                    torch.zeros(1, 0, 3, 3), torch.zeros(1, 0))


def read_rotation(azimuth_bin=5):
    return rotation_from_axis_azimuth(AXIS, bin_centers(24)[azimuth_bin:azimuth_bin + 1])[0]


@pytest.mark.parametrize('free_about_z', [False, True])
def test_a_tracks_start_moves_towards_a_reading_that_agrees(free_about_z):
    R = rotation_facing(AXIS[0]) if free_about_z else read_rotation()
    off = 0.8 * AGREE_RAD
    track = exp_so3(torch.tensor([off, 0.0, 0.0])) @ R
    track = rotation_facing(track[:, 2]) if free_about_z else track
    starts = make_starts(reading(), [Remembered(track, torch.zeros(4))], 2, 1, free_about_z)
    own = starts.pick(starts.previous.nonzero()[:, 0])
    assert len(own.R) == 1
    axis = float(torch.arccos((own.R[0, :, 2] * R[:, 2]).sum()))
    before = float(torch.arccos((track[:, 2] * R[:, 2]).sum()))
    assert axis == pytest.approx((1.0 - READ_SHARE) * before, abs=0.02)
    if not free_about_z:
        assert float(geodesic_angle(own.R[0], R)) == pytest.approx((1.0 - READ_SHARE) * off,
                                                                   abs=1e-4)
        assert len(starts.R) == 1  # the reading itself is no challenger


def test_a_reading_that_says_something_else_challenges_and_moves_nothing():
    track = exp_so3(torch.tensor([0.0, 1.2, 0.0])) @ read_rotation()
    starts = make_starts(reading(), [Remembered(track, torch.zeros(4)), ], 2, 1)
    assert starts.previous.tolist() == [True, False]
    torch.testing.assert_close(starts.R[0], track)
    torch.testing.assert_close(starts.R[1], read_rotation(), atol=1e-5, rtol=0.0)


@pytest.mark.parametrize('odds, tried', [(0.5 * LEAST_ODDS, False), (2.0 * LEAST_ODDS, True)])
def test_a_further_rotation_challenges_a_track_only_where_it_is_likely_enough(odds, tried):
    other = exp_so3(torch.tensor([0.0, 1.2, 0.0])) @ read_rotation()
    said = replace(reading(), others=other[None, None],
                   other_logits=torch.tensor([[math.log(odds / (1.0 - odds))]]))
    starts = make_starts(said, [Remembered(read_rotation(), torch.zeros(4))], 2, 2)
    assert starts.previous.tolist() == [True, False][:1 + tried]
    # As likely as the other, it would be the first proposal, which always challenges.
    alone = replace(said, other_logits=torch.zeros(1, 1))
    elsewhere = exp_so3(torch.tensor([0.0, -1.2, 0.0])) @ read_rotation()
    starts = make_starts(alone, [Remembered(elsewhere, torch.zeros(4))], 2, 2)
    assert starts.previous.tolist() == [True, False, False]
    # What is seen for the first time is tried with it all the same.
    fresh = make_starts(said, [None], 2, 2)
    torch.testing.assert_close(fresh.R[1], other, atol=1e-5, rtol=0.0)


def test_a_round_object_is_challenged_by_every_tilt_for_tilts_have_no_odds():
    track = rotation_facing(exp_so3(torch.tensor([1.4, 0.0, 0.0])) @ AXIS[0])
    starts = make_starts(reading(), [Remembered(track, torch.zeros(4))], 6, 6, True)
    assert starts.previous.tolist() == [True] + [False] * 6
    assert float(starts.log_prior[-1]) < math.log(LEAST_ODDS)


def test_a_new_objects_starts_are_the_readings_own():
    starts = make_starts(reading(), [None], 2, 1)
    torch.testing.assert_close(starts.R[0], read_rotation(), atol=1e-5, rtol=0.0)
    assert math.isclose(float(starts.log_prior[0]), 0.0, abs_tol=0.02)
