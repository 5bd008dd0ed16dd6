# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Prints that are put on rendered objects: they lie on the surface, and change nothing else."""

from dataclasses import replace

import pytest
from test_compose import discs
import torch

from ros2_nabs_pose.training import painting
from ros2_nabs_pose.training.painting import (
    _bands,
    _pictures,
    AS_RENDERED,
    PAINTED,
    repainted,
    some_repainted,
)

POOL = torch.randint(256, (5, 3, 24, 24), generator=torch.Generator().manual_seed(8),
                     dtype=torch.uint8)


@pytest.mark.parametrize('paint', [_bands, lambda points: _pictures(points, POOL)])
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
    assert (here.flatten(2).std(2) > 0.02).any(1).sum() >= 3, 'hardly any of them has a pattern'


@pytest.mark.parametrize('pool', [None, POOL])
def test_other_colours_and_nothing_else(pool):
    torch.manual_seed(5)
    views, rows = discs(), torch.tensor([1, 4, 7, 10])
    shown = repainted(views, pool, rows)
    for name in ('front', 'clear', 'R_view', 'perspective', 'front_visible'):
        assert torch.equal(getattr(shown, name), getattr(views, name)), name
    assert torch.equal(shown.stacked[:, 3:], views.stacked[:, 3:])
    changed = (shown.stacked != views.stacked).flatten(1).any(1)
    assert set(changed.nonzero()[:, 0].tolist()) <= set(rows.tolist())
    assert int(changed.sum()) >= 3  # one may be painted where the disc does not reach
    colour, alpha = shown.stacked[:, :3], shown.stacked[:, 3:4]
    assert (colour >= 0.0).all() and (colour <= alpha).all()


def test_paint_keeps_the_shading_below_it(monkeypatch):
    """White paint all over: what was half as bright stays half as bright."""
    monkeypatch.setattr(painting, '_bands', lambda points: torch.full_like(points, 0.5))
    torch.manual_seed(6)
    views = discs(count=8)
    dim = torch.ones(64)
    dim[:32] = 0.5
    lit = replace(views, stacked=torch.cat((views.stacked[:, :3] * dim, views.stacked[:, 3:]), 1))
    shown = repainted(lit, None, torch.arange(8)).stacked[:, 0, 32]
    whole = ((shown[:, 34] - lit.stacked[:, 0, 32, 34]).abs() > 1e-3) & (
        (shown[:, 29] - lit.stacked[:, 0, 32, 29]).abs() > 1e-3)
    assert int(whole.sum()) >= 2
    torch.testing.assert_close(shown[whole, 29] / shown[whole, 34],
                               torch.full((int(whole.sum()),), 0.5), atol=1e-3, rtol=0.0)


def test_what_is_clear_is_not_painted():
    views = discs(clear=0.4, brightest=0.6)
    assert torch.equal(repainted(views, POOL, torch.arange(12)).stacked, views.stacked)


def test_the_first_views_of_an_instance_keep_their_looks():
    torch.manual_seed(7)
    views = discs(count=120)
    shown, painted = some_repainted(views, POOL, 4)
    changed = (shown.stacked != views.stacked).flatten(1).any(1)
    assert (changed <= painted).all()
    place = torch.arange(120) % 4
    assert not painted[place < AS_RENDERED].any()
    assert float(painted[place >= AS_RENDERED].float().mean()) == pytest.approx(PAINTED, abs=0.15)
    assert float(changed[painted].float().mean()) > 0.8
