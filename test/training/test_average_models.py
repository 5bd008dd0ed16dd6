# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
from dataclasses import replace
import importlib.util
import json
from pathlib import Path
import subprocess
import sys

import pytest
from safetensors import safe_open
from tiny_models import TINY_CARD, tiny_model
import torch

from ros2_nabs_pose.core.checkpoint import load_model, save_model
from ros2_nabs_pose.core.memory import CodePrior
from ros2_nabs_pose.core.refiner import load_refiner, Refiner, RefinerConfig, save_refiner
from ros2_nabs_pose.core.types import PoseError

SCRIPT = Path(__file__).resolve().parents[2] / 'scripts' / 'average_models.py'


@pytest.fixture
def average():
    spec = importlib.util.spec_from_file_location('average_models', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.average


def weights(path, value, category='mug', command='', **sizes):
    card = replace(TINY_CARD, category=category, codes=CodePrior((0.0,) * 4, (1.0,) * 4),
                   figures={'mask_iou_median': 0.5}, training={'command': command})
    model = tiny_model(card, **sizes)
    model.load_state_dict({k: torch.full_like(v, value) for k, v in model.state_dict().items()})
    save_model(model, path)
    return path


def test_weights_are_the_mean_and_the_card_says_of_what(average, tmp_path):
    average(weights(tmp_path / 'a', 1.0, command='first'),
            weights(tmp_path / 'b', 2.0, command='second'), tmp_path / 'c')
    model = load_model(tmp_path / 'c')
    for name, value in model.state_dict().items():
        wanted = 1.5 if value.is_floating_point() else 2
        assert torch.equal(value, torch.full_like(value, wanted)), name
    assert model.card.training == {'command': 'second', 'averaged_with': 'first',
                                   'average_share': 0.5}
    assert model.card.figures == {} and model.card.codes is None


def test_further_rotations_stay_the_later_ones_where_the_first_has_none(average, tmp_path):
    before, after = weights(tmp_path / 'a', 1.0, others=0), weights(tmp_path / 'b', 2.0)
    average(before, after, tmp_path / 'c')
    model = load_model(tmp_path / 'c')
    assert float(model.encoder.head.weight[0, 0]) == 1.5
    assert float(model.encoder.others[0].weight[0, 0]) == 2.0
    with pytest.raises(PoseError, match='the other way round'):
        average(after, before, tmp_path / 'd')


def test_what_the_first_is_not_told_is_weighed_as_the_second_does(average, tmp_path):
    before, after = weights(tmp_path / 'a', 1.0, informed=False), weights(tmp_path / 'b', 2.0)
    average(before, after, tmp_path / 'c')
    model = load_model(tmp_path / 'c')
    assert float(model.encoder.head.weight[0, 0]) == 1.5
    assert float(model.encoder.from_known.weight[0, 0]) == 2.0
    with pytest.raises(PoseError, match='the other way round'):
        average(after, before, tmp_path / 'd')


@pytest.mark.parametrize('sizes', [{'blocks': (1, 1, 1, 1)}, {'others': 2}, {'reduced': 64}])
def test_encoders_of_other_sizes_have_no_mean(average, tmp_path, sizes):
    with pytest.raises(PoseError, match='layers of other sizes'):
        average(weights(tmp_path / 'a', 1.0, **sizes), weights(tmp_path / 'b', 2.0), tmp_path / 'c')
    assert not (tmp_path / 'c').exists()


def refiner(path, value, categories=('mug',)):
    made = Refiner(RefinerConfig(categories, ('none',) * len(categories), hidden=8))
    made.load_state_dict({k: torch.full_like(v, value) for k, v in made.state_dict().items()})
    save_refiner(made, path, {'command': f'run {value:g}'})
    return path


def test_refiners_are_averaged_as_well(tmp_path):
    a, b, out = refiner(tmp_path / 'a', 1.0), refiner(tmp_path / 'b', 2.0), tmp_path / 'c'
    ran = subprocess.run([sys.executable, SCRIPT, a, b, out, '0.25'], capture_output=True,
                         text=True)
    assert (ran.returncode, ran.stderr) == (0, '')
    assert float(load_refiner(out).head.weight[0, 0]) == 1.25
    with safe_open(str(out), framework='numpy') as file:
        said = json.loads(file.metadata()['training'])
    assert said['command'] == 'run 2' and 'count 0.25' in said['note']
    other = refiner(tmp_path / 'd', 1.0, ('can',))
    ran = subprocess.run([sys.executable, SCRIPT, a, other, out], capture_output=True, text=True)
    assert ran.returncode == 1 and 'refiners of other categories or sizes' in ran.stderr


def test_the_later_weights_may_count_more(average, tmp_path):
    a, b = weights(tmp_path / 'a', 1.0), weights(tmp_path / 'b', 2.0)
    average(a, b, tmp_path / 'c', 0.75)
    model = load_model(tmp_path / 'c')
    assert float(model.encoder.head.weight[0, 0]) == 1.75
    assert model.card.training['average_share'] == 0.75
    with pytest.raises(PoseError, match='share of 1.5 is none'):
        average(a, b, tmp_path / 'd', 1.5)


def test_models_of_two_categories_have_no_mean(average, tmp_path):
    with pytest.raises(PoseError, match='two of one category'):
        average(weights(tmp_path / 'a', 1.0), weights(tmp_path / 'b', 2.0, 'can'), tmp_path / 'c')
    assert not (tmp_path / 'c').exists()
