# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A recorded bag with true poses as an evaluation set: the way back of ``bags.write_sequence``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..bag_types import BagReader, BagTypes
from ..bags import CAMERA_INFO_TOPIC, DETECTIONS_TOPIC, IMAGE_TOPIC, TRUTH_TOPIC
from ..core.rotations import matrix_from_quaternion
from ..core.types import PoseError

# Above this variance (rad^2) about some axis, the truth leaves the turn open: half a radian.
_OPEN_VARIANCE = 0.25


def unpack_bag(bag: Path, folder: Path) -> None:
    """Write images and annotations.json of a bag's frames into ``folder``.

    Only frames with image, camera_info, detections and truth of one stamp are taken; PoseError if
    there are none.
    """
    frames: dict[int, dict[str, Any]] = {}
    with BagReader(bag, BagTypes()) as reader:
        for connection, _, raw in reader.messages():
            if connection.topic in (IMAGE_TOPIC, CAMERA_INFO_TOPIC, DETECTIONS_TOPIC, TRUTH_TOPIC):
                message = reader.deserialize(raw, connection)
                stamp = message.header.stamp.sec * 10 ** 9 + message.header.stamp.nanosec
                frames.setdefault(stamp, {})[connection.topic] = message
    stamps = sorted(stamp for stamp, topics in frames.items() if len(topics) == 4)
    if not stamps:
        raise PoseError(f'{bag} has no frame with {IMAGE_TOPIC}, {CAMERA_INFO_TOPIC}, '
                        f'{DETECTIONS_TOPIC} and {TRUTH_TOPIC} of one stamp')
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for i, stamp in enumerate(stamps):
        name = f'{i:06d}.jpg'
        (folder / name).write_bytes(bytes(frames[stamp][IMAGE_TOPIC].data))
        entries.append(_frame(frames[stamp], name, bag.name, (stamp - stamps[0]) * 1e-9))
    (folder / 'annotations.json').write_text(
        json.dumps({'name': bag.name, 'licence': 'as the bag', 'frames': entries}),
        encoding='utf-8')


def _frame(topics: dict[str, Any], image: str, sequence: str, stamp_s: float) -> dict[str, Any]:
    info = topics[CAMERA_INFO_TOPIC]
    K = info.k
    truth = {d.id: d for d in topics[TRUTH_TOPIC].detections}
    return {
        'image': image, 'sequence': sequence, 'stamp_s': stamp_s,
        'intrinsics': [K[0], K[4], K[2], K[5]], 'distortion': [float(k) for k in info.d],
        'objects': [_object(d, truth.get(d.id)) for d in topics[DETECTIONS_TOPIC].detections]}


def _object(seen: Any, truth: Any) -> dict[str, Any]:
    center, sx, sy = seen.bbox.center.position, seen.bbox.size_x, seen.bbox.size_y
    entry: dict[str, Any] = {
        'id': seen.id, 'category': seen.results[0].hypothesis.class_id,
        'box_px': [center.x - sx / 2, center.y - sy / 2, center.x + sx / 2, center.y + sy / 2]}
    if truth is not None:
        stated = truth.results[0].pose
        T_cam_obj, T_cam_box = _matrix(stated.pose), _matrix(truth.bbox.center)
        turn = np.reshape(stated.covariance, (6, 6))[3:, 3:]
        offset = T_cam_obj[:3, :3].T @ (T_cam_box[:3, 3] - T_cam_obj[:3, 3])
        size = truth.bbox.size.x, truth.bbox.size.y, truth.bbox.size.z
        entry |= {
            'T_cam_obj': T_cam_obj.tolist(), 'size_m': list(size) if min(size) > 0 else None,
            'box_center_m': offset.tolist(),
            'yaw_visible': bool(np.linalg.eigvalsh(turn).max() < _OPEN_VARIANCE)}
    return entry


def _matrix(pose: Any) -> np.ndarray:
    q, p = pose.orientation, pose.position
    T = np.eye(4)
    quaternion = torch.tensor([q.x, q.y, q.z, q.w], dtype=torch.float64)
    T[:3, :3] = matrix_from_quaternion(quaternion).numpy()
    T[:3, 3] = p.x, p.y, p.z
    return T
