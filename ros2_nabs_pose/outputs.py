# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The node's publishers, and what of a frame goes to each of them."""

from __future__ import annotations

from collections.abc import Mapping
import itertools
import json
import math
import time
from typing import Any

from rclpy.lifecycle import LifecycleNode

from .conversions import image_message, ros_class, ros_message
from .frames import debug_picture, SolvedFrame, write_frame
from .markers import marker_array, MarkerBoard
from .object_topics import ObjectTopics
from .parameters import Parameters
from .qos import mismatch, publisher_options, publisher_qos
from .topics import OUTPUTS


def symmetries_json(symmetries: Mapping[str, str]) -> str:
    """Symmetries by category ('none' or 'free_z') as JSON with the keys of BOP's models_info."""
    spin = {'axis': [0, 0, 1], 'offset': [0, 0, 0]}
    return json.dumps({
        category: {'symmetries_continuous': [spin] if symmetry == 'free_z' else [],
                   'symmetries_discrete': []}
        for category, symmetry in sorted(symmetries.items())})


class Outputs:
    """Lifecycle publishers of all topics in ``topics.OUTPUTS``; silent until the node is active.

    Made and destroyed in the executor's thread, published to in the worker's.
    Raises RuntimeError where a qos_overrides parameter has a value that does not exist.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._publishers = {
            key: node.create_lifecycle_publisher(
                ros_class(topic.type_name), topic.name, publisher_qos(topic),
                qos_overriding_options=publisher_options())
            for key, topic in OUTPUTS.items()}
        self.objects = ObjectTopics(node)
        # Others publish to /tf, too, and may be meant.
        self._turn = itertools.cycle(key for key in OUTPUTS if key != 'tf')
        self._unheard: dict[str, list[str]] = {}
        self._board = MarkerBoard()
        self._debug_image_s = -math.inf

    @property
    def active(self) -> bool:
        """Whether what is published goes out."""
        return self._publishers['poses'].is_activated

    def publish_symmetries(self, symmetries: Mapping[str, str]) -> None:
        """Publish the latched symmetries, by category."""
        self._send('symmetries', ros_message('std_msgs/msg/String',
                                             data=symmetries_json(symmetries)))

    def publish_poses(self, header: Any, solved: SolvedFrame, parameters: Parameters) -> None:
        """Publish what others wait for: poses and transforms."""
        output = write_frame(ros_message, header, solved.estimates, parameters,
                             self._node.get_namespace())
        self._send('pose', output.pose)
        self._send('pose_with_covariance', output.pose_with_covariance)
        self._send('poses', output.poses)
        self._send('tf', output.transforms)
        if parameters.publish_object_poses:
            self.objects.publish(header, solved.estimates)

    def publish_pictures(self, header: Any, solved: SolvedFrame, parameters: Parameters) -> None:
        """Publish what people look at, where somebody does: markers and the debug image."""
        if self._subscribed('markers'):
            shown = solved.estimates if parameters.publish_markers else ()
            markers = marker_array(ros_message, header, shown, self._board,
                                   parameters.marker_lifetime_s)
            if markers.markers:
                self._send('markers', markers)
        else:
            self._board.clear()
        if solved.frame is not None and self._subscribed('debug_image') and self._debug_image_due(
                parameters.debug_image_rate_hz):
            self._send('debug_image', image_message(
                header, debug_picture(solved.frame, solved.estimates)))

    def _debug_image_due(self, rate_hz: float) -> bool:
        now_s = time.monotonic()
        due = rate_hz == 0.0 or now_s - self._debug_image_s >= 1.0 / rate_hz
        if due:
            self._debug_image_s = now_s
        return due

    @property
    def unheard(self) -> list[str]:
        """A sentence for each subscriber whose quality of service does not fit a publisher's."""
        return [sentence for sentences in self._unheard.values() for sentence in sentences]

    def keep_house(self, parameters: Parameters) -> None:
        """Tidy single objects' topics, look at one topic's subscribers; now and then, executor."""
        self.objects.tidy(parameters.publish_object_poses)
        key = next(self._turn)
        publisher = self._publishers[key]
        topic = publisher.topic_name
        self._unheard[key] = [
            f'{reader.node_namespace.rstrip("/")}/{reader.node_name} does not hear {topic}: {why}'
            for reader in self._node.get_subscriptions_info_by_topic(topic)
            if (why := mismatch(publisher.qos_profile, reader.qos_profile))]

    def close(self) -> None:
        """Remove all publishers."""
        self.objects.tidy(wanted=False)
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)

    def _subscribed(self, key: str) -> bool:
        return self._publishers[key].get_subscription_count() > 0

    def _send(self, key: str, message: Any) -> None:
        if message is not None:
            self._publishers[key].publish(message)
