# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What the kinds of ``nabs-pose benchmark`` print and write."""

from __future__ import annotations

from collections.abc import Sequence
import json
from pathlib import Path
import sys
from typing import Any

from ..core.files import write_text_whole


def text(value: float | None, digits: int = 2) -> str:
    """A figure for a table: whole numbers as they are, a dash where there is none."""
    if value is None:
        return '-'
    return str(value) if isinstance(value, int) else f'{value:.{digits}f}'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], labels: int = 1) -> str:
    """Lines of columns as wide as they must be; the first ``labels`` columns begin at the left."""
    lines = [head, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return '\n'.join('  '.join(
        cell.ljust(width) if i < labels else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(line, widths, strict=True))) for line in lines)


def tell_frames(done: int, total: int, name: str = '') -> None:
    """How far a set is done, on a terminal alone."""
    if sys.stderr.isatty():
        print(f'\r{name}{": " if name else ""}frame {done} of {total}',
              end='' if done < total else '\n', file=sys.stderr, flush=True)


def tell_line(line: str) -> None:
    """A line of news, at once, beside what is printed."""
    print(line, file=sys.stderr, flush=True)


def write_report(path: Path | None, report: Any, indent: int | None = 1) -> None:
    """The report as JSON at ``path``, a whole file or none; None: nowhere.

    indent: None for one line, where lists are long.
    """
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_whole(path, json.dumps(report, indent=indent) + '\n')
