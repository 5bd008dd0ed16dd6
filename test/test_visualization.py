# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Drawings: lines lie where the geometry says, and nothing fails at the borders."""

import numpy as np
import pytest

from ros2_nabs_pose import visualization
from ros2_nabs_pose.core import camera
from ros2_nabs_pose.core.types import Box, Intrinsics

INTRINSICS = Intrinsics(400.0, 400.0, 160.0, 120.0, 320, 240, (0.1, -0.1, 0.0, 0.0, 0.0))


def facing_pose(z_m=0.5):
    """An object whose x points right, y away from the camera and z up, in the image's middle."""
    T = np.eye(4)
    T[:3, :3] = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], float)
    T[2, 3] = z_m
    return T


@pytest.mark.parametrize('ground', [0, 128, 255])
def test_axes_have_their_colours_and_a_rim(ground):
    image = np.full((240, 320, 3), ground, np.uint8)
    visualization.draw_axes(image, INTRINSICS, facing_pose(), 0.1)
    np.testing.assert_array_equal(image[120, 200], visualization.AXIS_COLOURS[0])
    np.testing.assert_array_equal(image[80, 160], visualization.AXIS_COLOURS[2])
    # Whatever the ground, something dark beside the line and the line itself lighter.
    column = image[110:130, 200].astype(int).sum(-1)
    assert column.min() < 130 and (image[60:, 300:] == ground).all()


def test_bounding_box_corners_lie_where_they_project():
    image = np.zeros((240, 320, 3), np.uint8)
    T, size = facing_pose(), np.array([0.2, 0.1, 0.1])
    visualization.draw_box_3d(image, INTRINSICS, T, size, np.zeros(3), (255, 255, 255))
    corners = visualization._CORNERS * size / 2
    px = np.rint(camera.project(INTRINSICS, corners @ T[:3, :3].T + T[:3, 3])).astype(int)
    bright = [image[v - 1:v + 2, u - 1:u + 2].max() for u, v in px]
    nearer = T[2, 3] + (corners @ T[:3, :3].T)[:, 2] < T[2, 3]
    assert min(np.array(bright)[nearer]) > 160  # the front is bright, the back dimmed
    assert max(np.array(bright)[~nearer]) <= 140 and min(bright) > 90


def test_what_cannot_be_seen_is_left_out_and_labels_stay_inside():
    image = np.zeros((240, 320, 3), np.uint8)
    behind = facing_pose(-0.5)
    visualization.draw_axes(image, INTRINSICS, behind, 0.1)
    visualization.draw_box_3d(image, INTRINSICS, behind, np.ones(3), np.zeros(3), (9, 9, 9))
    assert (image == 0).all()
    visualization.draw_box(image, Box(-1e9, -5, 1e9, 500, 'mug'), (255, 255, 255))
    visualization.draw_label(image, 'mug 0.93', (5000.0, -300.0))
    assert image[:30, 200:].max() > 200


def test_contact_sheet_keeps_proportions():
    tiles = [np.full((100, 200, 3), 255, np.uint8), np.full((50, 50, 3), 255, np.uint8)] * 2
    sheet = visualization.contact_sheet(tiles, 3, (120, 120), ['a'] * 4)
    assert sheet.shape[1] == 3 * 124 + 4
    first, second = sheet[4:124, 4:124], sheet[4:124, 128:248]
    assert (first == 255).all(-1).sum() == 120 * 60 and (second == 255).all(-1).sum() == 120 * 120
