# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Weights that were learned with shorter codes, taken up where codes are longer."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional

TELL, HEAR = ('encoder.look.2.',), ('generator.style.0.weight', 'encoder.from_known.weight')
"""A model's layers that tell codes (means, then log-variances), and that are told them."""


def lengthened(state: dict[str, Tensor], own: dict[str, Tensor], tell: Iterable[str] = TELL,
               hear: Iterable[str] = HEAR) -> dict[str, Tensor]:
    """``state`` with the sizes of ``own``, where those of its codes alone differ.

    The further numbers of a code mean nothing yet: who is told them pays no heed (zeros), so all
    that is drawn and read stays as it was; who tells them says what ``own`` says, which is freshly
    made, so that there is something to learn from. Codes that are shorter in ``own`` stay too long.
    tell: beginnings of names of layers whose rows are means, then log-variances. hear: names of
    weights whose columns are a code's numbers.
    """
    longer = dict(state)
    for name, value in state.items():
        if name not in own or own[name].shape == value.shape:
            continue
        more = own[name].shape[-1] - value.shape[-1]
        if name in hear and more > 0:
            longer[name] = functional.pad(value, (0, more))
        elif name.startswith(tuple(tell)) and len(own[name]) > len(value):
            pairs = zip(value.chunk(2), own[name].chunk(2), strict=True)
            longer[name] = torch.cat([row for old, new in pairs
                                      for row in (old, new[len(old):].to(old))])
    return longer
