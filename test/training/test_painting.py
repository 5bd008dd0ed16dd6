# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Prints that are put on rendered objects: they lie on the surface, and change nothing else."""

from dataclasses import replace

import pytest
from test_compose import discs
import torch

from ros2_nabs_pose.core.generator import FRAME_MARGIN
from ros2_nabs_pose.core.rotations import exp_so3
from ros2_nabs_pose.training import painting
from ros2_nabs_pose.training.painting import (
    _bands,
    _pictures,
    AS_RENDERED,
    instances_repainted,
    INSTANCES_SHARE,
    PAINTED_SHARE,
    repainted,
    some_repainted,
)

POOL = torch.randint(256, (5, 3, 24, 24), generator=torch.Generator().manual_seed(8),
                     dtype=torch.uint8)
ALL = torch.ones(12, dtype=torch.bool)
OWN = torch.arange(4)


@pytest.mark.parametrize('paint', [
    lambda points, of=OWN: _bands(points, of), lambda points, of=OWN: _pictures(points, of, POOL)])
def test_paint_lies_on_the_surface(paint):
    """The same point has the same colour wherever in the picture it is seen, others have others."""
    points = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2.0 - 1.0
    order = torch.randperm(256, generator=torch.Generator().manual_seed(2))
    elsewhere = points.flatten(2)[:, :, order].view_as(points)
    torch.manual_seed(3)
    here = paint(points)
    torch.manual_seed(3)
    there = paint(elsewhere)
    torch.testing.assert_close(there.flatten(2), here.flatten(2)[:, :, order],
                               atol=1e-5, rtol=0.0)
    assert (here >= 0.0).all() and (here <= 1.0).all()
    same = paint(points[:1].expand(4, -1, -1, -1), torch.tensor([0, 1, 0, 1]))
    assert torch.equal(same[0], same[2]) and torch.equal(same[1], same[3])
    assert not torch.equal(same[0], same[1])
    assert (here.flatten(2).std(2) > 0.02).any(1).sum() >= 3, 'hardly any of them has a pattern'


@pytest.mark.parametrize('pool', [None, POOL])
def test_other_colours_and_nothing_else(pool):
    torch.manual_seed(5)
    views, rows = discs(), torch.tensor([1, 4, 7, 10])
    chosen = torch.zeros(12, dtype=torch.bool).index_fill(0, rows, True)
    shown, painted = repainted(views, pool, chosen)
    assert torch.equal(painted, chosen)
    for name in ('front', 'clear', 'R_view', 'perspective', 'front_visible'):
        assert torch.equal(getattr(shown, name), getattr(views, name)), name
    assert torch.equal(shown.stacked[:, 3:], views.stacked[:, 3:])
    changed = (shown.stacked != views.stacked).flatten(1).any(1)
    assert set(changed.nonzero()[:, 0].tolist()) <= set(rows.tolist())
    assert int(changed.sum()) >= 3  # one may be painted where the disc does not reach
    colour, alpha = shown.stacked[:, :3], shown.stacked[:, 3:4]
    assert (colour >= 0.0).all() and (colour <= alpha).all()


def test_paint_keeps_the_shading_below_it(monkeypatch):
    """Grey paint all over: what was half as bright stays half as bright."""
    monkeypatch.setattr(painting, '_bands', lambda points, _: torch.full_like(points, 0.5))
    torch.manual_seed(6)
    views = discs(count=8)
    dim = torch.ones(64)
    dim[:32] = 0.5
    lit = replace(views, stacked=torch.cat((views.stacked[:, :3] * dim, views.stacked[:, 3:]), 1))
    shown = repainted(lit, None, ALL[:8])[0].stacked[:, 0, 32]
    whole = ((shown[:, 34] - lit.stacked[:, 0, 32, 34]).abs() > 1e-3) & (
        (shown[:, 29] - lit.stacked[:, 0, 32, 29]).abs() > 1e-3)
    assert int(whole.sum()) >= 2
    torch.testing.assert_close(shown[whole, 29] / shown[whole, 34],
                               torch.full((int(whole.sum()),), 0.5), atol=1e-3, rtol=0.0)


def test_what_is_clear_is_not_painted():
    views = discs(clear=0.4, brightest=0.6)
    shown, painted = repainted(views, POOL, ALL)
    assert torch.equal(shown.stacked, views.stacked) and not painted.any()
    torch.manual_seed(9)
    mixed = replace(views, clear=views.clear * (torch.arange(12) % 3 == 0).view(-1, 1, 1, 1))
    shown, painted = repainted(mixed, POOL, ALL)
    assert painted.tolist() == [k % 3 != 0 for k in range(12)]
    changed = (shown.stacked != mixed.stacked).flatten(1).any(1)
    assert not changed[::3].any() and int(changed.sum()) >= 5
    torch.manual_seed(9)
    assert not some_repainted(replace(mixed, clear=views.clear), POOL, 4)[1].any()


def test_paint_goes_along_with_the_object(monkeypatch):
    """Two views of a plane that is turned, tilted and near: the same point has the same colour.

    The paint here is the point itself, so that it can be told from the pose where it must be seen.
    """
    monkeypatch.setattr(painting, '_bands', lambda points, _: 0.5 + 0.4 * points.clamp(-1.0, 1.0))
    torch.manual_seed(10)
    views = discs(count=6)
    R = exp_so3(torch.tensor([[0.0, 0.0, 0.4 * k] for k in range(6)])
                + torch.tensor([0.3, -0.2, 0.0]))
    line = ((torch.arange(64) + 0.5) / 32.0 - 1.0) * FRAME_MARGIN
    depth = (0.3 * line + 0.1).expand(6, 1, 64, 64) * views.stacked[:, 3:4]
    views = replace(views, R_view=R, perspective=torch.full((6,), 0.25),
                    stacked=torch.cat((0.5 * views.stacked[:, 3:4].expand(-1, 3, -1, -1),
                                       views.stacked[:, 3:4], depth), 1))
    shown, _ = repainted(views, None, ALL[:6])
    v, u = 29, 37  # a pixel near the middle
    z = float(0.3 * line[u] + 0.1)
    seen = torch.tensor([float(line[u]) * (1.0 + 0.25 * z), float(line[v]) * (1.0 + 0.25 * z), z])
    found = 0
    for b in range(6):
        wanted = (0.5 + 0.4 * (R[b].T @ seen).clamp(-1.0, 1.0)) * 1.1
        got = shown.stacked[b, :3, v, u]
        # Painted by some share: what is added lies on the way to the paint.
        share = (got - 0.5) / (wanted - 0.5)
        if float((got - 0.5).abs().max()) > 0.02:
            torch.testing.assert_close(share, share.mean().expand(3), atol=1e-3, rtol=0.0)
            assert 0.6 <= float(share.mean()) <= 1.0
            found += 1
    assert found >= 3


@pytest.mark.parametrize('group', [1, 2])
def test_so_few_views_of_an_instance_all_keep_their_looks(group):
    shown, painted = some_repainted(discs(), POOL, group)
    assert not painted.any() and torch.equal(shown.stacked, discs().stacked)


def test_the_first_views_of_an_instance_keep_their_looks():
    torch.manual_seed(7)
    views = discs(count=120)
    shown, painted = some_repainted(views, POOL, 4)
    changed = (shown.stacked != views.stacked).flatten(1).any(1)
    assert (changed <= painted).all()
    place = torch.arange(120) % 4
    assert not painted[place < AS_RENDERED].any()
    share = float(painted[place >= AS_RENDERED].float().mean())
    assert share == pytest.approx(PAINTED_SHARE, abs=0.15)
    assert float(changed[painted].float().mean()) > 0.8


def test_all_views_of_a_painted_instance_wear_the_same_print():
    """Discs of one kind, all seen alike: those of an instance stay alike when they are painted."""
    torch.manual_seed(12)
    views = discs(count=120)
    alike = replace(views, stacked=views.stacked[:1].expand_as(views.stacked).clone(),
                    R_view=views.R_view[:1].expand_as(views.R_view),
                    perspective=views.perspective[:1].expand_as(views.perspective))
    shown = instances_repainted(alike, POOL, 4).stacked.unflatten(0, (30, 4))
    torch.testing.assert_close(shown[:, 1:], shown[:, :1].expand(-1, 3, -1, -1, -1), atol=1e-6,
                               rtol=0.0)
    changed = (shown[:, 0] - alike.stacked[0]).abs().flatten(1).amax(1) > 1e-3
    assert float(changed.float().mean()) == pytest.approx(INSTANCES_SHARE, abs=0.2)
    prints = shown[changed, 0]
    differ = (prints[1:] - prints[:-1]).abs().flatten(1).amax(1) > 1e-3
    assert differ.all()
