# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Image messages to arrays, for ROS' encodings and compressed pictures.

Colours go through cv_bridge where it is installed and can read the message, else through the
tables here, which give the same values (a test compares the two) and read more: any padding, big
endian, NV12, NV21, OpenCV's 8UC3. Functions take any object with the fields of sensor_msgs/Image
or CompressedImage; messages that share a read-only buffer will do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
import importlib
from typing import Any

import cv2
import numpy as np

from .core.types import PoseError


@dataclass(frozen=True)
class _Encoding:
    """Layout of one encoding and how it becomes RGB.

    dtype: of one channel. planar: half as many rows of colour follow the rows of brightness.
    to_rgb: None where the numbers are no colours. bridged: cv_bridge gives RGB of it too.
    """

    channels: int
    dtype: str
    to_rgb: Callable[[np.ndarray], np.ndarray] | None
    bridged: bool = False
    planar: bool = False


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
_ORDER = {'rgb': (3, _identity), 'bgr': (3, _by_code(cv2.COLOR_BGR2RGB)),
          'rgba': (4, _by_code(cv2.COLOR_RGBA2RGB)), 'bgra': (4, _by_code(cv2.COLOR_BGRA2RGB)),
          'mono': (1, _by_code(cv2.COLOR_GRAY2RGB))}
_DTYPE = {8: 'u1', 16: 'u2'}

ENCODINGS: dict[str, _Encoding] = {
    **{f'{name}{bits}': _Encoding(channels, _DTYPE[bits], to_rgb, bridged=True)
       for name, (channels, to_rgb) in _ORDER.items() for bits in _DTYPE},
    **{f'bayer_{name}{bits}': _Encoding(1, _DTYPE[bits], _by_code(code), bridged=True)
       for name, code in _BAYER.items() for bits in _DTYPE},
    **{name: _Encoding(2, 'u1', _by_code(code), bridged=name in ('yuv422', 'yuv422_yuy2'))
       for name, code in _YUV.items()},
    'nv12': _Encoding(1, 'u1', _by_code(cv2.COLOR_YUV2RGB_NV12), planar=True),
    'nv21': _Encoding(1, 'u1', _by_code(cv2.COLOR_YUV2RGB_NV21), planar=True),
    # What cv_bridge calls OpenCV's pictures where nobody names their encoding: BGR.
    '8UC1': _Encoding(1, 'u1', _ORDER['mono'][1]),
    '8UC3': _Encoding(3, 'u1', _ORDER['bgr'][1]),
    '8UC4': _Encoding(4, 'u1', _ORDER['bgra'][1]),
    # Depth and labels.
    '16UC1': _Encoding(1, 'u2', None), '32SC1': _Encoding(1, 'i4', None),
    '32FC1': _Encoding(1, 'f4', None), '64FC1': _Encoding(1, 'f8', None),
}


def pixels_from_image(message: Any) -> np.ndarray:
    """Numbers of a sensor_msgs/Image as they are: (H, W) or (H, W, C), in this machine's order.

    NV12 and NV21 have 3 / 2 H rows. Honours ``step`` and ``is_bigendian``. The array may share
    the message's buffer: do not write into it. Raises PoseError with one sentence.
    """
    height, width = int(message.height), int(message.width)
    encoding = ENCODINGS.get(message.encoding)
    if height == 0 or width == 0:
        raise PoseError(f'the image has no pixels ({width} x {height}): look at the camera driver')
    if encoding is None:
        raise PoseError(f'the image encoding {message.encoding!r} is unknown: publish one of '
                        f'{", ".join(sorted(ENCODINGS))}')
    if width % 2 and (message.encoding in _YUV or encoding.planar) or height % 2 * encoding.planar:
        raise PoseError(f'a {message.encoding} image cannot be {width} x {height} pixels: its '
                        'colours come in pairs of pixels')
    rows = height * 3 // 2 if encoding.planar else height
    dtype = np.dtype(encoding.dtype).newbyteorder('>' if message.is_bigendian else '<')
    row_bytes = width * encoding.channels * dtype.itemsize
    step = int(message.step)
    data = np.frombuffer(message.data, np.uint8)
    if encoding.planar and data.size == rows * row_bytes:
        step = row_bytes  # some drivers share the colour planes' bytes out over the rows' step
    if step < row_bytes or data.size < step * (rows - 1) + row_bytes:
        raise PoseError(
            f'the {width} x {height} {message.encoding} image says {step} bytes a row and carries '
            f'{data.size} bytes, which cannot be: look at the camera driver')
    lines: np.ndarray = np.ndarray((rows, row_bytes), np.uint8, data, strides=(step, 1))
    pixels = np.ascontiguousarray(lines).view(dtype)
    shape = (rows, width, encoding.channels) if encoding.channels > 1 else (rows, width)
    return pixels.astype(dtype.newbyteorder('='), copy=False).reshape(shape)


def rgb_from_image(message: Any) -> np.ndarray:
    """RGB (H, W, 3) uint8 of a sensor_msgs/Image.

    16-bit colours are scaled from 0 .. 65535 to 0 .. 255 and rounded, as cv_bridge does. The
    array may share the message's buffer: do not write into it. Raises PoseError with one sentence.
    """
    bridged = _bridged_rgb(message)
    if bridged is not None:
        return bridged
    pixels = pixels_from_image(message)
    to_rgb = ENCODINGS[message.encoding].to_rgb
    if to_rgb is None:
        raise PoseError(f'a {message.encoding} image holds depth or labels, not colours: remap '
                        'the colour image to this topic')
    return _to_8_bits(to_rgb(pixels))


def picture_from_compressed(message: Any) -> np.ndarray:
    """A CompressedImage's JPEG or PNG as it is stored: (H, W) or, BGR or BGRA, (H, W, C).

    EXIF orientation is ignored: camera_info describes the pixels as they are stored.
    Raises PoseError with one sentence.
    """
    return decode_picture(np.frombuffer(message.data, np.uint8), message.format)


def decode_picture(data: np.ndarray, name: str) -> np.ndarray:
    """A JPEG or PNG in bytes (N,) uint8 as it is stored; PoseError names ``name``."""
    try:
        picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    except cv2.error:
        picture = None
    if picture is None:
        raise PoseError(f'the compressed image ({name!r}, {data.size} bytes) is broken or neither '
                        'JPEG nor PNG')
    return picture


def rgb_from_compressed(message: Any) -> np.ndarray:
    """RGB (H, W, 3) uint8 of a sensor_msgs/CompressedImage that holds a JPEG or PNG.

    One channel is grey, or a Bayer pattern where the format names one. Raises PoseError.
    """
    if 'compressedDepth' in message.format:
        raise PoseError('the compressed image holds depth: subscribe the colour image')
    picture = picture_from_compressed(message)
    if picture.ndim == 3:
        return _to_8_bits(_ORDER['bgr' if picture.shape[2] == 3 else 'bgra'][1](picture))
    source = message.format.partition(';')[0].strip()
    if not source.startswith('bayer') or source not in ENCODINGS:
        source = 'mono8'
    to_rgb = ENCODINGS[source].to_rgb
    assert to_rgb is not None
    return _to_8_bits(to_rgb(picture))


def rgb_from_message(message: Any) -> np.ndarray:
    """RGB (H, W, 3) uint8 of an Image or CompressedImage; raises PoseError."""
    if hasattr(message, 'encoding'):
        return rgb_from_image(message)
    return rgb_from_compressed(message)


def _to_8_bits(colours: np.ndarray) -> np.ndarray:
    if colours.dtype != np.uint16:
        return colours
    return cv2.convertScaleAbs(colours, alpha=255.0 / 65535.0)


@cache
def _bridge() -> Any:
    """cv_bridge's converter, None where it is not installed."""
    try:
        return importlib.import_module('cv_bridge').CvBridge()
    except Exception:  # Humble's is built for NumPy 1 and fails under 2 in ways of its own
        return None


def _bridged_rgb(message: Any) -> np.ndarray | None:
    """What cv_bridge makes of an image; None where it is not there or cannot read this one.

    Its Python side reads only rows of whole pixels, and no big endian under NumPy 2.
    """
    encoding = ENCODINGS.get(message.encoding)
    if encoding is None or not encoding.bridged or message.is_bigendian or _bridge() is None:
        return None
    pixel_bytes = encoding.channels * np.dtype(encoding.dtype).itemsize
    if (message.step % pixel_bytes or not 0 < message.width * pixel_bytes <= message.step
            or not 0 < message.height * message.step == len(message.data)):
        return None
    try:
        return _bridge().imgmsg_to_cv2(message, desired_encoding='rgb8')
    except Exception:  # of many types; whatever it stumbles over, the tables here decide
        return None
