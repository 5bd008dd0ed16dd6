# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The example's maths: when a pose is steady, where the gripper goes first."""

from pathlib import Path
import sys

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'examples'))

from grasp_maths import (
    angle_between,
    mean_transform,
    pre_grasp,
    quaternion_of,
    Sighting,
    SteadyWatch,
    transform_of,
)

SIZE = np.array((0.12, 0.08, 0.1))
UPRIGHT = (0.0, 0.0, 0.0, 1.0)


def about(axis, angle):
    half = 0.5 * angle
    return (*(np.sin(half) * np.asarray(axis, float) / np.linalg.norm(axis)), np.cos(half))


def sighting(stamp_s, position=(0.5, 0.0, 0.2), quaternion=UPRIGHT, confidence=0.9, name='mug_1'):
    return Sighting(name, stamp_s, transform_of(position, quaternion), SIZE, confidence)


def watch(**changes):
    return SteadyWatch(**{'count': 3, 'max_spread_m': 0.01, 'max_tilt_rad': 0.1,
                          'min_confidence': 0.5, **changes})


def test_steady_after_the_count_with_the_mean_of_what_was_seen():
    steady = watch()
    assert steady.add(sighting(0.0, (0.500, 0.0, 0.2))) is None
    assert steady.add(sighting(0.1, (0.503, 0.0, 0.2))) is None
    found = steady.add(sighting(0.2, (0.506, 0.0, 0.2), confidence=0.6))
    assert found.T_base_obj[:3, 3] == pytest.approx((0.503, 0.0, 0.2))
    assert found.spread_m == pytest.approx(0.003)
    assert found.confidence == pytest.approx(0.8)
    assert found.size_m == pytest.approx(SIZE)


def test_a_turn_about_the_axis_is_no_movement_and_a_tilt_is():
    turning = [watch().add, watch().add]
    for i in range(3):
        turned = turning[0](sighting(0.1 * i, quaternion=about((0, 0, 1), 0.5 * i)))
        tilted = turning[1](sighting(0.1 * i, quaternion=about((1, 0, 0), 0.15 * i)))
    assert turned.spread_rad < 1e-6
    assert tilted is None


@pytest.mark.parametrize('third', [
    sighting(0.2, (0.55, 0.0, 0.2)),  # moved
    sighting(0.2, confidence=0.4),  # doubted
    sighting(1.5),  # after a gap
    sighting(-5.0),  # a bag that began again
    sighting(0.2, name='mug_2'),  # another object
])
def test_what_starts_the_wait_anew(third):
    steady = watch()
    steady.add(sighting(0.0))
    steady.add(sighting(0.1))
    assert steady.add(third) is None


def test_two_objects_are_waited_for_apart():
    steady = watch(count=2)
    assert steady.add(sighting(0.0, name='a')) is None
    assert steady.add(sighting(0.0, (1.0, 0.0, 0.0), name='b')) is None
    assert steady.add(sighting(0.1, name='a')).name == 'a'
    assert steady.add(sighting(0.1, (1.0, 0.0, 0.0), name='b')).T_base_obj[0, 3] == 1.0


def test_from_the_side_the_gripper_comes_level_from_the_robot():
    goal = pre_grasp(transform_of((0.3, 0.4, 0.2), UPRIGHT), SIZE, 'side', 0.1)
    assert goal.approach == pytest.approx((0.6, 0.8, 0.0))
    # 10 cm before the body, which is 8 cm thick.
    assert goal.T_base_gripper[:3, 3] == pytest.approx((0.3 - 0.14 * 0.6, 0.4 - 0.14 * 0.8, 0.2))
    assert goal.opening_m == pytest.approx(0.08)
    R = goal.T_base_gripper[:3, :3]
    assert R.T @ R == pytest.approx(np.eye(3))
    assert np.linalg.det(R) == pytest.approx(1.0)
    assert R[:, 2] == pytest.approx(goal.approach)
    assert R[2, 1] == pytest.approx(0.0)  # the fingers close level


@pytest.mark.parametrize('angle', [0.0, np.pi])
def test_from_the_top_it_comes_down_even_on_a_mug_upside_down(angle):
    T = transform_of((0.5, 0.0, 0.1), about((1, 0, 0), angle))
    goal = pre_grasp(T, SIZE, 'top', 0.1)
    assert goal.approach == pytest.approx((0.0, 0.0, -1.0))
    assert goal.T_base_gripper[:3, 3] == pytest.approx((0.5, 0.0, 0.25))
    assert np.linalg.det(goal.T_base_gripper[:3, :3]) == pytest.approx(1.0)


def test_an_axis_towards_the_robot_leaves_no_side():
    lying = transform_of((0.5, 0.0, 0.0), about((0, 1, 0), np.pi / 2))
    with pytest.raises(ValueError, match='no side to come from'):
        pre_grasp(lying, SIZE, 'side', 0.1)
    with pytest.raises(ValueError, match="choose 'side' or 'top'"):
        pre_grasp(lying, SIZE, 'left', 0.1)


def test_mean_of_rotations_lies_between_them():
    turns = [transform_of((0, 0, 0), about((0, 0, 1), angle)) for angle in (0.2, 0.4)]
    expected = transform_of((0, 0, 0), about((0, 0, 1), 0.3))
    assert mean_transform(turns) == pytest.approx(expected)


@pytest.mark.parametrize('axis, angle', [((1, 2, 3), 0.0), ((1, 2, 3), 1.0), ((0, 1, 0), np.pi),
                                         ((1, 1, 0), 3.1), ((0, 0, -1), 2.5)])
def test_quaternions_there_and_back(axis, angle):
    quaternion = quaternion_of(transform_of((0, 0, 0), about(axis, angle)))
    assert quaternion[3] >= 0.0
    assert abs(quaternion @ np.asarray(about(axis, angle))) == pytest.approx(1.0)


def test_small_angles_are_exact():
    a = np.array((0.0, 0.0, 1.0))
    b = np.array((1e-9, 0.0, 1.0))
    assert angle_between(a, b) == pytest.approx(1e-9, rel=1e-6)
