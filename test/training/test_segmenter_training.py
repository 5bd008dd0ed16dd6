# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
import math

import pytest
from test_refiner_training import tiny_model
from test_training import tiny_views, write_instance_file
import torch

from ros2_nabs_pose.cli.main import main
from ros2_nabs_pose.core.checkpoint import save_model
from ros2_nabs_pose.core.segmenter import load_segmenter
from ros2_nabs_pose.core.types import PoseError
from ros2_nabs_pose.training.compose import compose
from ros2_nabs_pose.training.refiner import RefinerTrainer, RefinerTraining
from ros2_nabs_pose.training.segmenter import (
    losses,
    mask_iou,
    SegmenterTrainer,
    SegmenterTraining,
    validate_segmenter,
)


def trainer(run, seed=1):
    config = SegmenterTraining(('mug', 'can'), 'd', 'm', None, str(run), str(run / 's.safetensors'),
                               steps=40, warmup=2, seed=seed, crops=4)
    models = {'mug': tiny_model(), 'can': tiny_model('can', 'free_z', latent_dim=5)}
    return SegmenterTrainer(config, models, {name: tiny_views() for name in models})


def test_losses_and_overlap_have_the_values_of_their_formulas():
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1.0
    logits = torch.full((1, 1, 8, 8), -20.0)
    logits[..., 2:6] = 20.0
    # Half of the mask is found, and as much beside it: 16 of 48 pixels, half of them wrong.
    assert float(mask_iou(logits, mask)) == pytest.approx(16 / 48)
    terms = losses(logits, mask)
    assert float(terms['pixels']) == pytest.approx(3.0 * 20.0 * 0.5, rel=1e-4)
    assert float(terms['overlap']) == pytest.approx(1.0 - (2.0 * 16 + 1) / (32 + 32 + 1), rel=1e-4)
    exact = losses(40.0 * mask - 20.0, mask)
    assert all(float(v) < 1e-5 for v in exact.values())


def test_neighbours_stand_beside_behind_and_in_front():
    torch.manual_seed(4)
    _, views = tiny_views(3, 5).batch(3, 5)
    alone, among = [], []
    for seed in range(12):
        for kept, neighbours in ((alone, False), (among, True)):
            torch.manual_seed(seed)
            crops = compose(views, None, neighbours=neighbours)
            # What the discs would show if nothing stood in front of them.
            whole = math.pi * 0.5 * (32.0 * torch.exp(crops.log_scale)) ** 2
            kept.append(crops.mask.sum((1, 2, 3)) / whole)
    alone, among = torch.cat(alone), torch.cat(among)
    assert float((alone < 0.97).float().mean()) < float((among < 0.97).float().mean()) - 0.03
    # Never more than 35 % by either of the two, and masks are shares of pixels.
    assert float(among.min()) > 0.3
    assert 0.0 <= float(crops.mask.min()) and float(crops.mask.max()) <= 1.0


def test_training_mends_masks_of_all_categories_together(tmp_path):
    run = trainer(tmp_path)
    figures = validate_segmenter(run.average, run.models, run.data)
    assert set(figures) == {'mug', 'can'}
    for row in figures.values():  # it begins by leaving masks as they are
        assert row['after_iou_median'] == row['before_iou_median']
    steps = [run.train_step() for _ in range(40)]
    first, last = (sum(s['loss'] for s in part) / 8 for part in (steps[:8], steps[-8:]))
    assert last < 0.5 * first
    again = validate_segmenter(run.average, run.models, run.data)
    for name, row in again.items():
        assert row['before_iou_median'] == figures[name]['before_iou_median']
        assert row['after_iou_median'] > row['before_iou_median'] + 0.1
        assert row['after_iou_lowest_tenth'] <= row['after_iou_median']


def test_a_resumed_training_is_the_uninterrupted_one(tmp_path):
    whole = trainer(tmp_path)
    for _ in range(4):
        whole.train_step()
    halves = trainer(tmp_path)
    for _ in range(2):
        halves.train_step()
    halves.save_state(tmp_path / 'state.pt')
    again = trainer(tmp_path)
    torch.rand(7)  # whatever else draws random numbers in the meantime
    again.load_state(tmp_path / 'state.pt')
    for _ in range(2):
        again.train_step()
    for name in ('network', 'average'):
        for key, value in getattr(whole, name).state_dict().items():
            assert torch.equal(getattr(again, name).state_dict()[key], value), key
    with pytest.raises(PoseError, match='other data or another seed'):
        trainer(tmp_path, seed=2).load_state(tmp_path / 'state.pt')


def test_another_networks_run_is_not_taken_up(tmp_path):
    trainer(tmp_path).save_state(tmp_path / 'state.pt')
    config = RefinerTraining(('mug', 'can'), 'd', 'm', None, str(tmp_path), str(tmp_path / 'r'))
    refiner = RefinerTrainer(config, trainer(tmp_path).models, trainer(tmp_path).data)
    with pytest.raises(PoseError, match='another network'):
        refiner.load_state(tmp_path / 'state.pt')
    torch.save({'step': 3}, tmp_path / 'state.pt')
    with pytest.raises(PoseError, match='another kind of run'):
        refiner.load_state(tmp_path / 'state.pt')


def test_the_command_names_what_is_missing(tmp_path, capsys):
    assert main(['train-segmenter', 'mug', '--data', str(tmp_path), '--models',
                 str(tmp_path)]) == 2
    assert f'no weights at {tmp_path}/mug.safetensors' in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_from_files_writes_log_and_weights_and_goes_on(tmp_path, capsys):
    data = tmp_path / 'data/mug'
    data.mkdir(parents=True)
    for i in range(3):
        write_instance_file(data, i)
    (data / 'dataset.json').write_text('{"seed": 1}')
    save_model(tiny_model(), tmp_path / 'models/mug.safetensors')
    out = tmp_path / 'models/shared/segmenter.safetensors'
    command = ['train-segmenter', 'mug', '--data', str(tmp_path / 'data'), '--models',
               str(tmp_path / 'models'), '--run', str(tmp_path / 'run'), '--out', str(out),
               '--crops', '2', '--steps']
    assert main([*command, '2']) == 0
    assert load_segmenter(out).config.categories == ('mug',)
    assert main([*command, '50']) == 0
    assert 'at step 2 of 50' in capsys.readouterr().out
    assert len((tmp_path / 'run/log.csv').read_text().splitlines()) == 2
