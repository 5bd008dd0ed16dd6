# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""``nabs-pose bag`` copies a bag and adds poses that are right, without ROS."""

from contextlib import contextmanager
from itertools import islice

from demo_data import check_poses, rotation_matrix
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from scipy.spatial.transform import Rotation

from ros2_nabs_pose.bag_types import BagReader, BagTypes
from ros2_nabs_pose.bags import CAMERA_FRAME, IMAGE_TOPIC, TRUTH_TOPIC
from ros2_nabs_pose.cli.main import main
from ros2_nabs_pose.image_encodings import rgb_from_message
from ros2_nabs_pose.matching import stamp_ns
from ros2_nabs_pose.resources import demo_bag

FRAMES = 2


@contextmanager
def copied(source, out, types, count=None):
    """A bag's messages, all or so many, in a bag that takes more: its writer, and what is copied as
    (connection, time in ns, message).
    """
    with BagReader(source, types) as reader, \
            Writer(out, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        copies = {c.id: reader.copy_connection(c, writer) for c in reader.connections}
        seen = []
        for connection, when_ns, raw in islice(reader.messages(), count):
            writer.write(copies[connection.id], when_ns, raw)
            seen.append((connection, when_ns, reader.deserialize(raw, connection)))
        yield writer, seen


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """The first frames of the shipped bag."""
    out = tmp_path_factory.mktemp('short') / 'bag'
    with BagReader(demo_bag(), BagTypes()) as reader:
        count = FRAMES * len(reader.connections)
    with copied(demo_bag(), out, BagTypes(), count):
        return out


def read(path):
    by_topic = {}
    with BagReader(path, BagTypes()) as reader:
        for connection, _, raw in reader.messages():
            by_topic.setdefault(connection.topic, []).append(reader.deserialize(raw, connection))
    return by_topic


@pytest.mark.parametrize('as_file', [False, True])
def test_a_bag_gets_poses(bag, tmp_path, as_file, capsys):
    source = next(bag.glob('*.mcap')) if as_file else bag
    assert main(['bag', str(source), '--out', str(tmp_path / 'out')]) == 0
    before, after = read(bag), read(tmp_path / 'out')
    for topic, messages in before.items():
        assert [stamp_ns(m.header) for m in after[topic]] == [stamp_ns(m.header) for m in messages]
    assert bytes(after[IMAGE_TOPIC][0].data) == bytes(before[IMAGE_TOPIC][0].data)
    for poses, truth in zip(after['/nabs_pose/poses'], after[TRUTH_TOPIC]):
        assert poses.header == truth.header
        assert poses.header.frame_id == CAMERA_FRAME
        check_poses(poses, {d.id: d for d in truth.detections})
    names = [d.id for d in after['/nabs_pose/poses'][0].detections]
    assert [t.child_frame_id for t in after['/tf'][0].transforms] == names
    assert len(after['/nabs_pose/pose']) == len(after['/nabs_pose/markers']) == FRAMES
    assert f'poses {FRAMES * len(names)}' in capsys.readouterr().out


def test_depth_gives_the_scale(bag, tmp_path, capsys):
    """A wall at 0.4 m in every frame, which the bag has after the boxes."""
    with_depth, types = tmp_path / 'with depth', BagTypes()
    name = 'sensor_msgs/msg/Image'
    with copied(bag, with_depth, types) as (writer, seen):
        depth = writer.add_connection('/camera/depth', name, typestore=types.store)
        for connection, when_ns, message in seen:
            if connection.topic == TRUTH_TOPIC:
                header = message.header
            if connection.topic == IMAGE_TOPIC:
                height, width = rgb_from_message(message).shape[:2]
                last_ns = when_ns
        wall = np.full((height, width), 0.4, np.float32)
        writer.write(depth, last_ns + 50_000_000, types.serialize(types.make(
            name, header=header, height=height, width=width, encoding='32FC1', step=4 * width,
            data=wall.view(np.uint8).reshape(-1)), name))
    out = tmp_path / 'out'
    assert main(['bag', str(with_depth), '--out', str(out), '--depth', '/camera/depth']) == 0
    first, last = read(out)['/nabs_pose/poses']
    assert last.header.stamp == header.stamp
    assert all(0.4 < d.results[0].pose.pose.position.z < 0.46 for d in last.detections)
    assert all(d.results[0].pose.pose.position.z > 0.46 for d in first.detections)
    assert '1 x a frame went without depth' in capsys.readouterr().out


def test_recorded_transforms_tell_what_is_up(bag, tmp_path, capsys):
    """A base whose z axis lies 8 degrees beside the mugs' true one draws them there."""
    with_frames, types = tmp_path / 'with frames', BagTypes()
    name = 'tf2_msgs/msg/TFMessage'
    truth = rotation_matrix(read(bag)[TRUTH_TOPIC][0].detections[0].results[0].pose.pose)
    beside = Rotation.from_rotvec(np.radians(8.0) * truth[:, 0]) * Rotation.from_matrix(truth)
    with copied(bag, with_frames, types) as (writer, seen):
        static = writer.add_connection('/tf_static', name, typestore=types.store)
        # Recorded last: it holds for all of the bag.
        x, y, z, w = beside.as_quat().tolist()
        turn = types.make('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w)
        writer.write(static, seen[-1][1], types.serialize(types.make(name, transforms=[
            types.make('geometry_msgs/msg/TransformStamped', child_frame_id='base_link',
                       header=types.make('std_msgs/msg/Header', frame_id=CAMERA_FRAME),
                       transform=types.make('geometry_msgs/msg/Transform',
                                            rotation=turn))]), name))
    asked = tmp_path / 'asked'
    assert main(['bag', str(with_frames), '--out', str(asked), '--up-frame', 'base_link']) == 0
    assert main(['bag', str(with_frames), '--out', str(tmp_path / 'not')]) == 0
    up = beside.as_matrix()[:, 2]
    drawn, left = ([np.degrees(np.arccos(up @ rotation_matrix(d.results[0].pose.pose)[:, 2]))
                    for d in read(out)['/nabs_pose/poses'][0].detections]
                   for out in (asked, tmp_path / 'not'))
    assert min(left) > 4.0 and (np.array(drawn) < 0.6 * np.array(left)).all()
    capsys.readouterr()
    lost = str(tmp_path / 'lost')
    assert main(['bag', str(with_frames), '--out', lost, '--up-frame', 'map']) == 0
    assert (f'{FRAMES} x a frame went without up_frame: no transform leads from map to the camera, '
            f'{CAMERA_FRAME}') in capsys.readouterr().out


def test_what_cannot_be_converted_gives_one_sentence(bag, tmp_path, capsys):
    out = str(tmp_path / 'out')
    assert main(['bag', str(bag), '--out', out, '--image', '/nothing']) == 2
    assert f'it has {IMAGE_TOPIC}' in capsys.readouterr().err
    assert main(['bag', str(bag), '--out', str(bag)]) == 2
    assert 'exists already' in capsys.readouterr().err
    assert main(['bag', str(bag), '--out', out, '--class-map', 'cup']) == 2
    assert 'class_id:category' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
