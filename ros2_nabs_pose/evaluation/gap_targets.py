# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What the project wants to reach on real pictures, beside what it reaches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from . import metrics
from .accuracy import ObjectResult, sure_of

GLASS = 'glass'
"""Part of the id of photographed mugs that one can see through."""
FLIP_DEG = 90.0
SETTLED_FRAMES = 10

Results = Sequence[ObjectResult]


def _share(results: Results, name: str, limit: float) -> float | None:
    """Share of objects whose error is within a limit; unanswered ones are wrong."""
    errors = [getattr(r, name) for r in results]
    hits = sum(e is not None and abs(e) <= limit for e in errors)
    return hits / len(errors) if errors else None


def _median(results: Results, name: str) -> float | None:
    values = [v for r in results if (v := getattr(r, name)) is not None]
    return float(np.median(values)) if values else None


def _seen(results: Results) -> Results:
    return [r for r in results if r.posed and r.front_visible]


def _worst_category(results: Results) -> float | None:
    shares = [_share([r for r in results if r.category == c], 'rotation_error_deg', 10.0)
              for c in {r.category for r in results}]
    return min((s for s in shares if s is not None), default=None)


def _flips(results: Results) -> float | None:
    """Frames with the front seen and turned around, after the track has settled."""
    later = [r for r in results[SETTLED_FRAMES:] if r.front_visible]
    return float(sum(r.rotation_error_deg is None or r.rotation_error_deg > FLIP_DEG
                     for r in later)) if later else None


def _ece(results: Results) -> float | None:
    stated, right = sure_of(results)
    return metrics.expected_calibration_error(stated, right) if len(stated) else None


def _worst_keypoint(results: Results) -> float | None:
    """Largest keypoint error, in box diagonals; infinite where a mug has no answer."""
    worst = [max(r.keypoint_errors) if r.keypoint_errors else np.inf for r in results]
    return float(max(worst)) if worst else None


def _worst_front_deg(results: Results) -> float | None:
    angles = [180.0 if r.front_angle_deg is None else abs(r.front_angle_deg) for r in results]
    return max(angles) if angles else None


def _most_confident(results: Results) -> float | None:
    """Highest confidence among answers that are wrong by their keypoints."""
    wrong = [r.confidence or 0.0 for r in results
             if (_worst_keypoint([r]) or 0.0) > 0.06 or (_worst_front_deg([r]) or 0.0) > 10.0]
    return max(wrong) if wrong else (0.0 if results else None)


def targets(results: Mapping[tuple[str, str], Results]) -> list[dict[str, Any]]:
    """Each aim with its set, what is measured, the limit, the value, and whether it is met.

    results: objects by set and by what was put in ('' for nothing). Aims of sets that were not
    measured, or that say nothing about them, are left out.
    """
    def of(put_in: str, *names: str) -> list[ObjectResult]:
        return [r for name in names for r in results.get((name, put_in), ())]

    scans, tracked = _seen(of('', 'scans')), of('', 'mug-sequence')
    both = ('ycbv', 'tables')
    handles = [r for r in _seen(of('', *both)) if r.category == 'mug']
    opaque = [r for r in of('', 'photos') if GLASS not in r.id]
    clear = [r for r in of('', 'photos') if GLASS in r.id]
    rotation, axis = 'rotation_error_deg', 'axis_error_deg'
    aims: list[tuple[str, str, str, float, float | None, str]] = [
        ('scans', 'within 10 deg', '>=', 0.75, _share(scans, rotation, 10), '%'),
        ('scans', 'within 20 deg', '>=', 0.90, _share(scans, rotation, 20), '%'),
        ('scans', 'worst category within 10 deg', '>=', 0.60, _worst_category(scans), '%'),
        ('mug-sequence', 'handle seen, rotation median', '<=', 7.0,
         _median(_seen(tracked), rotation), 'deg'),
        ('mug-sequence', 'handle seen, within 20 deg', '>=', 0.95,
         _share(_seen(tracked), rotation, 20), '%'),
        ('mug-sequence', 'axis within 5 deg', '>=', 0.95, _share(tracked, axis, 5), '%'),
        ('mug-sequence', f'frames turned around after frame {SETTLED_FRAMES}', '<=', 0.0,
         _flips(tracked), ''),
        ('ycbv, tables', 'axis median', '<=', 5.0, _median(of('', *both), axis), 'deg'),
        ('ycbv, tables', 'axis within 10 deg', '>=', 0.85, _share(of('', *both), axis, 10), '%'),
        ('ycbv, tables', 'position with depth, median', '<=', 0.015,
         _median(of('depth', *both), 'translation_error_m'), 'm'),
        ('ycbv, tables', 'position with known size, median over distance', '<=', 0.04,
         _median(of('size', *both), 'translation_error_relative'), '%'),
        ('ycbv, tables', 'visible handles within 15 deg', '>=', 0.80,
         _share(handles, rotation, 15), '%'),
        ('photos', 'opaque mugs, worst keypoint over diagonal', '<=', 0.06,
         _worst_keypoint(opaque), '%'),
        ('photos', 'opaque mugs, worst handle direction', '<=', 10.0, _worst_front_deg(opaque),
         'deg'),
        ('photos', 'glass mug, confidence where it is wrong', '<=', 0.5, _most_confident(clear),
         ''),
        *((name, 'expected calibration error', '<=', 0.1, _ece(of('', name)), '')
          for name in ('scans', 'mug-sequence', *both))]
    meets: dict[str, Callable[[float, float], bool]] = {
        '>=': lambda value, limit: value >= limit, '<=': lambda value, limit: value <= limit}
    return [{'set': name, 'what': what, 'sign': sign, 'limit': limit,
             'value': float(value) if np.isfinite(value) else None, 'unit': unit,
             'met': bool(meets[sign](value, limit))}
            for name, what, sign, limit, value, unit in aims if value is not None]
