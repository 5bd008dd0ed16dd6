# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Pose estimation without ROS: ``PosePipeline.load(...)``, then ``.estimate(image, K, boxes)``."""

from typing import Any, TYPE_CHECKING

from .types import Box, Failure, FrameResult, Ground, Intrinsics, PoseError, PoseEstimate

if TYPE_CHECKING:
    from .pipeline import PosePipeline

__all__ = ['Box', 'Failure', 'FrameResult', 'Ground', 'Intrinsics', 'PoseError',
           'PoseEstimate', 'PosePipeline']


def __getattr__(name: str) -> Any:
    """Load the pipeline, and torch with it, when it is first asked for: messages need neither."""
    if name == 'PosePipeline':
        from .pipeline import PosePipeline

        return PosePipeline
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
