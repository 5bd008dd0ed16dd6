# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Unusual objects: bent, with further parts, and still in their category's frame."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch

from ros2_nabs_pose.cli.main import main
from ros2_nabs_pose.data.categories import CATEGORIES
from ros2_nabs_pose.data.dataset import DatasetError, later_entries, read_instance, write_recipe
from ros2_nabs_pose.data.rendering import instance_rng, render_instance, RenderSettings
from ros2_nabs_pose.data.shapes import FAMILIES, sample_object
from ros2_nabs_pose.data.unusual import (
    _map,
    BEND,
    BULGE,
    is_unusual,
    made_unusual,
    SIDES,
    STREAM,
    TAPER,
    WAVES,
)
from ros2_nabs_pose.data.unusual_measures import unusual_measures

SMALL = RenderSettings(views=2, size_px=16, samples=1, lights=1)


def objects(category, count, measures=False):
    """Pairs of an object as it was, or with other measures already, and made unusual."""
    known = CATEGORIES[category]
    for k in range(count):
        shape, look = sample_object(category, instance_rng(5, k))
        beside = instance_rng(5, k, 'training', STREAM)
        if measures:
            shape = unusual_measures(shape, beside)
        yield shape, look, *made_unusual(shape, look, known.symmetry, known.origin, beside)


@pytest.mark.parametrize('category', sorted(CATEGORIES))
def test_every_part_is_whole_painted_and_faces_outwards(category):
    for usual, _, shape, look in objects(category, 12):
        assert shape.parameters['unusual'] and not usual.parameters.get('unusual')
        assert set(usual.parts) <= set(shape.parts)
        assert len(shape.parts) - len(usual.parts) == shape.parameters['extra_parts']
        for name, part in shape.parts.items():
            assert part.material in look.paints
            mesh = part.mesh
            assert np.isfinite(mesh.vertices).all()
            lengths = np.linalg.norm(mesh.normals, axis=1)
            assert np.abs(lengths - 1.0).max() < 1e-6
            if name in usual.parts:
                before = usual.parts[name].mesh
                # But for slivers along edges, whose corners are bent one way and the other.
                assert np.mean(_agrees(mesh)) >= np.mean(_agrees(before)) - 0.05
            else:
                assert np.mean(_agrees(mesh)) > 0.99


def _agrees(mesh):
    """Per face, whether it winds as its vertices' normals say."""
    corners = mesh.vertices[mesh.faces]
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    large = np.linalg.norm(face, axis=1) > 1e-10
    return (np.einsum('ij,ij->i', face, mesh.normals[mesh.faces].sum(1)) > 0.0)[large]


POINTS = st.lists(st.tuples(*[st.floats(-1.0, 1.0)] * 3), min_size=1, max_size=8)


@given(seed=st.integers(0, 10 ** 6), points=POINTS)
@settings(max_examples=60, deadline=None)
def test_about_an_axis_points_move_towards_it_or_away_alone(seed, points):
    move = _map(np.random.default_rng(seed), True)
    u = np.array(points)
    moved = move(u)
    np.testing.assert_array_equal(moved[:, 2], u[:, 2])
    wide = np.linalg.norm(u[:, :2], axis=1) > 1e-3
    factor = np.linalg.norm(moved[wide, :2], axis=1) / np.linalg.norm(u[wide, :2], axis=1)
    np.testing.assert_allclose(moved[wide, :2], factor[:, None] * u[wide, :2], atol=1e-12)
    # Two standard deviations of every wave, and a square's middle against its corner.
    most = float(np.exp(2.0 * sum(WAVES)))
    assert (factor <= most).all() and (factor >= np.cos(np.pi / SIDES[0]) / most).all()
    # On a ray from the axis all have one factor, so nothing folds over.
    np.testing.assert_allclose(move(u * (0.5, 0.5, 1.0)), moved * (0.5, 0.5, 1.0), atol=1e-12)


@given(seed=st.integers(0, 10 ** 6), points=POINTS)
@settings(max_examples=60, deadline=None)
def test_maps_turn_nothing_over_and_treat_left_and_right_alike(seed, points):
    move = _map(np.random.default_rng(seed), False)
    u = np.array(points)
    mirror = np.array((1.0, -1.0, 1.0))
    np.testing.assert_allclose(move(u * mirror), move(u) * mirror, atol=1e-12)
    # The axes at the middle point where they did.
    at = move(np.zeros((1, 3)))
    ahead = np.concatenate([move(1e-6 * e[None]) - at for e in np.eye(3)]) / 1e-6
    assert np.abs(ahead - np.diag(np.diag(ahead))).max() < 1e-5
    assert np.diag(ahead).min() > 1.0 - 2.0 * max(TAPER, BULGE, BEND) - 1e-5
    columns = [(move(u + 1e-6 * e) - move(u - 1e-6 * e)) / 2e-6 for e in np.eye(3)]
    assert np.linalg.det(np.stack(columns, -1)).min() > 0.05


def test_what_is_round_stays_about_its_axis_and_as_tall_and_open():
    changed, sided = 0, []
    for usual, _, shape, _ in objects('can', 12):
        for name, part in usual.parts.items():
            before, after = part.mesh.vertices, shape.parts[name].mesh.vertices
            r, was = (np.linalg.norm(v[:, :2], axis=1) for v in (after, before))
            np.testing.assert_allclose(after[:, 2], before[:, 2], atol=1e-9)
            wide = was > 1e-3
            np.testing.assert_allclose(after[wide, :2] / r[wide, None],
                                       before[wide, :2] / was[wide, None], atol=1e-9)
            # Each height has one factor, whatever the side, unless it has flat sides.
            level = np.round(before[wide, 2], 7)
            factor = r[wide] / was[wide]
            apart = max(np.ptp(np.log(factor[level == z])) for z in np.unique(level))
            sided.append(apart > 1e-6)
            assert apart < -np.log(np.cos(np.pi / SIDES[0])) + 1e-6
            changed += float(np.abs(factor - 1.0).max()) > 0.05
    assert changed > 8 and 0 < sum(sided) < len(sided)
    rings = 0
    for usual, _, shape, _ in objects('bowl', 12):
        for name in set(shape.parts) - set(usual.parts):
            if not name.startswith('ring'):
                continue
            ring, rings = shape.parts[name].mesh.vertices, rings + 1
            body = np.concatenate([shape.parts[n].mesh.vertices for n in usual.parts])
            low, high = ring[:, 2].min(), ring[:, 2].max()
            held = (body[:, 2] >= low) & (body[:, 2] <= high)
            # It reaches around the body and never into the opening.
            if held.any():
                out = np.linalg.norm(ring[:, :2], axis=1)
                assert out.min() > 0.95 * np.linalg.norm(body[held, :2], axis=1).max()
    assert rings > 4


def test_a_handle_stays_joined_and_takes_its_front_point_along():
    reaches = []
    for usual, _, shape, _ in objects('mug', 20):
        handle = shape.parts['handle'].mesh.vertices
        before = usual.parts['handle'].mesh.vertices
        # What was outermost goes where the map takes it: still on the handle's outer side.
        assert np.linalg.norm(handle - shape.front_point_m, axis=1).min() < 0.012
        assert shape.front_point_m[0] > handle[:, 0].min() + 0.5 * np.ptp(handle[:, 0])
        assert abs(shape.front_point_m[1]) < 1e-9
        body = np.concatenate([part.mesh.vertices for name, part in shape.parts.items()
                               if name in usual.parts and name != 'handle'])
        # Both ends, the first and the last ring of its sweep, begin in the wall where it is now.
        facing = body[(np.abs(np.arctan2(body[:, 1], body[:, 0])) < 0.35)]
        for end in (handle[:21].mean(0), handle[-21:].mean(0)):
            near = facing[np.abs(facing[:, 2] - end[2]) < 0.006]
            assert end[0] < np.linalg.norm(near[:, :2], axis=1).max() + 0.001
        reaches.append(np.ptp(handle[:, 0]) / np.ptp(before[:, 0]))
    assert min(reaches) < 0.85 and max(reaches) > 1.2


def test_blocks_sit_on_a_camera_whose_box_is_about_the_origin():
    for usual, _, shape, _ in objects('camera', 20):
        np.testing.assert_allclose(shape.box_center_m, 0.0, atol=1e-9)
        extra = set(shape.parts) - set(usual.parts)
        assert 1 <= len(extra) <= 4
        own = np.concatenate([shape.parts[name].mesh.vertices for name in usual.parts])
        for name in extra:
            block = shape.parts[name].mesh.vertices
            # Something of the camera itself lies in its box.
            held = (own >= block.min(0) - 1e-9) & (own <= block.max(0) + 1e-9)
            assert held.all(1).any()
        # The lens still looks along x, about as far in front as it was.
        assert shape.front_point_m[0] > 0.0


@pytest.mark.parametrize('category', sorted(FAMILIES))
def test_families_know_measures_that_no_shop_sells(category):
    sizes, turned = [], 0
    for k in range(30):
        shape, look = sample_object(category, instance_rng(5, k))
        other = unusual_measures(shape, instance_rng(5, k, 'training', STREAM))
        again = unusual_measures(shape, instance_rng(5, k, 'training', STREAM))
        assert np.array_equal(other.vertices, again.vertices)
        assert set(other.parts) <= set(shape.parts) and other.category == category
        assert {part.material for part in other.parts.values()} <= set(look.paints)
        sizes.append(other.size_m / shape.size_m)
        for name, part in other.parts.items():
            assert np.isfinite(part.mesh.vertices).all()
            before = np.mean(_agrees(shape.parts[name].mesh))
            assert np.mean(_agrees(part.mesh)) >= before - 0.05
            turned += part.mesh.vertices is not shape.parts[name].mesh.vertices
    ratios = np.log(np.array(sizes))
    if category in ('can', 'bowl'):
        assert turned == 0 and np.abs(ratios).max() == 0.0
    else:
        assert ratios.std(axis=0).min() > 0.08
        # As often larger as smaller.
        assert np.abs(np.mean(ratios)) < 0.25


def test_a_camera_of_any_measures_keeps_its_lens_on_its_front():
    for k in range(60):
        shape, _ = sample_object('camera', instance_rng(6, k))
        other = unusual_measures(shape, instance_rng(6, k, 'training', STREAM))
        p = other.parameters
        body = other.parts['body'].mesh.vertices
        middle = 0.5 * (body.min(0) + body.max(0))
        glass = other.parts['glass'].mesh.vertices - middle
        assert glass[:, 0].min() > 0.0
        assert np.abs(glass[:, 1]).max() < 0.5 * p['width_m']
        assert np.abs(glass[:, 2]).max() < 0.5 * p['height_m']
        np.testing.assert_allclose(other.box_center_m, 0.0, atol=1e-9)


def test_a_laptop_opens_by_any_angle_and_stays_level():
    angles = []
    for k in range(40):
        shape, _ = sample_object('laptop', instance_rng(6, k))
        other = unusual_measures(shape, instance_rng(6, k, 'training', STREAM))
        p = other.parameters
        angles.append(p['angle_deg'])
        # The screen's normal leans as the hinge says, and the base lies flat.
        screen = other.parts['screen'].mesh.normals.mean(0)
        assert np.degrees(np.arctan2(screen[2], screen[0])) == pytest.approx(
            p['angle_deg'] - 90.0, abs=1e-6)
        np.testing.assert_allclose(other.parts['bottom'].mesh.normals[:, :2], 0.0, atol=1e-9)
        assert p['front_m'] <= p['rear_m'] + 1e-12
    assert min(angles) < 50.0 and max(angles) > 160.0


def test_the_share_is_kept_and_others_are_what_they_were():
    made = [instance_rng(5, k, 'training', STREAM).random() < 0.5 for k in range(6)]
    assert 0 < sum(made) < 6
    some = RenderSettings(2, 16, 1, 1, unusual=0.5)
    for k in range(6):
        plain, mixed = (render_instance('can', 5, k, s) for s in (SMALL, some))
        assert is_unusual(mixed['meta']) == made[k]
        assert np.array_equal(plain['rgba'], mixed['rgba']) != is_unusual(mixed['meta'])
        again = render_instance('can', 5, k, some)
        assert np.array_equal(again['rgba'], mixed['rgba'])
    # Pictures to measure on never show any.
    assert not is_unusual(render_instance('can', 5, 0, RenderSettings(2, 16, 1, 1, 1.0),
                                          'evaluation')['meta'])


def test_the_command_makes_them_and_a_folder_holds_one_share(tmp_path, capsys):
    out = tmp_path / 'can'
    call = ['render', 'can', '--instances', '2', '--views', '1', '--size', '16', '--samples', '1',
            '--lights', '1', '--workers', '1', '--out', str(out)]
    assert main([*call, '--unusual', '1']) == 0
    assert all(is_unusual(read_instance(p)['meta']) for p in out.glob('instance-*.npz'))
    assert json.loads((out / 'dataset.json').read_text())['unusual'] == 1.0
    capsys.readouterr()
    for other in ([], ['--unusual', '0.5']):
        assert main([*call, *other]) != 0
        assert 'unusual differ' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*call, '--unusual', '1.5'])
    assert '1.5 is no share' in capsys.readouterr().err


def test_folders_of_before_stay_what_they_are(tmp_path):
    assert later_entries({}, unusual=0.0) == {}
    assert later_entries({'unusual': 0.4}, unusual=0.0) == {'unusual': 0.0}
    write_recipe(tmp_path, {'what': 'can', **later_entries({}, unusual=0.0)})
    with pytest.raises(DatasetError, match='unusual differ'):
        write_recipe(tmp_path, {'what': 'can', **later_entries({}, unusual=0.4)})


def test_what_is_unusual_tells_nothing_of_a_categorys_size(tmp_path):
    from ros2_nabs_pose.training.instances import TrainingViews

    out = tmp_path / 'can'
    assert main(['render', 'can', '--instances', '6', '--views', '1', '--size', '16', '--samples',
                 '1', '--lights', '1', '--workers', '1', '--unusual', '0.5', '--out',
                 str(out)]) == 0
    views = TrainingViews.load(out, None, 'all')
    usual = views.usual.numpy()
    assert 0 < usual.sum() < 6
    metas = [read_instance(p)['meta'] for p in sorted(out.glob('instance-*.npz'))]
    expected = np.mean([m['size_m'] for m, u in zip(metas, usual, strict=True) if u], axis=0)
    np.testing.assert_allclose(views.card('can').size.size_m, expected, rtol=1e-5)
    assert torch.equal(views.usual, torch.tensor([not m['shape'].get('unusual') for m in metas]))


def test_figures_are_of_usual_ones_alone(tmp_path):
    """Unusual ones are left out of what is validated on, unless there are no others."""
    from ros2_nabs_pose.training.instances import TrainingViews

    for share, expected in (('0.5', None), ('1', 2)):
        out = tmp_path / share / 'can'
        assert main(['render', 'can', '--instances', '26', '--views', '1', '--size', '16',
                     '--samples', '1', '--lights', '1', '--workers', '2', '--unusual', share,
                     '--seed', '3', '--out', str(out)]) == 0
        # The last 8 %, rounded: two.
        last = [not is_unusual(read_instance(p)['meta'])
                for p in sorted(out.glob('instance-*.npz'))[-2:]]
        found = TrainingViews.load(out, None, 'validation')
        assert len(found.rgba) == (expected or sum(last)) and sum(last) == (0 if expected else 1)
        assert len(TrainingViews.load(out, None, 'train').rgba) == 24
