# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
import math
import os
import signal

import pytest
import torch

from ros2_nabs_pose.training.engine import Engine
from ros2_nabs_pose.training.loop import append_row, descend, LOG_EVERY, train_until


class Counting:
    """Takes steps, and is interrupted at one of them."""

    def __init__(self, stop_at=None, step=0):
        self.step, self.stop_at = step, stop_at

    def train_step(self):
        self.step += 1
        if self.step == self.stop_at:
            os.kill(os.getpid(), signal.SIGINT)
        return {'loss': float(self.step)}


def looks(trainer, tmp_path, steps=100, every=40):
    seen = []
    train_until(trainer, steps, tmp_path, Engine(), lambda: seen.append(trainer.step), every)
    return seen


def test_it_looks_now_and_then_and_at_the_end_and_logs_means(tmp_path):
    assert looks(Counting(), tmp_path) == [40, 80, 100]
    header, *rows = (tmp_path / 'log.csv').read_text().split()
    assert header == 'step,time,loss'
    assert [(int(r.split(',')[0]), float(r.split(',')[2])) for r in rows] == [
        (LOG_EVERY, pytest.approx(25.5)), (2 * LOG_EVERY, pytest.approx(75.5))]


@pytest.mark.parametrize('stop_at', [7, 40])
def test_asked_to_stop_it_finishes_the_step_and_looks_once(tmp_path, stop_at, capsys):
    before = signal.getsignal(signal.SIGINT)
    trainer = Counting(stop_at)
    assert looks(trainer, tmp_path) == [stop_at]
    assert trainer.step == stop_at
    assert signal.getsignal(signal.SIGINT) is before
    assert f'Stopped at step {stop_at}; the same command goes on' in capsys.readouterr().out


def test_rows_of_other_columns_go_into_a_file_of_their_own(tmp_path):
    path = tmp_path / 'log.csv'
    for row in ({'step': 1, 'loss': 2.0}, {'step': 2, 'loss': 1.0}, {'step': 3, 'new': 7.0},
                {'step': 4, 'new': 8.0}, {'step': 5, 'loss': 0.5}):
        append_row(path, row)
    assert path.read_text().split() == ['step,loss', '5,0.5']
    assert (tmp_path / 'log.1.csv').read_text().split() == ['step,loss', '1,2.0', '2,1.0']
    assert (tmp_path / 'log.2.csv').read_text().split() == ['step,new', '3,7.0', '4,8.0']


def test_a_run_that_is_done_takes_no_step(tmp_path):
    trainer = Counting(step=100)
    assert looks(trainer, tmp_path) == [100]
    assert trainer.step == 100


def test_a_step_goes_down_the_sum_of_terms_and_no_step_where_it_is_no_number():
    weight = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    optimizer = torch.optim.SGD([weight], lr=9.0)
    told = descend({'a': (weight ** 2).sum(), 'b': weight.sum()}, optimizer, Engine(), 0.5, 100.0)
    assert told == {'loss': 32.0, 'a': 25.0, 'b': 7.0}
    assert weight.tolist() == [-0.5, -0.5]  # the gradient is (7, 9), the rate the one given
    told = descend({'a': 3.0 * weight[0] + 4.0 * weight[1]}, optimizer, Engine(), 1.0, 1.0)
    assert weight.tolist() == pytest.approx([-1.1, -1.3])  # no longer than 1
    before = weight.detach().clone()
    told = descend({'a': (weight * float('nan')).sum()}, optimizer, Engine(), 1.0, 1.0)
    assert math.isnan(told['loss']) and torch.equal(weight, before)
