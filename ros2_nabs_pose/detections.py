# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Detection2DArray as detectors publish it -> boxes in the image's pixels.

Pure functions over any object with the fields of vision_msgs 4 (Humble and later).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import math
from typing import Any

from .core.types import Box


@dataclass(frozen=True)
class Detected:
    """Boxes of one array, parallel to where they stand in it, and what no category stands for."""

    boxes: tuple[Box, ...]
    places: tuple[int, ...]
    """Index of each box in ``detections``, from 0."""
    unknown: tuple[str, ...]
    """Class ids that no category stands for, as they are written; '' where there is none."""


@dataclass(frozen=True)
class DetectorImage:
    """Size of the picture that boxes refer to, where it is not the image's; 0 x 0: the image's.

    letterbox: the image was scaled alike in both directions and centred between bars, as YOLO
    does; else it was stretched to fill the size. 1 x 1 takes boxes in parts of the image.
    """

    width: int = 0
    height: int = 0
    letterbox: bool = False

    def placement(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Scale and offset (sx, sy, ox, oy) with image = (detector - offset) * scale."""
        if not (self.width and self.height):
            return 1.0, 1.0, 0.0, 0.0
        sx, sy = width / self.width, height / self.height
        if not self.letterbox:
            return sx, sy, 0.0, 0.0
        s = max(sx, sy)
        return s, s, 0.5 * (self.width - width / s), 0.5 * (self.height - height / s)


def class_key(class_id: str) -> str:
    """A class id as it is looked up: without regard to case, and to '_' or '-' for a blank."""
    return ' '.join(class_id.replace('_', ' ').replace('-', ' ').split()).casefold()


def boxes_from_detections(message: Any, categories_by_class: Mapping[str, str], min_score: float,
                          width: int, height: int,
                          source: DetectorImage = DetectorImage()) -> Detected:
    """Boxes of a Detection2DArray in an image of ``width`` x ``height`` pixels.

    categories_by_class: ``class_key`` of the detector's class ids -> categories; '' stands for
    detections without a class. Of several hypotheses the best scored one of a known class counts;
    below ``min_score`` it is passed over in silence. A rotated box becomes the upright one around
    it. An empty id stays '' for the tracker to choose. Whether a box can be fitted at all is the
    pipeline's to say.
    """
    boxes: list[Box] = []
    places: list[int] = []
    unknown: list[str] = []
    sx, sy, ox, oy = source.placement(width, height)
    for place, detection in enumerate(message.detections):
        # Without any result nobody doubts the box either.
        named = [(h.class_id, _number(h.score)) for h in (
            result.hypothesis for result in detection.results)] or [('', 1.0)]
        known = [(score, class_key(name)) for name, score in named
                 if class_key(name) in categories_by_class]
        if not known:
            unknown += [name for name, _ in named]
            continue
        score, key = max(known, key=lambda pair: pair[0])
        if score < min_score:
            continue
        center = detection.bbox.center
        half_x, half_y = _half_extents(detection.bbox.size_x, detection.bbox.size_y, center.theta)
        x, y = center.position.x - ox, center.position.y - oy
        boxes.append(Box((x - half_x) * sx, (y - half_y) * sy, (x + half_x) * sx,
                         (y + half_y) * sy, categories_by_class[key], detection.id, score))
        places.append(place)
    return Detected(tuple(boxes), tuple(places), tuple(unknown))


def mask_numbers(detected: Detected, labels: str) -> tuple[int | None, ...]:
    """The number that a label image has on each box's object, None where it cannot have one.

    labels: 'index' (1 for the array's first detection, 2 for the second ...) or 'id' (the
    detection's id, where it is a positive number).
    """
    if labels == 'index':
        return tuple(place + 1 for place in detected.places)
    ids = (box.track_id for box in detected.boxes)
    return tuple(int(name) if name.isdecimal() and int(name) > 0 else None for name in ids)


def _number(score: float) -> float:
    return 0.0 if math.isnan(score) else score


def _half_extents(size_x: float, size_y: float, theta: float) -> tuple[float, float]:
    """Half width and height of the upright box around one turned by ``theta``."""
    if theta == 0.0 or not math.isfinite(theta):
        return 0.5 * size_x, 0.5 * size_y
    cos, sin = abs(math.cos(theta)), abs(math.sin(theta))
    return 0.5 * (cos * size_x + sin * size_y), 0.5 * (sin * size_x + cos * size_y)
