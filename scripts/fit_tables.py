# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Tables and pictures of docs/fitting.md: the presets' settings, and what ``fit.json`` measured."""

from __future__ import annotations

import json
from pathlib import Path
import re
from typing import Any

from table_text import number, share, table

PICTURES = Path(__file__).resolve().parents[1] / 'docs' / 'images' / 'fit'
CAPTIONS = {
    'fit-pareto.png': 'Accuracy against time: every variant of the table above',
    'fit-basin.png': 'Share of single starts that end within 10 degrees, by how far they began',
    'fit-landscapes.png': 'Each loss around the truth (white cross) for three crops; the red dot '
                          'is the lowest point of the grid'}


def _report(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / 'fit.json').read_text())
    return report


def _stage(stage: Any) -> str:
    from ros2_nabs_pose.core.presets import JointStage, RefineStage

    kept = f'keep {stage.keep}'
    if isinstance(stage, RefineStage):
        times = stage.around_times or stage.times
        dropping = (f', dropping what is worth less than {stage.hopeless:g} of the best'
                    if stage.hopeless else '')
        stopping = (f', moving no further what turned by less than {stage.settled_deg:g} deg'
                    if stage.settled_deg and max(stage.times, times) > 1 else '')
        around = (f', below a worth of {stage.doubt:g} also turned by {stage.around_deg:g} deg '
                  f'and refined {times} x' if stage.around_deg else '')
        return (f'refine {stage.times} x{dropping}{stopping}{around}, {kept} '
                f'(without a refiner: {"; ".join(map(_stage, stage.instead))})')
    if isinstance(stage, JointStage):
        return f'{stage.iterations} joint steps, {kept}'
    if not stage.sizes:
        return f'compare, {kept}'
    spins = ', '.join(f'{spin:g}' for spin in stage.spins_deg)
    return (f'pose steps at {", ".join(map(str, stage.sizes))} px'
            + (f', also turned about the axis by {spins} deg' if spins else '')
            + (f', kept below a loss of {stage.explained:g}' if stage.explained else '')
            + f', {kept}')


def _losses(preset: Any) -> str:
    return ', '.join(f'{name} {weight:g}' for name, weight in preset.losses.items())


def _knob(value: float | bool) -> str:
    return f'{value:g}' if not isinstance(value, bool) else 'yes' if value else 'no'


def _times(ratio: float) -> str:
    return number(ratio, 0 if ratio >= 9.5 else 1)


def presets(folder: Path) -> str:
    """The settings of every preset, from the code."""
    from ros2_nabs_pose.core.presets import PaperPreset, PRESETS

    ours = {n: p for n, p in PRESETS.items() if not isinstance(p, PaperPreset)}
    papers = {n: p for n, p in PRESETS.items() if isinstance(p, PaperPreset)}
    rows = [['`stages`', *('; '.join(map(_stage, p.stages)) for p in ours.values())]]
    rows += [[f'`{key}`', *(_knob(getattr(p, key)) for p in ours.values())] for key in (
        'readings', 'cuts', 'cuts_below', 'mirror', 'cold_starts', 'warm_starts', 'rate_rotation',
        'rate_place', 'rate_latent', 'latent_prior', 'start_prior', 'pull', 'sweep')]
    rows.append(['`losses`', *map(_losses, ours.values())])
    paper_rows = [[f'`{key}`', *(f'{getattr(p, key):g}' for p in papers.values())] for key in (
        'starts', 'iterations', 'latent_prior', 'among', 'within_deg')]
    paper_rows.append(['`rates`', *(', '.join(f'{k} {v:g}' for k, v in p.rates.items())
                                    for p in papers.values())])
    paper_rows.append(['`losses`', *map(_losses, papers.values())])
    return (table(['knob', *(f'`{n}`' for n in ours)], rows) + '\n'
            + table(['knob', *(f'`{n}`' for n in papers)], paper_rows))


def fit(folder: Path) -> str:
    """The presets beside the yardstick: what ``nabs-pose benchmark fit --json`` left."""
    report = _report(folder)
    yardsticks = list(report['variants'][0]['speed_up'])
    accurate = list(report['variants'][0]['paper_crops'])
    rows = []
    for row in report['variants']:
        if row['knob'] not in ('preset', 'paper'):
            continue
        line = [row['name'], str(row['crops']), number(row['rotation_median_deg'], 1),
                share(row['within_10_deg']), share(row['within_20_deg'])]
        for name in accurate:
            same = row['paper_crops'][name]
            line.append(f'{number(same["rotation_median_deg"], 1)}; {share(same["within_10_deg"])}')
        line.append(number(1e3 * row['seconds_median'], 0))
        rows.append(line + [_times(row['speed_up'][name]) for name in yardsticks])
    for name, found in report['speed_only'].items():
        rows.append([f'{name} (time only)', str(found['crops']), '-', '-', '-',
                     *('-' for _ in accurate), number(1e3 * found['seconds_median'], 0),
                     *('-' if other != name else '1.0' for other in yardsticks)])
    crops = {name: next(r['paper_crops'][name]['crops'] for r in report['variants'])
             for name in accurate}
    head = ['fit', 'crops', 'rotation median (deg)', 'within 10 deg', 'within 20 deg',
            *(f'on the first {crops[name]}, as {name}: median; within 10 deg' for name in accurate),
            'ms', *(f'times faster than {name}' for name in yardsticks)]
    low, high = report['warm_start_deg']
    text = (f'Held-out crops of: {report["category"]}. Machine: {report["device"]}. Tracked fits '
            f'start {low:g} to {high:g} degrees from the truth.\n\n' + table(head, rows))
    # What a download said in parentheses belongs to the machine, not to the document.
    left = [re.sub(r' \(.*\)(?=:)', '', line, flags=re.DOTALL) for line in report['left_out']]
    return text + ('\nLeft out:\n\n' + ''.join(f'- {line}\n' for line in left) if left else '')


def _by_category(folder: Path, kind: str, option: str) -> str:
    """Rows of ``every_category`` as a table, its presets side by side."""
    found = _report(folder).get(kind)
    if not found:
        return f'(Not measured: nabs-pose benchmark fit was run without {option}.)\n'
    rows: dict[str, list[str]] = {}
    names: dict[str, None] = {}
    for row in found:
        names[row['preset']] = None
        rows.setdefault(row['category'], [row['category'], str(row['crops'])]).extend((
            f'{number(row["rotation_median_deg"], 1)} deg; {share(row["within_10_deg"])}; '
            f'{share(row["within_20_deg"])}', number(1e3 * row['seconds_median'], 0)))
    head = [x for name in names for x in (f'`{name}`: median; within 10 deg; 20 deg', 'ms')]
    return table(['category', 'crops', *head], list(rows.values()))


def fit_presets(folder: Path) -> str:
    """The presets on held-out crops of every category."""
    return _by_category(folder, 'presets', '--all')


def fit_beside_paper(folder: Path) -> str:
    """The presets beside the published protocol, on the same crops of every category."""
    return _by_category(folder, 'beside_paper', '--paper')


def fit_ablation(folder: Path) -> str:
    """One knob of ``cold`` turned at a time."""
    report = _report(folder)
    rows = [[r['name'], f'`{r["knob"]}`', 'yes' if r['warm'] else '', str(r['crops']),
             number(r['rotation_median_deg'], 1), share(r['within_5_deg']),
             share(r['within_10_deg']), share(r['within_20_deg']),
             number(1e3 * r['seconds_median'], 0)] for r in report['variants']]
    return table(['variant', 'knob', 'tracked', 'crops', 'rotation median (deg)', 'within 5 deg',
                  'within 10 deg', 'within 20 deg', 'ms'], rows)


def fit_basin(folder: Path) -> str:
    """From how far a single start converges."""
    found = _report(folder)['basin']
    rows = [[f'{name}, {end}', *map(share, values)]
            for key, end in (('share', 'truth'), ('share_of_basin', 'end of the true start'))
            for name, values in found[key].items()]
    return (f'Share within {found["converged_deg"]:g} degrees; crops: {found["crops"]}.\n\n'
            + table(['crop, preset, of what', *(f'{a:g} deg' for a in found['start_deg'])], rows))


def fit_pictures(folder: Path) -> str:
    """Those of the plots that are there."""
    _report(folder)
    return '\n'.join(f'![{caption}](images/fit/{name})\n' for name, caption in CAPTIONS.items()
                     if (PICTURES / name).is_file())
