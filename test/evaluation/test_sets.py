# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Reading evaluation sets: what is there is read, what is wrong is named in one sentence."""

import json

import cv2
import numpy as np
import pytest
from tiny_set import annotation, true_pose, write_annotations

from ros2_nabs_pose.core.types import Box, PoseError
from ros2_nabs_pose.evaluation.sets import load_frame, read_set


def test_reads_what_is_there(tiny):
    depth = np.full((240, 320), 5000, np.uint16)
    cv2.imwrite(str(tiny / 'd.png'), depth)
    cv2.imwrite(str(tiny / 'm.png'), np.eye(240, 320, dtype=np.uint8))
    write_annotations(tiny, [[annotation(mask='m.png')]], depth='d.png', depth_unit_m=0.0001,
                      distortion=[0.1, 0, 0, 0, 0], sequence='s', stamp_s=0.5)
    got = read_set(tiny)
    frame = got.frames[0]
    true = frame.objects[0]
    assert (got.name, frame.sequence, frame.stamp_s) == ('tiny', 's', 0.5)
    assert true.box == Box(120, 60, 240, 180, 'mug', 'mug_1')
    np.testing.assert_array_equal(true.T_cam_obj, true_pose())
    np.testing.assert_array_equal(true.box_center_m, [0.02, 0, 0])
    loaded = load_frame(frame)
    assert loaded.intrinsics.distortion == (0.1, 0, 0, 0, 0)
    assert loaded.depth_m[0, 0] == pytest.approx(0.5)
    assert loaded.masks[0].sum() == 240
    blue = cv2.imread(str(tiny / 'a.png'))[..., 0]
    np.testing.assert_array_equal(loaded.image[..., 2], blue)


def test_photograph_with_keypoints_only_gets_guessed_intrinsics(tiny):
    points = {'top': [1, 2], 'bottom': [3, 4], 'front': [5, 6]}
    write_annotations(tiny, [[annotation(T_cam_obj=None, size_m=None, keypoints_px=points)]],
                      intrinsics=None)
    frame = read_set(tiny).frames[0]
    assert frame.objects[0].T_cam_obj is None
    np.testing.assert_array_equal(frame.objects[0].keypoints_px, [[1, 2], [3, 4], [5, 6]])
    intrinsics = load_frame(frame).intrinsics
    assert (intrinsics.fx, intrinsics.cx, intrinsics.cy) == (384, 159.5, 119.5)


@pytest.mark.parametrize('changes, words', [
    ({'box_px': [10, 10, 10, 20]}, 'x0 < x1'),
    ({'box_px': [10, 10, None, 20]}, '4 finite numbers'),
    ({'T_cam_obj': [[1, 2], [3, 4]]}, '4 x 4 finite'),
    ({'T_cam_obj': np.diag([2, 1, 1, 1]).tolist()}, 'not a rotation'),
    ({'size_m': [1, 0, 1]}, 'positive'),
    ({'yaw_visible': 'yes'}, 'true, false or null'),
    ({'mask': 'none.png'}, 'there is no file'),
    ({'keypoints_px': {'top': [1, 2]}}, 'top, bottom, front'),
    ({'category': ''}, 'category'),
])
def test_wrong_objects_are_named(tiny, changes, words):
    write_annotations(tiny, [[annotation()], [annotation(**changes)]])
    with pytest.raises(PoseError, match=words) as error:
        read_set(tiny)
    assert 'frame 1 of' in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize('changes, words', [
    ({'image': 'b.png'}, 'there is no file'),
    ({'image': None}, 'image'),
    ({'intrinsics': [0, 400, 1, 1]}, 'positive'),
    ({'distortion': [1, 2]}, '4, 5 or 8'),
    ({'stamp_s': 'now'}, 'stamp_s'),
    ({'objects': 3}, 'objects'),
    ({'objects': [annotation(), annotation()]}, 'same "id"'),
])
def test_wrong_frames_are_named(tiny, changes, words):
    write_annotations(tiny, [[annotation()]], **changes)
    with pytest.raises(PoseError, match=words):
        read_set(tiny)


@pytest.mark.parametrize('text, words', [
    ('{', 'not valid JSON'), ('[]', 'not a JSON object'), ('{}', 'frames'),
    (json.dumps({'frames': []}), 'not empty'),
])
def test_wrong_files_are_named(tmp_path, text, words):
    with pytest.raises(PoseError, match='not an evaluation set'):
        read_set(tmp_path)
    (tmp_path / 'annotations.json').write_text(text)
    with pytest.raises(PoseError, match=words):
        read_set(tmp_path)


def test_damaged_and_mismatched_pixels_are_named(tiny):
    cv2.imwrite(str(tiny / 'm.png'), np.zeros((10, 20), np.uint8))
    write_annotations(tiny, [[annotation(mask='m.png')]])
    with pytest.raises(PoseError, match='20 x 10, but its image is 320 x 240'):
        load_frame(read_set(tiny).frames[0])
    (tiny / 'a.png').write_bytes(b'no picture')
    with pytest.raises(PoseError, match='a.png is not an image'):
        load_frame(read_set(tiny).frames[0])
