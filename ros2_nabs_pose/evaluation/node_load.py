# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Loads a node as a camera and a slow detector do: a bag's frames, played on and on, re-timed.

    python -m ros2_nabs_pose.evaluation.node_load BAG --seconds 30 --log sent.json

Images come at ``--rate`` with the stamp of their publishing; every third one has detections, which
leave ``--late`` seconds after it. Each frame of the bag is shown three times, forwards and
backwards, so that objects move as they did. The log tells when what left.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
import heapq
import importlib
import json
from pathlib import Path
import struct
import sys
import time
from typing import Any

import rclpy
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions

from ..bag_types import BagReader, BagTypes
from ..bags import CAMERA_INFO_TOPIC, DETECTIONS_TOPIC, IMAGE_TOPIC

TOPICS = (CAMERA_INFO_TOPIC, IMAGE_TOPIC, DETECTIONS_TOPIC)
IMAGES_A_DETECTION = 3
LISTENERS_TIMEOUT_S = 60.0
SETTLE_S = 1.0
"""Time for the last reader to learn of its writer, after the writer knows of the reader."""


@dataclass(frozen=True)
class Recorded:
    """Serialised messages of one frame of a bag, and of each topic the type."""

    frames: list[dict[str, bytes]]
    types: dict[str, str]


def read_frames(bag: Path) -> Recorded:
    """The frames of a bag whose image, calibration and boxes share a stamp, in order."""
    frames: dict[bytes, dict[str, bytes]] = {}
    with BagReader(bag, BagTypes()) as reader:
        types = {c.topic: c.msgtype for c in reader.connections if c.topic in TOPICS}
        for connection, _, raw in reader.messages():
            if connection.topic in TOPICS:
                # CDR: 4 bytes of encapsulation, then the header's stamp.
                frames.setdefault(bytes(raw[4:12]), {})[connection.topic] = bytes(raw)
    return Recorded([f for f in frames.values() if len(f) == len(TOPICS)], types)


def restamped(raw: bytes, stamp_ns: int) -> bytes:
    """A serialised message that begins with a header, under another stamp."""
    sec, nanosec = divmod(stamp_ns, 1_000_000_000)
    return raw[:4] + struct.pack('<iI', sec, nanosec) + raw[12:]


def there_and_back(index: int, count: int) -> int:
    """Position of the ``index``-th step of somebody who walks up and down ``count`` places."""
    at = index % max(1, 2 * (count - 1))
    return at if at < count else 2 * (count - 1) - at


def _message_class(type_name: str) -> Any:
    package, _, name = type_name.split('/')
    return getattr(importlib.import_module(f'{package}.msg'), name)


def play(recorded: Recorded, rate_hz: float, late_s: float, seconds: float) -> dict[str, Any]:
    """Publish for ``seconds``; stamps of the images and of the detections, ns, and when they left.

    A schedule that the machine does not keep shows in ``behind_s``, the largest delay.
    """
    node = rclpy.create_node('node_load')
    publishers = {topic: node.create_publisher(_message_class(name), topic, QoSProfile(depth=5))
                  for topic, name in recorded.types.items()}
    deadline = time.monotonic() + LISTENERS_TIMEOUT_S
    while not all(p.get_subscription_count() for p in publishers.values()):
        if time.monotonic() > deadline:
            raise RuntimeError('nobody listens')
        time.sleep(0.1)
    time.sleep(SETTLE_S)
    sent: dict[str, Any] = {'images': [], 'detections': [], 'behind_s': 0.0}
    due: list[tuple[float, int, str, bytes]] = []
    began_s, number = time.monotonic(), 0
    while number < seconds * rate_hz or due:
        image_due_s = number / rate_hz if number < seconds * rate_hz else float('inf')
        next_s = min(image_due_s, due[0][0] if due else float('inf'))
        time.sleep(max(0.0, began_s + next_s - time.monotonic()))
        sent['behind_s'] = max(sent['behind_s'], time.monotonic() - began_s - next_s)
        if next_s < image_due_s:
            _, stamp_ns, topic, raw = heapq.heappop(due)
            publishers[topic].publish(restamped(raw, stamp_ns))
            sent['detections'].append(stamp_ns)
            continue
        frame = recorded.frames[there_and_back(number // IMAGES_A_DETECTION, len(recorded.frames))]
        stamp_ns = time.time_ns()
        for topic in (CAMERA_INFO_TOPIC, IMAGE_TOPIC):
            publishers[topic].publish(restamped(frame[topic], stamp_ns))
        sent['images'].append(stamp_ns)
        if number % IMAGES_A_DETECTION == 0:
            heapq.heappush(due, (next_s + late_s, stamp_ns, DETECTIONS_TOPIC,
                                 frame[DETECTIONS_TOPIC]))
        number += 1
    time.sleep(SETTLE_S)  # what is on the way arrives
    node.destroy_node()
    return sent


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument('bag', type=Path)
    parser.add_argument('--log', type=Path, required=True)
    parser.add_argument('--seconds', type=float, required=True)
    parser.add_argument('--rate', type=float, default=30.0)
    parser.add_argument('--late', type=float, default=0.2)
    args = parser.parse_args()
    recorded = read_frames(args.bag)
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        args.log.write_text(json.dumps(play(recorded, args.rate, args.late, args.seconds)))
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
