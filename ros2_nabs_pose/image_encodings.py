# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Image messages to RGB arrays, for ROS' encodings and compressed pictures, without cv_bridge.

Functions take any object with the fields of sensor_msgs/Image or CompressedImage.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from .core.types import PoseError


@dataclass(frozen=True)
class _Encoding:
    """Layout of one encoding: channels of ``bits`` each, and how they become RGB."""

    channels: int
    bits: int
    to_rgb: Callable[[np.ndarray], np.ndarray]


def _identity(pixels: np.ndarray) -> np.ndarray:
    return pixels


def _by_code(code: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: cv2.cvtColor(pixels, code)


# OpenCV names a Bayer pattern after the second row's second and third pixels, ROS after the first
# two pixels of the first two rows.
_BAYER = {'rggb': cv2.COLOR_BayerBG2RGB, 'bggr': cv2.COLOR_BayerRG2RGB,
          'gbrg': cv2.COLOR_BayerGR2RGB, 'grbg': cv2.COLOR_BayerGB2RGB}
_YUV = {'yuv422': cv2.COLOR_YUV2RGB_UYVY, 'uyvy': cv2.COLOR_YUV2RGB_UYVY,
        'yuv422_uyvy': cv2.COLOR_YUV2RGB_UYVY, 'yuv422_yuy2': cv2.COLOR_YUV2RGB_YUY2,
        'yuyv': cv2.COLOR_YUV2RGB_YUY2, 'yuy2': cv2.COLOR_YUV2RGB_YUY2}

ENCODINGS: dict[str, _Encoding] = {
    'rgb8': _Encoding(3, 8, _identity), 'rgb16': _Encoding(3, 16, _identity),
    'bgr8': _Encoding(3, 8, _by_code(cv2.COLOR_BGR2RGB)),
    'bgr16': _Encoding(3, 16, _by_code(cv2.COLOR_BGR2RGB)),
    'rgba8': _Encoding(4, 8, _by_code(cv2.COLOR_RGBA2RGB)),
    'bgra8': _Encoding(4, 8, _by_code(cv2.COLOR_BGRA2RGB)),
    'mono8': _Encoding(1, 8, _by_code(cv2.COLOR_GRAY2RGB)),
    '8UC1': _Encoding(1, 8, _by_code(cv2.COLOR_GRAY2RGB)),
    'mono16': _Encoding(1, 16, _by_code(cv2.COLOR_GRAY2RGB)),
    **{name: _Encoding(2, 8, _by_code(code)) for name, code in _YUV.items()},
    **{f'bayer_{name}{bits}': _Encoding(1, bits, _by_code(code))
       for name, code in _BAYER.items() for bits in (8, 16)},
}


def rgb_from_image(message: Any) -> np.ndarray:
    """RGB (H, W, 3) uint8 of a sensor_msgs/Image.

    Honours ``step`` and ``is_bigendian``; 16-bit pictures keep their high byte. The array may
    share the message's buffer: do not write into it. Raises PoseError with one sentence.
    """
    height, width = int(message.height), int(message.width)
    encoding = ENCODINGS.get(message.encoding)
    if height == 0 or width == 0:
        raise PoseError(f'the image has no pixels ({width} x {height}): look at the camera driver')
    if encoding is None:
        raise PoseError(f'the image encoding {message.encoding!r} is unknown: publish one of '
                        f'{", ".join(sorted(ENCODINGS))}')
    if message.encoding in _YUV and width % 2:
        raise PoseError(f'a {message.encoding} image cannot be {width} pixels wide: its colours '
                        'come in pairs of pixels')
    row_bytes = width * encoding.channels * encoding.bits // 8
    step = int(message.step)
    data = np.frombuffer(message.data, np.uint8)
    if step < row_bytes or data.size < step * (height - 1) + row_bytes:
        raise PoseError(
            f'the {width} x {height} {message.encoding} image says {step} bytes a row and carries '
            f'{data.size} bytes, which cannot be: look at the camera driver')
    rows: np.ndarray = np.ndarray((height, row_bytes), np.uint8, data, strides=(step, 1))
    if encoding.bits == 16:
        order = '>u2' if message.is_bigendian else '<u2'
        pixels = np.ascontiguousarray(rows).view(order).astype(np.uint16)
    else:
        pixels = rows
    shape = (height, width, encoding.channels) if encoding.channels > 1 else (height, width)
    rgb = encoding.to_rgb(np.ascontiguousarray(pixels).reshape(shape))
    return (rgb >> 8).astype(np.uint8) if encoding.bits == 16 else rgb


def rgb_from_compressed(message: Any) -> np.ndarray:
    """RGB (H, W, 3) uint8 of a sensor_msgs/CompressedImage that holds a JPEG or PNG.

    EXIF orientation is ignored: camera_info describes the pixels as they are stored.
    Raises PoseError with one sentence.
    """
    data = np.frombuffer(message.data, np.uint8)
    if 'compressedDepth' in message.format:
        raise PoseError('the compressed image holds depth: subscribe the colour image')
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        bgr = cv2.imdecode(data, flags) if data.size else None
    except cv2.error:
        bgr = None
    if bgr is None:
        raise PoseError(f'the compressed image ({message.format!r}, {data.size} bytes) is broken '
                        'or neither JPEG nor PNG')
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def rgb_from_message(message: Any) -> np.ndarray:
    """RGB (H, W, 3) uint8 of an Image or CompressedImage; raises PoseError."""
    if hasattr(message, 'encoding'):
        return rgb_from_image(message)
    return rgb_from_compressed(message)
