# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Plots of an ablation's report: accuracy against time, convergence basin, loss landscapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .ablation import pareto
from .figures import new_figure


def plot_pareto(report: dict[str, Any], path: Path) -> None:
    """Median rotation error against seconds a crop; the names of those that none beats are bold.

    Yardsticks of time alone are vertical lines.
    """
    from matplotlib import colormaps
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    figure = new_figure(10.0, 6.5)
    axes = figure.subplots()
    rows = report['variants']
    best = pareto(rows)
    knobs = list(dict.fromkeys(r['knob'] for r in rows))
    for knob, colour in zip(knobs, colormaps['turbo'](np.linspace(0.05, 0.95, len(knobs))),
                            strict=True):
        mine = [r for r in rows if r['knob'] == knob]
        for warm, marker in ((False, 'o'), (True, '^')):
            axes.scatter([r['seconds_median'] for r in mine if r['warm'] == warm],
                         [r['rotation_median_deg'] for r in mine if r['warm'] == warm],
                         color=[colour], marker=marker, label=None if warm else knob)
    for row in rows:
        axes.annotate(row['name'], (row['seconds_median'], row['rotation_median_deg']),
                      textcoords='offset points', xytext=(5, 3), fontsize=7,
                      fontweight='bold' if row['name'] in best else 'normal')
    axes.set(xscale='log', yscale='log', xlabel='seconds a crop (median)',
             ylabel='rotation error (deg, median)',
             title=f'{report["category"]}: held-out crops in clutter ({report["crops"]}); '
                   'triangles start from a tracked pose')
    for name, found in report['speed_only'].items():
        axes.axvline(found['seconds_median'], color='grey', linestyle=':', label=f'time of {name}')
    axes.margins(x=0.12)  # for the names of the rightmost
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(StrMethodFormatter('{x:g}'))
        axis.set_minor_formatter(NullFormatter())
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3, which='both')
    figure.savefig(path, dpi=110)


def plot_basin(report: dict[str, Any], path: Path) -> None:
    """Share of starts that end within 10 degrees, against the angle they began at."""
    figure = new_figure(7.0, 4.5)
    axes = figure.subplots()
    found = report['basin']
    for name, share in found['share'].items():
        axes.plot(found['start_deg'], share, marker='o', markersize=3,
                  linestyle='-' if name.startswith('own') else '--', label=name)
    axes.set(xlabel='start turned from the truth by (deg)', ylim=(-0.02, 1.02),
             ylabel=f'share within {found["converged_deg"]:.0f} deg',
             title=f'{report["category"]}: one start each; crops: {found["crops"]}')
    axes.set_xticks(found['start_deg'])
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def plot_landscapes(report: dict[str, Any], path: Path) -> None:
    """Every term around the truth (white cross) for each crop; the red dot is the grid's lowest."""
    found = report['landscapes']
    terms = list(found['crops'][0]['turn'])
    figure = new_figure(3.0 * 2 * len(terms), 2.7 * len(found['crops']))
    axes = figure.subplots(len(found['crops']), 2 * len(terms), squeeze=False)
    planes = {'turn': (found['azimuth_deg'], found['elevation_deg'], 'azimuth (deg)',
                       'elevation (deg)'),
              'shift': (found['shift'], found['shift'], 'tx', 'ty')}
    for row, crop in enumerate(found['crops']):
        for p, (plane, (x, y, x_name, y_name)) in enumerate(planes.items()):
            for k, term in enumerate(terms):
                here = axes[row][p * len(terms) + k]
                values = crop[plane][term]
                here.contourf(x, y, values, levels=20, cmap='viridis')
                lowest = min((v, r, c) for r, line in enumerate(values)
                             for c, v in enumerate(line))
                here.plot(x[lowest[2]], y[lowest[1]], 'o', color='red', markersize=5)
                here.plot(0.0, 0.0, '+', color='white', markersize=12, markeredgewidth=2)
                here.set(xlabel=x_name, ylabel=y_name, title=f'{term}, crop {row + 1}')
    figure.savefig(path, dpi=80)


def write_plots(report: dict[str, Any], folder: Path) -> None:
    """fit-pareto.png, fit-basin.png and fit-landscapes.png in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    plot_pareto(report, folder / 'fit-pareto.png')
    plot_basin(report, folder / 'fit-basin.png')
    plot_landscapes(report, folder / 'fit-landscapes.png')
