# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""``nabs-pose train-refiner``: the network that corrects poses of all categories."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLES = """examples:
  nabs-pose train-refiner mug bottle bowl can camera laptop --data data \\
      --backgrounds data/backgrounds --replace
  nabs-pose train-refiner mug teapot --data data --models my_models \\
      --init models/shared/refiner.safetensors --out my_models/shared/refiner.safetensors
  torchrun --nproc-per-node 2 -m -- ros2_nabs_pose.cli.main train-refiner mug can \\
      --data data --out my_models/shared/refiner.safetensors
Weights that are at --out already, such as shipped ones, are written over with --replace only.
Every category needs its weights (MODELS/CATEGORY.safetensors, "nabs-pose train") and its rendered
instances (DATA/CATEGORY, "nabs-pose render"). The same command after a stop goes on (see --run).
Categories that a refiner was not trained on are fitted without it.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Declare the subcommand."""
    parser = subparsers.add_parser(
        'train-refiner', help='train the refiner, which corrects poses of all categories',
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('categories', nargs='+', metavar='CATEGORY')
    parser.add_argument('--data', required=True, type=Path,
                        help='folder with a folder of rendered instances for each category')
    parser.add_argument('--backgrounds', type=Path,
                        help='folder that "nabs-pose render backgrounds" wrote (default: noise)')
    parser.add_argument('--models', type=Path, default=Path('models'),
                        help="folder of the categories' weights (default: models)")
    parser.add_argument('--run', type=Path, default=Path('runs/refiner'),
                        help='folder for state and log (default: runs/refiner)')
    parser.add_argument('--out', type=Path, default=Path('models/shared/refiner.safetensors'),
                        help='weights to write (default: models/shared/refiner.safetensors)')
    parser.add_argument('--replace', action='store_true',
                        help='write over weights that are at --out already')
    parser.add_argument('--init', type=Path, metavar='WEIGHTS',
                        help="trained refiner to begin with (default: an encoder's first layers)")
    parser.add_argument('--steps', type=int, default=6000)
    parser.add_argument('--crops', type=int, default=8, metavar='N',
                        help='crops of each category in a step, four of an object, of at least '
                        'two objects (default: %(default)s)')
    parser.add_argument('--learning-rate', type=float, default=1e-3)
    parser.add_argument('--no-mirror', action='store_true',
                        help='do not learn from mirror images of the instances')
    parser.add_argument('--no-stretch', action='store_true',
                        help='do not learn from instances of other proportions')
    parser.add_argument('--validate-every', type=int, default=500, metavar='STEPS')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--device', default='cpu', help='cpu or cuda')
    parser.add_argument('--precision', default='32-true',
                        help='32-true, or bf16-mixed (needs lightning-fabric; default: 32-true)')
    parser.add_argument('--threads', type=int, default=0, help='CPU threads (0: all)')


def run(args: argparse.Namespace) -> int:
    """Train until done or stopped; returns the exit status."""
    from ..training.engine import command_line
    from ..training.refiner import train_refiner
    from ..training.refiner_trainer import RefinerTraining

    train_refiner(RefinerTraining(
        categories=tuple(args.categories), data=str(args.data), models=str(args.models),
        backgrounds=str(args.backgrounds) if args.backgrounds else None, run=str(args.run),
        out=str(args.out), init=str(args.init) if args.init else '',
        steps=args.steps, crops=args.crops,
        learning_rate=args.learning_rate, mirror=not args.no_mirror,
        stretch=not args.no_stretch, seed=args.seed, device=args.device, threads=args.threads,
        precision=args.precision, validate_every=args.validate_every, command=command_line()),
        replace_out=args.replace)
    return 0
