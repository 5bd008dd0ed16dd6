# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""README says what the files say: its tables, its commands, its topics and parameters."""
import dataclasses
import importlib.util
import re
from pathlib import Path

import pytest

from ros2_nabs_pose.parameters import Parameters

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / 'README.md').read_text()


def tables():
    path = ROOT / 'scripts/readme_tables.py'
    spec = importlib.util.spec_from_file_location('readme_tables', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_table_is_the_one_its_figures_make():
    assert len(re.findall('<!-- figures: ', README)) == 4
    for name in tables().FILES:
        text = (ROOT / name).read_text()
        assert tables().rewritten(text, ROOT / 'docs/figures') == text


def test_a_changed_figure_would_change_the_table(tmp_path):
    for path in (ROOT / 'docs/figures').glob('*.json'):
        (tmp_path / path.name).write_text(path.read_text())
    demo = tmp_path / 'demo.json'
    demo.write_text(re.sub(r'"frames": \d+', '"frames": 123456', demo.read_text()))
    assert '123456' in tables().rewritten(README, tmp_path)


@pytest.mark.parametrize('name', sorted(set(re.findall(r'\]\(([^)#:]+)\)', README))))
def test_linked_files_exist(name):
    assert (ROOT / name).exists()


@pytest.mark.parametrize('name', sorted(set(re.findall(r'scripts/[a-z_]+(?:\.py)?', README))))
def test_named_scripts_exist(name):
    assert (ROOT / name).is_file()


@pytest.mark.parametrize('field', [f.name for f in dataclasses.fields(Parameters)])
def test_every_parameter_is_listed(field):
    assert f'`{field}`' in README
