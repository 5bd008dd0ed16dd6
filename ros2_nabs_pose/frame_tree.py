# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Where a frame lies in a camera's, from the transforms that robots publish.

tf2_ros would do, but in Python it brings a listener thread of its own and is not there without a
ROS installation, where bags are converted. Nothing here imports ROS: messages of rclpy and of a
bag are the same to it.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
import math
import threading
from typing import Any

import numpy as np

from .core.quaternions import matrix_rows
from .core.types import PoseError
from .matching import CLOCK_JUMP_NS, stamp_ns

KEPT_NS = 5_000_000_000
"""So long transforms of a moving frame are kept, so that late detections find theirs."""
APART_NS = 1_000_000_000
"""Two transforms of a moving frame that are farther apart tell nothing of what is between them."""
LATE_NS = 200_000_000
"""An image this much newer than the last transform, or older than the first, takes that one."""
MOST_LINKS = 500
"""Of more frames than that, moving ones that were last heard of ``KEPT_NS`` ago are forgotten:
among them those of objects that this node itself publishes, each under a new name."""
NAMED = 10
"""So many frames a sentence names."""


@dataclass
class _Link:
    """From a frame to its parent: one transform, or those of the last seconds by stamp."""

    parent: str
    static: bool
    seen: list[tuple[int, np.ndarray]] = field(default_factory=list)

    def add(self, when_ns: int, numbers: np.ndarray) -> None:
        seen = self.seen
        if self.static or seen and when_ns < seen[-1][0] - CLOCK_JUMP_NS:
            seen.clear()
        place = bisect_left(seen, when_ns, key=_stamp)
        # What comes again under the same stamp takes the last one's place.
        seen[place:place + (place < len(seen) and seen[place][0] == when_ns)] = [
            (when_ns, numbers)]
        del seen[:bisect_left(seen, seen[-1][0] - KEPT_NS, key=_stamp)]

    def at(self, when_ns: int) -> np.ndarray | None:
        """T_parent_child (4, 4) at a time, None where nothing tells it."""
        seen = self.seen
        place = bisect_left(seen, when_ns, key=_stamp)
        if self.static or place < len(seen) and seen[place][0] == when_ns:
            return _matrix(seen[0 if self.static else place][1])
        if place in (0, len(seen)):
            nearest = seen[min(place, len(seen) - 1)]
            return _matrix(nearest[1]) if abs(nearest[0] - when_ns) <= LATE_NS else None
        before, after = seen[place - 1], seen[place]
        if after[0] - before[0] > APART_NS:
            return None
        share = (when_ns - before[0]) / (after[0] - before[0])
        # Quaternions of opposite signs are the same rotation.
        sign = math.copysign(1.0, before[1][:4] @ after[1][:4])
        towards = np.concatenate((sign * after[1][:4], after[1][4:]))
        return _matrix((1.0 - share) * before[1] + share * towards)


class FrameTree:
    """The transforms of /tf and /tf_static; any thread may add and ask."""

    def __init__(self) -> None:
        self._links: dict[str, _Link] = {}
        self._lock = threading.Lock()

    def add(self, message: Any, static: bool = False) -> None:
        """Take a tf2_msgs/TFMessage; transforms that are none are passed over."""
        with self._lock:
            for transform in message.transforms:
                numbers = _numbers(transform.transform)
                if not (np.isfinite(numbers).all() and numbers[:4].any()):
                    continue
                child, parent = _name(transform.child_frame_id), _name(transform.header.frame_id)
                link = self._links.get(child)
                if link is None or link.parent != parent or link.static != static:
                    link = self._links[child] = _Link(parent, static)
                link.add(stamp_ns(transform.header), numbers)
                if len(self._links) > MOST_LINKS:
                    self._forget(link.seen[-1][0])

    def _forget(self, now_ns: int) -> None:
        """Moving frames that have not been heard of for a while, or come from another time."""
        self._links = {child: link for child, link in self._links.items()
                       if link.static or abs(link.seen[-1][0] - now_ns) <= KEPT_NS}

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
        more = f' and {len(known) - NAMED} more' if len(known) > NAMED else ''
        raise PoseError(
            f'no transform leads from {frame} to the camera, {camera}, at the time of the image: '
            f'/tf has {", ".join(known[:NAMED]) or "nothing"}{more}')

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


def _stamp(one: tuple[int, np.ndarray]) -> int:
    return one[0]


def _numbers(transform: Any) -> np.ndarray:
    """(7,) quaternion x, y, z, w and translation (m) of a geometry_msgs/Transform."""
    q, t = transform.rotation, transform.translation
    return np.array((q.x, q.y, q.z, q.w, t.x, t.y, t.z), float)


def _matrix(numbers: np.ndarray) -> np.ndarray:
    """(4, 4) of seven ``_numbers``; the quaternion need not be unit."""
    T = np.eye(4)
    T[:3, :3] = matrix_rows(*numbers[:4].tolist())
    T[:3, 3] = numbers[4:]
    return T


def _name(frame: str) -> str:
    """A frame's name as tf2 has it: drivers of old put a slash in front."""
    return frame.removeprefix('/')
