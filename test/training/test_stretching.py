# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Stretched views show what a camera would see of a stretched object."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
from test_training import tiny_views
import torch

from ros2_nabs_pose.core.generator import FRAME_MARGIN, pixel_line
from ros2_nabs_pose.core.rotations import exp_so3, rotation_z
from ros2_nabs_pose.training.compose import Views, visible_points
from ros2_nabs_pose.training.stretching import (
    grown,
    outermost,
    some_sides,
    SPREAD,
    STRETCHED,
    stretched,
)

SIZE, BALL = 128, 0.7
UP = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


def seen_from(elevation, azimuth):
    """The upright view (3, 3) of an object from a height, turned about its own axis."""
    tilt = exp_so3(torch.tensor([[elevation, 0.0, 0.0]]))[0]
    return tilt @ UP @ rotation_z(torch.tensor(azimuth))


def ball(R):
    """A view from afar of a ball of ``BALL`` radii, whose red tells a point's x, and so on."""
    line = pixel_line(SIZE, R) * FRAME_MARGIN
    v, u = torch.meshgrid(line, line, indexing='ij')
    inside = u * u + v * v < BALL * BALL
    depth = -torch.sqrt((BALL * BALL - u * u - v * v).clamp_min(0.0))
    points = torch.einsum('ji,jhw->ihw', R, torch.stack((u, v, depth)))
    alpha = inside.float()
    stacked = torch.cat((0.5 * (points + 1.0) * alpha, alpha[None], (depth * alpha)[None]))
    half = (points[:1] > 0.0) * alpha
    return Views(stacked[None], half[None], 0.5 * alpha[None, None], R[None], torch.zeros(1),
                 torch.ones(1))


@settings(deadline=None, max_examples=40)
@given(st.floats(-1.5, 1.5), st.floats(-3.1, 3.1),
       st.tuples(*[st.floats(0.75, 1.33)] * 3))
def test_a_stretched_ball_is_the_ellipsoid_that_a_camera_sees(elevation, azimuth, sides):
    sides = torch.tensor([sides])
    radius = sides.amax(1)
    seen = stretched(ball(seen_from(elevation, azimuth)), sides, radius)
    R = seen.R_view[0]
    torch.testing.assert_close(R @ R.T, torch.eye(3), atol=1e-5, rtol=0.0)
    assert float(torch.linalg.det(R)) > 0.0
    if not bool((sides == 1.0).all()):
        # What points up in the picture still does: x of the camera is level.
        assert abs(float(R[0, 2])) < 1e-5
        assert float(R[1, 2]) < 1e-5

    S = torch.diag(sides[0] / radius[0])
    outline = torch.linalg.inv((R @ S @ S @ R.T)[:2, :2])
    line = pixel_line(SIZE, R) * FRAME_MARGIN
    v, u = torch.meshgrid(line, line, indexing='ij')
    at = torch.stack((u, v))
    within = torch.einsum('ihw,ij,jhw->hw', at, outline, at)
    alpha = seen.stacked[0, 3]
    assert (alpha[within < (0.93 * BALL) ** 2] > 0.99).all()
    assert (alpha[within > (1.07 * BALL) ** 2] < 0.01).all()

    # Every pixel tells a point of the ellipsoid, wears its colour, and is part of its front.
    whole = (within < (0.9 * BALL) ** 2)
    points = visible_points(seen)[0][:, whole].T
    before = points / torch.diag(S)
    torch.testing.assert_close(torch.linalg.vector_norm(before, dim=1),
                               torch.full((len(points),), BALL), atol=0.03, rtol=0.0)
    assert (points @ R[2] < 0.02).all()  # the near side
    torch.testing.assert_close(seen.stacked[0, :3][:, whole].T, 0.5 * (before + 1.0), atol=0.02,
                               rtol=0.0)
    sure = before[:, 0].abs() > 0.05
    assert torch.equal(seen.front[0, 0][whole][sure] > 0.5, before[sure, 0] > 0.0)
    torch.testing.assert_close(seen.clear[0, 0][whole], torch.full((len(points),), 0.5))


def test_what_is_not_stretched_stays_as_it_is_to_the_pixel():
    R = seen_from(0.5, 1.0)
    views = Views(*(torch.cat((x, x)) for x in vars(ball(R)).values()))
    sides = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 1.3]])
    seen = stretched(views, sides, sides.amax(1))
    for before, after in zip(vars(views).values(), vars(seen).values(), strict=True):
        assert torch.equal(before[0], after[0])
    assert float((seen.stacked[1] - views.stacked[1]).abs().max()) > 0.5


def test_what_is_stretched_upwards_is_seen_from_a_steeper_place():
    low, tall = seen_from(0.6, 0.0), torch.tensor([[1.0, 1.0, 1.3]])
    R = stretched(ball(low), tall, torch.tensor([1.3])).R_view[0]
    # A rim that looks as open then belongs to a vessel whose side looks shorter than it is.
    lean, before = (math.atan2(float(x[2, 2]), -float(x[1, 2])) for x in (R, low))
    assert math.tan(lean) == pytest.approx(1.3 * math.tan(before), rel=1e-4)


def test_outermost_points_tell_the_radius_of_what_is_stretched():
    torch.manual_seed(2)
    points = torch.randn(5000, 3) * torch.tensor([0.2, 0.1, 0.4])
    covered = torch.arange(5000) % 7 != 0
    far = outermost(points, covered)
    assert all((points[covered] == p).all(1).any() for p in far)
    for sides in ((1.0, 1.0, 1.0), (1.3, 1.0, 0.8), (0.7, 2.0, 0.9)):
        sides = torch.tensor([sides])
        true = (torch.linalg.vector_norm(points[covered] * sides, dim=1).max()
                / torch.linalg.vector_norm(points[covered], dim=1).max())
        assert float(grown(far[None], sides)) == pytest.approx(float(true), rel=0.01)


def test_a_share_is_stretched_and_round_bodies_stay_round():
    torch.manual_seed(3)
    sides = some_sides(4000, False, torch.zeros(1))
    changed = (sides != 1.0).any(1)
    assert float(changed.float().mean()) == pytest.approx(STRETCHED, abs=0.03)
    spread = sides[changed].log().std(0)
    torch.testing.assert_close(spread, torch.full((3,), SPREAD), atol=0.01, rtol=0.0)
    every = some_sides(500, True, torch.zeros(1), share=1.0)
    assert (every != 1.0).all() and torch.equal(every[:, 0], every[:, 1])
    assert not torch.equal(every[:, 0], every[:, 2])


def test_boxes_and_radii_are_stretched_with_the_views(monkeypatch):
    views = tiny_views()
    index, batch = views.batch(2, 3)
    same, shapes = views.some_stretched(index, batch, share=0.0)
    assert torch.equal(same.stacked, batch.stacked)
    torch.testing.assert_close(shapes.size, views.size[index])
    torch.testing.assert_close(shapes.log_radius, views.log_radius[index])

    sides = torch.tensor([[1.0, 1.0, 1.0], [1.2, 1.0, 0.9]])
    monkeypatch.setattr('ros2_nabs_pose.training.instances.some_sides', lambda *_: sides)
    seen, shapes = views.some_stretched(index, batch)
    radius = grown(views.outermost[index], sides)
    assert float(radius[0]) == 1.0
    assert 1.05 < float(radius[1]) < 1.2  # a disc whose rim reaches to x
    torch.testing.assert_close(shapes.size[1], sides[1] / radius[1])
    assert float(shapes.log_radius[1]) == pytest.approx(-2.5 + math.log(float(radius[1])))
    assert torch.equal(seen.stacked[:3], batch.stacked[:3])
    torch.testing.assert_close(seen.stacked, stretched(
        batch, sides.repeat_interleave(3, 0), radius.repeat_interleave(3, 0)).stacked)


def test_who_is_about_an_axis_is_told_by_the_category():
    from dataclasses import replace

    views = tiny_views()
    assert not views.about_axis  # nobody knows
    assert replace(views, recipe={'what': 'mug'}).about_axis
    assert replace(views, recipe={'what': 'bowl'}).about_axis
    assert not replace(views, recipe={'what': 'camera'}).about_axis
    own = {'what': 'teapot', 'size_mean_m': (1, 1, 1), 'size_std_m': (0, 0, 0), 'category': {
        'symmetry': 'none', 'origin': 'axis_half_height'}}
    assert replace(views, recipe=own).about_axis
