# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Networks made ready for use: what need not be worked out anew each time is kept.

Of encoders and refiners batch normalisation goes into the convolutions; of generators what their
weights alone decide is worked out once.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn, Tensor
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .checkpoint import CategoryModel
from .generator import channels_last, Generator, Modulation
from .refiner import load_refiner, Refiner
from .volume import twice_as_fine


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


def made_ready(model: CategoryModel) -> CategoryModel:
    """The same model with its encoder and generator folded, in place; for use, not for training."""
    fold_norms(model.encoder)
    model.generator = FoldedGenerator(model.generator)
    return model


def ready_refiner(path: Path | None) -> Refiner | None:
    """The refiner in a file, folded; for use, not for training. None where there is no file.

    Raises PoseError in one sentence where it cannot be read.
    """
    if path is None:
        return None
    refiner = load_refiner(path)
    fold_norms(refiner)
    return refiner


class FoldedGenerator(Generator):
    """A generator that draws what the one it was made of draws, faster; for use, not for training.

    Its weights must stay what they are: what was worked out of them is not worked out anew. The
    volume's first convolution is an affine function of the style, so it is one matrix; kernels for
    ``volume.convolved_twice_as_fine`` are kept; scales and shifts of several sizes come from one
    matrix.

    Fold before a model goes to a GPU: there convolutions may be rounded to 10 bits.
    """

    begin_weight: Tensor
    begin_bias: Tensor
    finer1_weight: Tensor
    finer1_bias: Tensor
    finer2_weight: Tensor
    finer2_bias: Tensor
    volume_affine_weight: Tensor
    volume_affine_bias: Tensor
    image_affine_weight: Tensor
    image_affine_bias: Tensor
    last_weight: Tensor
    last_bias: Tensor

    @torch.no_grad()
    def __init__(self, generator: Generator) -> None:
        super().__init__(generator.config)
        self.to(generator.constant)
        self.load_state_dict(generator.state_dict())
        self.eval().requires_grad_(False)

        basis = torch.eye(self.config.style_dim).to(self.constant)
        # As rows of voxels, channels last.
        at_zero, along = (Generator._begun(self, style).permute(0, 2, 3, 4, 1).flatten(1)
                          for style in (torch.zeros_like(basis[:1]), basis))
        self._keep('begin', (along - at_zero).T.contiguous(), at_zero[0])
        self._keep('finer1', *twice_as_fine(self.conv_v1))
        self._keep('finer2', *twice_as_fine(self.conv_v2))
        self._keep('volume_affine', *_together(self.mod_v0, self.mod_v1, self.mod_v2))
        self._keep('image_affine', *_together(self.mod_i0, self.mod_i1, self.mod_i2))
        weight, bias = super()._last()
        self._keep('last', weight.contiguous(memory_format=torch.channels_last), bias)

    def _keep(self, name: str, weight: Tensor, bias: Tensor) -> None:
        self.register_buffer(f'{name}_weight', weight, persistent=False)
        self.register_buffer(f'{name}_bias', bias, persistent=False)

    def _begun(self, style: Tensor) -> Tensor:
        size = (self.config.volume_size // 4,) * 3
        x = functional.linear(style, self.begin_weight, self.begin_bias)
        return x.view(-1, *size, self.config.volume_channels[0]).permute(0, 4, 1, 2, 3)

    def _finer(self) -> tuple[tuple[Tensor, Tensor], ...]:
        return (self.finer1_weight, self.finer1_bias), (self.finer2_weight, self.finer2_bias)

    def _volume_modulations(self, style: Tensor) -> list[tuple[Tensor, Tensor]]:
        said = functional.linear(style, self.volume_affine_weight, self.volume_affine_bias)
        return _scales_and_shifts(said, self.config.volume_channels)

    def _image_modulations(self, style: Tensor) -> list[tuple[Tensor, Tensor]]:
        said = functional.linear(style, self.image_affine_weight, self.image_affine_bias)
        return _scales_and_shifts(said, self.config.image_channels)

    def _last(self) -> tuple[Tensor, Tensor]:
        return self.last_weight, self.last_bias


def _together(*mods: Modulation) -> tuple[Tensor, Tensor]:
    """Weight and bias of one matrix: the scales of all, then the shifts of all."""
    halves = [[part.chunk(2) for part in (mod.affine.weight, mod.affine.bias)] for mod in mods]
    weight, bias = (torch.cat([half[part][which] for which in (0, 1) for half in halves])
                    for part in (0, 1))
    bias[:len(bias) // 2] += 1.0  # scales are told as their difference to 1
    return weight, bias


def _scales_and_shifts(said: Tensor, channels: tuple[int, ...]) -> list[tuple[Tensor, Tensor]]:
    parts = said.split(list(channels) * 2, 1)
    return list(zip(parts[:len(channels)], parts[len(channels):], strict=True))
