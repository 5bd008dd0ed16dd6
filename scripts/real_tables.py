# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Tables of docs/real.md, from the ``real.json`` of ``nabs-pose benchmark gap``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PICTURES = Path(__file__).resolve().parents[1] / 'docs' / 'images' / 'real'


def _picture(name: str, caption: str) -> str:
    """A line that shows a plot, where there is one."""
    there = (PICTURES / name).is_file()
    return f'\n![{caption}](images/real/{name})\n' if there else ''


def _report(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / 'real.json').read_text())
    return report


def real_aims(folder: Path) -> str:
    """What the project wants on real pictures, and what it reaches."""
    from ros2_nabs_pose.evaluation.gap_tables import target_table

    return target_table(_report(folder))


def real_sets(folder: Path) -> str:
    """Figures by set and category, presets side by side."""
    from ros2_nabs_pose.evaluation.gap_tables import accuracy_table

    return accuracy_table(_report(folder)) + _picture(
        'accuracy.png', 'Share within 10 degrees by set, category and preset')


def real_readings(folder: Path) -> str:
    """What encoders alone say."""
    from table_text import number, share, table

    report: dict[str, Any] = json.loads((folder / 'real-readings.json').read_text())
    rows = []
    for name, figures in report.items():
        parts = figures['categories']
        for category, f in (*parts.items(), *((('overall', figures['overall']),)
                                              if len(parts) > 1 else ())):
            rows.append([name, category, str(f['n']), number(f['rotation_median_deg'], 1),
                         *(share(f[k]) for k in ('within_10_deg', 'within_20_deg',
                                                 'best_of_4_within_20_deg')),
                         number(f['mask_iou_median'], 2), number(f['drawing_iou_median'], 2)])
    return table(['set', 'category', 'objects', 'rotation median (deg)', 'within 10 deg',
                  'within 20 deg', 'best of 4 within 20 deg', 'mask IoU', 'drawing IoU'], rows)


def real_node(folder: Path) -> str:
    """The sequence as the node answers it."""
    from table_text import number, share, table

    summary: dict[str, Any] = json.loads((folder / 'real-node.json').read_text())
    every, seen = summary['all'], summary['front_visible']
    spread = [number(seen['rotation_error_deg'][k], 1) for k in ('median', 'p90', 'worst')]
    return table(['mug-sequence, a bag played to the node', ''], [
        ['frames, answered, skipped as stale', f'{summary["frames"]}, '
         f'{summary["frames_answered"]}, {summary["skipped_stale"]}'],
        ['rotation where the handle is seen: median, 90 %, worst (deg)', ', '.join(spread)],
        ['the same within 20 deg', share(seen['within_20_deg'])],
        ['axis within 5 deg, all frames', share(every['axis_within_5_deg'])]])


def real_photos(folder: Path) -> str:
    """Keypoint errors."""
    from ros2_nabs_pose.evaluation.gap_tables import keypoint_table

    return keypoint_table(_report(folder))


def real_confidence(folder: Path) -> str:
    """Calibration of each preset over all sets, and its plot."""
    from table_text import number, table

    rows = [[preset, str(sum(b['n'] for b in f['reliability'])),
             number(f['overall']['confidence_ece'], 2)]
            for preset, f in _report(folder)['all'].items()]
    return (table(['preset', 'answers with a pose to judge', 'expected calibration error'], rows)
            + _picture('confidence.png', 'Reliability, and rotation error over confidence'))


def real_truth(folder: Path) -> str:
    """What each part of the truth brings."""
    from ros2_nabs_pose.evaluation.gap_tables import put_in_table

    return put_in_table(_report(folder)) + _picture(
        'truth.png', 'Rotation and position by set, with each part of the truth put in')
