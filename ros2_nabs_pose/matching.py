# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Which image belongs to which detections, depth and mask: pairing by stamp, in bounded memory.

Detectors answer late, by hundreds of milliseconds where they run on the same machine, so images
wait here as the messages they came in until detections with their stamp arrive, or the other way
round. A calibration does not change from frame to frame, so the camera_info nearest in time
serves an image; it need not share its stamp. Depth and mask are optional: a frame waits for those
that are published, but only so long, and then goes without.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
import time
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

CLOCK_JUMP_NS = 1_000_000_000
"""A stamp this much older than the newest one means a bag that began again, not a late message."""

EXTRAS = ('depth', 'mask')
PATIENCE = 5
"""Frames that wait in vain for depth or mask until none waits any more, until one comes."""


class Stamped(Protocol):
    """Any message with a header."""

    header: Any


M = TypeVar('M', bound=Stamped)


def stamp_ns(header: Any) -> int:
    """A header's stamp in nanoseconds."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


class Missing(NamedTuple):
    """An extra that is published but that a frame went without."""

    name: str
    offset_s: float | None
    """Nearest stamp of its kind minus the image's, seconds; None where there was none at all."""


@dataclass(frozen=True)
class Match(Generic[M]):
    """One image with its calibration, its detections, and what else was there."""

    image: M
    camera_info: M
    detections: M
    stamp_ns: int
    """The image's stamp, the only one that a pose carries."""
    received_s: float
    """When the image arrived, by the clock of whoever fed the matcher."""
    depth: M | None = None
    mask: M | None = None
    missing: tuple[Missing, ...] = ()


class _Waiting(NamedTuple):
    """A message in a queue."""

    stamp_ns: int
    message: Any
    received_s: float = 0.0

    @property
    def bytes(self) -> int:
        return len(getattr(self.message, 'data', ()))


class _Pending(NamedTuple):
    """A match that waits for depth or mask until a time."""

    match: Match[Any]
    deadline_s: float


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
    depths: int = 0
    masks: int = 0
    without_depth: int = 0
    """Matches that did not get the depth that is published; likewise below."""
    without_mask: int = 0
    overtaken: int = 0
    """Matches that a newer one overtook while they waited for depth or mask; they are dropped."""


class Matcher(Generic[M]):
    """Pairs messages of several topics; each ``add_*`` returns the match it completed, if any.

    slop_s: largest difference of stamps of an image and its detections, depth and mask, seconds;
    equal stamps always match. queue_size: how many messages of each kind wait at most.
    queue_bytes: how many bytes of pictures wait at most, the newest of each kind excepted.
    wait_s: how long a frame waits for depth and mask, by ``clock``.
    Not thread-safe: one executor thread feeds it.
    """

    def __init__(self, slop_s: float, queue_size: int, queue_bytes: int = 2**28,
                 wait_s: float = 0.1, clock: Callable[[], float] = time.monotonic) -> None:
        self.slop_ns = round(slop_s * 1e9)
        self._queue_bytes = queue_bytes
        self._wait_s = wait_s
        self._clock = clock
        self._images: deque[_Waiting] = deque(maxlen=queue_size)
        self._infos: deque[_Waiting] = deque(maxlen=queue_size)
        self._detections: deque[_Waiting] = deque(maxlen=queue_size)
        self._extras: dict[str, deque[_Waiting]] = {
            name: deque(maxlen=queue_size) for name in EXTRAS}
        self._waits_left = dict.fromkeys(EXTRAS, 0)
        self._pending: deque[_Pending] = deque(maxlen=queue_size)
        self._newest_ns: int | None = None
        self._matched_ns: int | None = None
        self.counts = MatchCounts()

    @property
    def waiting_bytes(self) -> int:
        """Bytes of all pictures that wait here."""
        queued = sum(w.bytes for queue in self._pictures() for w in queue)
        held = (m for p in self._pending for m in (p.match.image, p.match.depth, p.match.mask))
        return queued + sum(len(getattr(m, 'data', ())) for m in held)

    @property
    def deadline_s(self) -> float | None:
        """Until when, by ``clock``, the match that came first waits; None where none waits."""
        return self._pending[0].deadline_s if self._pending else None

    @property
    def waiting_matches(self) -> int:
        """How many matches wait for depth or mask."""
        return len(self._pending)

    def clear(self) -> None:
        """Forget whatever waits; counts stay, and so do the calibrations."""
        for queue in (self._detections, *self._pictures()):
            queue.clear()
        self._pending.clear()
        self._newest_ns = self._matched_ns = None

    def expect(self, name: str, published: bool) -> None:
        """Say that somebody publishes ``name`` (of EXTRAS), so that frames wait, or nobody does."""
        self._waits_left[name] = PATIENCE if published else 0

    def add_camera_info(self, message: M) -> Match[M] | None:
        """Take a calibration; the first one may be what images and detections waited for."""
        self.counts.camera_infos += 1
        first = not self._infos
        self._infos.append(_Waiting(stamp_ns(message.header), message))
        if first:
            for detections in reversed(self._detections):
                image = self._nearest(self._images, detections.stamp_ns)
                if image is not None:
                    return self._match(image, detections)
        return None

    def add_image(self, message: M, received_s: float = 0.0) -> Match[M] | None:
        """Take an image that arrived at ``received_s`` by any clock."""
        self.counts.images += 1
        image = _Waiting(stamp_ns(message.header), message, received_s)
        if self._newest_ns is not None and image.stamp_ns < self._newest_ns - CLOCK_JUMP_NS:
            self.clear()
        self._newest_ns = max(image.stamp_ns, self._newest_ns or image.stamp_ns)
        if self._matched_ns is not None and image.stamp_ns <= self._matched_ns:
            return self.poll()  # late, or sent twice: it could only lead to an older pose
        self._images.append(image)
        self._trim()
        return self._match(image, self._nearest(self._detections, image.stamp_ns)) or self.poll()

    def add_detections(self, message: M) -> Match[M] | None:
        """Take a detection array."""
        self.counts.detections += 1
        if len(self._detections) == self._detections.maxlen:
            self._give_up(self._detections[0])
        detections = _Waiting(stamp_ns(message.header), message)
        self._detections.append(detections)
        image = self._nearest(self._images, detections.stamp_ns)
        return self._match(image, detections) or self.poll()

    def add_depth(self, message: M) -> Match[M] | None:
        """Take a depth image, raw or compressed."""
        self.counts.depths += 1
        return self._add_extra('depth', message)

    def add_mask(self, message: M) -> Match[M] | None:
        """Take a label image, raw or compressed."""
        self.counts.masks += 1
        return self._add_extra('mask', message)

    def poll(self) -> Match[M] | None:
        """The newest match that has all it wants or has waited long enough, if there is one."""
        now_s = self._clock()
        for index in range(len(self._pending) - 1, -1, -1):
            match, wanted = self._complete(self._pending[index].match)
            if not wanted or now_s >= self._pending[index].deadline_s:
                # What waits longer is older: it could only lead to an older pose.
                self.counts.overtaken += index
                for _ in range(index + 1):
                    self._pending.popleft()
                return self._release(match)
        return None

    def waiting_offset_s(self) -> float | None:
        """Nearest image's stamp minus the newest waiting detections' stamp, s; None if neither."""
        if not self._detections:
            return None
        return _offset_s(self._images, self._detections[-1].stamp_ns)

    def _add_extra(self, name: str, message: M) -> Match[M] | None:
        self._waits_left[name] = PATIENCE
        self._extras[name].append(_Waiting(stamp_ns(message.header), message))
        self._trim()
        return self.poll()

    def _nearest(self, messages: Iterable[_Waiting], stamp: int) -> _Waiting | None:
        best = min(messages, key=lambda m: abs(m.stamp_ns - stamp), default=None)
        return best if best and abs(best.stamp_ns - stamp) <= self.slop_ns else None

    def _match(self, image: _Waiting | None, detections: _Waiting | None) -> Match[M] | None:
        if image is None or detections is None or not self._infos:
            return None
        info = min(self._infos, key=lambda m: abs(m.stamp_ns - image.stamp_ns))
        self._matched_ns = image.stamp_ns
        # Whatever is older than a match can only lead to an older pose: it goes too.
        _drop_older(self._images, image.stamp_ns + 1)
        for older in self._detections:
            if older is not detections and older.stamp_ns <= detections.stamp_ns:
                self._give_up(older)
        _drop_older(self._detections, detections.stamp_ns + 1)
        self.counts.matches += 1
        if len(self._pending) == self._pending.maxlen:
            self.counts.overtaken += 1
        self._pending.append(_Pending(
            Match(image.message, info.message, detections.message, image.stamp_ns,
                  image.received_s), self._clock() + self._wait_s))
        return self.poll()

    def _complete(self, match: Match[Any]) -> tuple[Match[Any], bool]:
        """A match with the depth and mask that are here, and whether more are to be waited for."""
        wanted = False
        for name, queue in self._extras.items():
            if getattr(match, name) is not None:
                continue
            found = self._nearest(queue, match.stamp_ns)
            if found is not None:
                match = replace(match, **{name: found.message})
            elif self._waits_left[name]:
                # Topics keep their order: after a newer one the missing one comes no more.
                wanted |= all(m.stamp_ns <= match.stamp_ns + self.slop_ns for m in queue)
        return match, wanted

    def _release(self, match: Match[M]) -> Match[M]:
        missing = tuple(
            Missing(name, _offset_s(queue, match.stamp_ns))
            for name, queue in self._extras.items()
            if getattr(match, name) is None and self._waits_left[name])
        names = [name for name, _ in missing]
        for name in names:
            self._waits_left[name] -= 1
        self.counts.without_depth += 'depth' in names
        self.counts.without_mask += 'mask' in names
        for queue in self._extras.values():
            _drop_older(queue, match.stamp_ns)
        return replace(match, missing=missing)

    def _give_up(self, detections: _Waiting) -> None:
        self.counts.unmatched_detections += 1
        offset_s = _offset_s(self._images, detections.stamp_ns)
        if offset_s is not None:
            self.counts.offset_s = offset_s

    def _pictures(self) -> tuple[deque[_Waiting], ...]:
        return (self._images, *self._extras.values())

    def _trim(self) -> None:
        """Keep to queue_bytes: the oldest of the kind that takes most go first."""
        while self.waiting_bytes > self._queue_bytes:
            queues = [q for q in self._pictures() if len(q) > 1]
            if queues:
                max(queues, key=lambda q: sum(w.bytes for w in q)).popleft()
            elif len(self._pending) > 1:
                self._pending.popleft()
                self.counts.overtaken += 1
            else:
                return


def _drop_older(queue: deque[_Waiting], stamp: int) -> None:
    """Drop what is older than ``stamp``, which need not lie at the front."""
    kept = [waiting for waiting in queue if waiting.stamp_ns >= stamp]
    queue.clear()
    queue.extend(kept)


def _offset_s(queue: Iterable[_Waiting], stamp: int) -> float | None:
    """The stamp nearest to ``stamp`` minus it, seconds; None where nothing waits."""
    nearest = min((w.stamp_ns - stamp for w in queue), key=abs, default=None)
    return None if nearest is None else nearest * 1e-9
