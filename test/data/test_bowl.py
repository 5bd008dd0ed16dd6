# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.

from dataclasses import asdict

import numpy as np
import pytest

from ros2_nabs_pose.data.categories import get_category
from ros2_nabs_pose.data.rendering import instance_rng
from ros2_nabs_pose.data.shapes import sample_object
from ros2_nabs_pose.data.shapes.bowl import KINDS, MATERIALS, sample_parameters


@pytest.fixture(scope='module')
def bowls():
    return [sample_object('bowl', instance_rng(5, k)) for k in range(200)]


def test_sizes_are_those_of_the_category(bowls):
    category = get_category('bowl')
    sizes = np.array([shape.size_m for shape, _ in bowls])
    assert sizes.mean(0) == pytest.approx(category.size_mean_m, abs=0.006)
    assert sizes.std(0) == pytest.approx(category.size_std_m, abs=0.005)
    assert sizes[:, 0].min() >= 0.099 and sizes[:, 0].max() <= 0.281
    ratio = sizes[:, 2] / sizes[:, 0]
    assert ratio.min() > 0.20 and ratio.max() < 0.67
    assert (ratio < 0.32).mean() > 0.06 and (ratio > 0.5).mean() > 0.1


def test_frame_has_the_axis_through_the_middle_and_the_opening_up(bowls):
    for shape, _ in bowls:
        assert shape.box_center_m == pytest.approx(np.zeros(3), abs=1e-9)
        rim = shape.parts['rim'].mesh.vertices
        assert rim[:, 2].max() == pytest.approx(shape.size_m[2] / 2.0, abs=1e-3)
        # The floor within is open to above: its normals look up, and it lies low.
        inside = shape.parts['inside'].mesh
        middle = np.linalg.norm(inside.vertices[:, :2], axis=1) < 1e-6
        assert inside.normals[middle, 2].min() > 0.99
        assert inside.vertices[middle, 2].max() < -0.1 * shape.size_m[2]
        assert 4000 < len(shape.vertices) < 9000


def test_parts_meet_and_normals_point_out(bowls):
    for shape, _ in bowls[:40]:
        rim, outside = (shape.parts[k].mesh.vertices for k in ('rim', 'outside'))
        gap = np.linalg.norm(rim[:, None] - outside[None, -65:], axis=-1).min(0).max()
        assert gap < 1e-6
        for part in shape.parts.values():
            corners = part.mesh.vertices[part.mesh.faces]
            face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
            agree = np.einsum('ij,ij->i', face, part.mesh.normals[part.mesh.faces].sum(1))
            assert (agree[np.linalg.norm(face, axis=1) > 1e-10] > 0).all()
        inside = shape.parts['inside'].mesh
        assert np.einsum('ij,ij->i', inside.vertices[:, :2], inside.normals[:, :2]).max() < 1e-4


def test_variety_and_determinism(bowls):
    parameters = [shape.parameters for shape, _ in bowls]
    assert {p['kind'] for p in parameters} == set(KINDS)
    assert {p['material'] for p in parameters} == set(MATERIALS)
    assert 0.2 < np.mean([p['foot_m'] > 0.0 for p in parameters]) < 0.7
    assert len({look.pattern for _, look in bowls}) >= 8
    again, _ = sample_object('bowl', instance_rng(5, 3))
    assert again.parameters == parameters[3]
    assert asdict(sample_parameters(instance_rng(5, 3))) == parameters[3]


def test_looks_paint_every_part(bowls):
    for shape, look in bowls:
        assert {part.material for part in shape.parts.values()} <= set(look.paints)
        for paint in look.paints.values():
            assert 0.0 <= paint.color.min() and paint.color.max() <= 1.0
        if shape.parameters['material'] == 'steel':
            assert look.paints['inside'].finish == 'metal'
