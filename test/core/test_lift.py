# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Lifting: exact round trips, and what the state means in the picture."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ros2_nabs_pose.core import camera, crop, lift
from ros2_nabs_pose.core.types import Box, Intrinsics

INTRINSICS = Intrinsics(600.0, 600.0, 320.0, 240.0, 640, 480, (0.1, -0.2, 0.0, 0.0, 0.0))


def view_at(x, y, side):
    box = Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2, 'mug')
    return crop.make_view(INTRINSICS, box, 64)


VIEWS = st.builds(view_at, st.floats(60, 580), st.floats(60, 420), st.floats(20, 300))


@given(VIEWS, st.integers(0, 10 ** 6), st.floats(-1, 1), st.floats(-1, 1), st.floats(0.1, 1.5),
       st.floats(0.02, 0.5))
@settings(max_examples=100, deadline=None)
def test_unlift_inverts_lift(view, seed, t_u, t_v, s, radius_m):
    R_fit = Rotation.random(random_state=seed).as_matrix()
    T_cam_obj = lift.lift(view, R_fit, np.array([t_u, t_v]), s, radius_m)
    np.testing.assert_allclose(T_cam_obj[:3, :3] @ T_cam_obj[:3, :3].T, np.eye(3), atol=1e-12)
    R_again, t_again, s_again = lift.unlift(view, T_cam_obj, radius_m)
    np.testing.assert_allclose(R_again, R_fit, atol=1e-12)
    np.testing.assert_allclose(t_again, [t_u, t_v], atol=1e-10)
    assert s_again == pytest.approx(s, rel=1e-12)


def test_origin_appears_where_t_says():
    view = view_at(500, 100, 120)
    t = np.array([0.3, -0.4])
    T_cam_obj = lift.lift(view, np.eye(3), t, 0.6, 0.08)
    px = camera.project(INTRINSICS, T_cam_obj[None, :3, 3])
    seen = camera.unproject_directions(INTRINSICS, px)[0] @ view.R_crop_cam.T
    np.testing.assert_allclose(seen[:2] / seen[2] * view.focal, t, atol=1e-8)


def test_object_straight_ahead_is_seen_from_the_same_side_wherever_it_stands():
    R_fit = Rotation.from_euler('xyz', [100, 20, -30], degrees=True).as_matrix()
    direction = []
    for x, y in ((320, 240), (60, 420), (580, 60)):
        T_cam_obj = lift.lift(view_at(x, y, 100), R_fit, np.zeros(2), 0.6, 0.08)
        to_camera = -T_cam_obj[:3, :3].T @ T_cam_obj[:3, 3]
        direction.append(to_camera / np.linalg.norm(to_camera))
    np.testing.assert_allclose(direction[1:], [direction[0]] * 2, atol=1e-12)
    np.testing.assert_allclose(direction[0], -R_fit[2], atol=1e-12)


@pytest.mark.parametrize('t', [(0.0, 0.0), (0.9, 0.0), (-0.5, 0.8)])
def test_apparent_radius_keeps_the_area_of_a_patch_off_the_axis(t):
    view = view_at(320, 240, 400)  # wide: the corners of this crop are far off its axis
    radius_m, s = 1e-4, 1e-3
    T_cam_obj = lift.lift(view, np.eye(3), np.array(t), s, radius_m)
    turn = np.linspace(0, 2 * math.pi, 400)
    circle = radius_m * np.stack([np.cos(turn), np.sin(turn), np.zeros_like(turn)], -1)
    seen = (circle @ T_cam_obj[:3, :3].T + T_cam_obj[:3, 3]) @ view.R_crop_cam.T
    x, y = (seen[:, :2] / seen[:, 2:] * view.focal).T
    area = 0.5 * abs(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))
    assert area == pytest.approx(math.pi * s * s, rel=1e-3)


def sphere_scene(radius_m, t, s, view):
    """Depth of a sphere in the crop (0 beside it) and the same as (z - distance) / radius."""
    ray = np.array([*(np.array(t) / view.focal), 1.0])
    ray /= np.linalg.norm(ray)
    center = ray * lift.distance_in_radii(view, np.array(t), s) * radius_m
    tangent = (np.arange(64) - 31.5) / view.focal_px
    rays = np.stack([*np.meshgrid(tangent, tangent), np.ones((64, 64))], -1)
    a, b = (rays ** 2).sum(-1), rays @ center
    inside = b * b - a * (center @ center - radius_m ** 2)
    z = np.where(inside > 0, (b - np.sqrt(np.maximum(inside, 0))) / a, 0.0)
    relative = ((rays * z[..., None]) @ ray - np.linalg.norm(center)) / radius_m
    return z, inside > 0, relative


def test_depth_tells_the_scale_despite_flying_pixels():
    view, t, s = view_at(450, 330, 90), np.array([0.2, -0.1]), 0.6
    depth, mask, relative = sphere_scene(0.07, t, s, view)
    assert lift.scale_from_depth(view, t, s, depth, mask, relative) == pytest.approx(0.07)
    rng = np.random.default_rng(0)
    wild = rng.random(depth.shape) < 0.3
    depth = np.where(wild, rng.choice([0.0, 3.0, 9.0], depth.shape), depth)
    assert lift.scale_from_depth(view, t, s, depth, mask, relative) == pytest.approx(0.07)


def test_depth_that_shows_too_little_or_something_else_is_no_scale():
    view, t, s = view_at(450, 330, 90), np.zeros(2), 0.6
    depth, mask, relative = sphere_scene(0.07, t, s, view)
    assert lift.scale_from_depth(view, t, s, np.zeros_like(depth), mask, relative) is None
    few = np.zeros_like(mask)
    few[32, 20:30] = True
    assert lift.scale_from_depth(view, t, s, depth, few, relative) is None
    scattered = np.random.default_rng(1).uniform(0.2, 5.0, depth.shape)
    assert lift.scale_from_depth(view, t, s, scattered, mask, relative) is None
