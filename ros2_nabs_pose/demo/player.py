# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Plays a bag over DDS in real time once the node is ready, and notes when each image left.

python -m ros2_nabs_pose.demo.player BAG --log published.json [--seconds N]
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
import struct
import sys
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from ..bag_types import BagReader, BagTypes
from ..bags import DETECTIONS_TOPIC, IMAGE_TOPIC, TRUTH_TOPIC

READY_TIMEOUT_S = 60.0
SETTLE_S = 1.0
"""Time for the last reader to learn of its writer, after the writer knows of the reader."""


class Player(Node):
    """Publishers of a bag's topics, and an ear for the node's diagnostics."""

    def __init__(self, topics: dict[str, str]) -> None:
        super().__init__('demo_player')
        self._node_ready = False
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        self.outputs = {topic: self.create_publisher(_message_class(name), topic, 10)
                        for topic, name in topics.items()}

    def wait_until_heard(self, timeout_s: float) -> bool:
        """Whether the node is ready and images, boxes and truth have readers, in time."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            rclpy.spin_once(self, timeout_sec=0.1)
            if self._node_ready and all(
                    self.outputs[topic].get_subscription_count()
                    for topic in (IMAGE_TOPIC, DETECTIONS_TOPIC, TRUTH_TOPIC)):
                time.sleep(SETTLE_S)
                return True
        return False

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self._node_ready |= any(v.key == 'state' and v.value == 'ready' for v in status.values)


def _message_class(type_name: str) -> Any:
    package, _, name = type_name.split('/')
    return getattr(importlib.import_module(f'{package}.msg'), name)


def _header_stamp_ns(raw: bytes) -> int:
    """Stamp of a serialised message that begins with a header: after CDR's 4 bytes, sec, nanosec.
    """
    sec, nanosec = struct.unpack_from('<iI', raw, 4)
    return sec * 1_000_000_000 + nanosec


def play(bag: Path, log: Path, seconds: float | None) -> int:
    """Play the first ``seconds`` of a bag; writes {stamp_ns: monotonic seconds} of its images."""
    published: dict[int, float] = {}
    with BagReader(bag, BagTypes()) as reader:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        player = Player({c.topic: c.msgtype for c in reader.connections})
        try:
            if not player.wait_until_heard(READY_TIMEOUT_S):
                print('demo: the node was not ready in time: see node.log', file=sys.stderr)
                return 1
            began_s, began_ns = time.monotonic(), None
            for connection, when_ns, raw in reader.messages():
                began_ns = when_ns if began_ns is None else began_ns
                offset_s = (when_ns - began_ns) * 1e-9
                if seconds is not None and offset_s >= seconds:
                    break
                time.sleep(max(0.0, began_s + offset_s - time.monotonic()))
                if connection.topic == IMAGE_TOPIC:
                    published[_header_stamp_ns(raw)] = time.monotonic()
                player.outputs[connection.topic].publish(bytes(raw))
        finally:
            player.destroy_node()
            rclpy.try_shutdown()
    log.write_text(json.dumps(published))
    return 0


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument('bag', type=Path)
    parser.add_argument('--log', type=Path, required=True)
    parser.add_argument('--seconds', type=float)
    args = parser.parse_args()
    return play(args.bag, args.log, args.seconds)


if __name__ == '__main__':
    sys.exit(main())
