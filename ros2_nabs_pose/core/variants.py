# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Named sizes of generator and encoder: what ``nabs-pose train --variant`` chooses from."""

from __future__ import annotations

from .encoder import EncoderConfig
from .generator import GeneratorConfig
from .types import PoseError

#: compact: the default, for CPUs. large: some four times the channels, for GPUs. paper: the sizes
#: of Chen et al. (arXiv 2008.08145): 512 x 4^3, 128 x 8^3, 64 x 16^3, folded to 1024 channels,
#: 256 x 32^2, 64 x 64^2, 16 numbers in a code and no colour among them; alpha, depth, proportions
#: and the encoder's heads are this project's in every variant.
VARIANTS: dict[str, tuple[GeneratorConfig, EncoderConfig]] = {
    'compact': (GeneratorConfig(), EncoderConfig()),
    'large': (
        GeneratorConfig(latent_dim=105, style_dim=256, volume_channels=(256, 128, 64),
                        image_channels=(256, 128, 80)),
        EncoderConfig(latent_dim=105, channels=(96, 192, 384, 512), hidden=768)),
    'paper': (
        GeneratorConfig(latent_dim=16, colour_dims=0, palette=0, style_dim=256,
                        volume_channels=(512, 128, 64), image_channels=(512, 256, 64)),
        EncoderConfig(latent_dim=16, colour_dims=0, palette=0, channels=(64, 128, 256, 512),
                      hidden=512)),
}


def get_variant(name: str) -> tuple[GeneratorConfig, EncoderConfig]:
    """Sizes of the variant called ``name``; PoseError with one sentence when there is none."""
    if name not in VARIANTS:
        raise PoseError(f"There is no variant '{name}': choose one of {', '.join(VARIANTS)}.")
    return VARIANTS[name]
