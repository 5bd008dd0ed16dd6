# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Stand-ins for messages, read by attribute as the real ones are; no ROS needed."""

from types import SimpleNamespace


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
