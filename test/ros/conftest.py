# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What several tests of the ROS side start from."""

import math

import numpy as np
import pytest

from ros2_nabs_pose.core.types import Box, CropView, PoseEstimate, SCALE_CATEGORY_MEAN


@pytest.fixture
def estimate():
    # Half a radian about x: the object's z axis leans from straight up in the image.
    c, s = math.cos(0.5), math.sin(0.5)
    T_cam_obj = np.eye(4)
    T_cam_obj[:3, :3] = [[0, 1, 0], [s, 0, -c], [-c, 0, -s]]
    T_cam_obj[:3, 3] = (0.1, -0.2, 0.7)
    return PoseEstimate(
        category='mug', track_id='7', box=Box(1, 2, 3, 4, 'mug'), T_cam_obj=T_cam_obj,
        size_m=np.array([0.11, 0.08, 0.1]), box_center_m=np.array([0.015, 0.0, 0.0]),
        confidence=0.75, covariance=np.arange(36.0).reshape(6, 6),
        scale_source=SCALE_CATEGORY_MEAN, loss=0.1, iterations=5, warm=False, seconds=0.1,
        latent=np.zeros(4), view=CropView(np.eye(3), 64.0, 64),
        crop_rgb=np.zeros((64, 64, 3), np.float32),
        synthesis_rgba=np.zeros((64, 64, 4), np.float32))
