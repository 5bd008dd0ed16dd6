# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Reader of evaluation sets: a folder of images with an ``annotations.json``.

docs/design.md describes the format. Numbers are checked when the set is read, pixels when a frame
is loaded; what is wrong is said in one sentence that names the file and the entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..core.camera import guess_intrinsics
from ..core.types import Box, Intrinsics, PoseError

KEYPOINTS = ('top', 'bottom', 'front')


@dataclass(frozen=True)
class TrueObject:
    """What is known of one object in one frame.

    T_cam_obj: (4, 4) or None. size_m, box_center_m: (3,). yaw_visible: whether the front can be
    seen; None: always, or not asked. keypoints_px: (3, 2) pixels of top, bottom and front, or
    None.
    """

    id: str
    category: str
    box: Box
    mask_path: Path | None
    T_cam_obj: np.ndarray | None
    size_m: np.ndarray | None
    box_center_m: np.ndarray
    yaw_visible: bool | None
    keypoints_px: np.ndarray | None


@dataclass(frozen=True)
class TrueFrame:
    """One image and its objects. ``intrinsics`` is (fx, fy, cx, cy), None where unknown."""

    image_path: Path
    depth_path: Path | None
    depth_unit_m: float
    intrinsics: tuple[float, float, float, float] | None
    distortion: tuple[float, ...]
    sequence: str | None
    stamp_s: float
    objects: tuple[TrueObject, ...]


@dataclass(frozen=True)
class LoadedFrame:
    """A frame's pixels: RGB uint8 (H, W, 3), depth in metres (H, W) or None, a mask an object."""

    image: np.ndarray
    intrinsics: Intrinsics
    depth_m: np.ndarray | None
    masks: tuple[np.ndarray | None, ...]


@dataclass(frozen=True)
class EvaluationSet:
    """A set as read."""

    name: str
    licence: str
    folder: Path
    frames: tuple[TrueFrame, ...]


class _Entry:
    """A JSON object with a name for error messages."""

    def __init__(self, values: Any, name: str) -> None:
        if not isinstance(values, Mapping):
            raise PoseError(f'{name} is not a JSON object')
        self.values = values
        self.name = name

    def get(self, key: str) -> Any:
        if key not in self.values:
            raise PoseError(f'{self.name} has no "{key}"')
        return self.values[key]

    def text(self, key: str) -> str:
        value = self.get(key)
        if not isinstance(value, str) or not value:
            raise PoseError(f'{self.name}: "{key}" must be a text that is not empty')
        return value

    def numbers(self, key: str, shape: tuple[int, ...]) -> np.ndarray | None:
        """Array of a given shape, or None where the entry is null or missing."""
        value = self.values.get(key)
        if value is None:
            return None
        try:
            array = np.array(value, dtype=float)
        except (TypeError, ValueError):
            array = np.empty(0)
        if array.shape != shape or not np.isfinite(array).all():
            count = ' x '.join(str(n) for n in shape)
            raise PoseError(f'{self.name}: "{key}" must be {count} finite numbers')
        return array

    def number(self, key: str, default: float) -> float:
        value = self.values.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) \
                or not math.isfinite(value):
            raise PoseError(f'{self.name}: "{key}" must be a finite number')
        return float(value)

    def file(self, key: str, folder: Path) -> Path | None:
        value = self.values.get(key)
        if value is None:
            return None
        path = folder / self.text(key)
        if not path.is_file():
            raise PoseError(f'{self.name}: there is no file {path}')
        return path


def read_set(folder: Path | str) -> EvaluationSet:
    """Read ``folder``/annotations.json; PoseError, in one sentence, where it is malformed."""
    folder = Path(folder)
    path = folder / 'annotations.json'
    if not path.is_file():
        raise PoseError(f'{folder} is not an evaluation set: it has no annotations.json')
    try:
        values = json.loads(path.read_text(encoding='utf-8'))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise PoseError(f'{path} is not valid JSON: {error}') from error
    entry = _Entry(values, str(path))
    frames = entry.get('frames')
    if not isinstance(frames, list) or not frames:
        raise PoseError(f'{path}: "frames" must be a list that is not empty')
    return EvaluationSet(
        name=str(entry.values.get('name') or folder.name),
        licence=str(entry.values.get('licence') or 'not stated'), folder=folder,
        frames=tuple(_read_frame(_Entry(f, f'frame {i} of {path}'), folder)
                     for i, f in enumerate(frames)))


def _read_frame(entry: _Entry, folder: Path) -> TrueFrame:
    entry.text('image')
    image_path = entry.file('image', folder)
    assert image_path is not None
    intrinsics = entry.numbers('intrinsics', (4,))
    if intrinsics is not None and (intrinsics[:2] <= 0).any():
        raise PoseError(f'{entry.name}: the focal lengths must be positive')
    distortion = entry.values.get('distortion') or ()
    if len(distortion) not in (0, 4, 5, 8):
        raise PoseError(f'{entry.name}: "distortion" must be 4, 5 or 8 numbers')
    coefficients = entry.numbers('distortion', (len(distortion),)) if distortion else None
    objects = entry.get('objects')
    if not isinstance(objects, list):
        raise PoseError(f'{entry.name}: "objects" must be a list')
    read = tuple(_read_object(_Entry(o, f'object {i} of {entry.name}'), folder)
                 for i, o in enumerate(objects))
    if len({o.id for o in read}) < len(read):
        raise PoseError(f'{entry.name}: two objects have the same "id"')
    depth_path = entry.file('depth', folder)
    unit = entry.number('depth_unit_m', 0.001)
    if depth_path is not None and unit <= 0:
        raise PoseError(f'{entry.name}: "depth_unit_m" must be positive')
    return TrueFrame(
        image_path=image_path, depth_path=depth_path, depth_unit_m=unit,
        intrinsics=None if intrinsics is None else tuple(intrinsics.tolist()),
        distortion=() if coefficients is None else tuple(coefficients.tolist()),
        sequence=None if entry.values.get('sequence') is None else entry.text('sequence'),
        stamp_s=entry.number('stamp_s', 0.0), objects=read)


def _read_object(entry: _Entry, folder: Path) -> TrueObject:
    name, category = entry.text('id'), entry.text('category')
    entry.get('box_px')
    corners = entry.numbers('box_px', (4,))
    if corners is None or corners[0] >= corners[2] or corners[1] >= corners[3]:
        raise PoseError(f'{entry.name}: "box_px" must be x0, y0, x1, y1 with x0 < x1 and y0 < y1')
    T_cam_obj = entry.numbers('T_cam_obj', (4, 4))
    if T_cam_obj is not None and not _is_rigid(T_cam_obj):
        raise PoseError(f'{entry.name}: "T_cam_obj" is not a rotation and a translation')
    size_m = entry.numbers('size_m', (3,))
    if size_m is not None and (size_m <= 0).any():
        raise PoseError(f'{entry.name}: "size_m" must be positive')
    center = entry.numbers('box_center_m', (3,))
    yaw_visible = entry.values.get('yaw_visible')
    if yaw_visible is not None and not isinstance(yaw_visible, bool):
        raise PoseError(f'{entry.name}: "yaw_visible" must be true, false or null')
    keypoints = None
    if entry.values.get('keypoints_px') is not None:
        points = _Entry(entry.values['keypoints_px'], f'"keypoints_px" of {entry.name}')
        read = [points.numbers(k, (2,)) for k in KEYPOINTS]
        if any(p is None for p in read):
            raise PoseError(f'{points.name} must have {", ".join(KEYPOINTS)}')
        keypoints = np.array(read)
    x0, y0, x1, y1 = corners.tolist()
    return TrueObject(
        id=name, category=category, box=Box(x0, y0, x1, y1, category, track_id=name),
        mask_path=entry.file('mask', folder), T_cam_obj=T_cam_obj, size_m=size_m,
        box_center_m=np.zeros(3) if center is None else center, yaw_visible=yaw_visible,
        keypoints_px=keypoints)


def _is_rigid(T: np.ndarray) -> bool:
    R = T[:3, :3]
    return (np.allclose(R @ R.T, np.eye(3), atol=1e-3) and np.linalg.det(R) > 0
            and np.allclose(T[3], (0, 0, 0, 1)))


def _read_pixels(path: Path, flags: int) -> np.ndarray:
    if not path.is_file():
        raise PoseError(f'there is no file {path}')
    pixels = cv2.imread(str(path), flags)
    if pixels is None:
        raise PoseError(f'{path} is not an image that can be read')
    return pixels


def load_frame(frame: TrueFrame) -> LoadedFrame:
    """Read a frame's pixels; unknown intrinsics are guessed (f = 1.2 x the longer side)."""
    image = load_image(frame.image_path)
    height, width = image.shape[:2]
    if frame.intrinsics is None:
        intrinsics = guess_intrinsics(width, height)
    else:
        intrinsics = Intrinsics(*frame.intrinsics, width=width, height=height,
                                distortion=frame.distortion)
    depth_m = None
    if frame.depth_path is not None:
        depth_m = load_depth(frame.depth_path, frame.depth_unit_m)
        _check_shape(depth_m, image, frame.depth_path)
    masks = tuple(None if o.mask_path is None else load_mask(o.mask_path) for o in frame.objects)
    for mask, true in zip(masks, frame.objects, strict=True):
        if mask is not None:
            _check_shape(mask, image, true.mask_path)
    return LoadedFrame(image=image, intrinsics=intrinsics, depth_m=depth_m, masks=masks)


def load_image(path: Path) -> np.ndarray:
    """Image (H, W, 3) RGB uint8, turned as viewers show it where the file asks for that."""
    return cv2.cvtColor(_read_pixels(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def load_mask(path: Path) -> np.ndarray:
    """Mask (H, W) bool of an image file: where it is not black."""
    return _read_pixels(path, cv2.IMREAD_GRAYSCALE) > 0


def load_depth(path: Path, unit_m: float) -> np.ndarray:
    """Depth (H, W) float32 in metres of a 16-bit image of multiples of ``unit_m``; 0 unknown."""
    values = _read_pixels(path, cv2.IMREAD_UNCHANGED)
    if values.ndim != 2:
        raise PoseError(f'{path} has {values.shape[2]} channels: a depth image has one')
    return values.astype(np.float32) * np.float32(unit_m)


def _check_shape(values: np.ndarray, image: np.ndarray, path: Path | None) -> None:
    if values.shape[:2] != image.shape[:2]:
        raise PoseError(f'{path} is {values.shape[1]} x {values.shape[0]}, but its image is '
                        f'{image.shape[1]} x {image.shape[0]}')
