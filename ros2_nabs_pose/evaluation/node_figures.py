# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""How a node does under load, measured from outside: rate, latency, drops, memory, answers.

Three processes on one machine: the node, the load (``node_load``), and this one, which listens to
the poses and to /diagnostics, calls parameter services, and reads the node's memory from /proc.
Where the node tells the same of itself, both are kept, so that they can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
import json
import os
from pathlib import Path
import random
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
import rclpy
from rclpy.executors import SingleThreadedExecutor
from vision_msgs.msg import Detection3DArray

from .speed import describe_device
from ..bags import CAMERA_INFO_TOPIC, IMAGE_TOPIC
from ..core.types import PoseError
from ..matching import stamp_ns
from ..status import LEAST_FRAMES, WINDOW_S

READY_TIMEOUT_S = 120.0
SETTLE_TIMEOUT_S = 30.0
CALL_PERIOD_S = 0.5
MEMORY_PERIOD_S = 1.0
WARM_UP_SHARE = 0.2
"""Of the time; memory is compared from there on, when caches are full."""


@dataclass
class Heard:
    """What the observer noted, by the wall clock, seconds."""

    poses: list[tuple[float, int, int]] = field(default_factory=list)
    """Arrival, image's stamp in nanoseconds, number of objects."""
    reports: list[tuple[float, dict[str, str]]] = field(default_factory=list)
    calls_s: list[float] = field(default_factory=list)
    memory_mb: list[tuple[float, float]] = field(default_factory=list)
    processor_s: list[float] = field(default_factory=list)
    """Processor time that the node has had, with each of ``memory_mb``."""

    @property
    def report(self) -> dict[str, str]:
        """The node's last report."""
        return self.reports[-1][1] if self.reports else {}

    @property
    def settled(self) -> bool:
        """Whether the node says that it has answered or dropped every frame it took."""
        r = self.report
        return bool(r) and int(r['matches']) == sum(
            int(r.get(key, 0)) for key in ('frames', 'dropped_stale', 'dropped_waiting'))


class Observer:
    """A participant of its own in the node's domain."""

    def __init__(self, domain: int, process: subprocess.Popen) -> None:
        self.heard = Heard()
        self._process = process
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._node = rclpy.create_node('node_figures', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._node.create_subscription(Detection3DArray, '/nabs_pose/poses', self._on_poses, 20)
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._on_report, 20)
        self._client = self._node.create_client(SetParameters, '/nabs_pose/set_parameters')
        self._called_s = 0.0
        self._call: Any = None

    def spin_until(self, condition: Any, timeout_s: float) -> bool:
        """Whether ``condition`` came true in time; raises PoseError when the node has ended."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            if self._process.poll() is not None:
                raise PoseError(f'the node ended with status {self._process.returncode}')
            self._executor.spin_once(timeout_sec=0.05)
        return True

    def watch(self, load: subprocess.Popen) -> None:
        """Call and measure until the load has ended."""
        next_call_s = next_memory_s = time.monotonic()

        def ended() -> bool:
            nonlocal next_call_s, next_memory_s
            now_s = time.monotonic()
            if now_s >= next_call_s and self._call is None:
                next_call_s = now_s + CALL_PERIOD_S
                self._ask()
            if now_s >= next_memory_s:
                next_memory_s = now_s + MEMORY_PERIOD_S
                self.heard.memory_mb.append((time.time(), resident_mb(self._process.pid)))
                self.heard.processor_s.append(processor_s(self._process.pid))
            return load.poll() is not None

        self.spin_until(ended, float('inf'))

    def close(self) -> None:
        """Leave the domain."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def _ask(self) -> None:
        """Set a parameter to what it is, as a live change that passes every check."""
        value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=0.0)
        self._called_s = time.monotonic()
        self._call = self._client.call_async(SetParameters.Request(
            parameters=[Parameter(name='min_score', value=value)]))
        self._call.add_done_callback(self._on_answer)

    def _on_answer(self, future: Any) -> None:
        self._call = None
        if all(result.successful for result in future.result().results):
            self.heard.calls_s.append(time.monotonic() - self._called_s)

    def _on_poses(self, message: Detection3DArray) -> None:
        self.heard.poses.append(
            (time.time(), stamp_ns(message.header), len(message.detections)))

    def _on_report(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith('nabs_pose'):
                self.heard.reports.append((time.time(), {v.key: v.value for v in status.values}))


def resident_mb(pid: int) -> float:
    """Resident memory of a process, MB."""
    pages = int(Path(f'/proc/{pid}/statm').read_text(encoding='ascii').split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 1e6


def processor_s(pid: int) -> float:
    """Processor time of a process and its threads so far, seconds."""
    # The name in parentheses may hold spaces; user and system time are the 14th and 15th field.
    fields = Path(f'/proc/{pid}/stat').read_text(encoding='utf-8').rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def measure(bag: Path, seconds: float, parameters: Sequence[str] = (),
            busy: int = 0) -> dict[str, Any]:
    """Figures of a node under ``seconds`` of load from a bag; see ``summarise`` for their names.

    parameters: ROS arguments such as 'preset:=warm'. busy: processes beside it that never rest, as
    a detector on the CPU does. Raises PoseError where the node does not come up or nobody could
    hear the other.
    """
    domain = random.SystemRandom().randint(1, 100)
    environment = {**os.environ, 'ROS_DOMAIN_ID': str(domain), 'PYTHONUNBUFFERED': '1'}
    # Both, so that Humble and later ones keep to this machine.
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    with tempfile.TemporaryDirectory(prefix='nabs_pose_node_') as folder:
        log, sent = Path(folder) / 'node.log', Path(folder) / 'sent.json'
        with log.open('w') as file:
            node = subprocess.Popen(
                [sys.executable, '-m', 'ros2_nabs_pose.node', '--ros-args',
                 '-r', f'image:={IMAGE_TOPIC.removesuffix("/compressed")}',
                 '-r', f'camera_info:={CAMERA_INFO_TOPIC}',
                 *(word for parameter in parameters for word in ('-p', parameter))],
                env=environment, stdout=file, stderr=subprocess.STDOUT)
        observer = Observer(domain, node)
        load: subprocess.Popen | None = None
        others: list[subprocess.Popen] = []
        try:
            heard = observer.heard
            if not observer.spin_until(lambda: heard.report.get('state') == 'ready',
                                       READY_TIMEOUT_S):
                raise PoseError(f'the node was not ready in time: {heard.report.get("reason", "")}')
            others = [subprocess.Popen([sys.executable, '-c', 'while True: pass'],
                                       stderr=subprocess.DEVNULL) for _ in range(busy)]
            load = subprocess.Popen(
                [sys.executable, '-m', f'{__package__}.node_load', str(bag), '--log', str(sent),
                 '--seconds', str(seconds)], env=environment)
            observer.watch(load)
            if load.returncode:
                raise PoseError('the load could not be played')
            # A report that was written after the last frame.
            reports = len(heard.reports)
            observer.spin_until(lambda: len(heard.reports) > reports + 1 and heard.settled,
                                SETTLE_TIMEOUT_S)
            return {'device': describe_device('cpu'), 'busy': busy,
                    **summarise(heard, json.loads(sent.read_text()), seconds)}
        except PoseError as error:
            raise PoseError(f'{error}; the node said: {log.read_text().strip()[-500:]}') from error
        finally:
            observer.close()
            for process in (*others, load, node):
                if process is not None and process.poll() is None:
                    process.send_signal(signal.SIGINT)
                    try:
                        process.wait(5.0)
                    except subprocess.TimeoutExpired:
                        process.kill()
                        process.wait(5.0)


def summarise(heard: Heard, sent: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The figures, from what was heard and sent. Times are in ms, memory in MB.

    ``latency_ms`` and ``drops`` hold what was measured outside beside what the node reported;
    its percentiles are those of the last seconds, so outside ones are taken over the same spans and
    both are averaged over the reports.
    """
    load = [(at, values) for at, values in heard.reports if at > 1e-9 * sent['images'][0]]
    during = [(at, v) for at, v in load if v['stamp_to_publish_ms_median'] != 'nan'
              and WINDOW_S < at - 1e-9 * sent['images'][0] < seconds]
    boxed = set(sent['detections'])
    answered = [p for p in heard.poses if p[1] in boxed]
    # A first sight takes longer than a frame of a track, and most that comes meanwhile is stale.
    first_s = min((p[0] for p in answered), default=float('inf'))
    at_first = sum(1e-9 * stamp < first_s for stamp in boxed - {p[1] for p in answered})
    return {
        'seconds': seconds, 'images': len(sent['images']), 'detections': len(boxed),
        'load_behind_ms': 1e3 * sent['behind_s'], 'answered': len(answered),
        'poses': sum(p[2] for p in answered), 'rate_hz': len(answered) / seconds,
        'latency_ms': {'outside': _windows(during, answered),
                       'diagnostics': _reported(during, 'stamp_to_publish')},
        'drops': {'outside': len(boxed) - len(answered), 'diagnostics': _dropped(heard.report),
                  'at_first_sight': at_first},
        'callback_ms_p99': max((float(v['callback_ms_p99']) for _, v in during),
                               default=float('nan')),
        'callback_ms_max': max((float(v['callback_ms_max']) for _, v in during),
                               default=float('nan')),
        'parameter_call_ms': _percentiles([1e3 * s for s in heard.calls_s]),
        'stages_ms': {name: _reported(during, name)
                      for name in ('wait', 'decode', 'fit', 'publish')},
        'memory_mb': _memory(heard.memory_mb),
        'processor_ms_a_frame': _processor_ms(heard.processor_s, len(answered)),
        'last_report': heard.report}


def _dropped(report: dict[str, str]) -> int:
    return sum(int(report.get(key, 0)) for key in (
        'dropped_stale', 'dropped_waiting', 'unmatched_detections'))


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {name: float('nan') for name in ('median', 'p95', 'max')}
    median, p95 = np.percentile(values, (50, 95))
    return {'median': float(median), 'p95': float(p95), 'max': float(max(values))}


def _reported(reports: Sequence[tuple[float, dict[str, str]]], name: str) -> dict[str, float]:
    """Mean over reports of the node's own percentiles of one time."""
    return {what: float(np.mean([float(v[f'{name}_ms_{what}']) for _, v in reports] or [np.nan]))
            for what in ('median', 'p95')}


def _windows(reports: Sequence[tuple[float, dict[str, str]]],
             poses: Sequence[tuple[float, int, int]]) -> dict[str, float]:
    """Mean over the same spans of what an observer sees of the latency from stamp to arrival."""
    spans = []
    for at, _ in reports:
        before = [p for p in poses if p[0] <= at]
        recent = sum(p[0] > at - WINDOW_S for p in before)
        inside = [1e3 * (p[0] - 1e-9 * p[1]) for p in before[-max(recent, LEAST_FRAMES):]]
        if inside:
            spans.append(np.percentile(inside, (50, 95)))
    median, p95 = np.mean(spans, axis=0) if spans else (np.nan, np.nan)
    return {'median': float(median), 'p95': float(p95)}


def _processor_ms(samples: Sequence[float], frames: int) -> float:
    """Processor time for each answered frame: what it costs, whoever else is on the machine."""
    return 1e3 * (samples[-1] - samples[0]) / frames if samples and frames else float('nan')


def _memory(samples: Sequence[tuple[float, float]]) -> dict[str, float]:
    """First and last fifth after the warm-up, their difference, and the most."""
    kept = [mb for _, mb in samples[int(WARM_UP_SHARE * len(samples)):]]
    fifth = max(1, len(kept) // 5)
    if not kept:
        return {name: float('nan') for name in ('begin', 'end', 'growth', 'max')}
    begin, end = float(np.median(kept[:fifth])), float(np.median(kept[-fifth:]))
    return {'begin': begin, 'end': end, 'growth': end - begin, 'max': max(kept)}


def table(figures: dict[str, Any]) -> str:
    """The figures in words, a line each."""
    f, latency = figures, figures['latency_ms']
    call, memory = f['parameter_call_ms'], f['memory_mb']
    stages = ', '.join(f"{name} {s['median']:.1f}" for name, s in f['stages_ms'].items())
    return '\n'.join((
        f"{f['seconds']:.0f} s on {f['device']}: {f['images']} images, {f['detections']} boxed",
        f"answered              {f['answered']}, {f['rate_hz']:.1f} a second",
        f"stamp to publish      {latency['outside']['median']:.0f} ms median, "
        f"{latency['outside']['p95']:.0f} ms p95 (the node says "
        f"{latency['diagnostics']['median']:.0f} and {latency['diagnostics']['p95']:.0f})",
        f"dropped               {f['drops']['outside']} (the node says "
        f"{f['drops']['diagnostics']}), {f['drops']['at_first_sight']} of them during the first "
        'fit',
        f'stages, ms            {stages}',
        f"processor time        {f['processor_ms_a_frame']:.0f} ms a frame, all threads",
        f"callbacks             {f['callback_ms_p99']:.2f} ms p99, "
        f"{f['callback_ms_max']:.2f} ms at most",
        f"parameter calls       {call['median']:.0f} ms median, {call['max']:.0f} ms at most",
        f"memory                {memory['begin']:.0f} MB to {memory['end']:.0f} MB "
        f"({memory['growth']:+.1f})"))
