# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Tests of what is not installed are skipped: the build farm has no torch, a laptop no ROS."""

import re

import pytest

OPTIONAL = {'PIL', 'hypothesis', 'lpips', 'matplotlib', 'mitsuba', 'rclpy', 'rosbags',
            'safetensors', 'scipy', 'tensorboard', 'torch', 'tqdm', 'trimesh', 'vision_msgs'}


def _skip(report, node, name):
    report.outcome = 'skipped'
    # nodeid and not path, which pytest 6 of Humble does not have.
    report.longrepr = node.nodeid, None, f'Skipped: {name} is not installed'


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    """A file that cannot be imported for want of an optional package is no error."""
    outcome = yield
    report = outcome.get_result()
    if report.outcome == 'failed':
        missing = re.findall(r"No module named '([\w.]+)'", str(report.longrepr))
        if missing and missing[-1].split('.')[0] in OPTIONAL:
            _skip(report, collector, missing[-1])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Nor is a test that finds out while it runs."""
    outcome = yield
    report = outcome.get_result()
    error = call.excinfo.value if call.excinfo is not None else None
    if (report.outcome == 'failed' and isinstance(error, ModuleNotFoundError)
            and (error.name or '').split('.')[0] in OPTIONAL):
        _skip(report, item, error.name)
