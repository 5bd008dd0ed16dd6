# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A pose topic for each object: made when it is first seen, removed when it is long gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import re
import threading
import time
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecyclePublisher

from .conversions import frame_name, pose_stamped, ros_class, ros_message
from .core.types import PoseEstimate
from .qos import publisher_qos
from .topics import OBJECT_POSE

MAX_TOPICS = 32
GONE_S = 30.0
_MAX_NAME = 100


def topic_token(name: str) -> str:
    """``name`` with all that a topic's name may not hold replaced by single underscores."""
    token = re.sub(r'_+', '_', re.sub(r'[^A-Za-z0-9]', '_', name))[:_MAX_NAME].strip('_')
    return token if token[:1].isalpha() else f'object_{token}'.rstrip('_')


@dataclass
class _Object:
    """One object's publisher; ``first`` waits until the executor has made it."""

    topic: str
    seen_s: float
    publisher: LifecyclePublisher | None = None
    first: Any = None


class ObjectTopics:
    """Publishes poses from the worker's thread; publishers come and go in the executor's.

    MAX_TOPICS at most: a detector whose ids never return must not fill the graph.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._objects: dict[str, _Object] = {}
        self.left_out = 0

    def __len__(self) -> int:
        return len(self._objects)

    def publish(self, header: Any, estimates: Sequence[PoseEstimate]) -> None:
        """Publish each object's pose; of a new object as soon as its topic is there."""
        now_s = time.monotonic()
        new = False
        with self._lock:
            for estimate in estimates:
                name = frame_name('', estimate.category, estimate.track_id)
                item = self._objects.get(name)
                if item is None and len(self._objects) >= MAX_TOPICS:
                    self.left_out += 1
                    continue
                message = pose_stamped(ros_message, header, estimate)
                if item is None:
                    item = self._objects[name] = _Object(self._free_topic(name), now_s)
                    new = True
                item.seen_s = now_s
                if item.publisher is None:
                    item.first = message
                else:
                    item.publisher.publish(message)
        executor = self._node.executor
        if new and executor is not None:
            executor.create_task(self.tidy)

    def tidy(self, wanted: bool = True) -> None:
        """Executor's thread: make the publishers that wait, remove those of vanished objects."""
        now_s = time.monotonic()
        with self._lock:
            for name, item in list(self._objects.items()):
                if not wanted or now_s - item.seen_s > GONE_S:
                    if item.publisher is not None:
                        self._node.destroy_lifecycle_publisher(item.publisher)
                    del self._objects[name]
                elif item.publisher is None:
                    item.publisher = self._node.create_lifecycle_publisher(
                        ros_class(OBJECT_POSE.type_name), item.topic, publisher_qos(OBJECT_POSE))
                    item.publisher.on_activate(None)
                    item.publisher.publish(item.first)
                    item.first = None

    def _free_topic(self, name: str) -> str:
        """Topic of an object; ids that differ only in what a topic may not hold get numbers."""
        taken = {item.topic for item in self._objects.values()}
        token = topic_token(name)
        number = 1
        while (topic := OBJECT_POSE.name.replace('<class>_<id>', token)) in taken:
            number += 1
            token = f'{topic_token(name)}_{number}'
        return topic
