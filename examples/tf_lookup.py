# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Transforms between frames for grasp_side.py: tf2_ros where it is installed.

Where it is not (a machine with rclpy from PyPI alone), /tf and /tf_static are kept here: enough
for a tutorial, without interpolation between stamps.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from grasp_maths import transform_of
import numpy as np
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

Lookup = Callable[[str, str, Any], 'np.ndarray | None']
"""(target frame, source frame, stamp) -> T_target_source (4, 4), None where it is not known yet."""

KEPT_S = 10.0
NEAR_S = 0.1
"""A transform this much younger or older than what is asked for stands in for it."""


def make_lookup(node: Node) -> Lookup:
    """A lookup that follows /tf and /tf_static through this node."""
    try:
        import tf2_ros
    except ImportError:
        return FrameTree(node).lookup
    from rclpy.time import Time

    buffer = tf2_ros.Buffer()
    listener = tf2_ros.TransformListener(buffer, node)

    def lookup(target: str, source: str, stamp: Any, kept: Any = listener) -> np.ndarray | None:
        try:
            found = buffer.lookup_transform(target, source, Time.from_msg(stamp)).transform
        except tf2_ros.TransformException:
            return None
        return _matrix(found)

    return lookup


def _matrix(transform: Any) -> np.ndarray:
    t, q = transform.translation, transform.rotation
    return transform_of((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))


def _seconds(stamp: Any) -> float:
    return float(stamp.sec + 1e-9 * stamp.nanosec)


class FrameTree:
    """The last seconds of /tf, and /tf_static, as lists of (stamp, parent, transform) a child."""

    def __init__(self, node: Node) -> None:
        self._static: dict[str, tuple[str, np.ndarray]] = {}
        self._moving: dict[str, list[tuple[float, str, np.ndarray]]] = {}
        node.create_subscription(TFMessage, '/tf', self._on_tf, 100)
        node.create_subscription(TFMessage, '/tf_static', self._on_tf_static, QoSProfile(
            depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL))

    def _on_tf_static(self, message: TFMessage) -> None:
        for item in message.transforms:
            self._static[item.child_frame_id] = item.header.frame_id, _matrix(item.transform)

    def _on_tf(self, message: TFMessage) -> None:
        for item in message.transforms:
            stamp_s = _seconds(item.header.stamp)
            kept = self._moving.setdefault(item.child_frame_id, [])
            if kept and stamp_s < kept[-1][0] - KEPT_S:
                kept.clear()  # a bag began again
            kept.append((stamp_s, item.header.frame_id, _matrix(item.transform)))
            kept.sort(key=lambda entry: entry[0])
            while kept[0][0] < stamp_s - KEPT_S:
                kept.pop(0)

    def lookup(self, target: str, source: str, stamp: Any) -> np.ndarray | None:
        """T_target_source at a stamp; None while the frames are not connected."""
        up, down = self._ancestors(source, stamp), self._ancestors(target, stamp)
        common = next((frame for frame in up if frame in down), None)
        return None if common is None else np.linalg.inv(down[common]) @ up[common]

    def _ancestors(self, frame: str, stamp: Any) -> dict[str, np.ndarray]:
        """T_ancestor_frame of the frame and of everything above it, the nearest first."""
        found = {frame: np.eye(4)}
        while True:
            edge = self._static.get(frame) or self._near(frame, _seconds(stamp))
            if edge is None or edge[0] in found:
                return found
            found[edge[0]] = edge[1] @ found[frame]
            frame = edge[0]

    def _near(self, child: str, stamp_s: float) -> tuple[str, np.ndarray] | None:
        kept = self._moving.get(child, [])
        after = bisect_left(kept, stamp_s, key=lambda entry: entry[0])
        near = min(kept[max(0, after - 1):after + 1], key=lambda e: abs(e[0] - stamp_s),
                   default=None)
        if near is None or abs(near[0] - stamp_s) > NEAR_S:
            return None
        return near[1:]
