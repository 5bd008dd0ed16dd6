# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Intrinsics from camera_info, and messages from estimates."""

import math
from types import SimpleNamespace

from messages import camera_info
import numpy as np
import pytest

from ros2_nabs_pose import conversions
from ros2_nabs_pose.bag_types import BagTypes

TYPES = BagTypes()


def make_ros():
    pytest.importorskip('rclpy')
    pytest.importorskip('vision_msgs')
    return conversions.ros_message


@pytest.fixture(params=['bag', 'ros'])
def make(request):
    """Both makers of messages, so that a bag and a node carry the same."""
    return TYPES.make if request.param == 'bag' else make_ros()


def header(make):
    return make('std_msgs/msg/Header', frame_id='cam', stamp=make(
        'builtin_interfaces/msg/Time', sec=12, nanosec=34))


def test_intrinsics_of_a_raw_image_carry_the_lens():
    intrinsics = conversions.intrinsics_from_camera_info(camera_info(), 640, 480, False)
    assert (intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy) == (500, 510, 320, 240)
    assert intrinsics.distortion == (0.1, -0.2, 0.0, 0.0, 0.05)


def test_intrinsics_of_a_rectified_image_come_from_p():
    intrinsics = conversions.intrinsics_from_camera_info(camera_info(), 640, 480, True)
    assert (intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy) == (400, 410, 300, 200)
    assert intrinsics.distortion == ()


def test_roi_then_binning_then_size_of_the_image():
    info = camera_info(binning_x=2, binning_y=2, roi=SimpleNamespace(
        x_offset=100, y_offset=40, width=400, height=400))
    intrinsics = conversions.intrinsics_from_camera_info(info, 200, 200, False)
    assert (intrinsics.fx, intrinsics.cx, intrinsics.cy) == (250, 110, 100)
    assert (intrinsics.width, intrinsics.height) == (200, 200)


@pytest.mark.parametrize('namespace, track_id, name', [
    ('/', '7', 'mug_7'), ('/left/arm', '7', 'left/arm/mug_7'), ('/', 'mug_2', 'mug_2'),
    ('/', '', 'mug'), ('/', 'mugs', 'mug_mugs')])
def test_child_frames(namespace, track_id, name):
    assert conversions.frame_name(namespace, 'mug', track_id) == name


def test_a_pose_survives_the_message(make, estimate):
    message = conversions.pose_stamped(make, header(make), estimate)
    assert (message.header.frame_id, message.header.stamp.sec) == ('cam', 12)
    q = message.pose.orientation
    assert math.hypot(q.x, q.y, q.z, q.w) == pytest.approx(1.0)
    np.testing.assert_allclose(conversions.transform_from_pose(message.pose), estimate.T_cam_obj,
                               atol=1e-12)


def test_detection3d_holds_pose_covariance_box_and_track(make, estimate):
    array = conversions.detection3d_array(make, header(make), [estimate])
    [item] = array.detections
    assert (item.id, len(item.results)) == ('7', 1)
    hypothesis = item.results[0].hypothesis
    assert (hypothesis.class_id, hypothesis.score) == ('mug', 0.75)
    np.testing.assert_array_equal(item.results[0].pose.covariance, np.arange(36.0))
    assert (item.bbox.size.x, item.bbox.size.y, item.bbox.size.z) == (0.11, 0.08, 0.1)
    # The box's centre: 15 mm along the object's x, which is (0, sin, -cos) in the camera.
    center = item.bbox.center.position
    assert (center.x, center.y, center.z) == pytest.approx(
        (0.1, -0.2 + 0.015 * math.sin(0.5), 0.7 - 0.015 * math.cos(0.5)))
    assert item.header == array.header


def test_nothing_believed_in_is_an_empty_array(make):
    array = conversions.detection3d_array(make, header(make), [])
    assert len(array.detections) == 0
    assert array.header.stamp.nanosec == 34


def test_transforms(make, estimate):
    [transform] = conversions.tf_message(make, header(make), [estimate], '/left').transforms
    assert transform.child_frame_id == 'left/mug_7'
    assert transform.header.frame_id == 'cam'
    t = transform.transform.translation
    assert (t.x, t.y, t.z) == (0.1, -0.2, 0.7)


def test_a_debug_picture_becomes_an_image():
    make = make_ros()
    rgb = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    message = conversions.image_message(header(make), rgb)
    assert (message.height, message.width, message.step, message.encoding) == (4, 5, 15, 'rgb8')
    np.testing.assert_array_equal(np.frombuffer(message.data, np.uint8), rgb.reshape(-1))
