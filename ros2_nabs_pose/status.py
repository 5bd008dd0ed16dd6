# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What a node has done and why nothing comes out, as plain data for logs and diagnostics."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
import threading
import time
from typing import Any

import numpy as np

from .matching import MatchCounts

CALLBACKS_KEPT = 1000
WINDOW_S = 5.0
"""Rate and times of frames are those of the last seconds, so that they tell how it goes now."""
LEAST_FRAMES = 10
"""Of so many frames times are told even where they took longer."""
_FRAMES_KEPT = 1000
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


@dataclass(frozen=True)
class FrameTimes:
    """How long one frame took, seconds.

    latency_s: from the image's arrival to publishing. stamp_to_publish_s: from its stamp, by the
    node's clock. wait_s: from its arrival until the worker took it, with the wait for its boxes.
    decode_s, fit_s, publish_s: what the worker then did.
    """

    latency_s: float
    stamp_to_publish_s: float
    wait_s: float
    decode_s: float
    fit_s: float
    publish_s: float


_TIME_NAMES = tuple(f.name for f in fields(FrameTimes))
_TIMES = attrgetter(*_TIME_NAMES)  # a hundred times faster than astuple, which copies deeply


@dataclass(frozen=True)
class FrameSummary:
    """Counts since the start, and what frames of the last WINDOW_S took, LEAST_FRAMES at least.

    reasons: of the last frame. rate_hz: frames a second over WINDOW_S.
    times_ms: median and 95th percentile by name of FrameTimes, without '_s'; NaN without a frame.
    """

    frames: int = 0
    poses: int = 0
    reasons: tuple[str, ...] = ()
    rate_hz: float = 0.0
    times_ms: dict[str, tuple[float, float]] = field(default_factory=dict)


class FrameStatistics:
    """Counts and times of processed frames; written by the worker, read by the executor."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frames = 0
        self._poses = 0
        self._reasons: tuple[str, ...] = ()
        self._recent: deque[tuple[float, FrameTimes]] = deque(maxlen=_FRAMES_KEPT)

    def add_frame(self, poses: int, reasons: Sequence[str], times: FrameTimes,
                  now_s: float) -> None:
        """Record one frame: poses published, why others were not, its times; now by any clock."""
        with self._lock:
            self._frames += 1
            self._poses += poses
            self._reasons = tuple(reasons)
            self._recent.append((now_s, times))

    def summary(self, now_s: float) -> FrameSummary:
        """What was recorded, at ``now_s`` by the clock of ``add_frame``."""
        with self._lock:
            recent = sum(end_s > now_s - WINDOW_S for end_s, _ in self._recent)
            times = [t for _, t in list(self._recent)[-max(recent, LEAST_FRAMES):]]
            frames, poses, reasons = self._frames, self._poses, self._reasons
        values = np.array([_TIMES(t) for t in times] or [(np.nan,) * len(_TIME_NAMES)])
        median_ms, p95_ms = (np.percentile(values, (50, 95), axis=0) * 1e3).tolist()
        percentiles = {name.removesuffix('_s'): pair
                       for name, pair in zip(_TIME_NAMES, zip(median_ms, p95_ms))}
        return FrameSummary(frames, poses, reasons, recent / WINDOW_S, percentiles)


class CallbackTimes:
    """How long callbacks of messages and timers hold the executor."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=CALLBACKS_KEPT)

    def timed(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        """The callback, whose time is recorded at each call."""
        def run(*args: Any) -> Any:
            began_s = time.perf_counter()
            try:
                return callback(*args)
            finally:
                self._seconds.append(time.perf_counter() - began_s)
        return run

    def p99_and_max_ms(self) -> tuple[float, float]:
        """Of the last CALLBACKS_KEPT calls; NaN before the first."""
        values = list(self._seconds)
        if not values:
            return float('nan'), float('nan')
        return float(np.percentile(values, 99)) * 1e3, max(values) * 1e3


@dataclass(frozen=True)
class Situation:
    """What an Explainer looks at.

    counts: of the matcher. offset_s: of waiting detections to their nearest image, if any.
    image_publishers: how many there are. frames: processed so far. reasons: of the last frame.
    unheard: a sentence for each publisher that cannot be heard.
    """

    counts: MatchCounts
    offset_s: float | None
    image_publishers: int
    frames: int
    reasons: Sequence[str]
    unheard: Sequence[str] = ()


class Explainer:
    """Says in one sentence, at every report, why no pose comes out; '' while poses do."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._past = deque([(MatchCounts(), 0)], maxlen=PERIODS_COMPARED)

    def explain(self, now: Situation, slop_s: float) -> str:
        """The reason for the time since PERIODS_COMPARED calls ago."""
        before, frames_before = self._past[0]
        counts, topics = now.counts, self._topics
        self._past.append((replace(counts), now.frames))
        unheard = '; '.join(now.unheard)
        if counts.images == before.images:
            publishers = 'nobody publishes it' if now.image_publishers == 0 else (
                f'{now.image_publishers} publisher(s) of it are silent or not reachable')
            return unheard or f'no image arrives on {topics.image}: {publishers}'
        if counts.camera_infos == 0:
            return unheard or (f'no camera_info has arrived on {topics.camera_info}: publish or '
                               'remap it, poses need the calibration')
        if counts.detections == before.detections:
            return unheard or (f'no detections arrive on {topics.detections}: start or remap the '
                               'detector')
        if counts.matches == before.matches:
            offset_s = counts.offset_s if now.offset_s is None else now.offset_s
            seen = '' if offset_s is None else (
                f'; the nearest image is {abs(offset_s):.3f} s '
                f'{"later" if offset_s > 0 else "earlier"}, slop_s is {slop_s:g}')
            return (f'the stamps of {topics.detections} and {topics.image} never meet{seen}: let '
                    "the detector copy the image's stamp")
        if now.frames == frames_before:
            return 'the worker is busy with one frame for the whole time'
        return '; '.join(dict.fromkeys(now.reasons))
