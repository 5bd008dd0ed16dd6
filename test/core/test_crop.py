# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Crops: the virtual camera shows the same picture wherever the object stands in the image."""

import numpy as np
from painting import paste_crop
import pytest

from ros2_nabs_pose.core import camera, crop
from ros2_nabs_pose.core.types import Box, CropView, Intrinsics, PoseError

LENS = (0.14405, -0.46132, 0.001, -0.002, 0.05)


def intrinsics_of(distortion=()):
    return Intrinsics(500.0, 505.0, 322.0, 236.0, 640, 480, tuple(distortion))


def paint(intrinsics, R_world_cam=None):
    """A smooth world far away, seen by a camera that turned by ``R_world_cam``: (H, W, 3)."""
    columns, rows = np.meshgrid(np.arange(intrinsics.width), np.arange(intrinsics.height))
    rays = camera.unproject_directions(
        intrinsics, np.stack([columns.ravel(), rows.ravel()], -1))
    rays = rays if R_world_cam is None else rays @ R_world_cam.T
    x, y = rays[:, 0] / rays[:, 2], rays[:, 1] / rays[:, 2]
    colour = np.stack([0.5 + 0.4 * np.sin(30 * x + 9 * y), 0.5 + 0.4 * np.cos(25 * y),
                       0.5 + 0.4 * np.sin(20 * x - 15 * y)], -1)
    return colour.reshape(intrinsics.height, intrinsics.width, 3).astype(np.float32)


@pytest.mark.parametrize('size', [0.1, 0.5])
@pytest.mark.parametrize('distortion', [(), LENS])
@pytest.mark.parametrize('center', [(80.0, 400.0), (560.0, 90.0)])
def test_object_away_from_the_centre_gives_the_crop_of_a_camera_that_looks_at_it(
        center, distortion, size):
    intrinsics = intrinsics_of(distortion)
    ray = camera.unproject_directions(intrinsics, np.array([center]))[0]
    R = camera.rotation_z_to(ray)
    focal_px = 64 / size
    straight = CropView(R_crop_cam=np.eye(3), focal_px=focal_px, size_px=64)
    sideways = CropView(R_crop_cam=R.T, focal_px=focal_px, size_px=64)
    expected, seen = crop.take_crop(paint(intrinsics), intrinsics, straight)
    got, valid = crop.take_crop(paint(intrinsics, R.T), intrinsics, sideways)
    # The picture of the same directions: equal wherever both cameras have pixels.
    both = (valid == 1) & (seen == 1)
    assert both.mean() > (0.9 if size < 0.2 else 0.3)
    assert np.quantile(np.abs(got[both] - expected[both]), 0.99) < 0.02
    # Without the turn, a cut out of the image shows something else.
    assert np.abs(got[both][:, 0] - expected[::-1, ::-1][both][:, 0]).mean() > 0.05


def test_view_looks_at_the_box_and_leaves_the_margin_without_roll():
    intrinsics = intrinsics_of(LENS)
    box = Box(480, 300, 620, 360, 'mug')
    view = crop.make_view(intrinsics, box, 64, margin=1.5)
    center = camera.unproject_directions(intrinsics, np.array([box.center_px]))[0]
    np.testing.assert_allclose(view.R_crop_cam @ center, [0, 0, 1], atol=1e-12)
    # The rotation's axis lies in the image plane: no turn about the view itself.
    assert view.R_crop_cam[0, 1] == pytest.approx(view.R_crop_cam[1, 0])
    edges = camera.unproject_directions(
        intrinsics, np.array([[x, y] for x in (480, 550, 620) for y in (300, 330, 360)]))
    seen = edges @ view.R_crop_cam.T
    u = seen[:, 0] / seen[:, 2] * view.focal
    assert (u.max() - u.min()) * 1.5 == pytest.approx(2.0)


def test_shrinking_averages_and_does_not_alias():
    intrinsics = intrinsics_of()
    columns, rows = np.meshgrid(np.arange(640), np.arange(480))
    image = np.repeat((((columns + rows) % 2) * 255).astype(np.uint8)[..., None], 3, -1)
    box = Box(100, 50, 500, 400, 'mug')
    got, valid = crop.take_crop(image, intrinsics, crop.make_view(intrinsics, box, 64))
    assert got.dtype == np.float32 and got.shape == (64, 64, 3)
    assert got[valid == 1].mean() == pytest.approx(0.5, abs=0.01)
    assert got[valid == 1].std() < 0.03


def test_enlarging_places_an_edge_where_it_is():
    intrinsics = intrinsics_of()
    image = np.zeros((480, 640, 3), np.uint8)
    image[:, 322:] = 255  # black to the left of column 321.5: half a pixel off the centre
    view = CropView(np.eye(3), focal_px=8 * 500.0, size_px=64)
    got, _ = crop.take_crop(image, intrinsics, view)
    edge = (1.0 - got[32, :, 0]).sum() - 0.5  # the column where black ends
    assert edge == pytest.approx(31.5 + 8 * (321.5 - 322.0), abs=0.05)


def test_parts_outside_the_image_are_marked():
    intrinsics = intrinsics_of()
    view = crop.make_view(intrinsics, Box(-0.5, 200, 40, 280, 'mug'), 64)
    got, valid = crop.take_crop(paint(intrinsics), intrinsics, view)
    # 1.4 x 80 px wide around column 19.75: 36.25 of 112 columns lie outside.
    assert (valid == 0).mean() == pytest.approx(36.25 / 112, abs=0.04)
    assert (valid[:, :10] == 0).all() and (valid[:, 40:] == 1).all()
    assert np.isfinite(got).all()


def test_mask_values_stay_what_they_are_and_bools_stay_bools():
    intrinsics = intrinsics_of(LENS)
    mask = np.zeros((480, 640), np.uint8)
    mask[180:300, 200:300] = 7
    view = crop.make_view(intrinsics, Box(200, 180, 300, 300, 'mug'), 64, margin=2.0)
    got = crop.take_crop_nearest(mask, intrinsics, view, outside=3)
    assert set(np.unique(got)) == {0, 7}
    assert (got == 7).mean() == pytest.approx(100 * 120 / 240 ** 2, rel=0.05)
    assert crop.take_crop_nearest(mask > 0, intrinsics, view).dtype == bool


def test_depth_is_turned_into_the_crops_own_depth():
    intrinsics = intrinsics_of()
    view = crop.make_view(intrinsics, Box(500, 300, 600, 400, 'mug'), 64)
    depth = crop.take_depth_crop(np.full((480, 640), 2.0), intrinsics, view)
    tangent = (np.arange(64) - 31.5) / view.focal_px
    points = np.stack([*np.meshgrid(tangent, tangent), np.ones((64, 64))], -1) * depth[..., None]
    np.testing.assert_allclose((points @ view.R_crop_cam)[..., 2], 2.0, rtol=1e-6)
    unmeasured = crop.take_depth_crop(np.full((480, 640), np.nan), intrinsics, view)
    assert (unmeasured == 0).all()


@pytest.mark.parametrize('distortion', [(), LENS])
def test_pasting_a_crop_back_restores_the_image(distortion):
    intrinsics = intrinsics_of(distortion)
    image = paint(intrinsics)
    view = crop.make_view(intrinsics, Box(400, 50, 500, 130, 'mug'), 128)
    taken, _ = crop.take_crop(image, intrinsics, view)
    rgba = np.concatenate([taken, np.ones((128, 128, 1), np.float32)], -1)
    back = paste_crop(np.zeros_like(image), rgba, intrinsics, view)
    np.testing.assert_allclose(back[55:125, 405:495], image[55:125, 405:495], atol=0.02)
    assert (back[200:] == 0).all() and (back[:, :350] == 0).all()


@pytest.mark.parametrize('corners, words', [
    ((float('nan'), 0, 10, 10), 'not finite'),
    ((50, 50, 50, 80), 'empty'),
    ((80, 80, 20, 20), 'empty'),
    ((700, 10, 800, 100), 'outside the 640 x 480 image'),
    ((100, 100, 110, 111), 'too small'),
    ((-300, 100, 2, 300), 'too small'),
])
def test_boxes_that_no_pose_can_come_from(corners, words):
    with pytest.raises(PoseError, match=words) as error:
        crop.check_box(Box(*corners, category='mug', track_id='7'), intrinsics_of())
    assert 'mug' in str(error.value) and '\n' not in str(error.value)


def test_box_is_clipped_to_the_image():
    box = crop.check_box(Box(-30, 20, 100, 900, 'mug', 'a', 0.5), intrinsics_of())
    assert box == Box(-0.5, 20, 100, 479.5, 'mug', 'a', 0.5)


def test_image_of_another_size_is_refused():
    view = crop.make_view(intrinsics_of(), Box(10, 10, 60, 60, 'mug'), 64)
    with pytest.raises(PoseError, match='320 x 240'):
        crop.take_crop(np.zeros((240, 320, 3), np.uint8), intrinsics_of(), view)
