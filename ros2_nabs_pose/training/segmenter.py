# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Training of the segmenter: what trained encoders make of crops, and the masks that are true.

Encoders stay as they are. Crops of all categories are composed together, so that objects of one
stand beside and in front of those of another.
"""

from __future__ import annotations

from collections.abc import Mapping
import copy
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .compose import compose, Crops, mirrored, recolour, Views
from .engine import Engine, random_devices
from .instances import TrainingViews
from .shared import (
    Figures,
    load_parts,
    run_training,
    SharedTrainer,
    SharedTraining,
    warn_of_lost,
)
from ..core.checkpoint import CategoryModel
from ..core.segmenter import load_segmenter, save_segmenter, Segmenter, SegmenterConfig

VALIDATION_BATCHES = 4
VALIDATION_SEED = 29


@dataclass(frozen=True)
class SegmenterTraining(SharedTraining):
    """One run."""

    crops: int = 8
    learning_rate: float = 2e-3


def joined(parts: list[Views]) -> Views:
    """All of several batches."""
    return Views(*(torch.cat([getattr(p, f.name) for p in parts]) for f in fields(Views)))


def losses(logits: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Terms: each pixel's, and the overlap's (1 - Dice); logits, mask (B, 1, S, S)."""
    seen = torch.sigmoid(logits)
    overlap = (2.0 * (seen * mask).sum((1, 2, 3)) + 1.0) / (
        seen.sum((1, 2, 3)) + mask.sum((1, 2, 3)) + 1.0)
    return {'pixels': 3.0 * functional.binary_cross_entropy_with_logits(logits, mask),
            'overlap': (1.0 - overlap).mean()}


def mask_iou(logits: Tensor, mask: Tensor) -> Tensor:
    """(B,) intersection over union of the masks above one half."""
    seen, true = logits > 0.0, mask > 0.5
    both = (seen & true).flatten(1).sum(1)
    return both / (seen | true).flatten(1).sum(1).clamp_min(1)


class SegmenterTrainer(SharedTrainer[Segmenter]):
    """The segmenter (trained and averaged), its optimiser, and models and data that stay."""

    def build(self) -> Segmenter:
        return Segmenter(SegmenterConfig(tuple(sorted(self.models))))

    @torch.no_grad()
    def crops(self) -> tuple[Crops, Tensor]:
        """Crops of all categories, and the logits (B, 1, S, S) that their encoders read."""
        instances = max(1, self.config.crops // 2)
        parts = []
        for data in self.data.values():
            _, views = data.batch(instances, 2)
            if self.config.mirror:
                flip = torch.rand(instances, device=self.device) < 0.5
                views = mirrored(views, flip.repeat_interleave(2))
            parts.append(recolour(views, 2))
        pool = next(iter(self.data.values())).backgrounds
        crops = compose(joined(parts), pool, neighbours=True)
        with self.engine.autocast():
            read = [model.encoder(image).mask_logits.float() for model, image in zip(
                self.models.values(), crops.image.split(2 * instances), strict=True)]
        return crops, torch.cat(read)

    @property
    def crops_a_step(self) -> int:
        """Of all categories and processes."""
        return 2 * max(1, self.config.crops // 2) * len(self.models) * self.engine.world

    def record(self, figures: Figures) -> dict[str, Any]:
        return {**super().record(figures), 'crops_a_step': self.crops_a_step}

    def terms(self) -> dict[str, Tensor]:
        crops, read = self.crops()
        with self.engine.autocast():
            logits = self.network(crops.image, read)
        return losses(logits.float(), crops.mask)


@torch.no_grad()
def validate_segmenter(segmenter: Segmenter, models: Mapping[str, CategoryModel],
                       data: Mapping[str, TrainingViews]) -> Figures:
    """Masks' IoU by category, before (the encoder's) and after: median and lowest tenth.

    Held-out instances, the same crops every time, with and without neighbours half and half; the
    global random state is kept.
    """
    segmenter = copy.deepcopy(segmenter).eval()
    found: Figures = {}
    for name, model in models.items():
        before, after = [], []
        with torch.random.fork_rng(devices=random_devices(data[name].rgba.device)):
            torch.manual_seed(VALIDATION_SEED)
            for number in range(VALIDATION_BATCHES):
                _, views = data[name].batch(16, 2)
                crops = compose(views, data[name].backgrounds, neighbours=bool(number % 2))
                read = model.encoder(crops.image).mask_logits
                before.append(mask_iou(read, crops.mask))
                after.append(mask_iou(segmenter(crops.image, read), crops.mask))
        for label, values in (('before', torch.cat(before)), ('after', torch.cat(after))):
            found.setdefault(name, {}).update({
                f'{label}_iou_median': float(values.median()),
                f'{label}_iou_lowest_tenth': float(values.quantile(0.1))})
    return found


def train_segmenter(config: SegmenterTraining) -> Figures:
    """Run (or resume) a training; returns the last validation, see ``run_training``."""
    if config.threads:
        torch.set_num_threads(config.threads)
    engine = Engine(config.device, config.precision)
    models, views, held_out = load_parts(config, engine)
    trainer = SegmenterTrainer(config, models, views, engine)
    out = Path(config.out)
    if engine.rank == 0 and out.is_file():
        warn_of_lost(out, load_segmenter(out).config.categories, config.categories)
    return run_training(trainer, lambda: validate_segmenter(trainer.average, models, held_out),
                        lambda record: save_segmenter(trainer.average, out, record))
