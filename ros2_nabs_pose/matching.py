# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Which image belongs to which detections: pairing by stamp, in bounded memory.

Detectors answer late, by hundreds of milliseconds where they run on the same machine, so images
wait here as the messages they came in until detections with their stamp arrive, or the other way
round. A calibration does not change from frame to frame, so the camera_info nearest in time
serves an image; it need not share its stamp.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

CLOCK_JUMP_NS = 1_000_000_000
"""A stamp this much older than the newest one means a bag that began again, not a late message."""


class Stamped(Protocol):
    """Any message with a header."""

    header: Any


M = TypeVar('M', bound=Stamped)


def stamp_ns(header: Any) -> int:
    """A header's stamp in nanoseconds."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


@dataclass(frozen=True)
class Match(Generic[M]):
    """One image with its calibration and its detections."""

    image: M
    camera_info: M
    detections: M
    stamp_ns: int
    """The image's stamp, the only one that a pose carries."""
    received_s: float
    """When the image arrived, by the clock of whoever fed the matcher."""


class _Waiting(NamedTuple):
    """A message in a queue."""

    stamp_ns: int
    message: Any
    received_s: float = 0.0


@dataclass
class MatchCounts:
    """What arrived and what became of it, for diagnostics."""

    images: int = 0
    camera_infos: int = 0
    detections: int = 0
    matches: int = 0
    unmatched_detections: int = 0
    offset_s: float | None = None
    """Nearest image's stamp minus detections' stamp, where the two last failed to meet."""


class Matcher(Generic[M]):
    """Pairs messages of three topics; each ``add_*`` returns the match it completed, if any.

    slop_s: largest difference of stamps of an image and its detections, seconds; equal stamps
    always match. queue_size: how many messages of each kind wait at most.
    Not thread-safe: one executor thread feeds it.
    """

    def __init__(self, slop_s: float, queue_size: int) -> None:
        self.slop_ns = round(slop_s * 1e9)
        self._images: deque[_Waiting] = deque(maxlen=queue_size)
        self._infos: deque[_Waiting] = deque(maxlen=queue_size)
        self._detections: deque[_Waiting] = deque(maxlen=queue_size)
        self._newest_ns: int | None = None
        self.counts = MatchCounts()

    def clear(self) -> None:
        """Forget waiting images and detections; counts stay, and so do the calibrations."""
        self._images.clear()
        self._detections.clear()
        self._newest_ns = None

    def add_camera_info(self, message: M) -> Match[M] | None:
        """Take a calibration; the first one may be what images and detections waited for."""
        self.counts.camera_infos += 1
        first = not self._infos
        self._infos.append(_Waiting(stamp_ns(message.header), message))
        if first:
            for detections in reversed(self._detections):
                match = self._match(self._nearest(self._images, detections.stamp_ns), detections)
                if match is not None:
                    return match
        return None

    def add_image(self, message: M, received_s: float = 0.0) -> Match[M] | None:
        """Take an image that arrived at ``received_s`` by any clock."""
        self.counts.images += 1
        image = _Waiting(stamp_ns(message.header), message, received_s)
        if self._newest_ns is not None and image.stamp_ns < self._newest_ns - CLOCK_JUMP_NS:
            self.clear()
        self._newest_ns = max(image.stamp_ns, self._newest_ns or image.stamp_ns)
        self._images.append(image)
        return self._match(image, self._nearest(self._detections, image.stamp_ns))

    def add_detections(self, message: M) -> Match[M] | None:
        """Take a detection array."""
        self.counts.detections += 1
        if len(self._detections) == self._detections.maxlen:
            self._give_up(self._detections[0])
        detections = _Waiting(stamp_ns(message.header), message)
        self._detections.append(detections)
        return self._match(self._nearest(self._images, detections.stamp_ns), detections)

    def waiting_offset_s(self) -> float | None:
        """Nearest image's stamp minus the newest waiting detections' stamp, s; None if neither."""
        return self._offset_s(self._detections[-1]) if self._detections else None

    def _offset_s(self, detections: _Waiting) -> float | None:
        offsets = (image.stamp_ns - detections.stamp_ns for image in self._images)
        nearest = min(offsets, key=abs, default=None)
        return None if nearest is None else nearest * 1e-9

    def _nearest(self, messages: Iterable[_Waiting], stamp: int) -> _Waiting | None:
        best = min(messages, key=lambda m: abs(m.stamp_ns - stamp), default=None)
        return best if best and abs(best.stamp_ns - stamp) <= self.slop_ns else None

    def _match(self, image: _Waiting | None, detections: _Waiting | None) -> Match[M] | None:
        if image is None or detections is None or not self._infos:
            return None
        info = min(self._infos, key=lambda m: abs(m.stamp_ns - image.stamp_ns))
        # Whatever is older than a match can only lead to an older pose: it goes too.
        self._images = deque((m for m in self._images if m.stamp_ns > image.stamp_ns),
                             self._images.maxlen)
        for older in self._detections:
            if older is not detections and older.stamp_ns <= detections.stamp_ns:
                self._give_up(older)
        self._detections = deque(
            (m for m in self._detections if m.stamp_ns > detections.stamp_ns),
            self._detections.maxlen)
        self.counts.matches += 1
        return Match(image.message, info.message, detections.message, image.stamp_ns,
                     image.received_s)

    def _give_up(self, detections: _Waiting) -> None:
        self.counts.unmatched_detections += 1
        offset_s = self._offset_s(detections)
        if offset_s is not None:
            self.counts.offset_s = offset_s
