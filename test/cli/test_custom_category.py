# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A category of the user's own, from mesh files to a pose: two commands and an entry in a file."""

import json
from pathlib import Path
import sys

import cv2
import numpy as np
import pytest

pytest.importorskip('mitsuba')
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'data'))

from toy_meshes import write_arrow

from ros2_nabs_pose.cli import main as cli
from ros2_nabs_pose.core import PosePipeline
from ros2_nabs_pose.core.checkpoint import load_model
from ros2_nabs_pose.data.dataset import list_instances, read_instance

MANIFEST = """category:
  symmetry: none
defaults: {up: +z, licence: CC0-1.0}
"""


def make(folder, meshes, render, train):
    """Runs the two commands; returns the folders of data and models."""
    for k in range(meshes):
        write_arrow(folder / 'meshes' / f'block_{k}.glb', stretch=0.85 + 0.3 * k / meshes)
    (folder / 'meshes' / 'manifest.yaml').write_text(MANIFEST)
    data, models = folder / 'data', folder / 'models'
    assert cli.main(['render', 'toy', '--meshes', str(folder / 'meshes'), '--out', str(data),
                     '--size', '64', *render]) == 0
    assert cli.main(['train', 'toy', '--data', str(data), '--run', str(folder / 'run'), '--out',
                     str(models / 'toy.safetensors'), *train]) == 0
    return data, models


def picture(folder, data):
    """Writes a picture of the last instance's first view on grey; returns its path and box."""
    stored = read_instance(list_instances(data)[-1])
    rgba = cv2.resize(stored['rgba'][0], (128, 128), interpolation=cv2.INTER_CUBIC)
    alpha = rgba[..., 3:].astype(float) / 255.0
    image = np.full((240, 320, 3), 120, np.uint8)
    image[60:188, 100:228] = image[60:188, 100:228] * (1.0 - alpha) + rgba[..., :3] * alpha
    rows, columns = np.nonzero(alpha[..., 0] > 0.5)
    box = [100 + columns.min(), 60 + rows.min(), 101 + columns.max(), 61 + rows.max()]
    path = folder / 'toy.png'
    cv2.imwrite(str(path), image[..., ::-1])
    return path, [str(v) for v in box]


def fit(path, box, models, capsys):
    capsys.readouterr()
    status = cli.main(['fit', str(path), '--category', 'toy', '--box', *box, '--models',
                       str(models), '--json'])
    return status, capsys.readouterr()


def test_two_commands_make_a_model_that_says_what_it_is_of(tmp_path, capsys):
    data, models = make(
        tmp_path, 3, ['--copies', '2', '--views', '4', '--samples', '2', '--lights', '1',
                      '--workers', '1'],
        ['--steps', '3', '--instances', '2', '--views', '2', '--threads', '1'])
    model = load_model(models / 'toy.safetensors')
    card = model.card
    assert (card.category, card.symmetry, card.front_part) == ('toy', 'none', '')
    assert card.licence == 'CC0-1.0'
    recipe = card.training['recipe']
    assert recipe['category']['origin'] == 'box_center' and recipe['copies'] == 2
    # Of the two blocks that are not held out, and their copies within some percent of them.
    expected = 0.12 * np.mean((0.85, 0.95)) + 0.05 * np.mean((0.85, 0.95))
    assert card.size.size_m == pytest.approx((expected, 0.05, 0.07), rel=0.12)
    assert sorted(PosePipeline.load(models_dir=models).models) == ['toy']

    status, said = fit(*picture(tmp_path, data), models, capsys)
    assert 'Traceback' not in said.err and status in (0, 1)
    if status == 0:
        pose = json.loads(said.out)
        assert pose['category'] == 'toy' and np.isfinite(pose['T_cam_obj']).all()
    else:
        assert 'no pose' in said.err and said.out == ''

    assert cli.main(['train', 'mug', '--data', str(data), '--run', str(tmp_path / 'other'), '--out',
                     str(tmp_path / 'mug.safetensors')]) == 2
    assert "the data are of 'toy', not of 'mug'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_short_training_draws_a_toy_that_it_has_not_seen(tmp_path, capsys):
    """Some minutes: eight blocks and 500 steps. Shapes come by then, rotations take thousands."""
    data, models = make(
        tmp_path, 8, ['--copies', '6', '--views', '24', '--samples', '6', '--lights', '2'],
        ['--steps', '500', '--instances', '4', '--views', '3', '--validate-every', '500'])
    figures = load_model(models / 'toy.safetensors').card.figures
    # Reached when written: 0.87, 0.032 and 0.60.
    assert figures['alpha_iou_median'] > 0.75, figures
    assert figures['depth_error_median'] < 0.06, figures
    assert figures['mask_iou_median'] > 0.5, figures
    status, said = fit(*picture(tmp_path, data), models, capsys)
    assert status in (0, 1), said.err
