# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""``nabs-pose train-refiner``: the network that corrects poses of all categories."""

from __future__ import annotations

import argparse

from .shared_options import add_options, settings

EXAMPLES = """examples:
  nabs-pose train-refiner mug bottle bowl can camera laptop --data data \\
      --backgrounds data/backgrounds
  nabs-pose train-refiner mug teapot --data data --models my_models \\
      --out my_models/shared/refiner.safetensors
  torchrun --nproc-per-node 2 -m -- ros2_nabs_pose.cli.main train-refiner mug can --data data
Every category needs its weights (MODELS/CATEGORY.safetensors, "nabs-pose train") and its rendered
instances (DATA/CATEGORY, "nabs-pose render"). The same command after a stop goes on (see --run).
Categories that a refiner was not trained on are fitted without it.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Declare the subcommand."""
    parser = subparsers.add_parser(
        'train-refiner', help='train the refiner, which corrects poses of all categories',
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, 'refiner', crops=4, learning_rate=1e-3)


def run(args: argparse.Namespace) -> int:
    """Train until done or stopped; returns the exit status."""
    from ..training.refiner import RefinerTraining, train_refiner

    train_refiner(RefinerTraining(**settings(args)))
    return 0
