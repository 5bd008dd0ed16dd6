# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Stand-ins for messages, read by attribute as the real ones are; no ROS needed."""

import array
from types import SimpleNamespace

import numpy as np


def header(stamp_s, frame_id='camera'):
    ns = round(stamp_s * 1e9)
    return SimpleNamespace(
        stamp=SimpleNamespace(sec=ns // 10**9, nanosec=ns % 10**9), frame_id=frame_id)


def stamped(stamp_s, name=''):
    return SimpleNamespace(header=header(stamp_s), name=name)


def detection(class_ids, center=(50.0, 40.0), size=(20.0, 10.0), theta=0.0, track_id='',
              scores=None):
    results = [SimpleNamespace(hypothesis=SimpleNamespace(class_id=name, score=score))
               for name, score in zip(class_ids, scores or [0.9] * len(class_ids))]
    bbox = SimpleNamespace(
        center=SimpleNamespace(position=SimpleNamespace(x=center[0], y=center[1]), theta=theta),
        size_x=size[0], size_y=size[1])
    return SimpleNamespace(results=results, bbox=bbox, id=track_id)


def detections(*items):
    return SimpleNamespace(header=header(1.0), detections=list(items))


def camera_info(**changes):
    values = {
        'width': 640, 'height': 480, 'k': [500, 0, 320, 0, 510, 240, 0, 0, 1],
        'p': [400, 0, 300, 0, 0, 410, 200, 0, 0, 0, 1, 0], 'd': [0.1, -0.2, 0.0, 0.0, 0.05],
        'distortion_model': 'plumb_bob', 'binning_x': 0, 'binning_y': 0,
        'roi': SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)}
    return SimpleNamespace(**{**values, **changes})


def image(encoding, pixels, pad=0, big_endian=False, **changes):
    """A message from pixels (H, W) or (H, W, C), with ``pad`` bytes after each row."""
    rows = pixels.astype(pixels.dtype.newbyteorder('>')) if big_endian else pixels
    rows = np.ascontiguousarray(rows).view(np.uint8).reshape(len(pixels), -1)
    rows = np.pad(rows, ((0, 0), (0, pad)), constant_values=77)
    message = SimpleNamespace(
        height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, step=rows.shape[1],
        is_bigendian=big_endian, data=array.array('B', rows.tobytes()))
    return SimpleNamespace(**{**vars(message), **changes})
