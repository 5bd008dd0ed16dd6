# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""All inputs of the node and what pairs them: callbacks that only enqueue."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from .conversions import ros_class
from .matching import Match, Matcher
from .parameters import Parameters
from .status import Topics
from .subscriptions import Input
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

    def configure(self, parameters: Parameters) -> None:
        """Begin with an empty matcher."""
        self.matcher = Matcher(parameters.slop_s, parameters.queue_size)

    def change(self, parameters: Parameters) -> None:
        """Take over what may change while messages flow."""
        self.matcher.slop_ns = round(parameters.slop_s * 1e9)

    def open(self, parameters: Parameters) -> None:
        """Subscribe, as soon as somebody publishes; raises ValueError for a wrong override."""
        self._sources = {
            'image': self._input(self._image_types(parameters.image_transport), self._on_image,
                                 INPUTS['image'].depth),
            **{key: self._input({self._node.resolve_topic_name(INPUTS[key].name):
                                 ros_class(INPUTS[key].type_name)}, callback, INPUTS[key].depth)
               for key, callback in (('camera_info', self._on_camera_info),
                                     ('detections', self._on_detections))}}
        self.follow()

    def close(self) -> None:
        """Unsubscribe, and forget what waits."""
        for source in self._sources.values():
            source.close()
        self._sources = {}
        self.matcher.clear()

    def follow(self) -> None:
        """Look at the publishers, and subscribe as they ask for it."""
        for source in self._sources.values():
            source.follow()

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
                'image_topic': image.topic or '' if image else '',
                'image_reliable': image.reliable if image else ''}

    def _input(self, types: dict[str, Any], callback: Callable[[Any], None], depth: int) -> Input:
        return Input(self._node, types, self._timed(callback), depth)

    def _image_types(self, transport: str) -> dict[str, Any]:
        """Message types by topic that images may come from, best first.

        Compressed ones lie where ``image/compressed`` was remapped to, else beside wherever
        ``image`` was remapped to.
        """
        raw_type, compressed_type = (ros_class(INPUTS[key].type_name)
                                     for key in ('image', 'compressed'))
        name = INPUTS['compressed'].name
        remapped = self._node.resolve_topic_name(name)
        plain = self._node.resolve_topic_name(name, only_expand=True)
        beside = f'{self.topics.image}/compressed'
        compressed = {beside if remapped == plain else remapped: compressed_type}
        raw = {self.topics.image: raw_type}
        return {'raw': raw, 'compressed': compressed, 'auto': {**raw, **compressed}}[transport]

    def _on_image(self, message: Any) -> None:
        self._enqueue(self.matcher.add_image(message, time.monotonic()))

    def _on_camera_info(self, message: Any) -> None:
        self._enqueue(self.matcher.add_camera_info(message))

    def _on_detections(self, message: Any) -> None:
        self._enqueue(self.matcher.add_detections(message))

    def _enqueue(self, match: Match[Any] | None) -> None:
        if match is not None:
            self._put(match)
