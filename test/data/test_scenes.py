# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Rendered scenes: what is annotated is what the pixels show."""

from dataclasses import replace
import json

import numpy as np
import pytest

from ros2_nabs_pose.core import camera
from ros2_nabs_pose.data import mitsuba_scene as ms
from ros2_nabs_pose.data import scene_files, scene_layout, scenes
from ros2_nabs_pose.data.dataset import DatasetError
from ros2_nabs_pose.data.rendering import instance_rng
from ros2_nabs_pose.data.scene_files import SceneSettings
from ros2_nabs_pose.data.shapes import FAMILIES, sample_object
from ros2_nabs_pose.evaluation.sets import load_frame, read_set

pytest.importorskip('mitsuba')

WIDTH, HEIGHT = 160, 120


@pytest.fixture(scope='module')
def bare():
    """The demo's two mugs on their table, and nothing that could hide them."""
    return replace(scene_layout.demo_scene(['mug'], 7), things=(), walls=())


@pytest.fixture(scope='module')
def view():
    return scene_layout.demo_view(3, 10, WIDTH, HEIGHT)


@pytest.fixture(scope='module')
def picture(bare, view):
    return scenes.shoot(bare, scenes.load(bare), view, np.ones(3), 1, 0)


def _px(view, T_cam_obj, points_m):
    return camera.project(view.intrinsics, points_m @ T_cam_obj[:3, :3].T + T_cam_obj[:3, 3])


def test_vertices_project_onto_the_visible_mask(bare, view, picture):
    assert [o.id for o in picture.objects] == ['mug_1', 'mug_2']
    for placed, seen in zip(bare.objects, picture.objects, strict=True):
        px = _px(view, seen.T_cam_obj, placed.shape.vertices)
        expected = (*px.min(0), *px.max(0))
        assert seen.box_px == pytest.approx(expected, abs=1.5)
        # Not only the extent: the outline as a whole lies where the pose puts it.
        whole = scenes.outline(*scenes.shape_faces(placed.shape), view, seen.T_cam_obj)
        assert (whole & seen.mask).sum() / (whole | seen.mask).sum() > 0.9
        assert seen.visible_share == pytest.approx(1.0, abs=0.1)


def test_handle_is_where_the_pose_says_and_not_mirrored(bare, view):
    scene = scenes.load(bare)
    met = ms.surfaces(scene, scenes.sensor(view), view.R_cam_world, view.position_m, 0)
    for number, placed in enumerate(bare.objects, start=1):
        T_cam_obj = view.T_cam_obj(placed.T_world_obj)
        handle = met.marked & (met.number == number)
        assert handle.sum() > 20
        middle = np.argwhere(handle).mean(0)[::-1]
        vertices, _ = scenes.shape_faces(placed.shape, 'handle')
        assert middle == pytest.approx(_px(view, T_cam_obj, vertices).mean(0), abs=4.0)
        mirrored = vertices * (-1.0, 1.0, 1.0)
        assert np.linalg.norm(middle - _px(view, T_cam_obj, mirrored).mean(0)) > 6.0


def test_objects_stand_on_the_table(bare):
    for placed in bare.objects:
        points = placed.shape.vertices @ placed.T_world_obj[:3, :3].T + placed.T_world_obj[:3, 3]
        assert points[:, 2].min() == pytest.approx(0.0, abs=1e-9)
        assert placed.T_world_obj[2, 2] == 1.0


def test_depth_of_the_table_is_that_of_its_plane(bare, view, picture):
    depth = picture.depth_m
    free = ~np.any([o.mask for o in picture.objects], axis=0)
    rows, columns = np.nonzero(free & (depth > 0))
    near = depth[rows, columns] < 0.7  # the table's far edge and what lies beyond stay out
    rows, columns = rows[near], columns[near]
    assert len(rows) > 1000
    k = view.intrinsics
    rays = np.stack([(columns - k.cx) / k.fx, (rows - k.cy) / k.fy, np.ones(len(rows))], 1)
    down = rays @ view.R_cam_world[:, 2]
    plane_z = -view.position_m[2] / down
    error = np.abs(depth[rows, columns] - plane_z)
    # Rays fall anywhere in their pixel, and a pixel spans some millimetres of the table in depth.
    assert np.median(error) < 0.003
    assert np.percentile(error, 90) < 0.008


def test_an_object_behind_another_loses_that_part_of_its_mask(bare, view):
    front, back = bare.objects
    toward = view.position_m * (1.0, 1.0, 0.0) - back.T_world_obj[:3, 3] * (1.0, 1.0, 0.0)
    pose = front.T_world_obj.copy()
    pose[:2, 3] = back.T_world_obj[:2, 3] + 0.13 * toward[:2] / np.linalg.norm(toward)
    crowded = replace(bare, objects=(replace(front, T_world_obj=pose), back))
    seen = {o.id: o for o in scenes.shoot(crowded, scenes.load(crowded), view, np.ones(3), 1,
                                          0).objects}
    assert seen['mug_1'].visible_share > 0.9
    assert 'mug_2' not in seen or seen['mug_2'].visible_share < 0.85


def test_single_pictures_depend_on_seed_and_index_alone():
    layout, view = scene_layout.random_scene(['mug'], 5, 2, 48, 36)
    again, same_view = scene_layout.random_scene(['mug'], 5, 2, 48, 36)
    assert np.array_equal(view.position_m, same_view.position_m)
    assert [o.T_world_obj.tolist() for o in layout.objects] == [
        o.T_world_obj.tolist() for o in again.objects]
    other, _ = scene_layout.random_scene(['mug'], 5, 3, 48, 36)
    assert layout.objects[0].shape.parameters != other.objects[0].shape.parameters


def test_scenes_show_objects_that_training_never_draws():
    layout, _ = scene_layout.random_scene(['mug'], 1, 0, 48, 36)
    shown = [o.shape.parameters for o in layout.objects] + [
        o.shape.parameters for o in scene_layout.demo_scene(['mug'], 1).objects]
    training = [sample_object('mug', instance_rng(1, i))[0].parameters for i in range(30)]
    assert all(s not in training for s in shown)


@pytest.mark.parametrize('category', sorted(FAMILIES))
def test_every_category_stands_apart_on_the_table_before_the_camera(category):
    for index in range(8):
        layout, view = scene_layout.random_scene([category], 3, index, 480, 360)
        circles = [scene_layout.footprint(o) for o in layout.objects]
        table = layout.table[0].vertices
        for k, (x, y, r) in enumerate(circles):
            assert scene_layout.is_free(circles[:k], x, y, r)
            assert abs(x) + r < table[:, 0].max() and abs(y) + r < table[:, 1].max()
        looked_at = layout.objects[0]
        assert looked_at.shape.category == category
        points = looked_at.shape.vertices @ view.T_cam_obj(looked_at.T_world_obj)[:3, :3].T
        points = points + view.T_cam_obj(looked_at.T_world_obj)[:3, 3]
        px = points[:, :2] / points[:, 2:] * view.focal_px
        assert points[:, 2].min() > 0.1
        # All but little of it lies in the picture, and not as a speck.
        assert (np.abs(px) < (240, 180)).all(1).mean() > 0.7
        assert np.ptp(px, axis=0).max() > 35
        for _, _, pose in layout.walls:
            assert (view.position_m - pose[:3, 3]) @ pose[:3, 0] < 0


@pytest.mark.parametrize('category', sorted(FAMILIES))
def test_a_sequence_has_two_objects_of_every_category_apart(category):
    layout = scene_layout.demo_scene([category], 7)
    assert [o.id for o in layout.objects] == [f'{category}_1', f'{category}_2']
    circles = [scene_layout.footprint(o) for o in layout.objects]
    assert scene_layout.is_free(circles[:1], *circles[1])


def test_categories_of_a_set_take_turns():
    names = ['mug', 'can', 'bowl']
    shown = [[o.shape.category for o in scene_layout.random_scene(names, 5, i, 48, 36)[0].objects]
             for i in range(9)]
    assert [s[0] for s in shown] == names * 3
    assert any(len(s) > 1 and s[1] == names[(i + 1) % 3] for i, s in enumerate(shown))


def test_camera_of_the_sequence_moves_smoothly_through_a_quarter_turn():
    views = [scene_layout.demo_view(i, 100, WIDTH, HEIGHT) for i in range(100)]
    steps = [np.linalg.norm(a.position_m - b.position_m)
             for a, b in zip(views[1:], views[:-1], strict=True)]
    assert max(steps) < 0.03
    flat = [np.arctan2(v.position_m[1], v.position_m[0]) for v in (views[0], views[-1])]
    assert 70 < np.degrees(flat[1] - flat[0]) < 110
    distances = [np.linalg.norm(v.position_m) for v in views]
    assert 0.48 < min(distances) and max(distances) < 0.72


def test_a_climbing_camera_looks_down_steeply_half_way_and_comes_back():
    views = [scene_layout.climbing_view(i, 41, WIDTH, HEIGHT) for i in range(41)]
    target = np.array([0.0, 0.015, 0.03])
    up = [np.degrees(np.arcsin((v.position_m - target)[2] / np.linalg.norm(v.position_m - target)))
          for v in views]
    assert up[0] == pytest.approx(30.0, abs=1.0) and up[-1] == pytest.approx(30.0, abs=1.0)
    assert up[20] == pytest.approx(80.0, abs=1.0) and int(np.argmax(up)) in (19, 20, 21)
    # Between its ends it turns about the objects as the other camera does.
    orbit = [scene_layout.demo_view(i, 41, WIDTH, HEIGHT) for i in (0, 40)]
    for end, other in zip((views[0], views[-1]), orbit, strict=True):
        flat, others_flat = (np.arctan2(v.position_m[1], v.position_m[0]) for v in (end, other))
        assert flat == pytest.approx(others_flat, abs=0.02)


def test_objects_of_a_climb_wear_what_calm_ones_do_not():
    worn = [o.shape.parameters['lid_m'] for seed in range(12)
            for o in scene_layout.demo_scene(['mug'], seed, calm=False).objects]
    calm = [o.shape.parameters['lid_m'] for seed in range(12)
            for o in scene_layout.demo_scene(['mug'], seed).objects]
    assert max(worn) > 0.0 and max(calm) == 0.0


def _settings(**changes):
    return replace(SceneSettings('sequence', ('mug',), 2, 7, 64, 48, 1, vectorised=False),
                   **changes)


def test_a_climb_is_a_sequence_of_its_own(tmp_path):
    assert scene_files.render_set(tmp_path, _settings(kind='climb', count=3), 1) == []
    found = read_set(tmp_path)
    assert [(f.sequence, f.stamp_s) for f in found.frames] == [
        ('climb', 0.0), ('climb', 0.1), ('climb', 0.2)]
    axes = [f.objects[0].T_cam_obj[:3, 2] for f in found.frames]
    # In the middle the camera looks along the axis, from above.
    assert axes[1][2] < -0.97 and axes[0][2] > -0.7


def test_a_folder_reads_as_an_evaluation_set_and_goes_on_after_a_stop(tmp_path):
    folder = tmp_path / 'orbit'
    assert scene_files.render_set(folder, _settings(), 1) == []
    found = read_set(folder)
    assert [f.stamp_s for f in found.frames] == [0.0, 0.1]
    assert [o.id for o in found.frames[0].objects] == ['mug_1', 'mug_2']
    loaded = load_frame(found.frames[1])
    assert loaded.image.shape == (48, 64, 3)
    for mask, true in zip(loaded.masks, found.frames[1].objects, strict=True):
        # Seen from here, the surface of a mug lies nearer than its axis by up to its radius.
        middle = np.median(loaded.depth_m[mask])
        assert true.T_cam_obj[2, 3] - 0.08 < middle < true.T_cam_obj[2, 3] + 0.03

    before = (folder / '000000.png').stat().st_mtime_ns, (folder / '000001.png').read_bytes()
    # Killed while frame 1 was written: its picture is damaged and its record is missing.
    scene_files.record_path(folder, 1).unlink()
    (folder / '000001.png').write_bytes(b'half a picture')
    assert scene_files.missing_frames(folder, 2) == [1]
    assert scene_files.render_set(folder, _settings(), 1) == []
    assert (folder / '000000.png').stat().st_mtime_ns == before[0]
    assert (folder / '000001.png').read_bytes() == before[1]
    assert len(json.loads((folder / 'annotations.json').read_text())['frames']) == 2

    with pytest.raises(DatasetError, match='another recipe'):
        scene_files.render_set(folder, _settings(seed=8), 1)


def test_a_sequence_is_rendered_coarse_to_fine(tmp_path):
    assert scene_files.missing_frames(tmp_path, 5) == [0, 2, 4, 1, 3]
