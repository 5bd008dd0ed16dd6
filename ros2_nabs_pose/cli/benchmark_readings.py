# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""``nabs-pose benchmark readings``: what the encoder alone says of pictures, before any fit."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from .reports import table, tell_frames, text, write_report

EXAMPLES = """example:
  nabs-pose benchmark readings --set real/scans real/tables --json readings.json --sheets out

A set is a folder with annotations.json (docs/design.md). Sheets show crop, mask as read, and the
drawing of what was read, side by side.
"""
COLUMNS = {
    'n': 'objects', 'n_front_visible': 'front seen', 'rotation_median_deg': 'rot deg',
    'within_10_deg': '<=10', 'within_20_deg': '<=20', 'best_of_4_within_20_deg': 'best of 4 <=20',
    'mask_iou_median': 'mask IoU', 'drawing_iou_median': 'drawing IoU'}


def add_parser(kinds: argparse._SubParsersAction) -> None:
    """Declare the subcommand among those of ``benchmark``."""
    parser = kinds.add_parser(
        'readings', help="encoders' proposals, masks and drawings, before any fit",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--set', required=True, nargs='+', type=Path, metavar='DIR',
                        help='evaluation sets')
    parser.add_argument('--json', type=Path, metavar='OUT', help='write the report here')
    parser.add_argument('--sheets', type=Path, metavar='DIR',
                        help='write a picture for each set here')
    parser.add_argument('--categories', nargs='+', metavar='C',
                        help='only these (default: all that there are models for)')
    parser.add_argument('--device', default='cpu', help='cpu or cuda')
    parser.add_argument('--models', type=Path, metavar='DIR', help='folder of the model files')


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write JSON and sheets."""
    from ..core.types import PoseError
    from ..evaluation.first_reading import measure_set, ReadingPipeline
    from ..evaluation.sets import read_set

    sets = {path.resolve().name: read_set(path) for path in args.set}
    if len(sets) < len(args.set):
        raise PoseError('two of the sets have the same name: give folders with names of their own')
    pipeline = ReadingPipeline.load(args.categories, device=args.device, models_dir=args.models)
    assert isinstance(pipeline, ReadingPipeline)
    report = {}
    for name, evaluation_set in sets.items():
        sheet = None if args.sheets is None else args.sheets / f'{name}.jpg'
        report[name] = measure_set(pipeline, evaluation_set, sheet, partial(tell_frames, name=name))
    print(table(['set', 'category', *COLUMNS.values()], [
        [name, category, *(text(row[key]) for key in COLUMNS)]
        for name, figures in report.items()
        for category, row in (*figures['categories'].items(), ('overall', figures['overall']))],
        labels=2))
    write_report(args.json, report)
    return 0
