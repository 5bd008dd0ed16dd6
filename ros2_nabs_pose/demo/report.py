# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What the demo's listener heard, as a summary, a table and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..bag_types import BagReader, BagTypes
from ..bags import CAMERA_INFO_TOPIC, DETECTIONS_TOPIC, IMAGE_TOPIC
from ..conversions import intrinsics_from_camera_info
from ..core.camera import project
from ..core.types import Box, Intrinsics
from ..detections import boxes_from_detections, class_key
from ..frames import PANEL_HEIGHT_PX
from ..image_encodings import rgb_from_compressed
from ..matching import stamp_ns
from ..visualization import (
    contact_sheet,
    draw_axes,
    draw_box,
    draw_box_3d,
    draw_label,
    PALETTE,
    polyline,
    TRUTH,
)

SHEET_TILES = 12


@dataclass(frozen=True)
class PlayedFrame:
    """One frame of the bag as it was played; image (H, W, 3) uint8 RGB."""

    stamp_ns: int
    image: np.ndarray
    intrinsics: Intrinsics
    boxes: tuple[Box, ...]


def boxed_stamps(bag: Path) -> set[int]:
    """Stamps of the bag's frames whose detections hold boxes."""
    with BagReader(bag, BagTypes()) as reader:
        messages = [reader.deserialize(raw, connection) for connection, _, raw in reader.messages()
                    if connection.topic == DETECTIONS_TOPIC]
    return {stamp_ns(message.header) for message in messages if message.detections}


def played_frames(bag: Path, stamps: set[int]) -> Iterator[PlayedFrame]:
    """The bag's frames at ``stamps``, decoded, in order."""
    waiting: dict[int, dict[str, Any]] = {}
    with BagReader(bag, BagTypes()) as reader:
        for connection, _, raw in reader.messages():
            if connection.topic not in (IMAGE_TOPIC, CAMERA_INFO_TOPIC, DETECTIONS_TOPIC):
                continue
            message = reader.deserialize(raw, connection)
            stamp = stamp_ns(message.header)
            if stamp not in stamps:
                continue
            messages = waiting.setdefault(stamp, {})
            messages[connection.topic] = message
            if len(messages) < 3:
                continue
            del waiting[stamp]
            image = rgb_from_compressed(messages[IMAGE_TOPIC])
            detections = messages[DETECTIONS_TOPIC]
            classes = {class_key(r.hypothesis.class_id): r.hypothesis.class_id
                       for d in detections.detections for r in d.results}
            height, width = image.shape[:2]
            yield PlayedFrame(
                stamp, image, intrinsics_from_camera_info(
                    messages[CAMERA_INFO_TOPIC], width, height, False),
                boxes_from_detections(detections, classes, 0.0, width, height).boxes)


def _spread(values: Sequence[float], quantiles: Mapping[str, float]) -> dict[str, float | None]:
    return {name: float(np.percentile(values, q)) if len(values) else None
            for name, q in quantiles.items()}


def _errors(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Errors of some poses: their number, spread of each error, and shares of small ones."""
    quantiles = {'median': 50, 'p90': 90, 'worst': 100}

    def share(key: str, most: float) -> float | None:
        return float(np.mean([r[key] <= most for r in records])) if records else None

    return {'n': len(records), 'within_10_deg': share('rotation_deg', 10.0),
            'within_20_deg': share('rotation_deg', 20.0),
            'axis_within_5_deg': share('axis_deg', 5.0), **{
        name: _spread([r[key] for r in records], quantiles)
        for name, key in (('rotation_error_deg', 'rotation_deg'), ('axis_error_deg', 'axis_deg'),
                          ('translation_error_m', 'translation_m'))}}


def summarise(heard: dict[str, Any], published: Mapping[int, float],
              boxed: set[int]) -> dict[str, Any]:
    """The demo's summary.

    heard: what the listener wrote. published: when each image left the player, by stamp.
    boxed: stamps of frames with boxes. ``rotation_error_deg`` is over poses whose front (a mug's
    handle) can be seen; the others count in ``front_hidden``, by their axis alone.
    """
    frames = heard['frames']
    diagnostics = heard['diagnostics']
    objects = [o for frame in frames for o in frame['objects']]
    compared = [o for o in objects if 'rotation_deg' in o]
    visible = [o for o in compared if o['front_visible']]
    every, seen = _errors(compared), _errors(visible)
    carried = boxed & set(published)
    answered = [f for f in frames if f['stamp_ns'] in carried and f['objects']]
    latency = [1e3 * (f['received_s'] - published[f['stamp_ns']])
               for f in frames if f['stamp_ns'] in published]
    stale = int(diagnostics.get('dropped_stale', 0))
    received = [f['received_s'] for f in answered]
    seconds = max(received) - min(received) if len(received) > 1 else 0.0
    return {
        'frames': len(carried), 'poses': len(objects), 'frames_answered': len(answered),
        'skipped_stale': stale,
        'answered_or_skipped': (len(answered) + stale) / len(carried) if carried else None,
        'stamps_matched': sum(f['stamp_ns'] in published for f in frames),
        'stamps_unknown': sum(f['stamp_ns'] not in published for f in frames),
        'rotation_error_deg': seen['rotation_error_deg'],
        'translation_error_m': every['translation_error_m'],
        'latency_ms': _spread(latency, {'median': 50, 'p95': 95}),
        'rate_hz': (len(received) - 1) / seconds if seconds else None,
        'all': every,
        'front_visible': seen,
        'front_hidden': _errors([o for o in compared if not o['front_visible']]),
        'objects': {name: _errors([o for o in compared if o['id'] == name])
                    for name in sorted({o['id'] for o in compared})},
        'node': diagnostics,
    }


def table(summary: dict[str, Any]) -> str:
    """The summary for people."""
    def both(values: Mapping[str, float | None], unit: str, factor: float = 1.0) -> str:
        return '   '.join(f'{name} {"-" if v is None else f"{factor * v:.1f} {unit}"}'
                          for name, v in values.items())

    share = summary['answered_or_skipped']
    rate = summary['rate_hz']
    rows = [
        ('frames with boxes', f'{summary["frames"]}'),
        ('frames answered', f'{summary["frames_answered"]}   skipped as stale '
                            f'{summary["skipped_stale"]}   together '
                            f'{"-" if share is None else f"{100 * share:.0f} %"}'),
        ('poses', f'{summary["poses"]}'),
        ('stamps', f'{summary["stamps_matched"]} of an image, {summary["stamps_unknown"]} of none'),
        ('rotation, handle visible', f'{both(summary["rotation_error_deg"], "deg")}   '
                                     f'(n {summary["front_visible"]["n"]})'),
        ('axis, handle hidden', f'{both(summary["front_hidden"]["axis_error_deg"], "deg")}   '
                                f'(n {summary["front_hidden"]["n"]})'),
        ('translation', both(summary['translation_error_m'], 'mm', 1e3)),
        ('latency, image to pose', both(summary['latency_ms'], 'ms')),
        ('rate', '-' if rate is None else f'{rate:.1f} frames/s'),
    ]
    width = max(len(name) for name, _ in rows)
    return '\n'.join(f'  {name:<{width}}  {value}' for name, value in rows)


def draw_frame(frame: PlayedFrame, record: dict[str, Any], truth: Mapping[str, Any],
               strip: np.ndarray | None) -> np.ndarray:
    """One frame with boxes, heard poses, true axes in thin white, and the node's strip beneath."""
    picture = frame.image.copy()
    for box in frame.boxes:
        draw_box(picture, box, (150, 150, 150))
    for index, item in enumerate(record['objects']):
        T_cam_obj, T_cam_box = np.array(item['T_cam_obj']), np.array(item['T_cam_box'])
        center = T_cam_obj[:3, :3].T @ (T_cam_box[:3, 3] - T_cam_obj[:3, 3])
        colour = PALETTE[index % len(PALETTE)]
        size = np.array(item['size_m'])
        draw_box_3d(picture, frame.intrinsics, T_cam_obj, size, center, colour)
        draw_axes(picture, frame.intrinsics, T_cam_obj, 0.7 * float(size.max()))
        error = f' {item["rotation_deg"]:.0f} deg' if 'rotation_deg' in item else ''
        at = next(((b.x0, b.y0) for b in frame.boxes if b.track_id == item['id']), (0.0, 0.0))
        draw_label(picture, f'{item["id"]} {item["confidence"]:.2f}{error}', at, colour)
    for item in truth.values():
        T_true = np.array(item['T_cam_obj'])
        line = np.array([[0.0, 0.0, 0.0], [0.05 if item['front_visible'] else 0.0, 0.0, 0.0],
                         [0.0, 0.0, 0.0], [0.0, 0.0, 0.07]])
        px = project(frame.intrinsics, line @ T_true[:3, :3].T + T_true[:3, 3])
        polyline(picture, px[:2], TRUTH, 1)
        polyline(picture, px[2:], TRUTH, 1)
    return picture if strip is None else np.concatenate((picture, strip), 0)


def write_pictures(bag: Path, heard: dict[str, Any], strips: Path, out: Path) -> list[Path]:
    """Write overlay.mp4 (answered frames) and contact_sheet.png; returns what was written."""
    records = {f['stamp_ns']: f for f in heard['frames'] if f['objects']}
    if not records:
        return []
    stamps = sorted(records)
    chosen = {stamps[i] for i in np.linspace(0, len(stamps) - 1, SHEET_TILES).round().astype(int)}
    seconds = (stamps[-1] - stamps[0]) * 1e-9
    rate_hz = max(1.0, (len(stamps) - 1) / seconds) if seconds else 1.0
    tiles, captions, written = [], [], []
    writer: cv2.VideoWriter | None = None
    for frame in played_frames(bag, set(records)):
        strip_bgr = cv2.imread(str(strips / f'{frame.stamp_ns}.jpg'))
        # A frame whose debug image was lost on the way keeps an empty strip: a video's frames
        # are all of one size.
        strip = np.zeros((PANEL_HEIGHT_PX, frame.image.shape[1], 3), np.uint8) \
            if strip_bgr is None else cv2.cvtColor(strip_bgr, cv2.COLOR_BGR2RGB)
        picture = draw_frame(frame, records[frame.stamp_ns],
                             heard['truth'].get(str(frame.stamp_ns), {}), strip)
        if writer is None:
            size = (picture.shape[1], picture.shape[0])
            writer = cv2.VideoWriter(str(out / 'overlay.mp4'), cv2.VideoWriter.fourcc(*'mp4v'),
                                     rate_hz, size)
        if writer.isOpened():
            writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        if frame.stamp_ns in chosen:
            tiles.append(picture)
            captions.append(f'{(frame.stamp_ns - stamps[0]) * 1e-9:.1f} s')
    if writer is not None and writer.isOpened():
        writer.release()
        written.append(out / 'overlay.mp4')
    height = round(480 * tiles[0].shape[0] / tiles[0].shape[1])
    sheet = contact_sheet(tiles, 3, (480, height), captions)
    cv2.imwrite(str(out / 'contact_sheet.png'), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    return [*written, out / 'contact_sheet.png']
