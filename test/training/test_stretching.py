# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Stretched views show what a camera would see of a stretched object."""

from dataclasses import replace
import math

from hypothesis import assume, given, settings
from hypothesis import strategies as st
import pytest
from test_training import TINY_ENCODER, TINY_GENERATOR, tiny_views
import torch
from torch.nn.functional import max_pool2d

from ros2_nabs_pose.core.generator import FRAME_MARGIN, pixel_line
from ros2_nabs_pose.core.rotations import exp_so3, rotation_z
from ros2_nabs_pose.training.compose import Views, visible_points
from ros2_nabs_pose.training.stretching import (
    DIRECTIONS,
    grown,
    MOST,
    outermost,
    some_sides,
    SPREAD,
    STRETCHED,
    stretched,
)
from ros2_nabs_pose.training.trainer import TrainConfig, Trainer

SIZE, BALL = 128, 0.7
UP = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


def seen_from(elevation, azimuth):
    """The upright view (3, 3) of an object from a height, turned about its own axis."""
    tilt = exp_so3(torch.tensor([[elevation, 0.0, 0.0]]))[0]
    return tilt @ UP @ rotation_z(torch.tensor(azimuth))


def rays():
    """Pixels (S * S, 2) of a view, where their rays meet the plane through the origin, radii."""
    line = pixel_line(SIZE, UP) * FRAME_MARGIN
    v, u = torch.meshgrid(line, line, indexing='ij')
    return torch.stack((u, v), -1).view(-1, 2)


def ball(R, perspective=0.0, sides=None):
    """The view of a ball of ``BALL`` radii, whose red tells a point's x, and so on; its colours.

    Or of the ellipsoid that it becomes when its sides (3,) are stretched, whose points keep their
    colours. Depths (S * S,) are NaN beside it.
    """
    at = rays()
    start = torch.cat((at, torch.zeros(len(at), 1)), 1)
    way = torch.cat((perspective * at, torch.ones(len(at), 1)), 1)
    start, way = (x @ R / (1.0 if sides is None else sides) for x in (start, way))
    a, b, c = ((way * way).sum(1), (way * start).sum(1), (start * start).sum(1) - BALL * BALL)
    depth = (-b - torch.sqrt(b * b - a * c)) / a  # NaN where nothing is met
    points = start + depth[:, None] * way
    alpha = (~depth.isnan()).float()
    colours = torch.nan_to_num(0.5 * (points + 1.0))
    maps = torch.cat((colours, alpha[:, None], torch.nan_to_num(depth)[:, None],
                      (points[:, :1] > 0.0).float(), 0.5 * alpha[:, None]), 1)
    stacked, front, clear = maps.T.reshape(1, 7, SIZE, SIZE).split((5, 1, 1), 1)
    return Views(stacked, front, clear, R[None], torch.tensor([perspective]), torch.ones(1))


def unmixed(cover):
    """Where a map (1, 1, S, S) is the same for two pixels around, and its lowest values there."""
    low = -max_pool2d(-cover, 5, 1, 2)
    return low == max_pool2d(cover, 5, 1, 2), low


@settings(deadline=None, max_examples=40)
@given(st.floats(-1.5, 1.5), st.floats(-3.1, 3.1),
       st.just(0.0) | st.floats(0.02, 0.3), st.tuples(*[st.floats(0.75, 1.33)] * 3),
       st.floats(0.9, 1.4))
def test_a_stretched_ball_is_the_ellipsoid_that_a_camera_sees(elevation, azimuth, perspective,
                                                              sides, radius):
    assume(any(side != 1.0 for side in sides))  # what is not stretched has the radius of before
    before = seen_from(elevation, azimuth)
    sides, radius = torch.tensor(sides), torch.tensor([radius])
    seen = stretched(ball(before, perspective), sides[None], radius)
    R = seen.R_view[0]
    torch.testing.assert_close(R @ R.T, torch.eye(3), atol=1e-5, rtol=0.0)
    assert float(torch.linalg.det(R)) > 0.0
    # What points up in the picture still does.
    assert abs(float(R[0, 2])) < 1e-5 and float(R[1, 2]) < 1e-5
    if perspective:
        # The camera stands where the point of the object that it was has gone.
        stood, stands = (-x[2] / p for x, p in ((before, perspective),
                                                (R, float(seen.perspective))))
        torch.testing.assert_close(stands * radius, stood * sides, atol=1e-3, rtol=1e-4)

    true = ball(R, float(seen.perspective), sides / radius)
    # The outline aside, it is that picture: coverage, colours, depth, front, clear.
    covered = true.stacked[:, 3:4]
    sure, inner = unmixed(covered)
    assert float(sure.float().mean()) > 0.8
    off = (seen.stacked - true.stacked).abs() * sure
    assert float(off[:, 3].max()) < 1e-3
    assert float(off[:, :3].max()) < 0.04 and float(off[:, 4].max()) < 0.08  # steep at the rim
    assert float(off[:, :3].mean()) < 1e-3 and float(off[:, 4].mean()) < 1e-3
    torch.testing.assert_close(seen.clear * sure, true.clear * sure)
    sure = unmixed(true.front)[0] & sure
    torch.testing.assert_close(seen.front * sure, true.front * sure, atol=1e-3, rtol=0.0)

    # Every pixel tells a point of the ellipsoid.
    points = visible_points(seen).flatten(2)[0, :, (inner > 0.5).flatten()].T
    torch.testing.assert_close(torch.linalg.vector_norm(points * radius / sides, dim=1),
                               torch.full((len(points),), BALL), atol=0.02, rtol=0.0)


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


def test_nothing_to_see_is_as_large_as_before():
    far = outermost(torch.randn(50, 3), torch.zeros(50, dtype=torch.bool))
    assert far.shape == (DIRECTIONS, 3)
    assert grown(far[None], torch.tensor([[2.0, 1.0, 0.5]])).tolist() == [1.0]


def test_a_share_is_stretched_and_round_bodies_stay_round():
    torch.manual_seed(3)
    sides = some_sides(4000, False, torch.zeros(1))
    changed = (sides != 1.0).any(1)
    assert float(changed.float().mean()) == pytest.approx(STRETCHED, abs=0.03)
    log = sides[changed].log()
    assert float(log.abs().max()) == pytest.approx(MOST * SPREAD)
    torch.testing.assert_close(log.std(0), torch.full((3,), 0.96 * SPREAD), atol=0.01, rtol=0.0)
    every = some_sides(500, True, torch.zeros(1), share=1.0)
    assert (every != 1.0).any(1).all() and torch.equal(every[:, 0], every[:, 1])
    assert not torch.equal(every[:, 0], every[:, 2])


def test_boxes_and_radii_are_stretched_with_the_views(monkeypatch):
    views = replace(tiny_views(), recipe={'what': 'camera'},
                    center=torch.tensor([0.1, 0.2, -0.3]).expand(3, 3))
    index, batch = views.batch(2, 3)
    same, shapes = views.some_stretched(index, batch, share=0.0)
    assert torch.equal(same.stacked, batch.stacked)
    torch.testing.assert_close(shapes.size, views.size[index])
    torch.testing.assert_close(shapes.center, views.center[index])
    torch.testing.assert_close(shapes.log_radius, views.log_radius[index])

    sides, asked = torch.tensor([[1.0, 1.0, 1.0], [1.2, 1.0, 0.9]]), []
    monkeypatch.setattr('ros2_nabs_pose.training.instances.some_sides',
                        lambda count, about_axis, *_: asked.append((count, about_axis)) or sides)
    seen, shapes = views.some_stretched(index, batch)
    assert asked == [(2, False)]
    radius = grown(views.outermost(index), sides)
    assert float(radius[0]) == 1.0
    assert 1.05 < float(radius[1]) < 1.2  # a disc whose rim reaches to x
    torch.testing.assert_close(shapes.size[1], sides[1] / radius[1])
    torch.testing.assert_close(shapes.center[1],
                               torch.tensor([0.12, 0.2, -0.27]) / radius[1])
    assert float(shapes.log_radius[1]) == pytest.approx(-2.5 + math.log(float(radius[1])))
    assert torch.equal(seen.stacked[:3], batch.stacked[:3])
    torch.testing.assert_close(seen.stacked, stretched(
        batch, sides.repeat_interleave(3, 0), radius.repeat_interleave(3, 0)).stacked)
    mirrored = shapes.mirrored(torch.tensor([False, True]))
    torch.testing.assert_close(mirrored.center[0], shapes.center[0])
    torch.testing.assert_close(mirrored.center[1], shapes.center[1] * torch.tensor([1, -1, 1]))
    assert torch.equal(mirrored.size, shapes.size)

    replace(views, recipe={'what': 'mug'}).some_stretched(index, batch)
    assert asked[1:] == [(2, True)]


def test_who_is_about_an_axis_is_told_by_the_category():
    views = tiny_views()
    assert views.about_axis  # nobody knows, so nothing round is squeezed
    assert replace(views, recipe={'what': 'mug'}).about_axis
    assert replace(views, recipe={'what': 'bowl'}).about_axis
    assert not replace(views, recipe={'what': 'camera'}).about_axis
    for symmetry, origin, about_axis in (('none', 'axis_half_height', True),
                                         ('free_z', 'box_center', True),
                                         ('none', 'box_center', False)):
        own = {'what': 'teapot', 'size_mean_m': (1, 1, 1), 'size_std_m': (0, 0, 0),
               'category': {'symmetry': symmetry, 'origin': origin}}
        assert replace(views, recipe=own).about_axis == about_axis


def test_training_stretches_its_instances_and_learns_their_boxes(monkeypatch):
    views = tiny_views()
    trainer = Trainer(TrainConfig('mug', 'd', None, 'r', 'o', only='drawing'), views,
                      views.card('mug'), TINY_GENERATOR, TINY_ENCODER)
    index, batch = views.batch(3, 2)
    sides = torch.tensor([[1.0, 1.0, 1.3]]).expand(3, 3)
    monkeypatch.setattr('ros2_nabs_pose.training.instances.some_sides', lambda *_: sides)
    seen, shapes = trainer.augmented(index, batch)
    assert not torch.allclose(seen.R_view[:, 2, 2].abs(), batch.R_view[:, 2, 2].abs(), atol=1e-3)
    torch.testing.assert_close(shapes.size, sides / grown(views.outermost(index), sides)[:, None])
    learned = []
    monkeypatch.setattr('ros2_nabs_pose.training.trainer.proportions',
                        lambda read, *told: learned.extend(told[:3]) or {})
    monkeypatch.setattr(trainer, 'augmented', lambda *_: (seen, shapes))
    trainer.losses(index, batch)
    assert [torch.equal(a, b) for a, b in zip(
        learned, (shapes.size, shapes.center, shapes.log_radius), strict=True)] == [True] * 3
