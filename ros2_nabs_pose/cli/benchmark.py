# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""``nabs-pose benchmark KIND``: figures of sets, bags, instances and pictures, see its help."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import contextlib
import json
from pathlib import Path
import tempfile
from typing import Any, TYPE_CHECKING

from . import benchmark_fit, benchmark_gap, benchmark_readings
from .arguments import not_negative, positive
from .reports import table, tell_frames, tell_line, text, write_report
from ..core.types import PoseError
from ..evaluation import APART, ROUNDS, TRUTHS

if TYPE_CHECKING:
    from ..evaluation.sets import EvaluationSet

EXAMPLES = """examples:
  nabs-pose benchmark accuracy --set my_set --json accuracy.json --pictures out
  nabs-pose benchmark accuracy --set my_set --preset accurate --depth --json accuracy.json
  nabs-pose benchmark accuracy --set my_set --truth mask start size code --json accuracy.json
  nabs-pose benchmark speed --set my_set --preset warm cold accurate --json speed.json
  nabs-pose benchmark node --seconds 60 --json node.json

A set is a folder with annotations.json (docs/design.md) or a bag with true poses.
"""
MODELS_EXAMPLES = """example:
  nabs-pose benchmark models --data data --backgrounds data/backgrounds --sheets out --json m.json

DIR holds a folder for each category as "nabs-pose render CATEGORY" wrote it; only the instances
that training leaves out are used. Rotation, mask and synthesis are the networks' own, unfitted.
"""
NODE_EXAMPLES = """examples:
  nabs-pose benchmark node --seconds 60 --preset warm --json node.json
  nabs-pose benchmark node --busy 1          beside a program that takes a core

Plays the bag's frames at 30 images a second over DDS, every third with boxes that come 200 ms late,
and measures from a process of its own: rate, latency, drops, parameter calls, memory. Needs rclpy.
"""
SPEED_EXAMPLES = """examples:
  nabs-pose benchmark speed --preset warm cold --json speed.json
  nabs-pose benchmark speed --device cuda --compiled      what torch.compile is worth here
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Declare the subcommand."""
    parser = subparsers.add_parser(
        'benchmark', help='accuracy and speed over an evaluation set, the node under load',
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest='kind', metavar='KIND', required=True)
    accuracy = kinds.add_parser(
        'accuracy', help='errors by category and overall', epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    accuracy.add_argument('--set', required=True, type=Path, metavar='DIR', help='evaluation set')
    accuracy.add_argument('--preset', default='cold', help='effort of the fit (default: cold)')
    accuracy.add_argument('--depth', action='store_true', help="use the set's depth for the scale")
    accuracy.add_argument('--masks', action='store_true', help="use the set's masks")
    accuracy.add_argument('--truth', nargs='+', default=[], metavar='T', choices=(*TRUTHS, APART),
                          help='measure again with one part of the truth put in, for each of '
                          f'{", ".join(TRUTHS)}: it shows where the error comes from; or {APART}: '
                          'each object told alone')
    accuracy.add_argument('--pictures', type=Path, metavar='DIR',
                          help='write plots and overlays of best, median and worst here')
    speed = kinds.add_parser(
        'speed', help='seconds, accuracy and memory of presets side by side',
        epilog=SPEED_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    speed.add_argument('--set', type=Path, metavar='DIR',
                       help='evaluation set or bag (default: the bag of the demo)')
    speed.add_argument('--preset', nargs='+', default=['warm', 'cold'], metavar='P')
    speed.add_argument('--frames', type=int, default=40, help='at most so many (default: 40)')
    speed.add_argument('--threads', type=int, default=0, help='CPU threads (0: all)')
    speed.add_argument('--compiled', action='store_true',
                       help='each preset with compiled networks as well (some minutes more)')
    models = kinds.add_parser(
        'models', help='encoders and generators on instances that training left out',
        epilog=MODELS_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    models.add_argument('--data', required=True, type=Path, metavar='DIR',
                        help='folder of rendered categories')
    models.add_argument('--backgrounds', type=Path, metavar='DIR', help='rendered clutter')
    models.add_argument('--strangers', type=Path, metavar='DIR',
                        help='folder of what "nabs-pose render --strangers" made, a folder a '
                        'category: measure on kinds that training never saw, too')
    models.add_argument('--models', type=Path, metavar='DIR', help='folder of the model files')
    models.add_argument('--categories', nargs='+', metavar='C',
                        help='only these (default: all that there are models and data for)')
    models.add_argument('--sheets', type=Path, metavar='DIR',
                        help='write a picture for each category here')
    models.add_argument('--write-cards', action='store_true',
                        help="write the figures into the models' own cards, too: averaged weights "
                        'have none')
    models.add_argument('--rounds', type=positive, default=ROUNDS, metavar='N',
                        help='of 384 crops a category each (default: %(default)s)')
    models.add_argument('--json', type=Path, metavar='OUT',
                        help='write the report here; with --categories, what OUT says of others '
                        'is kept')
    node = kinds.add_parser(
        'node', help='the ROS node under a camera and a late detector', epilog=NODE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    node.add_argument('--bag', type=Path, metavar='BAG', help='default: the bag of the demo')
    node.add_argument('--seconds', type=float, default=30.0, help='how long (default: 30)')
    node.add_argument('--busy', type=not_negative, default=0, metavar='N',
                      help='processes beside it that never rest, as a detector does (default: 0)')
    node.add_argument('--preset', default='cold', help='effort of the fit (default: cold)')
    node.add_argument('--device', default='cpu', help='cpu or cuda')
    node.add_argument('--json', type=Path, metavar='OUT', help='write the report here')
    benchmark_fit.add_parser(kinds)
    benchmark_gap.add_parser(kinds)
    benchmark_readings.add_parser(kinds)
    for kind in (accuracy, speed):
        kind.add_argument('--json', type=Path, metavar='OUT', help='write the report here')
        kind.add_argument('--categories', nargs='+', metavar='C',
                          help='only these (default: all that there are models for)')
        kind.add_argument('--device', default='cpu', help='cpu or cuda')
        kind.add_argument('--models', type=Path, metavar='DIR', help='folder of the model files')
        kind.add_argument('--seed', type=int, default=0, help='of the starts (default: 0)')


def run(args: argparse.Namespace) -> int:
    """Measure, print a table, write the JSON; returns the exit status."""
    kinds = {'accuracy': run_accuracy, 'speed': run_speed, 'node': run_node, 'models': run_models,
             'fit': benchmark_fit.run, 'gap': benchmark_gap.run,
             'readings': benchmark_readings.run}
    return kinds[args.kind](args)


@contextlib.contextmanager
def open_set(path: Path | None) -> Iterator[EvaluationSet]:
    """The evaluation set at a path: a folder, or a bag unpacked for the while; None: the demo's."""
    from ..evaluation.sets import read_set

    if path is None:
        from ..resources import demo_bag

        path = demo_bag()
    if not ((path / 'metadata.yaml').is_file() or path.suffix == '.mcap'):
        yield read_set(path)
        return
    from ..evaluation.from_bag import unpack_bag

    with tempfile.TemporaryDirectory(prefix='nabs-pose-') as folder:
        unpack_bag(path, Path(folder))
        yield read_set(folder)


def run_accuracy(args: argparse.Namespace) -> int:
    """``benchmark accuracy``."""
    from ..core import PosePipeline
    from ..core.types import PoseError
    from ..evaluation.accuracy import evaluate, Inputs, report

    def load(kind: type[PosePipeline]) -> PosePipeline:
        return kind.load(args.categories, device=args.device, preset=args.preset,
                         models_dir=args.models, seed=args.seed)

    with open_set(args.set) as evaluation_set:
        pipeline = load(PosePipeline)
        inputs = Inputs(depth=args.depth, masks=args.masks)
        answers = evaluate(pipeline, evaluation_set, inputs, tell_frames)
        if not answers:
            raise PoseError(f'{args.set} shows none of the categories that there are models for '
                            f'({", ".join(sorted(pipeline.models))})')
        result = report(answers, evaluation_set, args.preset, inputs)
        if args.pictures is not None:
            from ..evaluation.pictures import plot_accuracy, write_overlays

            args.pictures.mkdir(parents=True, exist_ok=True)
            plot_accuracy(result, args.pictures / 'accuracy.png')
            write_overlays(answers, args.pictures / 'overlays.png')
        if args.truth:
            from ..evaluation.truth import report_with

            result |= report_with(args.truth, load, evaluation_set, args.preset, inputs,
                                  tell_frames)
    print(accuracy_table(result))
    write_report(args.json, result)
    return 0


def _other_categories(path: Path | None) -> dict[str, Any]:
    """Figures by category of a report that is there already; PoseError where it is none."""
    if path is None or not path.is_file():
        return {}
    try:
        report = json.loads(path.read_text(encoding='utf-8'))
    except ValueError:
        report = None
    if not isinstance(report, dict) or set(report) != {'categories'}:
        raise PoseError(f'{path} is no report of "benchmark models", to whose categories others '
                        'could be added: choose another --json.')
    return dict(report['categories'])


def _kinds(categories: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and figures of strangers: each category, and after it its kinds by themselves."""
    for name, figures in categories.items():
        if 'strangers' in figures:
            yield name, figures['strangers']
            for kind, of_kind in figures['strangers']['kinds'].items():
                yield f'{name}: {kind}', of_kind


def run_models(args: argparse.Namespace) -> int:
    """``benchmark models``."""
    from ..evaluation.models import COLUMNS, measure_models, STRANGER_COLUMNS

    before = _other_categories(args.json) if args.categories else {}
    report = measure_models(args.data, args.backgrounds, args.models, args.categories, args.sheets,
                            tell_line, args.write_cards, args.rounds, args.strangers)
    print(table(['category', *COLUMNS.values()], [
        [name, *(text(figures[key], 3) for key in COLUMNS)]
        for name, figures in report['categories'].items()]))
    if args.strangers:
        print('\nKinds that training never saw:\n\n' + table(
            ['category', *STRANGER_COLUMNS.values()], [
                [name, *(text(figures[key], 3) for key in STRANGER_COLUMNS)]
                for name, figures in _kinds(report['categories'])]))
    report['categories'] = dict(sorted({**before, **report['categories']}.items()))
    write_report(args.json, report)
    return 0


def run_speed(args: argparse.Namespace) -> int:
    """``benchmark speed``."""
    from ..evaluation.speed import COMPILED, measure, Setup

    setup = Setup(categories=tuple(args.categories) if args.categories else None,
                  device=args.device, models_dir=args.models, threads=args.threads,
                  seed=args.seed)
    with open_set(args.set) as evaluation_set:
        presets = [f'{p}{kind}' for p in args.preset
                   for kind in ('', *([COMPILED] if args.compiled else []))]
        result = measure(evaluation_set, presets, setup, args.frames)
    print(f"{result['set']}, {result['frames']} frames, {result['device']}")
    print(table(['preset', 'median s', 'p95 s', 'rot deg', '<= 10 deg', 'memory MB'], [
        [name, text(p['seconds']['median'], 3), text(p['seconds']['p95'], 3),
         text(p['rotation_median_deg'], 1), text(p['within_10_deg'], 2),
         text(p['peak_memory_mb'], 0)] for name, p in result['presets'].items()]))
    print(table(['generator, forward and backward', '1 crop ms', '8 crops ms'], [
        [name, text(g['one'], 1), text(g['eight'], 1)]
        for name, g in result['generators_ms'].items()]))
    write_report(args.json, result)
    return 0


def run_node(args: argparse.Namespace) -> int:
    """``benchmark node``."""
    from ..core.types import PoseError
    from ..resources import demo_bag

    try:
        from ..evaluation import node_figures
    except ImportError as error:
        raise PoseError(f'benchmark node needs ROS 2: {error}') from error
    figures = node_figures.measure(args.bag or demo_bag(), args.seconds, [
        f'preset:={args.preset}', f'device:={args.device}'], args.busy)
    print(node_figures.table(figures))
    write_report(args.json, {'preset': args.preset, **figures})
    return 0


_ACCURACY_HEAD = ('n', 'answered', '<=5', '<=10', '<=20', 'rot deg', 'axis deg', 'trans m',
                  'trans rel', 'mask IoU', 'ECE', 's')


def _accuracy_rows(report: dict[str, Any]) -> list[list[str]]:
    rows = []
    for name, s in [*report['categories'].items(), ('overall', report['overall'])]:
        rows.append([name, str(s['n']), str(s['answered']),
                     *(text(s[f'within_{d}_deg'], 2) for d in (5, 10, 20)),
                     text(s['rotation_median_deg'], 1), text(s['axis_median_deg'], 1),
                     text(s['translation_median_m'], 3),
                     text(s['translation_median_relative'], 3), text(s['mask_iou_median'], 2),
                     text(s['confidence_ece'], 2), text(s['seconds_median'], 2)])
    return rows


def accuracy_table(report: dict[str, Any]) -> str:
    """The report's figures as a table, a line a category and one for all."""
    lines = [f"{report['set']}, preset {report['preset']}",
             table(['', *_ACCURACY_HEAD], _accuracy_rows(report))]
    points = report['overall'].get('keypoints')
    if points is not None:
        lines.append(
            'keypoints, in box diagonals (median): ' + ', '.join(
                f"{k} {points[f'{k}_median_diagonals']:.3f}" for k in ('top', 'bottom', 'front'))
            + f"; front in the image {text(points['front_angle_abs_median_deg'], 1)} deg")
    for truth, swapped in report.get('truth', {}).items():
        rows = _accuracy_rows(swapped)
        what = ('each object told alone' if truth == APART
                else f"with the true {truth}, known of {swapped['known']} objects")
        lines.append(f'{what}\n'
                     + table(['', *_ACCURACY_HEAD], rows))
    lines += report.get('truth_missing', {}).values()
    if report['without_model']:
        lines.append('not judged, for want of a model: ' + ', '.join(
            f'{n} {c}' for c, n in report['without_model'].items()))
    return '\n'.join(lines)
