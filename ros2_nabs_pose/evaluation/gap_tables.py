# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Markdown tables of a report by ``gap``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PUT_IN = {
    '': 'nothing', 'apart': 'nothing, each object told alone', 'depth': 'measured depth',
    'mask': 'true mask', 'start': 'true start', 'size': 'true size',
    'code': 'code fitted at the true pose', 'up': 'true up', 'ground': 'true up and ground'}


def _number(value: float | None, digits: int) -> str:
    return '-' if value is None else f'{value:.{digits}f}'


def _share(value: float | None, digits: int = 0) -> str:
    return '-' if value is None else f'{100.0 * value:.{digits}f} %'


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ['---'] * len(head), *rows]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines) + '\n'


def _aim(target: Mapping[str, Any], value: float | None) -> str:
    if value is None:
        return 'unanswered'
    if target['unit'] == '%':
        return _share(value, 1 if abs(value) < 0.1 else 0)
    if target['unit'] == 'm':
        return f'{1e3 * value:.0f} mm'
    return f"{value:.3g} {target['unit']}".strip()


def target_table(report: Mapping[str, Any]) -> str:
    """Aims, and whether they are met."""
    return _table(['set', '', 'aim', 'measured', 'met'], [
        [t['set'], t['what'], ('at least ' if t['sign'] == '>=' else 'at most ')
         + _aim(t, t['limit']), _aim(t, t['value']), 'yes' if t['met'] else 'no']
        for t in report['targets']])


def accuracy_table(report: Mapping[str, Any]) -> str:
    """A line for each category of each set, presets side by side."""
    presets = report['presets']
    rows = []
    for name, by_preset in [*report['sets'].items(), ('all', report['all'])]:
        categories = sorted({c for p in by_preset.values() for c in p['categories']})
        for category in [*categories, 'overall'] if len(categories) > 1 else categories:
            found = [by_preset[p]['overall'] if category == 'overall'
                     else by_preset[p]['categories'].get(category) for p in presets]
            known = next(f for f in found if f is not None)
            cells = [(str(f['answered']), _share(f['within_10_deg']),
                      _number(f['rotation_median_deg'], 1),
                      _share(f['translation_median_relative']), _number(f['confidence_ece'], 2))
                     if f is not None else ('-',) * 5 for f in found]
            rows.append([name, category, str(known['n']),
                         *(' / '.join(cell) for cell in zip(*cells, strict=True))])
    return (f"Presets {' / '.join(presets)}, side by side in every cell.\n\n"
            + _table(['set', 'category', 'objects', 'answered', 'within 10 deg',
                      'rotation median (deg)', 'position error / distance', 'confidence ECE'],
                     rows))


def keypoint_table(report: Mapping[str, Any]) -> str:
    """Sets that are judged by keypoints."""
    rows = []
    for name, by_preset in report['sets'].items():
        for preset, figures in by_preset.items():
            found = figures['overall'].get('keypoints')
            if found is not None:
                rows.append([name, preset, str(found['n']), *(
                    _share(found[f'{k}_median_diagonals'], 1) for k in ('top', 'bottom', 'front')),
                    _number(found['front_angle_abs_median_deg'], 0)])
    return _table(['set', 'preset', 'objects', 'top', 'bottom', 'front',
                   'handle angle (deg)'], rows) if rows else ''


def put_in_table(report: Mapping[str, Any]) -> str:
    """What each part of the truth alone brings, and what there was none of."""
    preset = report['truth_preset']
    rows = []
    for name, by_preset in report['sets'].items():
        plain = by_preset[preset]['overall']
        if not plain['n_front_visible']:
            continue
        for put_in, figures in [('', plain)] + [
                (put_in, by_set[name]['overall']) for put_in, by_set in report['put_in'].items()
                if name in by_set]:
            rows.append([
                name if not put_in else '', PUT_IN[put_in],
                *(_share(figures[f'within_{d}_deg']) for d in (5, 10, 20)),
                _number(figures['rotation_median_deg'], 1), _number(figures['axis_median_deg'], 1),
                _number(figures['translation_median_m'] and 1e3 * figures['translation_median_m'],
                        0), _share(figures['translation_median_relative'], 1)])
    text = f'Preset {preset}; one part at a time, all else as it is.\n\n' + _table(
        ['set', 'put in', 'within 5 deg', '10 deg', '20 deg', 'rotation median (deg)',
         'axis median (deg)', 'position error (mm)', 'position error / distance'], rows)
    return text + ''.join(f'\n- {line}' for line in report['cannot']) + '\n'
