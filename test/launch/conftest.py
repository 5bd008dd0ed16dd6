# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The folder of launch files looks like a package ``launch`` without content: ask for its parts."""

import importlib.util
import os

import pytest


def _importable():
    try:
        return all(importlib.util.find_spec(name) for name in ('launch.actions', 'launch_ros'))
    except ModuleNotFoundError:
        return False


collect_ignore = [] if _importable() else ['launch_harness.py']


@pytest.fixture
def prefix(tmp_path, monkeypatch):
    """An ament prefix with this package and stand-ins for what its launch files start."""
    from launch_harness import Prefix

    made = Prefix(tmp_path / 'prefix')
    for executable in ('nabs_pose_node', 'box_publisher', 'yolo_adapter'):
        made.add_stand_in('ros2_nabs_pose', executable)
    made.before = os.environ.get('AMENT_PREFIX_PATH', '')
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(made.folder))
    monkeypatch.setenv('PATH', f'{made.folder / "bin"}:/usr/bin:/bin')
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path / 'log'))
    return made
