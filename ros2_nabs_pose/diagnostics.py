# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The node's state as a message for /diagnostics, once a second."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from .inputs import Inputs
from .outputs import Outputs
from .processing import Processing
from .qos import publisher_options, publisher_qos
from .status import CallbackTimes, Explainer, FrameSummary, Situation, WINDOW_S
from .topics import DIAGNOSTICS

MAX_SENTENCE = 1000
STRANGE_AGE_S = 10.0
"""No detector and no fit takes so long: stamps that are older come from another clock."""


class Reporter:
    """Publishes what the node does, and why nothing comes out; executor's thread only.

    warn: logs that reason, not too often.
    """

    def __init__(self, node: Node, inputs: Inputs, callback_times: CallbackTimes,
                 warn: Callable[[str], None]) -> None:
        self._node = node
        self._inputs = inputs
        self._callback_times = callback_times
        self._warn = warn
        self._publisher = node.create_publisher(
            DiagnosticArray, DIAGNOSTICS.name, publisher_qos(DIAGNOSTICS),
            qos_overriding_options=publisher_options())
        self.last_s = 0.0
        self.forget()

    def forget(self) -> None:
        """Begin anew to compare reports."""
        self._explainer = Explainer(self._inputs.topics)
        self._counts: deque[tuple[float, int, int]] = deque()

    def report(self, state: str, processing: Processing | None, outputs: Outputs | None,
               slop_s: float) -> None:
        """Publish a report. state: name of the lifecycle state; others: None until there are any.
        """
        self.last_s = time.monotonic()
        inputs = self._inputs
        summary = FrameSummary() if processing is None else (
            processing.statistics.summary(self.last_s))
        reason, unheard = '', list[str]()
        if state == 'unconfigured' and processing is not None:
            state, reason = 'loading', 'loading the models'
        elif state == 'active' and outputs is not None:
            state, unheard = 'ready', inputs.problems()
            reason = self._explainer.explain(Situation(
                inputs.matcher.counts, inputs.matcher.waiting_offset_s(),
                inputs.count_image_publishers(), summary.frames, summary.reasons, unheard), slop_s)
            unheard += outputs.unheard
            self._warn(reason)
        dropped = 0 if processing is None else processing.dropped
        p99_ms, max_ms = self._callback_times.p99_and_max_ms()
        self._publisher.publish(diagnostic_array(
            self._node.get_clock().now().to_msg(), self._node.get_fully_qualified_name(), state,
            reason, self._news(summary, dropped) if state == 'ready' else state,
            {**frame_values(summary), **inputs.values(),
             'dropped_stale': dropped,
             'qos_mismatch': '; '.join(unheard),
             'object_topics': 0 if outputs is None else len(outputs.objects),
             'callback_ms_p99': f'{p99_ms:.2f}', 'callback_ms_max': f'{max_ms:.2f}'}))

    def _news(self, summary: FrameSummary, dropped: int) -> str:
        """How it goes while poses come out: rate and share of frames left out over WINDOW_S."""
        counts = self._counts
        while len(counts) > 1 and counts[1][0] <= self.last_s - WINDOW_S:
            counts.popleft()
        counts.append((self.last_s, summary.frames, dropped))
        frames, left_out = summary.frames - counts[0][1], dropped - counts[0][2]
        busy = '' if left_out <= 0 else (
            f'; the worker is busy, {left_out / (frames + left_out):.0%} of the frames are left '
            'out for newer ones')
        age_s = summary.times_ms['stamp_to_publish'][0] * 1e-3
        strange = '' if not abs(age_s) > STRANGE_AGE_S else (
            f"; their stamps are {abs(age_s):.0f} s {'old' if age_s > 0.0 else 'ahead'} by this "
            "node's clock: mend the clocks, or set use_sim_time where a bag plays with --clock")
        return f'poses come out at {summary.rate_hz:.1f} Hz{busy}{strange}'


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
