# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The parameter file that comes with the package, written from the code that declares them.

python -m ros2_nabs_pose.parameter_file > config/nabs_pose.yaml
"""

from __future__ import annotations

from dataclasses import Field, fields
import sys
import textwrap
from typing import Any

from .parameters import Parameters

HEAD = """\
# Parameters of nabs_pose_node with their defaults. Those marked "live" may change while frames flow
# (ros2 param set); the others are read when the node is configured.
/**:
  ros__parameters:
"""


def yaml_text() -> str:
    """Text of the file: every parameter with its description, range and default."""
    return HEAD + ''.join(map(_entry, fields(Parameters)))


def _entry(spec: Field[Any]) -> str:
    low, high, live = (spec.metadata[key] for key in ('low', 'high', 'live'))
    span = '' if low is None else f' [{low:g} ..{"" if high is None else f" {high:g}"}]'
    said = spec.metadata['description'] + span + (' (live)' if live else '')
    comment = textwrap.fill(said, 98, initial_indent='    # ', subsequent_indent='    # ',
                            break_on_hyphens=False)
    return f'{comment}\n    {spec.name}:{_value(spec.default)}\n'


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return f' {str(value).lower()}'
    if isinstance(value, tuple):
        short = f' [{", ".join(map(repr, value))}]'
        return short if len(short) < 60 else ''.join(f'\n      - {item!r}' for item in value)
    return f' {value!r}'


if __name__ == '__main__':
    sys.stdout.write(yaml_text())
