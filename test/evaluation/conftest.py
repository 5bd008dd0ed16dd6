# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Fixtures of the evaluation's tests."""

import pytest
from tiny_set import annotation, write_annotations


@pytest.fixture
def tiny(tmp_path):
    """Folder of a set with one frame and one mug."""
    return write_annotations(tmp_path, [[annotation()]])
