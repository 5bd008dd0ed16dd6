# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""yolo_ros' detections become vision_msgs' and labels, by stand-ins with the documented fields."""

import importlib.util
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from ros2_nabs_pose import conversions
from ros2_nabs_pose.bag_types import BagTypes
from ros2_nabs_pose.depth_images import labels_from_message
from ros2_nabs_pose.detections import boxes_from_detections
from ros2_nabs_pose.yolo_adapter import detections_from_yolo, label_message, labels_from_yolo


@pytest.fixture(params=['bag', 'ros'])
def make(request):
    if request.param == 'bag':
        return BagTypes().make
    pytest.importorskip('rclpy')
    pytest.importorskip('vision_msgs')
    return conversions.ros_message


def found(name='cup', number=41, score=0.8, center=(100.0, 60.0), size=(40.0, 30.0), theta=0.0,
          track='3', outline=(), shape=(120, 160)):
    """yolo_msgs/Detection as of yolo_ros 4 to 5."""
    return SimpleNamespace(
        class_id=number, class_name=name, score=score, id=track,
        bbox=SimpleNamespace(center=SimpleNamespace(
            position=SimpleNamespace(x=center[0], y=center[1]), theta=theta),
            size=SimpleNamespace(x=size[0], y=size[1])),
        mask=SimpleNamespace(height=shape[0] if outline else 0, width=shape[1] if outline else 0,
                             data=[SimpleNamespace(x=x, y=y) for x, y in outline]))


def array_of(make, *items):
    stamp = make('builtin_interfaces/msg/Time', sec=5, nanosec=6)
    return SimpleNamespace(detections=list(items), header=make(
        'std_msgs/msg/Header', frame_id='camera', stamp=stamp))


def test_every_field_arrives(make):
    message = array_of(make, found(), found('', 39, 0.5, theta=0.25, track=''))
    made = detections_from_yolo(make, message)
    assert (made.header.frame_id, made.header.stamp.sec, made.header.stamp.nanosec) == (
        'camera', 5, 6)
    first, second = made.detections
    assert first.header == made.header
    assert (first.bbox.center.position.x, first.bbox.center.position.y) == (100.0, 60.0)
    assert (first.bbox.size_x, first.bbox.size_y, first.bbox.center.theta) == (40.0, 30.0, 0.0)
    assert (first.id, second.id) == ('3', '')
    assert [d.results[0].hypothesis.class_id for d in made.detections] == ['cup', '39']
    assert [d.results[0].hypothesis.score for d in made.detections] == [0.8, 0.5]
    assert second.bbox.center.theta == 0.25
    [box] = boxes_from_detections(made, {'cup': 'mug'}, 0.0, 640, 480).boxes
    assert (box.x0, box.y0, box.x1, box.y1, box.track_id) == (80, 45, 120, 75, '3')


def test_no_detections_give_an_empty_array(make):
    assert len(detections_from_yolo(make, array_of(make)).detections) == 0
    assert labels_from_yolo(array_of(make, found())) is None


def test_outlines_become_labels_with_the_surer_one_in_front(make):
    square = [(10.0, 20.0), (30.0, 20.0), (30.0, 40.0), (10.0, 40.0)]
    beside = [(x + 10.0, y) for x, y in square]
    message = array_of(make, found(), found(score=0.9, outline=square),
                       found(score=0.4, outline=beside))
    labels = labels_from_yolo(message)
    assert labels.shape == (120, 160)
    assert (labels[30, 12], labels[30, 25], labels[30, 38], labels[5, 5]) == (2, 2, 3, 0)
    assert np.count_nonzero(labels == 2) == 21 * 21
    made = label_message(make, message.header, labels)
    assert made.header.stamp.sec == 5
    np.testing.assert_array_equal(labels_from_message(made, 160, 120), labels)


def test_without_yolo_msgs_one_sentence_says_what_to_do():
    pytest.importorskip('rclpy')
    if importlib.util.find_spec('yolo_msgs'):
        pytest.skip('yolo_msgs is installed')
    done = subprocess.run([sys.executable, '-m', 'ros2_nabs_pose.yolo_adapter'], text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert 'yolo_msgs is not installed: build https://github.com/mgonzs13/yolo_ros' in line
