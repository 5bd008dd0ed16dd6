# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A set written as a bag and read back is the same set."""

import numpy as np
import pytest
from tiny_set import annotation, write_annotations

from ros2_nabs_pose.bags import write_sequence
from ros2_nabs_pose.core.types import PoseError
from ros2_nabs_pose.evaluation.from_bag import unpack_bag
from ros2_nabs_pose.evaluation.sets import load_frame, read_set


def test_bag_and_back(tmp_path):
    write_annotations(tmp_path, [[annotation(), annotation(id='b', yaw_visible=False)]],
                      sequence='s', distortion=[0.1, 0.01, 0.0, 0.0, 0.0])
    write_sequence(tmp_path, tmp_path / 'bag')
    unpack_bag(tmp_path / 'bag', tmp_path / 'again')
    before, after = read_set(tmp_path).frames[0], read_set(tmp_path / 'again').frames[0]
    assert after.intrinsics == before.intrinsics and after.distortion == before.distortion
    for a, b in zip(before.objects, after.objects, strict=True):
        assert (a.id, a.category, a.yaw_visible) == (b.id, b.category, b.yaw_visible)
        assert a.box == b.box
        np.testing.assert_allclose(b.T_cam_obj, a.T_cam_obj, atol=1e-9)
        np.testing.assert_allclose(b.size_m, a.size_m)
        np.testing.assert_allclose(b.box_center_m, a.box_center_m, atol=1e-9)
    assert load_frame(after).image.shape == (240, 320, 3)


def test_bag_that_is_none(tmp_path):
    with pytest.raises(PoseError, match='no bag'):
        unpack_bag(tmp_path / 'none', tmp_path / 'out')
