# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""One matched frame from messages to messages: what a node and a bag converter have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math
import time
from typing import Any, TYPE_CHECKING

import cv2
import numpy as np

from .conversions import (
    detection3d_array,
    intrinsics_from_camera_info,
    MakeMessage,
    pose_stamped,
    pose_with_covariance_stamped,
    tf_message,
)
from .core.presets import Preset
from .core.types import Box, Ground, Intrinsics, PoseError, PoseEstimate
from .depth_images import depth_from_message, labels_from_message, masks_of_boxes
from .detections import boxes_from_detections, Detected, DetectorImage, mask_numbers
from .frame_tree import FrameTree
from .image_encodings import rgb_from_message
from .matching import Match, Missing
from .parameters import Parameters
from .visualization import crop_panel, draw_box, draw_estimate, PALETTE

if TYPE_CHECKING:
    from .core.pipeline import PosePipeline

PANEL_HEIGHT_PX = 128
RULE_PX = 4


@dataclass(frozen=True)
class FrameInput:
    """What the pipeline needs of one frame, and why its detections gave no box at all.

    image: (H, W, 3) uint8 RGB. depth_m: (H, W) float32 metres, 0 unknown. masks: (H, W) uint8 of
    each box, non-zero on the object, or None. problems: sentences, also for what it went without.
    """

    image: np.ndarray
    intrinsics: Intrinsics
    boxes: tuple[Box, ...]
    stamp_s: float
    problems: tuple[str, ...]
    depth_m: np.ndarray | None = None
    masks: tuple[np.ndarray | None, ...] | None = None


@dataclass(frozen=True)
class SolvedFrame:
    """What came of a frame: poses that are believed in, and a sentence for what gave none.

    frame: None where the picture or its calibration could not be read. decode_s, fit_s: how long
    reading the messages and the fit took.
    """

    frame: FrameInput | None
    estimates: tuple[PoseEstimate, ...]
    reasons: tuple[str, ...]
    decode_s: float = 0.0
    fit_s: float = 0.0


@dataclass(frozen=True)
class FrameOutput:
    """The messages of one frame; None where there is nothing to say or it was not asked for."""

    pose: Any | None
    pose_with_covariance: Any | None
    poses: Any
    transforms: Any | None


def read_frame(match: Match[Any], parameters: Parameters) -> FrameInput:
    """Decode a match; raises PoseError where the picture or its calibration gives nothing."""
    image = rgb_from_message(match.image)
    height, width = image.shape[:2]
    intrinsics = intrinsics_from_camera_info(match.camera_info, width, height,
                                             parameters.image_is_rectified)
    known = parameters.categories_by_class
    detector_width, detector_height = parameters.detection_image_size
    detected = boxes_from_detections(
        match.detections, known, parameters.min_score, width, height,
        DetectorImage(detector_width, detector_height, parameters.detection_letterbox))
    problems = [_missing(missing, parameters) for missing in match.missing]
    # Other things beside the objects are no fault; only other things are.
    if detected.unknown and not detected.boxes:
        problems.append(
            f'no loaded category stands for the detected classes '
            f'{", ".join(map(repr, sorted(set(detected.unknown))))}: class_map knows '
            f'{", ".join(map(repr, sorted(set(known) - {""})))}')
    depth_m, masks = None, None
    # A frame that could be solved without depth or mask is not given up for theirs.
    try:
        if match.depth is not None:
            depth_m = depth_from_message(match.depth, width, height)
    except PoseError as error:
        problems.append(f'a frame went without depth: {error}')
    try:
        if match.mask is not None:
            labels = labels_from_message(match.mask, width, height)
            masks = _masks(labels, detected, parameters.mask_labels, problems)
    except PoseError as error:
        problems.append(f'a frame went without mask: {error}')
    return FrameInput(image, intrinsics, detected.boxes, match.stamp_ns * 1e-9, tuple(problems),
                      depth_m, masks)


def _masks(labels: np.ndarray, detected: Detected, meaning: str,
           problems: list[str]) -> tuple[np.ndarray | None, ...]:
    """A mask of each box, None where the labels have none; which ones is added to problems."""
    if meaning == 'any':
        return ((labels > 0).astype(np.uint8),) * len(detected.boxes)
    masks, absent = masks_of_boxes(labels, mask_numbers(detected, meaning))
    if absent:
        problems.append(f'the mask has no pixel with the number {", ".join(map(str, absent))}: '
                        f"mask_labels is '{meaning}'")
    return tuple(masks)


def _missing(missing: Missing, parameters: Parameters) -> str:
    """One sentence for a frame that went without depth or mask."""
    offset_s = missing.offset_s
    seen = '' if offset_s is None else (
        f'; the nearest is {abs(offset_s):.3f} s {"later" if offset_s > 0 else "earlier"}, slop_s '
        f'is {parameters.slop_s:g}')
    return (f'a frame went without {missing.name}: none with its stamp came within depth_wait_s, '
            f'{parameters.depth_wait_s:g} s{seen}')


def frame_id_of(match: Match[Any]) -> str:
    """The image's frame; a driver that leaves it empty but names it in camera_info means that."""
    return match.image.header.frame_id or match.camera_info.header.frame_id


def header_of(make: MakeMessage, match: Match[Any]) -> Any:
    """The header of all that a frame gives: the image's stamp and frame."""
    stamp = match.image.header.stamp
    return make('std_msgs/msg/Header', frame_id=frame_id_of(match), stamp=make(
        'builtin_interfaces/msg/Time', sec=int(stamp.sec), nanosec=int(stamp.nanosec)))


WARM_UP_S = 2.0
"""Enough for all but the paper's presets."""


def warm_up(pipeline: PosePipeline, categories: Sequence[str]) -> None:
    """Fit each category's mean object, cold and tracked, so that first real frames are not slower.

    It is the models' own drawing, which they can explain: noise would not be tracked. The first two
    at once as well, and once as if their answers left doubt, since torch prepares its kernels for
    every size of batch.
    """
    preset = pipeline.preset
    intrinsics = Intrinsics(fx=400.0, fy=400.0, cx=127.5, cy=63.5, width=256, height=128)
    for number, category in enumerate(categories):
        drawing = cv2.resize(pipeline.drawn_mean(category), (128, 128))
        image = np.tile(drawing, (1, 2, 1))
        boxes = [Box(8.0 + left, 8.0, 120.0 + left, 120.0, category, str(left))
                 for left in (0.0, 128.0)]
        for some in (boxes, boxes[:1]) if number == 0 else (boxes[:1],):
            pipeline.reset()
            for _ in range(2):
                pipeline.estimate_frame(image, intrinsics, some, max_latency_s=WARM_UP_S)
        if number == 0 and isinstance(preset, Preset):
            pipeline.reset()
            pipeline.preset = replace(preset, cuts_below=math.inf)
            pipeline.estimate_frame(image, intrinsics, boxes[:1], max_latency_s=WARM_UP_S)
            pipeline.preset = preset
    pipeline.reset()


def solve_frame(pipeline: PosePipeline, match: Match[Any], parameters: Parameters,
                frames: FrameTree) -> SolvedFrame:
    """Decode and fit one frame; never raises PoseError, its sentence becomes the reason.

    frames: transforms, for ``up_frame`` and ``ground_frame``.
    """
    frame: FrameInput | None = None
    began_s = read_s = time.perf_counter()
    ground, lost = ground_of(match, parameters, frames)
    try:
        frame = read_frame(match, parameters)
        read_s = time.perf_counter()
        result = pipeline.estimate_frame(
            frame.image, frame.intrinsics, frame.boxes, stamp_s=frame.stamp_s,
            depth_m=frame.depth_m, masks=frame.masks,
            max_latency_s=_time_left_s(parameters.max_latency_ms, read_s - began_s),
            ground=ground)
    except PoseError as error:
        return SolvedFrame(frame, (), (str(error), *lost), read_s - began_s)
    fit_s = time.perf_counter() - read_s
    least = parameters.min_confidence
    doubted = tuple(
        f'the pose of {e.category} {e.track_id} has a confidence of {e.confidence:.2f}, below '
        f'min_confidence, {least:g}' for e in result.estimates if e.confidence < least)
    failed = tuple(failure.reason for failure in result.failures)
    nowhere = () if frame_id_of(match) else (
        'neither the image nor its camera_info has a frame_id, so no transform is published: set '
        'it in the camera driver',)
    return SolvedFrame(frame, tuple(e for e in result.estimates if e.confidence >= least),
                       frame.problems + lost + failed + doubted + nowhere, read_s - began_s, fit_s)


def ground_of(match: Match[Any], parameters: Parameters,
              frames: FrameTree) -> tuple[Ground | None, tuple[str, ...]]:
    """The ground in the camera's frame, where that is asked for and known, else why it is not."""
    frame = parameters.standing_frame
    if not frame:
        return None, ()
    name = 'ground_frame' if parameters.ground_frame else 'up_frame'
    try:
        T_camera_frame = frames.pose(frame, frame_id_of(match), match.stamp_ns)
        up = T_camera_frame[:3, 2]
        if not parameters.ground_frame:
            return Ground(up), ()
        height_m = float(-up @ T_camera_frame[:3, 3])
        if height_m <= 0.0:
            raise PoseError(f'the camera is {-height_m:.3f} m below the ground of {frame}')
        return Ground(up, height_m), ()
    except PoseError as error:
        return None, (f'a frame went without {name}: {error}',)


def _time_left_s(max_latency_ms: float, used_s: float) -> float | None:
    """Seconds left for the fits after reading the messages; None without a limit."""
    return max(0.0, 1e-3 * max_latency_ms - used_s) if max_latency_ms > 0.0 else None


def write_frame(make: MakeMessage, header: Any, estimates: Sequence[PoseEstimate],
                parameters: Parameters, namespace: str) -> FrameOutput:
    """Messages of one frame's estimates, under ``header``; markers are ``markers``' affair."""
    target = choose_target(estimates, parameters)
    return FrameOutput(
        pose=None if target is None else pose_stamped(make, header, target),
        pose_with_covariance=None if target is None else pose_with_covariance_stamped(
            make, header, target),
        poses=detection3d_array(make, header, estimates),
        transforms=tf_message(make, header, estimates, namespace)
        if parameters.publish_tf and estimates and header.frame_id else None)


def choose_target(estimates: Sequence[PoseEstimate],
                  parameters: Parameters) -> PoseEstimate | None:
    """The object that ~/pose follows, None where none of those asked for is there."""
    wanted = [e for e in estimates
              if parameters.target_class in ('', e.category)
              and parameters.target_id in ('', e.track_id)]
    badness = {'most_confident': lambda e: -e.confidence,
               'nearest': lambda e: np.linalg.norm(e.T_cam_obj[:3, 3]),
               'most_central': lambda e: np.hypot(*e.T_cam_obj[:2, 3]) / e.T_cam_obj[2, 3]}
    return min(wanted, key=badness[parameters.target_mode], default=None)


def debug_picture(frame: FrameInput, estimates: Sequence[PoseEstimate]) -> np.ndarray:
    """The image with boxes, 3D boxes and axes, over a strip of crops and what was synthesised.

    Returns (H + PANEL_HEIGHT_PX, W, 3) uint8 RGB; the more objects, the smaller their panels, so
    that all fit beside each other.
    """
    height, width = frame.image.shape[:2]
    picture = np.zeros((height + PANEL_HEIGHT_PX, width, 3), np.uint8)
    drawn = picture[:height]
    drawn[...] = frame.image
    for box in frame.boxes:
        draw_box(drawn, box, (128, 128, 128))
    room_px = width // max(1, len(estimates))
    for index, estimate in enumerate(estimates):
        colour = PALETTE[index % len(PALETTE)]
        draw_estimate(drawn, frame.intrinsics, estimate, colour)
        panel = crop_panel(estimate, max(1, min(PANEL_HEIGHT_PX - RULE_PX, room_px // 3)))
        # The rule above a panel has the colour of the object's box.
        column = picture[height:, index * room_px:index * room_px + panel.shape[1]]
        column[:RULE_PX] = colour
        column[RULE_PX:RULE_PX + panel.shape[0]] = panel[:, :column.shape[1]]
    return picture
