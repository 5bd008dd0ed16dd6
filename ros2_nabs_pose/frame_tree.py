# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Which way is up in a camera's frame, from the transforms that robots publish.

tf2_ros would do, but in Python it brings a listener thread of its own and is not there without a
ROS installation, where bags are converted; and only rotations are asked for. Nothing here imports
ROS: messages of rclpy and of a bag are the same to it.
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
    """From a frame to its parent: one rotation, or those of the last seconds by stamp."""

    parent: str
    static: bool
    rotations: deque[tuple[int, tuple[float, ...]]] = field(
        default_factory=lambda: deque(maxlen=KEPT))

    def add(self, when_ns: int, rotation: tuple[float, ...]) -> None:
        if self.static or self.rotations and when_ns < self.rotations[-1][0] - CLOCK_JUMP_NS:
            self.rotations.clear()
        self.rotations.append((when_ns, rotation))

    def at(self, when_ns: int) -> tuple[float, ...] | None:
        """The quaternion nearest to a time, None where there is none near it."""
        nearest_ns, rotation = min(self.rotations, key=lambda seen: abs(seen[0] - when_ns))
        near = self.static or abs(nearest_ns - when_ns) <= LATEST_NS
        return rotation if near else None


class FrameTree:
    """The transforms of /tf and /tf_static; any thread may add and ask."""

    def __init__(self) -> None:
        self._links: dict[str, _Link] = {}
        self._lock = threading.Lock()

    def add(self, message: Any, static: bool = False) -> None:
        """Take a tf2_msgs/TFMessage; transforms that are no rotation are passed over."""
        with self._lock:
            for transform in message.transforms:
                q = transform.transform.rotation
                rotation = (float(q.x), float(q.y), float(q.z), float(q.w))
                if not 0.0 < math.hypot(*rotation) < math.inf:
                    continue
                child, parent = _name(transform.child_frame_id), _name(transform.header.frame_id)
                link = self._links.get(child)
                if link is None or link.parent != parent or link.static != static:
                    link = self._links[child] = _Link(parent, static)
                link.add(stamp_ns(transform.header), rotation)

    def up(self, up_frame: str, camera_frame: str, when_ns: int) -> np.ndarray:
        """(3,) the z axis of ``up_frame`` in ``camera_frame`` at a stamp.

        Raises PoseError where no transform leads from one to the other, or none from that time.
        """
        up_frame, camera_frame = _name(up_frame), _name(camera_frame)
        with self._lock:
            from_camera = self._ancestors(camera_frame, when_ns)
            for ancestor, R_ancestor_up in self._ancestors(up_frame, when_ns).items():
                if ancestor in from_camera:
                    up: np.ndarray = from_camera[ancestor].T @ R_ancestor_up[:, 2]
                    return up
            known = sorted({*self._links, *(link.parent for link in self._links.values())})
        camera = camera_frame or 'which has no frame_id'
        raise PoseError(
            f'no transform leads from up_frame, {up_frame}, to the camera, {camera}, '
            f'at the time of the image: /tf has {", ".join(known) or "nothing"}')

    def _ancestors(self, frame: str, when_ns: int) -> dict[str, np.ndarray]:
        """Rotations (3, 3) from a frame into itself, its parent, and so on, nearest first."""
        R = np.eye(3)
        found = {frame: R}
        while (link := self._links.get(frame)) is not None and link.parent not in found:
            rotation = link.at(when_ns)
            if rotation is None:
                break
            R = np.array(matrix_rows(*rotation)) @ R
            frame = link.parent
            found[frame] = R
        return found


def _name(frame: str) -> str:
    """A frame's name as tf2 has it: drivers of old put a slash in front."""
    return frame.removeprefix('/')
