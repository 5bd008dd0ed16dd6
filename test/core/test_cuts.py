# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch

from ros2_nabs_pose.core.crop import make_view, MARGIN
from ros2_nabs_pose.core.cuts import (
    cut_out,
    Frame,
    limited,
    other_cuts,
    tight_zoom,
    turn_upright,
)
from ros2_nabs_pose.core.lift import lift, unlift
from ros2_nabs_pose.core.rotations import exp_so3, rotation_z
from ros2_nabs_pose.core.types import Box, Intrinsics, PoseError

CAMERA = Intrinsics(520.0, 520.0, 319.5, 239.5, 640, 480)
BOX = Box(400.0, 100.0, 520.0, 260.0, 'mug')
TURNS = st.floats(-math.pi, math.pi)


@settings(deadline=None)
@given(st.floats(-3.1, 3.1), st.floats(0.0, 1.3))
def test_a_leaning_axis_is_turned_upright_and_no_other(lean, tilt):
    across = math.cos(tilt)
    axis = torch.tensor([across * math.sin(lean), -across * math.cos(lean), -math.sin(tilt)],
                        dtype=torch.float64)
    turn = turn_upright(axis)
    if abs(lean) < 0.349:
        assert float(turn) == 0.0
    elif abs(lean) > 0.351:
        upright = rotation_z(turn) @ axis
        torch.testing.assert_close(upright[:2], upright.new_tensor([0.0, -across]))


def test_an_axis_along_the_view_has_no_lean():
    assert turn_upright(torch.tensor([[0.15, 0.1, -0.98], [0.0, 0.0, 1.0]])).tolist() == [0.0, 0.0]


@settings(max_examples=40, deadline=None)
@given(TURNS, st.floats(0.7, 1.4), st.lists(st.floats(-2.0, 2.0), min_size=3, max_size=3))
def test_a_turned_crop_tells_the_same_pose(turn, zoom, omega):
    straight, turned = make_view(CAMERA, BOX, 64), make_view(CAMERA, BOX, 64, turn_rad=turn,
                                                             zoom=zoom)
    R = exp_so3(torch.tensor(omega, dtype=torch.float64)).numpy()
    T = lift(straight, R, np.array([0.1, -0.2]), 0.7, 0.06)
    R_turned, t, scale = unlift(turned, T, 0.06)
    about = rotation_z(torch.tensor(turn, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(R_turned, about @ R, atol=1e-9)
    np.testing.assert_allclose(t, zoom * about[:2, :2] @ [0.1, -0.2], atol=1e-9)
    assert scale == pytest.approx(0.7 * zoom)


def test_what_lies_to_the_right_is_up_in_a_crop_turned_for_it():
    # An axis to the right in the image; the picture is dark there.
    image = np.full((480, 640, 3), 200, np.uint8)
    image[:, 460:] = 40
    turn = float(turn_upright(torch.tensor([1.0, 0.0, 0.0])))
    assert turn == pytest.approx(-math.pi / 2)
    rgb = cut_out(Frame(image, CAMERA), 0, BOX, 64, turn_rad=turn).rgb
    assert rgb[:28].max() < 0.2 and rgb[36:].min() > 0.7


def test_mask_and_depth_turn_with_the_picture():
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    mask = np.zeros((480, 640), np.uint8)
    mask[:, 460:] = 7
    depth = np.where(mask > 0, 2.0, 1.0)
    cut = cut_out(Frame(image, CAMERA, depth, [None, mask]), 1, BOX, 64, turn_rad=math.pi / 2)
    assert cut.mask[40:, 10:54].min() == 1.0 and cut.mask[:24].max() == 0.0
    assert cut.depth_m[40:, 10:54] == pytest.approx(2.0, rel=0.15)
    assert cut.depth_m[:24] == pytest.approx(1.0, rel=0.15)


@pytest.mark.parametrize('turn', [0.0, math.pi / 2, -math.pi / 4, 2.0])
def test_a_crop_looks_so_close_that_what_it_turns_upright_fits(turn):
    line = (np.arange(64) + 0.5) / 32 - 1.0
    v, u = np.meshgrid(line, line, indexing='ij')
    # A bar of 1.2 by 0.4 that will stand upright once it is turned.
    x, y = math.cos(turn) * u - math.sin(turn) * v, math.sin(turn) * u + math.cos(turn) * v
    bar = ((np.abs(x) < 0.2) & (np.abs(y) < 0.6)).astype(np.float32)
    assert tight_zoom(bar, turn) == pytest.approx(2.0 / (MARGIN * 1.2), rel=0.04)


def test_a_half_hidden_object_keeps_room_for_its_hidden_half():
    line = (np.arange(64) + 0.5) / 32 - 1.0
    v, u = np.meshgrid(line, line, indexing='ij')
    left_half = ((u > -0.7) & (u < 0.0) & (np.abs(v) < 0.2)).astype(np.float32)
    assert tight_zoom(left_half, math.pi / 2) == pytest.approx(1.0 / (MARGIN * 0.7), rel=0.04)


def test_an_axis_that_is_no_number_turns_nothing():
    assert turn_upright(torch.full((3,), math.nan)).item() == 0.0


def test_an_empty_mask_and_extremes_leave_a_crop_of_use():
    assert tight_zoom(np.zeros((64, 64))) == 1.0
    dot = np.zeros((64, 64))
    dot[32, 32] = 1.0
    assert limited(tight_zoom(dot)) == 1.6
    assert limited(0.1) == 0.6


def test_a_flat_crop_is_refused():
    with pytest.raises(PoseError, match='shows nothing'):
        cut_out(Frame(np.full((480, 640, 3), 90, np.uint8), CAMERA), 0, BOX, 64, turn_rad=1.0)


def test_other_cuts_are_turned_and_zoomed_from_where_the_first_one_stands():
    frame = Frame(np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8), CAMERA)
    first = cut_out(frame, 0, BOX, 64, turn_rad=0.6, zoom=1.2)
    found = other_cuts(frame, first, 4)
    degrees = [math.degrees(c.turn_rad - 0.6) for c in found]
    assert degrees == pytest.approx([9.0, -9.0, 0.0, 0.0])
    assert [c.zoom for c in found] == pytest.approx([1.2, 1.2, 1.2 * 1.12, 1.2 * 0.89])
    for cut in found:
        assert cut.place == 0 and cut.box is BOX and cut.track is None
        np.testing.assert_array_equal(
            cut.rgb, cut_out(frame, 0, BOX, 64, turn_rad=cut.turn_rad, zoom=cut.zoom).rgb)
    assert len(other_cuts(frame, first, 2)) == 2 and other_cuts(frame, first, 0) == []


def test_other_cuts_that_show_nothing_are_left_out():
    # All there is to see lies just beyond the right edge of the view that the box asks for.
    view = make_view(CAMERA, BOX, 64)
    ray = view.R_crop_cam.T @ [1.02 / view.focal, 0.0, 1.0]
    edge = int(519.5 * ray[0] / ray[2] + 319.5)
    image = np.full((480, 640, 3), 128, np.uint8)
    image[160:200, edge:edge + 8] = 255
    frame = Frame(image, CAMERA)
    wide = cut_out(frame, 0, BOX, 64, zoom=0.89)
    found = other_cuts(frame, wide, 4)
    assert [round(c.zoom / 0.89, 2) for c in found] == [1.0, 1.0, 0.89]
