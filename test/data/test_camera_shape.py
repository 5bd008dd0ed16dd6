# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
import numpy as np
import pytest

from ros2_nabs_pose.data.categories import CATEGORIES
from ros2_nabs_pose.data.rendering import instance_rng
from ros2_nabs_pose.data.shapes import camera, camera_parts, sample_object


@pytest.fixture(scope='module')
def cameras():
    return [sample_object('camera', instance_rng(5, k)) for k in range(80)]


def test_the_box_is_centred_and_the_lens_looks_along_x(cameras):
    for shape, _ in cameras:
        assert shape.box_center_m == pytest.approx([0.0, 0.0, 0.0], abs=1e-9)
        glass, screen = (shape.parts[n].mesh for n in ('glass', 'screen'))
        assert glass.vertices[:, 0].min() > screen.vertices[:, 0].max()
        assert glass.normals[:, 0].mean() > 0.8 and screen.normals[:, 0].mean() < -0.99
        # Grips and film slots may stand out farther than a lens that is drawn in.
        ends = [shape.parts[n].mesh.vertices[:, 0].max() for n in ('barrel', 'rim', 'hood')
                if n in shape.parts]
        assert shape.front_point_m[0] == pytest.approx(max(ends), abs=1e-3)


def test_the_glass_is_what_is_seen_in_the_lens(cameras):
    for shape, _ in cameras:
        barrel = np.concatenate([shape.parts[n].mesh.vertices for n in ('barrel', 'band')])
        glass = shape.parts['glass'].mesh.vertices
        middle = np.linalg.norm(barrel[:, 1:] - shape.front_point_m[1:], axis=1) < 1e-4
        assert middle.any() and barrel[middle, 0].max() < glass[:, 0].min()


def test_the_release_is_on_top_at_the_right_hand(cameras):
    for shape, _ in cameras:
        assert ('release' in shape.parts) == (not shape.parameters['block_m'])
        if shape.parameters['block_m']:
            continue
        release = shape.parts['release'].mesh.vertices.mean(0)
        body = shape.parts['body'].mesh.vertices
        assert release[1] < body[:, 1].mean() and release[2] > body[:, 2].mean()


def test_the_name_reads_from_left_to_right_for_who_stands_in_front(cameras):
    seen = 0
    for shape, _ in cameras:
        mesh = shape.parts['name'].mesh
        left, right = mesh.uv[:, 0].argmin(), mesh.uv[:, 0].argmax()
        # Looking back along -x with z up, the object's y runs to the right.
        assert mesh.vertices[right, 1] > mesh.vertices[left, 1]
        low, high = mesh.uv[:, 1].argmin(), mesh.uv[:, 1].argmax()
        assert mesh.vertices[high, 2] > mesh.vertices[low, 2]
        seen += 1
    assert seen == 80


def test_wedges_get_thinner_towards_the_top_on_their_side():
    drawn = [camera.sample_parameters(instance_rng(6, k)) for k in range(250)]
    wedges = [p for p in drawn if p.slope > 0.0]
    backs = set()
    for parameters in wedges:
        shape = camera.build(parameters)
        said = shape.parameters
        body = shape.parts['body'].mesh.vertices
        low, high = body[:, 2].min(), body[:, 2].max()
        lower = body[body[:, 2] < low + 0.1 * said['height_m']]
        upper = body[body[:, 2] > high - 0.02 * said['height_m']]
        assert np.ptp(lower[:, 0]) == pytest.approx(said['depth_m'], rel=0.05)
        assert np.ptp(upper[:, 0]) < (said['thin'] + 0.1) * said['depth_m']
        straight = lower[:, 0].max() - upper[:, 0].max() if said['slope_back'] else (
            upper[:, 0].min() - lower[:, 0].min())
        assert abs(straight) < 0.012  # but for the rounding of the edges
        backs.add(said['slope_back'])
        if 'tray' in shape.parts:
            tray = shape.parts['tray'].mesh.vertices[:, 2].max()
            assert tray < shape.parts['glass'].mesh.vertices[:, 2].min()
    assert backs == {True, False}


def test_what_is_wound_by_hand_has_lever_and_crank_and_no_buttons(cameras):
    for shape, _ in cameras:
        wound = shape.parameters['kind'] in camera_parts.HANDWOUND
        assert ('lever' in shape.parts) == ('crank' in shape.parts) == wound
        assert ('buttons' in shape.parts) == (not wound and shape.parameters['kind'] != 'instant')
        if wound:  # the crank at the left hand, the lever at the right
            crank, lever = (shape.parts[n].mesh.vertices[:, 1].mean() for n in ('crank', 'lever'))
            assert crank > lever
            body = shape.parts['body'].mesh.vertices
            arm = shape.parts['lever'].mesh.vertices
            assert (arm[:, :2] > body[:, :2].min(0) - 0.002).all()  # it does not stick out


def test_every_part_has_its_paint(cameras):
    for shape, look in cameras:
        assert {part.material for part in shape.parts.values()} <= set(look.paints)
        for part in shape.parts.values():
            assert np.isfinite(part.mesh.vertices).all()
            assert np.linalg.norm(part.mesh.normals, axis=1) == pytest.approx(1.0, abs=1e-6)


def test_all_kinds_come_and_the_size_is_the_categorys(cameras):
    assert {shape.parameters['kind'] for shape, _ in cameras} == set(camera.KINDS)
    sizes = np.array([shape.size_m for shape, _ in cameras])
    known = CATEGORIES['camera']
    assert sizes.mean(0) == pytest.approx(known.size_mean_m, rel=0.08)
    assert sizes.std(0) == pytest.approx(known.size_std_m, rel=0.3)


def test_an_instance_depends_on_its_seed_alone(cameras):
    again, _ = sample_object('camera', instance_rng(5, 9))
    assert np.array_equal(again.vertices, cameras[9][0].vertices)
