# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A running node has the topics, services, parameters and diagnostics that the docs have."""

import dataclasses
from pathlib import Path
import re

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')

from demo_data import demo_frames
from node_harness import Client, NodeProcess
from rcl_interfaces.srv import DescribeParameters, ListParameters

from ros2_nabs_pose.parameters import Parameters
from ros2_nabs_pose.topics import DIAGNOSTICS, INPUTS, OUTPUTS, SERVICES

pytestmark = pytest.mark.ros

DOCUMENT = (Path(__file__).resolve().parents[2] / 'docs/node.md').read_text()
# What rclpy gives every node, and every lifecycle node.
OWN_TOPICS = {'/rosout', '/parameter_events', '/nabs_pose/transition_event', '/clock'}
OWN_SERVICES = re.compile(
    r'/nabs_pose/((describe|get|list|set)_parameter(s|_types|s_atomically)'
    r'|get_type_description|change_state|get_state|get_available_(states|transitions)'
    r'|get_transition_graph)$')


@pytest.fixture(scope='module')
def client(tmp_path_factory):
    process = NodeProcess(tmp_path_factory.mktemp('interface'))
    made = Client(process.domain)
    assert made.wait_until_ready(), process.log
    frame = demo_frames(1)[0]
    assert made.answer('poses', made.send(frame)) is not None, process.log
    yield made
    made.close()
    process.stop()


def full(name):
    """A name of the tables as a node without namespace has it."""
    return name.replace('~', '/nabs_pose') if name.startswith(('~', '/')) else f'/{name}'


def expected(items):
    return {full(item.name): [item.type_name] for item in items}


def without(found, names):
    return {name: types for name, types in found if name not in names}


def test_it_publishes_what_the_table_says(client):
    found = client.node.get_publisher_names_and_types_by_node('nabs_pose', '/')
    assert without(found, OWN_TOPICS) == expected([*OUTPUTS.values(), DIAGNOSTICS])


def test_publishers_offer_what_the_table_says(client):
    for item in (*OUTPUTS.values(), DIAGNOSTICS):
        offers = [p.qos_profile for p in client.node.get_publishers_info_by_topic(full(item.name))
                  if p.node_name == 'nabs_pose']
        assert [(o.reliability.name, o.durability.name) for o in offers] == [
            ('RELIABLE', 'TRANSIENT_LOCAL' if item.latched else 'VOLATILE')], item.name


def test_it_subscribes_what_is_published_of_the_table(client):
    found = without(client.node.get_subscriber_names_and_types_by_node('nabs_pose', '/'),
                    OWN_TOPICS)
    table = expected(INPUTS.values())
    assert {'/image', '/camera_info', '/detections'} <= set(found) <= set(table)
    assert found == {name: table[name] for name in found}


def test_it_serves_what_the_table_says(client):
    found = client.node.get_service_names_and_types_by_node('nabs_pose', '/')
    assert {name: types for name, types in found if not OWN_SERVICES.match(name)} == expected(
        SERVICES.values())


def call(client, service_type, name, request):
    service = client.node.create_client(service_type, f'/nabs_pose/{name}')
    assert service.wait_for_service(10.0)
    future = service.call_async(request)
    assert client.spin_until(future.done)
    return future.result()


def test_its_parameters_are_those_of_the_docs(client):
    names = call(client, ListParameters, 'list_parameters', ListParameters.Request()).result.names
    own = [name for name in names
           if not name.startswith(('qos_overrides.', 'use_sim_time', 'start_type_description'))]
    assert sorted(own) == sorted(f.name for f in dataclasses.fields(Parameters))
    described = call(client, DescribeParameters, 'describe_parameters',
                     DescribeParameters.Request(names=own)).descriptors
    for descriptor in described:
        row = next(line for line in DOCUMENT.splitlines()
                   if line.startswith(f'| `{descriptor.name}` |'))
        assert descriptor.description in row
        assert descriptor.read_only == ('| never |' in row)


def test_diagnostics_have_the_keys_of_the_docs(client):
    section = DOCUMENT.partition('## Diagnostics')[2].partition('\n## ')[0]
    documented = {key for line in section.splitlines() if line.startswith('| `')
                  for key in re.findall(r'`(\w+)`', line.split('|')[1])}
    assert set(client.diagnostics()) == documented
