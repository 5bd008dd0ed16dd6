# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Objects that stand on one ground: values by hand, and what must not depend on the camera."""

from dataclasses import replace
import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ros2_nabs_pose.core.belief import (
    axis_within,
    LEAN,
    lean_scale,
    OF_THE_AXIS,
    pose_covariance,
    surer,
)
from ros2_nabs_pose.core.standing import shortest_turn, stood_up, told_together
from ros2_nabs_pose.core.types import Box, CropView, PoseEstimate

UP = np.array([0.0, -0.8, -0.6])
SIDEWAYS = np.array([1.0, 0.0, 0.0])


def tilted(degrees):
    """UP turned about the camera's x axis: towards the camera, or away from it."""
    return Rotation.from_rotvec(math.radians(degrees) * SIDEWAYS).apply(UP)


def even(*spreads_deg):
    """Covariances (N, 3, 3) of turns that are equally doubtful about all directions."""
    return np.stack([math.radians(s) ** 2 * np.eye(3) for s in spreads_deg])


def apart_deg(a, b):
    return math.degrees(math.atan2(np.linalg.norm(np.cross(a, b)), a @ b))


def estimate(axis, spread_deg, position=(0.1, 0.0, 0.6), yaw_deg=20.0):
    T = np.eye(4)
    T[:3, :3] = shortest_turn(np.array([0.0, 0.0, 1.0]), axis)
    T[:3, 3] = position
    return PoseEstimate(
        category='mug', track_id='1', box=Box(0.0, 0.0, 9.0, 9.0, 'mug'), T_cam_obj=T,
        size_m=np.ones(3), box_center_m=np.zeros(3), confidence=0.7,
        covariance=pose_covariance(T, math.radians(spread_deg), math.radians(yaw_deg), 0.1),
        scale_source='depth', loss=0.1, iterations=1, warm=False, seconds=0.1,
        latent=np.zeros(2), view=CropView(np.eye(3), 64.0, 64), crop_rgb=np.zeros((2, 2, 3)),
        synthesis_rgba=np.zeros((2, 2, 4)))


def test_two_that_nearly_agree_meet_in_the_middle():
    told = told_together(np.stack([tilted(4.0), tilted(-4.0)]), even(5.0, 5.0))
    # Each is 25 deg^2 sure; the other says 25 + 1, they may be misread alike by 4, and stand within
    # another 1: 25 / (25 + 31) of 8 degrees, if they stand.
    share = told.share[0]
    assert told.share == pytest.approx([share, share]) and 0.93 < share < 0.99
    moved = share * 8.0 * 25.0 / 56.0
    assert apart_deg(told.axes[0], tilted(4.0 - moved)) < 0.05
    assert apart_deg(told.axes[1], tilted(moved - 4.0)) < 0.05
    # What both say is surer than what one does, unless they do not stand.
    across = told.axes[0] @ told.turns[0] @ SIDEWAYS, SIDEWAYS @ told.turns[0] @ SIDEWAYS
    assert across[0] == pytest.approx(0.0, abs=1e-5)
    variance = (share * 25.0 * 31.0 / 56.0 + (1.0 - share) * 25.0
                + share * (1.0 - share) * (8.0 * 25.0 / 56.0) ** 2)
    assert np.degrees(math.sqrt(across[1])) == pytest.approx(math.sqrt(variance), rel=0.01)


def test_the_spread_is_that_of_both_answers():
    """Drawn from the two answers, that it stands and that it does not, by their share."""
    seen = tilted(24.0)
    told = told_together(seen[None], even(7.0), up=UP)
    share = float(told.share[0])
    assert 0.2 < share < 0.95
    axis = told.axes[0]
    assert axis @ told.turns[0] @ axis == pytest.approx(seen @ even(7.0)[0] @ seen)
    upright_deg = 24.0 * 2.0 / 51.0  # 49 deg^2 of its own, 2 of the known up and the ground
    rng = np.random.default_rng(0)
    stands = rng.random(100_000) < share
    drawn = np.where(stands, upright_deg + math.sqrt(49.0 * 2.0 / 51.0) * rng.normal(size=100_000),
                     24.0 + 7.0 * rng.normal(size=100_000))
    assert apart_deg(told.axes[0], tilted(drawn.mean())) < 0.3
    said_deg = math.degrees(math.sqrt(SIDEWAYS @ told.turns[0] @ SIDEWAYS))
    assert said_deg == pytest.approx(drawn.std(), rel=0.03)


def test_how_far_one_that_leans_is_drawn_is_what_its_spread_makes_of_it():
    """Held at 20 degrees beside one that stands, at three confidences of the axis."""
    held = tilted(20.0)
    apart = []
    for spread_deg in (2.0, 5.0, 9.0):
        told = told_together(np.stack([UP, held]), even(spread_deg, spread_deg))
        apart.append(apart_deg(told.axes[1], held))
        # The doubt is in what is said of it: it is no farther off than two and a half spreads.
        said_deg = math.degrees(math.sqrt(SIDEWAYS @ told.turns[1] @ SIDEWAYS))
        assert apart[-1] < 2.5 * said_deg
    assert apart[0] < 0.1 < apart[1] < apart[2]


def test_the_doubtful_one_gives_way():
    told = told_together(np.stack([tilted(0.0), tilted(12.0)]), even(1.5, 8.0))
    assert apart_deg(told.axes[0], UP) < 1.0
    assert apart_deg(told.axes[1], UP) < 2.5


@pytest.mark.parametrize('turn_deg', [45.0, 90.0, 180.0])
def test_what_lies_stays_as_it_is_and_moves_nobody(turn_deg):
    lying = Rotation.from_rotvec(math.radians(turn_deg) * SIDEWAYS).apply(UP)
    axes = np.stack([tilted(3.0), tilted(-2.0), lying])
    with_it = told_together(axes, even(4.0, 4.0, 4.0))
    without = told_together(axes[:2], even(4.0, 4.0))
    assert apart_deg(with_it.axes[2], lying) < 0.01 and with_it.share[2] < 1e-3
    np.testing.assert_allclose(with_it.axes[:2], without.axes, atol=5e-4)
    np.testing.assert_allclose(with_it.share[:2], without.share, atol=1e-3)


def test_two_that_disagree_stay_as_they_are():
    axes = np.stack([UP, tilted(70.0)])
    told = told_together(axes, even(4.0, 4.0))
    np.testing.assert_allclose(told.axes, axes, atol=1e-6)
    assert (told.share < 1e-6).all()


def test_of_two_opinions_that_are_as_good_neither_wins_by_chance():
    """One against one, and two against two: a hair's breadth of difference decides nothing."""
    one, other = UP, tilted(14.0)
    for axes in ((one, other), (tilted(1.0), tilted(-1.0), tilted(13.0), tilted(15.0))):
        for spread in (1.0, 3.0, 5.0):
            told = told_together(np.stack(axes), even(*[spread] * len(axes)))
            nearly = told_together(
                np.stack(axes), even(*[spread] * (len(axes) - 1), 1.001 * spread))
            assert max(map(apart_deg, told.axes, nearly.axes)) < 0.05
            np.testing.assert_allclose(told.share, nearly.share, atol=0.01)


def test_the_known_up_counts_without_others():
    told = told_together(tilted(9.0)[None], even(5.0), up=UP)
    # 25 deg^2 of its own against 1 of the known up and 1 of the ground: 25 / 27 of 9 deg.
    assert told.share[0] > 0.95
    assert apart_deg(told.axes[0], tilted(9.0 - told.share[0] * 9.0 * 25.0 / 27.0)) < 0.05
    lying = told_together(tilted(90.0)[None], even(5.0), up=UP)
    assert apart_deg(lying.axes[0], tilted(90.0)) < 1e-6 and lying.share[0] < 1e-6


def test_what_is_no_number_stays_and_spoils_nobody():
    good = (estimate(tilted(4.0), 4.0), estimate(tilted(-4.0), 4.0))
    broken = replace(estimate(UP, 4.0), covariance=np.full((6, 6), np.nan))
    told = stood_up((good[0], broken, good[1]))
    assert told[1] is broken
    for got, expected in zip((told[0], told[2]), stood_up(good), strict=True):
        np.testing.assert_array_equal(got.T_cam_obj, expected.T_cam_obj)


def test_two_lying_side_by_side_do_not_outvote_the_known_up():
    lying = np.stack([tilted(90.0), tilted(88.0)])
    np.testing.assert_allclose(told_together(lying, even(4.0, 4.0), up=UP).axes, lying, atol=1e-6)
    # Together they would tell an up, but none that a camera has that is held somehow upright.
    assert apart_deg(*told_together(lying, even(4.0, 4.0)).axes) < 0.5
    pair = tuple(estimate(axis, 4.0) for axis in lying)
    assert stood_up(pair) == pair
    beside = stood_up((*pair, estimate(tilted(4.0), 4.0), estimate(tilted(-4.0), 4.0)))
    assert beside[:2] == pair and min(e.standing for e in beside[2:]) > 0.9


@given(st.lists(st.tuples(st.floats(-25.0, 25.0), st.floats(-180.0, 180.0), st.floats(1.0, 12.0)),
                min_size=2, max_size=5), st.integers(0, 2 ** 16))
@settings(max_examples=60, deadline=None)
def test_what_is_told_turns_with_the_camera_and_forgets_the_order(objects, seed):
    rng = np.random.default_rng(seed)
    axes = np.stack([Rotation.from_euler('zy', (turn, lean), degrees=True).apply(UP)
                     for lean, turn, _ in objects])
    turns = np.stack([estimate(axis, spread).covariance[3:, 3:]
                      for axis, (_, _, spread) in zip(axes, objects, strict=True)])
    told = told_together(axes, turns)
    np.testing.assert_allclose(np.linalg.norm(told.axes, axis=1), 1.0, atol=1e-9)
    assert ((told.share >= 0.0) & (told.share <= 1.0)).all()
    assert np.linalg.eigvalsh(told.turns).min() > 0.0
    Q = Rotation.random(random_state=rng.integers(2 ** 31)).as_matrix()
    turned = told_together(axes @ Q.T, Q @ turns @ Q.T)
    np.testing.assert_allclose(turned.axes, told.axes @ Q.T, atol=1e-7)
    np.testing.assert_allclose(turned.turns, Q @ told.turns @ Q.T, atol=1e-8)
    order = rng.permutation(len(axes))
    np.testing.assert_allclose(told_together(axes[order], turns[order]).axes, told.axes[order],
                               atol=1e-7)


@given(st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=3), st.floats(0.0, 3.0))
@settings(max_examples=60, deadline=None)
def test_the_shortest_turn_takes_one_axis_to_the_other(about, angle):
    about = np.array([*about[:2], 0.0])
    norm = np.linalg.norm(about)
    about = about / norm if norm > 1e-3 else SIDEWAYS
    z = np.array([0.0, 0.0, 1.0])
    expected = Rotation.from_rotvec(angle * about).as_matrix()
    np.testing.assert_allclose(shortest_turn(z, expected @ z), expected, atol=1e-9)


@pytest.mark.parametrize('axis', [UP, SIDEWAYS, np.array([0.0, 0.0, 1.0])])
def test_opposite_axes_are_turned_by_half(axis):
    R = shortest_turn(axis, -axis)
    np.testing.assert_allclose(R @ axis, -axis, atol=1e-12)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1.0)


def test_poses_turn_about_their_own_origin_and_keep_their_front():
    first, second = estimate(tilted(5.0), 6.0), estimate(tilted(-3.0), 3.0, (-0.2, 0.1, 0.8))
    told = stood_up((first, second))
    for before, after in zip((first, second), told, strict=True):
        np.testing.assert_array_equal(after.T_cam_obj[:3, 3], before.T_cam_obj[:3, 3])
        R = after.T_cam_obj[:3, :3]
        np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-9)
        # No turn about the axis beside the one that brings it where it is.
        turned = Rotation.from_matrix(R @ before.T_cam_obj[:3, :3].T).as_rotvec()
        assert abs(turned @ R[:, 2]) < 1e-3 and np.linalg.norm(turned) > 1e-3
        np.testing.assert_array_equal(after.covariance[:3], before.covariance[:3])
        yaw, yaw_before = (p.T_cam_obj[:3, 2] @ p.covariance[3:, 3:] @ p.T_cam_obj[:3, 2]
                           for p in (after, before))
        assert yaw == pytest.approx(yaw_before, rel=1e-6)
        assert after.standing > 0.9
        assert np.trace(after.covariance[3:, 3:]) < np.trace(before.covariance[3:, 3:])
    assert (apart_deg(told[0].T_cam_obj[:3, 2], told[1].T_cam_obj[:3, 2])
            < 0.5 * apart_deg(first.T_cam_obj[:3, 2], second.T_cam_obj[:3, 2]))


def test_what_is_told_together_is_believed_more_as_far_as_the_axis_was_doubted():
    pair = (estimate(tilted(3.0), 9.0), estimate(tilted(-3.0), 9.0))
    mugs, cans = stood_up(pair), stood_up(pair, spinning=('mug',))
    for mug, can in zip(mugs, cans, strict=True):
        np.testing.assert_array_equal(mug.T_cam_obj, can.T_cam_obj)
        # Of a mug that may be turned wrongly half of the doubt stays.
        assert 0.7 < mug.confidence < can.confidence < 0.95
    lying = estimate(tilted(70.0), 4.0)
    told = stood_up((*pair, lying))[2]
    assert told.confidence == pytest.approx(lying.confidence, abs=1e-3)


def test_how_likely_an_axis_is_right_is_what_its_spread_says():
    rng = np.random.default_rng(0)
    T = estimate(UP, 6.0).T_cam_obj
    turns = pose_covariance(T, math.radians(6.0), 0.5, 0.1)[3:, 3:]
    drawn = rng.multivariate_normal(np.zeros(3), turns, size=100_000)
    off = np.linalg.norm(np.cross(drawn, UP), axis=1)
    assert axis_within(UP, turns) == pytest.approx((off < math.radians(10.0)).mean(), abs=0.01)
    assert axis_within(UP, 1e-6 * np.eye(3)) == pytest.approx(1.0)
    end_on = estimate(np.array([0.0, 0.0, -1.0]), 7.0).T_cam_obj
    for spreads_deg in ((7.0, 7.0), (0.05, 9.0), (30.0, 30.0)):
        turns = np.diag(np.radians([*spreads_deg, 0.0])) ** 2
        drawn = rng.multivariate_normal(np.zeros(3), turns, size=100_000)
        assert axis_within(end_on[:3, 2], turns) == pytest.approx(
            (np.linalg.norm(drawn, axis=1) < math.radians(10.0)).mean(), abs=0.01)


def test_what_is_doubted_beside_the_axis_stays_doubted():
    assert surer(0.6, 0.8, 0.8, True) == pytest.approx(0.6)
    # Half of the axis' doubt is gone: so is half of what is doubted, of a mug of its share of it.
    assert surer(0.6, 0.8, 0.9, False) == pytest.approx(0.8)
    assert surer(0.6, 0.8, 0.9, True) == pytest.approx(0.6 + 0.4 * 0.5 * OF_THE_AXIS)
    assert surer(0.6, 0.8, 1.0, True) == pytest.approx(0.6 + 0.4 * OF_THE_AXIS)
    assert surer(0.6, 0.8, 1.0, False) == 0.999
    # Never more than the axis itself, nor less than before for its sake.
    assert surer(0.5, 0.2, 0.55, False) <= 0.55 and surer(0.9, 0.5, 0.6, False) == 0.9
    assert surer(0.6, 0.8, 0.4, False) == pytest.approx(0.3)


def test_one_alone_stays_as_it_is_and_a_known_up_may_be_of_any_length():
    alone = estimate(tilted(7.0), 5.0)
    assert stood_up((alone,)) == (alone,) and stood_up(()) == () and stood_up((), UP) == ()
    assert alone.standing == 0.0
    short, long = (stood_up((alone,), length * UP)[0] for length in (0.1, 9.81))
    np.testing.assert_allclose(short.T_cam_obj, long.T_cam_obj, atol=1e-12)
    assert apart_deg(short.T_cam_obj[:3, 2], UP) < 2.0


def test_lean_is_told_better_than_tilt_from_the_side_alone():
    assert lean_scale(1.0) == pytest.approx(LEAN) and lean_scale(0.0) == 1.0
    for axis, leaning in ((np.array([0.0, -1.0, 0.0]), LEAN), (np.array([0.0, 0.0, -1.0]), 1.0)):
        T = np.eye(4)
        T[:3, :3] = shortest_turn(np.array([1.0, 0.0, 0.0]), axis)[:, [1, 2, 0]]
        T[:3, 3] = 0.0, 0.0, 0.5
        turn, sure = (pose_covariance(T, spread, 0.5, 0.1)[3:, 3:]
                      for spread in (0.1, math.radians(1.0)))
        # Seen along z, a turn about x tilts, one about z (of an axis upright) leans.
        assert SIDEWAYS @ turn @ SIDEWAYS == pytest.approx(0.01)
        other = np.cross(axis, SIDEWAYS)
        assert other @ turn @ other == pytest.approx((0.1 * leaning) ** 2)
        assert axis @ turn @ axis == pytest.approx(0.26)
        # None is told better than the limit.
        assert other @ sure @ other == pytest.approx(math.radians(1.0) ** 2)


def test_the_farther_apart_the_less_likely_they_stand_together():
    shares = [told_together(np.stack([UP, tilted(apart)]), even(5.0, 5.0)).share
              for apart in (0.0, 10.0, 20.0, 25.0, 30.0, 40.0)]
    assert all(a.mean() > b.mean() for a, b in zip(shares, shares[1:], strict=False))
    assert shares[0].min() > 0.95 and shares[-1].max() < 0.01
