# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Pictures in every encoding come out as the RGB that went in; broken ones give one sentence."""

import array
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from ros2_nabs_pose.core.types import PoseError
from ros2_nabs_pose.image_encodings import rgb_from_image, rgb_from_message

HEIGHT, WIDTH = 12, 16
BAYER = {'rggb': 'RGGB', 'bggr': 'BGGR', 'gbrg': 'GBRG', 'grbg': 'GRBG'}


def image(encoding, pixels, pad=0, big_endian=False, **changes):
    """A message from pixels (H, W) or (H, W, C), with ``pad`` bytes after each row."""
    rows = pixels.astype(pixels.dtype.newbyteorder('>')) if big_endian else pixels
    rows = np.ascontiguousarray(rows).view(np.uint8).reshape(len(pixels), -1)
    rows = np.pad(rows, ((0, 0), (0, pad)), constant_values=77)
    message = SimpleNamespace(
        height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, step=rows.shape[1],
        is_bigendian=big_endian, data=array.array('B', rows.tobytes()))
    return SimpleNamespace(**{**vars(message), **changes})


@pytest.fixture
def rgb():
    return np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


@pytest.mark.parametrize('pad', [0, 5])
@pytest.mark.parametrize('encoding, order', [
    ('rgb8', [0, 1, 2]), ('bgr8', [2, 1, 0]), ('rgba8', [0, 1, 2, 3]), ('bgra8', [2, 1, 0, 3])])
def test_colour(rgb, encoding, order, pad):
    rgba = np.dstack([rgb, np.full((HEIGHT, WIDTH), 9, np.uint8)])
    out = rgb_from_image(image(encoding, rgba[..., order], pad))
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(out, rgb)


@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize('encoding, order', [('rgb16', [0, 1, 2]), ('bgr16', [2, 1, 0])])
def test_sixteen_bits_keep_the_high_byte(rgb, encoding, order, big_endian):
    deep = rgb[..., order].astype(np.uint16) * 256 + 200
    out = rgb_from_image(image(encoding, deep, 4, big_endian))
    np.testing.assert_array_equal(out, rgb)


@pytest.mark.parametrize('encoding', ['mono8', '8UC1', 'mono16'])
@pytest.mark.parametrize('pad', [0, 3])
def test_grey(rgb, encoding, pad):
    grey = rgb[..., 0]
    pixels = grey.astype(np.uint16) * 257 if encoding == 'mono16' else grey
    np.testing.assert_array_equal(rgb_from_image(image(encoding, pixels, 2 * pad)),
                                  np.dstack([grey] * 3))


@pytest.mark.parametrize('encoding, luma_first', [
    ('yuv422', False), ('uyvy', False), ('yuv422_yuy2', True), ('yuyv', True)])
def test_yuv422(encoding, luma_first):
    # Flat colours: red and blue halves, in BT.601 video range.
    y = np.where(np.arange(WIDTH) < 8, 81, 41).astype(np.uint8)
    u = np.where(np.arange(WIDTH) < 8, 90, 240)
    v = np.where(np.arange(WIDTH) < 8, 240, 110)
    chroma = np.where(np.arange(WIDTH) % 2 == 0, u, v).astype(np.uint8)
    row = np.stack([y, chroma] if luma_first else [chroma, y], -1)
    out = rgb_from_image(image(encoding, np.repeat(row[None], HEIGHT, 0), pad=4)).astype(int)
    assert np.abs(out[:, :8] - (255, 0, 0)).max() < 6
    assert np.abs(out[:, 8:] - (0, 0, 255)).max() < 6


@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('pattern', sorted(BAYER))
def test_bayer(pattern, bits):
    colour = {'R': 200, 'G': 120, 'B': 40}
    cell = np.array([colour[c] for c in BAYER[pattern]]).reshape(2, 2)
    mosaic = np.tile(cell, (HEIGHT // 2, WIDTH // 2))
    mosaic = mosaic.astype(np.uint8) if bits == 8 else (mosaic * 256).astype(np.uint16)
    out = rgb_from_image(image(f'bayer_{pattern}{bits}', mosaic, pad=2)).astype(int)
    assert np.abs(out[2:-2, 2:-2] - (200, 120, 40)).max() <= 1


def test_a_last_row_without_padding_will_do(rgb):
    message = image('rgb8', rgb, pad=6)
    message.data = message.data[:-6]
    np.testing.assert_array_equal(rgb_from_image(message), rgb)


@pytest.mark.parametrize('suffix, text', [('.jpg', 'rgb8; jpeg compressed bgr8'), ('.png', 'png')])
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_compressed(suffix, text, channels):
    flat = np.full((HEIGHT, WIDTH, channels), (200, 120, 40, 255)[:channels], np.uint8)
    bgr = flat[..., [2, 1, 0, 3][:channels]] if channels > 1 else flat
    if suffix == '.jpg' and channels == 4:
        bgr = bgr[..., :3]
    data = cv2.imencode(suffix, bgr)[1].reshape(-1)
    out = rgb_from_message(SimpleNamespace(format=text, data=data)).astype(int)
    assert out.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(out - ((200, 120, 40) if channels > 1 else (200,) * 3)).max() <= 3


BROKEN = [
    (image('rgb8', np.zeros((4, 4, 3), np.uint8), height=0, width=0), 'no pixels'),
    (image('cmyk', np.zeros((4, 4, 3), np.uint8)), "'cmyk' is unknown"),
    (image('rgb8', np.zeros((4, 4, 3), np.uint8), step=11), '11 bytes a row'),
    (image('rgb8', np.zeros((4, 4, 3), np.uint8), height=5), 'carries 48 bytes'),
    (image('yuv422', np.zeros((4, 5, 2), np.uint8)), 'pairs of pixels'),
    (SimpleNamespace(format='jpeg', data=b''), 'broken'),
    (SimpleNamespace(format='jpeg', data=b'\xff\xd8\xff not a picture'), 'broken'),
    (SimpleNamespace(format='16UC1; compressedDepth png', data=b'123'), 'depth'),
]


@pytest.mark.parametrize('message, words', BROKEN)
def test_what_cannot_be_decoded_gives_one_sentence(message, words):
    with pytest.raises(PoseError, match=words) as caught:
        rgb_from_message(message)
    assert '\n' not in str(caught.value)
