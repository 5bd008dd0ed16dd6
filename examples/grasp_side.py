#!/usr/bin/env python3
# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A grasp side to copy: waits for a steady, confident pose and says where the gripper goes first.

    python3 examples/grasp_side.py --ros-args -r poses:=/nabs_pose/poses -p base_frame:=base_link

Each pose is carried into the robot's base frame with the camera's transform at the image's stamp,
so that a camera on a moving arm does no harm. Publishes ~/pre_grasp (PoseStamped in the base
frame: z along the approach, fingers close along y). docs/tutorial_grasp.md walks through it.
"""

from __future__ import annotations

from collections import deque
import math

from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from grasp_maths import (
    pre_grasp,
    PreGrasp,
    quaternion_of,
    Sighting,
    Steady,
    SteadyWatch,
    transform_of,
)
import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from tf_lookup import make_lookup
from vision_msgs.msg import Detection3D, Detection3DArray

PATIENCE_S = 1.0
"""Poses wait so long for their camera's transform, by their stamps."""


def seconds(stamp: Time) -> float:
    """A message's stamp as seconds."""
    return float(stamp.sec + 1e-9 * stamp.nanosec)


class GraspSide(Node):
    """Object poses in, pre-grasps out."""

    def __init__(self) -> None:
        super().__init__('grasp_side')
        self._base = self.declare_parameter('base_frame', 'base_link').value
        self._class = self.declare_parameter('object_class', '').value
        self._approach = self.declare_parameter('approach', 'side').value
        self._standoff_m = self.declare_parameter('standoff_m', 0.10).value
        self._watch = SteadyWatch(
            count=self.declare_parameter('count', 8).value,
            max_spread_m=self.declare_parameter('max_spread_m', 0.02).value,
            max_tilt_rad=math.radians(self.declare_parameter('max_tilt_deg', 8.0).value),
            min_confidence=self.declare_parameter('min_confidence', 0.5).value)
        self._waiting: deque[Detection3DArray] = deque(maxlen=100)
        self._lookup = make_lookup(self)
        self._goal = self.create_publisher(PoseStamped, '~/pre_grasp', 10)
        self.create_subscription(Detection3DArray, 'poses', self._on_poses, 10)
        # Transforms come later than images, or earlier; the poses wait for theirs.
        self.create_timer(0.05, self._work_off)

    def _on_poses(self, message: Detection3DArray) -> None:
        self._waiting.append(message)
        self._work_off()

    def _work_off(self) -> None:
        """Take what has its transform, oldest first."""
        while self._waiting:
            header = self._waiting[0].header
            T_base_cam = self._lookup(self._base, header.frame_id, header.stamp)
            if T_base_cam is None:
                if seconds(self._waiting[-1].header.stamp) - seconds(header.stamp) < PATIENCE_S:
                    return
                self.get_logger().warning(
                    f'no transform from {header.frame_id} to {self._base}: poses are left out',
                    throttle_duration_sec=5.0)
            for item in self._waiting.popleft().detections:
                if T_base_cam is not None and item.results:
                    self._on_object(item, T_base_cam)

    def _on_object(self, item: Detection3D, T_base_cam: np.ndarray) -> None:
        best = item.results[0]
        if self._class not in ('', best.hypothesis.class_id):
            return
        p, q = best.pose.pose.position, best.pose.pose.orientation
        size = item.bbox.size
        # Ids are unique within a class only, where they come from the detector.
        steady = self._watch.add(Sighting(
            f'{best.hypothesis.class_id} {item.id}', seconds(item.header.stamp),
            T_base_cam @ transform_of((p.x, p.y, p.z), (q.x, q.y, q.z, q.w)),
            np.array((size.x, size.y, size.z)), best.hypothesis.score))
        if steady is None:
            return
        try:
            goal = pre_grasp(steady.T_base_obj, steady.size_m, self._approach, self._standoff_m)
        except ValueError as error:
            self.get_logger().warning(f'{item.id}: {error}', throttle_duration_sec=5.0)
            return
        self._goal.publish(self._message(goal, item))
        self.get_logger().info(self._describe(steady, goal), throttle_duration_sec=1.0)

    def _message(self, goal: PreGrasp, item: Detection3D) -> PoseStamped:
        message = PoseStamped()
        message.header.stamp = item.header.stamp
        message.header.frame_id = self._base
        position, orientation = message.pose.position, message.pose.orientation
        position.x, position.y, position.z = goal.T_base_gripper[:3, 3].tolist()
        orientation.x, orientation.y, orientation.z, orientation.w = quaternion_of(
            goal.T_base_gripper).tolist()
        return message

    def _describe(self, steady: Steady, goal: PreGrasp) -> str:
        def words(vector: np.ndarray) -> str:
            return '(' + ', '.join(f'{v:.3f}' for v in vector) + ')'

        return (f'{steady.name} stands at {words(steady.T_base_obj[:3, 3])} in {self._base} '
                f'(within {1e3 * steady.spread_m:.0f} mm and '
                f'{math.degrees(steady.spread_rad):.1f} deg, confidence {steady.confidence:.2f}): '
                f'pre-grasp at {words(goal.T_base_gripper[:3, 3])}, approach along '
                f'{words(goal.approach)}, {100 * self._standoff_m:.0f} cm off, open more than '
                f'{100 * goal.opening_m:.0f} cm')


def main() -> None:
    """Run until Ctrl-C."""
    rclpy.init()
    node = GraspSide()
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == '__main__':
    main()
