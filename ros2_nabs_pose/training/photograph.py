# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What a camera makes of a picture: exposure, colours, blur, motion, noise and JPEG's blocks."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from .surroundings import uniform

IN_FOCUS, MOVED, SHARPENED, PACKED = 0.65, 0.15, 0.4, 0.25
"""Shares of the crops that are sharp, that motion blurs, that the camera sharpens, and that went
through JPEG."""
MOST_NOISE = 0.05
"""Standard deviation of the worst noise, before pictures are sharpened. Half of the crops have less
than an eighth of it: most are cut from pictures of more pixels, whose noise is averaged away."""
EXPOSURE = (-0.75, 0.2)
"""Limits of the natural log of the gain of all channels."""
WARMTH = ((0.05, 0.10), (0.0, 0.03), (-0.12, 0.20))
"""Mean and spread of the log gains of red, green and blue: light indoors is often warm."""
LONGEST_PX = 7.0
"""Of a motion's trace."""
_LUMA = ((16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55),
         (14, 13, 16, 24, 40, 57, 69, 56), (14, 17, 22, 29, 51, 87, 80, 62),
         (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
         (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99))
_CHROMA = ((17, 18, 24, 47), (18, 21, 26, 66), (24, 26, 56, 99), (47, 66, 99, 99))
"""Steps of ITU-T T.81, annex K; the second table is 99 beyond these."""
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def moved(image: Tensor, length_px: Tensor, angle: Tensor) -> Tensor:
    """Pictures (B, 3, S, S) that moved by (B,) pixels along (B,) rad while they were taken."""
    batch, channels, _, _ = image.shape
    reach = int(LONGEST_PX) // 2 + 1
    line = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    cos, sin = torch.cos(angle).view(-1, 1, 1), torch.sin(angle).view(-1, 1, 1)
    along, across = line * cos + line.view(-1, 1) * sin, line.view(-1, 1) * cos - line * sin
    trace = ((0.5 * length_px.view(-1, 1, 1) + 0.5 - along.abs()).clamp(0.0, 1.0)
             * (1.0 - across.abs()).clamp_min(0.0))
    trace = trace / trace.sum((1, 2), keepdim=True)
    padded = functional.pad(image, (reach,) * 4, 'reflect').flatten(0, 1)[None]
    kernels = trace.repeat_interleave(channels, 0)[:, None]
    return functional.conv2d(padded, kernels, groups=batch * channels).view_as(image)


def _quantised(plane: Tensor, table: Tensor) -> Tensor:
    """Planes (B, C, S, S) after a cosine transform of 8 x 8 blocks in steps of (B, 8, 8)."""
    batch, channels, height, width = plane.shape
    k = torch.arange(8, device=plane.device, dtype=plane.dtype)
    transform = 0.5 * torch.cos((2.0 * k + 1.0) * k.view(-1, 1) * math.pi / 16.0)
    transform[0] *= 0.5 ** 0.5
    blocks = plane.view(batch, channels, height // 8, 8, width // 8, 8).permute(0, 1, 2, 4, 3, 5)
    step = table.view(batch, 1, 1, 1, 8, 8)
    blocks = torch.round(transform @ blocks @ transform.T / step) * step
    blocks = transform.T @ blocks @ transform
    return blocks.permute(0, 1, 2, 4, 3, 5).reshape(plane.shape)


def packed(image: Tensor, quality: Tensor) -> Tensor:
    """Pictures (B, 3, S, S) as JPEG of a quality (B,) from 1 to 100 keeps them; S in sixteens.

    Colours are stored at half the resolution.
    """
    scale = torch.where(quality < 50.0, 50.0 / quality, 2.0 - 0.02 * quality).view(-1, 1, 1)
    luma, chroma = image.new_tensor(_LUMA), image.new_full((8, 8), 99.0)
    chroma[:4, :4] = image.new_tensor(_CHROMA)
    tables = [torch.round(table * scale).clamp_min(1.0) for table in (luma, chroma)]
    to_ycc = image.new_tensor(_TO_YCC)
    ycc = torch.einsum('ij,bjhw->bihw', to_ycc, 255.0 * image)
    bright = _quantised(ycc[:, :1] - 128.0, tables[0]) + 128.0
    colour = functional.interpolate(_quantised(functional.avg_pool2d(ycc[:, 1:], 2), tables[1]),
                                    scale_factor=2, mode='bilinear', align_corners=False)
    rgb = torch.einsum('ij,bjhw->bihw', torch.linalg.inv(to_ycc), torch.cat((bright, colour), 1))
    return (rgb / 255.0).clamp(0.0, 1.0)


def _blurred(image: Tensor) -> Tensor:
    """Means over 3 x 3 pixels."""
    return functional.avg_pool2d(functional.pad(image, (1, 1, 1, 1), 'reflect'), 3, 1)


def sharpened(image: Tensor, amount: Tensor) -> Tensor:
    """Pictures (B, 3, S, S) after an unsharp mask, as cameras apply it; amount (B,), 0 none."""
    return (image + amount.view(-1, 1, 1, 1) * (image - _blurred(image))).clamp(0.0, 1.0)


def _soft(image: Tensor) -> Tensor:
    """Out of focus, moved, or enlarged from few pixels, each in some of the pictures."""
    batch, _, size, _ = image.shape
    blurred = _blurred(image)
    blurrier = _blurred(blurred)
    amount = torch.rand(batch, 1, 1, 1, device=image.device) * 2.0
    amount = torch.where(torch.rand_like(amount) < IN_FOCUS, torch.zeros_like(amount), amount)
    soft = torch.where(amount < 1.0, image + amount * (blurred - image),
                       blurred + (amount - 1.0) * (blurrier - blurred))
    some = torch.nonzero(torch.rand(batch, device=image.device) < MOVED)[:, 0]
    if len(some):
        soft = soft.index_copy(0, some, moved(
            soft[some], uniform((len(some),), 1.5, LONGEST_PX, image),
            uniform((len(some),), 0.0, math.pi, image)))
    low = functional.interpolate(functional.avg_pool2d(soft, 2), size=size, mode='bilinear',
                                 align_corners=False)
    return torch.where(torch.rand(batch, 1, 1, 1, device=image.device) < 0.12, low, soft)


def _white(image: Tensor) -> Tensor:
    """Gains (B, 3, 1, 1) of the channels: what the camera's white balance leaves of the light."""
    mean, spread = image.new_tensor(WARMTH).view(3, 2).T
    return torch.exp(mean + spread * torch.randn(len(image), 3, device=image.device))[
        :, :, None, None]


def photographed(image: Tensor) -> Tensor:
    """Pictures (B, 3, S, S) as a real camera takes and stores them."""
    batch, _, size, _ = image.shape
    gamma = torch.exp(uniform((batch, 1, 1, 1), -0.35, 0.35, image))
    gain = torch.exp(uniform((batch, 1, 1, 1), *EXPOSURE, image)) * _white(image)
    soft = _soft(image.clamp(1e-4, 1.0) ** gamma * gain)
    noise = torch.randn_like(soft) * MOST_NOISE * torch.rand_like(gain[:, :1]) ** 3
    taken = (soft + noise).clamp(0.0, 1.0)
    edges = uniform((batch,), 0.1, 0.8, image) * (torch.rand_like(gain[:, 0, 0, 0]) < SHARPENED)
    taken = sharpened(taken, edges)
    some = torch.nonzero(torch.rand(batch, device=image.device) < PACKED)[:, 0]
    if len(some):
        # A crop begins anywhere between the blocks of the picture that it was cut from.
        x, y = int(torch.randint(16, ())), int(torch.randint(16, ()))
        more = 16 + -size % 16
        wider = functional.pad(taken[some], (x, more - x, y, more - y), 'replicate')
        stored = packed(wider, uniform((len(some),), 25.0, 90.0, image))
        taken = taken.index_copy(0, some, stored[:, :, y:y + size, x:x + size])
    return taken
