# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""``nabs-pose train``: weights of a category from its rendered instances."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLES = """examples:
  nabs-pose train teapot --data data/teapot --backgrounds data/backgrounds
  nabs-pose train can --data data/can --init runs/mug/state.pt --steps 2000 --out my/can.safetensors
  nabs-pose train mug --data data/mug --backgrounds data/backgrounds --only encoder \\
      --init models/mug.safetensors --learning-rate 0.0008 --steps 3000 --out my/mug.safetensors
  nabs-pose train mug --data data/mug --only teacher --init models/mug.safetensors --run runs/t
  nabs-pose train mug --data data/mug --only drawing --init runs/t/state.pt --run runs/d
  nabs-pose train mug --data data/mug --steps 40000 --device cuda --instances 64 --replace
  nabs-pose train teapot --data data/teapot --variant large --device cuda --precision bf16-mixed
  torchrun --nproc-per-node 4 -m -- ros2_nabs_pose.cli.main train teapot --data data/teapot
  tensorboard --logdir runs       the curves of runs made with --tensorboard
Weights that are at --out already, such as shipped ones, are written over with --replace only.
The same command after a stop goes on where the last one ended (see --run).
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Declare the subcommand."""
    parser = subparsers.add_parser(
        'train', help="train a category's generator and encoder", epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('category', help='name of the category, as rendered')
    parser.add_argument('--data', required=True, type=Path,
                        help='folder that "nabs-pose render CATEGORY" wrote')
    parser.add_argument('--backgrounds', type=Path,
                        help='folder that "nabs-pose render backgrounds" wrote (default: noise)')
    parser.add_argument('--run', type=Path,
                        help='folder for state, log and samples (default: runs/CATEGORY)')
    parser.add_argument('--out', type=Path,
                        help='weights to write (default: models/CATEGORY.safetensors)')
    parser.add_argument('--replace', action='store_true',
                        help='write over weights that are at --out already')
    parser.add_argument('--init', type=Path, metavar='FILE',
                        help='state.pt of another run to start from, of any category; with --only '
                        'teacher a model, too, with --only encoder one of the category')
    parser.add_argument('--steps', type=int, default=8000)
    parser.add_argument('--instances', type=int, default=8, help='instances in a step')
    parser.add_argument('--views', type=int, default=4,
                        help='views of each instance in a step (default: 4); some of those after '
                        'the second are shown in other prints than were rendered')
    parser.add_argument('--learning-rate', type=float, default=2e-3)
    parser.add_argument('--student-from', type=int, default=500, metavar='STEP',
                        help='from here on, and fully from twice here, half of the pictures are '
                        'drawn from the code that the encoder reads off one crop (default: 500)')
    parser.add_argument('--only', default='', choices=('encoder', 'teacher', 'drawing'),
                        help='encoder: alone, beside a generator that --init brings and that '
                        'stays as it is, twice the steps in the same time; teacher: the clean '
                        'encoder alone, which training needs and models do not hold; drawing: '
                        'generator and clean encoder, from clean views, after which the encoder '
                        'has to learn to read the new codes (the last two write no weights, and '
                        'use no backgrounds)')
    parser.add_argument('--no-mirror', action='store_true',
                        help='do not learn from mirror images of the instances (left and right '
                        'swapped, front and up kept), for objects whose sides differ')
    parser.add_argument('--no-stretch', action='store_true',
                        help='do not learn from instances of other proportions, for objects that '
                        'are all of one shape')
    parser.add_argument('--validate-every', type=int, default=500, metavar='STEPS')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--device', default='cpu', help='cpu or cuda')
    parser.add_argument('--variant', default='compact',
                        help='sizes of the networks: compact, large or paper (default: compact)')
    parser.add_argument('--precision', default='32-true',
                        help='32-true, or bf16-mixed (needs lightning-fabric; default: 32-true)')
    parser.add_argument('--tensorboard', action='store_true',
                        help='write curves and sample sheets for TensorBoard, too')
    parser.add_argument('--threads', type=int, default=0, help='CPU threads (0: all)')


def run(args: argparse.Namespace) -> int:
    """Train until done or stopped; returns the exit status."""
    from ..training.engine import command_line
    from ..training.train import train
    from ..training.trainer import TrainConfig

    train(TrainConfig(
        category=args.category, data=str(args.data),
        backgrounds=str(args.backgrounds) if args.backgrounds else None,
        run=str(args.run or Path('runs') / args.category),
        out=str(args.out or Path('models') / f'{args.category}.safetensors'),
        init=str(args.init or ''), steps=args.steps, student_from=args.student_from,
        instances=args.instances, views=args.views, mirror=not args.no_mirror,
        stretch=not args.no_stretch, only=args.only,
        learning_rate=args.learning_rate, seed=args.seed, device=args.device,
        threads=args.threads, variant=args.variant, precision=args.precision,
        tensorboard=args.tensorboard, validate_every=args.validate_every,
        command=command_line()),
        replace_out=args.replace)
    return 0
