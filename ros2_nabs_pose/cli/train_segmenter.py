# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""``nabs-pose train-segmenter``: the network that mends masks of all categories."""

from __future__ import annotations

import argparse

from .shared_options import add_options, settings

EXAMPLES = """examples:
  nabs-pose train-segmenter mug bottle bowl can camera laptop --data data \\
      --backgrounds data/backgrounds
  nabs-pose train-segmenter mug teapot --data data --models my_models \\
      --out my_models/shared/segmenter.safetensors
  torchrun --nproc-per-node 2 -m -- ros2_nabs_pose.cli.main train-segmenter mug can --data data
Every category needs its weights (MODELS/CATEGORY.safetensors, "nabs-pose train") and its rendered
instances (DATA/CATEGORY, "nabs-pose render"). The same command after a stop goes on (see --run).
Categories that a segmenter was not trained on keep the masks that their encoder reads.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Declare the subcommand."""
    parser = subparsers.add_parser(
        'train-segmenter', help='train the segmenter, which mends masks of all categories',
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, 'segmenter', crops=8, learning_rate=2e-3)


def run(args: argparse.Namespace) -> int:
    """Train until done or stopped; returns the exit status."""
    from ..training.segmenter import SegmenterTraining, train_segmenter

    train_segmenter(SegmenterTraining(**settings(args)))
    return 0
