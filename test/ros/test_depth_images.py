# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Depth and masks in every form come out in metres and labels, in the image's pixels."""

import struct
import time
from types import SimpleNamespace

import cv2
from messages import image
import numpy as np
import pytest

from ros2_nabs_pose.core.types import PoseError
from ros2_nabs_pose.depth_images import (
    depth_from_message,
    fit_to_image,
    labels_from_message,
    masks_of_boxes,
)

HEIGHT, WIDTH = 12, 16


@pytest.fixture
def millimetres():
    """Depth with holes, and with jumps, as cameras give it."""
    depth = np.random.default_rng(7).integers(400, 9000, (HEIGHT, WIDTH), np.uint16)
    depth[3:5, 2:9] = 0
    depth[0, 0] = depth[-1, -1] = 0
    return depth


def compressed(form, depth, scheme='png', a=0.0, b=0.0):
    """What compressed_depth_image_transport publishes for numbers (H, W) uint16."""
    body = cv2.imencode('.png', depth)[1].tobytes() if scheme == 'png' else rvl(depth)
    return SimpleNamespace(format=f'{form}; compressedDepth {scheme}',
                           data=struct.pack('<iff', 0, a, b) + body)


def rvl(depth):
    """RVL as the transport writes it, number by number (Wilson, SIGCHI 2017)."""
    nibbles = []

    def write(value):
        while True:
            value, low = value >> 3, value & 7
            nibbles.append(low | (8 if value else 0))
            if not value:
                return

    values, at, previous = [int(v) for v in depth.reshape(-1)], 0, 0
    while at < len(values):
        run = at
        while run < len(values) and values[run] == 0:
            run += 1
        write(run - at)
        at = run
        while run < len(values) and values[run] != 0:
            run += 1
        write(run - at)
        for value in values[at:run]:
            difference, previous = value - previous, value
            write(2 * difference if difference >= 0 else -2 * difference - 1)
        at = run
    nibbles += [0] * (-len(nibbles) % 8)
    words = [int(''.join(f'{n:x}' for n in nibbles[i:i + 8]), 16)
             for i in range(0, len(nibbles), 8)]
    return struct.pack('<II', depth.shape[1], depth.shape[0]) + struct.pack(
        f'<{len(words)}I', *words)


@pytest.mark.parametrize('encoding', ['16UC1', 'mono16'])
@pytest.mark.parametrize('pad, big_endian', [(0, False), (6, False), (4, True)])
def test_integers_are_millimetres(millimetres, encoding, pad, big_endian):
    out = depth_from_message(image(encoding, millimetres, pad, big_endian), WIDTH, HEIGHT)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, millimetres / 1000.0, rtol=1e-6)


@pytest.mark.parametrize('encoding, dtype', [('32FC1', np.float32), ('64FC1', np.float64)])
@pytest.mark.parametrize('pad, big_endian', [(0, False), (8, True)])
def test_floats_are_metres_and_what_is_no_depth_is_unknown(encoding, dtype, pad, big_endian):
    metres = np.full((HEIGHT, WIDTH), 1.25, dtype)
    metres[0, :5] = np.nan, np.inf, -np.inf, -1.0, 0.0
    message = image(encoding, metres, pad, big_endian)
    message.data = memoryview(bytes(message.data)).toreadonly()
    out = depth_from_message(message, WIDTH, HEIGHT)
    assert out.dtype == np.float32
    assert out[0, :5].tolist() == [0.0] * 5
    assert (out.reshape(-1)[5:] == 1.25).all()


@pytest.mark.parametrize('scheme', ['png', 'rvl'])
def test_compressed_depth_of_integers(millimetres, scheme):
    out = depth_from_message(compressed('16UC1', millimetres, scheme), WIDTH, HEIGHT)
    np.testing.assert_allclose(out, millimetres / 1000.0, rtol=1e-6)


@pytest.mark.parametrize('scheme', ['png', 'rvl'])
def test_compressed_depth_of_floats_is_unquantised(millimetres, scheme):
    # As the transport encodes it: depth_quantization 100, depth_max 10 m.
    metres = millimetres.astype(np.float32) / 1000
    a = 100.0 * 101.0
    b = 1.0 - a / 10.0
    numbers = np.where(metres > 0, a / np.maximum(metres, 1e-3) + b, 0).astype(np.uint16)
    out = depth_from_message(compressed('32FC1', numbers, scheme, a, b), WIDTH, HEIGHT)
    assert ((out == 0) == (millimetres == 0)).all()
    # A step of the stored number is depth**2 / A: a tenth of a millimetre at one metre.
    assert (np.abs(out - metres) <= 1.05 * metres**2 / a + 1e-6).all()
    assert np.abs(out - metres).max() > 1e-5


def test_a_plain_16_bit_png_is_depth_in_millimetres(millimetres):
    data = cv2.imencode('.png', millimetres)[1].tobytes()
    out = depth_from_message(SimpleNamespace(format='png', data=data), WIDTH, HEIGHT)
    np.testing.assert_allclose(out, millimetres / 1000.0, rtol=1e-6)


def test_rvl_is_quick_enough_for_video():
    depth = np.random.default_rng(0).integers(500, 520, (480, 640), np.uint16)
    depth[np.random.default_rng(1).random((480, 640)) < 0.02] = 0
    message = compressed('16UC1', depth, 'rvl')

    def seconds():
        began = time.process_time()  # others use the processor, too
        out = depth_from_message(message, 640, 480)
        assert abs(float(out[100, 100]) * 1000 - depth[100, 100]) < 0.01
        return time.process_time() - began
    assert min(seconds() for _ in range(3)) < 0.1


def test_sizes_in_whole_ratio_are_brought_to_the_image():
    small = np.arange(6, dtype=np.uint16).reshape(2, 3)
    large = fit_to_image(small, 6, 4, 'depth')
    assert large.tolist() == [[0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2],
                              [3, 3, 4, 4, 5, 5], [3, 3, 4, 4, 5, 5]]
    np.testing.assert_array_equal(fit_to_image(large, 3, 2, 'depth'), small)


@pytest.mark.parametrize('shape', [(8, 16), (12, 8), (5, 7), (24, 16), (18, 24)])
def test_other_sizes_are_refused_with_the_mend(shape):
    with pytest.raises(PoseError, match=f'the depth is {shape[1]} x {shape[0]} pixels, the image '
                                        '16 x 12: register the depth'):
        depth_from_message(image('16UC1', np.ones(shape, np.uint16)), WIDTH, HEIGHT)


@pytest.mark.parametrize('encoding, dtype', [
    ('mono8', np.uint8), ('8UC1', np.uint8), ('16UC1', np.uint16), ('mono16', np.uint16),
    ('32SC1', np.int32)])
def test_labels(encoding, dtype):
    labels = np.zeros((HEIGHT, WIDTH), dtype)
    labels[2:5, 3:7], labels[6:8, 1:3] = 1, 3
    out = labels_from_message(image(encoding, labels, pad=4, big_endian=True), WIDTH, HEIGHT)
    np.testing.assert_array_equal(out, labels)
    masks, absent = masks_of_boxes(out, [3, None, 2, 1])
    assert [None if m is None else int((m > 0).sum()) for m in masks] == [4, None, None, 12]
    assert absent == [2]
    assert masks[0][6, 1] == 1


def test_labels_as_png():
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[2:5, 3:7] = 9
    message = SimpleNamespace(format='mono8; png compressed ',
                              data=cv2.imencode('.png', labels)[1].tobytes())
    np.testing.assert_array_equal(labels_from_message(message, WIDTH, HEIGHT), labels)


GOOD = rvl(np.full((4, 4), 700, np.uint16))
BROKEN = [
    (depth_from_message, image('rgb8', np.zeros((12, 16, 3), np.uint8)), 'rgb8 image is no depth'),
    (depth_from_message, image('mono8', np.zeros((12, 16), np.uint8)), 'mono8 image is no depth'),
    (depth_from_message, SimpleNamespace(format='16UC1; compressedDepth png', data=b'123'),
     'compressed depth is broken: it has 3 bytes'),
    (depth_from_message, SimpleNamespace(format='16UC1; compressedDepth png', data=b'1' * 99),
     'broken'),
    (depth_from_message, SimpleNamespace(format='16UC1; compressedDepth rvl',
                                         data=bytes(12) + GOOD[:12]), r'RVL\) is broken'),
    (depth_from_message, SimpleNamespace(format='16UC1; compressedDepth rvl', data=bytes(40)),
     r'RVL\) is broken'),
    (depth_from_message, SimpleNamespace(format='16UC1; compressedDepth rvl', data=b'\xff' * 40),
     r'RVL\) is broken'),
    (labels_from_message, image('32FC1', np.zeros((12, 16), np.float32)), '32FC1 image is no mask'),
    (labels_from_message, image('bgr8', np.zeros((12, 16, 3), np.uint8)), 'bgr8 image is no mask'),
]


@pytest.mark.parametrize('read, message, words', BROKEN)
def test_what_cannot_be_read_gives_one_sentence(read, message, words):
    with pytest.raises(PoseError, match=words) as caught:
        read(message, WIDTH, HEIGHT)
    assert '\n' not in str(caught.value)
