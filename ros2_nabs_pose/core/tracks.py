# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Who is who from frame to frame, and what is remembered of each object for the next fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from .memory import CodeMemory
from .types import Box

MAX_AGE_S = 3.0
"""A cold fit of several objects takes over a second on a small CPU: tracks must outlast it."""
MAX_MISSES = 10
MIN_OVERLAP = 0.3

TURN_MEMORY = 0.3
"""Share of a new turning rate in the smoothed one."""
MAX_PREDICTED_RAD = 0.35


@dataclass
class Track:
    """One object as last believed in.

    R_allocentric: (3, 3) rotation about the viewing ray's camera, not turned. R_cam_obj: (3, 3) as
    published. memory: of its code. turn_rad_s: (3,) smoothed turning rate of R_allocentric, crop
    frame; per frame where there are no stamps. radius_m: the object's radius as depth last gave
    it, or None. turned: whether it was last cut out turned upright, for it leans (see ``cuts``).
    zoom: how much closer such a crop should look than its box tells.
    """

    track_id: str
    box: Box
    R_allocentric: np.ndarray
    memory: CodeMemory
    stamp_s: float | None
    R_cam_obj: np.ndarray = field(default_factory=lambda: np.eye(3))
    turn_rad_s: np.ndarray = field(default_factory=lambda: np.zeros(3))
    misses: int = 0
    radius_m: float | None = None
    turned: bool = False
    zoom: float = 1.0

    def passed(self, stamp_s: float | None) -> float:
        """Seconds, or frames where there are no stamps, from the last sight to ``stamp_s``."""
        if stamp_s is None or self.stamp_s is None:
            return 1.0 + self.misses
        return max(stamp_s - self.stamp_s, 0.0)

    def predicted(self, stamp_s: float | None) -> np.ndarray:
        """R_allocentric (3, 3) if the object goes on turning as it did."""
        turn = self.turn_rad_s * self.passed(stamp_s)
        size = float(np.linalg.norm(turn))
        turn *= min(1.0, MAX_PREDICTED_RAD / max(size, 1e-9))
        return np.asarray(cv2.Rodrigues(turn)[0] @ self.R_allocentric)

    def followed_by(self, box: Box, R_allocentric: np.ndarray, R_cam_obj: np.ndarray,
                    memory: CodeMemory, stamp_s: float | None) -> Track:
        """The track after one more frame."""
        seconds = self.passed(stamp_s)
        turn = cv2.Rodrigues(R_allocentric @ self.R_allocentric.T)[0][:, 0]
        rate = turn / seconds if seconds > 1e-3 else self.turn_rad_s
        # A jump to another hypothesis is no motion.
        rate = rate if float(np.linalg.norm(turn)) < MAX_PREDICTED_RAD else np.zeros(3)
        return Track(self.track_id, box, R_allocentric, memory, stamp_s, R_cam_obj,
                     self.turn_rad_s + TURN_MEMORY * (rate - self.turn_rad_s),
                     radius_m=self.radius_m)


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    if width <= 0.0 or height <= 0.0:
        return 0.0
    inner = width * height
    union = a.width_px * a.height_px + b.width_px * b.height_px - inner
    return inner / union if union > 0.0 else 0.0  # a box of NaN overlaps nothing


class Tracks:
    """Matches boxes to tracks: by the detector's id where there is one, else by overlap."""

    def __init__(self) -> None:
        self._tracks: list[Track] = []
        self._next = 0

    def reset(self) -> None:
        """Forget everything; the next frame is a cold start."""
        self._tracks.clear()

    def match(self, boxes: Sequence[Box], stamp_s: float | None) -> list[Track | None]:
        """The track of each box, or None for a new object; no track serves two boxes.

        Tracks older than MAX_AGE_S, or from the future (a bag that starts again), are dropped.
        """
        if stamp_s is not None:
            self._tracks = [t for t in self._tracks if t.stamp_s is None
                            or -1e-6 <= stamp_s - t.stamp_s <= MAX_AGE_S]
        found: list[Track | None] = [None] * len(boxes)
        free = list(self._tracks)
        for i, box in enumerate(boxes):
            for track in free:
                if (box.track_id and track.track_id == box.track_id
                        and track.box.category == box.category):
                    found[i] = track
                    free.remove(track)
                    break
        pairs = sorted(((overlap(box, track.box), i, k) for i, box in enumerate(boxes)
                        for k, track in enumerate(free)
                        if found[i] is None and box.category == track.box.category
                        and not (box.track_id and not track.track_id.startswith('#'))),
                       reverse=True)
        taken: set[int] = set()
        for share, i, k in pairs:
            if share >= MIN_OVERLAP and found[i] is None and k not in taken:
                found[i] = free[k]
                taken.add(k)
                # The detector's id holds from now on, wherever the object moves.
                free[k].track_id = boxes[i].track_id or free[k].track_id
        return found

    def new_id(self) -> str:
        """An id for an object whose detector gives none; '#' tells it from a detector's ids."""
        self._next += 1
        return f'#{self._next}'

    def update(self, seen: Sequence[Track]) -> None:
        """Store the tracks believed in this frame; the others grow old."""
        # Detectors that count each class by itself give two objects the same id.
        ids = {(t.box.category, t.track_id) for t in seen}
        others = [t for t in self._tracks if (t.box.category, t.track_id) not in ids]
        for track in others:
            track.misses += 1
        self._tracks = list(seen) + [t for t in others if t.misses <= MAX_MISSES]
