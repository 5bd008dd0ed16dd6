# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What is usual for codes that are read off crops, and what several crops tell together."""

from __future__ import annotations

import torch
from torch import Tensor

from .compose import compose, recolour
from .engine import own_random_numbers
from .instances import TrainingViews
from ..core.checkpoint import CategoryModel
from ..core.encoder import Encoding
from ..core.memory import CodePrior, together

BATCHES, INSTANCES, SEED = 30, 32, 5
"""Batches of so many crops, each of an instance of its own."""


@torch.no_grad()
def usual_codes(model: CategoryModel, data: TrainingViews) -> CodePrior:
    """Mean and spread of the codes of a model's objects, by what it reads off crops of ``data``.

    Their variance is that of what is read, and beside it, by the law of total variance, what the
    readings leave open. The global random state is kept as it was.
    """
    learning = model.training
    model.eval()
    means, left_open = [], []
    with own_random_numbers(SEED, data.rgba.device):
        for _ in range(BATCHES):
            _, views = data.batch(INSTANCES, 1)
            crops = compose(recolour(views, 1), data.backgrounds)
            said = model.encoder(crops.image, crops.focal)
            means.append(said.mean)
            left_open.append(1.0 / said.sureness)
    model.train(learning)
    mean = torch.cat(means)
    std = (mean.var(0) + torch.cat(left_open).mean(0)).sqrt()
    return CodePrior(*(tuple(round(x, 4) for x in values.tolist())
                       for values in (mean.mean(0), std)))


def agreed(values: Tensor, sureness: Tensor) -> Tensor:
    """(I, D) what V views of each of I instances say together, by their values (I, V, D).

    sureness: (I, V, D) one over the variance of each value. The surer of a number a view is, the
    more it counts: the one that shows the screen, for a screen's colour.
    """
    return (sureness * values).sum(1) / sureness.sum(1)


def code_of_all(said: Encoding, group: int, usual: CodePrior | None,
                evidence: float | Tensor) -> Tensor:
    """(B, D) what all crops of an object tell together, ``group`` of them in a row.

    As ``memory.CodeMemory`` has it of a track. evidence: how many of them count, a number or
    (B, 1); without ``usual`` they have a mean and no more.
    """
    own, sureness = (x.unflatten(0, (-1, group)) for x in (said.mean, said.sureness))
    mean = agreed(own, sureness)[:, None]
    of_all, told = (x.expand_as(own).flatten(0, 1) for x in (mean, sureness.mean(1, keepdim=True)))
    if usual is None:
        return of_all
    return together(of_all, told, evidence, of_all.new_tensor(usual.mean),
                    of_all.new_tensor(usual.std))
