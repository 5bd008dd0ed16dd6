# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The segmenter: a network that mends the masks that encoders read, for all categories.

An encoder's mask is one of many things that it reads, decoded from few channels; the outline of the
fit, and what the refiner compares, hang on it. The segmenter sees the crop and that mask, keeps
every pixel on its way down and up again (U-Net, Ronneberger et al. 2015, arXiv 1505.04597), and
says what to change. It never looks at a code, so one network serves all categories that it was
trained on; others keep their encoder's masks.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn, Tensor
from torch.nn import functional

from .checkpoint import CategoryModel, read_weights, write_weights
from .encoder import Down, Encoding, ResidualBlock, Up
from .generator import channels_last
from .types import PoseError

FORMAT = 'segmenter-1'
FOLD = 2
"""Pixels are folded into channels by so much a side: nothing is lost, and it is fast."""


@dataclass(frozen=True)
class SegmenterConfig:
    """Sizes of the segmenter; channels at 1/2, 1/4, 1/8 and 1/16 of the crop's size.

    categories: what it was trained on.
    """

    categories: tuple[str, ...] = ()
    channels: tuple[int, int, int, int] = (40, 72, 112, 144)
    resolution: int = 64


class Segmenter(nn.Module):
    """Residual U-Net over crop and mask."""

    def __init__(self, config: SegmenterConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SegmenterConfig()
        c0, c1, c2, c3 = config.channels
        self.stem = nn.Sequential(
            nn.Conv2d(4 * FOLD ** 2, c0, 3, padding=1, bias=False), nn.BatchNorm2d(c0), nn.ReLU(),
            ResidualBlock(c0))
        self.down1 = Down(c0, c1)
        self.down2 = Down(c1, c2)
        self.down3 = Down(c2, c3)
        self.up2 = Up(c3, c2)
        self.up1 = Up(c2, c1)
        self.up0 = Up(c1, c0)
        self.edges = ResidualBlock(c0)
        self.change = nn.Conv2d(c0, FOLD ** 2, 3, padding=1)
        # It begins by leaving masks as they are.
        nn.init.zeros_(self.change.weight)
        assert self.change.bias is not None
        nn.init.zeros_(self.change.bias)
        channels_last(self)

    def knows(self, model: CategoryModel) -> bool:
        """Whether it was trained on the model's category, in crops of its size."""
        return (model.card.category in self.config.categories
                and model.encoder.config.resolution == self.config.resolution)

    def forward(self, crop: Tensor, mask_logits: Tensor) -> Tensor:
        """Logits (B, 1, S, S) of the mended mask; crop (B, 3, S, S) RGB in [0, 1], the mask's
        logits (B, 1, S, S) as the encoder reads them.
        """
        seen = torch.cat((crop * 4.0 - 2.0, torch.sigmoid(mask_logits) * 2.0 - 1.0), 1)
        f0 = self.stem(functional.pixel_unshuffle(seen, FOLD).contiguous(
            memory_format=torch.channels_last))
        f1 = self.down1(f0)
        f2 = self.down2(f1)
        x = self.up1(self.up2(self.down3(f2), f2), f1)
        change = functional.pixel_shuffle(self.change(self.edges(self.up0(x, f0))), FOLD)
        # Where the encoder is sure beyond all doubt, it must still be possible to disagree.
        mended: Tensor = mask_logits.clamp(-6.0, 6.0) + change
        return mended


def read_crops(model: CategoryModel, crop: Tensor, segmenter: Segmenter | None) -> Encoding:
    """What the model's encoder reads from crops (B, 3, S, S), the masks mended by the segmenter
    where there is one that knows the category.
    """
    said: Encoding = model.encoder(crop)
    if segmenter is None or not segmenter.knows(model):
        return said
    return replace(said, mask_logits=segmenter(crop, said.mask_logits))


def save_segmenter(segmenter: Segmenter, path: Path, training: dict[str, object]) -> None:
    """Write weights in half precision with a record of their training; atomic."""
    write_weights(path, segmenter, {'format': FORMAT, 'training': json.dumps(training),
                                    'segmenter': json.dumps(asdict(segmenter.config))})


def load_segmenter(path: Path) -> Segmenter:
    """Read a segmenter, in float32 and evaluation mode; PoseError in one sentence where it fails.
    """
    metadata, tensors = read_weights(path, FORMAT, 'train-segmenter')
    try:
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v
                                  for k, v in json.loads(metadata['segmenter']).items()}
        config = SegmenterConfig(**values)
        if isinstance(config.categories, str):
            raise ValueError('categories are no list')
        segmenter = Segmenter(config)
        segmenter.load_state_dict(tensors)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = ' '.join(str(error).split())[:200]
        raise PoseError(f'The weights in {path} do not fit their own description ({reason}): '
                        'fetch the file again.') from error
    return segmenter.requires_grad_(False).eval()
