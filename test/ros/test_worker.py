# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The worker: newest job first, counted drops, an end within time, failures reported."""

import threading
import time

import pytest

from ros2_nabs_pose.worker import Worker


class Harness:
    """A worker whose jobs wait until they are let go."""

    def __init__(self, load=lambda: 'model'):
        self.done, self.failures = [], []
        self.ready, self.entered, self.failed = (threading.Event() for _ in range(3))
        self.go = threading.Semaphore(0)
        self.worker = Worker(load, self.process, self.ready.set, self.fail)

    def process(self, model, job):
        self.entered.set()
        if not self.go.acquire(timeout=5.0):
            raise TimeoutError
        if job == 'broken':
            raise RuntimeError('broken')
        self.done.append((model, job))

    def fail(self, error):
        self.failures.append(error)
        self.failed.set()


def wait_for(condition):
    deadline = time.monotonic() + 5.0
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert condition()


def test_newest_job_wins_and_the_others_are_counted():
    h = Harness()
    h.worker.start()
    h.worker.put(0)
    assert h.entered.wait(5.0)
    for job in (1, 2, 3):
        h.worker.put(job)
    for _ in range(2):
        h.go.release()
    wait_for(lambda: len(h.done) == 2)
    assert h.done == [('model', 0), ('model', 3)]
    assert h.worker.dropped == 2
    assert h.worker.stop(1.0)


def test_put_returns_at_once_while_a_job_runs():
    h = Harness()
    h.worker.start()
    h.worker.put(0)
    assert h.entered.wait(5.0)
    began = time.perf_counter()
    for job in range(1000):
        h.worker.put(job)
    assert time.perf_counter() - began < 0.5
    h.go.release(2)
    assert h.worker.stop(2.0)


def test_stop_does_not_wait_for_a_job_that_hangs():
    h = Harness()
    h.worker.start()
    h.worker.put(0)
    assert h.entered.wait(5.0)
    began = time.perf_counter()
    assert not h.worker.stop(0.2)
    assert time.perf_counter() - began < 1.0
    h.go.release()


def test_a_stopped_worker_gives_up_the_job_that_waits():
    h = Harness()
    h.worker.start()
    h.worker.put('first')
    assert h.entered.wait(5.0)
    h.worker.put('second')
    threading.Timer(0.1, h.go.release).start()
    assert h.worker.stop(2.0)
    assert h.done == [('model', 'first')]


@pytest.mark.parametrize('job', [None, 'broken'])
def test_a_failure_is_handed_over(job):
    def no_weights():
        raise OSError('no weights')

    h = Harness(load=no_weights) if job is None else Harness()
    h.worker.start()
    if job is not None:
        h.go.release()
        h.worker.put(job)
    assert h.failed.wait(5.0)
    assert str(h.failures[0]) == ('no weights' if job is None else 'broken')
    assert h.ready.is_set() == (job is not None)
    assert h.worker.stop(1.0)
