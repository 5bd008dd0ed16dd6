# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
import os
import sys
import threading
import time

import pytest

from ros2_nabs_pose.worker import be_nicer, Mailbox, ROOM, STEADY, wait_briefly, Worker


def take_waiting(mailbox, job):
    """Take a job that is put only once somebody waits for it."""
    found = []
    thread = threading.Thread(target=lambda: found.append(mailbox.take()))
    thread.start()
    while not mailbox._condition._waiters:
        time.sleep(0.001)
    mailbox.put(job)
    thread.join(5.0)
    assert found == [job]


def steady_mailbox():
    """One that lost jobs, and whose next ones were all waited for."""
    mailbox = slow_mailbox()
    for job in range(STEADY):
        take_waiting(mailbox, job)
    return mailbox


def slow_mailbox():
    """One that has lost jobs."""
    mailbox = Mailbox()
    for job in range(ROOM + 1):
        mailbox.put(job)
    assert (mailbox.take(), mailbox.dropped) == (ROOM, ROOM)
    return mailbox


def test_who_does_not_keep_up_gets_the_newest_job():
    mailbox = slow_mailbox()
    for job in range(5):
        mailbox.put(job)
    assert mailbox.take() == 4
    assert mailbox.dropped == ROOM + 4
    mailbox.put(5)
    mailbox.put(6)
    assert mailbox.take() == 6
    assert mailbox.dropped == ROOM + 5


def test_who_keeps_up_and_is_held_back_once_loses_nothing():
    mailbox = steady_mailbox()
    held_back = [f'job {k}' for k in range(ROOM)]
    for job in held_back:
        mailbox.put(job)
    assert [mailbox.take() for _ in held_back] == held_back
    assert mailbox.dropped == ROOM


def test_who_is_held_back_for_longer_gets_the_newest_and_has_to_keep_up_again():
    mailbox = steady_mailbox()
    for job in range(ROOM):
        mailbox.put(job)
    mailbox.put('newest')
    assert mailbox.take() == 'newest'
    assert mailbox.dropped == 2 * ROOM
    for job in ('four', 'five'):
        mailbox.put(job)
    assert mailbox.take() == 'five'
    assert mailbox.dropped == 2 * ROOM + 1


def test_who_always_finds_a_job_waiting_does_not_keep_up():
    mailbox = slow_mailbox()
    mailbox.put(0)
    for job in range(1, 3 * STEADY):
        assert mailbox.take() == job - 1
        mailbox.put(job)
    mailbox.put('newest')
    assert mailbox.take() == 'newest'
    assert mailbox.dropped == ROOM + 1


def test_a_model_that_cannot_be_loaded_is_told_and_nothing_is_ready():
    told = []
    failed = threading.Event()

    def load():
        raise RuntimeError('no model')

    def fail(error):
        told.append(str(error))
        failed.set()

    worker = Worker(load, lambda model, job: told.append(job), lambda: told.append('ready'), fail)
    worker.put('job')
    worker.start()
    assert failed.wait(5.0)
    assert told == ['no model'] and worker.stop(5.0)


def test_stopping_beside_a_job_that_hangs_returns_in_time():
    began, end = threading.Event(), threading.Event()

    def process(model, job):
        began.set()
        end.wait(10.0)

    worker = Worker(lambda: None, process, lambda: None, lambda error: None)
    worker.start()
    worker.put('job')
    assert began.wait(5.0)
    start = time.monotonic()
    assert not worker.stop(0.1)
    assert time.monotonic() - start < 2.0
    end.set()
    assert worker.stop(5.0)


def test_a_closed_mailbox_gives_nothing_and_wakes_who_waits():
    mailbox = Mailbox()
    found = []
    waiting = threading.Thread(target=lambda: found.append(mailbox.take()))
    waiting.start()
    mailbox.close()
    waiting.join(5.0)
    assert found == [None]
    mailbox.put('late')
    assert mailbox.take() is None


def test_what_fails_in_the_thread_is_told_and_ends_it():
    told = []
    failed = threading.Event()

    def fail(error):
        told.append(str(error))
        failed.set()

    def process(model, job):
        raise RuntimeError(f'{model} cannot do {job}')

    worker = Worker(lambda: 'model', process, lambda: told.append('ready'), fail)
    worker.start()
    worker.put('job')
    assert failed.wait(5.0)
    assert told == ['ready', 'model cannot do job']
    assert worker.stop(5.0)


@pytest.mark.parametrize('said', [{}, {'GOMP_SPINCOUNT': '7'}, {'OMP_WAIT_POLICY': 'ACTIVE'}])
def test_threads_that_wait_sleep_soon_unless_the_user_says_otherwise(monkeypatch, said):
    now = dict(said)
    monkeypatch.setattr(os, 'environ', now)  # so that nothing is left of it for other tests
    wait_briefly()
    assert now == (said or {'GOMP_SPINCOUNT': '1000'})


@pytest.mark.skipif(sys.platform != 'linux', reason='niceness of a thread is told by Linux alone')
def test_a_nicer_thread_and_those_it_starts_let_others_go_first():
    told = []

    def niceness():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def run():
        be_nicer(5)
        told.append(niceness())
        child = threading.Thread(target=lambda: told.append(niceness()))
        child.start()
        child.join()

    own = niceness()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert told == [min(own + 5, 19)] * 2
    assert niceness() == own
