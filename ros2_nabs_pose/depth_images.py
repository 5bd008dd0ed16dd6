# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Depth and label messages to arrays in the image's pixels, without cv_bridge.

Depth is sensor_msgs/Image with 16UC1 (or mono16) in millimetres or 32FC1 in metres (REP 118), or a
CompressedImage from compressed_depth_image_transport (PNG or RVL) or with a plain 16-bit PNG.
Labels are one-channel images or PNGs of integers. Both are registered to the image; where theirs is
a whole multiple or a whole part of the image's size, they are brought to it without blending.
"""

from __future__ import annotations

from collections.abc import Sequence
import struct
from typing import Any

import numpy as np

from .core.types import PoseError
from .image_encodings import decode_picture, picture_from_compressed, pixels_from_image

METRES_PER_UNIT = 0.001
"""REP 118: integer depth counts millimetres."""

_HEADER = struct.Struct('<iff')  # compressed depth: a format that nobody reads, then A and B
_RVL_SIZE = struct.Struct('<II')  # columns, rows


def depth_from_message(message: Any, width: int, height: int) -> np.ndarray:
    """Depth (height, width) float32 metres along z, 0 unknown, in the pixels of that image.

    Raises PoseError with one sentence where it cannot be read or has another shape.
    """
    if hasattr(message, 'encoding'):
        pixels = pixels_from_image(message)
        what = message.encoding
    else:
        pixels = _decompressed(message)
        what = message.format
    if pixels.ndim != 2 or pixels.dtype not in (np.uint16, np.float32, np.float64):
        raise PoseError(f'a {what} image is no depth: publish 16UC1 in millimetres or 32FC1 in '
                        'metres')
    metric = pixels.dtype != np.uint16
    depth = pixels.astype(np.float32) if metric else pixels * np.float32(METRES_PER_UNIT)
    if metric:  # NaN: unknown; infinite: too far; REP 118 has both, and -infinite for too near
        depth[~(np.isfinite(depth) & (depth > 0.0))] = 0.0
    return fit_to_image(depth, width, height, 'depth')


def labels_from_message(message: Any, width: int, height: int) -> np.ndarray:
    """Labels (height, width) integers, 0 background, in the pixels of that image.

    Raises PoseError with one sentence where it cannot be read or has another shape.
    """
    if hasattr(message, 'encoding'):
        pixels, what = pixels_from_image(message), message.encoding
    else:
        pixels, what = picture_from_compressed(message), message.format
    if pixels.ndim != 2 or pixels.dtype.kind not in 'iu':
        raise PoseError(f'a {what} image is no mask: publish mono8, 16UC1 or 32SC1 with a number '
                        'for each object and 0 for the background')
    return fit_to_image(pixels, width, height, 'mask')


def masks_of_boxes(labels: np.ndarray, numbers: Sequence[int | None],
                   ) -> tuple[list[np.ndarray | None], list[int]]:
    """A mask (H, W) uint8 for each number, None where there is no number or no pixel of it.

    Second: the numbers that no pixel has.
    """
    masks: list[np.ndarray | None] = []
    absent: list[int] = []
    for number in numbers:
        mask = None if number is None else (labels == number).astype(np.uint8)
        if mask is not None and not mask.any():
            mask = None
            absent.append(int(number or 0))
        masks.append(mask)
    return masks, absent


def fit_to_image(pixels: np.ndarray, width: int, height: int, what: str) -> np.ndarray:
    """(height, width) by taking the nearest of ``pixels``, whose size is a whole multiple or part.

    Raises PoseError for any other size; ``what`` names the input in it.
    """
    rows, columns = pixels.shape
    if (rows, columns) == (height, width):
        return pixels
    if height % rows == 0 and height // rows * columns == width:
        factor = height // rows
        return pixels.repeat(factor, 0).repeat(factor, 1)
    if rows % height == 0 and rows // height * width == columns:
        factor = rows // height
        return np.ascontiguousarray(pixels[factor // 2::factor, factor // 2::factor])
    raise PoseError(f'the {what} is {columns} x {rows} pixels, the image {width} x {height}: '
                    f'register the {what} to the image (as depth_image_proc does), in its size or '
                    'a whole part of it')


def _decompressed(message: Any) -> np.ndarray:
    """Depth of a CompressedImage: (H, W) uint16 millimetres or float32 metres, NaN unknown."""
    encoding, _, scheme = message.format.partition(';')
    data = np.frombuffer(message.data, np.uint8)
    if 'compressedDepth' not in message.format:
        return picture_from_compressed(message)
    if data.size <= _HEADER.size:
        raise PoseError(f'the compressed depth is broken: it has {data.size} bytes')
    _, a, b = _HEADER.unpack(data[:_HEADER.size].tobytes())
    body = data[_HEADER.size:]
    numbers = _rvl(body) if 'rvl' in scheme else decode_picture(body, message.format)
    if not encoding.strip().startswith('32'):
        return numbers
    if numbers.dtype != np.uint16:
        raise PoseError(f'the compressed depth ({message.format!r}) is broken: its PNG has '
                        f'{numbers.dtype} pixels')
    # The transport stores A / depth + B, so that near depth gets the finer steps; 0: unknown.
    table = np.full(2**16, np.nan, np.float32)
    with np.errstate(divide='ignore'):
        table[1:] = np.float32(a) / (np.arange(1, 2**16, dtype=np.float32) - np.float32(b))
    return table[numbers]


def _rvl(body: np.ndarray) -> np.ndarray:
    """(H, W) uint16 of RVL: runs of zeros and of differences in nibbles (Wilson, SIGCHI 2017)."""
    broken = PoseError('the compressed depth (RVL) is broken or cut off')
    if body.size <= _RVL_SIZE.size:
        raise broken
    columns, rows = _RVL_SIZE.unpack(body[:_RVL_SIZE.size].tobytes())
    words: np.ndarray = body[_RVL_SIZE.size:]
    words = words[:words.size // 4 * 4].reshape(-1, 4)[:, ::-1].reshape(-1)
    if not columns or not rows or columns * rows > 2**26 or not words.size:
        raise broken
    # Nibbles from the top of each little-endian word; the highest bit says that more belong to
    # the number, the lowest three bits of which come first.
    nibbles: np.ndarray = np.stack((words >> 4, words & 15), -1).reshape(-1)
    last = np.flatnonzero(nibbles < 8)
    if not last.size:
        raise broken
    first = np.concatenate(([0], last[:-1] + 1))
    nibbles = nibbles[:last[-1] + 1]
    place = np.arange(nibbles.size) - np.repeat(first, last - first + 1)
    parts = (nibbles & 7).astype(np.int64) << np.minimum(3 * place, 60)
    numbers = np.add.reduceat(parts, first)
    out = np.zeros(columns * rows, np.uint16)
    at = read = 0
    runs: list[tuple[int, int, int]] = []
    while at < out.size:
        if read + 2 > numbers.size:
            raise broken
        zeros, count = int(numbers[read]), int(numbers[read + 1])
        at, read = at + zeros, read + 2
        if at + count > out.size or read + count > numbers.size or zeros + count == 0:
            raise broken
        runs.append((at, read, count))
        at, read = at + count, read + count
    steps = np.concatenate([numbers[read:read + count] for _, read, count in runs])
    values = np.cumsum((steps >> 1) ^ -(steps & 1)).astype(np.uint16)
    done = 0
    for at, _, count in runs:
        out[at:at + count] = values[done:done + count]
        done += count
    return out.reshape(rows, columns)
