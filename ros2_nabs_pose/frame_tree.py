# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Where a frame lies in a camera's, from the transforms that robots publish.

tf2_ros would do, but in Python it brings a listener thread of its own and is not there without a
ROS installation, where bags are converted. Nothing here imports ROS: messages of rclpy and of a
bag are the same to it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
import math
import threading
from typing import Any

import numpy as np

from .core.quaternions import matrix_rows
from .core.types import PoseError
from .matching import CLOCK_JUMP_NS, stamp_ns

KEPT = 1000
"""Transforms of a moving frame: ten seconds at 100 Hz, so that late detections find theirs."""
LATEST_NS = 500_000_000
"""A moving frame's transform farther than this from the image's stamp tells nothing of it."""


@dataclass
class _Link:
    """From a frame to its parent: one transform, or those of the last seconds by stamp."""

    parent: str
    static: bool
    seen: deque[tuple[int, Any]] = field(default_factory=lambda: deque(maxlen=KEPT))

    def add(self, when_ns: int, transform: Any) -> None:
        if self.static or self.seen and when_ns < self.seen[-1][0] - CLOCK_JUMP_NS:
            self.seen.clear()
        self.seen.append((when_ns, transform))

    def at(self, when_ns: int) -> np.ndarray | None:
        """T_parent_child (4, 4) nearest to a time, None where there is none near it."""
        nearest_ns, transform = min(self.seen, key=lambda one: abs(one[0] - when_ns))
        if not self.static and abs(nearest_ns - when_ns) > LATEST_NS:
            return None
        T_parent_child = np.eye(4)
        T_parent_child[:3, :3] = matrix_rows(*_rotation(transform))
        moved = transform.translation
        T_parent_child[:3, 3] = moved.x, moved.y, moved.z
        return T_parent_child


class FrameTree:
    """The transforms of /tf and /tf_static; any thread may add and ask."""

    def __init__(self) -> None:
        self._links: dict[str, _Link] = {}
        self._lock = threading.Lock()

    def add(self, message: Any, static: bool = False) -> None:
        """Take a tf2_msgs/TFMessage; transforms whose rotation is none are passed over."""
        with self._lock:
            for transform in message.transforms:
                if not 0.0 < math.hypot(*_rotation(transform.transform)) < math.inf:
                    continue
                child, parent = _name(transform.child_frame_id), _name(transform.header.frame_id)
                link = self._links.get(child)
                if link is None or link.parent != parent or link.static != static:
                    link = self._links[child] = _Link(parent, static)
                link.add(stamp_ns(transform.header), transform.transform)

    def pose(self, frame: str, camera_frame: str, when_ns: int) -> np.ndarray:
        """T_camera_frame (4, 4) at a stamp.

        Raises PoseError where no transform leads from one to the other, or none from that time.
        """
        frame, camera_frame = _name(frame), _name(camera_frame)
        with self._lock:
            from_camera = self._ancestors(camera_frame, when_ns)
            for ancestor, T_ancestor_frame in self._ancestors(frame, when_ns).items():
                if ancestor in from_camera:
                    pose: np.ndarray = np.linalg.inv(from_camera[ancestor]) @ T_ancestor_frame
                    return pose
            known = sorted({*self._links, *(link.parent for link in self._links.values())})
        camera = camera_frame or 'which has no frame_id'
        raise PoseError(
            f'no transform leads from {frame} to the camera, {camera}, at the time of the image: '
            f'/tf has {", ".join(known) or "nothing"}')

    def _ancestors(self, frame: str, when_ns: int) -> dict[str, np.ndarray]:
        """Poses (4, 4) of a frame in itself, its parent, and so on, nearest first."""
        T = np.eye(4)
        found = {frame: T}
        while (link := self._links.get(frame)) is not None and link.parent not in found:
            T_parent_child = link.at(when_ns)
            if T_parent_child is None:
                break
            T = T_parent_child @ T
            frame = link.parent
            found[frame] = T
        return found


def _rotation(transform: Any) -> tuple[float, float, float, float]:
    """Quaternion x, y, z, w of a geometry_msgs/Transform."""
    q = transform.rotation
    return float(q.x), float(q.y), float(q.z), float(q.w)


def _name(frame: str) -> str:
    """A frame's name as tf2 has it: drivers of old put a slash in front."""
    return frame.removeprefix('/')
