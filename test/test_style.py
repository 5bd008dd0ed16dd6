# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Ruff and mypy find nothing; pyproject.toml says what they look for."""

import importlib.util
from pathlib import Path
import subprocess
import sys

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize('tool, arguments', [('ruff', ['check', '.']), ('mypy', [])])
def test_finds_nothing(tool, arguments):
    if importlib.util.find_spec(tool) is None:
        pytest.skip(f'{tool} is not installed')
    done = subprocess.run([sys.executable, '-m', tool, *arguments], cwd=CHECKOUT, text=True,
                          capture_output=True, timeout=290)
    assert done.returncode == 0, done.stdout + done.stderr
