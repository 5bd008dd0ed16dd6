#!/usr/bin/env python3
# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Write the tables of README.md and of docs/ from what they are about.

No figure there is typed: each table stands between <!-- figures: NAME --> and
<!-- end figures --> and is made here, from the JSON files in docs/figures that each function names,
from the code (topics, services, parameters, presets) or from the weights' own metadata (models). A
table whose JSON file is not there is left out, and a line says so.

    scripts/env python scripts/readme_tables.py          # rewrite them
    scripts/env python scripts/readme_tables.py --check  # exit 1 where one is out of date
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
import dataclasses
import json
from pathlib import Path
import re
import sys
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# For the tables that are made from the code, and for the modules beside this one.
sys.path[:0] = [str(ROOT / 'scripts'), str(ROOT)]

import fit_tables  # noqa: E402
import model_tables  # noqa: E402
import real_tables  # noqa: E402
from table_text import number, share, table  # noqa: E402

FILES = ('README.md', 'docs/models.md', 'docs/fitting.md', 'docs/real.md', 'docs/node.md')
BLOCK = re.compile(r'(<!-- figures: (\w+) -->\n).*?(<!-- end figures -->)', re.DOTALL)


def demo(folder: Path) -> str:
    """The demo's summary.json, kept as demo.json."""
    found: dict[str, Any] = json.loads((folder / 'demo.json').read_text())
    rotation, translation = found['rotation_error_deg'], found['translation_error_m']
    latency = found['latency_ms']
    rows = [
        ['frames with boxes', str(found['frames'])],
        ['answered, or skipped as stale', share(found['answered_or_skipped'])],
        ['poses', str(found['poses'])],
        ['rotation error, handle visible: median, 90 %',
         f"{number(rotation['median'], 1)}, {number(rotation['p90'], 1)} deg"],
        ['translation error: median, 90 %',
         f"{number(translation['median'] * 1e3, 0)}, {number(translation['p90'] * 1e3, 0)} mm"],
        ['latency, image published to pose received: median, 95 %',
         f"{number(latency['median'], 0)}, {number(latency['p95'], 0)} ms"],
        ['answered frames a second', number(found['rate_hz'], 1)],
    ]
    return table(['scripts/demo', ''], rows)


def _keypoints(found: dict[str, Any] | None) -> str:
    if found is None:
        return '-'
    places = ', '.join(share(found[f'{k}_median_diagonals']) for k in ('top', 'bottom', 'front'))
    return f"{places}; {number(found['front_angle_abs_median_deg'], 0)} deg"


def accuracy(folder: Path) -> str:
    """Every accuracy-SET.json that ``nabs-pose benchmark accuracy`` left."""
    rows = []
    for path in sorted(folder.glob('accuracy-*.json')):
        report: dict[str, Any] = json.loads(path.read_text())
        for category, f in report['categories'].items():
            rows.append([
                report['set'], category, str(f['n']), str(f['answered']),
                number(f['rotation_median_deg'], 1), number(f['axis_median_deg'], 1),
                share(f['within_10_deg']), share(f['within_20_deg']),
                share(f['translation_median_relative']), number(f['confidence_ece'], 2),
                _keypoints(f.get('keypoints'))])
    return table(['set', 'category', 'objects', 'answered', 'rotation median (deg)',
                   'axis median (deg)', 'within 10 deg', 'within 20 deg',
                   'translation error / distance', 'confidence ECE',
                   'keypoints top, bottom, front / diagonal; handle angle'], rows)


def ground(folder: Path) -> str:
    """What objects tell each other, and what a robot's frames tell, by rendered set."""
    return _told(folder, ('apart', '', 'up', 'ground'))


def known_sizes(folder: Path) -> str:
    """What the three sides of objects tell where they are known, by rendered set."""
    return _told(folder, ('', 'size'))


def _told(folder: Path, parts: tuple[str, ...]) -> str:
    """Figures of each set that has them with these parts of the truth; '': as it is."""
    rows = []
    for path in sorted(folder.glob('accuracy-*.json')):
        report: dict[str, Any] = json.loads(path.read_text())
        told = {'': report, **report.get('truth', {})}
        if not set(parts) <= set(told):
            continue
        figures = [told[part]['overall'] for part in parts]
        rows.append([report['set'], str(report['overall']['n'])] + [
            ' / '.join(show(f[key]) for f in figures) for key, show in (
                ('axis_median_deg', lambda x: number(x, 1)), ('within_5_deg', share),
                ('within_10_deg', share), ('translation_median_relative', share))])
    return table(['set', 'objects', 'axis median (deg)', 'rotation within 5 deg', 'within 10 deg',
                  'position error / distance'], rows)


def speed(folder: Path) -> str:
    """The speed.json that ``nabs-pose benchmark speed`` left."""
    report: dict[str, Any] = json.loads((folder / 'speed.json').read_text())
    counts = sorted({n for f in report['presets'].values() for n in f['seconds_by_objects']},
                    key=int)
    rows = [[name, number(1e3 * f['seconds']['median'], 0), number(1e3 * f['seconds']['p95'], 0),
             ' / '.join(number(1e3 * f['seconds_by_objects'][n], 0)
                        if n in f['seconds_by_objects'] else '-' for n in counts),
             number(f['rotation_median_deg'], 1), share(f['within_10_deg']),
             number(f['peak_memory_mb'], 0)] for name, f in report['presets'].items()]
    return (f'Set: {report["set"]}. Machine: {report["device"]}.\n\n'
            + table(['preset', 'ms a frame (median)', 'ms (95 %)',
                      f'ms with {" / ".join(counts)} objects (median)', 'rotation median (deg)',
                      'within 10 deg', 'peak memory (MB)'], rows))


def node(folder: Path) -> str:
    """The node.json that ``nabs-pose benchmark node`` left, and node-busy.json (``--busy 1``)."""
    f: dict[str, Any] = json.loads((folder / 'node.json').read_text())
    busy: dict[str, Any] = json.loads((folder / 'node-busy.json').read_text())
    outside, said = (f['latency_ms'][key] for key in ('outside', 'diagnostics'))
    stages, call, memory = f['stages_ms'], f['parameter_call_ms'], f['memory_mb']
    return table([f'node under load, {f["seconds"]:.0f} s', ''], [
        ['images, of them with boxes', f'{f["images"]}, {f["detections"]}'],
        ['answered frames a second', number(f['rate_hz'], 1)],
        ['image stamp to pose received: median, 95 %',
         f"{number(outside['median'], 0)}, {number(outside['p95'], 0)} ms"],
        ['the same in diagnostics', f"{number(said['median'], 0)}, {number(said['p95'], 0)} ms"],
        ['frames left out for newer ones; in diagnostics',
         f"{f['drops']['outside']}; {f['drops']['diagnostics']}"],
        ['fit; decoding and publishing (median)', f"{number(stages['fit']['median'], 0)}; "
         f"{number(stages['decode']['median'] + stages['publish']['median'], 1)} ms"],
        ['callbacks, 99 %', number(f['callback_ms_p99'], 1, ' ms')],
        ['parameter calls during fits: median, longest',
         f"{number(call['median'], 0)}, {number(call['max'], 0)} ms"],
        ['resident memory; growth after the warm-up',
         f"{number(memory['end'], 0)}; {number(memory['growth'], 1)} MB"],
        ['beside a process that never rests: answered frames a second; fit (median)',
         f"{number(busy['rate_hz'], 1)}; {number(busy['stages_ms']['fit']['median'], 0)} ms"]])


def parameters(folder: Path) -> str:
    """The node's parameters, from the code that declares them."""
    from ros2_nabs_pose.parameters import Parameters

    rows = []
    for spec in dataclasses.fields(Parameters):
        info, default = spec.metadata, spec.default
        several = isinstance(default, tuple)
        shown = ', '.join(map(str, default)) if several else json.dumps(default)
        bounds = ', '.join(f'`{choice}`' for choice in info['choices'])
        if info['low'] is not None:
            bounds = f'{info["low"]:g} ..' + ('' if info['high'] is None else f' {info["high"]:g}')
        changes = 'live' if info['live'] else 'never' if info['read_only'] else 'configure'
        rows.append([f'`{spec.name}`', f'list of {TYPES[type(default[0])]}' if several
                     else TYPES[type(default)],
                     f'`{shown}`' if shown else '', bounds, changes, info['description']])
    return table(['parameter', 'type', 'default', 'range', 'changes', 'meaning'], rows)


TYPES = {bool: 'bool', int: 'integer', float: 'number', str: 'text'}


def _topics(topics: Iterable[Any]) -> str:
    return table(['topic', 'type', 'depth', 'durability', ''], [
        [f'`{t.name}`', t.type_name.replace('/msg/', '/'), str(t.depth),
         'transient local' if t.latched else 'volatile', t.description] for t in topics])


def inputs(folder: Path) -> str:
    """What the node subscribes."""
    from ros2_nabs_pose.topics import INPUTS

    return _topics(INPUTS.values())


def outputs(folder: Path) -> str:
    """What the node publishes."""
    from ros2_nabs_pose.topics import DIAGNOSTICS, OBJECT_POSE, OUTPUTS

    return _topics([*OUTPUTS.values(), OBJECT_POSE, DIAGNOSTICS])


def services(folder: Path) -> str:
    """What the node serves beside ROS' own parameter and lifecycle services."""
    from ros2_nabs_pose.topics import SERVICES

    return table(['service', 'type', ''], [
        [f'`{s.name}`', s.type_name.replace('/srv/', '/'), s.description]
        for s in SERVICES.values()])


def box_publisher(folder: Path) -> str:
    """The parameters of the node that publishes a given or drawn box."""
    from ros2_nabs_pose.box_publisher import PARAMETERS

    return table(['parameter', 'default', 'meaning'], [
        [f'`{name}`', f'`{json.dumps(default)}`', description]
        for name, (default, description) in PARAMETERS.items()])


TABLES: dict[str, Callable[[Path], str]] = {
    make.__name__: make
    for make in (
        demo, accuracy, ground, known_sizes, speed, node, inputs, outputs, services, parameters,
        box_publisher,
        model_tables.categories, model_tables.card_figures, model_tables.model_figures,
        model_tables.strangers,
        model_tables.generators, model_tables.refiner, model_tables.model_cards,
        fit_tables.presets, fit_tables.fit, fit_tables.fit_presets, fit_tables.fit_beside_paper,
        fit_tables.fit_ablation, fit_tables.fit_basin, fit_tables.fit_pictures,
        real_tables.real_aims, real_tables.real_sets, real_tables.real_readings,
        real_tables.real_node, real_tables.real_photos,
        real_tables.real_confidence, real_tables.real_truth)}


def _made(name: str, folder: Path) -> str:
    try:
        return TABLES[name](folder)
    except FileNotFoundError as error:
        return f'(Not measured yet: {Path(error.filename).name} is not there.)\n'


def rewritten(text: str, folder: Path) -> str:
    """A text with every block made anew from ``folder``."""
    return BLOCK.sub(lambda m: f'{m[1]}{_made(m[2], folder)}{m[3]}', text)


def main() -> int:
    """Rewrite or check the files."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--check', action='store_true', help='change nothing; 1 if out of date')
    check = parser.parse_args().check
    outdated = 0
    for name in FILES:
        path = ROOT / name
        old = path.read_text()
        new = rewritten(old, ROOT / 'docs' / 'figures')
        if check and old != new:
            print(f'{name} does not show what the figures say: run scripts/env python '
                  'scripts/readme_tables.py', file=sys.stderr)
            outdated = 1
        if not check:
            path.write_text(new)
    return outdated


if __name__ == '__main__':
    sys.exit(main())
