# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
from dataclasses import replace
import math

import numpy as np
import pytest
import torch

from ros2_nabs_pose.core.checkpoint import ModelCard, SizePrior
from ros2_nabs_pose.core.crop import make_view
from ros2_nabs_pose.core.cuts import Cut, ZOOMS
from ros2_nabs_pose.core.follow import followed as followed_by_card
from ros2_nabs_pose.core.follow import Told
from ros2_nabs_pose.core.memory import CODE_MEMORY, CodeMemory, CodePrior
from ros2_nabs_pose.core.rotations import exp_so3, rotation_z
from ros2_nabs_pose.core.tracks import Track
from ros2_nabs_pose.core.types import (
    Box,
    Intrinsics,
    PoseEstimate,
    SCALE_CATEGORY_MEAN,
    SCALE_DEPTH,
)

BOX = Box(400.0, 100.0, 520.0, 260.0, 'mug')
VIEW = make_view(Intrinsics(520.0, 520.0, 319.5, 239.5, 640, 480), BOX, 64)
R_CROP = exp_so3(torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64))
READ, FITTED, FORMER, SIZED = (np.full(3, value) for value in (1.0, 2.0, 5.0, 1.5))
SURE, SURE_BEFORE = np.full(3, 4.0), np.full(3, 6.0)
TOLD = Told(READ, SURE, own=SIZED, remembered=FORMER)
CARD = ModelCard('mug', 'none', 'handle', SizePrior((0.1, 0.1, 0.1), 0.08, 0.01))
AHEAD = np.array([0.0, 0.0, 1.0])


def followed(*frame, card=CARD):
    return followed_by_card(*frame, card)


def cut_of(track=None, turn_rad=0.0, zoom=1.0):
    blank = np.zeros((64, 64, 3), np.float32)
    return Cut(0, BOX, VIEW, blank, blank[..., 0], None, None, track, turn_rad, zoom)


def estimate(scale_source=SCALE_CATEGORY_MEAN, reach=0.5):
    """A fit whose drawing reaches so far from the crop's middle, in half widths."""
    line = (np.arange(64) + 0.5) / 32.0 - 1.0
    drawn = np.zeros((64, 64, 4), np.float32)
    drawn[..., 3] = (np.abs(line) < reach) & (np.abs(line)[:, None] < reach)
    T = np.eye(4)
    T[:3, :3] = exp_so3(torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)).numpy()
    return PoseEstimate(
        'mug', 'a', BOX, T, np.ones(3), np.zeros(3), 0.9, np.eye(6), scale_source, 0.1, 3, True,
        0.05, FITTED, VIEW, drawn[..., :3], drawn, radius_m=0.07)


def track(zoom=1.0, radius_m=None):
    return Track('a', BOX, np.eye(3), CodeMemory.begun(FORMER, SURE_BEFORE, AHEAD, None), 1.0,
                 np.eye(3), radius_m=radius_m, zoom=zoom)


def test_a_first_sight_begins_a_track():
    begun = followed(cut_of(), estimate(), R_CROP, TOLD, False, 2.0)
    assert (begun.track_id, begun.stamp_s, begun.turned, begun.zoom) == ('a', 2.0, False, 1.0)
    np.testing.assert_allclose(begun.R_allocentric, R_CROP.numpy())
    np.testing.assert_allclose(begun.R_cam_obj, estimate().T_cam_obj[:3, :3])
    assert begun.memory.mean is FITTED and begun.memory.sureness is SURE
    [(side, frames)] = begun.memory.sides
    np.testing.assert_allclose(side, R_CROP.numpy()[2])
    assert frames == 1.0
    assert begun.radius_m is None


def test_a_known_size_moves_starts_but_not_the_memory():
    own = replace(estimate(), latent=SIZED)
    begun = followed(cut_of(), own, R_CROP, TOLD, False, 2.0)
    np.testing.assert_array_equal(begun.memory.mean, READ)


def test_a_track_knows_what_is_usual_for_its_category_and_where_round_bodies_are_alike():
    card = replace(CARD, symmetry='free_z', codes=CodePrior((0.0,) * 3, (1.0,) * 3))
    begun = followed(cut_of(), estimate(), R_CROP, TOLD, False, 2.0, card=card)
    assert begun.memory.usual is card.codes
    assert begun.memory.sides[0][0][1] == 0.0


def test_what_the_frame_alone_reads_joins_the_track():
    later = followed(cut_of(track()), estimate(), R_CROP, TOLD, True, 2.0)
    before = 6.0 * (1.0 - 1.0 / CODE_MEMORY)
    np.testing.assert_allclose(later.memory.sureness, before + 4.0)
    np.testing.assert_allclose(later.memory.code, FORMER + 4.0 / (before + 4.0) * (READ - FORMER))


def test_a_challengers_victory_is_a_new_beginning():
    later = followed(cut_of(track()), estimate(), R_CROP, TOLD, False, 2.0)
    assert later.memory.mean is FITTED and later.memory.sureness is SURE
    assert len(later.memory.sides) == 1 and later.memory.frames == 1.0
    assert later.stamp_s == 2.0 and later.track_id == 'a'


def test_the_tracks_own_pose_turned_around_keeps_what_it_remembers():
    won = replace(estimate(), latent=FORMER.astype(np.float32))
    later = followed(cut_of(track()), won, R_CROP, TOLD, False, 2.0)
    joined = followed(cut_of(track()), won, R_CROP, TOLD, True, 2.0)
    np.testing.assert_array_equal(later.memory.code, joined.memory.code)
    np.testing.assert_array_equal(later.memory.sureness, joined.memory.sureness)
    assert not np.array_equal(later.memory.code, FORMER)
    # But the sides that it was seen from were not what they seemed.
    assert len(joined.memory.sides) == 2 and len(later.memory.sides) == 1
    np.testing.assert_allclose(later.memory.sides[0][0], R_CROP.numpy()[2])


def test_a_turned_crop_is_remembered_straight_and_as_close_as_the_drawing_fits():
    turned = followed(cut_of(track(zoom=1.1), 0.8, 1.1), estimate(), R_CROP, TOLD, True, 2.0)
    np.testing.assert_allclose(
        turned.R_allocentric,
        (rotation_z(torch.tensor(-0.8, dtype=torch.float64)) @ R_CROP).numpy())
    # The outermost pixel's far edge lies at half the crop's half width, and a crop is 1.4 wide.
    assert turned.turned and turned.zoom == pytest.approx(1.1 / (1.4 * 0.5))
    far = followed(cut_of(track(), 0.8, 1.0), estimate(reach=0.1), R_CROP, TOLD, True, 2.0)
    assert far.zoom == ZOOMS[1]
    # Once it stands, the crop's zoom waits for the next time.
    stood = followed(cut_of(track(zoom=1.3)), estimate(), R_CROP, TOLD, True, 2.0)
    assert not stood.turned and stood.zoom == 1.3
    assert math.isclose(np.linalg.det(turned.R_allocentric), 1.0, abs_tol=1e-9)


def test_a_standing_object_seen_in_another_cut_still_stands():
    track_of = followed(cut_of(turn_rad=math.radians(9.0), zoom=1.12), estimate(), R_CROP, TOLD,
                        False, 2.0)
    assert not track_of.turned and track_of.zoom == 1.0
    back = rotation_z(torch.tensor(-math.radians(9.0), dtype=torch.float64))
    np.testing.assert_allclose(track_of.R_allocentric, (back @ R_CROP).numpy())


def test_a_radius_is_remembered_where_depth_told_it():
    measured = followed(cut_of(track(radius_m=0.05)), estimate(SCALE_DEPTH), R_CROP, TOLD, True,
                        2.0)
    guessed = followed(cut_of(track(radius_m=0.05)), estimate(), R_CROP, TOLD, True, 2.0)
    assert measured.radius_m == 0.07 and guessed.radius_m == 0.05
