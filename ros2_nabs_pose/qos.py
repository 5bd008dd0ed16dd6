# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Quality of service: what the user overrides by parameter, and who cannot hear whom.

Every topic but those of single objects takes ROS' usual parameters
``qos_overrides.<topic>.<publisher|subscription>.<policy>`` for history, depth, reliability and
durability. Subscriptions default to ``best_available``: they follow what the publishers offer,
until a parameter says otherwise.
"""

from __future__ import annotations

from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

from .topics import Topic

FOLLOW = 'best_available'
_CHOICES = {'reliability': ('reliable', 'best_effort'),
            'durability': ('transient_local', 'volatile'),
            'history': ('keep_last', 'keep_all')}


def publisher_options() -> QoSOverridingOptions:
    """The policies of a publisher that parameters may override."""
    return QoSOverridingOptions((QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH,
                                 QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY))


def publisher_qos(topic: Topic) -> QoSProfile:
    """Reliable, so that every subscriber hears it; latched topics keep their last message."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=topic.depth, reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if topic.latched
        else DurabilityPolicy.VOLATILE)


class SubscriptionQos:
    """What the parameters say of one subscription; raises ValueError with one sentence."""

    def __init__(self, node: Node, topic: str, depth: int) -> None:
        def value(policy: str, default: Any) -> Any:
            name = f'qos_overrides.{topic}.subscription.{policy}'
            choices = _CHOICES.get(policy, ())
            text = ', '.join(choices + (FOLLOW,) * (default == FOLLOW))
            if not node.has_parameter(name):
                node.declare_parameter(name, default, ParameterDescriptor(
                    description=f'{policy} of the subscription of {topic}', read_only=True,
                    additional_constraints=text))
            given = node.get_parameter(name).value
            if given != default and given not in choices and choices:
                raise ValueError(f'{name} is {given!r}: choose one of {text}')
            return given

        self._depth = int(value('depth', depth))
        self._history = value('history', 'keep_last')
        self._reliability = value('reliability', FOLLOW)
        self._durability = value('durability', FOLLOW)

    def profile(self, reliable: bool, latched: bool) -> QoSProfile:
        """QoS for publishers that all offer this much, where no parameter decides."""
        if self._reliability != FOLLOW:
            reliable = self._reliability == 'reliable'
        if self._durability != FOLLOW:
            latched = self._durability == 'transient_local'
        return QoSProfile(
            history=HistoryPolicy.KEEP_ALL if self._history == 'keep_all'
            else HistoryPolicy.KEEP_LAST,
            depth=self._depth,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched
            else DurabilityPolicy.VOLATILE)


def mismatch(offered: QoSProfile, requested: QoSProfile) -> str:
    """Why a subscription hears nothing of a publisher, '' where it does."""
    if (requested.reliability == ReliabilityPolicy.RELIABLE
            and offered.reliability == ReliabilityPolicy.BEST_EFFORT):
        return 'reliable is asked for, best_effort is offered'
    if (requested.durability == DurabilityPolicy.TRANSIENT_LOCAL
            and offered.durability == DurabilityPolicy.VOLATILE):
        return 'transient_local is asked for, volatile is offered'
    return ''
