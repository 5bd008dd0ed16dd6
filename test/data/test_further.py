# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Further kinds, rendered among unusual objects: whole, painted, in their category's frame."""

from importlib import import_module

import numpy as np
import pytest

from ros2_nabs_pose.data.further import BENT_SHARE, FURTHER, FURTHER_SHARE, sample_further
from ros2_nabs_pose.data.rendering import instance_rng, render_instance, RenderSettings
from ros2_nabs_pose.data.shapes import sample_object
from ros2_nabs_pose.data.unusual import is_unusual


def kinds(category, package):
    return import_module(f'ros2_nabs_pose.data.{package}.{category}s').KINDS


def made(category, each):
    """(kind, shape, look) of so many objects of every kind."""
    module = import_module(f'ros2_nabs_pose.data.further.{category}s')
    for number, (name, make) in enumerate(module.KINDS.items()):
        for k in range(each):
            rng = instance_rng(8, 100 * number + k)
            shape = make(rng)
            yield name, shape, module.sample_look(rng, shape)


@pytest.mark.parametrize('category', sorted(FURTHER))
def test_every_part_is_whole_painted_and_faces_outwards(category):
    usual = np.mean([sample_object(category, instance_rng(1, k))[0].radius_m for k in range(10)])
    for name, shape, look in made(category, 6):
        assert shape.category == category and shape.front_part is None
        for part in shape.parts.values():
            mesh = part.mesh
            assert part.material in look.paints, name
            assert np.isfinite(mesh.vertices).all()
            assert np.abs(np.linalg.norm(mesh.normals, axis=1) - 1.0).max() < 1e-6
            corners = mesh.vertices[mesh.faces]
            face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
            large = np.linalg.norm(face, axis=1) > 1e-10
            right = np.einsum('ij,ij->i', face, mesh.normals[mesh.faces].sum(1)) > 0.0
            assert right[large].mean() > 0.97, name
        body = shape.parts['body'].mesh
        a, b, c = body.vertices[body.faces].transpose(1, 0, 2)
        assert np.einsum('ij,ij->', a, np.cross(b, c)) > 0.0, f'{name} is inside out'
        assert 0.25 < shape.radius_m / usual < 2.5, name


@pytest.mark.parametrize('category', sorted(FURTHER))
def test_parts_are_joined(category):
    """Every part's box meets another's, and all together are one."""
    for name, shape, _ in made(category, 4):
        boxes = [(p.mesh.vertices.min(0) - 1e-3, p.mesh.vertices.max(0) + 1e-3)
                 for p in shape.parts.values()]
        joined, left = [boxes[0]], boxes[1:]
        while left:
            near = [b for b in left
                    if any((b[0] <= j[1]).all() and (b[1] >= j[0]).all() for j in joined)]
            assert near, f'a part of {name} is loose'
            joined += near
            left = [b for b in left if all(b is not n for n in near)]


def test_cameras_look_along_x_from_the_middle_of_their_box():
    for name, shape, _ in made('camera', 6):
        np.testing.assert_allclose(shape.box_center_m, 0.0, atol=1e-9)
        glass = np.concatenate([part.mesh.vertices for of, part in shape.parts.items()
                                if of.endswith('glass')])
        assert glass[:, 0].min() > 0.0, name
        # The front point lies where the lens, or its hood, ends, before the glass.
        ends = [part.mesh.vertices for of, part in shape.parts.items()
                if of.split()[-1] in ('rim', 'hood', 'glass')]
        tip = shape.front_point_m
        assert tip[0] == pytest.approx(np.concatenate(ends)[:, 0].max(), abs=1e-9), name
        low, high = glass.min(0), glass.max(0)
        assert (low[1:] <= tip[1:]).all() and (tip[1:] <= high[1:]).all(), name


def test_a_canisters_spout_is_beside_its_bar_and_drinks_stay_inside():
    for name, shape, _ in made('bottle', 12):
        box = {of: (part.mesh.vertices.min(0), part.mesh.vertices.max(0))
               for of, part in shape.parts.items()}
        if name == 'canister':
            assert box['cap'][0][1] > box['bar'][1][1]
        if 'drink' in box:
            drink, body = (shape.parts[of].mesh.vertices for of in ('drink', 'body'))
            for z in np.unique(np.round(drink[:, 2], 4)):
                ring = np.linalg.norm(drink[np.abs(drink[:, 2] - z) < 1e-4, :2], axis=1).max()
                wall = np.linalg.norm(body[np.abs(body[:, 2] - z) < 4e-3, :2], axis=1)
                assert not len(wall) or ring < wall.max(), name


def test_bottles_stand_on_their_axis_half_way_up():
    for name, shape, _ in made('bottle', 6):
        assert shape.box_center_m[2] == pytest.approx(0.0, abs=1e-9)
        body = shape.parts['body'].mesh.vertices
        np.testing.assert_allclose(0.5 * (body[:, :2].min(0) + body[:, :2].max(0)), 0.0,
                                   atol=2e-3, err_msg=name)
        # None lies on its side.
        assert shape.size_m[2] > 0.5 * shape.size_m[:2].max(), name


def test_none_is_a_strangers_kind_and_no_two_are_alike():
    for category in FURTHER:
        assert len(kinds(category, 'further')) >= 8
        assert not set(kinds(category, 'further')) & set(kinds(category, 'strangers'))
        sizes = [tuple(np.round(shape.size_m, 6)) for _, shape, _ in made(category, 4)]
        assert len(set(sizes)) == len(sizes)
        one, other = (sample_further(category, instance_rng(3, 1)) for _ in range(2))
        assert np.array_equal(one[0].vertices, other[0].vertices)
        assert one[0].parameters == other[0].parameters


def test_they_are_rendered_in_their_share_and_others_stay():
    settings = [RenderSettings(1, 16, 1, 1, unusual=share) for share in (0.0, 0.5, 1.0)]
    found, bent = 0, 0
    for k in range(40):
        usual, mixed, odd = (render_instance('camera', 5, k, s) for s in settings)
        plain, some, all_odd = (of['meta'] for of in (usual, mixed, odd))
        assert np.array_equal(usual['rgba'], mixed['rgba']) != is_unusual(some)
        assert not is_unusual(plain) and is_unusual(all_odd)
        # What is made unusual is made so whatever the share, and the rest is as it was.
        assert some['shape'] == (all_odd['shape'] if is_unusual(some) else plain['shape'])
        found += 'further' in all_odd['shape']
        bent += 'further' in all_odd['shape'] and 'extra_parts' in all_odd['shape']
    assert found == pytest.approx(40 * FURTHER_SHARE, abs=9)
    assert bent == pytest.approx(found * BENT_SHARE, abs=7)
