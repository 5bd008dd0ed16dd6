# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Quality of service: what parameters override, and who does not hear whom."""

import time

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from ros2_nabs_pose.conversions import ros_class
from ros2_nabs_pose.qos import mismatch, publisher_options, publisher_qos, SubscriptionQos
from ros2_nabs_pose.subscriptions import Input
from ros2_nabs_pose.topics import DIAGNOSTICS, INPUTS, OUTPUTS

pytestmark = pytest.mark.ros

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
LATCHED, VOLATILE = DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE


@pytest.fixture
def make_node():
    """Nodes with parameter overrides, gone after the test."""
    context = rclpy.Context()
    rclpy.init(context=context)
    made = []

    def make(**overrides):
        made.append(Node('qos', context=context, parameter_overrides=[
            Parameter(f'qos_overrides.{name}', value=value) for name, value in overrides.items()]))
        return made[-1]

    yield make
    for node in made:
        node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.mark.parametrize('offered, requested, why', [
    ((RELIABLE, VOLATILE), (BEST_EFFORT, VOLATILE), ''),
    ((RELIABLE, LATCHED), (RELIABLE, LATCHED), ''),
    ((BEST_EFFORT, VOLATILE), (RELIABLE, VOLATILE),
     'reliable is asked for, best_effort is offered'),
    ((RELIABLE, VOLATILE), (RELIABLE, LATCHED),
     'transient_local is asked for, volatile is offered')])
def test_who_does_not_hear_whom(offered, requested, why):
    profiles = [QoSProfile(depth=1, reliability=r, durability=d) for r, d in (offered, requested)]
    assert mismatch(*profiles) == why


@pytest.mark.parametrize('reliable', [True, False])
@pytest.mark.parametrize('latched', [True, False])
def test_a_subscription_follows_the_publishers(make_node, reliable, latched):
    profile = SubscriptionQos(make_node(), '/image', 7).profile(reliable, latched)
    assert (profile.reliability == RELIABLE, profile.durability == LATCHED) == (reliable, latched)
    assert (profile.history, profile.depth) == (HistoryPolicy.KEEP_LAST, 7)


def test_parameters_override_a_subscription_again_and_again(make_node):
    node = make_node(**{'/image.subscription.reliability': 'reliable',
                        '/image.subscription.durability': 'volatile',
                        '/image.subscription.history': 'keep_all',
                        '/image.subscription.depth': 3})
    for _ in range(2):  # the second time the parameters are declared already
        profile = SubscriptionQos(node, '/image', 7).profile(reliable=False, latched=True)
        assert (profile.reliability, profile.durability) == (RELIABLE, VOLATILE)
        assert (profile.history, profile.depth) == (HistoryPolicy.KEEP_ALL, 3)
    other = SubscriptionQos(node, '/camera_info', 7).profile(reliable=False, latched=True)
    assert (other.reliability, other.durability, other.depth) == (BEST_EFFORT, LATCHED, 7)


def test_an_override_that_does_not_exist_is_named(make_node):
    node = make_node(**{'/image.subscription.reliability': 'perhaps'})
    with pytest.raises(ValueError):
        SubscriptionQos(node, '/image', 7)
    with pytest.raises(ValueError) as caught:  # a second try to activate is no better
        SubscriptionQos(node, '/image', 7)
    assert str(caught.value) == (
        "qos_overrides./image.subscription.reliability is 'perhaps': choose one of reliable, "
        'best_effort, best_available')


@pytest.mark.parametrize('topic', [*OUTPUTS.values(), DIAGNOSTICS], ids=lambda topic: topic.name)
def test_every_publisher_takes_overrides(make_node, topic):
    name = topic.name.replace('~', '/qos')
    node = make_node(**{f'{name}.publisher.reliability': 'best_effort',
                        f'{name}.publisher.depth': 3})
    publisher = node.create_publisher(ros_class(topic.type_name), topic.name,
                                      publisher_qos(topic),
                                      qos_overriding_options=publisher_options())
    profile = publisher.qos_profile
    assert (profile.reliability, profile.depth) == (BEST_EFFORT, 3)
    assert profile.durability == (LATCHED if topic.latched else VOLATILE)


def test_what_is_latched_is_asked_for_as_such_whoever_else_publishes_it(make_node):
    """One that keeps nothing beside one that does: the first is named, the second is heard."""
    node, heard = make_node(), []
    kind = ros_class(INPUTS['static_transforms'].type_name)
    keeping, forgetting = (
        node.create_publisher(kind, '/tf_static', QoSProfile(depth=1, durability=durability))
        for durability in (LATCHED, VOLATILE))
    keeping.publish(kind())
    source = Input(node, {'/tf_static': kind}, heard.append, 1, latched=True)
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    deadline = time.monotonic() + 10.0
    while (not heard or not source.problems()) and time.monotonic() < deadline:
        source.follow()
        executor.spin_once(timeout_sec=0.05)
    assert len(heard) == 1
    [problem] = source.problems()
    assert 'transient_local is asked for, volatile is offered' in problem
    forgetting.publish(kind())
    executor.spin_once(timeout_sec=0.2)
    assert len(heard) == 1
    source.close()
    executor.shutdown()
