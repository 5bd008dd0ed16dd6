# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Feature volumes as stacks of slices, in which a CPU convolves a few of them twice as fast.

torch has a fast CPU kernel for 3D convolutions of large batches alone, and each of the small
operations around it costs as much as its arithmetic. As slices, channels last, a volume passes
from one 2D convolution to the next without being copied.
"""

from __future__ import annotations

import torch
from torch import nn, Tensor
from torch.nn import functional


def normalised(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Instance normalisation of x (B, C, ...), then ``scale`` and ``shift`` (B, C).

    As one batch normalisation of B C channels: two operations with their gradients, not twelve.
    """
    flat = x.reshape(1, -1, *x.shape[2:])
    return _batch_norm(flat, scale.reshape(-1), shift.reshape(-1)).view(x.shape)


def normalised_slices(slices: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """``normalised`` of volumes whose slices are given, (B D, C, H, W)."""
    parts = [_batch_norm(part, *rows) for part, *rows in zip(
        slices.chunk(len(scale)), scale.unbind(), shift.unbind(), strict=True)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _batch_norm(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    # Features may have 16 bits; scale and shift then have to have 32.
    exact = torch.promote_types(x.dtype, torch.float32)
    return functional.batch_norm(x, None, None, scale.to(exact), shift.to(exact), training=True,
                                 eps=1e-5)


def to_slices(volume: Tensor) -> Tensor:
    """Slices (B D, C, H, W), channels last, of volumes (B, C, D, H, W)."""
    batch, channels, depth, height, width = volume.shape
    last = volume.permute(0, 2, 3, 4, 1).reshape(batch * depth, height, width, channels)
    return last.permute(0, 3, 1, 2)


def from_slices(slices: Tensor, batch: int) -> Tensor:
    """Volumes (B, C, D, H, W), channels last, of slices (B D, C, H, W); nothing is copied."""
    return slices.permute(0, 2, 3, 1).unflatten(0, (batch, -1)).permute(0, 4, 1, 2, 3)


def convolved_twice_as_fine(conv: nn.Conv3d, slices: Tensor, batch: int) -> Tensor:
    """``conv`` (3 x 3 x 3, padding 1) of volumes at twice their size, nearest voxels repeated.

    slices: (B D, C, H, W), channels last. Returns (2 B D, O, 2 H, 2 W). Of three neighbouring
    slices of the finer volume two are the same one, so their weights are added and a third of the
    work is saved.
    """
    first, middle, last = conv.weight.unbind(2)
    # Of a slice: what it adds to the second behind it, to its own two, and to the one before it.
    kernel = torch.cat((first, middle + last, first + middle, last))
    kernel = kernel.contiguous(memory_format=torch.channels_last)
    fine = functional.interpolate(slices, scale_factor=2, mode='nearest')
    assert conv.bias is not None
    none = torch.zeros_like(conv.bias)
    bias = torch.cat((none, conv.bias, conv.bias, none))
    shares = functional.conv2d(fine, kernel, bias, padding=1).permute(0, 2, 3, 1)
    before, low, high, after = shares.unflatten(0, (batch, -1)).unflatten(4, (4, -1)).unbind(4)
    low = low + functional.pad(before[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0))
    high = high + functional.pad(after[:, 1:], (0, 0, 0, 0, 0, 0, 0, 1))
    return torch.stack((low, high), 2).flatten(0, 2).permute(0, 3, 1, 2)
