# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Codes of objects whose size is known.

Three sides of a box say what its proportions are: of all codes that look like the picture, those
are left that draw such a box, and one that is drawn as high as it is does not have to lean to look
so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math

import torch
from torch import Tensor

from .generator import Generator

SIDE_SPREAD = 0.03
"""How well a code tells the logarithm of a side beside the others, where it is known itself."""
RADIUS_SPREAD = 0.15
"""How well it tells the logarithm of the radius in metres."""
DOUBT = 2.0
"""Spreads of a code count so many times: what was measured is surer than what looks tell."""
STEPS = 3
"""Gauss-Newton steps from a code to the one that a told size makes of it."""
SHARES = (0.0, 0.25, 0.5, 1.0)
"""How much of a step is tried: proportions are no straight function of the code."""


def with_known_sides(generator: Generator, codes: Tensor, sureness: Tensor,
                     sides: Sequence[Sequence[float] | None]) -> Tensor:
    """Codes (B, D), those moved (``code_of_size``) of whose objects three sides are known.

    sides: of each object as ``check_size`` gives them, None where nothing is known.
    """
    known = {i: told for i, told in enumerate(sides) if told is not None and len(told) == 3}
    if not known:
        return codes
    rows = torch.tensor(list(known), device=codes.device)
    moved = code_of_size(generator, codes[rows], sureness[rows],
                         codes.new_tensor(list(known.values())))
    return codes.index_copy(0, rows, moved)


def code_of_size(generator: Generator, code: Tensor, sureness: Tensor, sides_m: Tensor) -> Tensor:
    """Codes (B, D) that draw boxes of three told sides and are as likely as can be.

    code, sureness: (B, D) mean of what is known of each code, and one over its variances. sides_m:
    (B, 3) metres. The most likely code under that Gaussian and the told sides, each of which is
    drawn with ``SIDE_SPREAD`` and all with ``RADIUS_SPREAD``; its own spreads count ``DOUBT``
    times. An iterated Kalman update; where it finds no likelier code, the code stays. Colours are
    seen, whatever the size: their numbers stay.
    """
    told, config = sides_m.double().log(), generator.config
    shape = torch.zeros(config.latent_dim, dtype=torch.float64, device=code.device)
    shape[config.colour_dims:config.latent_dim - 3 * config.palette] = 1.0
    precision = sureness.double() / DOUBT ** 2
    variance = shape / precision
    noise = torch.full((3, 3), RADIUS_SPREAD ** 2, dtype=torch.float64, device=code.device)
    noise += SIDE_SPREAD ** 2 * torch.eye(3, dtype=torch.float64, device=code.device)
    shares = told.new_tensor(SHARES)[:, None, None]
    rows = torch.arange(len(code), device=code.device)

    def sides(codes: Tensor) -> Tensor:
        made = generator.proportions(generator.style(codes.to(code.dtype)))
        return (made.size.log() + made.log_radius_m[..., None]).double()

    def unlikely(codes: Tensor) -> Tensor:
        off = sides(codes.flatten(0, 1)).unflatten(0, codes.shape[:2]) - told
        odds = ((codes - mean).square() * precision).sum(2) + (
            off * torch.linalg.solve(noise, off, left=False)).sum(2)
        return odds.nan_to_num(math.inf)

    mean = now = code.double()
    for _ in range(STEPS):
        drawn, slope = _with_slope(sides, now)
        across = slope * variance[:, None]  # (B, 3, D)
        gain = torch.linalg.solve(across @ slope.transpose(1, 2) + noise, across)
        off = told - drawn - (slope @ (mean - now)[:, :, None])[..., 0]
        step = mean + (gain.transpose(1, 2) @ off[:, :, None])[..., 0] - now
        tried = now + shares * step
        now = tried[unlikely(tried).argmin(0), rows]
    return now.to(code.dtype)


def _with_slope(sides: Callable[[Tensor], Tensor], code: Tensor) -> tuple[Tensor, Tensor]:
    """``sides`` (B, 3) of codes (B, D), and their slopes (B, 3, D)."""
    with torch.enable_grad():
        code = code.detach().requires_grad_()
        drawn = sides(code)
        slopes = [torch.autograd.grad(drawn[:, i].sum(), code, retain_graph=True)[0]
                  for i in range(3)]
    return drawn.detach(), torch.stack(slopes, 1)
