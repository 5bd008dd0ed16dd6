# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Networks made ready for use: what batch normalisation learned goes into the convolutions."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .generator import channels_last


@torch.no_grad()
def fold_norms(network: nn.Module) -> None:
    """Fold every ``norm*`` of a part into the ``conv*`` beside it, in place; says the same, faster.

    The network must be in evaluation mode, can no longer be trained and has other weights than
    its file: for use alone.
    """
    for part in network.modules():
        for name, norm in list(part.named_children()):
            if isinstance(norm, nn.BatchNorm2d):
                place = name.replace('norm', 'conv')
                conv = getattr(part, place)
                setattr(part, place, fuse_conv_bn_eval(conv, norm).requires_grad_(False))
                setattr(part, name, nn.Identity())
    channels_last(network)
