# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Markers: what each shows in numbers, who keeps which id, and who is deleted."""

from dataclasses import replace
import math

import numpy as np
import pytest

from ros2_nabs_pose.bag_types import BagTypes
from ros2_nabs_pose.conversions import transform_from_pose
from ros2_nabs_pose.markers import CONE_SIDES, KINDS, marker_array, MarkerBoard, MAX_CONE_RAD

MAKE = BagTypes().make
HEADER = MAKE('std_msgs/msg/Header', frame_id='cam', stamp=MAKE(
    'builtin_interfaces/msg/Time', sec=12, nanosec=34))


def markers(estimates, board=None, lifetime_s=1.25):
    return marker_array(MAKE, HEADER, estimates, board or MarkerBoard(), lifetime_s).markers


def certain(estimate, **changes):
    return replace(estimate, **{'covariance': np.zeros((6, 6)), **changes})


def test_a_lifetime_just_below_a_second_is_one(estimate):
    [first, *_] = markers([certain(estimate)], lifetime_s=0.9999999999)
    assert (first.lifetime.sec, first.lifetime.nanosec) == (1, 0)


def points(marker):
    return np.array([(p.x, p.y, p.z) for p in marker.points])


def test_box_axes_and_name(estimate):
    box, axes, _, _, name = found = markers([certain(estimate)])
    assert tuple(m.ns for m in found) == KINDS
    assert all((m.action, m.id, m.header.frame_id) == (0, 0, 'cam') for m in found)
    assert all((m.lifetime.sec, m.lifetime.nanosec) == (1, 250_000_000) for m in found)
    assert (box.scale.x, box.scale.y, box.scale.z) == (0.11, 0.08, 0.1)
    np.testing.assert_allclose(
        transform_from_pose(box.pose)[:3, 3],
        estimate.T_cam_obj[:3, 3] + estimate.T_cam_obj[:3, :3] @ estimate.box_center_m)
    np.testing.assert_allclose(points(axes)[1::2], 0.75 * 0.11 * np.eye(3))
    assert name.text == 'mug_7 0.75'


def test_the_ellipsoid_has_two_sigma_half_axes_along_the_covariances_own(estimate):
    # A long axis along (1, 1, 0), 3 cm; 1 cm across.
    along = np.array([1.0, 1.0, 0.0]) / math.sqrt(2.0)
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = 1e-4 * np.eye(3) + (9e-4 - 1e-4) * np.outer(along, along)
    ellipsoid = markers([certain(estimate, covariance=covariance)])[2]
    scale = np.array([ellipsoid.scale.x, ellipsoid.scale.y, ellipsoid.scale.z])
    np.testing.assert_allclose(np.sort(scale), [0.04, 0.04, 0.12], atol=1e-9)
    T = transform_from_pose(ellipsoid.pose)
    np.testing.assert_allclose(T[:3, 3], estimate.T_cam_obj[:3, 3])
    assert abs(T[:3, int(np.argmax(scale))] @ along) == pytest.approx(1.0)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1.0)


def test_cones_open_as_far_as_the_axes_may_turn(estimate):
    # The object may spin by 0.2 rad about its own z: x and y swing by that, z does not move.
    z = estimate.T_cam_obj[:3, 2]
    covariance = np.zeros((6, 6))
    covariance[3:, 3:] = 0.04 * np.outer(z, z)
    cones = markers([certain(estimate, covariance=covariance)])[3]
    rims = points(cones).reshape(3, CONE_SIDES, 3, 3)[:, :, 1]
    np.testing.assert_allclose(np.linalg.norm(rims, axis=-1), 0.75 * 0.11)
    angles = [np.arccos(np.clip(rims[k, :, k] / (0.75 * 0.11), -1, 1)).max() for k in range(3)]
    assert angles == pytest.approx([0.4, 0.4, 0.0], abs=1e-6)
    # They swing within the object's x-y plane.
    np.testing.assert_allclose(rims[:2, :, 2], 0.0, atol=1e-9)
    assert len(cones.colors) == len(cones.points) == 3 * CONE_SIDES * 3


def test_a_cone_never_turns_inside_out(estimate):
    covariance = 100.0 * np.eye(6)
    rims = points(markers([certain(estimate, covariance=covariance)])[3])
    rims = rims.reshape(3, CONE_SIDES, 3, 3)[:, :, 1]
    assert rims[2, :, 2].min() == pytest.approx(0.75 * 0.11 * math.cos(MAX_CONE_RAD))


def test_ids_stay_with_their_objects_and_the_vanished_are_deleted(estimate):
    board = MarkerBoard()
    one, two, three = (certain(estimate, track_id=name) for name in '123')

    def ids(*estimates):
        found = markers(estimates, board)
        return ({m.text[:5]: m.id for m in found if m.ns == 'name' and m.action == 0},
                [(m.ns, m.id) for m in found if m.action == 2])

    assert ids(one, two) == ({'mug_1': 0, 'mug_2': 1}, [])
    assert ids(two) == ({'mug_2': 1}, [(kind, 0) for kind in KINDS])
    # A new object takes the free id; what it replaces needs no deletion any more.
    assert ids(three, two) == ({'mug_3': 0, 'mug_2': 1}, [])
    assert ids() == ({}, [(kind, number) for number in (0, 1) for kind in KINDS])
    assert ids() == ({}, [])
