# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Where a frame lies in a camera's: through chains, at the image's time, and where none leads."""

import threading
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ros2_nabs_pose.core.types import PoseError
from ros2_nabs_pose.frame_tree import FrameTree

SECOND_NS = 10**9


def message(*transforms, moved=(0.0, 0.0, 0.0)):
    """A TFMessage of (parent, child, rotation, seconds), each moved by the same vector."""
    return SimpleNamespace(transforms=[
        SimpleNamespace(
            child_frame_id=child,
            header=SimpleNamespace(frame_id=parent, stamp=SimpleNamespace(
                sec=int(when_s), nanosec=round((when_s % 1.0) * 1e9))),
            transform=SimpleNamespace(
                rotation=SimpleNamespace(**dict(zip('xyzw', rotation.as_quat(), strict=True))),
                translation=SimpleNamespace(**dict(zip('xyz', moved, strict=True)))))
        for parent, child, rotation, when_s in transforms])


def up(frames, frame, when_ns, camera='camera'):
    """(3,) the z axis of a frame in the camera's."""
    return frames.pose(frame, camera, when_ns)[:3, 2]


def about_x(degrees):
    return Rotation.from_euler('x', degrees, degrees=True)


def test_a_camera_that_looks_down_has_its_up_where_it_is():
    frames = FrameTree()
    # An optical frame that looks along the base's x, then 30 degrees further down.
    level = Rotation.from_matrix([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    frames.add(message(('base', 'camera', level * about_x(-30.0), 0.0)), static=True)
    np.testing.assert_allclose(up(frames, 'base', 5 * SECOND_NS),
                               [0.0, -np.cos(np.pi / 6), -np.sin(np.pi / 6)], atol=1e-12)


@given(st.integers(0, 2 ** 16))
@settings(max_examples=30, deadline=None)
def test_it_finds_its_way_up_and_down_a_tree(seed):
    """map > base > arm > camera, and map > table: where is the table for the camera?"""
    rng = np.random.default_rng(seed)
    poses = {}
    for name in ('base', 'arm', 'camera', 'table'):
        poses[name] = np.eye(4)
        poses[name][:3, :3] = Rotation.random(random_state=rng.integers(2 ** 31)).as_matrix()
        poses[name][:3, 3] = rng.normal(size=3)

    def link(parent, child, when_s):
        T = poses[child.strip('/')]
        return message((parent, child, Rotation.from_matrix(T[:3, :3]), when_s), moved=T[:3, 3])

    frames = FrameTree()
    frames.add(link('map', 'base', 0.0), static=True)
    frames.add(link('map', 'table', 0.0), static=True)
    frames.add(link('/base', '/arm', 2.0))
    frames.add(link('arm', 'camera', 2.0))
    camera = poses['base'] @ poses['arm'] @ poses['camera']
    for name, pose in (('map', np.eye(4)), ('table', poses['table']), ('base', poses['base']),
                       ('camera', camera)):
        np.testing.assert_allclose(frames.pose(name, 'camera', 2 * SECOND_NS),
                                   np.linalg.inv(camera) @ pose, atol=1e-9)


def test_a_camera_that_moves_is_asked_for_the_time_of_the_image():
    frames = FrameTree()
    for step in range(50):
        frames.add(message(('base', 'camera', about_x(2.0 * step), 10.0 + 0.1 * step)))
    # Between two it lies between them; beyond the first and last it is held for a moment.
    for when_s, degrees in ((10.0, 0.0), (12.01, 40.2), (12.05, 41.0), (12.09, 41.8),
                            (14.9, 98.0), (15.05, 98.0), (9.9, 0.0)):
        np.testing.assert_allclose(up(frames, 'base', round(when_s * SECOND_NS)),
                                   about_x(-degrees).apply([0.0, 0.0, 1.0]), atol=1e-6)
    for when_s in (9.7, 15.2):
        with pytest.raises(PoseError, match='at the time of the image'):
            up(frames, 'base', round(when_s * SECOND_NS))
    # A bag that begins again: what came before is of another time.
    frames.add(message(('base', 'camera', about_x(70.0), 3.0)))
    np.testing.assert_allclose(up(frames, 'base', 3 * SECOND_NS),
                               about_x(-70.0).apply([0.0, 0.0, 1.0]), atol=1e-9)
    with pytest.raises(PoseError):
        up(frames, 'base', 12 * SECOND_NS)


def test_what_lies_between_is_told_whatever_the_sign_of_a_quaternion_and_not_over_gaps():
    frames = FrameTree()
    first = message(('base', 'camera', about_x(0.0), 1.0), moved=(0.0, 0.0, 0.0))
    second = message(('base', 'camera', about_x(10.0), 2.0), moved=(2.0, 0.0, 0.0))
    turn = second.transforms[0].transform.rotation
    turn.x, turn.w = -turn.x, -turn.w
    frames.add(first)
    frames.add(second)
    between = np.linalg.inv(frames.pose('base', 'camera', SECOND_NS * 3 // 2))
    np.testing.assert_allclose(between[:3, 3], [1.0, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(between[:3, :3], about_x(5.0).as_matrix(), atol=1e-6)
    frames.add(message(('base', 'camera', about_x(50.0), 4.5)))
    with pytest.raises(PoseError):
        frames.pose('base', 'camera', 3 * SECOND_NS)
    # What is older than some seconds is forgotten.
    frames.add(message(('base', 'camera', about_x(50.0), 9.0)))
    with pytest.raises(PoseError):
        frames.pose('base', 'camera', SECOND_NS * 3 // 2)


def test_what_comes_late_or_again_is_put_in_its_place():
    frames = FrameTree()
    for when_s, x in ((10.0, 0.0), (10.2, 2.0), (10.1, 1.0), (9.9, -1.0), (10.1, 1.0)):
        frames.add(message(('base', 'camera', about_x(0.0), when_s), moved=(x, 0.0, 0.0)))
    for when_s, x in ((10.15, 1.5), (10.05, 0.5), (10.35, 2.0), (9.95, -0.5)):
        camera = np.linalg.inv(frames.pose('base', 'camera', round(when_s * SECOND_NS)))
        np.testing.assert_allclose(camera[:3, 3], [x, 0.0, 0.0], atol=1e-9)
    for _ in range(2000):  # a clock that stands still
        frames.add(message(('base', 'camera', about_x(0.0), 10.2)))
    assert len(frames._links['camera'].seen) == 4


def test_objects_that_come_and_go_do_not_pile_up():
    """The node hears what it publishes itself, under a new name for every new track."""
    frames = FrameTree()
    frames.add(message(('base', 'camera', about_x(5.0), 0.0)), static=True)
    for number in range(3000):
        frames.add(message(('camera', f'mug_{number}', about_x(1.0), 0.1 * number)))
    assert len(frames._links) <= 501
    np.testing.assert_allclose(up(frames, 'base', 0), about_x(-5.0).apply([0.0, 0.0, 1.0]),
                               atol=1e-9)
    with pytest.raises(PoseError, match=r'mug_\d+ and \d+ more$') as caught:
        frames.pose('map', 'camera', 0)
    assert len(str(caught.value)) < 300


def test_two_threads_may_add_and_ask():
    frames, faults = FrameTree(), []

    def ask():
        for step in range(2000):
            try:
                frames.pose('base' if step % 2 else 'map', 'camera',
                            round((10.0 + 0.001 * step) * SECOND_NS))
            except PoseError:
                pass
            except Exception as error:
                faults.append(error)

    frames.add(message(('base', 'camera', about_x(0.0), 10.0)))
    asking = threading.Thread(target=ask)
    asking.start()
    for step in range(2000):
        frames.add(message(('base', 'camera', about_x(0.01 * step), 10.0 + 0.001 * step)))
        frames.add(message(('base', f'joint_{step}', about_x(0.0), 10.0 + 0.001 * step)))
    asking.join()
    assert not faults


def test_a_static_transform_that_is_published_anew_replaces_the_last():
    frames = FrameTree()
    for degrees, when_s in ((10.0, 5.0), (20.0, 1.0)):
        frames.add(message(('base', 'camera', about_x(degrees), when_s)), static=True)
    np.testing.assert_allclose(up(frames, 'base', 0),
                               about_x(-20.0).apply([0.0, 0.0, 1.0]), atol=1e-12)


def test_where_no_transform_leads_the_frames_that_there_are_are_named():
    frames = FrameTree()
    with pytest.raises(PoseError, match='from map to the camera, eye, at .*: /tf has nothing'):
        frames.pose('map', 'eye', 0)
    # Two trees, a circle, and what is no rotation.
    frames.add(message(('map', 'base', about_x(1.0), 0.0), ('a', 'b', about_x(1.0), 0.0),
                       ('b', 'a', about_x(1.0), 0.0)), static=True)
    broken = message(('base', 'eye', about_x(0.0), 0.0))
    broken.transforms[0].transform.rotation.w = 0.0
    frames.add(broken, static=True)
    for moved in (np.nan, np.inf):
        frames.add(message(('base', 'eye', about_x(0.0), 0.0), moved=(moved, 0.0, 0.0)),
                   static=True)
    with pytest.raises(PoseError, match='/tf has a, b, base, map'):
        frames.pose('map', 'a', 0)
    with pytest.raises(PoseError, match='from map to the camera, eye'):
        frames.pose('map', 'eye', 0)
    with pytest.raises(PoseError, match='to the camera, which has no frame_id, at'):
        frames.pose('map', '', 0)
