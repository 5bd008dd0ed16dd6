# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Options of the trainings of networks that all categories share."""

from __future__ import annotations

import argparse
from pathlib import Path
import shlex
import sys
from typing import Any


def add_options(parser: argparse.ArgumentParser, name: str, crops: int,
                learning_rate: float) -> None:
    """Declare them; name: of the network, its files are called after it."""
    parser.add_argument('categories', nargs='+', metavar='CATEGORY')
    parser.add_argument('--data', required=True, type=Path,
                        help='folder with a folder of rendered instances for each category')
    parser.add_argument('--backgrounds', type=Path,
                        help='folder that "nabs-pose render backgrounds" wrote (default: noise)')
    parser.add_argument('--models', type=Path, default=Path('models'),
                        help="folder of the categories' weights (default: models)")
    parser.add_argument('--run', type=Path, default=Path(f'runs/{name}'),
                        help=f'folder for state and log (default: runs/{name})')
    out = Path(f'models/shared/{name}.safetensors')
    parser.add_argument('--out', type=Path, default=out,
                        help=f'weights to write (default: {out})')
    parser.add_argument('--steps', type=int, default=6000)
    parser.add_argument('--crops', type=int, default=crops, metavar='N',
                        help=f'crops of each category in a step (default: {crops})')
    parser.add_argument('--learning-rate', type=float, default=learning_rate,
                        help=f'at its peak (default: {learning_rate:g})')
    parser.add_argument('--no-mirror', action='store_true',
                        help='do not learn from mirror images of the instances')
    parser.add_argument('--validate-every', type=int, default=500, metavar='STEPS')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--device', default='cpu', help='cpu or cuda')
    parser.add_argument('--precision', default='32-true',
                        help='32-true, or bf16-mixed (needs lightning-fabric; default: 32-true)')
    parser.add_argument('--threads', type=int, default=0, help='CPU threads (0: all)')


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """What the options say, as a ``SharedTraining`` takes it."""
    return {
        'categories': tuple(args.categories), 'data': str(args.data), 'models': str(args.models),
        'backgrounds': str(args.backgrounds) if args.backgrounds else None, 'run': str(args.run),
        'out': str(args.out), 'steps': args.steps, 'crops': args.crops,
        'learning_rate': args.learning_rate, 'mirror': not args.no_mirror, 'seed': args.seed,
        'device': args.device, 'threads': args.threads, 'precision': args.precision,
        'validate_every': args.validate_every,
        'command': shlex.join(['nabs-pose', *sys.argv[1:]])}
