# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Conventions held against real pictures: boxes, masks and handles lie where the truth puts them.

The sets are no part of the project: NABS_POSE_REAL names their folder.
"""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from ros2_nabs_pose.core import camera, crop, lift
from ros2_nabs_pose.evaluation import gap
from ros2_nabs_pose.evaluation.sets import load_frame, read_set

REAL = Path(os.environ.get('NABS_POSE_REAL',
                           Path(__file__).resolve().parents[3] / 'shared' / 'real'))
pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason='set NABS_POSE_REAL to the test sets')
CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2


def posed_objects(name, every=1):
    """Object, its loaded frame and its place in it, for some of a set's frames."""
    frames = read_set(REAL / name).frames[::every]
    for frame in frames:
        loaded = load_frame(frame)
        for i, true in enumerate(frame.objects):
            if true.T_cam_obj is not None:
                yield true, loaded, i


@pytest.mark.parametrize('name, every', [('mug-sequence', 20), ('ycbv', 1), ('tables', 1),
                                         ('scans', 4)])
def test_poses_reproject_into_boxes_and_survive_the_crop(name, every):
    seen = 0
    for true, loaded, _ in posed_objects(name, every):
        T = true.T_cam_obj
        corners = true.box_center_m + CORNERS * true.size_m
        px = camera.project(loaded.intrinsics, corners @ T[:3, :3].T + T[:3, 3])
        (x0, y0), (x1, y1) = px.min(0), px.max(0)
        box = true.box
        assert x0 - 12 <= box.center_px[0] <= x1 + 12 and y0 - 12 <= box.center_px[1] <= y1 + 12
        assert 0.8 * box.width_px < x1 - x0 < 2.2 * max(box.width_px, box.height_px)

        view = crop.make_view(loaded.intrinsics, crop.check_box(box, loaded.intrinsics), 64)
        R_fit, t, s = lift.unlift(view, T, 0.1)
        assert np.abs(t).max() < 0.75  # the origin is near the middle of the crop
        np.testing.assert_allclose(lift.lift(view, R_fit, t, s, 0.1), T, atol=1e-9)
        seen += 1
    assert seen >= 5


def test_handles_of_scanned_mugs_lie_along_x():
    """Of the four points beside a mug's body, half way out to the handle, only +x is the mug."""
    hits = np.zeros(4)
    for true, loaded, i in posed_objects('scans'):
        if true.category != 'mug' or not true.yaw_visible:
            continue
        reach = 0.94 * (true.box_center_m[0] + true.size_m[0] / 2)
        for k, direction in enumerate([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0)]):
            # Handles differ in height: some part of the vertical line through that point.
            heights = np.linspace(-0.35, 0.35, 15) * true.size_m[2]
            line = reach * np.array(direction) + np.array([0, 0, 1]) * heights[:, None]
            px = camera.project(loaded.intrinsics,
                                line @ true.T_cam_obj[:3, :3].T + true.T_cam_obj[:3, 3])
            mask = cv2.dilate(loaded.masks[i].astype(np.uint8), np.ones((3, 3)))
            columns, rows = np.rint(px).astype(int).T
            inside = ((columns >= 0) & (columns < mask.shape[1])
                      & (rows >= 0) & (rows < mask.shape[0]))
            hits[k] += mask[rows[inside], columns[inside]].any()
    assert hits[0] >= 12 and hits[0] > 1.5 * hits[1:].max()


def test_crops_of_masks_agree_with_boxes():
    for true, loaded, i in posed_objects('scans', 5):
        view = crop.make_view(loaded.intrinsics, crop.check_box(true.box, loaded.intrinsics), 64)
        mask = crop.take_crop_nearest(loaded.masks[i], loaded.intrinsics, view)
        rows, columns = np.nonzero(mask)
        longer = max(rows.max() - rows.min(), columns.max() - columns.min()) + 1
        assert longer == pytest.approx(64 / crop.MARGIN, abs=3)


def test_depth_in_the_crop_is_that_of_the_object():
    for true, loaded, i in posed_objects('scans', 5):
        view = crop.make_view(loaded.intrinsics, crop.check_box(true.box, loaded.intrinsics), 64)
        depth = crop.take_depth_crop(loaded.depth_m, loaded.intrinsics, view)
        mask = crop.take_crop_nearest(loaded.masks[i], loaded.intrinsics, view)
        distance = np.linalg.norm(true.T_cam_obj[:3, 3])
        assert abs(np.median(depth[mask & (depth > 0)]) - distance) < 0.6 * true.size_m.max()


def test_what_can_be_put_in_where():
    """Masks are known of the scans alone, poses of all but the photographs."""
    sets = gap.read_sets(REAL)
    plan = gap.Plan(REAL, REAL, ('cold',), ('mask', 'start', 'code'), 'cold', {})
    parts, cannot = gap.parts_of(plan, sets)
    known = {p.name for p in parts if p.put_in}
    assert {'scans-cold-depth', 'scans-cold-mask', 'ycbv-cold-start', 'tables-cold-code',
            'mug-sequence-cold-start'} <= known
    assert not known & {'ycbv-cold-mask', 'photos-cold-start', 'mug-sequence-cold-code'}
    assert {f'{name}-cold-apart' for name in ('tables', 'ycbv', 'photos')} <= known
    assert len(known) + len(cannot) == 5 * len(sets)
