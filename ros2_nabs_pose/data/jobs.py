# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Runs many independent jobs on processes, one per core, with progress and a clean Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
import multiprocessing
import os
import signal
import traceback
from typing import Any

from tqdm import tqdm


def default_workers() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else (
        os.cpu_count() or 1)


def shard(items: Sequence[Any], index: int, count: int) -> list[Any]:
    """Every ``count``-th item from ``index`` (0-based): the shards together are all items."""
    return list(items[index::count])


def _prepare() -> None:
    # Ctrl-C reaches the whole process group; only the parent reacts to it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'):
        os.environ[name] = '1'


def _guarded(job: tuple[Callable[..., Any], tuple]) -> tuple[tuple, str | None]:
    function, arguments = job
    try:
        function(*arguments)
    except Exception:  # a broken job must not take the others with it; it is reported at the end
        return arguments, traceback.format_exc()
    return arguments, None


def run_jobs(function: Callable[..., Any], arguments: Iterable[tuple], workers: int,
             unit: str) -> list[tuple[tuple, str]]:
    """Calls ``function(*args)`` for every args; returns those that failed with their tracebacks.

    KeyboardInterrupt ends the workers at once and is passed on; what was written stays complete.
    """
    jobs = [(function, a) for a in arguments]
    failures = []
    with tqdm(total=len(jobs), unit=unit, dynamic_ncols=True, mininterval=1.0) as bar:
        if workers <= 1 or len(jobs) <= 1:
            for job in jobs:
                _, error = _guarded(job)
                if error:
                    failures.append((job[1], error))
                bar.update()
            return failures
        # spawn: Mitsuba's thread pool does not survive a fork.
        pool = multiprocessing.get_context('spawn').Pool(min(workers, len(jobs)), _prepare)
        try:
            for done, error in pool.imap_unordered(_guarded, jobs):
                if error:
                    failures.append((done, error))
                bar.update()
            pool.close()
        finally:
            pool.terminate()
            pool.join()
    return failures
