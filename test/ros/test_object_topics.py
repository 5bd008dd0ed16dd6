# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Topics of single objects: valid names from any id, no more than so many, none for ever."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')

from rclpy.validate_full_topic_name import validate_full_topic_name

from ros2_nabs_pose import object_topics
from ros2_nabs_pose.conversions import ros_message
from ros2_nabs_pose.object_topics import GONE_S, MAX_TOPICS, ObjectTopics, topic_token

pytestmark = pytest.mark.ros


@pytest.mark.parametrize('name, token', [
    ('mug_7', 'mug_7'), ('mug_#1', 'mug_1'), ('mug_a b/c', 'mug_a_b_c'), ('mug__x', 'mug_x'),
    ('mug_é', 'mug'), ('7', 'object_7'), ('', 'object'), ('_', 'object'), ('m' * 500, 'm' * 100)])
def test_names_are_valid_topics(name, token):
    assert topic_token(name) == token
    assert validate_full_topic_name(f'/node/objects/{token}/pose')


class Publisher:
    def __init__(self, topic):
        self.topic, self.sent = topic, []
        self.publish = self.sent.append

    def on_activate(self, state):
        self.active = True


class Node:
    """What ObjectTopics needs of a node; its executor runs tasks when told to."""

    def __init__(self):
        self.alive, self.tasks = [], []
        self.executor = SimpleNamespace(create_task=self.tasks.append)

    def create_lifecycle_publisher(self, kind, topic, qos):
        self.alive.append(Publisher(topic))
        return self.alive[-1]

    def destroy_lifecycle_publisher(self, publisher):
        self.alive.remove(publisher)

    def run(self):
        while self.tasks:
            self.tasks.pop(0)()


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(s=100.0)
    monkeypatch.setattr(object_topics.time, 'monotonic', lambda: now.s)
    return now


def test_publishers_are_made_by_the_executor_and_the_first_pose_is_not_lost(estimate, clock):
    node = Node()
    topics = ObjectTopics(node)
    header = ros_message('std_msgs/msg/Header', frame_id='cam')
    topics.publish(header, [estimate])
    assert node.alive == []
    node.run()
    [publisher] = node.alive
    assert publisher.topic == '~/objects/mug_7/pose'
    assert [m.header.frame_id for m in publisher.sent] == ['cam']
    topics.publish(header, [estimate])
    assert len(publisher.sent) == 2
    assert node.tasks == []


def test_no_more_than_so_many_and_those_gone_for_long_make_room(estimate, clock):
    node = Node()
    topics = ObjectTopics(node)
    header = ros_message('std_msgs/msg/Header')
    many = [replace(estimate, track_id=str(i)) for i in range(MAX_TOPICS + 3)]
    topics.publish(header, many)
    node.run()
    assert (len(node.alive), len(topics), topics.left_out) == (MAX_TOPICS, MAX_TOPICS, 3)
    clock.s += GONE_S - 1.0
    topics.publish(header, many[:2])
    clock.s += 2.0
    topics.tidy()
    assert [p.topic for p in node.alive] == ['~/objects/mug_0/pose', '~/objects/mug_1/pose']
    topics.publish(header, many[-1:])
    node.run()
    assert len(topics) == 3
    topics.tidy(wanted=False)
    assert (node.alive, len(topics)) == ([], 0)
