# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Subscriptions that follow what is published: its topic, and its quality of service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from .conversions import ros_class
from .qos import mismatch, SubscriptionQos
from .topics import INPUTS


class Input:
    """One input of the node, subscribed as soon as somebody publishes it.

    A best-effort subscription hears every publisher, but loses large images even of a reliable
    one on the way; a reliable one does not hear best-effort publishers, and only a
    transient-local one hears what was published before it. So the subscription asks for the most
    that all publishers offer, and for less when one appears that offers less; what a
    ``qos_overrides`` parameter says stays.

    types: message types by topic, fully resolved; the first topic that has publishers is taken
    for good. callback: gets each message, in the executor's thread. latched: what was published
    before is wanted by all means, so publishers that do not keep it are not heard.
    Raises ValueError with one sentence for an override that cannot be.
    """

    def __init__(self, node: Node, types: Mapping[str, Any], callback: Callable[[Any], None],
                 depth: int, latched: bool = False) -> None:
        self._node = node
        self._latched = latched
        self._types = dict(types)
        self._qos = {topic: SubscriptionQos(node, topic, depth) for topic in self._types}
        self._callback = callback
        self._subscription: Any = None
        self._profile: QoSProfile | None = None
        self._infos: dict[str, list[Any]] = {}

    @property
    def topic(self) -> str | None:
        """The subscribed topic, None while nobody publishes."""
        return None if self._subscription is None else next(iter(self._types))

    @property
    def reliable(self) -> bool:
        """Whether the subscription is there and reliable."""
        return (self._profile is not None
                and self._profile.reliability == ReliabilityPolicy.RELIABLE)

    def count_publishers(self) -> int:
        """How many publish what this input takes."""
        return sum(map(self._node.count_publishers, self._types))

    def follow(self) -> None:
        """Look at the publishers and subscribe, or subscribe anew, where they ask for it."""
        self._infos = {topic: self._node.get_publishers_info_by_topic(topic)
                       for topic in self._types}
        for topic, message_type in self._types.items():
            offers = [p.qos_profile for p in self._publishers(topic)]
            if not offers:
                continue
            profile = self._qos[topic].profile(
                all(o.reliability == ReliabilityPolicy.RELIABLE for o in offers),
                self._latched or all(
                    o.durability == DurabilityPolicy.TRANSIENT_LOCAL for o in offers))
            if self._profile is not None and not mismatch(profile, self._profile):
                return
            self.close()
            self._types = {topic: message_type}
            self._profile = profile
            self._subscription = self._node.create_subscription(
                message_type, topic, self._callback, profile)
            return

    def close(self) -> None:
        """Unsubscribe; ``follow`` would subscribe again."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription, self._profile = None, None

    def problems(self) -> list[str]:
        """A sentence for each publisher that ``follow`` last saw and that cannot be heard, and why.
        """
        found = []
        for topic, message_type in self._types.items():
            wanted = _type_name(message_type)
            for publisher in self._infos.get(topic, ()):
                who = f'{publisher.node_namespace.rstrip("/")}/{publisher.node_name}'
                if publisher.topic_type != wanted:
                    found.append(f'{who} publishes {topic} as {publisher.topic_type}, but '
                                 f'{wanted} is needed')
                elif self._profile is not None and (
                        why := mismatch(publisher.qos_profile, self._profile)):
                    found.append(f'the quality of service of {topic} from {who} does not fit: '
                                 f'{why}; see qos_overrides')
        return found

    def _publishers(self, topic: str) -> list[Any]:
        """Publishers of the type that is taken; others are for ``problems`` to tell."""
        name = _type_name(self._types[topic])
        return [p for p in self._infos[topic] if p.topic_type == name]


def input_types(node: Node, key: str, compressed: str = '',
                transport: str = 'auto') -> dict[str, Any]:
    """Message types by resolved topic of the input ``key`` of INPUTS, best first, for an Input.

    compressed: key of its compressed twin, which lies where its own name was remapped to, else
    beneath wherever the raw one was remapped to. transport: 'raw', 'compressed', or 'auto' for
    whichever is published, raw before compressed.
    """
    topic = node.resolve_topic_name(INPUTS[key].name)
    types = {} if transport == 'compressed' else {topic: ros_class(INPUTS[key].type_name)}
    if compressed and transport != 'raw':
        name = INPUTS[compressed].name
        remapped = node.resolve_topic_name(name)
        plain = node.resolve_topic_name(name, only_expand=True)
        beneath = topic + name.removeprefix(INPUTS[key].name)
        types[beneath if remapped == plain else remapped] = ros_class(INPUTS[compressed].type_name)
    return types


def _type_name(message_class: Any) -> str:
    package = message_class.__module__.partition('.')[0]
    return f'{package}/msg/{message_class.__name__}'
