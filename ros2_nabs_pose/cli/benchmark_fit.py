# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""``nabs-pose benchmark fit``: what each part of the fit costs and buys."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .arguments import not_negative
from .reports import table, tell_line, text, write_report

EACH = 60

EXAMPLES = """example:
  nabs-pose benchmark fit --category mug --data data/mug --backgrounds data/backgrounds \\
    --all data --paper 4 --json fit.json --plots out

DIR is a rendered category ("nabs-pose render mug --out data/mug"); only the instances that training
leaves out are used, in cluttered crops that are the same for all variants. --all names the folder
that holds rendered categories: the presets are compared on crops of each that has a model, too.
"""


def add_parser(kinds: argparse._SubParsersAction) -> None:
    """Declare the subcommand among those of ``benchmark``."""
    parser = kinds.add_parser(
        'fit', help='ablation of the fit, its convergence basin and loss landscapes',
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--category', required=True, metavar='C', help='whose model to use')
    parser.add_argument('--data', required=True, type=Path, metavar='DIR',
                        help='rendered instances of the category')
    parser.add_argument('--backgrounds', type=Path, metavar='DIR', help='rendered clutter')
    parser.add_argument('--models', type=Path, metavar='DIR', help='folder of the model files')
    parser.add_argument('--crops', type=int, default=200, help='at most so many (default: 200)')
    parser.add_argument('--minutes', type=float, default=10.0,
                        help='about how long; fewer crops where it is short (default: 10)')
    parser.add_argument('--all', type=Path, metavar='DIR',
                        help='folder of rendered categories to compare the presets on, too')
    parser.add_argument('--each', type=int, metavar='N',
                        help=f'crops of each of them; {EACH} take about half a minute, beyond '
                             f'--minutes (default: {EACH})')
    parser.add_argument('--paper', type=not_negative, metavar='N',
                        help='on the first N crops of each of them, the published protocol, too, '
                             'which takes about half a minute each (default: 0)')
    parser.add_argument('--threads', type=int, default=0, help='CPU threads (0: all)')
    parser.add_argument('--json', type=Path, metavar='OUT', help='write the report here')
    parser.add_argument('--plots', type=Path, metavar='DIR', help='write pictures here')


def _figures(row: Mapping[str, Any]) -> list[str]:
    """Cells of what ``summarise`` tells."""
    return [text(row['crops']), text(row['rotation_median_deg'], 1),
            *(text(row[f'within_{k}_deg']) for k in (5, 10, 20)),
            text(1e3 * row['seconds_median'], 1)]


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write the JSON, then the plots from it."""
    import torch

    from ..core.checkpoint import load_model
    from ..core.folding import made_ready, ready_refiner
    from ..core.types import PoseError
    from ..evaluation.ablation import measure
    from ..evaluation.every_category import presets_by_category
    from ..evaluation.models import rendered_models
    from ..resources import find_model, find_refiner
    from ..training.instances import TrainingViews

    for option in ('each', 'paper'):
        if getattr(args, option) is not None and args.all is None:
            raise PoseError(f'--{option} is for the crops of --all: name the folder of rendered '
                            'categories.')
    if args.threads > 0:
        torch.set_num_threads(args.threads)
    path = (args.models / f'{args.category}.safetensors' if args.models is not None
            else find_model(args.category))
    model = made_ready(load_model(path))
    refiner = ready_refiner(find_refiner(path.parent))
    everywhere = [] if args.all is None else rendered_models(path.parent, args.all)
    data = TrainingViews.load(args.data, args.backgrounds, 'validation')
    report = measure(model, data, max(args.crops, 1), args.minutes, progress=tell_line,
                     refiner=refiner)
    write_report(args.json, report, indent=None)  # what is measured is not lost if the rest stops
    if everywhere:
        report |= presets_by_category(everywhere, args.all, args.backgrounds,
                                      max(args.each or EACH, 1), refiner, tell_line,
                                      args.paper or 0)
    print(f'{report["category"]}, {report["crops"]} crops, {report["device"]}')
    print(table(['variant', 'knob', 'crops', 'rot deg', '<= 5', '<= 10', '<= 20', 'ms',
                 'times faster than'], [
        [row['name'], row['knob'], *_figures(row),
         ', '.join(f'{name} {ratio:.0f}' for name, ratio in row['speed_up'].items())]
        for row in report['variants']], labels=2))
    for kind in ('presets', 'beside_paper'):
        if report.get(kind):
            print(table(['category', 'preset', 'crops', 'rot deg', '<= 5', '<= 10', '<= 20', 'ms'],
                        [[row['category'], row['preset'], *_figures(row)] for row in report[kind]],
                        labels=2))
    for name, found in report['speed_only'].items():
        print(f'{name}: {1e3 * found["seconds_median"]:.0f} ms, for speed only: its poses mean '
              'nothing')
    for line in report['left_out']:
        print(f'left out: {line}')
    write_report(args.json, report, indent=None)
    if args.plots is not None:
        from ..evaluation.ablation_plots import write_plots

        write_plots(report, args.plots)
        print(f'plots in {args.plots}')
    return 0
