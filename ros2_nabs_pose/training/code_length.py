# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Weights that were learned with shorter codes, taken up where codes are longer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from ..core.checkpoint import load_model
from ..core.encoder import EncoderConfig
from ..core.generator import GeneratorConfig

MODEL = '.safetensors'
"""What model files end with; runs' states do not."""
STYLE, PAINTED = 'generator.style.0.weight', 'generator.to_palette.weight'
TELL, HEAR = ('encoder.look.2.',), (STYLE, 'encoder.from_known.weight')
"""A model's layers that tell codes (means, then log-variances), and that are told them."""


def lengthened(state: Mapping[str, Tensor], own: Mapping[str, Tensor],
               tell: Iterable[str] = TELL, hear: Iterable[str] = HEAR,
               palette: int = 0) -> dict[str, Tensor]:
    """``state`` with the sizes of ``own``, where those of its codes alone differ.

    The further numbers of a code mean nothing yet: who is told them pays no heed (zeros), so all
    that is drawn and read stays as it was; who tells them says what ``own`` says, which is freshly
    made, so that there is something to learn from. Codes that are shorter in ``own`` stay too long.
    palette: how many colours codes of ``state`` end with; they stay the last. tell: beginnings of
    names of layers whose rows are means, then log-variances. hear: names of weights whose columns
    are a code's numbers.
    """
    longer = dict(state)
    for name, value in state.items():
        if name not in own or own[name].shape == value.shape:
            continue
        more = own[name].shape[-1] - value.shape[-1]
        if name in hear and more > 0:
            first = value.shape[-1] - 3 * palette
            longer[name] = torch.cat((functional.pad(value[..., :first], (0, more)),
                                      value[..., first:]), -1)
        elif name.startswith(tuple(tell)) and len(own[name]) > len(value):
            first, more = len(value) // 2 - 3 * palette, (len(own[name]) - len(value)) // 2
            pairs = zip(value.chunk(2), own[name].chunk(2), strict=True)
            longer[name] = torch.cat([rows for old, new in pairs for rows in (
                old[:first], new[first:first + more].to(old), old[first:])])
    return longer


def with_codes_of(path: Path, sizes: tuple[GeneratorConfig, EncoderConfig]) -> tuple[
        GeneratorConfig, EncoderConfig]:
    """Sizes with the code of the run (its ``state.pt``) or the model at ``path``, if it is there.

    For where the generator stays as it is: it would never learn to hear more.
    """
    if not path.is_file():
        return sizes
    weights = (load_model(path).state_dict() if path.suffix == MODEL
               else torch.load(path, map_location='cpu', weights_only=True)['average'])
    code = {'latent_dim': weights[STYLE].shape[1], 'palette': len(weights.get(PAINTED, ()))}
    return replace(sizes[0], **code), replace(sizes[1], **code)
