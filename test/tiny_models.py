# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Networks so small that they are made and run in no time; they have learned nothing."""

from dataclasses import replace

import torch

from ros2_nabs_pose.core.checkpoint import CategoryModel, ModelCard, SizePrior
from ros2_nabs_pose.core.encoder import Encoder, EncoderConfig
from ros2_nabs_pose.core.generator import Generator, GeneratorConfig

TINY_GENERATOR = GeneratorConfig(latent_dim=4, palette=0, style_dim=8, volume_channels=(4, 4, 4),
                                 image_channels=(6, 5, 4))
TINY_ENCODER = EncoderConfig(latent_dim=4, palette=0, channels=(4, 4, 8, 8), hidden=8)
TINY_CARD = ModelCard('mug', 'none', 'handle', SizePrior((0.1, 0.1, 0.1), 0.08, 0.01))


def tiny_model(card=TINY_CARD, seed=1, **encoder):
    """A model with random weights, always the same; encoder: sizes that differ."""
    torch.manual_seed(seed)
    return CategoryModel(Generator(TINY_GENERATOR), Encoder(replace(TINY_ENCODER, **encoder)),
                         card).eval()
