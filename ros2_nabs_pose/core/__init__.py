# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Pose estimation without ROS: ``PosePipeline.load(...)``, then ``.estimate(image, K, boxes)``."""

from .pipeline import PosePipeline
from .types import Box, Failure, FrameResult, Intrinsics, PoseError, PoseEstimate

__all__ = ['Box', 'Failure', 'FrameResult', 'Intrinsics', 'PoseError', 'PosePipeline',
           'PoseEstimate']
