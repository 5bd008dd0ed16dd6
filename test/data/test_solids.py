# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.

import numpy as np
import pytest

from ros2_nabs_pose.data.shapes.solids import (
    circle,
    cylinder,
    facing,
    merged,
    prism,
    rounded_box,
    rounded_polygon,
    rounded_rectangle,
    superellipse,
    turned,
)


def volume(mesh):
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces], 1, 0)
    return float(np.einsum('ij,ij->i', a, np.cross(b, c)).sum() / 6.0)


def agreement(mesh):
    corners = mesh.vertices[mesh.faces]
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    face = face[np.linalg.norm(face, axis=1) > 1e-14]
    normals = mesh.normals[mesh.faces][np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) > 1e-14]
    unit = face / np.linalg.norm(face, axis=1, keepdims=True)
    return np.einsum('ij,ikj->ik', unit, normals).min()


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_rounded_box_is_closed_and_has_its_size(axis):
    mesh = rounded_box(np.array((0.03, 0.10, 0.06)), 0.008, 0.003, axis)
    assert np.ptp(mesh.vertices, axis=0) == pytest.approx((0.03, 0.10, 0.06))
    assert mesh.vertices.max(0) == pytest.approx(-mesh.vertices.min(0))
    assert 0.90 * 0.00018 < volume(mesh) < 0.00018  # positive: wound outwards
    assert agreement(mesh) > 0.7
    assert np.linalg.norm(mesh.normals, axis=1) == pytest.approx(1.0)


def test_cylinder_and_prism_volumes():
    assert volume(cylinder(0.02, 0.01, 0.05, count=128)) == pytest.approx(
        np.pi * 0.02 ** 2 * 0.04, rel=0.001)
    square = rounded_rectangle(0.02, 0.02, 1e-6)
    # A frustum: 2 cm square below, 1 cm square above, 3 cm high.
    assert volume(prism(square, 0.0, 0.03, taper=0.5)) == pytest.approx(7e-6, rel=0.01)


def test_rounded_polygon_stays_inside_and_meets_the_edges():
    outline = rounded_polygon(np.array([(0, 0), (4, 0), (4, 2), (0, 2)]), 0.5, steps=16)
    assert outline.min(0) == pytest.approx((0, 0), abs=1e-9)
    assert outline.max(0) == pytest.approx((4, 2), abs=1e-9)
    nxt = np.roll(outline, -1, axis=0)
    area = 0.5 * (outline[:, 0] * nxt[:, 1] - outline[:, 1] * nxt[:, 0]).sum()
    assert area == pytest.approx(8.0 - (4.0 - np.pi) * 0.25, abs=0.002)
    assert superellipse(2.0, 1.0, 4.0).max(0) == pytest.approx((2.0, 1.0))
    assert np.linalg.norm(circle(3.0), axis=1) == pytest.approx(3.0)


def test_facing_keeps_the_hand_and_puts_the_outline_upright():
    mesh = prism(rounded_rectangle(0.10, 0.06, 0.01), 0.0, 0.02)
    front = facing(mesh, 0)
    assert np.ptp(front.vertices, axis=0) == pytest.approx((0.02, 0.10, 0.06))
    assert front.vertices[:, 0].min() == pytest.approx(0.0)
    assert volume(front) == pytest.approx(volume(mesh)) and volume(mesh) > 0
    top = np.flatnonzero(front.normals[:, 0] > 0.999)
    # The cap's texture is not mirrored for who looks at it from +x: u to +y, v to +z.
    assert np.corrcoef(front.uv[top, 0], front.vertices[top, 1])[0, 1] > 0.999
    assert np.corrcoef(front.uv[top, 1], front.vertices[top, 2])[0, 1] > 0.999


def test_turned_keeps_sharp_edges_sharp():
    mesh = turned(np.array([(0.02, 0.0), (0.02, 0.03), (0.0, 0.03)]))
    at_edge = np.isclose(mesh.vertices[:, 2], 0.03) & (
        np.linalg.norm(mesh.vertices[:, :2], axis=1) > 0.019)
    assert set(np.round(mesh.normals[at_edge, 2], 6)) == {0.0, 1.0}
    assert len(merged([mesh, mesh]).faces) == 2 * len(mesh.faces)
