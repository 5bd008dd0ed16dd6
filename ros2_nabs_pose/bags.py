# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""An evaluation set's sequence as a rosbag2 folder, with its true poses.

    scripts/make_bag SET OUT [--sequence NAME] [--quality 90]

The bag holds /camera/image_raw/compressed (JPEG), /camera/camera_info, /detections
(vision_msgs/Detection2DArray) and /ground_truth (vision_msgs/Detection3DArray). Where an object's
front cannot be seen, the truth's covariance leaves the turn about its z axis open.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
import math
from pathlib import Path
import sys
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from .bag_types import BagTypes
from .conversions import pose_message
from .core.types import PoseError
from .evaluation.sets import read_set, TrueFrame, TrueObject

IMAGE_TOPIC = '/camera/image_raw/compressed'
CAMERA_INFO_TOPIC = '/camera/camera_info'
DETECTIONS_TOPIC = '/detections'
TRUTH_TOPIC = '/ground_truth'
CAMERA_FRAME = 'camera_optical_frame'
START_S = 1767225600
"""Stamp of the first moment: 2026-01-01 00:00:00 UTC, for sets whose clock starts at 0."""
OPEN_TURN_VARIANCE = math.pi ** 2 / 3.0
"""Variance of an angle of which nothing is known, rad^2: uniform over a full turn."""

TYPES = {
    IMAGE_TOPIC: 'sensor_msgs/msg/CompressedImage',
    CAMERA_INFO_TOPIC: 'sensor_msgs/msg/CameraInfo',
    DETECTIONS_TOPIC: 'vision_msgs/msg/Detection2DArray',
    TRUTH_TOPIC: 'vision_msgs/msg/Detection3DArray',
}


def write_sequence(folder: Path, out: Path, sequence: str | None = None,
                   quality: int = 90) -> int:
    """Write one sequence of an evaluation set as a new MCAP bag; returns its number of frames.

    quality: of the JPEGs, where the set's pictures are not JPEGs already. Raises PoseError where
    the set cannot become a bag or ``out`` exists.
    """
    frames = _frames(folder, sequence)
    if out.exists():
        raise PoseError(f'{out} exists already: choose another folder or remove it')
    types = BagTypes()
    with Writer(out, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {topic: writer.add_connection(topic, name, typestore=types.store)
                       for topic, name in TYPES.items()}
        for frame in frames:
            stamp_ns = START_S * 1_000_000_000 + round(frame.stamp_s * 1e9)
            for topic, message in _messages(types, frame, stamp_ns, quality).items():
                writer.write(connections[topic], stamp_ns,
                             types.serialize(message, TYPES[topic]))
    return len(frames)


def _frames(folder: Path, sequence: str | None) -> list[TrueFrame]:
    frames = read_set(folder).frames
    names = ', '.join(sorted({str(frame.sequence) for frame in frames}))
    if sequence is None and ', ' in names:
        raise PoseError(f'{folder} holds several sequences: name one of {names}')
    chosen = [f for f in frames if sequence in (None, f.sequence)]
    if not chosen:
        raise PoseError(f'{folder} has no sequence {sequence!r}: name one of {names}')
    stamps = [frame.stamp_s for frame in chosen]
    if any(b <= a for a, b in pairwise(stamps)):
        raise PoseError(f'the stamps of {folder} do not rise from frame to frame: a bag needs '
                        'stamp_s in every frame')
    return chosen


def _messages(types: BagTypes, frame: TrueFrame, stamp_ns: int, quality: int) -> dict[str, Any]:
    """One frame's message for every topic."""
    header = types.make('std_msgs/msg/Header', frame_id=CAMERA_FRAME, stamp=types.make(
        'builtin_interfaces/msg/Time', sec=stamp_ns // 1_000_000_000,
        nanosec=stamp_ns % 1_000_000_000))
    data, width, height = _jpeg(frame.image_path, quality)
    return {
        IMAGE_TOPIC: types.make(TYPES[IMAGE_TOPIC], header=header, format='jpeg', data=data),
        CAMERA_INFO_TOPIC: _camera_info(types, header, frame, width, height),
        DETECTIONS_TOPIC: types.make(
            TYPES[DETECTIONS_TOPIC], header=header,
            detections=[_detection(types, header, item) for item in frame.objects]),
        TRUTH_TOPIC: types.make(
            TYPES[TRUTH_TOPIC], header=header,
            detections=[_truth(types, header, item, item.T_cam_obj) for item in frame.objects
                        if item.T_cam_obj is not None]),
    }


def _jpeg(path: Path, quality: int) -> tuple[np.ndarray, int, int]:
    """JPEG bytes of a picture (those of the file where it is one), and its width and height."""
    raw = np.fromfile(path, np.uint8)
    bgr = cv2.imdecode(raw, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if bgr is None:
        raise PoseError(f'{path} is not a picture that can be read')
    if path.suffix.lower() not in ('.jpg', '.jpeg'):
        raw = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].reshape(-1)
    return raw, bgr.shape[1], bgr.shape[0]


def _camera_info(types: BagTypes, header: Any, frame: TrueFrame, width: int, height: int) -> Any:
    if frame.intrinsics is None:
        raise PoseError(f'{frame.image_path} has no intrinsics: a bag needs camera_info')
    fx, fy, cx, cy = frame.intrinsics
    return types.make(
        TYPES[CAMERA_INFO_TOPIC], header=header, width=width, height=height,
        distortion_model='rational_polynomial' if len(frame.distortion) == 8 else 'plumb_bob',
        d=np.array(frame.distortion or (0.0,) * 5),
        k=np.array([fx, 0, cx, 0, fy, cy, 0, 0, 1], float), r=np.eye(3).reshape(-1),
        p=np.array([fx, 0, cx, 0, 0, fy, cy, 0, 0, 0, 1, 0], float))


def _detection(types: BagTypes, header: Any, item: TrueObject) -> Any:
    x, y = item.box.center_px
    center = types.make('vision_msgs/msg/Pose2D', position=types.make(
        'vision_msgs/msg/Point2D', x=x, y=y))
    bbox = types.make('vision_msgs/msg/BoundingBox2D', center=center, size_x=item.box.width_px,
                      size_y=item.box.height_px)
    return types.make('vision_msgs/msg/Detection2D', header=header, id=item.id, bbox=bbox,
                      results=[_hypothesis(types, item.category)])


def _truth(types: BagTypes, header: Any, item: TrueObject, T_cam_obj: np.ndarray) -> Any:
    size = np.zeros(3) if item.size_m is None else item.size_m
    T_cam_box = T_cam_obj.copy()
    T_cam_box[:3, 3] += T_cam_obj[:3, :3] @ item.box_center_m
    x, y, z = (float(v) for v in size)
    bbox = types.make('vision_msgs/msg/BoundingBox3D', center=pose_message(types.make, T_cam_box),
                      size=types.make('geometry_msgs/msg/Vector3', x=x, y=y, z=z))
    covariance = np.zeros((6, 6))
    if item.yaw_visible is False:
        covariance[3:, 3:] = OPEN_TURN_VARIANCE * np.outer(T_cam_obj[:3, 2], T_cam_obj[:3, 2])
    pose = types.make('geometry_msgs/msg/PoseWithCovariance',
                      pose=pose_message(types.make, T_cam_obj), covariance=covariance.reshape(36))
    return types.make('vision_msgs/msg/Detection3D', header=header, id=item.id, bbox=bbox,
                      results=[_hypothesis(types, item.category, pose=pose)])


def _hypothesis(types: BagTypes, category: str, **fields: Any) -> Any:
    return types.make('vision_msgs/msg/ObjectHypothesisWithPose', hypothesis=types.make(
        'vision_msgs/msg/ObjectHypothesis', class_id=category, score=1.0), **fields)


def main(argv: list[str] | None = None) -> int:
    """Command line of ``scripts/make_bag``."""
    parser = argparse.ArgumentParser(description='Write an evaluation set as a rosbag2 folder.')
    parser.add_argument('set', type=Path, help='folder with annotations.json')
    parser.add_argument('out', type=Path, help='new folder for the bag')
    parser.add_argument('--sequence', help='which sequence, where the set holds several')
    parser.add_argument('--quality', type=int, default=90, help='JPEG quality of encoded pictures')
    args = parser.parse_args(argv)
    try:
        frames = write_sequence(args.set, args.out, args.sequence, args.quality)
    except PoseError as error:
        print(f'make_bag: {error}', file=sys.stderr)
        return 1
    size = sum(file.stat().st_size for file in args.out.iterdir())
    print(f'{args.out}: {frames} frames, {size / 1e6:.1f} MB')
    return 0


if __name__ == '__main__':
    sys.exit(main())
