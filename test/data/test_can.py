# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
import numpy as np
import pytest

from ros2_nabs_pose.data.categories import CATEGORIES
from ros2_nabs_pose.data.rendering import instance_rng
from ros2_nabs_pose.data.shapes import can, sample_object


@pytest.fixture(scope='module')
def cans():
    return [sample_object('can', instance_rng(5, k)) for k in range(150)]


def test_cans_stand_on_their_axis_at_half_height(cans):
    for shape, _ in cans:
        assert shape.box_center_m == pytest.approx([0.0, 0.0, 0.0], abs=2e-4)
        assert 0.03 < shape.size_m[2] < 0.21 and 0.045 < shape.size_m[0] < 0.125
        assert shape.front_part is None


def test_every_part_has_its_paint_and_outward_normals(cans):
    for shape, look in cans:
        assert {part.material for part in shape.parts.values()} <= set(look.paints)
        wall = shape.parts['wall'].mesh
        outward = (wall.normals[:, :2] * wall.vertices[:, :2]).sum(1)
        assert (outward > 0.0).all()
        for part in shape.parts.values():
            assert np.isfinite(part.mesh.vertices).all()
            assert np.linalg.norm(part.mesh.normals, axis=1) == pytest.approx(1.0, abs=1e-6)


def test_all_kinds_come_and_the_size_is_the_categorys(cans):
    kinds = [shape.parameters['kind'] for shape, _ in cans]
    assert set(kinds) == set(can.KINDS)
    sizes = np.array([shape.size_m for shape, _ in cans])
    known = CATEGORIES['can']
    assert sizes.mean(0) == pytest.approx(known.size_mean_m, rel=0.06)
    assert sizes.std(0) == pytest.approx(known.size_std_m, rel=0.25)


def test_an_instance_depends_on_its_seed_alone(cans):
    again, look = sample_object('can', instance_rng(5, 7))
    assert np.array_equal(again.vertices, cans[7][0].vertices)
    assert np.array_equal(look.paints['label'].color, cans[7][1].paints['label'].color)


def test_a_tuna_tin_is_flat_and_an_energy_drink_slim(cans):
    for shape, _ in cans:
        ratio = shape.size_m[2] / shape.size_m[0]
        if shape.parameters['kind'] == 'tuna':
            assert ratio < 0.85
        if shape.parameters['kind'] == 'slim':
            assert ratio > 2.2
