# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Subscriptions that follow what is published: its topic, and its quality of service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


class Input:
    """One input of the node, subscribed as soon as somebody publishes it.

    A best-effort subscription hears every publisher, but loses large images even of a reliable
    one on the way; a reliable one does not hear best-effort publishers, and only a
    transient-local one hears what was published before it. So the subscription asks for the most
    that all publishers offer, and for less when one appears that offers less.

    types: message types by topic, fully resolved; the first topic that has publishers is taken
    for good. callback: gets each message, in the executor's thread.
    """

    def __init__(self, node: Node, types: Mapping[str, Any], callback: Callable[[Any], None],
                 depth: int) -> None:
        self._node = node
        self._types = dict(types)
        self._callback = callback
        self._depth = depth
        self._subscription: Any = None
        self.reliable = False
        self._latched = False

    @property
    def topic(self) -> str | None:
        """The subscribed topic, None while nobody publishes."""
        return None if self._subscription is None else next(iter(self._types))

    def count_publishers(self) -> int:
        """How many publish what this input takes."""
        return sum(map(self._node.count_publishers, self._types))

    def follow(self) -> None:
        """Look at the publishers and subscribe, or subscribe anew, where they ask for it."""
        for topic, message_type in self._types.items():
            offers = [p.qos_profile for p in self._node.get_publishers_info_by_topic(topic)]
            if not offers:
                continue
            reliable = all(o.reliability == ReliabilityPolicy.RELIABLE for o in offers)
            latched = all(o.durability == DurabilityPolicy.TRANSIENT_LOCAL for o in offers)
            if self._subscription is not None:
                if reliable >= self.reliable and latched >= self._latched:
                    return
                self._node.destroy_subscription(self._subscription)
            self._types = {topic: message_type}
            self.reliable, self._latched = reliable, latched
            self._subscription = self._node.create_subscription(
                message_type, topic, self._callback, QoSProfile(
                    history=HistoryPolicy.KEEP_LAST, depth=self._depth,
                    reliability=ReliabilityPolicy.RELIABLE if reliable
                    else ReliabilityPolicy.BEST_EFFORT,
                    durability=DurabilityPolicy.TRANSIENT_LOCAL if latched
                    else DurabilityPolicy.VOLATILE))
            return
