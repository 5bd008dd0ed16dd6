# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
import numpy as np
import pytest

from ros2_nabs_pose.data.categories import CATEGORIES
from ros2_nabs_pose.data.rendering import instance_rng
from ros2_nabs_pose.data.shapes import bottle, sample_object


@pytest.fixture(scope='module')
def bottles():
    return [sample_object('bottle', instance_rng(5, k)) for k in range(120)]


def test_bottles_stand_on_their_axis_at_half_height(bottles):
    for shape, _ in bottles:
        assert shape.box_center_m[1:] == pytest.approx([0.0, 0.0], abs=2e-4)
        if shape.parameters['cap'] != 'pump':  # whose spout sticks out to one side
            assert shape.box_center_m[0] == pytest.approx(0.0, abs=2e-4)
        body = shape.parts['body'].mesh.vertices
        assert 0.5 * (body[:, 0].min() + body[:, 0].max()) == pytest.approx(0.0, abs=2e-4)
        assert 0.1 < shape.size_m[2] < 0.42


def test_every_part_has_its_paint_and_outward_normals(bottles):
    for shape, look in bottles:
        assert {part.material for part in shape.parts.values()} <= set(look.paints)
        for name in ('body', 'label'):
            mesh = shape.parts[name].mesh
            assert np.isfinite(mesh.vertices).all()
            on_wall = np.abs(mesh.normals[:, 2]) < 0.5
            outward = (mesh.normals[:, :2] * mesh.vertices[:, :2]).sum(1)[on_wall]
            assert (outward > 0.0).mean() > 0.98


def test_the_label_lies_on_the_wall_and_the_neck_is_round(bottles):
    for shape, _ in bottles:
        body, label = (shape.parts[n].mesh.vertices for n in ('body', 'label'))
        assert label[:, 2].min() > body[:, 2].min() and label[:, 2].max() < body[:, 2].max()
        if shape.parameters['kind'] == 'tube':  # whose neck is below, in the cap
            seam = body[body[:, 2] > body[:, 2].max() - 1e-6]
            assert np.ptp(seam[:, 0]) < 0.003 < 0.05 < np.ptp(seam[:, 1])
            continue
        mouth = body[body[:, 2] > body[:, 2].max() - 1e-6]
        reach = np.linalg.norm(mouth[:, :2], axis=1)
        assert reach.max() == pytest.approx(shape.parameters['neck_half_m'], rel=1e-3)


def test_all_kinds_come_and_the_size_is_the_categorys(bottles):
    assert {shape.parameters['kind'] for shape, _ in bottles} == set(bottle.KINDS)
    sizes = np.array([shape.size_m for shape, _ in bottles])
    known = CATEGORIES['bottle']
    assert sizes.mean(0) == pytest.approx(known.size_mean_m, rel=0.06)
    assert sizes.std(0) == pytest.approx(known.size_std_m, rel=0.3)


def test_an_instance_depends_on_its_seed_alone(bottles):
    again, look = sample_object('bottle', instance_rng(5, 9))
    assert np.array_equal(again.vertices, bottles[9][0].vertices)
    assert np.array_equal(look.paints['body'].color, bottles[9][1].paints['body'].color)
