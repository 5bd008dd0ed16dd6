# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Where objects lie in crops that training composes, and what is left of those cut off."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch

from ros2_nabs_pose.core.crop import make_view, take_crop
from ros2_nabs_pose.core.generator import FRAME_MARGIN, warp_to_crop
from ros2_nabs_pose.core.types import Box, Intrinsics
from ros2_nabs_pose.training import compose as composing
from ros2_nabs_pose.training import framing, surroundings
from ros2_nabs_pose.training.compose import compose, Views
from ros2_nabs_pose.training.framing import Edges, FAR, framed

RIGHT, DOWN = (1.0, 0.0), (0.0, 1.0)


def edges(*planes):
    """Edges of one crop, of (normal, offset) each."""
    planes = (*planes, (DOWN, FAR))[:2]
    return Edges(torch.tensor([[n for n, _ in planes]]), torch.tensor([[d for _, d in planes]]))


def bars(count=8, size=64):
    """Coverage (B, 1, S, S) of upright bars, wider from one to the next."""
    line = ((torch.arange(size) + 0.5) / size * 2.0 - 1.0).abs()
    width = torch.linspace(0.2, 0.7, count).view(-1, 1, 1, 1)
    return ((line < width) & (line[:, None] < 0.75)).float()


def shown_box(mask):
    """Middle (2,) and longer side of what a mask (S, S) covers, half widths."""
    size = mask.shape[-1]
    rows, columns = np.nonzero(mask.numpy() > 0.5)
    low = np.array([columns.min(), rows.min()]) / size * 2.0 - 1.0
    high = (np.array([columns.max(), rows.max()]) + 1) / size * 2.0 - 1.0
    return 0.5 * (low + high), float((high - low).max())


def test_an_edge_moves_and_grows_with_the_object():
    """A point on the edge is on it still, wherever both are placed."""
    t, scale = torch.tensor([[0.3, -0.2]]), torch.tensor([0.5])
    placed = edges((RIGHT, 0.4), (DOWN, -0.1)).placed(t, scale)
    corner = scale * torch.tensor([[[0.4, -0.1]]]) + t
    torch.testing.assert_close(placed.beyond(corner), torch.zeros(1, 1, 2))
    further = placed.beyond(corner + torch.tensor([0.25, -0.5]))
    torch.testing.assert_close(further, torch.tensor([[[0.25, -0.5]]]))


def test_colours_of_an_edge_are_carried_on_and_nothing_else_changes():
    image = torch.rand(1, 3, 16, 16)
    cut = edges((RIGHT, 0.25), ((0.0, -1.0), 0.5))  # the right 6 columns, the upper 4 rows
    carried = cut.carried_on(image)
    covered = cut.covers(16)[0, 0] > 0.5
    assert covered[4:, :10].all() and int(covered.sum()) == 12 * 10
    torch.testing.assert_close(carried[..., 4:, :10], image[..., 4:, :10], rtol=0.0, atol=0.0)
    torch.testing.assert_close(carried[..., 4:, 10:], image[..., 4:, 9:10].expand(-1, -1, 12, 6))
    torch.testing.assert_close(carried[..., :4, :10], image[..., 4:5, :10].expand(-1, -1, 4, 10))
    torch.testing.assert_close(carried[..., :4, 10:],
                               image[..., 4:5, 9:10].expand(-1, -1, 4, 6))


def test_crops_without_an_edge_in_sight_are_left_alone():
    image = torch.rand(1, 3, 16, 16)
    assert edges().carried_on(image) is image and bool((edges().covers(16) == 1.0).all())


def test_crops_are_carried_on_as_those_of_pictures_are():
    """The same part of a picture that ends there, and of one that goes on."""
    generator = np.random.default_rng(3)
    whole = np.kron(generator.random((30, 40, 3)), np.ones((8, 8, 1))).astype(np.float32)
    # A narrow lens, so that the picture's edge is a straight line in the crop.
    wide = Intrinsics(5000.0, 5000.0, 160.0, 120.0, 320, 240)
    narrow = Intrinsics(5000.0, 5000.0, 160.0, 120.0, 240, 240)
    view = make_view(narrow, Box(160.0, 70.0, 239.5, 150.0, 'mug'), 64)
    goes_on, _ = take_crop(whole, wide, view)
    ends, valid = take_crop(whole[:, :240].copy(), narrow, view)
    at = float((valid[32] > 0.5).sum()) / 32.0 - 1.0
    assert 0.3 < at < 0.9
    carried = edges((RIGHT, at)).carried_on(
        torch.from_numpy(goes_on).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    inside = valid > 0.999
    np.testing.assert_allclose(carried[inside], ends[inside], atol=2e-3)
    # Blocks of the picture begin at its edge, so one crop pixel may mix two of them.
    apart = np.abs(carried - ends).mean(2)
    assert float(np.median(apart[valid < 0.5])) < 1e-2
    assert float(np.abs(goes_on - ends).mean(2)[valid < 0.5].mean()) > 0.1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10 ** 6), st.sampled_from((0.0, 0.5, 1.0)), st.floats(-3.1, 3.1))
def test_boxes_are_those_of_what_is_left(seed, cut_off, angle):
    torch.manual_seed(seed)
    alpha = bars()
    turn = torch.full((8,), angle)
    frame = framed(alpha, turn, cut_off)
    placed = warp_to_crop(alpha, turn, frame.t, frame.scale, 64)
    covers = frame.edges.covers(64)
    assert cut_off > 0.0 or bool((covers == 1.0).all() and (frame.inside == 1.0).all())
    placed = placed * covers
    for mask in placed[:, 0]:
        middle, longer = shown_box(mask)
        assert np.abs(middle).max() < 0.14 + 0.06
        assert 2.0 / 1.65 - 0.1 < longer < 2.0 / 1.22 + 0.1


def test_as_many_are_cut_off_as_asked_for_and_never_more_than_half_across_an_edge():
    torch.manual_seed(8)
    alpha = bars(400)
    frame = framed(alpha, torch.zeros(400), 0.25)
    left = (alpha * frame.inside).sum((1, 2, 3)) / alpha.sum((1, 2, 3))
    cut = left < 1.0
    assert 70 <= int(cut.sum()) <= 130
    assert float(left.min()) > 0.3 and float(left[cut].max()) > 0.9
    offset = frame.edges.offset
    both = (offset < 2.0).all(1)
    assert 5 <= int(both.sum()) <= 45 and not bool((offset[~cut] < 2.0).any())


@pytest.mark.parametrize('column, cut', [(10.6, False), (16.6, False), (31.6, True)])
def test_of_a_corner_enough_is_left_to_be_boxed(monkeypatch, column, cut):
    """An L whose corner alone lies in the picture is shown whole, unless a quarter of it is left.

    It is 4 pixels thick and 44 long: 1 pixel of 336, 40 of them, and 160.
    """
    shape = torch.zeros(2, 1, 64, 64)
    shape[:, :, 10:54, 10:14] = 1.0
    shape[:, :, 10:14, 10:54] = 1.0
    at = (column / 32.0 - 1.0) * FRAME_MARGIN
    monkeypatch.setattr(framing, '_some_edges', lambda points, shown, share: Edges(
        torch.tensor([[RIGHT, DOWN]]).expand(2, -1, -1), torch.full((2, 2), at)))
    frame = framed(shape, torch.zeros(2), 1.0)
    left = int((shape * frame.inside)[0].sum())
    assert left == (160 if cut else 336)
    assert bool((frame.edges.covers(64) == 1.0).all()) != cut
    assert float(frame.scale.max()) < (4.0 if cut else 2.0)


@pytest.mark.parametrize('part, left', [('left', 1.0), ('right', 0.0), ('all', 0.5)])
def test_what_lies_beyond_the_edge_is_not_seen(monkeypatch, part, left):
    """The picture ends in the middle of a square, which is upright."""
    monkeypatch.setattr(composing, 'photographed', lambda image: image)
    monkeypatch.setattr(composing, 'shade', lambda image: image)
    monkeypatch.setattr(surroundings, 'BESIDE', 0.0)
    monkeypatch.setattr(surroundings, 'IN_FRONT', 0.0)
    monkeypatch.setattr(torch, 'randn', lambda *size, **rest: torch.zeros(*size, **rest))
    monkeypatch.setattr(
        framing, '_some_edges', lambda points, shown, share: Edges(
            torch.tensor([[RIGHT, DOWN]]).expand(6, -1, -1),
            torch.tensor([[0.0, FAR]]).expand(6, -1)))
    torch.manual_seed(1)
    square = torch.zeros(6, 1, 64, 64)
    square[..., 16:48, 16:48] = 1.0
    front = square.clone()
    if part != 'all':
        front[..., slice(32, None) if part == 'left' else slice(None, 32)] = 0.0
    views = Views(stacked=torch.cat((0.5 * square.expand(-1, 3, -1, -1), square, 0.0 * square), 1),
                  front=front, clear=0.0 * square, R_view=torch.eye(3).expand(6, 3, 3),
                  perspective=torch.full((6,), 0.1), front_visible=torch.full((6,), 0.8))
    crops = compose(views, None, cut_off=1.0)
    upright = [b for b in range(6) if abs(float(crops.R[b, 1, 0])) < 1e-6]
    assert upright
    for b in upright:
        edge = round(float(crops.t[b, 0] + 1.0) * 32.0)
        half = 0.5 * FRAME_MARGIN * float(crops.log_scale[b].exp())
        assert float(crops.mask[b].sum()) == pytest.approx(half * 2.0 * half * 32 ** 2, rel=0.1)
        assert float(crops.mask[b, 0, :, edge + 1:].abs().max()) == 0.0
        assert float(crops.points[b, :, :, edge // 2 + 1:].abs().max()) == 0.0
        valid = crops.valid[b, 0]
        assert bool((valid[:, edge + 1:] == 0.0).all() and (valid[:, :edge - 1] == 1.0).all())
        row = crops.image[b, :, 32]
        assert float((row[:, edge + 1:] - row[:, edge + 1:edge + 2]).abs().max()) < 1e-6
        assert float(crops.front_visible[b]) == pytest.approx(0.8 * left, abs=0.02)
        assert math.isclose(float(crops.mask[b, 0, 32, edge - 3]), 1.0, abs_tol=1e-3)
