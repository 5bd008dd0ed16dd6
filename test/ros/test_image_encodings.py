# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Pictures in every encoding come out as the RGB that went in; broken ones give one sentence."""

from pathlib import Path
import re
import time
from types import SimpleNamespace

import cv2
from messages import image
import numpy as np
import pytest

from ros2_nabs_pose import image_encodings
from ros2_nabs_pose.core.types import PoseError
from ros2_nabs_pose.image_encodings import pixels_from_image, rgb_from_image, rgb_from_message

HEIGHT, WIDTH = 12, 16
BAYER = {'rggb': 'RGGB', 'bggr': 'BGGR', 'gbrg': 'GBRG', 'grbg': 'GRBG'}


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
@pytest.mark.parametrize('encoding, order', [
    ('rgb16', [0, 1, 2]), ('bgr16', [2, 1, 0]), ('rgba16', [0, 1, 2, 0]), ('bgra16', [2, 1, 0, 0])])
@pytest.mark.parametrize('offset', [-128, 0, 128])
def test_sixteen_bits_are_scaled_and_rounded(rgb, encoding, order, big_endian, offset):
    deep = np.clip(rgb[..., order].astype(int) * 257 + offset, 0, 65535).astype(np.uint16)
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


@pytest.mark.parametrize('encoding, u_first', [('nv12', True), ('nv21', False)])
@pytest.mark.parametrize('pad, step', [(0, None), (6, None), (0, WIDTH * 3 // 2)])
def test_nv12_and_nv21(encoding, u_first, pad, step):
    # A red left half and a blue right half; the colours follow, a pair of pixels to each byte pair.
    left = np.arange(WIDTH) < 8
    y = np.repeat(np.where(left, 81, 41)[None], HEIGHT, 0)
    u, v = np.where(left, 90, 240)[::2], np.where(left, 240, 110)[::2]
    chroma = np.stack([u, v] if u_first else [v, u], -1).reshape(1, -1)
    planes = np.concatenate([y, np.repeat(chroma, HEIGHT // 2, 0)]).astype(np.uint8)
    changes = {'height': HEIGHT, **({} if step is None else {'step': step})}
    out = rgb_from_image(image(encoding, planes, pad, **changes)).astype(int)
    assert out.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(out[:, :8] - (255, 0, 0)).max() < 6
    assert np.abs(out[:, 8:] - (0, 0, 255)).max() < 6


@pytest.mark.parametrize('encoding, channels', [('8UC3', 3), ('8UC4', 4)])
def test_unnamed_pictures_of_opencv_are_bgr(rgb, encoding, channels):
    bgra = np.dstack([rgb[..., ::-1], rgb[..., 0]])
    np.testing.assert_array_equal(rgb_from_image(image(encoding, bgra[..., :channels])), rgb)


@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('pattern', sorted(BAYER))
def test_bayer(pattern, bits):
    colour = {'R': 200, 'G': 120, 'B': 40}
    cell = np.array([colour[c] for c in BAYER[pattern]]).reshape(2, 2)
    mosaic = np.tile(cell, (HEIGHT // 2, WIDTH // 2))
    mosaic = mosaic.astype(np.uint8) if bits == 8 else (mosaic * 256).astype(np.uint16)
    out = rgb_from_image(image(f'bayer_{pattern}{bits}', mosaic, pad=2)).astype(int)
    assert np.abs(out[2:-2, 2:-2] - (200, 120, 40)).max() <= 1


# The codes of cv_bridge's own table (vision_opencv, cv_bridge.cpp), with which it goes to RGB.
BRIDGE_CODES = {
    'rgb': None, 'bgr': cv2.COLOR_BGR2RGB, 'rgba': cv2.COLOR_RGBA2RGB, 'bgra': cv2.COLOR_BGRA2RGB,
    'mono': cv2.COLOR_GRAY2RGB, 'yuv422': cv2.COLOR_YUV2RGB_UYVY,
    'yuv422_yuy2': cv2.COLOR_YUV2RGB_YUY2, 'bayer_rggb': cv2.COLOR_BayerBG2RGB,
    'bayer_bggr': cv2.COLOR_BayerRG2RGB, 'bayer_gbrg': cv2.COLOR_BayerGR2RGB,
    'bayer_grbg': cv2.COLOR_BayerGB2RGB}
CHANNELS = {'rgb': 3, 'bgr': 3, 'rgba': 4, 'bgra': 4, 'yuv422': 2, 'yuv422_yuy2': 2}
BRIDGED = [(name, bits) for name in BRIDGE_CODES for bits in (8, 16)
           if bits == 8 or not name.startswith('yuv')]


def bridge_rgb(message, pixels, code):
    """What cv_bridge gives for 'rgb8': its own word where it is installed, else its steps."""
    try:
        from cv_bridge import CvBridge
    except ImportError:
        colours = pixels if code is None else cv2.cvtColor(pixels, code)
        # cv::Mat::convertTo with 255 / 65535, rounded to the nearest.
        scaled = np.rint(colours.astype(np.float64) * 255 / 65535).astype(np.uint8)
        return scaled if colours.dtype == np.uint16 else colours
    from sensor_msgs.msg import Image
    return CvBridge().imgmsg_to_cv2(Image(**vars(message)), 'rgb8')


@pytest.mark.parametrize('name, bits', BRIDGED)
@pytest.mark.parametrize('pad, big_endian', [(0, False), (6, False), (2, True)])
def test_values_are_cv_bridges(monkeypatch, name, bits, pad, big_endian):
    monkeypatch.setattr(image_encodings, '_bridge', lambda: None)
    channels = CHANNELS.get(name, 1)
    pixels = np.random.default_rng(5).integers(
        0, 2**bits, (HEIGHT, WIDTH, channels)[:3 if channels > 1 else 2], f'uint{bits}')
    encoding = name if name.startswith('yuv') else f'{name}{bits}'
    expected = bridge_rgb(image(encoding, pixels), pixels, BRIDGE_CODES[name])
    ours = image(encoding, pixels, pad, big_endian)
    ours.data = memoryview(bytes(ours.data)).toreadonly()
    np.testing.assert_array_equal(rgb_from_image(ours), expected)


def bridge_pixels(message):
    """Pixels that cv_bridge passes through: its own word where installed, else its steps."""
    try:
        from cv_bridge import CvBridge
    except ImportError:
        dtype = np.dtype({'16UC1': '<u2', 'mono16': '<u2', '32FC1': '<f4'}[message.encoding])
        columns = message.step // dtype.itemsize
        whole = np.ndarray((message.height, columns), dtype, bytes(message.data))
        return whole[:, :message.width]
    from sensor_msgs.msg import Image
    return CvBridge().imgmsg_to_cv2(Image(**vars(message)))


@pytest.mark.parametrize('encoding', ['16UC1', 'mono16', '32FC1'])
@pytest.mark.parametrize('pad', [0, 8])
def test_depth_values_are_cv_bridges(encoding, pad):
    rng = np.random.default_rng(6)
    pixels = rng.integers(0, 2**16, (HEIGHT, WIDTH), 'uint16')
    if encoding == '32FC1':
        pixels = (pixels * np.float32(1e-3)).astype(np.float32)
        pixels[0, :3] = np.nan, np.inf, -np.inf
    message = image(encoding, pixels, pad)
    expected = bridge_pixels(message)
    message.data = memoryview(bytes(message.data)).toreadonly()
    found = pixels_from_image(message)
    assert found.dtype == expected.dtype == pixels.dtype
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found, pixels)
    # Big endian, which cv_bridge cannot read under NumPy 2, has the same values.
    np.testing.assert_array_equal(pixels_from_image(image(encoding, pixels, pad, True)), pixels)


def bridge_compressed(message):
    """RGB that cv_bridge gives of a compressed colour image: its own word, else its steps."""
    try:
        from cv_bridge import CvBridge
    except ImportError:
        picture = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_UNCHANGED)
        codes = {2: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB}
        return cv2.cvtColor(picture, codes[picture.ndim])
    from sensor_msgs.msg import CompressedImage
    return CvBridge().compressed_imgmsg_to_cv2(
        CompressedImage(format=message.format, data=bytes(message.data)), 'rgb8')


@pytest.mark.parametrize('suffix, name', [('.jpg', 'jpeg'), ('.png', 'png')])
@pytest.mark.parametrize('encoding', ['bgr8', 'mono8'])
def test_compressed_values_are_cv_bridges(rgb, suffix, name, encoding):
    picture = rgb if encoding == 'bgr8' else rgb[..., 0]
    data = cv2.imencode(suffix, picture)[1].tobytes()
    message = SimpleNamespace(format=f'{encoding}; {name} compressed {encoding}', data=data)
    np.testing.assert_array_equal(rgb_from_message(message), bridge_compressed(message))


class Bridge:
    """Stands in for cv_bridge.CvBridge where it is not installed."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def imgmsg_to_cv2(self, message, desired_encoding):
        self.asked.append((message.encoding, desired_encoding))
        if self.answer is None:
            raise TypeError('not for me')
        return self.answer


@pytest.mark.parametrize('encoding, changes, asked', [
    ('bgr8', {}, True), ('bgr8', {'pad': 3}, True), ('bgr8', {'pad': 4}, False),
    ('bgr8', {'big_endian': True}, False), ('8UC3', {}, False)])
def test_cv_bridge_is_asked_for_what_it_can_read(monkeypatch, rgb, encoding, changes, asked):
    bridge = Bridge(np.full_like(rgb, 17))
    monkeypatch.setattr(image_encodings, '_bridge', lambda: bridge)
    out = rgb_from_image(image(encoding, rgb[..., ::-1], **changes))
    assert bridge.asked == ([(encoding, 'rgb8')] if asked else [])
    np.testing.assert_array_equal(out, bridge.answer if asked else rgb)


def test_a_cv_bridge_that_fails_is_no_obstacle(monkeypatch, rgb):
    bridge = Bridge(None)
    monkeypatch.setattr(image_encodings, '_bridge', lambda: bridge)
    np.testing.assert_array_equal(rgb_from_image(image('rgb8', rgb)), rgb)
    assert bridge.asked == [('rgb8', 'rgb8')]


@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', 'yuv422_yuy2'])
def test_a_vga_image_takes_a_millisecond_at_most(encoding):
    channels = 2 if encoding == 'yuv422_yuy2' else 3
    message = image(encoding, np.zeros((480, 640, channels), np.uint8))

    def seconds():
        began = time.process_time()  # others use the processor, too
        rgb_from_image(message)
        return time.process_time() - began
    assert min(seconds() for _ in range(20)) < 1e-3


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


@pytest.mark.parametrize('channels', [1, 3, 4])
def test_sixteen_bit_png(channels):
    flat = np.full((HEIGHT, WIDTH, channels), (200, 120, 40, 255)[:channels], np.uint16) * 257
    bgr = flat[..., [2, 1, 0, 3][:channels]] if channels > 1 else flat
    data = cv2.imencode('.png', bgr)[1].tobytes()
    out = rgb_from_message(SimpleNamespace(format='16-bit png', data=data))
    assert (out == ((200, 120, 40) if channels > 1 else (200,) * 3)).all()


def test_a_compressed_bayer_pattern_gets_its_colours():
    cell = np.array([[200, 120], [120, 40]], np.uint8)
    data = cv2.imencode('.png', np.tile(cell, (HEIGHT // 2, WIDTH // 2)))[1].tobytes()
    out = rgb_from_message(SimpleNamespace(format='bayer_rggb8; png compressed ', data=data))
    assert np.abs(out[2:-2, 2:-2].astype(int) - (200, 120, 40)).max() <= 1


BROKEN = [
    (image('rgb8', np.zeros((4, 4, 3), np.uint8), height=0, width=0), 'no pixels'),
    (image('cmyk', np.zeros((4, 4, 3), np.uint8)), "'cmyk' is unknown"),
    (image('rgb8', np.zeros((4, 4, 3), np.uint8), step=11), '11 bytes a row'),
    (image('rgb8', np.zeros((4, 4, 3), np.uint8), height=5), 'carries 48 bytes'),
    (image('yuv422', np.zeros((4, 5, 2), np.uint8)), 'pairs of pixels'),
    (image('nv12', np.zeros((4, 5), np.uint8)), 'pairs of pixels'),
    (image('16UC1', np.zeros((4, 4), np.uint16)), 'depth or labels'),
    (SimpleNamespace(format='jpeg', data=b''), 'broken'),
    (SimpleNamespace(format='jpeg', data=b'\xff\xd8\xff not a picture'), 'broken'),
    (SimpleNamespace(format='16UC1; compressedDepth png', data=b'123'), 'depth'),
]


@pytest.mark.parametrize('message, words', BROKEN)
def test_what_cannot_be_decoded_gives_one_sentence(message, words):
    with pytest.raises(PoseError, match=words) as caught:
        rgb_from_message(message)
    assert '\n' not in str(caught.value)


def test_the_docs_name_every_colour_encoding():
    text = (Path(__file__).resolve().parents[2] / 'docs/node.md').read_text()
    said = re.sub(r'\W+', ' ', text[text.index('**Encodings**'):text.index('**Matching.**')])
    for name, encoding in image_encodings.ENCODINGS.items():
        if encoding.to_rgb is not None:
            assert name in said or f'{name[:-2]}8' in said, name
