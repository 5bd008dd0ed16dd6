# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A mailbox that keeps only the newest jobs, and the one thread that owns the model.

Callbacks put jobs and go on at once; a job that a newer one replaces before the thread took it
is counted as stale. Nothing here knows ROS.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
import contextlib
import os
import sys
import threading
from typing import Generic, TypeVar

Job = TypeVar('Job')
Model = TypeVar('Model')


STEADY = 10
"""So many jobs since the last loss that the thread was waiting for: it keeps up, more may
wait. Not at the beginning: after a first, long job fresh answers are worth more than all."""
ROOM = 3
"""So many jobs wait at most for a thread that keeps up: with ten a second that bridges a quarter of
a second on a busy machine, and is worked off soon."""


class Mailbox(Generic[Job]):
    """Room for the newest job, and for ROOM while jobs are taken as fast as they come.

    A thread that is too slow gets the newest job each time, so that answers are as fresh as they
    can be. One that keeps up and is held back once loses nothing: it takes them in their order and
    has caught up soon.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._jobs: deque[Job] = deque()
        self._closed = False
        self._dropped = 0
        self._waited_for = 0

    @property
    def dropped(self) -> int:
        """How many jobs a newer one replaced."""
        return self._dropped

    def put(self, job: Job) -> None:
        """Leave a job; never waits for whoever takes it."""
        with self._condition:
            room = ROOM if self._waited_for >= STEADY else 1
            if len(self._jobs) >= room:
                # Behind for more than a moment: what waits is stale.
                self._dropped += len(self._jobs)
                self._jobs.clear()
                self._waited_for = 0
            self._jobs.append(job)
            self._condition.notify()

    def take(self) -> Job | None:
        """Wait for a job; None once the mailbox is closed."""
        with self._condition:
            idle = not self._jobs
            self._condition.wait_for(lambda: self._jobs or self._closed)
            if self._closed:
                return None
            self._waited_for += idle
            return self._jobs.popleft()

    def close(self) -> None:
        """Wake whoever waits, for good; jobs that still wait are given up."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()


class Worker(Generic[Job, Model]):
    """One thread: load the model once, then process the newest jobs until ``stop``.

    load: builds the model, in the thread. process: one job; must not raise for bad input.
    on_ready: called in the thread after ``load``. on_failure: called in the thread with the
    exception that ended it, from ``load`` or from ``process``; no job is taken after that.
    """

    def __init__(self, load: Callable[[], Model], process: Callable[[Model, Job], None],
                 on_ready: Callable[[], None], on_failure: Callable[[Exception], None]) -> None:
        self._load = load
        self._process = process
        self._on_ready = on_ready
        self._on_failure = on_failure
        self._mailbox: Mailbox[Job] = Mailbox()
        # A daemon, so that a fit that cannot be interrupted never keeps a process alive.
        self._thread = threading.Thread(target=self._run, name='pose_worker', daemon=True)

    @property
    def dropped(self) -> int:
        """How many jobs were stale before the thread could take them."""
        return self._mailbox.dropped

    def start(self) -> None:
        """Begin to load; returns at once."""
        self._thread.start()

    def put(self, job: Job) -> None:
        """Hand over a job; returns at once."""
        self._mailbox.put(job)

    def stop(self, timeout_s: float) -> bool:
        """End after the job in hand; whether the thread was gone within ``timeout_s``."""
        self._mailbox.close()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            model = self._load()
            self._on_ready()
            while (job := self._mailbox.take()) is not None:
                self._process(model, job)
        except Exception as error:  # the thread's boundary: whoever owns it decides
            self._on_failure(error)


SPINS = '1000'
"""Turns that a waiting thread of a fit takes before it sleeps (libgomp: 300 000)."""


def wait_briefly() -> None:
    """Let threads of a fit that wait for each other sleep soon; before torch is loaded.

    One that spins on keeps its core from the one that it waits for, where others need the rest:
    beside one busy process on two cores a fit then takes seconds. Sleeping at once costs an idle
    machine half a fit's time, so they spin a little. What the user's environment says goes first.
    """
    if not {'GOMP_SPINCOUNT', 'OMP_WAIT_POLICY'} & set(os.environ):
        os.environ['GOMP_SPINCOUNT'] = SPINS


def be_nicer(by: int) -> None:
    """Let all other threads go before this one and those that it starts, by ``by`` of niceness.

    With every core at work a callback of some tenths of a millisecond then gets a core at once.
    Nothing where the system has no niceness for each thread.
    """
    if sys.platform != 'linux':  # elsewhere it is the whole process's
        return
    thread = threading.get_native_id()
    # Threads that cannot be made nicer work as well, later.
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + by)
