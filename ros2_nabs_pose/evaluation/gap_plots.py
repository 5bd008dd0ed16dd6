# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Plots of a report by ``gap``; they show figures only, no picture of a set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .accuracy import CORRECT_DEG
from .figures import new_figure
from .gap_tables import PUT_IN


def write_plots(report: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write accuracy.png, confidence.png and, where truth was put in, truth.png."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [plot_sets(report, folder / 'accuracy.png'),
            plot_confidence(report, folder / 'confidence.png')]
    if report['put_in']:
        made.append(plot_put_in(report, folder / 'truth.png'))
    return made


def plot_sets(report: Mapping[str, Any], path: Path) -> Path:
    """Share within 10 degrees, bars for each category of each set and each preset."""
    presets = report['presets']
    groups = []
    for name, by_preset in report['sets'].items():
        for category in sorted({c for p in by_preset.values() for c in p['categories']}):
            found = [by_preset[p]['categories'].get(category) for p in presets]
            count = max((f['n_front_visible'] for f in found if f), default=0)
            if count:
                groups.append((name, f'{category}\n({count})',
                               [f['within_10_deg'] if f else 0.0 for f in found]))
    figure = new_figure(max(6.0, 0.9 * len(groups) + 2.0), 4.4)
    axes = figure.subplots()
    width = 0.8 / max(len(presets), 1)
    places, place, before = [], 0.0, ''
    for name, _, _ in groups:
        place += 1.0 if name == before else 1.6
        places.append(place)
        before = name
    for k, preset in enumerate(presets):
        bars = axes.bar(np.array(places) + width * (k - (len(presets) - 1) / 2),
                        [shares[k] for _, _, shares in groups], 0.95 * width, label=preset)
        axes.bar_label(bars, [f'{100 * shares[k]:.0f}' for _, _, shares in groups], fontsize=6)
    axes.set_xticks(places, [label for _, label, _ in groups], fontsize=8)
    for name in dict.fromkeys(n for n, _, _ in groups):
        mine = [p for p, (n, _, _) in zip(places, groups, strict=True) if n == name]
        axes.text(float(np.mean(mine)), 1.06, name, ha='center', fontsize=9, weight='bold')
    axes.set(ylim=(0, 1.25), yticks=np.linspace(0, 1, 6),
             ylabel=f'share within {CORRECT_DEG:.0f} deg',
             title='Real pictures, front visible (objects in brackets); unanswered counts as wrong')
    axes.grid(axis='y', alpha=0.3)
    axes.legend(fontsize=8, ncol=len(presets) or 1, loc='upper right')
    figure.savefig(path, dpi=110)
    return path


def plot_confidence(report: Mapping[str, Any], path: Path) -> Path:
    """Left: how often answers of a confidence are right, by preset. Right: error over it."""
    figure = new_figure(11, 4.4)
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color='grey', linewidth=0.8, linestyle='--')
    for preset, figures in report['all'].items():
        bins = figures['reliability']
        if bins:
            left.plot([b['confidence'] for b in bins], [b['correct'] for b in bins], marker='o',
                      label=f"{preset}, ECE {figures['overall']['confidence_ece']:.2f}")
    for b in report['all'][report['truth_preset']]['reliability']:
        left.annotate(f"{b['n']}", (b['confidence'], b['correct']), fontsize=7,
                      xytext=(3, -9), textcoords='offset points')
    left.set(xlim=(0, 1), ylim=(0, 1.05), xlabel='stated confidence',
             ylabel=f'share within {CORRECT_DEG:.0f} deg',
             title=f"Reliability over all sets (answers of {report['truth_preset']} in the bins)")
    left.grid(alpha=0.3)
    if left.get_legend_handles_labels()[1]:
        left.legend(fontsize=8, loc='upper left')
    for name, errors in report['errors'].items():
        if errors:
            confidence, error = np.array(errors).T
            right.plot(confidence, np.maximum(error, 0.1), '.', label=name, alpha=0.7)
    right.axhline(CORRECT_DEG, color='grey', linewidth=0.8, linestyle='--')
    right.set(xlim=(0, 1), yscale='log', ylim=(0.1, 200), xlabel='stated confidence',
              ylabel='rotation error (deg)', title=f"Each answer, preset {report['truth_preset']}")
    right.grid(alpha=0.3)
    if right.get_legend_handles_labels()[1]:
        right.legend(fontsize=8, loc='upper right')
    figure.savefig(path, dpi=110)
    return path


def plot_put_in(report: Mapping[str, Any], path: Path) -> Path:
    """Rotation and position by set, with nothing and with each part of the truth put in."""
    preset = report['truth_preset']
    names = [n for n, p in report['sets'].items() if p[preset]['overall']['n_front_visible']]
    figure = new_figure(11, 4.4)
    left, right = figure.subplots(1, 2)
    kinds = ['', *report['put_in']]
    width = 0.85 / len(kinds)
    for k, kind in enumerate(kinds):
        found = [report['sets'][n][preset]['overall'] if not kind
                 else report['put_in'][kind].get(n, {}).get('overall') for n in names]
        for axes, key in ((left, 'within_10_deg'), (right, 'translation_median_relative')):
            shown = [(i, 100.0 * f[key]) for i, f in enumerate(found)
                     if f is not None and f[key] is not None]
            bars = axes.bar([i + width * (k - (len(kinds) - 1) / 2) for i, _ in shown],
                            [v for _, v in shown], 0.95 * width, label=PUT_IN[kind],
                            color='black' if not kind else f'C{k - 1}')
            axes.bar_label(bars, fmt='%.0f', fontsize=7)
    for axes, label in ((left, f'within {CORRECT_DEG:.0f} deg (%)'),
                        (right, 'position error / distance, median (%)')):
        axes.set_xticks(range(len(names)), names)
        axes.set(ylabel=label, title=f'One part of the truth put in, preset {preset}')
        axes.grid(axis='y', alpha=0.3)
    left.set(ylim=(0, 135), yticks=range(0, 101, 20))
    left.legend(fontsize=7, ncol=3, loc='upper center')
    figure.savefig(path, dpi=110)
    return path
