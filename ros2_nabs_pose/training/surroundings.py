# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What lies behind, beside and in front of an object in a crop that training composes."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from ..core.generator import pixel_line, warp_to_crop

BESIDE = 0.4
"""Share of the crops with another object beside and behind."""
IN_FRONT = 0.4
"""Share of the crops with something in front, unless it would hide too much."""
MOST_HIDDEN = 0.35
"""Share of an object that may be hidden by what stands in front of it, in training."""


def uniform(shape: tuple[int, ...], low: float, high: float, like: Tensor) -> Tensor:
    """Numbers between low and high where ``like`` lives."""
    return torch.rand(shape, device=like.device) * (high - low) + low


def background_of(pool: Tensor | None, batch: int, size: int, like: Tensor) -> Tensor:
    """Random crops of clutter pictures (N, 3, H, W), or smooth noise for every fifth picture."""
    noise = functional.interpolate(torch.rand(batch, 3, 5, 5, device=like.device), size=size,
                                   mode='bicubic', align_corners=False).clamp(0.0, 1.0)
    fine = uniform((batch, 1, 1, 1), 0.0, 0.3, like) * (
        torch.rand(batch, 3, size, size, device=like.device) - 0.5)
    noise = (noise + fine).clamp(0.0, 1.0)
    if pool is None:
        return noise
    pick = torch.randint(len(pool), (batch,), device='cpu')
    pictures = pool[pick].to(like.device).to(like.dtype)
    zoom = uniform((batch,), 0.35, 0.95, like)
    flip = torch.where(torch.rand(batch, device=like.device) < 0.5, -1.0, 1.0)
    shift = uniform((batch, 2), -1.0, 1.0, like) * (1.0 - zoom)[:, None]
    zero = torch.zeros_like(zoom)
    theta = torch.stack((torch.stack((zoom * flip, zero, shift[:, 0]), 1),
                         torch.stack((zero, zoom, shift[:, 1]), 1)), 1)
    grid = functional.affine_grid(theta, [batch, 3, size, size], align_corners=False)
    pictures = functional.grid_sample(pictures, grid, align_corners=False,
                                      padding_mode='reflection')
    use_noise = (torch.rand(batch, 1, 1, 1, device=like.device) < 0.2).to(like.dtype)
    return noise * use_noise + pictures * ((1.0 - use_noise) / 255.0)


def others_of(own_light: Tensor, scale: Tensor, size_px: int) -> tuple[Tensor, Tensor]:
    """Another of the batch's objects beside each: colour times alpha (B, 3, S, S), and alpha.

    own_light: (B, 4, S', S') upright views (``Views.own_light``). scale: (B,) apparent radius of
    the crops' own objects, half widths. They stand, lean or lie, in other colours, larger or
    smaller, their middle somewhere between the object's own edge and beyond the crop's.
    """
    batch = len(own_light)
    others = own_light.roll(1 + int(torch.randint(max(batch - 1, 1), ())), 0)
    order = torch.argsort(torch.rand(batch, 3, device=own_light.device), 1)
    colour = others[:, :3].gather(1, order[:, :, None, None].expand_as(others[:, :3]))
    lean = torch.where(torch.rand(batch, device=own_light.device) < 0.6,
                       torch.randn(batch, device=own_light.device) * math.radians(14.0),
                       uniform((batch,), -math.pi, math.pi, own_light))
    own = scale * uniform((batch,), 0.5, 1.3, own_light)
    toward = uniform((batch,), 0.0, 2.0 * math.pi, own_light)
    away = uniform((batch,), 0.6, 1.4, own_light)
    at = torch.stack((torch.cos(toward), 0.6 * torch.sin(toward)), 1) * away[:, None]
    placed = warp_to_crop(torch.cat((colour, others[:, 3:]), 1), lean, at, own, size_px)
    return placed[:, :3], placed[:, 3:].clamp(0.0, 1.0)


def with_others(background: Tensor, own_light: Tensor, scale: Tensor) -> Tensor:
    """Backgrounds (B, 3, S, S), some of them with another object (``others_of``)."""
    colour, alpha = others_of(own_light, scale, background.shape[-1])
    beside = (torch.rand(len(background), 1, 1, 1, device=background.device) < BESIDE).to(
        background.dtype)
    return background * (1.0 - beside * alpha) + beside * colour


def _strip(like: Tensor) -> Tensor:
    """Coverage (B, 1, S, S) of a half plane or a strip that reaches in from a side."""
    batch, _, size, _ = like.shape
    line = pixel_line(size, like)
    v, u = torch.meshgrid(line, line, indexing='ij')
    angle = uniform((batch, 1, 1), 0.0, 2.0 * math.pi, like)
    across = u * torch.cos(angle) + v * torch.sin(angle)
    along = -u * torch.sin(angle) + v * torch.cos(angle)
    edge = uniform((batch, 1, 1), 0.15, 0.9, like)
    half_width = torch.where(torch.rand(batch, 1, 1, device=like.device) < 0.5,
                             uniform((batch, 1, 1), 0.1, 0.5, like),
                             torch.full((batch, 1, 1), 9.0, device=like.device))
    offset = uniform((batch, 1, 1), -0.5, 0.5, like)
    softness = 0.5 * size
    return (torch.sigmoid((across - edge) * softness)
            * torch.sigmoid((half_width - (along - offset).abs()) * softness)).unsqueeze(1)


def occluder_of(pool: Tensor | None, own_light: Tensor, scale: Tensor, alpha: Tensor,
                most_hidden: float = MOST_HIDDEN) -> tuple[Tensor, Tensor]:
    """Colour times coverage (B, 3, S, S) and coverage (B, 1, S, S) of something in front.

    A strip or half plane filled with clutter, or another object. alpha: (B, 1, S, S) of the object,
    of which no more than ``most_hidden`` is hidden: where it would be, nothing stands in front.
    """
    batch, _, size, _ = alpha.shape
    cover = _strip(alpha)
    colour, other_cover = others_of(own_light, scale, size)
    other = torch.rand(batch, device=alpha.device) < 0.5
    cover = torch.where(other.view(-1, 1, 1, 1), other_cover, cover)
    hidden = (cover * alpha).flatten(1).sum(1) / alpha.flatten(1).sum(1).clamp_min(1.0)
    keep = (hidden < most_hidden) & (torch.rand(batch, device=alpha.device) < IN_FRONT)
    # Few crops show a strip; pictures to fill it cost too much to be taken for all.
    filled = torch.nonzero(keep & ~other)[:, 0]
    if len(filled):
        colour = colour.index_copy(0, filled, background_of(pool, len(filled), size, alpha)
                                   * cover[filled])
    keep = keep.to(cover.dtype).view(-1, 1, 1, 1)
    return colour * keep, cover * keep


def shade(image: Tensor) -> Tensor:
    """Light that is not the same everywhere, in a third of the pictures (B, 3, S, S).

    Soft patches, or the edge of a shadow that falls across object and background alike.
    """
    batch, _, size, _ = image.shape
    patches = functional.interpolate(
        torch.randn(batch, 1, 3, 3, device=image.device), size=size, mode='bicubic',
        align_corners=False)
    patches = torch.exp(uniform((batch, 1, 1, 1), 0.05, 0.3, image) * patches)
    line = pixel_line(size, image)
    angle = uniform((batch, 1, 1, 1), 0.0, 2.0 * math.pi, image)
    beyond = (line * torch.cos(angle) + line.view(-1, 1) * torch.sin(angle)
              - uniform((batch, 1, 1, 1), -0.6, 0.6, image))
    edge = torch.sigmoid(beyond * torch.exp(uniform((batch, 1, 1, 1), 1.0, 4.0, image)))
    cast = 1.0 - uniform((batch, 1, 1, 1), 0.1, 0.5, image) * edge
    kind = torch.rand(batch, 1, 1, 1, device=image.device)
    return image * torch.where(kind < 0.17, patches, torch.where(
        kind < 0.34, cast, torch.ones_like(cast)))
