# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
from dataclasses import replace

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
        p = shape.parameters
        height = -body[:, 2] if p['upside_down'] else body[:, 2]
        mouth = body[height > height.max() - 1e-6]
        reach = np.linalg.norm(mouth[:, :2] + (0.0, p['aside_m']), axis=1)
        assert reach.max() == pytest.approx(p['neck_half_m'], rel=1e-3)


def test_a_jug_has_its_neck_on_one_side_and_its_handle_on_the_other(bottles):
    jugs = [shape for shape, _ in bottles if shape.parameters['kind'] == 'jug']
    assert any(s.parameters['handle_m'] for s in jugs)
    assert any(not s.parameters['handle_m'] for s in jugs)
    for shape in jugs:
        p = shape.parameters
        cap = shape.parts['cap'].mesh.vertices
        middle = 0.5 * (cap[:, 1].min() + cap[:, 1].max())
        assert middle == pytest.approx(-p['aside_m'], abs=2e-4)
        assert p['aside_m'] > 0.004
        assert ('handle' in shape.parts) == (p['handle_m'] > 0.0)
        if p['handle_m']:
            handle = shape.parts['handle'].mesh.vertices
            body = shape.parts['body'].mesh.vertices
            assert 0.6 * p['half_m'] < handle[:, 1].max() < p['half_m']
            # There is room for fingers: well up the handle the body is not where it is.
            high = 0.3 * handle[:, 2].min() + 0.7 * handle[:, 2].max()
            beside = body[np.abs(body[:, 2] - high) < 0.01, 1].max()
            assert beside < handle[:, 1].max() - p['handle_m']


def test_what_stands_on_its_cap_is_the_bottle_turned_over():
    kept = bottle.sample_parameters(instance_rng(5, 3))
    kept = replace(kept, kind='squeeze', cap='flip', upside_down=False)
    up, down = (bottle.build(replace(kept, upside_down=turned)) for turned in (False, True))
    for name in ('body', 'cap', 'label'):
        a, b = up.parts[name].mesh, down.parts[name].mesh
        assert b.vertices == pytest.approx(a.vertices * (1.0, 1.0, -1.0), abs=1e-9)
        assert b.normals == pytest.approx(a.normals * (1.0, 1.0, -1.0), abs=1e-9)
    assert down.parts['cap'].mesh.vertices[:, 2].min() == pytest.approx(-0.5 * down.size_m[2])
    # Print is not turned over with it: higher up the label is still further up the texture.
    for shape in (up, down):
        label = shape.parts['label'].mesh
        assert np.corrcoef(label.vertices[:, 2], label.uv[:, 1])[0, 1] > 0.99


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
