# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A pipeline with known answers in place of the real one."""

from pathlib import Path
import sys

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'evaluation'))

from tiny_set import annotation, KnownErrors, write_annotations

import ros2_nabs_pose.core


@pytest.fixture
def known(monkeypatch):
    """The pipeline that every ``PosePipeline.load`` now gives; ``loaded`` holds its arguments."""
    pipeline = KnownErrors(spin_deg=8.0)

    def load(categories=None, **arguments):
        pipeline.loaded = {'categories': categories} | arguments
        return pipeline

    monkeypatch.setattr(ros2_nabs_pose.core.PosePipeline, 'load', load)
    return pipeline


@pytest.fixture
def tiny(tmp_path):
    """Folder of a set with one frame and one mug."""
    return write_annotations(tmp_path, [[annotation()]])
