# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""ROS' own linters find nothing; setup.cfg says what flake8 looks for. Where ROS is installed."""

import importlib.metadata
from pathlib import Path
import shutil

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
CODE = ['ros2_nabs_pose', 'launch', 'examples', 'scripts', 'test', 'setup.py']
# The layout and mood of docstrings, as pyproject.toml leaves them out for ruff.
LAYOUT = ['D200', 'D205', 'D213', 'D400', 'D401', 'D402', 'D403', 'D415']


@pytest.mark.parametrize('linter, arguments', [
    ('ament_copyright', CODE),
    ('ament_flake8', ['--config', 'setup.cfg', *CODE]),
    ('ament_pep257', ['--add-ignore', *LAYOUT, '--', *CODE]),
    ('ament_xmllint', ['package.xml'])])
def test_finds_nothing(linter, arguments, monkeypatch, capfd):
    main = pytest.importorskip(f'{linter}.main').main
    if linter == 'ament_copyright' and not any(
            entry.name == 'apache2_short'
            for entry in importlib.metadata.entry_points().select(group='ament_copyright.license')):
        pytest.skip('this package is not installed, so the linter does not know its notice')
    if linter == 'ament_xmllint' and shutil.which('xmllint') is None:
        pytest.skip('xmllint is not installed')
    monkeypatch.chdir(CHECKOUT)
    assert main(argv=arguments) == 0, ''.join(capfd.readouterr())
