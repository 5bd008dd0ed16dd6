# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""An evaluation set becomes a bag that says the same, and reads back without ROS."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from ros2_nabs_pose.bag_types import BagReader, BagTypes, VISION_MSGS
from ros2_nabs_pose.bags import (
    CAMERA_FRAME,
    CAMERA_INFO_TOPIC,
    DETECTIONS_TOPIC,
    IMAGE_TOPIC,
    START_S,
    TRUTH_TOPIC,
    write_sequence,
)
from ros2_nabs_pose.conversions import transform_from_pose
from ros2_nabs_pose.core.types import PoseError
from ros2_nabs_pose.image_encodings import rgb_from_message

INTERFACES = Path(__file__).parents[2] / 'interfaces' / 'vision_msgs' / 'msg'
POSE = [[0.0, 1.0, 0.0, 0.01], [0.6, 0.0, -0.8, 0.02], [-0.8, 0.0, -0.6, 0.5], [0, 0, 0, 1]]


@pytest.fixture
def folder(tmp_path):
    """Two frames: a PNG with the handle in sight, and a JPEG without."""
    picture = np.full((24, 32, 3), (30, 90, 200), np.uint8)
    frames = []
    for i, name in enumerate(('0.png', '1.jpg')):
        cv2.imwrite(str(tmp_path / name), picture)
        frames.append({
            'image': name, 'depth': None, 'depth_unit_m': None, 'intrinsics': [40, 41, 15, 11],
            'distortion': [0.1, -0.2, 0, 0, 0.3], 'sequence': 's', 'stamp_s': 0.25 * i,
            'objects': [{'id': 'mug_1', 'category': 'mug', 'box_px': [4, 5, 14, 19], 'mask': None,
                         'T_cam_obj': POSE, 'size_m': [0.11, 0.08, 0.1],
                         'box_center_m': [0.01, 0, 0], 'yaw_visible': i == 0,
                         'keypoints_px': None}]})
    (tmp_path / 'annotations.json').write_text(json.dumps(
        {'name': 'set', 'licence': 'none', 'frames': frames}))
    return tmp_path


def read(path):
    by_topic = {}
    with BagReader(path, BagTypes()) as reader:
        for connection, when_ns, raw in reader.messages():
            by_topic.setdefault(connection.topic, []).append(
                (when_ns, reader.deserialize(raw, connection)))
    return by_topic


def test_a_set_becomes_a_bag(folder):
    out = folder / 'bag'
    assert write_sequence(folder, out, quality=95) == 2
    topics = read(out)
    assert {name: len(messages) for name, messages in topics.items()} == dict.fromkeys(
        (IMAGE_TOPIC, CAMERA_INFO_TOPIC, DETECTIONS_TOPIC, TRUTH_TOPIC), 2)
    for messages in topics.values():
        when_ns, second = messages[1]
        assert when_ns == START_S * 10**9 + 250_000_000
        assert (second.header.stamp.sec, second.header.stamp.nanosec) == (START_S, 250_000_000)
        assert second.header.frame_id == CAMERA_FRAME
    rgb = rgb_from_message(topics[IMAGE_TOPIC][0][1]).astype(int)
    assert np.abs(rgb - (200, 90, 30)).max() <= 4
    assert bytes(topics[IMAGE_TOPIC][1][1].data) == (folder / '1.jpg').read_bytes()
    info = topics[CAMERA_INFO_TOPIC][0][1]
    assert list(info.k) == [40, 0, 15, 0, 41, 11, 0, 0, 1]
    assert (list(info.d), info.distortion_model) == ([0.1, -0.2, 0, 0, 0.3], 'plumb_bob')
    assert (info.width, info.height) == (32, 24)
    box = topics[DETECTIONS_TOPIC][0][1].detections[0]
    assert (box.bbox.center.position.x, box.bbox.size_y, box.id) == (9.0, 14.0, 'mug_1')
    assert box.results[0].hypothesis.class_id == 'mug'
    for (_, truth), open_turn in zip(topics[TRUTH_TOPIC], (False, True)):
        pose = truth.detections[0].results[0].pose
        np.testing.assert_allclose(transform_from_pose(pose.pose), POSE, atol=1e-12)
        covariance = np.asarray(pose.covariance).reshape(6, 6)[3:, 3:]
        assert np.trace(covariance) == pytest.approx(np.pi ** 2 / 3 if open_turn else 0.0)
        np.testing.assert_allclose(covariance @ np.cross((0.0, -0.8, -0.6), (1, 2, 3)), 0.0,
                                   atol=1e-12)


def test_a_single_file_reads_like_its_folder(folder):
    write_sequence(folder, folder / 'bag')
    assert len(read(next((folder / 'bag').glob('*.mcap')))[TRUTH_TOPIC]) == 2


def test_what_cannot_become_a_bag_gives_one_sentence(folder):
    with pytest.raises(PoseError, match="no sequence 'other'"):
        write_sequence(folder, folder / 'bag', sequence='other')
    (folder / 'there').mkdir()
    with pytest.raises(PoseError, match='exists already'):
        write_sequence(folder, folder / 'there')
    with pytest.raises(PoseError, match='no bag at'):
        read(folder / 'missing')
    (folder / 'broken.mcap').write_bytes(b'not a bag')
    with pytest.raises(PoseError, match='broken.mcap'):
        read(folder / 'broken.mcap')


def test_embedded_definitions_are_those_of_the_package():
    for name, text in VISION_MSGS.items():
        lines = (line.split('#')[0].split() for line in
                 (INTERFACES / f'{name}.msg').read_text().splitlines())
        assert [' '.join(line) for line in lines if line] == text.split('\n'), name
