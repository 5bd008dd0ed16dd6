# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What is done to feature volumes: normalised, convolved as stacks of slices, sampled.

As slices a CPU convolves a few volumes twice as fast: torch has a fast CPU kernel for 3D
convolutions of large batches alone, and each of the small operations around it costs as much as
its arithmetic. As slices, channels last, a volume passes from one 2D convolution to the next
without being copied.
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


def twice_as_fine(conv: nn.Conv3d) -> tuple[Tensor, Tensor]:
    """Weight and bias of ``convolved_twice_as_fine`` that stand for ``conv`` (3 x 3 x 3).

    Weight (I, 4 O, 4, 4), bias (4 O,). Of a voxel repeated along an axis, the three taps there
    reach four finer voxels, its own two and their neighbours. Along the depth the four are
    channels, O each.
    """
    reach = conv.weight.new_tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 0.0],
                                    [1.0, 0.0, 0.0]])
    weight = torch.einsum('oidyx,ad,by,cx->iaobc', conv.weight, reach, reach, reach).flatten(1, 2)
    assert conv.bias is not None
    none = torch.zeros_like(conv.bias)
    return (weight.contiguous(memory_format=torch.channels_last),
            torch.cat((none, conv.bias, conv.bias, none)))


def convolved_twice_as_fine(weight: Tensor, bias: Tensor, slices: Tensor, batch: int) -> Tensor:
    """A convolution (3 x 3 x 3, padding 1) of volumes at twice their size, nearest voxels repeated.

    weight, bias: as from ``twice_as_fine``. slices: (B D, C, H, W), channels last. Returns
    (2 B D, O, 2 H, 2 W). Repeated voxels share their products: eight a voxel in place of 27.
    """
    shares = functional.conv_transpose2d(slices, weight, bias, stride=2, padding=1)
    shares = shares.permute(0, 2, 3, 1)
    # Of a slice: what it adds to the one before it, to its own two, and to the one behind it.
    before, low, high, after = shares.unflatten(0, (batch, -1)).unflatten(4, (4, -1)).unbind(4)
    low = low + functional.pad(after[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0))
    high = high + functional.pad(before[:, 1:], (0, 0, 0, 0, 0, 0, 0, 1))
    return torch.stack((low, high), 2).flatten(0, 2).permute(0, 3, 1, 2)


_compiling = getattr(torch.compiler, 'is_compiling', bool)  # former versions of torch lack it


def sampled(volume: Tensor, grid: Tensor) -> Tensor:
    """Trilinear samples (B, C, D, H, W) of volumes (B, C, ...) at a grid (B, D, H, W, 3).

    Zero outside. torch gives each volume of a batch to one thread; where there are more threads
    than volumes, several take a part of a volume's samples each. For that several volumes are
    copied; one is not. Compiled networks cannot ask for the threads and go without.
    """
    parts, batch = 1, len(volume)
    if volume.device.type == 'cpu' and not _compiling():
        while 2 * parts * batch <= torch.get_num_threads() and grid.shape[1] % (2 * parts) == 0:
            parts *= 2
    if parts > 1:
        volume = volume[:, None].expand(-1, parts, -1, -1, -1, -1).flatten(0, 1)
        grid = grid.unflatten(1, (parts, -1)).flatten(0, 1)
    seen = functional.grid_sample(volume, grid, mode='bilinear', padding_mode='zeros',
                                  align_corners=False)
    return seen if parts == 1 else seen.unflatten(0, (batch, parts)).transpose(1, 2).flatten(2, 3)
