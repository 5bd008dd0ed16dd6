# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Kinds that no training set has: in their category's frame, and never trained on."""

import json

import numpy as np
import pytest

from ros2_nabs_pose.cli.main import main
from ros2_nabs_pose.core.types import PoseError
from ros2_nabs_pose.data.rendering import instance_rng
from ros2_nabs_pose.data.shapes import FAMILIES, sample_object
from ros2_nabs_pose.data.strangers import sample_stranger, STRANGERS
from ros2_nabs_pose.training.instances import TrainingViews


def strangers(category, count):
    return [sample_stranger(category, k, instance_rng(7, k, 'strangers')) for k in range(count)]


@pytest.mark.parametrize('category', sorted(STRANGERS))
def test_kinds_take_turns_and_every_part_is_painted_and_faces_outwards(category):
    found = strangers(category, 20)
    names = [shape.parameters['stranger'] for shape, _ in found]
    count = len(set(names))
    usual = np.mean([sample_object(category, instance_rng(1, k))[0].radius_m for k in range(10)])
    assert count >= 3 and names[:count] == names[count:2 * count]
    for shape, look in found:
        assert shape.category == category in FAMILIES
        for part in shape.parts.values():
            mesh = part.mesh
            assert part.material in look.paints
            assert np.isfinite(mesh.vertices).all()
            corners = mesh.vertices[mesh.faces]
            face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
            large = np.linalg.norm(face, axis=1) > 1e-10
            right = np.einsum('ij,ij->i', face, mesh.normals[mesh.faces].sum(1)) > 0.0
            assert right[large].mean() > 0.97
        assert 0.3 < shape.radius_m / usual < 2.0


def test_frames_are_those_of_the_categories():
    for shape, _ in strangers('camera', 20):
        np.testing.assert_allclose(shape.box_center_m, 0.0, atol=1e-9)
        glass = np.concatenate([part.mesh.vertices for name, part in shape.parts.items()
                                if name.endswith(' glass')])
        assert glass[:, 0].min() > 0.0  # lenses look along x
    for shape, _ in strangers('laptop', 12):
        np.testing.assert_allclose(shape.box_center_m, 0.0, atol=1e-9)
        assert shape.front_point_m[0] > 0.0
    for shape, _ in strangers('mug', 20):
        handle = shape.parts['handle'].mesh.vertices
        body = np.concatenate([part.mesh.vertices for name, part in shape.parts.items()
                               if name != 'handle'])
        assert handle[:, 0].max() > 1.1 * body[:, 0].max() and abs(handle[:, 1].mean()) < 1e-3
        assert 0.5 * (body[:, 2].min() + body[:, 2].max()) == pytest.approx(0.0, abs=3e-3)
        # It meets the wall: the handle begins inside the body and the body is there.
        assert handle[:, 0].min() < body[:, 0].max()
    for shape, _ in strangers('bottle', 20):
        body = shape.parts['body'].mesh.vertices
        np.testing.assert_allclose(0.5 * (body[:, :2].min(0) + body[:, :2].max(0)), 0.0, atol=1e-6)
        assert shape.box_center_m[2] == pytest.approx(0.0, abs=1e-9)


def test_the_command_renders_them_and_nothing_is_trained_on_them(tmp_path, capsys):
    out = tmp_path / 'mug'
    call = ['render', 'mug', '--strangers', '--instances', '5', '--views', '2', '--size', '16',
            '--samples', '1', '--lights', '1', '--workers', '1', '--out', str(out)]
    assert main(call) == 0
    assert json.loads((out / 'dataset.json').read_text())['strangers'] is True
    assert len(TrainingViews.load(out, None, 'validation').rgba) == 5
    with pytest.raises(PoseError, match='holds strangers, to measure models on'):
        TrainingViews.load(out, None, 'train')
    capsys.readouterr()
    # Nor do they turn into what is learned from when the folder is rendered to once more.
    assert main([part for part in call if part != '--strangers']) != 0
    assert 'strangers differ' in capsys.readouterr().err
    assert main([*call[:-2], '--unusual', '0.4', '--out', str(tmp_path / 'new')]) != 0
    assert '--strangers stands alone' in capsys.readouterr().err
    assert main(['render', 'can', '--strangers', '--out', str(tmp_path / 'can')]) != 0
    assert 'with one of bottle, camera, laptop, mug' in capsys.readouterr().err
    with pytest.raises(KeyError, match="no strangers of 'can'"):
        sample_stranger('can', 0, np.random.default_rng(0))
