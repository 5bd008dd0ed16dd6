# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.

import json

import numpy as np
import pytest

from ros2_nabs_pose.data import glass, rendering
from ros2_nabs_pose.data.looks import Paint, srgb_to_linear
from ros2_nabs_pose.data.rendering import (
    FRAME_MARGIN,
    instance_rng,
    look_at_origin,
    project,
    render_instance,
    RenderSettings,
)
from ros2_nabs_pose.data.shapes import mug, sample_object

ms = pytest.importorskip('ros2_nabs_pose.data.mitsuba_scene')
pytest.importorskip('mitsuba')

SETTINGS = RenderSettings(views=10, size_px=64, samples=9, lights=2)


@pytest.fixture(scope='module')
def rendered():
    return render_instance('mug', 3, 4, SETTINGS), sample_object('mug', instance_rng(3, 4))[0]


def test_camera_is_an_optical_frame_that_looks_at_the_origin():
    R = look_at_origin(np.radians(30.0), np.radians(90.0))
    assert R @ R.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(R) == pytest.approx(1.0)
    # From +y, x lies to the left; z projects upwards and, from above, towards the camera.
    assert R @ (1.0, 0.0, 0.0) == pytest.approx((-1.0, 0.0, 0.0), abs=1e-12)
    assert R @ (0.0, 0.0, 1.0) == pytest.approx((0.0, -np.cos(np.radians(30)), -0.5), abs=1e-12)


def test_frame_margin_is_where_the_radius_falls():
    R = look_at_origin(0.3, 1.0)
    uv = project(0.2 * R[:1], R, 0.25, 0.2)
    assert uv[0] == pytest.approx((1.0 / FRAME_MARGIN, 0.0), abs=1e-12)


def test_projected_mesh_and_handle_bound_their_masks_to_a_pixel(rendered):
    """A mirrored or wrongly focused picture cannot pass: the handle's box is where it should be."""
    data, shape = rendered
    radius, compared = shape.radius_m, 0
    for i, (R, kappa) in enumerate(zip(data['R_cam_obj'], data['kappa'])):
        pairs = [(shape.vertices, data['rgba'][i, ..., 3])]
        if data['front_visible'][i] > 0.93:
            pairs.append((shape.parts['handle'].mesh.vertices, data['part'][i]))
            compared += 1
        for points, coverage in pairs:
            px = (project(points, R, kappa, radius) + 1.0) * 32.0
            rows, columns = np.flatnonzero(coverage.any(1)), np.flatnonzero(coverage.any(0))
            found = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            assert found == pytest.approx(np.concatenate([px.min(0), px.max(0)]), abs=1.3)
    assert compared >= 3


def test_depth_is_that_of_the_mesh(rendered):
    """Against a z-buffer of densely sampled vertices, at pixels deep inside the object."""
    data, shape = rendered
    radius = shape.radius_m
    for i in (0, 5):
        R, kappa = data['R_cam_obj'][i], data['kappa'][i]
        corners = np.concatenate([p.mesh.vertices[p.mesh.faces] for p in shape.parts.values()])
        weights = np.random.default_rng(0).dirichlet(np.ones(3), 24)
        points = np.einsum('kw,nwd->nkd', weights, corners).reshape(-1, 3)
        px = np.floor((project(points, R, kappa, radius) + 1.0) * 32.0).astype(int)
        near = np.full((64, 64), np.inf)
        np.minimum.at(near, (px[:, 1], px[:, 0]), points @ R[2] / radius)
        inner = data['rgba'][i, ..., 3] == 255
        error = np.abs(data['depth'][i].astype(float) - near)[inner]
        assert np.median(error) < 0.03
        assert np.percentile(error, 80) < 0.08
        assert np.abs(data['depth'][i]).max() <= 1.0


def test_depth_of_a_sphere_is_analytic():
    """A sphere of the object's radius: nearest point at the middle, tangent circle at the edge."""
    from ros2_nabs_pose.data.shapes.surfaces import revolve

    angle = np.linspace(-np.pi / 2, np.pi / 2, 60)
    sphere = revolve(np.stack([np.cos(angle), np.sin(angle)], 1), angle, 96)
    scene = ms.mitsuba().load_dict({'type': 'scene', 'ball': ms.shape(
        sphere, {'type': 'diffuse'}, marked=True, number=1)})
    R, kappa = look_at_origin(0.4, 2.0), 0.25
    position = -R[2] / kappa
    camera = ms.sensor(R, position, FRAME_MARGIN * kappa, 65, 65, 0.1, 20.0)
    found = ms.geometry(scene, camera, R, position, 16, 0)
    assert found.z[32, 32] == pytest.approx(1.0 / kappa - 1.0, abs=0.01)
    radius_px = 65 / 2 / FRAME_MARGIN / np.sqrt(1.0 - kappa ** 2)
    assert found.coverage.sum() == pytest.approx(np.pi * radius_px ** 2, rel=0.01)
    assert found.marked == pytest.approx(found.coverage)


def test_a_lamp_in_front_of_the_object_does_not_reach_the_geometry(monkeypatch):
    def emitters(rng, radius_m):
        lamp = ms.area_light(np.array([0.0, 0.0, 3.0 * radius_m]), np.zeros(3), 9.0 * radius_m,
                             np.ones(3))
        return {'environment': {'type': 'constant'}, 'lamp': lamp}, {}

    monkeypatch.setattr(rendering, 'sample_emitters', emitters)
    data = render_instance('mug', 3, 4, RenderSettings(views=4, size_px=32, samples=2, lights=1))
    assert np.abs(data['depth']).max() <= 1.0
    covered = data['rgba'][..., 3] > 0
    assert (data['part'] > 0).any()
    # Geometry has more rays than the picture: at the outline they see a little more.
    beyond = data['part'][~covered]
    assert beyond.max() < 160 and (beyond > 0).mean() < 0.02


def test_front_is_hidden_behind_the_body_and_seen_from_its_side(rendered):
    data, _ = rendered
    direction = -data['R_cam_obj'][:, 2]  # from the object to the camera, object frame
    level = np.abs(direction[:, 2]) < 0.75
    beside = level & (np.abs(direction[:, 0]) < 0.6)
    assert (data['front_visible'] >= 0).all() and (data['front_visible'] <= 1).all()
    assert (data['front_visible'][beside] > 0.4).all() and beside.any()
    behind = level & (direction[:, 0] < -0.72)
    in_front = level & (direction[:, 0] > 0.6)
    if behind.any() and in_front.any():
        assert data['front_visible'][behind].max() < data['front_visible'][in_front].min()
    parts = data['part'].reshape(len(level), -1).sum(1)
    assert ((parts > 0) == (data['front_visible'] > 0)).all()


def test_same_seed_same_data_and_other_instance_other_data(rendered):
    data, _ = rendered
    again = render_instance('mug', 3, 4, SETTINGS)
    for name in ('rgba', 'depth', 'part', 'R_cam_obj', 'kappa', 'front_visible'):
        assert np.array_equal(data[name], again[name]), name
    assert json.dumps(data['meta']) == json.dumps(again['meta'])
    assert not np.allclose(instance_rng(3, 4).random(4), instance_rng(3, 5).random(4))
    assert not np.allclose(instance_rng(3, 4).random(4), instance_rng(3, 4, 'demo').random(4))


def test_pictures_are_exposed_like_photographs(rendered):
    data, _ = rendered
    inner = data['rgba'][data['rgba'][..., 3] == 255][:, :3]
    assert 20 < inner.mean() < 245
    assert (data['rgba'][..., :3][data['rgba'][..., 3] == 0] == 0).all()


def test_elevations_favour_what_a_camera_sees_of_a_table():
    degrees = np.degrees(rendering.sample_elevations(np.random.default_rng(0), 4000))
    assert degrees.min() >= -15 and degrees.max() <= 88
    assert ((degrees > 5) & (degrees < 65)).mean() == pytest.approx(0.79, abs=0.03)
    azimuths = rendering.sample_azimuths(np.random.default_rng(0), 60)
    assert np.diff(np.sort(azimuths)).max() < 2 * 2 * np.pi / 60


def test_clear_mugs_keep_their_shape_and_show_the_backdrop_through_their_walls(
        rendered, monkeypatch):
    monkeypatch.setitem(glass.SHARES, 'mug', 1.0)
    clear = render_instance('mug', 3, 4, SETTINGS)
    opaque, _ = rendered
    assert 'clear' not in opaque and clear['meta']['pattern'].startswith('clear ')
    for same in ('R_cam_obj', 'kappa', 'depth', 'part'):
        assert np.array_equal(clear[same], opaque[same])
    # A handle is seen through the walls, too.
    assert (clear['front_visible'] == 1.0).all() and opaque['front_visible'].min() < 0.5
    # Coverage is counted with other rays, an eighth each, but it is the same outline.
    away = np.abs(clear['rgba'][..., 3].astype(float) - opaque['rgba'][..., 3]) / 255.0
    assert away.mean() < 0.01 and away.max() < 0.7
    alpha, through = clear['rgba'][..., 3] / 255.0, clear['clear'] / 255.0
    assert (through <= alpha + 0.01).all()
    assert 0.15 < np.median(through[alpha > 0.99]) < 0.95
    # Whatever is not the backdrop's grey is the mug's own light, never less than nothing.
    own = clear['rgba'][..., :3] / 255.0 * alpha[..., None] - glass.BACKDROP * through[..., None]
    assert own.min() > -0.02


def test_a_clear_mugs_handle_is_hidden_by_what_is_opaque_in_it(monkeypatch):
    monkeypatch.setitem(glass.SHARES, 'mug', 1.0)
    rotations = np.stack([look_at_origin(0.1, np.pi), look_at_origin(0.1, 0.5 * np.pi)])
    p = mug.sample_parameters(instance_rng(3, 4))
    seen = {}
    for drink in (0.0, 0.9):
        shape = mug.build(p, mug.Fittings(drink=drink))
        shape, look = glass.perhaps_clear(
            shape, mug.sample_look(np.random.default_rng(1), shape), np.random.default_rng(1))
        seen[drink] = rendering.render_object(shape, look, np.random.default_rng(1), RenderSettings(
            2, 32, 1, 1), {}, rotations)['front_visible']
    assert seen[0.0].tolist() == [1.0, 1.0]
    assert seen[0.9][0] < 0.35 and seen[0.9][1] > 0.9


def test_evaluation_objects_and_other_categories_are_never_clear(monkeypatch):
    """Sets for evaluation, that is; training's held-out instances are as the others are."""
    for category in glass.SHARES:
        monkeypatch.setitem(glass.SHARES, category, 1.0)
    settings = RenderSettings(views=1, size_px=32, samples=1, lights=1)
    assert 'clear' not in render_instance('mug', 3, 4, settings, 'evaluation')
    assert 'clear' not in render_instance('can', 3, 4, settings)


def test_opaque_objects_are_stored_as_photographed_to_the_last_bit(monkeypatch):
    monkeypatch.setattr(rendering, 'to_photograph', lambda rgb, alpha, gains: np.full(
        (*alpha.shape, 4), 7, np.uint8))
    data = render_instance('can', 3, 4, RenderSettings(views=1, size_px=32, samples=1, lights=1))
    assert set(np.unique(data['rgba'])) == {0, 7} and (data['rgba'] == 7).all(-1).any()
    assert ((data['rgba'] == 7).all(-1) | (data['rgba'] == 0).all(-1)).all()


@pytest.mark.parametrize('category', sorted(glass.SHARES))
def test_a_share_of_vessels_is_clear_and_keeps_what_is_not_of_glass(category):
    clear = 0
    for instance in range(400):
        shape, look = sample_object(category, instance_rng(1, instance))
        made, glassy = glass.perhaps_clear(shape, look, np.random.default_rng(instance))
        if glassy is look:
            assert made is shape
            continue
        clear += 1
        assert shape.parameters.get('material') not in ('wood', 'steel')
        assert shape.parameters.get('kind') not in ('flask', 'shampoo')
        paint = glass.glass_of(glassy)
        used = {part.material for part in made.parts.values()}
        for material in used:
            is_glass = glassy.paints[material] is paint
            assert is_glass == (material not in (
                'lid', 'cap', 'cork', 'label', 'band', 'drink'))
            assert is_glass or glassy.paints[material] is look.paints[material]
        if look.paints.get('label') is look.paints.get('body', 0):  # nothing printed
            assert 'label' not in used
    assert 0.5 * glass.SHARES[category] < clear / 400 < 1.3 * glass.SHARES[category]


def over_backdrop(light, opaque, thickness=0.0, edges=0.2):
    """One whole pixel of a clear object: its colour over the backdrop and what shows through."""
    paint = Paint(srgb_to_linear(np.full(3, edges)), 'glass', thickness)
    rgba, through = glass.over_backdrop(np.full((1, 1, 3), light), np.full((1, 1), opaque),
                                        np.ones((1, 1)), paint)
    assert rgba[0, 0, 3] == 255
    return rgba[0, 0, 0] / 255.0, through[0, 0] / 255.0


def test_thin_glass_lets_through_what_the_eye_sees_of_the_light_that_is_left():
    colour, through = over_backdrop(0.1, 0.3)
    assert through == pytest.approx(0.7 ** (1 / 2.2), abs=0.003)
    assert colour == pytest.approx(0.1 + glass.BACKDROP * through, abs=0.004)


def test_thick_glass_shows_its_edges_in_place_of_what_it_bends_away():
    colour, through = over_backdrop(0.1, 0.5, thickness=1.0, edges=0.3)
    assert through == pytest.approx(0.5 ** (3 / 2.2), abs=0.003)
    bent = 0.5 ** (1 / 2.2) - 0.5 ** (3 / 2.2)
    assert colour == pytest.approx(0.1 + 0.3 * bent + glass.BACKDROP * through, abs=0.005)


def test_a_window_that_glass_reflects_hides_what_is_behind_and_is_white_over_black():
    colour, through = over_backdrop(1.0, 0.15)
    assert through == 0.0 and colour == 1.0
