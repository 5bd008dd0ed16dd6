# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The grasp side of examples/ as its own process, over DDS: poses and transforms in, goals out."""

import math
import os
from pathlib import Path
import random
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')

from geometry_msgs.msg import PoseStamped, TransformStamped
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

pytestmark = pytest.mark.ros

EXAMPLE = Path(__file__).resolve().parents[2] / 'examples' / 'grasp_side.py'
CAMERA = 'camera_optical_frame'
BASE_S = 1_700_000_000
# The camera looks level along the base's x axis, from 1 m before and 0.5 m above its origin:
# its z is the base's x, its x the base's -y, its y the base's -z.
CAMERA_POSITION, CAMERA_ROTATION = (-1.0, 0.0, 0.5), (-0.5, 0.5, -0.5, 0.5)
# An upright object in such a view: its z is the camera's -y.
UPRIGHT = (math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5))


class Client:
    """Publishes a camera's place and object poses; hears goals."""

    def __init__(self, domain):
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node('test_client', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.poses = self.node.create_publisher(Detection3DArray, '/nabs_pose/poses', 10)
        self.tf = self.node.create_publisher(TFMessage, '/tf', 10)
        self.tf_static = self.node.create_publisher(
            TFMessage, '/tf_static',
            QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        self.goals = []
        self.node.create_subscription(PoseStamped, '/grasp_side/pre_grasp', self.goals.append, 10)
        self.stamp_s = float(BASE_S)

    def spin(self, seconds, condition=lambda: False):
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            self.executor.spin_once(timeout_sec=0.02)
        return condition()

    def place_camera(self, publisher, parent='base_link', child=CAMERA):
        transform = TransformStamped(child_frame_id=child)
        transform.header.frame_id = parent
        set_stamp(transform.header, self.stamp_s)
        t, q = transform.transform.translation, transform.transform.rotation
        t.x, t.y, t.z = CAMERA_POSITION
        q.x, q.y, q.z, q.w = CAMERA_ROTATION
        publisher.publish(TFMessage(transforms=[transform]))

    def show(self, position, score=0.9, step_s=0.1, category='mug'):
        """One array with one object, called mug_1, at ``position`` in the camera's frame."""
        self.stamp_s += step_s
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = category, score
        p, q = result.pose.pose.position, result.pose.pose.orientation
        p.x, p.y, p.z = position
        q.x, q.y, q.z, q.w = UPRIGHT
        item = Detection3D(results=[result], id='mug_1')
        item.bbox.size.x, item.bbox.size.y, item.bbox.size.z = 0.12, 0.08, 0.1
        message = Detection3DArray(detections=[item])
        for header in (message.header, item.header):
            header.frame_id = CAMERA
            set_stamp(header, self.stamp_s)
        self.poses.publish(message)
        self.spin(0.05)

    def close(self):
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


def set_stamp(header, stamp_s):
    header.stamp.sec, header.stamp.nanosec = divmod(round(stamp_s * 1e9), 10**9)


@pytest.fixture
def client(tmp_path):
    domain = random.SystemRandom().randint(1, 100)
    environment = {**os.environ, 'ROS_DOMAIN_ID': str(domain), 'PYTHONUNBUFFERED': '1',
                   'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', 'ROS_PYTHON_CHECK_FIELDS': '1'}
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    log = tmp_path / 'log'
    with log.open('w') as file:
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLE), '--ros-args', '-r', 'poses:=/nabs_pose/poses', '-p',
             'count:=5'], env=environment, stdout=file, stderr=subprocess.STDOUT)
    made = Client(domain)
    assert made.spin(30.0, lambda: made.poses.get_subscription_count()
                     and made.tf.get_subscription_count()
                     and made.node.count_publishers('/grasp_side/pre_grasp')), log.read_text()
    made.spin(0.5)
    made.log = log
    yield made
    made.close()
    process.terminate()
    process.wait(10.0)


def test_a_steady_mug_gets_a_goal_in_the_robots_base(client):
    client.place_camera(client.tf_static)
    client.spin(0.3)
    # 1.5 m before the camera, 0.3 m to its left, 0.3 m below it: (0.5, 0.3, 0.2) in the base.
    for offset in (0.0, 0.004, -0.004, 0.002, -0.002):
        assert client.goals == []
        client.show((-0.3, 0.3, 1.5 + offset))
    assert client.spin(5.0, lambda: client.goals), client.log.read_text()
    goal = client.goals[0]
    assert goal.header.frame_id == 'base_link'
    assert goal.header.stamp.sec + 1e-9 * goal.header.stamp.nanosec == pytest.approx(
        client.stamp_s, abs=1e-6)
    along = np.array((0.5, 0.3)) / math.hypot(0.5, 0.3)
    position = goal.pose.position
    # 10 cm before a body that is 8 cm thick, level with the mug's middle.
    assert (position.x, position.y) == pytest.approx(
        tuple(np.array((0.5, 0.3)) - 0.14 * along), abs=1e-6)
    assert position.z == pytest.approx(0.2, abs=1e-6)
    q = goal.pose.orientation
    approach = (2 * (q.x * q.z + q.y * q.w), 2 * (q.y * q.z - q.x * q.w),
                1 - 2 * (q.x * q.x + q.y * q.y))
    assert approach == pytest.approx((along[0], along[1], 0.0), abs=1e-6)
    client.spin(0.2)
    assert 'mug_1 stands at (0.500, 0.300, 0.200) in base_link' in client.log.read_text()
    assert '10 cm off, open more than 8 cm' in client.log.read_text()


def test_neither_moving_nor_doubted_nor_unplaced_mugs_get_one(client):
    for _ in range(6):
        client.show((-0.3, 0.3, 1.5))  # no transform
    client.stamp_s += 5.0
    for i in range(8):
        client.place_camera(client.tf)
        client.show((-0.3, 0.3, 1.0 + 0.05 * i))
    for _ in range(8):
        client.place_camera(client.tf)
        client.show((-0.3, 0.3, 1.5), score=0.3)
    client.spin(0.5)
    assert client.goals == []
    for _ in range(6):
        client.place_camera(client.tf)
        client.show((-0.3, 0.3, 1.5))
    assert client.spin(5.0, lambda: client.goals), client.log.read_text()
    assert client.goals[0].pose.position.z == pytest.approx(0.2, abs=1e-6)


def test_two_classes_that_share_an_id_are_two_objects(client):
    """Taken for one, they would jump to and fro and never be steady."""
    client.place_camera(client.tf_static)
    client.spin(0.3)
    for _ in range(5):
        client.show((-0.3, 0.3, 1.5))
        client.show((0.3, 0.3, 1.2), category='bowl')
    assert client.spin(5.0, lambda: len(client.goals) >= 2), client.log.read_text()
    client.spin(0.3)
    told = client.log.read_text()
    assert 'mug mug_1 stands at (0.500, 0.300, 0.200)' in told
    assert sorted(goal.pose.position.y > 0.0 for goal in client.goals) == [False, True]
