# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""How numbers and tables are written in the documents; see readme_tables.py."""

from __future__ import annotations


def number(value: float | None, digits: int, unit: str = '') -> str:
    """Fixed digits, '-' for none."""
    return '-' if value is None else f'{value:.{digits}f}{unit}'


def share(value: float | None) -> str:
    """Whole percent, '-' for none."""
    return '-' if value is None else f'{100.0 * value:.0f} %'


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ['---'] * len(head), *rows]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines) + '\n'
