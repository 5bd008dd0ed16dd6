# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""All inputs of the node and what pairs them: callbacks that only enqueue."""

from __future__ import annotations

from collections.abc import Callable
import math
import time
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from .frame_tree import FrameTree
from .matching import EXTRAS, Match, Matcher
from .parameters import Parameters
from .status import Topics
from .subscriptions import Input, input_types
from .topics import INPUTS


class Inputs:
    """Subscriptions and a matcher; executor's thread only.

    put: takes each match. timed: wraps each callback, to measure it.
    """

    def __init__(self, node: Node, put: Callable[[Match[Any]], None],
                 timed: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self._node = node
        self._put = put
        self._timed = timed
        self._sources: dict[str, Input] = {}
        self.topics = Topics(*(node.resolve_topic_name(INPUTS[key].name)
                               for key in ('image', 'camera_info', 'detections')))
        self.matcher: Matcher[Any] = Matcher(0.0, 1)
        self.frames = FrameTree()
        self._deadline: Any = None
        self._deadline_s: float | None = None
        self._published = dict.fromkeys(EXTRAS, False)

    def configure(self, parameters: Parameters) -> None:
        """Begin with an empty matcher."""
        self.matcher = Matcher(parameters.slop_s, parameters.queue_size,
                               parameters.queue_mb * 10**6, parameters.depth_wait_s)

    def change(self, parameters: Parameters) -> None:
        """Take over what may change while messages flow."""
        self.matcher.slop_ns = round(parameters.slop_s * 1e9)

    def open(self, parameters: Parameters) -> None:
        """Subscribe, as soon as somebody publishes; raises ValueError for a wrong override."""
        self._sources = {
            'image': self._input(self._on_image, 'image', 'compressed',
                                 transport=parameters.image_transport),
            'camera_info': self._input(self._on_camera_info, 'camera_info'),
            'detections': self._input(self._on_detections, 'detections'),
            'depth': self._input(self._on_depth, 'depth', 'depth_compressed'),
            'mask': self._input(self._on_mask, 'mask', 'mask_compressed')}
        if parameters.standing_frame:
            self._sources['transforms'] = self._input(self.frames.add, 'transforms')
            self._sources['static_transforms'] = self._input(
                lambda message: self.frames.add(message, static=True), 'static_transforms')
        # Runs only while a frame waits for depth or mask, until the first one's time is over.
        self._deadline = self._node.create_timer(
            1.0, self._timed(self._on_deadline), clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._deadline.cancel()
        self._deadline_s = None
        self.follow()

    def close(self) -> None:
        """Unsubscribe, and forget what waits."""
        for source in self._sources.values():
            source.close()
        self._sources = {}
        if self._deadline is not None:
            self._node.destroy_timer(self._deadline)
            self._deadline = None
        self.matcher.clear()
        self._published = dict.fromkeys(EXTRAS, False)

    def follow(self) -> None:
        """Look at the publishers, and subscribe as they ask for it."""
        for key, source in self._sources.items():
            source.follow()
            if key in EXTRAS and self._published[key] != (now := source.count_publishers() > 0):
                self._published[key] = now
                self.matcher.expect(key, now)

    def count_image_publishers(self) -> int:
        """How many publish images that would be taken."""
        return self._sources['image'].count_publishers() if self._sources else 0

    def problems(self) -> list[str]:
        """A sentence for each publisher that cannot be heard, and why."""
        return [sentence for source in self._sources.values() for sentence in source.problems()]

    def values(self) -> dict[str, Any]:
        """Counts and subscribed topics under the keys that diagnostics have."""
        counts, image = self.matcher.counts, self._sources.get('image')
        return {'matches': counts.matches, 'images': counts.images,
                'camera_infos': counts.camera_infos, 'detections': counts.detections,
                'unmatched_detections': counts.unmatched_detections,
                'depths': counts.depths, 'masks': counts.masks,
                'frames_without_depth': counts.without_depth,
                'frames_without_mask': counts.without_mask,
                'dropped_waiting': counts.overtaken,
                'waiting_mb': f'{self.matcher.waiting_bytes * 1e-6:.1f}',
                'image_topic': image.topic or '' if image else '',
                'image_reliable': image.reliable if image else ''}

    def _input(self, callback: Callable[[Any], None], key: str, compressed: str = '',
               transport: str = 'auto') -> Input:
        types = input_types(self._node, key, compressed, transport)
        return Input(self._node, types, self._timed(callback), INPUTS[key].depth,
                     INPUTS[key].latched)

    def _on_image(self, message: Any) -> None:
        self._enqueue(self.matcher.add_image(message, time.monotonic()))

    def _on_camera_info(self, message: Any) -> None:
        self._enqueue(self.matcher.add_camera_info(message))

    def _on_detections(self, message: Any) -> None:
        self._enqueue(self.matcher.add_detections(message))

    def _on_depth(self, message: Any) -> None:
        self._enqueue(self.matcher.add_depth(message))

    def _on_mask(self, message: Any) -> None:
        self._enqueue(self.matcher.add_mask(message))

    def _on_deadline(self) -> None:
        if self._deadline is None:
            return
        self._set_deadline(None)  # it would fire on and on
        self._enqueue(self.matcher.poll())

    def _enqueue(self, match: Match[Any] | None) -> None:
        if match is not None:
            self._put(match)
        if self._deadline is not None and self._deadline_s != self.matcher.deadline_s:
            self._set_deadline(self.matcher.deadline_s)

    def _set_deadline(self, deadline_s: float | None) -> None:
        self._deadline_s = deadline_s
        if deadline_s is None:
            self._deadline.cancel()
            return
        # Rounded up: a timer that fires too early finds nothing.
        left_ns = math.ceil((deadline_s - time.monotonic()) * 1e9)
        self._deadline.timer_period_ns = max(1, left_ns)
        self._deadline.reset()
