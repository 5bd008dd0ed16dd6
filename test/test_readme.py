# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""README says what the files say: its tables, its commands, its topics and parameters."""
import dataclasses
import importlib.util
from pathlib import Path
import re

import pytest

from ros2_nabs_pose.parameters import Parameters
from ros2_nabs_pose.topics import DIAGNOSTICS, INPUTS, OBJECT_POSE, OUTPUTS, SERVICES

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / 'README.md').read_text()
NODE = (ROOT / 'docs/node.md').read_text()


def tables():
    path = ROOT / 'scripts/readme_tables.py'
    spec = importlib.util.spec_from_file_location('readme_tables', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_table_is_the_one_its_figures_make():
    assert len(re.findall('<!-- figures: ', README)) == 4
    assert len(re.findall('<!-- figures: ', NODE)) == 5
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


@pytest.mark.parametrize('field', dataclasses.fields(Parameters), ids=lambda f: f.name)
def test_every_parameter_is_documented(field):
    row = next(line for line in NODE.splitlines() if line.startswith(f'| `{field.name}` |'))
    assert field.metadata['description'] in row
    assert f"| {'live' if field.metadata['live'] else ''}" in row


@pytest.mark.parametrize('item', [*INPUTS.values(), *OUTPUTS.values(), *SERVICES.values(),
                                  DIAGNOSTICS, OBJECT_POSE], ids=lambda item: item.name)
def test_every_topic_and_service_is_documented(item):
    row = next(line for line in NODE.splitlines() if line.startswith(f'| `{item.name}` |'))
    assert item.description in row
    assert item.type_name.split('/')[-1] in row


def test_readme_names_no_topic_that_is_not_there():
    section = README[README.index('## On a robot'):README.index('## How accurate')]
    named = set(re.findall(r'`(~/[a-z_]+|/[a-z]+)`', section))
    known = {item.name for item in (*OUTPUTS.values(), *SERVICES.values(), DIAGNOSTICS)}
    assert len(named) >= 8
    assert named <= known


@pytest.mark.parametrize('document', sorted(p.name for p in (ROOT / 'docs').glob('*.md')))
def test_documents_link_to_files_that_exist(document):
    path = ROOT / 'docs' / document
    for name in re.findall(r'\]\(([^)#:]+)\)', path.read_text()):
        assert (path.parent / name).exists(), name
