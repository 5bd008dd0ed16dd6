#!/usr/bin/env python3
# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The mean of two weights files of a category, the second trained on from the first.

    scripts/env python scripts/average_models.py before.safetensors after.safetensors OUT

Long training on procedural shapes makes the reading of such shapes better, and may make that of
shapes unlike them worse; the mean of the weights before and after keeps most of both (Wortsman et
al., Robust fine-tuning of zero-shot models, CVPR 2022). The card is the second file's and says so.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import sys

from ros2_nabs_pose.core.checkpoint import load_model, save_model
from ros2_nabs_pose.core.types import PoseError


def average(before: Path, after: Path, out: Path) -> None:
    """Write the mean; PoseError where the files are of two categories or other sizes."""
    first, second = load_model(before), load_model(after)
    if first.card.category != second.card.category:
        raise PoseError(f'{before} is a model of "{first.card.category}", {after} of '
                        f'"{second.card.category}": give two of one category.')
    theirs, mine = first.state_dict(), second.state_dict()
    if any(theirs[k].shape != v.shape for k, v in mine.items()):
        raise PoseError(f'{before} and {after} have layers of other sizes.')
    for name, value in mine.items():
        if value.is_floating_point():
            mine[name] = 0.5 * (theirs[name] + value)
    second.load_state_dict(mine)
    # The figures of its card were the second file's alone.
    second.card = replace(second.card, figures={}, training={
        **second.card.training, 'averaged_with': first.card.training.get('command', str(before))})
    save_model(second, out)


def main() -> int:
    """Average, or say in one sentence why not."""
    if len(sys.argv) != 4:
        print('usage: average_models.py BEFORE AFTER OUT', file=sys.stderr)
        return 2
    try:
        average(*map(Path, sys.argv[1:]))
    except PoseError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
