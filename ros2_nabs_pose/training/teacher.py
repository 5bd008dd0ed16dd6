# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The VAE's own encoder: reads clean views, so that the codes form before clutter is mastered.

It has the paper's form (arXiv 2008.08145, section 3.2: four strided convolutions and two linear
layers) and serves in training alone. An instance's code is the mean of several of its views; the
shipped encoder learns to read that code off one cluttered crop.
"""

from __future__ import annotations

import torch
from torch import nn, Tensor


class CleanEncoder(nn.Module):
    """Posterior of the code from clean upright views (B, 4, 64, 64), colour times alpha, alpha."""

    def __init__(self, latent_dim: int, channels: tuple[int, int, int, int] = (24, 48, 96, 128),
                 resolution: int = 64, colour_dims: int = 3) -> None:
        super().__init__()
        self.colour_dims = colour_dims
        layers: list[nn.Module] = []
        before = 4
        for after in channels:
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(0.1)]
            before = after
        cells = (resolution // 16) ** 2
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * cells, 192),
                                    nn.LeakyReLU(0.1), nn.Linear(192, 2 * latent_dim))
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, a=0.1)
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            # The posterior starts narrow: drowned in noise, the code would be ignored.
            last.weight *= 0.3
            last.bias[latent_dim:] = -4.0

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (B, D)."""
        mean, logvar = self.layers(views * 2.0 - 1.0).chunk(2, 1)
        if self.colour_dims:
            # As the generator wants it: the code begins with the mean colour, 4 c - 2.
            colour = views[:, :3].sum((2, 3)) / views[:, 3:].sum((2, 3)).clamp_min(1.0)
            mean = torch.cat((mean[:, :3] + 4.0 * colour - 2.0, mean[:, 3:]), 1)
        return mean, logvar.clamp(-8.0, 4.0)
