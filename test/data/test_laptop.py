# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.

from dataclasses import replace

import numpy as np
import pytest

from ros2_nabs_pose.data.categories import get_category
from ros2_nabs_pose.data.looks import Look
from ros2_nabs_pose.data.rendering import instance_rng
from ros2_nabs_pose.data.shapes import laptop, sample_object
from ros2_nabs_pose.data.shapes.laptop_paint import CASES, KEY_ROWS, paint_laptop, SCREENS


@pytest.fixture(scope='module')
def laptops():
    return [laptop.sample(instance_rng(5, k)) for k in range(120)]


@pytest.fixture(scope='module')
def looks():
    shapes = [laptop.sample(instance_rng(6, k)) for k in range(12)]
    return [(shape, laptop.sample_look(instance_rng(7, k), shape))
            for k, shape in enumerate(shapes)]


def _normal(part):
    mesh = part.mesh
    corners = mesh.vertices[mesh.faces]
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).sum(0)
    return face / np.linalg.norm(face)


def test_sizes_are_those_of_the_category(laptops):
    sizes = np.array([s.size_m for s in laptops])
    category = get_category('laptop')
    assert sizes.mean(0) == pytest.approx(category.size_mean_m, abs=0.010)
    assert sizes.std(0) == pytest.approx(category.size_std_m, abs=0.010)
    diagonals = np.array([np.hypot(s.parameters['screen_width_m'], s.parameters['screen_height_m'])
                          for s in laptops]) / laptop.INCH
    assert 11.0 < diagonals.min() < 12.0 and 17.0 < diagonals.max() < 18.0
    thickness = np.array([s.parameters['rear_m'] for s in laptops])
    assert 0.010 <= thickness.min() and thickness.max() <= 0.028


def test_origin_is_the_middle_of_the_box_and_the_user_sits_at_x(laptops):
    for shape in laptops:
        assert shape.box_center_m == pytest.approx(np.zeros(3), abs=1e-9)
        assert shape.size_m[1] == pytest.approx(shape.parameters['screen_width_m']
                                                + 2.0 * shape.parameters['bezel_side_m'])
        assert shape.front_point_m[1] == pytest.approx(0.0, abs=1e-9)
        base, screen = shape.parts['base'].mesh.vertices, shape.parts['screen'].mesh.vertices
        assert shape.front_point_m[0] == pytest.approx(base[:, 0].max())
        assert base[:, 2].min() < shape.front_point_m[2] < base[:, 2].max()
        assert screen[:, 2].max() > base[:, 2].max() + 0.10
        assert screen[:, 2].min() > base[:, 2].min()


def test_deck_faces_up_screen_to_the_user_and_back_away(laptops):
    for shape in laptops:
        angle = np.radians(shape.parameters['angle_deg'])
        assert _normal(shape.parts['deck'])[2] > 0.99
        assert _normal(shape.parts['bottom']) == pytest.approx((0.0, 0.0, -1.0), abs=1e-6)
        towards_user = np.array((np.sin(angle), 0.0, -np.cos(angle)))
        assert _normal(shape.parts['screen']) == pytest.approx(towards_user, abs=1e-6)
        assert _normal(shape.parts['back']) == pytest.approx(-towards_user, abs=1e-6)


def test_normals_point_out_of_the_surface(laptops):
    for shape in laptops[:40]:
        for part in shape.parts.values():
            corners = part.mesh.vertices[part.mesh.faces]
            face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
            area = np.linalg.norm(face, axis=1)
            agree = np.einsum('ij,ij->i', face, part.mesh.normals[part.mesh.faces].sum(1))
            assert (agree[area > 1e-11] > 0).all()
            assert np.linalg.norm(part.mesh.normals, axis=1) == pytest.approx(1.0)
        for name in ('base', 'lid'):
            mesh = shape.parts[name].mesh
            outwards = mesh.vertices - mesh.vertices.mean(0)
            assert np.einsum('ij,ij->i', outwards, mesh.normals).min() > 0.0


def test_hinge_opens_over_the_whole_range_but_mostly_as_people_use_it(laptops):
    angles = np.array([s.parameters['angle_deg'] for s in laptops])
    assert 60.0 <= angles.min() < 70.0 and 140.0 < angles.max() <= 150.0
    assert np.mean((angles >= 90.0) & (angles <= 125.0)) > 0.75
    assert {s.parameters['hinge'] for s in laptops} == set(laptop.HINGES)


def test_pictures_are_upright_and_unmirrored_for_their_viewers(laptops):
    def at(part, u, v):
        mesh = part.mesh
        # Texture coordinates are affine over a flat face: solve for the point that has them.
        known = np.column_stack([mesh.uv, np.ones(len(mesh.uv))])
        return np.array((u, v, 1.0)) @ np.linalg.lstsq(known, mesh.vertices, rcond=None)[0]

    for shape in laptops[:20]:
        deck, screen, back = (shape.parts[name] for name in ('deck', 'screen', 'back'))
        for part in (deck, screen):  # the user at +x has +y at the right
            assert at(part, 1.0, 0.5)[1] == pytest.approx(shape.size_m[1] / 2.0, rel=1e-3)
        assert at(deck, 0.5, 0.0)[0] > at(deck, 0.5, 1.0)[0] + 0.1
        assert at(screen, 0.5, 1.0)[2] > at(screen, 0.5, 0.0)[2] + 0.1
        assert at(back, 1.0, 0.5)[1] == pytest.approx(-shape.size_m[1] / 2.0, rel=1e-3)
        assert at(back, 0.5, 1.0)[2] > at(back, 0.5, 0.0)[2] + 0.1


def test_keyboard_lies_behind_the_touch_pad_and_the_bezel_frames_the_screen(looks):
    for shape, look in looks:
        assert {part.material for part in shape.parts.values()} == set(look.paints)
        for paint in look.paints.values():
            assert 0.0 <= paint.color.min() and paint.color.max() <= 1.0
        deck = look.paints['deck'].color
        half = len(deck) // 2
        edges = np.abs(np.diff(deck.mean(-1), axis=1)) > 1e-3
        assert edges[:half].sum() > 2.0 * edges[half:].sum()
        screen = look.paints['screen'].color
        side = int(shape.parameters['bezel_side_m'] * 800.0) - 1
        assert np.ptp(screen[:, :side], axis=(0, 1)).max() == 0.0
        p = shape.parameters
        x0, y0, width, height = (int(p[k] * 800.0) for k in (
            'bezel_side_m', 'bezel_top_m', 'screen_width_m', 'screen_height_m'))
        shown = screen[y0 + 4:y0 + height - 4, x0 + 4:x0 + width - 4]
        assert (shown.std() > 0.01) == (not look.pattern.endswith('dark'))


def test_all_cases_and_screens_occur_in_rows_of_full_width():
    whole = laptop.sample_parameters(np.random.default_rng(0))
    small = replace(whole, screen_width_m=0.08, screen_height_m=0.05, depth_m=0.08)
    patterns = [paint_laptop(np.random.default_rng(k), small).pattern.split(', ')
                for k in range(80)]
    assert {kind for kind, _ in patterns} == set(CASES)
    assert {screen for _, screen in patterns} == set(SCREENS)
    assert [sum(row) for row in KEY_ROWS] == [15.0] * 6


def test_same_seed_gives_the_same_laptop():
    first, look = sample_object('laptop', instance_rng(3, 4))
    again, look_again = sample_object('laptop', instance_rng(3, 4))
    other, _ = sample_object('laptop', instance_rng(3, 5))
    assert isinstance(look, Look) and first.parameters == again.parameters
    assert np.array_equal(first.vertices, again.vertices)
    assert all(np.array_equal(look.paints[k].color, look_again.paints[k].color)
               for k in look.paints)
    assert other.parameters != first.parameters
