# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
import json
from pathlib import Path

import pytest
import torch

from ros2_nabs_pose.cli.main import main
from ros2_nabs_pose.core.types import PoseError
from ros2_nabs_pose.training.engine import Engine
from ros2_nabs_pose.training.state import (
    check_out,
    read_state,
    save_state,
    take_up,
    write_config,
)


def test_a_state_brings_parts_values_and_random_numbers_back(tmp_path):
    engine, layer = Engine(), torch.nn.Linear(3, 2)
    torch.manual_seed(4)
    save_state(tmp_path / 'state.pt', engine, {'layer': layer},
               {'step': 7, 'data': 'd', 'seed': 1})
    expected, weight = torch.rand(5), layer.weight.detach().clone()
    with torch.no_grad():
        layer.weight.zero_()
    state = read_state(tmp_path / 'state.pt', 'cpu', 'd', 1)
    take_up(tmp_path / 'state.pt', state, engine, {'layer': layer})
    assert state['step'] == 7
    assert torch.equal(torch.rand(5), expected) and torch.equal(layer.weight, weight)


def test_what_does_not_fit_a_run_is_named(tmp_path):
    engine, path = Engine(), tmp_path / 'run/state.pt'
    path.parent.mkdir()
    save_state(path, engine, {'layer': torch.nn.Linear(3, 2)}, {'data': 'd', 'seed': 1})
    for data, seed in (('e', 1), ('d', 2)):
        with pytest.raises(PoseError, match='run holds a run with other data or another seed'):
            read_state(path, 'cpu', data, seed)
    state = read_state(path, 'cpu', 'd', 1)
    for parts in ({'layer': torch.nn.Linear(4, 2)}, {'other': torch.nn.Linear(3, 2)}):
        with pytest.raises(PoseError, match='a version with other networks'):
            take_up(path, state, engine, parts)
    two = {**state, 'random': state['random'].repeat(2, 1)}
    with pytest.raises(PoseError, match='a run on 2 processes'):
        take_up(path, two, engine, {})
    former = {**state, 'random': state['random'][0]}
    with pytest.raises(PoseError, match='a version with other networks'):
        take_up(path, former, engine, {})


def test_weights_of_others_are_not_written_over(tmp_path, monkeypatch):
    run, out = tmp_path / 'run', tmp_path / 'mug.safetensors'
    check_out(run, out)  # there are none
    out.write_bytes(b'shipped')
    with pytest.raises(PoseError, match=r'mug.safetensors holds weights .* --replace'):
        check_out(run, out)
    write_config(run, {'out': str(tmp_path / 'other.safetensors')})
    with pytest.raises(PoseError, match='has not written'):
        check_out(run, out)
    write_config(run, {'out': str(out), 'steps': 3})
    with pytest.raises(PoseError, match='has not written'):
        check_out(run, out)  # it has only begun
    (run / 'state.pt').write_bytes(b'')
    check_out(run, out)  # its own
    monkeypatch.chdir(tmp_path)
    check_out(run, Path('mug.safetensors'))
    assert json.loads((run / 'config.json').read_text())['steps'] == 3


@pytest.mark.parametrize('command', [
    ['train', 'mug', '--data', 'nowhere'],
    ['train-refiner', 'mug', '--data', 'nowhere', '--models', 'nowhere']])
def test_the_commands_say_so_before_they_read_anything(tmp_path, capsys, command):
    out = tmp_path / 'mug.safetensors'
    out.write_bytes(b'shipped')
    words = [*command, '--run', str(tmp_path / 'run'), '--out', str(out)]
    assert main(words) == 2
    assert 'or --replace to train over them' in capsys.readouterr().err
    assert main([*words, '--replace']) == 2  # now it misses the data
    assert '--replace' not in capsys.readouterr().err
    assert out.read_bytes() == b'shipped'
