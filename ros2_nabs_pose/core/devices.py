# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What there is to compute on."""

from __future__ import annotations

import torch

from .types import PoseError


def check_device(device: str) -> None:
    """PoseError in one sentence where torch does not know or does not find ``device``."""
    try:
        torch.device(device)
    except RuntimeError as error:
        raise PoseError(f'There is no device "{device}": give "cpu", "cuda" or '
                        '"cuda:1".') from error
    if device.startswith('cuda') and not torch.cuda.is_available():
        raise PoseError('The device "cuda" was asked for, but torch finds no GPU: use '
                        '"cpu", or install a CUDA build of torch.')
    if device.startswith('cuda') and (torch.device(device).index or 0) >= (
            count := torch.cuda.device_count()):
        raise PoseError(f'There is no device "{device}": torch finds {count} GPU(s), the first '
                        'is "cuda:0".')
