# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
import os
import signal

import pytest

from ros2_nabs_pose.training.engine import Engine
from ros2_nabs_pose.training.loop import LOG_EVERY, train_until


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


def test_a_run_that_is_done_takes_no_step(tmp_path):
    trainer = Counting(step=100)
    assert looks(trainer, tmp_path) == [100]
    assert trainer.step == 100
