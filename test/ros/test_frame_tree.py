# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What is up in a camera's frame: through chains, at the image's time, and where none leads."""

from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ros2_nabs_pose.core.types import PoseError
from ros2_nabs_pose.frame_tree import FrameTree

SECOND_NS = 10**9


def message(*transforms):
    """A TFMessage of (parent, child, rotation, seconds)."""
    return SimpleNamespace(transforms=[
        SimpleNamespace(
            child_frame_id=child,
            header=SimpleNamespace(frame_id=parent, stamp=SimpleNamespace(
                sec=int(when_s), nanosec=round((when_s % 1.0) * 1e9))),
            transform=SimpleNamespace(rotation=SimpleNamespace(
                **dict(zip('xyzw', rotation.as_quat(), strict=True)))))
        for parent, child, rotation, when_s in transforms])


def about_x(degrees):
    return Rotation.from_euler('x', degrees, degrees=True)


def test_a_camera_that_looks_down_has_its_up_where_it_is():
    frames = FrameTree()
    # An optical frame that looks along the base's x, then 30 degrees further down.
    level = Rotation.from_matrix([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    frames.add(message(('base', 'camera', level * about_x(-30.0), 0.0)), static=True)
    np.testing.assert_allclose(frames.up('base', 'camera', 5 * SECOND_NS),
                               [0.0, -np.cos(np.pi / 6), -np.sin(np.pi / 6)], atol=1e-12)


@given(st.integers(0, 2 ** 16))
@settings(max_examples=30, deadline=None)
def test_it_finds_its_way_up_and_down_a_tree(seed):
    """map > base > arm > camera, and map > table: what is the table's z to the camera?"""
    turns = dict(zip(('base', 'arm', 'camera', 'table'), Rotation.random(4, random_state=seed),
                     strict=True))
    frames = FrameTree()
    frames.add(message(('map', 'base', turns['base'], 0.0), ('map', 'table', turns['table'], 0.0)),
               static=True)
    frames.add(message(('/base', '/arm', turns['arm'], 2.0),
                       ('arm', 'camera', turns['camera'], 2.0)))
    camera = turns['base'] * turns['arm'] * turns['camera']
    for name, turn in (('map', Rotation.identity()), ('table', turns['table']),
                       ('base', turns['base']), ('camera', camera)):
        np.testing.assert_allclose(frames.up(name, 'camera', 2 * SECOND_NS),
                                   (camera.inv() * turn).apply([0.0, 0.0, 1.0]), atol=1e-9)


def test_a_camera_that_moves_is_asked_for_the_time_of_the_image():
    frames = FrameTree()
    for step in range(50):
        frames.add(message(('base', 'camera', about_x(2.0 * step), 10.0 + 0.1 * step)))
    for when_s, degrees in ((10.0, 0.0), (12.01, 40.0), (12.09, 42.0), (14.9, 98.0), (15.3, 98.0)):
        np.testing.assert_allclose(frames.up('base', 'camera', round(when_s * SECOND_NS)),
                                   about_x(-degrees).apply([0.0, 0.0, 1.0]), atol=1e-9)
    for when_s in (9.0, 15.6):
        with pytest.raises(PoseError, match='at the time of the image'):
            frames.up('base', 'camera', round(when_s * SECOND_NS))
    # A bag that begins again: what came before is of another time.
    frames.add(message(('base', 'camera', about_x(70.0), 3.0)))
    np.testing.assert_allclose(frames.up('base', 'camera', 3 * SECOND_NS),
                               about_x(-70.0).apply([0.0, 0.0, 1.0]), atol=1e-9)
    with pytest.raises(PoseError):
        frames.up('base', 'camera', 12 * SECOND_NS)


def test_a_static_transform_that_is_published_anew_replaces_the_last():
    frames = FrameTree()
    for degrees, when_s in ((10.0, 5.0), (20.0, 1.0)):
        frames.add(message(('base', 'camera', about_x(degrees), when_s)), static=True)
    np.testing.assert_allclose(frames.up('base', 'camera', 0),
                               about_x(-20.0).apply([0.0, 0.0, 1.0]), atol=1e-12)


def test_where_no_transform_leads_the_frames_that_there_are_are_named():
    frames = FrameTree()
    with pytest.raises(PoseError, match=r'up_frame, map, to the camera, eye, .*/tf has nothing'):
        frames.up('map', 'eye', 0)
    # Two trees, a circle, and what is no rotation.
    frames.add(message(('map', 'base', about_x(1.0), 0.0), ('a', 'b', about_x(1.0), 0.0),
                       ('b', 'a', about_x(1.0), 0.0)), static=True)
    broken = message(('base', 'eye', about_x(0.0), 0.0))
    broken.transforms[0].transform.rotation.w = 0.0
    frames.add(broken, static=True)
    with pytest.raises(PoseError, match='/tf has a, b, base, map'):
        frames.up('map', 'a', 0)
    with pytest.raises(PoseError, match='from up_frame, map, to the camera, eye'):
        frames.up('map', 'eye', 0)
