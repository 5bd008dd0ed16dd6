# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A box, given or drawn, becomes detections under each image's header."""

import math
import os
import random
import time

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from ros2_nabs_pose import box_publisher
from ros2_nabs_pose.box_publisher import (
    BoxPublisher,
    checked_box,
    detections_of_box,
    Drawing,
    Follower,
    why_no_window,
)
from ros2_nabs_pose.conversions import ros_message
from ros2_nabs_pose.detections import boxes_from_detections

pytestmark = pytest.mark.ros

BOX = [20.0, 10.0, 60.0, 70.0]


def test_four_edges_are_a_box_and_nothing_is_none():
    assert checked_box([1, 2, 3.5, 4]) == (1.0, 2.0, 3.5, 4.0)
    assert checked_box([]) is checked_box([0, 0, 0, 0]) is None


@pytest.mark.parametrize('values, words', [
    ([1, 2, 3], 'give left, top'), ([1, 2, math.nan, 4], 'give left, top'),
    ('mug', 'give left, top'), (5, 'a list of four'), (None, 'a list of four'),
    ([3, 2, 1, 4], 'beyond'), ([1, 4, 3, 4], 'beyond')])
def test_other_boxes_are_refused_with_the_reason(values, words):
    with pytest.raises(ValueError, match=words):
        checked_box(values)


def test_a_drawn_box_reaches_from_corner_to_corner():
    drawing = Drawing()
    drawing.on_mouse(cv2.EVENT_MOUSEMOVE, 5, 5, 0, None)
    assert drawing.growing is None
    drawing.on_mouse(cv2.EVENT_LBUTTONDOWN, 60, 70, 0, None)
    drawing.on_mouse(cv2.EVENT_MOUSEMOVE, 40, 30, 0, None)
    assert drawing.growing == (40.0, 30.0, 60.0, 70.0)
    assert drawing.drawn is None
    drawing.on_mouse(cv2.EVENT_LBUTTONUP, 20, 10, 0, None)
    assert (drawing.drawn, drawing.growing) == (tuple(BOX), None)
    drawing.on_mouse(cv2.EVENT_LBUTTONDOWN, 5, 5, 0, None)
    drawing.on_mouse(cv2.EVENT_LBUTTONUP, 5, 5, 0, None)
    assert drawing.drawn == tuple(BOX)


def test_a_follower_keeps_up_with_what_moves():
    rng = np.random.default_rng(0)
    ground = cv2.resize(rng.integers(90, 130, (24, 32, 3), np.uint8), (640, 480))
    thing = cv2.resize(rng.integers(0, 255, (6, 6, 3), np.uint8), (90, 90))

    def picture(x, y):
        made = ground.copy()
        made[y:y + 90, x:x + 90] = thing
        return made

    cv2.setRNGSeed(1)
    follower = Follower(picture(200, 150), (200.0, 150.0, 290.0, 240.0))
    for i in range(1, 7):
        box = follower.follow(picture(200 + 6 * i, 150 + 4 * i))
    assert box == pytest.approx((236, 174, 326, 264), abs=8)


@pytest.mark.parametrize('build, display, words', [
    ('GUI:                           NONE', ':0', 'opencv-python-headless'),
    ('GUI:                           GTK3', '', 'no display'),
    ('GUI:                           GTK3', ':0', '')])
def test_why_there_is_no_window(monkeypatch, build, display, words):
    monkeypatch.setattr(cv2, 'getBuildInformation', lambda: build)
    monkeypatch.setattr(box_publisher.sys, 'platform', 'linux')
    monkeypatch.setenv('DISPLAY', display)
    monkeypatch.delenv('WAYLAND_DISPLAY', raising=False)
    reason = why_no_window()
    assert words in reason
    assert bool(reason) == bool(words)


class Bench:
    """The node, a camera and a listener in one executor and a DDS domain of their own."""

    def __init__(self, monkeypatch, camera=Image, topic='image', **parameters):
        monkeypatch.setitem(os.environ, 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=random.SystemRandom().randint(1, 100))
        self.executor = SingleThreadedExecutor(context=self.context)
        self.node = BoxPublisher(context=self.context, parameter_overrides=[
            Parameter(name, value=value) for name, value in parameters.items()])
        self.other = rclpy.create_node('other', context=self.context)
        for node in (self.node, self.other):
            self.executor.add_node(node)
        self.received = []
        self.other.create_subscription(Detection2DArray, 'detections', self.received.append, 10)
        self.camera = self.other.create_publisher(camera, topic, 10)
        assert self.spin_until(self.camera.get_subscription_count)

    def spin_until(self, condition, timeout_s=10.0):
        deadline = time.monotonic() + timeout_s
        while not (value := condition()) and time.monotonic() < deadline:
            self.executor.spin_once(timeout_sec=0.05)
        return value

    def answer(self, message, stamp_s):
        """The detections for an image, sent until it is heard; its stamp is theirs."""
        message.header.frame_id, message.header.stamp.sec = 'camera', stamp_s

        def heard():
            self.camera.publish(message)
            self.spin_until(lambda: self.received, 0.5)
            return [m for m in self.received if m.header.stamp.sec == stamp_s]

        return self.spin_until(heard)[0]

    def close(self):
        self.executor.shutdown()
        for node in (self.node, self.other):
            node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def bench(monkeypatch):
    made = []

    def make(**changes):
        made.append(Bench(monkeypatch, **changes))
        return made[-1]

    yield make
    for item in made:
        item.close()


RAW = Image(height=80, width=100, encoding='rgb8', step=300, data=bytes(24000))
JPEG = CompressedImage(format='jpeg', data=cv2.imencode(
    '.jpg', np.zeros((80, 100, 3), np.uint8))[1].tobytes())


def found_in(message):
    return boxes_from_detections(message, {'cup': 'mug', 'bowl': 'bowl'}, 0.0, 100, 80).boxes


@pytest.mark.parametrize('camera, topic, picture', [
    (Image, 'image', RAW), (CompressedImage, 'image/compressed', JPEG)])
def test_each_image_gets_the_box_under_its_header(bench, camera, topic, picture):
    made = bench(camera=camera, topic=topic, box=BOX, class_id='cup', track_id='7')
    message = made.answer(picture, 12)
    assert message.header == picture.header
    [detection] = message.detections
    assert (detection.header, detection.id) == (picture.header, '7')
    [box] = found_in(message)
    assert (box.x0, box.y0, box.x1, box.y1, box.category, box.score) == (20, 10, 60, 70, 'mug', 1)


def test_a_new_box_counts_at_once_and_a_wrong_one_is_refused(bench):
    made = bench(box=[1, 2, 3, 4], class_id='cup')
    assert found_in(made.answer(RAW, 1))[0].x1 == 3.0
    [refused] = made.node.set_parameters([Parameter('box', value=[5.0, 5.0, 4.0, 9.0])])
    assert not refused.successful
    assert 'beyond left and top' in refused.reason
    [taken] = made.node.set_parameters([Parameter('box', value=BOX)])
    assert taken.successful
    assert found_in(made.answer(RAW, 2))[0].x1 == 60.0


class Canvas:
    """Stands in for the window of an OpenCV that has some."""

    def __init__(self):
        self.shown, self.drawn = [], None

    def show(self, rgb, box):
        self.shown.append((rgb.shape, box))

    def take(self):
        drawn, self.drawn = self.drawn, None
        return drawn


def test_nothing_is_published_until_a_box_is_drawn(bench, monkeypatch):
    monkeypatch.setattr(box_publisher, 'why_no_window', lambda: '')
    monkeypatch.setattr(box_publisher, 'Window', Canvas)
    made = bench(class_id='bowl')
    window = made.node.window
    made.camera.publish(RAW)
    assert made.spin_until(lambda: window.shown)
    assert window.shown[-1] == ((80, 100, 3), None)
    made.node.take_drawn()
    assert made.received == []
    window.drawn = tuple(BOX)
    made.node.take_drawn()
    [box] = found_in(made.answer(RAW, 3))
    assert (box.x0, box.y1, box.category) == (20, 70, 'bowl')
    assert window.shown[-1] == ((80, 100, 3), tuple(BOX))
    assert made.received[-1].detections[0].id == '1'
    # Whatever is drawn next is another object, and must not inherit the first one's track.
    window.drawn = tuple(BOX)
    made.node.take_drawn()
    found_in(made.answer(RAW, 4))
    assert made.received[-1].detections[0].id == '1-2'


def test_without_box_and_window_one_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setattr(box_publisher, 'why_no_window', lambda: 'no window, so give a box')
    context = rclpy.Context()
    rclpy.init(context=context)
    try:
        with pytest.raises(ValueError, match='no window, so give a box'):
            BoxPublisher(context=context)
    finally:
        rclpy.shutdown(context=context)


def test_a_detection_is_sure_and_its_fields_are_floats():
    message = detections_of_box(ros_message, RAW.header, (1.0, 2.0, 4.0, 8.0), 'mug', '')
    [detection] = message.detections
    assert detection.results[0].hypothesis.score == 1.0
    assert (detection.bbox.center.position.x, detection.bbox.size_y) == (2.5, 6.0)
