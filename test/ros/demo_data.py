# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Frames of the shipped bag, and how near a pose must come to the truth; no ROS needed."""

import numpy as np

from ros2_nabs_pose.bag_types import BagReader, BagTypes
from ros2_nabs_pose.bags import CAMERA_INFO_TOPIC, DETECTIONS_TOPIC, IMAGE_TOPIC, TRUTH_TOPIC
from ros2_nabs_pose.image_encodings import rgb_from_message
from ros2_nabs_pose.matching import stamp_ns
from ros2_nabs_pose.resources import demo_bag


def demo_frames(count, first=0):
    """Frames of the shipped bag: {'rgb', 'jpeg', 'info', 'boxes', 'truth'}, decoded."""
    frames, waiting = [], {}
    with BagReader(demo_bag(), BagTypes()) as reader:
        for connection, _, raw in reader.messages():
            message = reader.deserialize(raw, connection)
            parts = waiting.setdefault(stamp_ns(message.header), {})
            parts[connection.topic] = message
            if len(parts) == 4:
                frames.append(parts)
                if len(frames) == first + count:
                    break
    return [{'rgb': rgb_from_message(f[IMAGE_TOPIC]), 'jpeg': bytes(f[IMAGE_TOPIC].data),
             'info': f[CAMERA_INFO_TOPIC], 'boxes': f[DETECTIONS_TOPIC].detections,
             'truth': {d.id: d for d in f[TRUTH_TOPIC].detections}} for f in frames[first:]]


def rotation_matrix(pose):
    """(3, 3) of a geometry_msgs/Pose, written out anew so that the test is independent."""
    x, y, z, w = (pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w)
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]])


def check_poses(message, truth):
    """Every object answered, near its true pose; the handle counts where it is in sight."""
    assert {d.id for d in message.detections} == set(truth)
    for item in message.detections:
        true = truth[item.id].results[0].pose
        pose = item.results[0].pose.pose
        R, R_true = rotation_matrix(pose), rotation_matrix(true.pose)
        assert np.degrees(np.arccos(np.clip(R[:, 2] @ R_true[:, 2], -1, 1))) < 15.0
        if np.trace(np.asarray(true.covariance).reshape(6, 6)[3:, 3:]) < 1.0:
            angle = np.arccos(np.clip((np.trace(R.T @ R_true) - 1) / 2, -1, 1))
            assert np.degrees(angle) < 30.0
        t, t_true = (np.array([p.position.x, p.position.y, p.position.z])
                     for p in (pose, true.pose))
        # The direction is seen, the distance hangs on the category's size.
        assert np.linalg.norm(t / t[2] - t_true / t_true[2]) < 0.03
        assert 0.6 < t[2] / t_true[2] < 1.6
        covariance = np.asarray(item.results[0].pose.covariance).reshape(6, 6)
        assert np.linalg.eigvalsh(covariance).min() > 0.0
        assert all(0.02 < s < 0.3 for s in (item.bbox.size.x, item.bbox.size.y, item.bbox.size.z))
        assert item.results[0].hypothesis.class_id == 'mug'
        assert 0.0 < item.results[0].hypothesis.score <= 1.0
