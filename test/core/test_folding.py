# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
from dataclasses import fields, replace

import pytest
from tiny_models import TINY_GENERATOR
import torch
from torch import nn

from ros2_nabs_pose.core.encoder import Encoder
from ros2_nabs_pose.core.folding import fold_norms, FoldedGenerator
from ros2_nabs_pose.core.generator import Generator
from ros2_nabs_pose.core.refiner import CHANNELS_IN, Refiner
from ros2_nabs_pose.core.rotations import exp_so3


def lived_in(network):
    """Norms as training leaves them: no mean is 0 and no scale 1."""
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1.0, 0.3)
            nn.init.normal_(part.bias, 0.0, 0.3)
            nn.init.normal_(part.running_mean, 0.0, 0.3)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
    return network.eval()


def test_a_folded_network_says_the_same_without_norms():
    torch.manual_seed(0)
    for network, shape in ((Encoder(), (2, 3, 64, 64)), (Refiner(), (2, CHANNELS_IN, 64, 64))):
        lived_in(network)
        nn.init.normal_(network.head.weight, std=0.05)
        shown = torch.rand(shape)
        with torch.no_grad():
            before = network(shown)
            fold_norms(network)
            after = network(shown)
        assert not any(isinstance(p, nn.BatchNorm2d) for p in network.modules())
        for f in fields(before):
            torch.testing.assert_close(getattr(after, f.name), getattr(before, f.name), atol=2e-4,
                                       rtol=1e-3)


@pytest.mark.parametrize(('codes', 'sizes'), [
    (1, {}), (3, {'palette': 2, 'latent_dim': 10}), (2, {'palette': 0, 'colour_dims': 0})])
def test_a_folded_generator_draws_the_same_and_has_the_same_gradients(codes, sizes):
    torch.manual_seed(0)
    config = replace(TINY_GENERATOR, **sizes)
    generator = Generator(config).double()
    for part in generator.modules():  # no scale is 1 and no shift 0, as after training
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.bias, 0.0, 0.2)
    folded = FoldedGenerator(generator)
    latent = torch.randn(codes, config.latent_dim, dtype=torch.float64, requires_grad=True)
    omega = torch.randn(2 * codes, 3, dtype=torch.float64, requires_grad=True)
    perspective = torch.linspace(0.05, 0.3, 2 * codes, dtype=torch.float64)
    weight = torch.randn(2 * codes, 5, 64, 64, dtype=torch.float64)
    found = []
    for network in (generator, folded):
        volume, style = network.volume(latent)
        drawn = network.render(volume, style, exp_so3(omega), perspective).stacked()
        moves = torch.autograd.grad((drawn * weight).sum(), (latent, omega))
        told = network.proportions(style)
        found.append((volume, drawn, *moves, told.size, told.center, told.log_radius_m))
    for plain, fast in zip(*found, strict=True):
        torch.testing.assert_close(fast, plain, atol=1e-8, rtol=1e-8)
    assert not any(p.requires_grad for p in folded.parameters())
    assert folded.state_dict().keys() == generator.state_dict().keys()
