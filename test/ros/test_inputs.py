# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The timer behind depth_wait_s: each frame waits for its own time and no longer."""

import time

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')

from messages import stamped
import rclpy
from rclpy.executors import SingleThreadedExecutor

from ros2_nabs_pose.inputs import Inputs
from ros2_nabs_pose.parameters import Parameters

pytestmark = pytest.mark.ros

WAIT_S = 0.6


@pytest.fixture
def bench():
    """(inputs, what they gave and when, spin for some seconds); depth is expected in vain."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('inputs', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    given = []
    inputs = Inputs(node, lambda match: given.append((match.image.name, time.monotonic())),
                    lambda callback: callback)
    inputs.configure(Parameters(depth_wait_s=WAIT_S))
    inputs.open(Parameters(depth_wait_s=WAIT_S))
    inputs.matcher.expect('depth', True)
    inputs._on_camera_info(stamped(0.0))

    def spin(seconds):
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0.0:
            executor.spin_once(timeout_sec=left_s)

    yield inputs, given, spin
    inputs.close()
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown(context=context)


def put(inputs, stamp_s):
    """Image and boxes; when they were there."""
    inputs._on_image(stamped(stamp_s, f'{stamp_s:g}'))
    inputs._on_detections(stamped(stamp_s))
    return time.monotonic()


def test_a_frame_waits_for_its_own_time_whatever_came_before_it(bench):
    inputs, given, spin = bench
    began_s = [put(inputs, 1.0)]
    spin(0.15)
    began_s.append(put(inputs, 2.0))
    spin(1.0)
    assert [name for name, _ in given] == ['1', '2']
    for (_, given_s), put_s in zip(given, began_s):
        # A timer that runs on from the first frame would let the second one wait for 1.05 s.
        assert WAIT_S - 0.005 <= given_s - put_s < WAIT_S + 0.25
    assert inputs._deadline.is_canceled()


def test_a_timer_of_a_forgotten_frame_ends(bench):
    inputs, given, spin = bench
    put(inputs, 1.0)
    inputs.matcher.clear()
    spin(WAIT_S + 0.3)
    assert given == []
    assert inputs._deadline.is_canceled()
    put_s = put(inputs, 2.0)
    spin(WAIT_S + 0.3)
    [(_, given_s)] = given
    assert WAIT_S - 0.005 <= given_s - put_s < WAIT_S + 0.25
