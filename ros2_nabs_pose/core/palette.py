# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The colours that a code holds: the object's mean colour first, a palette of its parts last.

Colours are told as 4 c - 2 for c in [0, 1]. What reads them looks for where they are and averages
what it finds there; what paints them mixes them. So neither has to learn a colour.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def check_room(latent_dim: int, colour_dims: int, palette: int) -> None:
    """ValueError where a code of ``latent_dim`` numbers cannot hold such colours."""
    if palette and not colour_dims:
        raise ValueError('a palette needs a mean colour beside it')
    if latent_dim < colour_dims + 3 * palette:
        raise ValueError('latent_dim must have room for the colours')


def looked_for(logits: Tensor, colour: Tensor, share: Tensor) -> Tensor:
    """(B, 3 P) the colours, 4 c - 2 each, of where P things are looked for on an object.

    Each is a mean of its pixels. logits: (B, P, H, W) how strongly each is looked for in a pixel.
    colour: (B, 3, H, W) in [0, 1]. share: (B, 1, H, W) in [0, 1], how much of a pixel the object
    covers.
    """
    seen = (logits + torch.log(share + 1e-4)).flatten(2)
    where = functional.softmax(seen, 2)
    found = torch.einsum('bpn,bcn->bpc', where, colour.flatten(2).to(where.dtype))
    return (4.0 * found - 2.0).flatten(1)


def mixed(logits: Tensor, colours: Tensor) -> Tensor:
    """(B, 3, H, W) mixtures of a code's colours (B, 3 + 3 P), mean and palette.

    logits: (B, P, H, W) of the palette's shares; the mean's is 0.
    """
    shares = functional.softmax(functional.pad(logits, (0, 0, 0, 0, 1, 0)), 1)
    return torch.einsum('bphw,bpc->bchw', shares, colours.unflatten(1, (-1, 3)))
