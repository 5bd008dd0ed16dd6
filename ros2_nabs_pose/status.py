# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What a node has done and why nothing comes out, as plain data for logs and diagnostics."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .matching import MatchCounts

LATENCIES_KEPT = 200
PERIODS_COMPARED = 3
"""Silence has to last this many reports to be one: some cameras give less than a frame a second."""


@dataclass(frozen=True)
class Topics:
    """Resolved input topics, for sentences that name them."""

    image: str
    camera_info: str
    detections: str


class LogThrottle:
    """Lets a sentence through at once when it is new, and again only after ``period_s``.

    Sentences that differ in their numbers come at most once in ``shortest_s``.
    """

    def __init__(self, period_s: float = 10.0, shortest_s: float = 1.0) -> None:
        self._period_s = period_s
        self._shortest_s = shortest_s
        self._last_text = ''
        self._last_s = -float('inf')

    def allows(self, text: str, now_s: float) -> bool:
        """Whether to log ``text`` at ``now_s`` (any steady clock)."""
        wait_s = self._period_s if text == self._last_text else self._shortest_s
        if now_s - self._last_s < wait_s:
            return False
        self._last_text, self._last_s = text, now_s
        return True


class FrameStatistics:
    """Counts and latencies of processed frames; written by the worker, read by the executor."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frames = 0
        self._poses = 0
        self._reasons: tuple[str, ...] = ()
        self._latencies_s: deque[float] = deque(maxlen=LATENCIES_KEPT)

    def add_frame(self, poses: int, reasons: Sequence[str], latency_s: float) -> None:
        """Record one frame: poses published, why others were not, image arrival to publishing."""
        with self._lock:
            self._frames += 1
            self._poses += poses
            self._reasons = tuple(reasons)
            self._latencies_s.append(latency_s)

    def snapshot(self) -> tuple[int, int, tuple[str, ...], tuple[float, float]]:
        """Frames, poses, reasons of the last frame, latency (median, p95) in ms; NaN if none."""
        with self._lock:
            values = list(self._latencies_s)
            frames, poses, reasons = self._frames, self._poses, self._reasons
        median, p95 = np.percentile(values, (50, 95)) * 1e3 if values else (np.nan, np.nan)
        return frames, poses, reasons, (float(median), float(p95))


class Explainer:
    """Says in one sentence, at every report, why no pose comes out; '' while poses do."""

    def __init__(self, topics: Topics, slop_s: float) -> None:
        self._topics = topics
        self._slop_s = slop_s
        self._past = deque([(MatchCounts(), 0)], maxlen=PERIODS_COMPARED)

    def explain(self, counts: MatchCounts, offset_s: float | None, image_publishers: int,
                frames: int, reasons: Sequence[str]) -> str:
        """The reason for the time since PERIODS_COMPARED calls ago.

        counts: of the matcher. offset_s: of waiting detections to their nearest image, if any.
        frames: processed so far. reasons: of the last frame.
        """
        before, frames_before = self._past[0]
        self._past.append((replace(counts), frames))
        topics = self._topics
        if counts.images == before.images:
            publishers = 'nobody publishes it' if image_publishers == 0 else (
                f'{image_publishers} publisher(s) of it are silent or not reachable')
            return f'no image arrives on {topics.image}: {publishers}'
        if counts.camera_infos == 0:
            return (f'no camera_info has arrived on {topics.camera_info}: publish or remap it, '
                    'poses need the calibration')
        if counts.detections == before.detections:
            return f'no detections arrive on {topics.detections}: start or remap the detector'
        if counts.matches == before.matches:
            offset_s = counts.offset_s if offset_s is None else offset_s
            seen = '' if offset_s is None else (
                f'; the nearest image is {abs(offset_s):.3f} s '
                f'{"later" if offset_s > 0 else "earlier"}, slop_s is {self._slop_s:g}')
            return (f'the stamps of {topics.detections} and {topics.image} never meet{seen}: let '
                    "the detector copy the image's stamp")
        if frames == frames_before:
            return 'the worker is busy with one frame for the whole time'
        return '; '.join(dict.fromkeys(reasons))
