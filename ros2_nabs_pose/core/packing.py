# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""How weights are stored: large layers in 8 bits a number, the rest in 16.

Quantisation is symmetric, with a scale of its own for every row (output channel) of a layer.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .types import PoseError

LARGE = 50_000
"""Numbers in a tensor from which it is stored in 8 bits: few layers hold most of the weights."""
SCALE = '.scale'
"""Ending of the name under which a tensor's scales are stored, beside it."""


def packed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as they are stored; large ones (N, ...) as int8 and (N,) float32 scales.

    A row's largest number is 127 times its scale, so a number is off by half a scale at most.
    """
    stored: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if not value.is_floating_point():
            stored[name] = value.contiguous()
        elif value.dim() < 2 or value.numel() < LARGE or not torch.isfinite(value).all():
            # What is no number stays none, so that whoever reads the file refuses it.
            stored[name] = value.to(torch.float16).contiguous()
        else:
            rows = value.float().contiguous().flatten(1)
            scale = rows.abs().amax(1) / 127.0
            whole = torch.round(rows / scale.clamp_min(1e-30)[:, None])  # rows of zeros stay so
            stored[name] = whole.to(torch.int8).view(value.shape)
            stored[name + SCALE] = scale
    return stored


def unpacked(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in float32 of what ``packed``, or a former version, stored.

    PoseError where scales are missing or belong to nothing.
    """
    weights: dict[str, Tensor] = {}
    for name, value in stored.items():
        if name.endswith(SCALE):
            if name.removesuffix(SCALE) not in stored:
                raise PoseError(f'scales of "{name.removesuffix(SCALE)}", which is missing')
            continue
        if value.dtype == torch.int8:
            scale = stored.get(name + SCALE)
            if scale is None or scale.shape != value.shape[:1]:
                raise PoseError(f'no scales of "{name}"')
            value = value.float() * scale.float().view(-1, *(1,) * (value.dim() - 1))
        weights[name] = value.float() if value.is_floating_point() else value
    return weights
