# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The node's life over DDS: lifecycle states, simulated time, QoS that does not fit, ends."""

import copy
import json
import signal

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')

from demo_data import check_poses, demo_frames
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from node_harness import Client, LATCHED, NodeProcess, START_TIMEOUT_S
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from std_msgs.msg import String
from std_srvs.srv import SetBool

from ros2_nabs_pose.matching import stamp_ns

pytestmark = pytest.mark.ros


@pytest.fixture(scope='module')
def frames():
    return demo_frames(2)


@pytest.fixture(scope='module')
def pair(tmp_path_factory):
    """Two nodes in one domain: a managed one in simulated time in /left, one of its own accord in
    /right.
    """
    folder = tmp_path_factory.mktemp('life')
    (folder / 'right').mkdir()
    left = NodeProcess(
        folder, '-r', '__ns:=/left', '-p', 'autostart:=false', '-p', 'use_sim_time:=true',
        '-p', 'qos_overrides./left/camera_info.subscription.reliability:=reliable',
        '-p', 'qos_overrides./left/nabs_pose/pose.publisher.reliability:=best_effort')
    right = NodeProcess(folder / 'right', '-r', '__ns:=/right', domain=left.domain)
    clients = Client(left.domain, '/left'), Client(left.domain, '/right')
    clients[0].process, clients[1].process = left, right
    clients[0].clock = clients[0].node.create_publisher(Clock, '/clock', 10)
    yield clients
    for client in clients:
        client.close()
    for process in (left, right):
        process.end()


def change(client, transition):
    return client.call(ChangeState, 'change_state', ChangeState.Request(
        transition=Transition(id=transition)), 60.0).success


def state(client):
    return client.call(GetState, 'get_state', GetState.Request()).current_state.id


def tick(client, stamp):
    message = Clock()
    message.clock.sec, message.clock.nanosec = divmod(stamp, 10**9)
    client.clock.publish(message)


def without_ids(frame):
    boxes = copy.deepcopy(frame['boxes'])
    for box in boxes:
        box.id = ''
    return {'boxes': boxes}


def answered(client, frame, stamp):
    """Poses of a frame whose boxes have no ids, in simulated time."""
    tick(client, stamp)
    client.send(frame, stamp, **without_ids(frame))
    return client.answer('poses', stamp)


def test_it_waits_to_be_configured_and_says_so(pair):
    left, _ = pair
    assert left.spin_until(lambda: left.diagnostics().get('state') == 'unconfigured',
                           START_TIMEOUT_S), left.process.log
    assert state(left) == State.PRIMARY_STATE_UNCONFIGURED
    assert left.publishers['image'].get_subscription_count() == 0
    # What is not possible now is refused, and the node lives on.
    assert not change(left, Transition.TRANSITION_ACTIVATE)
    assert 'no transition from unconfigured' in left.process.log
    off = left.call(SetBool, 'enable', SetBool.Request(data=True))
    assert (off.success, off.message) == (False, 'the node is unconfigured: configure it first')
    assert state(left) == State.PRIMARY_STATE_UNCONFIGURED


def test_what_cannot_be_loaded_leaves_it_unconfigured_until_mended(pair, tmp_path):
    left, _ = pair
    assert left.set_parameters(models_dir=str(tmp_path))[0].successful
    assert not change(left, Transition.TRANSITION_CONFIGURE)
    assert state(left) == State.PRIMARY_STATE_UNCONFIGURED
    assert str(tmp_path / 'mug.safetensors') in left.process.log
    [refused] = left.set_parameters(preset='paper')
    assert 'preset' in refused.reason and 'choose one of warm, cold, accurate' in refused.reason
    done = left.set_parameters(models_dir='', preset='warm', categories=['mug', 'bowl'])
    assert all(result.successful for result in done), done
    assert change(left, Transition.TRANSITION_CONFIGURE)
    assert state(left) == State.PRIMARY_STATE_INACTIVE
    assert left.publishers['image'].get_subscription_count() == 0
    [refused] = left.set_parameters(preset='cold')
    assert 'preset cannot change now' in refused.reason
    assert 'Ready' not in left.process.log


def test_active_it_answers_and_two_nodes_keep_their_frames_apart(pair, frames):
    left, right = pair
    assert change(left, Transition.TRANSITION_ACTIVATE)
    assert left.wait_until_ready(), left.process.log
    assert 'Ready' in left.process.log
    assert right.wait_until_ready(), right.process.log
    left.listen('symmetries', String, 'object_symmetries', LATCHED)
    assert left.spin_until(lambda: left.received['symmetries'])
    assert json.loads(left.received['symmetries'][0].data) == {
        'bowl': {'symmetries_continuous': [{'axis': [0, 0, 1], 'offset': [0, 0, 0]}],
                 'symmetries_discrete': []},
        'mug': {'symmetries_continuous': [], 'symmetries_discrete': []}}
    names = []
    right.stamp += 10**9  # /tf carries both: their stamps tell them apart
    for client in pair:
        client.received['tf'].clear()
        stamp = client.next_stamp()
        tick(left, stamp)
        client.send(frames[0], stamp)
        poses = client.answer('poses', stamp)
        assert len(poses.detections) == 2
        transforms = client.answer('tf', stamp).transforms
        names += [t.child_frame_id for t in transforms]
    ids = [d.id for d in poses.detections]
    assert names == [f'left/{name}' for name in ids] + [f'right/{name}' for name in ids]


def test_a_bag_that_plays_again_in_simulated_time_gives_its_poses_again(pair):
    """The first 1.5 s of the shipped bag under their own stamps, twice, with ``/clock``."""
    left, _ = pair
    bag = demo_frames(15)
    stamps = [stamp_ns(frame['info'].header) for frame in bag]
    assert stamps[-1] - stamps[0] == pytest.approx(1.4e9, abs=1e7)
    rounds = []
    for _ in range(2):
        rounds.append([])
        for frame, stamp in zip(bag, stamps, strict=True):
            left.received['poses'].clear()
            tick(left, stamp)
            left.send(frame, stamp)
            poses = left.answer('poses', stamp)
            check_poses(poses, frame['truth'])
            rounds[-1].append([(p.position.x, p.position.y, p.position.z, p.orientation.w)
                               for p in (d.results[0].pose.pose for d in poses.detections)])
    # Begun anew, not tracked on from the end: equal frames give equal poses.
    np.testing.assert_allclose(rounds[1], rounds[0], atol=1e-4)
    left.stamp = stamps[-1] + 10**9


def test_stamps_of_another_clock_are_told(pair, frames):
    """Stamps of 2023, where the clock is not simulated."""
    _, right = pair
    for _ in range(10):
        right.answer('poses', right.send(frames[0]))
        if right.spin_until(lambda: "s old by this node's clock" in right.report().message, 1.5):
            break
    assert 'set use_sim_time where a bag plays' in right.report().message


def test_simulated_time_may_stand_still_and_begin_again(pair, frames):
    left, _ = pair
    begin = left.stamp + 10 * 10**9
    first = [answered(left, frames[0], begin + i * 10**8) for i in (1, 2)]
    ids = [[d.id for d in poses.detections] for poses in first]
    assert ids[0] == ids[1]
    # The clock stands still: reports still come, stamped with its time.
    left.received['diagnostics'].clear()
    assert left.spin_until(left.report)
    mine = [m for m in left.received['diagnostics'] if 'left' in m.status[0].name]
    assert stamp_ns(mine[-1].header) == begin + 2 * 10**8
    assert float(left.diagnostics()['stamp_to_publish_ms_median']) == 0.0
    # The bag begins anew: the same stamps are answered again, and the objects are new ones.
    again = answered(left, frames[0], begin + 10**8)
    assert len(again.detections) == 2
    assert left.spin_until(lambda: [stamp_ns(p.header) for p in left.received['poses']].count(
        begin + 10**8) == 2)
    anew = [d.id for d in left.received['poses'][-1].detections]
    assert not set(anew) & set(ids[0])
    left.stamp = begin + 3 * 10**8


def test_publishers_that_cannot_be_heard_are_named(pair, frames):
    left, _ = pair
    node = left.node
    node.destroy_publisher(left.publishers['info'])
    left.publishers['info'] = node.create_publisher(
        type(left.info(frames[0]['info'])), '/left/camera_info',
        QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    other = Client(left.domain, '/other')
    other.node.create_publisher(String, '/left/detections', 1)
    expected = (
        f'the quality of service of /left/camera_info from /{node.get_name()} does not fit: '
        'reliable is asked for, best_effort is offered; see qos_overrides',
        f'/{other.name} publishes /left/detections as std_msgs/msg/String, but '
        'vision_msgs/msg/Detection2DArray is needed',
        '/nabs_pose/pose: reliable is asked for, best_effort is offered')
    try:
        left.spin_until(lambda: all(text in left.diagnostics()['qos_mismatch']
                                    for text in expected))
    finally:
        other.close()
    for text in expected:
        assert text in left.diagnostics()['qos_mismatch']


def test_deactivated_cleaned_up_and_configured_anew(pair):
    left, _ = pair
    assert change(left, Transition.TRANSITION_DEACTIVATE)
    assert left.spin_until(lambda: left.publishers['image'].get_subscription_count() == 0)
    assert change(left, Transition.TRANSITION_CLEANUP)
    assert state(left) == State.PRIMARY_STATE_UNCONFIGURED
    assert left.set_parameters(preset='cold')[0].successful
    assert change(left, Transition.TRANSITION_CONFIGURE)
    assert change(left, Transition.TRANSITION_ACTIVATE)
    assert left.spin_until(lambda: left.diagnostics()['state'] == 'ready')


def test_shut_down_it_holds_nothing_and_ends_on_a_signal(pair):
    left, right = pair
    assert change(left, Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert state(left) == State.PRIMARY_STATE_FINALIZED
    assert left.spin_until(lambda: left.publishers['image'].get_subscription_count() == 0)
    for client in (left, right):
        code, seconds = client.process.stop()
        assert code == 0
        assert seconds < 1.5
        assert 'Traceback' not in client.process.log


@pytest.mark.parametrize('how, transition', [
    (signal.SIGINT, None), (signal.SIGTERM, Transition.TRANSITION_CONFIGURE)])
def test_it_ends_within_a_second_while_it_loads(tmp_path, how, transition):
    """Loading by itself, and within the transition that waits for it."""
    node = NodeProcess(tmp_path, '-p', f'autostart:={str(transition is None).lower()}')
    client = Client(node.domain)
    try:
        assert client.spin_until(lambda: client.node.count_publishers('/diagnostics'), 60.0)
        if transition is not None:
            caller = client.node.create_client(ChangeState, f'{client.base}/change_state')
            assert caller.wait_for_service(10.0)
            caller.call_async(ChangeState.Request(transition=Transition(id=transition)))
            client.spin_for(0.5)
        code, seconds = node.stop(how)
    finally:
        client.close()
        node.process.kill()
    assert code == 0, node.log
    assert seconds < 1.5, node.log
    assert 'Traceback' not in node.log
    assert 'FATAL' not in node.log
