# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""An independent subscriber: takes the node's poses off DDS and compares them with the truth.

    python -m ros2_nabs_pose.demo.listener FOLDER

Prints one progress line a second. On SIGINT it waits until the node has worked off what it took,
writes FOLDER/heard.json, and ends; strips of synthesised views lie beside it by stamp.
"""

from __future__ import annotations

import json
from pathlib import Path
import signal
import sys
import time
from typing import Any

import cv2
from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection3D, Detection3DArray

from ..bags import OPEN_TURN_VARIANCE, TRUTH_TOPIC
from ..conversions import transform_from_pose
from ..evaluation.metrics import axis_error_deg, rotation_error_deg, translation_error_m
from ..frames import PANEL_HEIGHT_PX
from ..matching import stamp_ns

SETTLE_TIMEOUT_S = 20.0


def front_visible(truth: Detection3D) -> bool:
    """Whether the true pose is certain of its turn about z, so that the front can be seen."""
    covariance = np.asarray(truth.results[0].pose.covariance).reshape(6, 6)
    return bool(np.trace(covariance[3:, 3:]) < 0.5 * OPEN_TURN_VARIANCE)


def compare(heard: Detection3D, truth: Detection3D) -> dict[str, Any]:
    """Errors of one pose, symmetry-aware, as plain values for JSON."""
    T_heard = transform_from_pose(heard.results[0].pose.pose)
    T_true = transform_from_pose(truth.results[0].pose.pose)
    visible = front_visible(truth)
    return {'front_visible': visible,
            'rotation_deg': rotation_error_deg(T_heard, T_true, free_z=not visible),
            'axis_deg': axis_error_deg(T_heard, T_true),
            'translation_m': translation_error_m(T_heard, T_true)}


class Listener(Node):
    """Records what the node publishes, with the time of arrival."""

    def __init__(self, folder: Path) -> None:
        super().__init__('demo_listener')
        self.folder = folder
        self.truth: dict[int, dict[str, Detection3D]] = {}
        self.heard: dict[int, tuple[float, Detection3DArray]] = {}
        self.diagnostics: dict[str, str] = {}
        self._records: dict[int, dict[str, Any]] = {}
        self.create_subscription(Detection3DArray, TRUTH_TOPIC, self._on_truth, 10)
        self.create_subscription(Detection3DArray, '/nabs_pose/poses', self._on_poses, 10)
        self.create_subscription(Image, '/nabs_pose/debug_image', self._on_debug_image, 2)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def _on_truth(self, message: Detection3DArray) -> None:
        self.truth[stamp_ns(message.header)] = {d.id: d for d in message.detections}

    def _on_poses(self, message: Detection3DArray) -> None:
        self.heard[stamp_ns(message.header)] = time.monotonic(), message

    def _on_debug_image(self, message: Image) -> None:
        rgb = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
        strip = cv2.cvtColor(rgb[-PANEL_HEIGHT_PX:], cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(self.folder / f'{stamp_ns(message.header)}.jpg'), strip)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith('nabs_pose'):
                self.diagnostics = {v.key: v.value for v in status.values}

    def settled(self) -> bool:
        """Whether the node says that it has answered or dropped every frame it took."""
        values = self.diagnostics
        return bool(values) and int(values['matches']) == (
            int(values['frames']) + int(values['dropped_stale']))

    def records(self) -> list[dict[str, Any]]:
        """One record a frame heard: stamp, arrival, and its objects, with errors where truth came.
        """
        for stamp, (received_s, message) in self.heard.items():
            if stamp not in self._records and stamp in self.truth:
                self._records[stamp] = {
                    'stamp_ns': stamp, 'received_s': received_s,
                    'frame_id': message.header.frame_id,
                    'objects': [_record(d, self.truth[stamp].get(d.id))
                                for d in message.detections]}
        return [self._records[stamp] for stamp in sorted(self._records)]

    def progress(self) -> str:
        """One line on how it goes."""
        records = [o for frame in self.records() for o in frame['objects'] if 'rotation_deg' in o]
        errors = [o['rotation_deg'] for o in records]
        median = f'{np.median(errors):5.1f} deg' if errors else '   -'
        return (f'images {len(self.truth):4d}  frames answered {len(self.heard):4d}  '
                f'poses {len(records):4d}  skipped as stale '
                f'{self.diagnostics.get("dropped_stale", "0"):>4s}  rotation error {median}')


def _record(heard: Detection3D, truth: Detection3D | None) -> dict[str, Any]:
    size = heard.bbox.size
    record = {'id': heard.id, 'category': heard.results[0].hypothesis.class_id,
              'confidence': heard.results[0].hypothesis.score,
              'T_cam_obj': transform_from_pose(heard.results[0].pose.pose).tolist(),
              'T_cam_box': transform_from_pose(heard.bbox.center).tolist(),
              'size_m': [size.x, size.y, size.z]}
    return record if truth is None else {**record, **compare(heard, truth)}


def main(folder: Path) -> int:
    """Listen until SIGINT, then until the node has settled."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    stopping: list[float] = []
    signal.signal(signal.SIGINT, lambda *_: stopping.append(time.monotonic()))
    listener = Listener(folder)
    next_line_s = 0.0
    while True:
        rclpy.spin_once(listener, timeout_sec=0.1)
        now_s = time.monotonic()
        if now_s >= next_line_s:
            print(listener.progress(), flush=True)
            next_line_s = now_s + 1.0
        # The diagnostics in hand must have been written after the last frame.
        if stopping and (now_s > stopping[0] + SETTLE_TIMEOUT_S
                         or (now_s > stopping[0] + 2.0 and listener.settled())):
            break
    (folder / 'heard.json').write_text(json.dumps(
        {'frames': listener.records(), 'diagnostics': listener.diagnostics,
         'truth': {stamp: {name: {'front_visible': front_visible(d),
                                  'T_cam_obj': transform_from_pose(
                                      d.results[0].pose.pose).tolist()}
                           for name, d in objects.items()}
                   for stamp, objects in listener.truth.items()}}))
    listener.destroy_node()
    rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main(Path(sys.argv[1])))
