#!/usr/bin/env python3
# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The mean of two weights files of a category, or of two refiners, the second from the first.

    scripts/env python scripts/average_models.py before.safetensors after.safetensors OUT [SHARE]

SHARE: what the second counts, 0 to 1; half if not given.

Long training on procedural shapes makes the reading of such shapes better, and may make that of
shapes unlike them worse; the mean of the weights before and after keeps most of both (Wortsman et
al., Robust fine-tuning of zero-shot models, CVPR 2022). The card is the second file's and says so;
its figures are measured by "nabs-pose benchmark models --write-cards". A refiner's record keeps the
second run's figures, and says that they are not the mean's.
"""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path
import sys

from safetensors import safe_open, SafetensorError
import torch
from torch import nn

from ros2_nabs_pose.core.checkpoint import load_model, save_model
from ros2_nabs_pose.core.refiner import load_refiner, save_refiner
from ros2_nabs_pose.core.types import PoseError


def _mix(first: nn.Module, second: nn.Module, share: float) -> None:
    """Give ``second`` the mean of both modules' weights, in which its own count ``share``."""
    theirs, mine = first.state_dict(), second.state_dict()
    for name, value in mine.items():
        if value.is_floating_point() and name in theirs:
            mine[name] = torch.lerp(theirs[name], value, share)
    second.load_state_dict(mine)


def _check(share: float) -> None:
    if not 0.0 <= share <= 1.0:
        raise PoseError(f'A share of {share:g} is none: give a number from 0 to 1.')


def average(before: Path, after: Path, out: Path, share: float = 0.5) -> None:
    """Write the mean, in which ``after`` counts ``share``.

    Layers that the first one does not have (those of further rotations, or of what is told beside
    the crop) are the second's. PoseError where the files are of two categories or other sizes.
    """
    _check(share)
    first, second = load_model(before), load_model(after)
    if first.card.category != second.card.category:
        raise PoseError(f'{before} is a model of "{first.card.category}", {after} of '
                        f'"{second.card.category}": give two of one category.')
    theirs, mine = first.encoder.config, second.encoder.config
    if (theirs.others and not mine.others) or (theirs.informed and not mine.informed):
        raise PoseError(f'{before} has layers that {after} does not have: give them the other way '
                        'round.')
    if (first.generator.config, replace(theirs, others=0, informed=False)) != (
            second.generator.config, replace(mine, others=0, informed=False)) or (
                theirs.others not in (0, mine.others)):
        raise PoseError(f'{before} and {after} have layers of other sizes.')
    _mix(first, second, share)
    # Figures and what is usual for codes were the second file's alone; ``nabs-pose benchmark models
    # --write-cards`` measures both.
    second.card = replace(second.card, figures={}, codes=None, training={
        **second.card.training, 'average_share': share,
        'averaged_with': first.card.training.get('command', str(before))})
    save_model(second, out)


def _metadata(path: Path) -> dict[str, str]:
    """What a weights file says of itself; nothing where it cannot be read."""
    try:
        with safe_open(str(path), framework='numpy') as file:
            return file.metadata() or {}
    except (OSError, SafetensorError):
        return {}


def average_refiners(before: Path, after: Path, out: Path, share: float = 0.5) -> None:
    """The same for two refiners; PoseError where they know other categories or have other sizes."""
    _check(share)
    first, second = load_refiner(before), load_refiner(after)
    if first.config != second.config:
        raise PoseError(f'{before} and {after} are refiners of other categories or sizes.')
    _mix(first, second, share)
    record = {**json.loads(_metadata(after)['training']), 'note': (
        f'The mean with the weights that it began with, in which the later ones count {share:g}; '
        "the figures are the later ones' alone.")}
    save_refiner(second, out, record)


def main() -> int:
    """Average, or say in one sentence why not."""
    if len(sys.argv) not in (4, 5):
        print('usage: average_models.py BEFORE AFTER OUT [SHARE]', file=sys.stderr)
        return 2
    try:
        share = float(sys.argv[4]) if len(sys.argv) == 5 else 0.5
    except ValueError:
        print(f'average_models.py: "{sys.argv[4]}" is no number', file=sys.stderr)
        return 2
    before, after, out = map(Path, sys.argv[1:4])
    try:
        refiners = 'refiner' in _metadata(after)
        (average_refiners if refiners else average)(before, after, out, share)
    except PoseError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
