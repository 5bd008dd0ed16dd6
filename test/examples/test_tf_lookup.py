# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The example's way to transforms: its own tree of frames, and tf2_ros where that is installed."""

from pathlib import Path
import sys
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'examples'))

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from grasp_maths import transform_of
from tf2_msgs.msg import TFMessage
from tf_lookup import FrameTree, make_lookup

QUARTER_Z = (0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5))


class Node:
    """Keeps the callbacks that a node would call."""

    def __init__(self):
        self.callbacks = {}

    def create_subscription(self, kind, topic, callback, qos):
        self.callbacks[topic] = callback

    def hear(self, topic, stamp_s, parent, child, position, quaternion=(0.0, 0.0, 0.0, 1.0)):
        item = TransformStamped(child_frame_id=child)
        item.header.frame_id, item.header.stamp = parent, time_of(stamp_s)
        t, q = item.transform.translation, item.transform.rotation
        t.x, t.y, t.z = position
        q.x, q.y, q.z, q.w = quaternion
        self.callbacks[topic](TFMessage(transforms=[item]))


def time_of(stamp_s):
    return Time(sec=int(stamp_s), nanosec=round((stamp_s % 1) * 1e9))


@pytest.fixture
def arm():
    """base -> hand (moving: 1 m along x at 5.0 s, 2 m at 5.5 s) -> camera (fixed, a quarter turn).
    """
    node = Node()
    tree = FrameTree(node)
    node.hear('/tf', 5.0, 'base', 'hand', (1.0, 0.0, 0.0))
    node.hear('/tf', 5.5, 'base', 'hand', (2.0, 0.0, 0.0))
    node.hear('/tf_static', 0.0, 'hand', 'camera', (0.0, 0.0, 0.5), QUARTER_Z)
    return node, tree


def test_a_chain_of_frames_at_the_stamp_that_is_asked_for(arm):
    _, tree = arm
    for stamp_s, x in ((5.0, 1.0), (5.04, 1.0), (5.48, 2.0)):
        T = tree.lookup('base', 'camera', time_of(stamp_s))
        assert T == pytest.approx(transform_of((x, 0.0, 0.5), QUARTER_Z))
    # A point 1 m along the camera's x lies along the base's y.
    assert (T @ (1.0, 0.0, 0.0, 1.0))[:3] == pytest.approx((2.0, 1.0, 0.5))


def test_the_other_way_round_and_between_branches(arm):
    node, tree = arm
    node.hear('/tf_static', 0.0, 'base', 'table', (0.0, 3.0, 0.0))
    stamp = time_of(5.0)
    assert tree.lookup('camera', 'base', stamp) == pytest.approx(
        np.linalg.inv(tree.lookup('base', 'camera', stamp)))
    assert tree.lookup('table', 'camera', stamp)[:3, 3] == pytest.approx((1.0, -3.0, 0.5))
    assert tree.lookup('base', 'base', stamp) == pytest.approx(np.eye(4))


def test_too_late_too_early_and_unknown_frames_are_not_known(arm):
    _, tree = arm
    for stamp_s in (4.8, 5.25, 5.7):
        assert tree.lookup('base', 'camera', time_of(stamp_s)) is None
    assert tree.lookup('map', 'camera', time_of(5.0)) is None


def test_memory_of_transforms_is_bounded_and_a_bag_may_begin_again(arm):
    node, tree = arm
    for i in range(400):
        node.hear('/tf', 100.0 + 0.1 * i, 'base', 'hand', (float(i), 0.0, 0.0))
    assert len(tree._moving['hand']) <= 102
    node.hear('/tf', 5.0, 'base', 'hand', (7.0, 0.0, 0.0))
    assert tree.lookup('base', 'hand', time_of(5.0))[0, 3] == 7.0


def test_tf2_ros_is_asked_where_it_is_installed(monkeypatch):
    class TransformException(Exception):
        pass

    class Buffer:
        def lookup_transform(self, target, source, time):
            if target != 'base':
                raise TransformException
            asked.append((source, time.nanoseconds))
            return SimpleNamespace(transform=SimpleNamespace(
                translation=SimpleNamespace(x=1.0, y=2.0, z=3.0),
                rotation=SimpleNamespace(x=0.0, y=0.0, z=0.0, w=1.0)))

    asked, listeners = [], []
    monkeypatch.setitem(sys.modules, 'tf2_ros', SimpleNamespace(
        Buffer=Buffer, TransformException=TransformException,
        TransformListener=lambda buffer, node: listeners.append((buffer, node))))
    node = Node()
    lookup = make_lookup(node)
    assert lookup('base', 'camera', time_of(5.5))[:3, 3] == pytest.approx((1.0, 2.0, 3.0))
    assert asked == [('camera', 5_500_000_000)]
    assert lookup('map', 'camera', time_of(5.5)) is None
    assert isinstance(listeners[0][0], Buffer) and listeners[0][1] is node
