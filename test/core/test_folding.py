# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
from dataclasses import fields

import torch
from torch import nn

from ros2_nabs_pose.core.encoder import Encoder
from ros2_nabs_pose.core.folding import fold_norms
from ros2_nabs_pose.core.refiner import CHANNELS_IN, Refiner


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
