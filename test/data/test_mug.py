# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.

import numpy as np
import pytest

from ros2_nabs_pose.data.categories import CATEGORIES, get_category
from ros2_nabs_pose.data.looks import (
    linear_to_srgb,
    sample_color,
    sample_vessel_look,
    srgb_to_linear,
)
from ros2_nabs_pose.data.rendering import instance_rng
from ros2_nabs_pose.data.shapes import lids as lid_kinds
from ros2_nabs_pose.data.shapes import sample_object
from ros2_nabs_pose.data.shapes.mug import (
    BAND_SHARE,
    BODIES,
    build,
    DRINK_SHARE,
    HANDLES,
    LID_SHARE,
    LIDDED_BAND_SHARE,
    sample_look,
    sample_parameters,
)
from ros2_nabs_pose.data.shapes.surfaces import revolve


@pytest.fixture(scope='module')
def mugs():
    return [sample_object('mug', instance_rng(5, k))[0] for k in range(300)]


def test_sizes_are_those_of_the_category(mugs):
    sizes = np.array([m.size_m for m in mugs])
    category = get_category('mug')
    assert sizes.mean(0) == pytest.approx(category.size_mean_m, abs=0.002)
    assert sizes.std(0) == pytest.approx(category.size_std_m, abs=0.002)
    heights = np.array([m.parameters['height_m'] for m in mugs])
    assert heights.min() >= 0.06 and heights.max() <= 0.14
    assert np.mean((heights > 0.08) & (heights < 0.11)) > 0.7


def test_frame_has_the_handle_along_x_and_the_axis_through_the_middle(mugs):
    for mug in mugs:
        handle = mug.parts['handle'].mesh.vertices
        body = mug.parts['outside'].mesh.vertices
        assert handle[:, 0].min() > 0.0
        assert handle[:, 1].min() == pytest.approx(-handle[:, 1].max(), abs=1e-9)
        # On the body's axis, half way up, lid included.
        assert body[:, :2].min(0) == pytest.approx(-body[:, :2].max(0), abs=1e-9)
        assert mug.vertices[:, 2].max() == pytest.approx(-mug.vertices[:, 2].min(), abs=1e-9)
        assert mug.front_point_m[0] == pytest.approx(mug.vertices[:, 0].max())
        reach = mug.front_point_m[0] - body[:, 0].max()
        assert 0.018 < reach < 0.047


def test_handle_ends_inside_the_wall_and_stays_within_the_height(mugs):
    for mug in mugs:
        handle = mug.parts['handle'].mesh.vertices
        inside = mug.parts['inside'].mesh.vertices
        assert handle[:, 2].max() <= mug.vertices[:, 2].max() + 1e-9
        # Nothing of the handle may be seen from within: at its ends' heights it stays outside
        # the inner wall.
        wall = inside[np.abs(inside[:, 1]) < 1e-12]
        wall = wall[(wall[:, 0] > 0.4 * wall[:, 0].max()) & (wall[:, 2] < wall[:, 2].max() - 0.004)]
        order = np.argsort(wall[:, 2])
        inner_r = np.interp(handle[:, 2], wall[order, 2], wall[order, 0])
        assert (np.linalg.norm(handle[:, :2], axis=1) - inner_r).min() > -1e-4


def test_normals_point_out_of_the_surface(mugs):
    some = mugs[:20] + [next(m for m in mugs if name in m.parts) for name in (
        'lid', 'tongue', 'drink', 'band')]
    for mug in some:
        for part in mug.parts.values():
            corners = part.mesh.vertices[part.mesh.faces]
            face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
            area = np.linalg.norm(face, axis=1)
            agree = np.einsum('ij,ij->i', face, part.mesh.normals[part.mesh.faces].sum(1))
            assert (agree[area > 1e-10] > 0).mean() > 0.995
        if mug.parameters['foot_m'] > 0.0:
            continue  # the ring under it also faces inwards
        outside = mug.parts['outside'].mesh
        radial = np.einsum('ij,ij->i', outside.vertices[:, :2], outside.normals[:, :2])
        assert radial.min() > -1e-6


def test_all_kinds_and_lids_occur(mugs):
    assert {m.parameters['body'] for m in mugs} == set(BODIES)
    assert {m.parameters['handle'] for m in mugs} == set(HANDLES)
    for part, share in (('lid', LID_SHARE), ('drink', DRINK_SHARE * (1.0 - LID_SHARE)),
                        ('band', LIDDED_BAND_SHARE * LID_SHARE + BAND_SHARE * (1.0 - LID_SHARE))):
        assert np.mean([part in m.parts for m in mugs]) == pytest.approx(share, abs=0.05)
    assert not any('lid' in m.parts and 'drink' in m.parts for m in mugs)
    lids = [m.parameters['lid'] for m in mugs if m.parameters['lid']]
    assert {lid['kind'] for lid in lids} == set(lid_kinds.KINDS)
    assert {lid['skirt'] > 0.0 for lid in lids} == {lid['tongue'] > 0.0 for lid in lids} == {
        True, False}


def test_lids_cover_the_rim_and_stand_as_high_as_they_say(mugs):
    for mug in mugs:
        lid = mug.parameters['lid']
        if lid is None:
            assert mug.parameters['lid_m'] == 0.0
            continue
        body = mug.parts['band' if 'band' in mug.parts else 'outside'].mesh.vertices
        cover = mug.parts['lid'].mesh.vertices
        rim_z = max(mug.parts[name].mesh.vertices[:, 2].max() for name in ('inside', 'band')
                    if name in mug.parts)
        assert cover[:, 2].max() - rim_z == pytest.approx(
            lid['edge'] + max(lid['middle'], 0.0) + lid['knob'], abs=1e-9)
        assert cover[:, 2].max() == pytest.approx(mug.vertices[:, 2].max())
        beneath = body[body[:, 2] > rim_z - max(lid['skirt'], 0.003)]
        wall_r = np.hypot(beneath[:, 0], beneath[:, 1]).max()
        assert cover[:, 0].max() == pytest.approx(wall_r + lid['overhang'], abs=1e-3)
        # Seen from above its middle is the surface, not its own underside.
        middle = cover[np.hypot(cover[:, 0], cover[:, 1]) < 1e-9, 2]
        assert middle.max() - middle.min() > 0.0009
        assert cover[:, 2].min() - rim_z == pytest.approx(
            min(-lid['skirt'], middle.min() - rim_z), abs=1e-9)
        if lid['skirt']:  # over the handle, not through it
            handle = mug.parts['handle'].mesh.vertices
            near = np.hypot(handle[:, 0], handle[:, 1]) < cover[:, 0].max()
            assert handle[near, 2].max() < rim_z - lid['skirt'] + 5e-4
        if lid['tongue']:
            tongue = mug.parts['tongue'].mesh.vertices
            tip = tongue[np.linalg.norm(tongue[:, :2], axis=1).argmax()]
            assert np.hypot(tip[0], tip[1]) == pytest.approx(
                cover[:, 0].max() + lid['tongue'], abs=5e-4)
            assert np.cos(np.arctan2(tip[1], tip[0]) - lid['tongue_at']) > 0.98
            # It never reaches beyond the handle, which is the front.
            assert tongue[:, 0].max() < mug.front_point_m[0]


def profile(mesh):
    """(P, 2) radius and height of a turned mesh, in its own order."""
    at_zero = mesh.vertices[(np.abs(mesh.vertices[:, 1]) < 1e-12) & (mesh.vertices[:, 0] >= 0.0)]
    return at_zero[:, [0, 2]]


def test_drinks_fill_the_mug_to_their_surface_and_stay_inside(mugs):
    full = [m for m in mugs if 'drink' in m.parts]
    for mug in full:
        mesh, wall = mug.parts['drink'].mesh, profile(mug.parts['inside'].mesh)
        wall = wall[wall[:, 0] > 0.0]
        rows = np.argsort(wall[:, 1], kind='stable')
        radius = np.interp(mesh.vertices[:, 2], wall[rows, 1], wall[rows, 0])
        assert (np.linalg.norm(mesh.vertices[:, :2], axis=1) - radius).max() < 1e-4
        floor = profile(mug.parts['inside'].mesh)[-1, 1]
        rim = mug.vertices[:, 2].max()
        surface = floor + mug.parameters['drink'] * (rim - mug.parameters['wall_m'] - floor)
        assert mesh.vertices[:, 2].max() == pytest.approx(surface, abs=1e-9)
        # It lies flat: what is mirrored in it is mirrored as in a plane.
        r = np.linalg.norm(mesh.vertices[:, :2], axis=1)
        at_top = mesh.vertices[:, 2] > surface - 1e-9
        flat = at_top & (r < r[at_top].max() - 0.0003)
        assert mesh.normals[flat][:, 2].min() > 1.0 - 1e-9


def test_a_rim_of_another_material_reaches_over_the_rim_and_leaves_no_gap(mugs):
    for mug in (m for m in mugs if 'band' in m.parts):
        low, rim, inside = (profile(mug.parts[name].mesh) for name in (
            'outside', 'band', 'inside'))
        np.testing.assert_allclose(rim[0], low[-1], atol=1e-12)
        np.testing.assert_allclose(rim[-1], inside[0], atol=1e-12)
        assert np.ptp(rim[:, 1]) == pytest.approx(mug.parameters['band_m'], abs=1e-4)
        assert rim[:, 1].max() > inside[:, 1].max() + 0.4 * mug.parameters['wall_m']


def test_paints_are_those_of_the_parts_that_a_mug_has(mugs):
    for k, mug in enumerate(mugs[:60]):
        look = sample_look(np.random.default_rng(k), mug)
        used = {part.material for part in mug.parts.values()}
        assert used <= set(look.paints)
        assert {'drink', 'band'} & set(look.paints) == {'drink', 'band'} & used


def test_a_mug_without_fittings_is_what_it_would_be_if_there_were_none(mugs):
    plain = next(k for k, m in enumerate(mugs) if set(m.parts) == {'outside', 'inside', 'handle'})
    rng = instance_rng(5, plain)
    expected = build(sample_parameters(rng))
    rng.random()
    np.testing.assert_array_equal(mugs[plain].vertices, expected.vertices)
    look = sample_object('mug', instance_rng(5, plain))[1]
    np.testing.assert_array_equal(look.paints['outside'].color,
                                  sample_vessel_look(rng).paints['outside'].color)


def test_revolved_cylinder_has_its_surface_and_texture_coordinates():
    mesh = revolve(np.array([(0.5, 0.0), (0.5, 2.0)]), np.array([0.0, 1.0]), 64)
    corners = mesh.vertices[mesh.faces]
    area = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0],
                                         corners[:, 2] - corners[:, 0]), axis=1).sum()
    assert area == pytest.approx(2.0 * np.pi, rel=0.002)
    at = np.argmin(np.linalg.norm(mesh.vertices - (0.0, 0.5, 2.0), axis=1))
    assert mesh.uv[at] == pytest.approx((0.25, 1.0))
    assert mesh.normals[at] == pytest.approx((0.0, 1.0, 0.0), abs=1e-9)


def test_looks_come_in_the_shares_that_are_promised():
    looks = [sample_vessel_look(np.random.default_rng(k)) for k in range(1200)]
    patterns = [look.pattern for look in looks]
    assert np.mean([p == 'plain' for p in patterns]) == pytest.approx(0.55, abs=0.04)
    assert np.mean([p == 'two-tone' for p in patterns]) == pytest.approx(0.20, abs=0.03)
    for look in looks:
        for paint in look.paints.values():
            assert 0.0 <= paint.color.min() and paint.color.max() <= 1.0
    brightness = np.array([linear_to_srgb(sample_color(np.random.default_rng(k))).max()
                           for k in range(300)])
    assert (brightness > 0.8).mean() > 0.35 and (brightness < 0.3).mean() > 0.04


def test_srgb_and_back():
    values = np.linspace(0.0, 1.0, 50)
    assert linear_to_srgb(srgb_to_linear(values)) == pytest.approx(values, abs=1e-6)
    assert srgb_to_linear(np.array(0.5)) == pytest.approx(0.21404, abs=1e-5)


def test_every_category_says_what_it_is():
    assert set(CATEGORIES) == {'bottle', 'bowl', 'camera', 'can', 'laptop', 'mug'}
    assert CATEGORIES['can'].symmetry == 'free_z' and CATEGORIES['mug'].front_part == 'handle'
    with pytest.raises(KeyError, match="unknown category 'cup'"):
        get_category('cup')
    with pytest.raises(KeyError, match="no procedural shapes for 'teapot'"):
        sample_object('teapot', np.random.default_rng(0))
