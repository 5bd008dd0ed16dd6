# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Plots of an evaluation's errors, and overlays of its best, median and worst answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .accuracy import Answer
from .figures import new_figure
from .sets import load_frame, LoadedFrame
from .. import visualization
from ..core import camera
from ..core.types import Box, Intrinsics

_ROWS = (('best', 0.0), ('median', 0.5), ('worst', 1.0))


def plot_accuracy(report: Mapping[str, Any], path: Path) -> None:
    """Write a picture with the error's distribution and bars for each category.

    Left: share of objects (front visible, unanswered counts as wrong) within a rotation error.
    Right: that share at 5, 10 and 20 degrees.
    """
    figure = new_figure(11, 4.2)
    left, right = figure.subplots(1, 2)
    names = list(report['categories'])
    for category in names if len(names) == 1 else [*names, None]:
        judged = [o for o in report['objects'] if o['posed'] and o['front_visible']
                  and category in (None, o['category'])]
        if not judged:
            continue
        errors = sorted(180.0 if o['rotation_error_deg'] is None else o['rotation_error_deg']
                        for o in judged)
        share = np.arange(1, len(errors) + 1) / len(errors)
        name = category or 'overall'
        left.step([0.0, *errors], [0.0, *share], where='post', label=f'{name} ({len(errors)})',
                  color='black' if category is None else None, linewidth=1.6)
    left.set(xlim=(0, 60), ylim=(0, 1), xlabel='rotation error (deg), symmetry-aware',
             ylabel='share of objects', title=f"{report['set']}, preset {report['preset']}")
    left.grid(alpha=0.3)
    if left.get_legend_handles_labels()[1]:
        left.legend(loc='lower right', fontsize=8)

    groups = dict(report['categories'])
    if len(names) > 1:
        groups['overall'] = report['overall']
    shown = {n: g for n, g in groups.items() if g['n_front_visible']}
    for k, limit in enumerate((5, 10, 20)):
        heights = [g[f'within_{limit}_deg'] for g in shown.values()]
        bars = right.bar(np.arange(len(shown)) + 0.27 * (k - 1), heights, 0.25,
                         label=f'within {limit} deg')
        right.bar_label(bars, fmt='%.2f', fontsize=7)
    right.set_xticks(range(len(shown)), list(shown))
    right.set(ylim=(0, 1.22), title='unanswered counts as wrong')
    right.grid(axis='y', alpha=0.3)
    if shown:
        right.legend(fontsize=8, ncol=3, loc='upper center')
    figure.savefig(path, dpi=110)


def badness(answer: Answer) -> float | None:
    """What overlays are sorted by: the rotation error, or the front's (photos); None: no answer."""
    result = answer.result
    if result.rotation_error_deg is not None:
        return result.rotation_error_deg
    if result.keypoint_errors is not None:
        return 100.0 * max(result.keypoint_errors)
    return None


def choose_examples(answers: Sequence[Answer], columns: int) -> list[tuple[str, Answer]]:
    """``columns`` answers each from the best, the middle and the worst, none of them twice."""
    ranked = sorted((a for a in answers if badness(a) is not None), key=lambda a: badness(a) or 0)
    if len(ranked) <= columns * len(_ROWS):
        return [('', a) for a in ranked]
    chosen = []
    for name, place in _ROWS:
        start = round(place * (len(ranked) - columns))
        chosen += [(name, a) for a in ranked[start:start + columns]]
    return chosen


def draw_answer(answer: Answer) -> np.ndarray:
    """The object's surroundings with estimate (orange) and truth (white), above the crop panel."""
    assert answer.estimate is not None
    estimate, true = answer.estimate, answer.true
    loaded = load_frame(answer.frame)
    panel = visualization.crop_panel(estimate, 128)
    image, intrinsics, origin, zoom = _surroundings(loaded, true.box, panel.shape[1])
    if true.T_cam_obj is not None and true.size_m is not None:
        visualization.draw_box_3d(image, intrinsics, true.T_cam_obj, true.size_m,
                                  true.box_center_m, visualization.TRUTH)
    visualization.draw_box_3d(image, intrinsics, estimate.T_cam_obj, estimate.size_m,
                              estimate.box_center_m, visualization.PALETTE[0])
    visualization.draw_axes(image, intrinsics, estimate.T_cam_obj,
                            0.7 * float(estimate.size_m.max()))
    if true.keypoints_px is not None:
        for u, v in (true.keypoints_px - origin + 0.5) * zoom - 0.5:
            visualization.draw_cross(image, (u, v), visualization.TRUTH)
    return np.concatenate([image, panel])


def _surroundings(loaded: LoadedFrame, box: Box,
                  width_px: int) -> tuple[np.ndarray, Intrinsics, np.ndarray, float]:
    """Cut around a box, scaled to a width before anything is drawn; its intrinsics, origin, zoom.
    """
    height, width = loaded.image.shape[:2]
    side = 0.9 * max(box.width_px, box.height_px)
    u, v = box.center_px
    x0, x1 = (int(np.clip(u + d, 0, width)) for d in (-side, side))
    y0, y1 = (int(np.clip(v + d, 0, height)) for d in (-side, side))
    zoom = width_px / (x1 - x0)
    size = width_px, round((y1 - y0) * zoom)
    image = cv2.resize(loaded.image[y0:y1, x0:x1], size,
                       interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC)
    cut = replace(loaded.intrinsics, cx=loaded.intrinsics.cx - x0, cy=loaded.intrinsics.cy - y0,
                  width=x1 - x0, height=y1 - y0)
    return image, camera.scaled_to(cut, *size), np.array([x0, y0]), zoom


def write_overlays(answers: Sequence[Answer], path: Path, columns: int = 4) -> None:
    """Write a contact sheet of the best, median and worst answers, with their errors beneath."""
    chosen = choose_examples(answers, columns)
    tiles, captions = [], []
    for name, answer in chosen:
        tiles.append(draw_answer(answer))
        unit = 'deg' if answer.result.rotation_error_deg is not None else '% of box'
        captions.append(f'{name} {answer.result.category} {badness(answer):.1f} {unit} '
                        f'conf {answer.result.confidence:.2f}'.strip())
    if tiles:
        sheet = visualization.contact_sheet(tiles, columns, (384, 512), captions)
        write_image(path, sheet)


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an RGB image; OSError where that is not possible."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR)):
        raise OSError(f'cannot write {path}: is its ending .png or .jpg?')
