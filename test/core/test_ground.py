# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Metric scale from the ground that objects stand on: values by hand, and what must not matter."""

from dataclasses import replace
import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ros2_nabs_pose.core.belief import pose_covariance
from ros2_nabs_pose.core.ground import on_one_ground
from ros2_nabs_pose.core.types import Box, CropView, Ground, PoseEstimate

TILT_RAD = math.radians(35.0)
HEIGHT_M = 0.6
#: A level table seen by a camera that looks down by 35 degrees.
UP = np.array([0.0, -math.cos(TILT_RAD), -math.sin(TILT_RAD)])
FORWARD = np.array([0.0, -math.sin(TILT_RAD), math.cos(TILT_RAD)])
RIGHT = np.array([1.0, 0.0, 0.0])


def standing(away_m, right_m=0.0, factor=1.0, size_std=0.15, tall_m=0.1, higher_m=0.0,
             source='category_mean'):
    """An object on the table that is thought ``factor`` times as large, and as far, as it is."""
    T = np.eye(4)
    T[:3, :3] = np.stack([FORWARD, -RIGHT, UP], 1)
    T[:3, 3] = factor * (away_m * FORWARD + right_m * RIGHT
                         + (higher_m + 0.5 * tall_m - HEIGHT_M) * UP)
    size = factor * np.array([0.08, 0.08, tall_m])
    return PoseEstimate(
        category='mug', track_id='1', box=Box(0.0, 0.0, 9.0, 9.0, 'mug'), T_cam_obj=T, size_m=size,
        box_center_m=np.zeros(3), confidence=0.7,
        covariance=pose_covariance(T, 0.05, 0.3, size_std), scale_source=source, loss=0.1,
        iterations=1, warm=False, seconds=0.1, latent=np.zeros(2),
        view=CropView(np.eye(3), 64.0, 64), crop_rgb=np.zeros((2, 2, 3)),
        synthesis_rgba=np.zeros((2, 2, 4)), radius_m=factor * 0.06, standing=1.0)


def factors(told, *, of):
    """By how much each estimate was enlarged."""
    return [a.radius_m / b.radius_m for a, b in zip(told, of, strict=True)]


def test_a_known_height_tells_the_size():
    guess = standing(0.7, factor=1.15)
    told, = on_one_ground([guess], Ground(7.0 * UP, HEIGHT_M))
    assert told.scale_source == 'ground'
    assert told.radius_m == pytest.approx(0.06, rel=0.02)
    k = told.radius_m / guess.radius_m
    for name in ('size_m', 'box_center_m'):
        np.testing.assert_allclose(getattr(told, name), k * getattr(guess, name))
    # Along its ray, so that it looks as before.
    np.testing.assert_allclose(told.T_cam_obj[:3, 3], k * guess.T_cam_obj[:3, 3])
    np.testing.assert_array_equal(told.T_cam_obj[:3, :3], guess.T_cam_obj[:3, :3])
    np.testing.assert_array_equal(told.covariance[3:, 3:], guess.covariance[3:, 3:])
    distance = np.linalg.norm(told.T_cam_obj[:3, 3])
    ray = told.T_cam_obj[:3, 3] / distance
    # Left is the ground's own tilt, 1 degree over the slope at which it is seen there, and the
    # doubt whether it stands on it: its guess is off by more than it should be.
    foot = told.T_cam_obj[:3, 3] - 0.5 * told.size_m[2] * UP
    slope = -UP @ foot / np.linalg.norm(foot)
    expected = math.radians(1.0) * math.sqrt(1.0 / slope ** 2 - 1.0)
    left = math.sqrt(ray @ told.covariance[:3, :3] @ ray - (0.01 * distance) ** 2) / distance
    assert expected < left < 2.0 * expected < 0.3 * 0.15
    # The farther off the guess, the more likely it stands elsewhere, and the wider the spread.
    far, = on_one_ground([standing(0.7, factor=1.4)], Ground(UP, HEIGHT_M))
    assert far.covariance[2, 2] > 2.0 * told.covariance[2, 2]


def test_two_guesses_meet_by_how_sure_they_are():
    sure, unsure = standing(0.6, factor=1.0, size_std=0.05), standing(0.8, 0.2, 1.4, 0.25)
    told = on_one_ground([sure, unsure])
    near, far = factors(told, of=(sure, unsure))
    assert near == pytest.approx(1.0, abs=0.03) and far == pytest.approx(1 / 1.4, rel=0.09)
    assert [t.scale_source for t in told] == ['category_mean', 'category_mean']
    alike = [standing(0.6, factor=0.9), standing(0.8, 0.2, factor=1.1)]
    small, large = factors(on_one_ground(alike), of=alike)
    # Both as sure: they meet near the middle, a little less for what the ground's tilt leaves open.
    assert small == pytest.approx(1.1 ** 0.5 / 0.9 ** 0.5, rel=0.04)
    assert large == pytest.approx(0.9 ** 0.5 / 1.1 ** 0.5, rel=0.04)


@pytest.mark.parametrize('source', ['depth', 'known_size'])
def test_a_measured_one_tells_all_and_stays(source):
    measured = standing(0.5, size_std=0.02, source=source)
    guesses = [standing(0.7, 0.1, 1.3), standing(0.6, -0.2, 0.75)]
    told = on_one_ground([guesses[0], measured, guesses[1]])
    assert told[1] is measured
    for one in (told[0], told[2]):
        assert one.radius_m == pytest.approx(0.06, rel=0.07) and one.scale_source == 'ground'


def test_one_on_a_pile_of_books_stays_and_moves_nobody():
    pair = [standing(0.6, size_std=0.04), standing(0.8, 0.2, size_std=0.04)]
    above = standing(0.7, -0.2, higher_m=0.25, size_std=0.04)
    told = on_one_ground([*pair, above])
    assert factors(told, of=[*pair, above]) == pytest.approx([1.0, 1.0, 1.0], abs=0.01)
    above_alone, = on_one_ground([above], Ground(UP, HEIGHT_M))
    assert above_alone.scale_source == 'category_mean'
    assert above_alone.radius_m == pytest.approx(above.radius_m, rel=0.02)


@pytest.mark.parametrize('size_std', [0.087, 0.2])
def test_where_sizes_differ_as_much_a_pile_of_books_looks_like_a_larger_object(size_std):
    """Mugs' sizes and bowls'. The limit of the method as the documents state it, and no worse."""
    for higher_m in (0.04, 0.08, 0.12):
        above = standing(0.7, higher_m=higher_m, size_std=size_std)
        told, = on_one_ground([above], Ground(UP, HEIGHT_M))
        shift = math.log(told.radius_m / above.radius_m)
        distance = np.linalg.norm(told.T_cam_obj[:3, 3])
        ray = told.T_cam_obj[:3, 3] / distance
        said = math.sqrt(ray @ told.covariance[:3, :3] @ ray) / distance
        assert 0.02 < shift < -math.log(1.0 - higher_m / HEIGHT_M) + 0.01
        assert 1.5 < shift / said < 4.5


def test_turns_about_the_axes_say_nothing_of_the_grounds_tilt():
    """Cans and bottles that nobody knows the turn of, and whose axes are a little apart."""
    def pair(yaw_rad):
        found = []
        for guess, off_deg in ((standing(0.6, factor=0.9), 2.0), (standing(0.8, 0.2, 1.1), -2.0)):
            T = guess.T_cam_obj.copy()
            T[:3, :3] = Rotation.from_rotvec(math.radians(off_deg) * RIGHT).as_matrix() @ T[:3, :3]
            found.append(replace(guess, T_cam_obj=T, covariance=pose_covariance(
                T, 0.05, yaw_rad, 0.15)))
        return found

    known, unknown = pair(0.01), pair(1.8)
    assert factors(on_one_ground(unknown), of=unknown) == pytest.approx(
        factors(on_one_ground(known), of=known), rel=1e-9)


def test_what_does_not_stand_or_is_not_seen_from_above_stays():
    guess = standing(0.7, factor=1.3)
    lying = replace(guess, standing=0.1)
    assert on_one_ground([lying], Ground(UP, HEIGHT_M)) == (lying,)
    assert on_one_ground([lying, guess]) == (lying, guess)
    assert on_one_ground([], Ground(UP, HEIGHT_M)) == on_one_ground([]) == ()
    assert on_one_ground([guess], Ground(UP)) == (guess,)
    # From below the ground, or along it, nothing can be told.
    for up in (-UP, FORWARD, RIGHT):
        assert on_one_ground([guess], Ground(up, HEIGHT_M)) == (guess,)


@given(st.lists(st.tuples(st.floats(0.3, 1.5), st.floats(-0.5, 0.5), st.floats(0.7, 1.4),
                          st.floats(0.03, 0.3)), min_size=2, max_size=5), st.integers(0, 2 ** 16))
@settings(max_examples=40, deadline=None)
def test_what_is_told_turns_with_the_camera_and_forgets_the_order(objects, seed):
    rng = np.random.default_rng(seed)
    guesses = [standing(*rest, size_std=std) for *rest, std in objects]
    told = on_one_ground(guesses)
    assert all(np.linalg.eigvalsh(t.covariance).min() > 0.0 for t in told)
    Q = np.eye(4)
    Q[:3, :3] = Rotation.random(random_state=rng.integers(2 ** 31)).as_matrix()
    turn = np.kron(np.eye(2), Q[:3, :3])
    turned = on_one_ground([replace(g, T_cam_obj=Q @ g.T_cam_obj,
                                    covariance=turn @ g.covariance @ turn.T) for g in guesses])
    order = rng.permutation(len(guesses))
    shuffled = on_one_ground([guesses[i] for i in order])
    assert factors(turned, of=guesses) == pytest.approx(factors(told, of=guesses), rel=1e-6)
    assert [s.radius_m for s in shuffled] == pytest.approx([told[i].radius_m for i in order])
    # No guess is made worse than the worst of them.
    worst = max(abs(math.log(f)) for _, _, f, _ in objects)
    assert all(abs(math.log(t.radius_m / 0.06)) <= worst + 0.02 for t in told)
