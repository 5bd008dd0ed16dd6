# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""``nabs-pose benchmark gap``: every preset on every real set, and where the error comes from."""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
from typing import TYPE_CHECKING

from .reports import write_report
from ..evaluation import TRUTHS

if TYPE_CHECKING:
    from ..core import PosePipeline

EXAMPLES = """example:
  nabs-pose benchmark gap --root real --presets warm cold accurate --json real.json --plots out/real

The folder holds the sets scans, tables, ycbv, photos and mug-sequence, or some of them. Under the
folder of --plots come plots, overlays of the best, median and worst answers, and a file for each
part that is measured; a part whose models and settings are still the same is not measured again.
"""


def add_parser(kinds: argparse._SubParsersAction) -> None:
    """Declare the subcommand among those of ``benchmark``."""
    parser = kinds.add_parser(
        'gap', help='every preset on real pictures, and what parts of the truth would bring',
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--root', required=True, type=Path, metavar='DIR',
                        help='folder of the real sets')
    parser.add_argument('--presets', nargs='+', default=['warm', 'cold', 'accurate'], metavar='P',
                        help='default: warm cold accurate')
    parser.add_argument('--truth', nargs='*', default=list(TRUTHS), metavar='T', choices=TRUTHS,
                        help=f'parts of the truth to put in (default: {" ".join(TRUTHS)})')
    parser.add_argument('--truth-preset', default='cold', metavar='P',
                        help='the preset they are put into (default: cold)')
    parser.add_argument('--json', required=True, type=Path, metavar='OUT',
                        help='write the report here')
    parser.add_argument('--plots', required=True, type=Path, metavar='DIR',
                        help='write plots, overlays and the parts here')
    parser.add_argument('--categories', nargs='+', metavar='C',
                        help='only these (default: all that there are models for)')
    parser.add_argument('--device', default='cpu', help='cpu or cuda')
    parser.add_argument('--models', type=Path, metavar='DIR', help='folder of the model files')
    parser.add_argument('--seed', type=int, default=0, help='of the starts (default: 0)')
    parser.add_argument('--again', action='store_true', help='measure every part again')


def run(args: argparse.Namespace) -> int:
    """Measure, print the tables, write JSON and plots."""
    from ..evaluation import gap, gap_tables
    from ..evaluation.gap_plots import write_plots
    from ..resources import models_dir

    def load(kind: type[PosePipeline], preset: str) -> PosePipeline:
        return kind.load(args.categories, device=args.device, preset=preset,
                         models_dir=args.models, seed=args.seed)

    plan = gap.Plan(
        root=args.root, out=args.plots, presets=tuple(args.presets), truths=tuple(args.truth),
        truth_preset=args.truth_preset, again=args.again, settings={
            'models': gap.model_hashes(args.models or models_dir(), args.categories),
            'device': args.device, 'seed': args.seed})
    report = gap.measure(plan, load, _tell)
    write_report(args.json, report)
    for table in (gap_tables.target_table, gap_tables.accuracy_table, gap_tables.keypoint_table,
                  gap_tables.put_in_table):
        print(table(report))
    for path in write_plots(report, args.plots):
        print(path)
    return 0


def _tell(name: str, part: int, parts: int, done: int, total: int) -> None:
    """A bar on a terminal; elsewhere a line when a part is done."""
    if not sys.stderr.isatty():
        if total == 0:
            print(f'{part} of {parts}: {name}', file=sys.stderr, flush=True)
        return
    filled = int(30 * (part + (done / total if total else 0.0)) / parts)
    frames = f', frame {done} of {total}' if total else ''
    print(f'\r\x1b[K[{"#" * filled}{"." * (30 - filled)}] {part} of {parts} parts, {name}{frames}',
          end='\n' if part == parts else '', file=sys.stderr, flush=True)
