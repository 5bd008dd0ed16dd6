# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The node's state as a message for /diagnostics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from .status import FrameSummary

MAX_SENTENCE = 1000


def frame_values(summary: FrameSummary) -> dict[str, Any]:
    """Counts and times of frames under the keys that diagnostics have."""
    times = {f'{name}_ms_{what}': f'{value:.1f}' for name, pair in summary.times_ms.items()
             for what, value in zip(('median', 'p95'), pair)}
    return {'frames': summary.frames, 'poses': summary.poses,
            'rate_hz': f'{summary.rate_hz:.1f}', **times}


def diagnostic_array(stamp: Any, node_name: str, state: str, reason: str, news: str,
                     values: Mapping[str, Any]) -> DiagnosticArray:
    """The report of a node in ``state``: WARN and ``reason`` where there is one, else ``news``."""
    status = DiagnosticStatus(
        level=DiagnosticStatus.WARN if reason else DiagnosticStatus.OK,
        name=f'{node_name.lstrip("/")}: object poses', hardware_id='none',
        message=(reason or news)[:MAX_SENTENCE],
        values=[KeyValue(key=key, value=str(value)[:MAX_SENTENCE]) for key, value in
                {'state': state, 'reason': reason, **values}.items()])
    message = DiagnosticArray(status=[status])
    message.header.stamp = stamp  # of the report, not of a pose
    return message
