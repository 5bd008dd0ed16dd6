# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""How accurate a pipeline is on an evaluation set: one result an object, then figures over them.

Sequences are tracked in the order of their stamps, each from a cold start; single frames are all
cold. Every object counts: one without an answer is a wrong answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
import itertools
import math
from typing import Any, Protocol

import numpy as np

from . import metrics
from .sets import EvaluationSet, load_frame, LoadedFrame, TrueFrame, TrueObject
from ..core import camera, crop
from ..core.types import FrameResult, Intrinsics, PoseEstimate

CORRECT_DEG = 10.0
"""Rotation error up to which an answer counts as correct when confidence is judged."""

FREE_Z = 'free_z'


class Pipeline(Protocol):
    """What an evaluation needs of ``PosePipeline``."""

    common_ground: bool

    @property
    def models(self) -> Mapping[str, Any]: ...

    def reset(self) -> None: ...

    def front_m(self, estimate: PoseEstimate) -> np.ndarray: ...

    def estimate_frame(self, image: np.ndarray, intrinsics: Intrinsics, boxes: Sequence[Any],
                       stamp_s: float | None = None, depth_m: np.ndarray | None = None,
                       masks: Sequence[np.ndarray | None] | None = None) -> FrameResult: ...


@dataclass(frozen=True)
class ObjectResult:
    """Errors of one object in one frame; None where unanswered, or where the truth is not known.

    free_z: only the axis counts. front_visible: the rotation error says something about the
    front, or the object has none. keypoint_errors: of top, bottom, front, in box diagonals.
    front_angle_deg: signed, in the image, estimated minus annotated.
    """

    image: str
    id: str
    category: str
    posed: bool
    free_z: bool
    front_visible: bool
    answered: bool
    reason: str = ''
    confidence: float | None = None
    rotation_error_deg: float | None = None
    axis_error_deg: float | None = None
    translation_error_m: float | None = None
    translation_error_relative: float | None = None
    mask_iou: float | None = None
    keypoint_errors: tuple[float, float, float] | None = None
    front_angle_deg: float | None = None
    scale_source: str = ''
    warm: bool = False
    seconds: float | None = None


@dataclass(frozen=True)
class Answer:
    """An object's result with what it takes to draw it."""

    result: ObjectResult
    frame: TrueFrame
    true: TrueObject
    estimate: PoseEstimate | None = field(repr=False)


@dataclass(frozen=True)
class Inputs:
    """What of a set the pipeline may see beside image and box."""

    depth: bool = False
    masks: bool = False


def runs(evaluation_set: EvaluationSet) -> Iterator[tuple[list[TrueFrame], bool]]:
    """Frames that belong together, in order, and whether they are tracked."""
    named = sorted((f for f in evaluation_set.frames if f.sequence is not None),
                   key=lambda f: (f.sequence, f.stamp_s))
    for _, frames in itertools.groupby(named, key=lambda f: f.sequence):
        yield list(frames), True
    for frame in evaluation_set.frames:
        if frame.sequence is None:
            yield [frame], False


def evaluate(pipeline: Pipeline, evaluation_set: EvaluationSet, inputs: Inputs | None = None,
             progress: Callable[[int, int], None] | None = None) -> list[Answer]:
    """Answers for every object whose category the pipeline has a model for.

    progress: called with the number of frames done and in all. Raises PoseError where an image
    cannot be read.
    """
    inputs = inputs or Inputs()
    answers: list[Answer] = []
    done = 0
    for frames, tracked in runs(evaluation_set):
        pipeline.reset()
        for frame in frames:
            known = [i for i, o in enumerate(frame.objects) if o.category in pipeline.models]
            if known:
                answers += _evaluate_frame(pipeline, frame, known, tracked, inputs)
            done += 1
            if progress is not None:
                progress(done, len(evaluation_set.frames))
    return answers


def _evaluate_frame(pipeline: Pipeline, frame: TrueFrame, known: list[int], tracked: bool,
                    inputs: Inputs) -> list[Answer]:
    loaded = load_frame(frame)
    objects = [frame.objects[i] for i in known]
    result = pipeline.estimate_frame(
        loaded.image, loaded.intrinsics, [o.box for o in objects],
        frame.stamp_s if tracked else None, loaded.depth_m if inputs.depth else None,
        [loaded.masks[i] for i in known] if inputs.masks else None)
    # The set's ids went in as the detector's: they come back as track ids.
    found = {e.track_id: e for e in result.estimates}
    reasons = {f.box.track_id: f.reason for f in result.failures}
    answers = []
    for i, true in zip(known, objects, strict=True):
        free_z = pipeline.models[true.category].card.symmetry == FREE_Z
        estimate = found.get(true.id)
        front_m = None
        if estimate is not None and true.keypoints_px is not None:
            front_m = pipeline.front_m(estimate)
        scored = score(frame, true, loaded, loaded.masks[i], estimate, free_z,
                       reasons.get(true.id, ''), front_m)
        answers.append(Answer(scored, frame, true, estimate))
    return answers


def score(frame: TrueFrame, true: TrueObject, loaded: LoadedFrame, mask: np.ndarray | None,
          estimate: PoseEstimate | None, free_z: bool, reason: str = '',
          front_m: np.ndarray | None = None) -> ObjectResult:
    """Errors of one estimate (None: unanswered) against what is known of the object.

    front_m: (3,) where the estimated object's front ends, for sets judged by keypoints.
    """
    hidden = true.yaw_visible is False
    common: dict[str, Any] = {
        'image': frame.image_path.name, 'id': true.id, 'category': true.category,
        'posed': true.T_cam_obj is not None, 'free_z': free_z or hidden,
        'front_visible': free_z or not hidden}
    if estimate is None:
        return ObjectResult(**common, answered=False, reason=reason)
    values: dict[str, Any] = {}
    if true.T_cam_obj is not None:
        T, T_true = estimate.T_cam_obj, true.T_cam_obj
        values |= {
            'rotation_error_deg': metrics.rotation_error_deg(T, T_true, free_z or hidden),
            'axis_error_deg': metrics.axis_error_deg(T, T_true),
            'translation_error_m': metrics.translation_error_m(T, T_true),
            'translation_error_relative': metrics.translation_error_relative(T, T_true)}
    if mask is not None:
        seen = crop.take_crop_nearest(mask, loaded.intrinsics, estimate.view)
        values['mask_iou'] = metrics.mask_iou(estimate.synthesis_rgba[..., 3] > 0.5, seen)
    if true.keypoints_px is not None and front_m is not None:
        values |= _score_keypoints(true, loaded.intrinsics, estimate, front_m, free_z or hidden)
    return ObjectResult(**common, **values, answered=True, confidence=float(estimate.confidence),
                        scale_source=estimate.scale_source, warm=estimate.warm,
                        seconds=estimate.seconds)


def _score_keypoints(true: TrueObject, intrinsics: Intrinsics, estimate: PoseEstimate,
                     front_m: np.ndarray, free_z: bool) -> dict[str, Any]:
    assert true.keypoints_px is not None
    points = metrics.reference_points(estimate.size_m, front_m)
    T = estimate.T_cam_obj
    px = camera.project(intrinsics, points @ T[:3, :3].T + T[:3, 3])
    if not np.isfinite(px).all():
        return {}
    diagonal = math.hypot(true.box.width_px, true.box.height_px)
    errors = np.linalg.norm(px - true.keypoints_px, axis=1) / diagonal
    angle = None if free_z else metrics.front_angle_deg(px, true.keypoints_px)
    return {'keypoint_errors': tuple(errors.tolist()), 'front_angle_deg': angle}


def sure_of(results: Sequence[ObjectResult]) -> tuple[np.ndarray, np.ndarray]:
    """Confidences (N,) of the answers that can be judged, and whether they are right (N,) bool.

    Where the front is hidden the truth judges the axis alone, the confidence all of it.
    """
    judged = [r for r in results if r.front_visible and r.confidence is not None
              and r.rotation_error_deg is not None]
    return (np.array([r.confidence for r in judged], float),
            np.array([(r.rotation_error_deg or 0.0) <= CORRECT_DEG for r in judged], bool))


def _median(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.median(known)) if known else None


def summarise(results: Sequence[ObjectResult]) -> dict[str, Any]:
    """Figures over results, JSON-ready; None where nothing could be measured.

    ``n`` objects, ``answered`` of them; ``within_*_deg``: share of the ``n_front_visible`` posed
    objects whose front can be seen, unanswered ones counting as wrong; medians over answers.
    """
    judged = [r for r in results if r.posed and r.front_visible]
    summary: dict[str, Any] = {
        'n': len(results), 'answered': sum(r.answered for r in results),
        'n_front_visible': len(judged)}
    for limit in (5, 10, 20):
        hits = sum(r.rotation_error_deg is not None and r.rotation_error_deg <= limit
                   for r in judged)
        summary[f'within_{limit}_deg'] = hits / len(judged) if judged else None
    summary['rotation_median_deg'] = _median([r.rotation_error_deg for r in judged])
    summary['axis_median_deg'] = _median([r.axis_error_deg for r in results])
    summary['translation_median_m'] = _median([r.translation_error_m for r in results])
    summary['translation_median_relative'] = _median(
        [r.translation_error_relative for r in results])
    summary['mask_iou_median'] = _median([r.mask_iou for r in results])
    stated, right = sure_of(results)
    summary['confidence_ece'] = (metrics.expected_calibration_error(stated, right) if len(stated)
                                 else None)
    summary['seconds_median'] = _median([r.seconds for r in results])
    pointed = [r.keypoint_errors for r in results if r.keypoint_errors is not None]
    if pointed:
        summary['keypoints'] = {
            'n': len(pointed),
            **{f'{name}_median_diagonals': float(np.median([e[k] for e in pointed]))
               for k, name in enumerate(('top', 'bottom', 'front'))},
            'front_angle_abs_median_deg': _median(
                [None if r.front_angle_deg is None else abs(r.front_angle_deg)
                 for r in results])}
    return summary


def report(answers: Sequence[Answer], evaluation_set: EvaluationSet, preset: str,
           inputs: Inputs | None = None) -> dict[str, Any]:
    """JSON-ready report: set, preset, figures overall and by category, and each object's result.

    ``without_model`` counts the objects of categories that the pipeline has no model for; they
    are in no other figure.
    """
    results = [a.result for a in answers]
    there = [o.category for f in evaluation_set.frames for o in f.objects]
    categories = sorted({r.category for r in results})
    inputs = inputs or Inputs()
    return {
        'set': evaluation_set.name, 'preset': preset, 'inputs': asdict(inputs),
        'overall': summarise(results),
        'categories': {c: summarise([r for r in results if r.category == c])
                       for c in categories},
        'without_model': {c: there.count(c) for c in sorted(set(there) - set(categories))},
        'objects': [asdict(r) for r in results]}
