# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
import numpy as np
import pytest

from ros2_nabs_pose.data.categories import CATEGORIES
from ros2_nabs_pose.data.rendering import instance_rng
from ros2_nabs_pose.data.shapes import sample_object


@pytest.fixture(scope='module')
def laptops():
    return [sample_object('laptop', instance_rng(5, k)) for k in range(60)]


def test_the_box_is_centred_and_the_open_side_looks_along_x(laptops):
    for shape, _ in laptops:
        assert shape.box_center_m == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)
        deck, screen = (shape.parts[n].mesh.vertices.mean(0) for n in ('deck', 'screen'))
        assert deck[0] > screen[0] and screen[2] > deck[2]
        assert shape.front_point_m[0] == pytest.approx(shape.vertices[:, 0].max(), abs=2e-3)
        assert shape.front_point_m[2] < 0.0


def test_the_screen_stands_at_the_hinges_angle(laptops):
    for shape, _ in laptops:
        normal = shape.parts['screen'].mesh.normals.mean(0)
        normal /= np.linalg.norm(normal)
        # Upright (90 degrees) it looks along x; opened farther it looks upwards.
        opened = 90.0 + np.degrees(np.arctan2(normal[2], normal[0]))
        assert opened == pytest.approx(shape.parameters['angle_deg'], abs=1.5)
    angles = [shape.parameters['angle_deg'] for shape, _ in laptops]
    assert min(angles) < 85.0 and max(angles) > 125.0


def test_every_part_has_its_paint(laptops):
    for shape, look in laptops:
        assert {part.material for part in shape.parts.values()} <= set(look.paints)


def test_the_size_is_the_categorys(laptops):
    sizes = np.array([shape.size_m for shape, _ in laptops])
    known = CATEGORIES['laptop']
    assert sizes.mean(0) == pytest.approx(known.size_mean_m, rel=0.06)
    assert sizes.std(0) == pytest.approx(known.size_std_m, rel=0.3)


def test_an_instance_depends_on_its_seed_alone(laptops):
    again, _ = sample_object('laptop', instance_rng(5, 9))
    assert np.array_equal(again.vertices, laptops[9][0].vertices)
