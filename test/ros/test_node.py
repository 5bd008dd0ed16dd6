# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The node in its own process, over real DDS: values, frames, stamps, bad input, ends."""

import copy
import math
import signal
import time

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')

from demo_data import check_poses, demo_frames
from node_harness import Client, FRAME, NodeProcess
from std_srvs.srv import Trigger

from ros2_nabs_pose.matching import stamp_ns

pytestmark = pytest.mark.ros


@pytest.fixture(scope='module')
def frames():
    return demo_frames(4)


@pytest.fixture(scope='module')
def raw(tmp_path_factory):
    """A node with default parameters, reliable publishers of raw images."""
    process = NodeProcess(tmp_path_factory.mktemp('raw'))
    client = Client(process.domain)
    client.process = process
    assert client.wait_until_ready(), process.log
    yield client
    client.close()
    process.end()


@pytest.fixture(scope='module')
def compressed(tmp_path_factory, frames):
    """A node in a namespace; best-effort compressed images, a latched calibration, class numbers;
    its mugs are known to be 12 cm large.
    """
    process = NodeProcess(tmp_path_factory.mktemp('compressed'), '-r', '__ns:=/left',
                          '-p', "class_map:=['41:mug']", '-p', 'publish_markers:=false',
                          '-p', "known_sizes:=['mug:0.12']")
    client = Client(process.domain, '/left', compressed=True, reliable=False,
                    latched_info=frames[0]['info'])
    client.process = process
    assert client.wait_until_ready(), process.log
    yield client
    client.close()
    process.end()


def test_without_camera_info_the_reason_is_named(raw, frames):
    deadline = time.monotonic() + 10.0
    while 'camera_info' not in raw.diagnostics()['reason'] and time.monotonic() < deadline:
        raw.send(frames[0], without='info')
        raw.spin_for(0.3)
    assert 'no camera_info has arrived on /camera_info' in raw.diagnostics()['reason']
    assert raw.received['poses'] == []


def test_poses_have_values_frame_and_stamp(raw, frames):
    stamp = raw.send(frames[0])
    poses = raw.answer('poses', stamp)
    assert poses is not None
    assert poses.header.frame_id == FRAME
    check_poses(poses, frames[0]['truth'])
    best = max(poses.detections, key=lambda d: d.results[0].hypothesis.score)
    pose = raw.answer('pose', stamp)
    assert pose.header == poses.header
    assert pose.pose == best.results[0].pose.pose
    transforms = raw.answer('tf', stamp).transforms
    assert [t.child_frame_id for t in transforms] == [d.id for d in poses.detections]
    for transform, item in zip(transforms, poses.detections):
        assert transform.header == poses.header
        assert transform.transform.translation.z == item.results[0].pose.pose.position.z
    markers = raw.answer('markers', stamp).markers
    assert [m.ns for m in markers] == ['box', 'axes', 'position', 'rotation', 'name'] * len(
        poses.detections)


def test_a_debug_image_comes_to_whoever_subscribes(raw, frames):
    stamp = raw.send(frames[1])
    debug = raw.answer('debug', stamp)
    height, width = frames[1]['rgb'].shape[:2]
    assert (debug.width, debug.encoding) == (width, 'rgb8')
    shown = np.frombuffer(debug.data, np.uint8).reshape(debug.height, width, 3)
    changed = (shown[:height] != frames[1]['rgb']).any(-1)
    # Something was drawn over the image, most of it was left alone, and crops lie beneath it.
    assert 0.002 < changed.mean() < 0.5
    assert shown[height:, :100].std() > 5


def test_the_newest_frame_wins_and_drops_are_counted(raw, frames):
    before = settled_diagnostics(raw)
    stamps = []
    for i in range(24):
        stamps.append(raw.send(frames[i % 4]))
        raw.spin_for(0.005)
    assert raw.answer('poses', stamps[-1]) is not None
    after = settled_diagnostics(raw)
    matched, dropped = (int(after[key]) - int(before[key]) for key in ('matches', 'dropped_stale'))
    answered = [stamp_ns(p.header) for p in raw.received['poses'] if stamp_ns(p.header) in stamps]
    assert dropped > 0
    assert len(answered) + dropped == matched <= 24
    assert answered == sorted(answered)


def settled_diagnostics(client):
    """Values of a report written after everything that was sent has been worked off."""
    client.spin_for(0.5)
    client.received['diagnostics'].clear()
    assert client.spin_until(lambda: (v := client.diagnostics()) and int(v['matches']) == int(
        v['frames']) + int(v['dropped_stale']))
    return client.diagnostics()


def changed_box(frame, **changes):
    boxes = copy.deepcopy(frame['boxes'])
    for box in boxes:
        for name, value in changes.items():
            target = box.bbox.center.position if name in 'xy' else box.bbox
            setattr(target, name, value)
    return {'boxes': boxes}


def renamed(frame, class_id):
    boxes = copy.deepcopy(frame['boxes'])
    for box in boxes:
        box.results[0].hypothesis.class_id = class_id
    return {'boxes': boxes}


BAD_FRAMES = {
    'box outside': (lambda f: changed_box(f, x=-5000.0), ['outside', 'image']),
    'empty box': (lambda f: changed_box(f, size_x=0.0), ['empty']),
    'box of NaN': (lambda f: changed_box(f, size_y=math.nan), ['not finite']),
    'tiny box': (lambda f: changed_box(f, size_x=2.0, size_y=2.0), ['too small']),
    'unknown class': (lambda f: renamed(f, 'dog'), ["'dog'", 'class_map']),
    'no pixels': (lambda f: {'rgb': np.zeros((0, 0, 3), np.uint8)}, ['no pixels']),
    'unknown encoding': (lambda f: {'encoding': 'cmyk'}, ["'cmyk'", 'unknown']),
    'wrong size': (lambda f: {'rgb': f['rgb'][:100]}, ['camera_info', 'another shape']),
}


@pytest.mark.parametrize('case', sorted(BAD_FRAMES))
def test_bad_input_gives_one_sentence_and_the_node_lives_on(raw, frames, case):
    change, words = BAD_FRAMES[case]
    stamp = raw.send(frames[0], **change(frames[0]))
    poses = raw.answer('poses', stamp)
    assert poses is not None
    assert len(poses.detections) == 0
    reason = raw.reason(*words)
    assert all(word in reason for word in words), reason
    assert '\n' not in reason
    good = raw.answer('poses', raw.send(frames[0]))
    assert len(good.detections) == len(frames[0]['boxes'])


def test_stamps_that_never_meet_are_told_with_their_offset(raw, frames):
    deadline = time.monotonic() + 10.0
    while 'never meet' not in raw.diagnostics()['reason'] and time.monotonic() < deadline:
        stamp = raw.send(frames[0], without='boxes')
        raw.send(frames[0], stamp - 3 * 10**9, without=('image', 'info'))
        raw.spin_for(0.3)
    reason = raw.diagnostics()['reason']
    assert '/detections and /image never meet' in reason
    assert ' later' in reason


def test_reset_answers_and_the_next_frame_comes(raw, frames):
    assert raw.reset.wait_for_service(5.0)
    future = raw.reset.call_async(Trigger.Request())
    assert raw.spin_until(future.done)
    assert future.result().success
    assert len(raw.answer('poses', raw.send(frames[0])).detections) == len(frames[0]['boxes'])


def test_a_best_effort_publisher_that_joins_is_heard(raw, frames):
    assert raw.diagnostics()['image_reliable'] == 'True'
    late = Client(raw.domain, reliable=False)
    try:
        assert late.wait_until_ready()
        assert late.spin_until(lambda: late.diagnostics()['image_reliable'] == 'False')
        late.stamp = raw.stamp
        # Best effort may lose a large image, but not one after the other.
        assert any(late.answer('poses', late.send(frames[0]), 3.0) for _ in range(10))
        raw.stamp = late.stamp
        assert any(raw.answer('poses', raw.send(frames[0]), 3.0) for _ in range(10))
    finally:
        late.close()


def test_compressed_best_effort_in_a_namespace(compressed, frames):
    stamp = compressed.send(frames[0], without='info', **renamed(frames[0], '41'))
    poses = compressed.answer('poses', stamp)
    check_poses(poses, frames[0]['truth'])
    for found in poses.detections:
        size = found.bbox.size
        assert max(size.x, size.y, size.z) == pytest.approx(0.12)
    names = [t.child_frame_id for t in compressed.answer('tf', stamp).transforms]
    assert names == [f'left/{d.id}' for d in poses.detections]
    assert compressed.received['markers'] == []
    assert compressed.diagnostics()['image_topic'] == '/left/image/compressed'
    assert compressed.diagnostics()['image_reliable'] == 'False'


def test_a_broken_jpeg_gives_one_sentence(compressed, frames):
    stamp = compressed.send(frames[0], without='info', jpeg=frames[0]['jpeg'][:5] + b'broken')
    assert len(compressed.answer('poses', stamp).detections) == 0
    assert 'broken' in compressed.reason('broken')
    poses = compressed.answer('poses', compressed.send(frames[0], without='info'))
    assert len(poses.detections) == len(frames[0]['boxes'])


@pytest.mark.parametrize('content', [None, b'damaged'])
def test_weights_that_cannot_be_read_end_the_node_with_one_sentence(tmp_path, content):
    if content is not None:
        (tmp_path / 'mug.safetensors').write_bytes(content)
    node = NodeProcess(tmp_path, '-p', f'models_dir:={tmp_path}')
    assert node.process.wait(60.0) == 1
    lines = [line for line in node.log.splitlines() if line]
    assert len(lines) == 1, node.log
    assert 'FATAL' in lines[0]
    assert str(tmp_path / 'mug.safetensors') in lines[0]


def test_a_wrong_parameter_ends_the_node_with_one_sentence(tmp_path):
    node = NodeProcess(tmp_path, '-p', 'image_transport:=theora')
    assert node.process.wait(60.0) == 1
    assert node.log.strip().splitlines()[-1] == (
        "nabs_pose_node: image_transport is 'theora': choose one of auto, raw, compressed")


@pytest.mark.parametrize('which, how', [('raw', signal.SIGINT), ('compressed', signal.SIGTERM)])
def test_ends_within_a_second_while_frames_flow(which, how, request, frames):
    """Last, for it ends the nodes that the other tests share."""
    client = request.getfixturevalue(which)
    without = 'info' if which == 'compressed' else ()
    changes = [renamed(frame, '41' if which == 'compressed' else 'mug') for frame in frames]
    stamp = client.send(frames[0], without=without, **changes[0])
    assert client.answer('poses', stamp) is not None, client.diagnostics()
    for frame, change in zip(frames, changes):
        client.send(frame, without=without, **change)
    assert client.process.process.poll() is None, client.process.log
    code, seconds = client.process.stop(how)
    assert code == 0
    assert seconds < 1.5, client.process.log
    assert 'Traceback' not in client.process.log
