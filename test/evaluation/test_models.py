# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
from dataclasses import replace
import json
import shutil

import numpy as np
import pytest
import torch

from ros2_nabs_pose.cli.main import main
from ros2_nabs_pose.core.checkpoint import (
    CategoryModel,
    load_model,
    ModelCard,
    save_model,
    SizePrior,
)
from ros2_nabs_pose.core.encoder import Encoder
from ros2_nabs_pose.core.generator import Generator
from ros2_nabs_pose.core.types import PoseError
from ros2_nabs_pose.data.dataset import read_instance, write_instance
from ros2_nabs_pose.evaluation.models import COLUMNS, measure_models, STRANGER_COLUMNS
from ros2_nabs_pose.training.codes import usual_codes
from ros2_nabs_pose.training.instances import TrainingViews


@pytest.fixture()
def rendered(tmp_path):
    """A data folder with one mug, four views, as the renderer stores them, and a raw model."""
    views, size = 4, 64
    rgba = np.zeros((views, size, size, 4), np.uint8)
    rgba[:, 16:48, 16:48] = (200, 40, 40, 255)
    folder = tmp_path / 'data' / 'mug'
    folder.mkdir(parents=True)
    for k in range(12):
        write_instance(folder, k, {
            'rgba': rgba, 'depth': np.zeros((views, size, size), np.float16),
            'part': np.zeros((views, size, size), np.uint8),
            'front_visible': np.ones(views, np.float32),
            'R_cam_obj': np.tile(np.diag((1.0, -1.0, -1.0)).astype(np.float32), (views, 1, 1)),
            'kappa': np.full(views, 0.1, np.float32), 'light': np.zeros(views, np.uint8),
            'meta': {'category': 'mug', 'size_m': [0.1, 0.08, 0.1], 'radius_m': 0.07,
                     'box_center_m': [0.0, 0.0, 0.0], 'instance': k}})
    (folder / 'dataset.json').write_text(json.dumps({'category': 'mug', 'format_version': 1}))
    card = ModelCard('mug', 'none', 'handle', SizePrior((0.1, 0.1, 0.1), 0.08, 0.01))
    generator = Generator()
    with torch.no_grad():
        generator.to_image.bias[3] = 3.0  # so that it draws something
    save_model(CategoryModel(generator, Encoder(), card), tmp_path / 'models/mug.safetensors')
    return tmp_path


def test_every_figure_is_measured_and_a_sheet_drawn(rendered):
    before = (rendered / 'models/mug.safetensors').read_bytes()
    report = measure_models(rendered / 'data', None, rendered / 'models',
                            sheets=rendered / 'sheets', progress=lambda line: None, rounds=2)
    figures = report['categories']['mug']
    assert set(COLUMNS) <= set(figures)
    assert 0.0 <= figures['mask_iou_median'] <= 1.0 and figures['instances'] > 0
    assert figures['crops'] == 768
    # Removing gain and bias can only bring the colours nearer.
    assert figures['psnr_lit_db_median'] > figures['psnr_db_median']
    assert (rendered / 'models/mug.safetensors').read_bytes() == before
    assert (rendered / 'sheets' / 'mug.png').stat().st_size > 1000


def test_strangers_are_measured_beside_what_was_held_out(rendered, capsys):
    strangers = rendered / 'strangers'
    strangers.mkdir()
    shutil.copytree(rendered / 'data/mug', strangers / 'mug')
    for k, path in enumerate(sorted((strangers / 'mug').glob('instance-*'))):
        stored = read_instance(path)
        stored['meta']['shape'] = {'stranger': 'stein' if k < 8 else 'wire'}
        if k >= 8:  # four smaller ones
            stored['rgba'][:, :, :28], stored['rgba'][:, :, 36:] = 0, 0
        write_instance(strangers / 'mug', k, stored)
    (strangers / 'mug' / 'dataset.json').write_text(json.dumps(
        {'what': 'mug', 'format_version': 1, 'strangers': True}))
    out = rendered / 'm.json'
    command = ['benchmark', 'models', '--data', str(rendered / 'data'), '--models',
               str(rendered / 'models'), '--json', str(out), '--rounds', '1', '--strangers']
    assert main([*command, str(strangers)]) == 0
    found = json.loads(out.read_text())['categories']['mug']
    # Of all instances and not the last alone.
    assert found['strangers']['instances'] == 12 and found['instances'] == 1
    assert set(STRANGER_COLUMNS) <= set(found['strangers'])
    assert found['strangers']['mask_iou_median'] == pytest.approx(found['mask_iou_median'], abs=0.1)
    kinds = found['strangers']['kinds']
    assert set(kinds) == {'stein', 'wire'}
    assert sum(kind['front_seen'] for kind in kinds.values()) == 384
    assert set(STRANGER_COLUMNS) <= set(kinds['wire'])
    assert kinds['stein']['front_seen'] == pytest.approx(256, abs=40)
    # An encoder that learned nothing says the same of all, which is less of what is smaller.
    assert kinds['wire']['mask_iou_median'] < 0.7 * kinds['stein']['mask_iou_median']
    printed = capsys.readouterr().out
    assert 'Kinds that training never saw' in printed and 'mug: stein' in printed
    assert main([*command, str(rendered / 'data')]) != 0
    assert 'holds no strangers of mug' in capsys.readouterr().err
    assert main([*command, str(rendered / 'nowhere')]) != 0
    assert 'nabs-pose render CATEGORY --strangers' in capsys.readouterr().err


def test_cards_are_written_when_asked_for(rendered):
    path = rendered / 'models/mug.safetensors'
    command = ['benchmark', 'models', '--data', str(rendered / 'data'), '--models',
               str(path.parent), '--json', str(rendered / 'm.json'), '--write-cards',
               '--rounds', '1']
    assert main(command) == 0
    measured = json.loads((rendered / 'm.json').read_text())['categories']['mug']
    model = load_model(path)
    assert model.card.figures == {k: v for k, v in measured.items()
                                  if k not in ('instances', 'crops', 'data_hash')}
    assert float(model.generator.to_image.bias[3].detach()) == 3.0
    assert model.card.codes == usual_codes(model, TrainingViews.load(rendered / 'data/mug', None,
                                                                     'train'))


def test_figures_of_categories_that_are_not_named_stay_in_the_report(rendered, capsys):
    path = rendered / 'kept.json'
    path.write_text(json.dumps({'categories': {'bowl': {'instances': 3}, 'mug': {'crops': 1}}}))
    command = ['benchmark', 'models', '--data', str(rendered / 'data'), '--models',
               str(rendered / 'models'), '--rounds', '1', '--categories', 'mug', '--json']
    assert main([*command, str(path)]) == 0
    found = json.loads(path.read_text())['categories']
    assert list(found) == ['bowl', 'mug'] and found['bowl'] == {'instances': 3}
    assert found['mug']['crops'] == 384
    # Other reports are refused before anything is measured.
    for other in ('[]', json.dumps({'set': 'eval-mug', 'categories': {'mug': {'n': 60}}})):
        path.write_text(other)
        capsys.readouterr()
        assert main([*command, str(path)]) != 0
        told = capsys.readouterr().err
        assert 'is no report of "benchmark models"' in told and 'measuring' not in told
        assert path.read_text() == other


def test_views_of_another_size_are_refused_with_a_sentence(rendered, monkeypatch):
    from ros2_nabs_pose.training.instances import TrainingViews

    real = TrainingViews.load

    def half(*args):
        views = real(*args)
        return replace(views, rgba=views.rgba[:, :, ::2, ::2])

    monkeypatch.setattr(TrainingViews, 'load', half)
    with pytest.raises(PoseError, match='32 pixels: render them with --size 64'):
        measure_models(rendered / 'data', None, rendered / 'models', progress=lambda line: None)


@pytest.mark.parametrize('rounds', ['0', '-1', 'many'])
def test_rounds_must_be_a_number_above_0(rendered, capsys, rounds):
    with pytest.raises(SystemExit):
        main(['benchmark', 'models', '--data', str(rendered / 'data'), '--rounds', rounds])
    assert '--rounds' in capsys.readouterr().err


def test_without_data_it_says_what_to_render(rendered, capsys):
    with pytest.raises(PoseError, match='No category has both'):
        measure_models(rendered, None, rendered / 'models')
    assert main(['benchmark', 'models', '--data', str(rendered), '--models',
                 str(rendered / 'models')]) != 0
    assert 'nabs-pose render' in capsys.readouterr().err
