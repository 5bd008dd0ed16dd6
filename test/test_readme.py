# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""README says what the files say: its tables, its commands, its topics and parameters."""
import dataclasses
import importlib.util
import json
from pathlib import Path
import re

import pytest

from ros2_nabs_pose.core.checkpoint import load_model
from ros2_nabs_pose.core.losses import build_terms
from ros2_nabs_pose.core.presets import (
    JointStage,
    PaperPreset,
    PoseStage,
    Preset,
    PRESETS,
    RefineStage,
)
from ros2_nabs_pose.core.types import PoseError
from ros2_nabs_pose.data.categories import CATEGORIES
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
    assert len(re.findall('<!-- figures: ', README)) == 5
    assert len(re.findall('<!-- figures: ', NODE)) == 5
    for name in tables().FILES:
        text = (ROOT / name).read_text()
        assert tables().rewritten(text, ROOT / 'docs/figures') == text


def test_cards_tell_of_instances_that_were_put_before_others():
    recipe = {'count': 8, 'views': 4, 'samples': 2, 'lights': 1, 'size_px': 64, 'seed': 6,
              'unusual': 0.5, 'after': {'count': 5, 'views': 4, 'samples': 2, 'lights': 1,
                                        'size_px': 64, 'seed': 3}}
    assert tables().model_tables._render_command(recipe, 'can') == (
        '`nabs-pose render can --instances 5 --views 4 --samples 2 --lights 1 --seed 3 '
        '--out data/can`; and `nabs-pose render can --instances 8 --views 4 --samples 2 --lights 1 '
        '--seed 6 --unusual 0.5 --out data/can-more`, put into one folder by hand')


def test_tables_without_figures_are_left_out_and_say_so(tmp_path):
    for name in tables().FILES:
        assert '<!-- end figures -->' in tables().rewritten((ROOT / name).read_text(), tmp_path)
    block = '<!-- figures: fit -->\n| old |\n<!-- end figures -->'
    assert tables().rewritten(block, tmp_path) == (
        '<!-- figures: fit -->\n(Not measured yet: fit.json is not there.)\n<!-- end figures -->')


def test_every_shipped_model_has_its_card_and_its_notes():
    text = (ROOT / 'docs/models.md').read_text()
    shipped = sorted(p.stem for p in (ROOT / 'models').glob('*.safetensors'))
    assert shipped == sorted(CATEGORIES)
    for name in shipped:
        card = load_model(ROOT / f'models/{name}.safetensors').card
        section = text[text.index(f'### {name}\n'):].split('\n### ')[0]
        assert card.training['command'] in section
        assert card.training['data_hash'] in section
        limits = section[section.index('| known limits | ') + len('| known limits | '):]
        assert len(limits.split('|')[0]) > 50
        assert f'| **{name}** |' in README


@pytest.mark.parametrize('kind', [Preset, RefineStage, PoseStage, JointStage, PaperPreset])
def test_every_knob_of_the_fit_is_documented(kind):
    text = (ROOT / 'docs/fitting.md').read_text()
    for field in dataclasses.fields(kind):
        if field.name != 'name':
            assert re.search(rf'`(\w+\.)?{field.name}`', text), field.name
    for name in PRESETS:
        assert f'| `{name}` |' in text


def test_every_loss_is_documented():
    text = (ROOT / 'docs/fitting.md').read_text()
    with pytest.raises(PoseError) as error:
        build_terms({'': 1.0}, None)
    names = str(error.value).split('choose from ')[1].rstrip('.').split(', ')
    assert len(names) >= 9
    for name in names:
        assert f'`{name}`' in text, name


def test_a_fits_report_becomes_tables(tmp_path):
    def figures(median, seconds):
        return {'crops': 4, 'rotation_median_deg': median, 'within_5_deg': 0.5,
                'within_10_deg': 0.75, 'within_20_deg': 1.0, 'seconds_median': seconds}

    row = {'name': 'cold', 'knob': 'preset', 'warm': False, **figures(4.5, 0.125),
           'speed_up': {'paper_offline': 160.0, 'random': 800.0},
           'paper_crops': {'paper_offline': figures(3.25, 0.125)}}
    (tmp_path / 'fit.json').write_text(json.dumps({
        'category': 'mug', 'device': 'a machine', 'warm_start_deg': [5.0, 10.0], 'variants': [row],
        'speed_only': {'random': {'crops': 1, 'seconds_median': 100.0}},
        'left_out': ['paper: VGG could not be loaded (secret (inner) words): use another.'],
        'presets': [{'category': c, 'preset': p, **figures(m, 0.05)} for c in ('can', 'all')
                    for p, m in (('cold', 3.0), ('warm', 2.0))],
        'beside_paper': [{'category': 'can', 'preset': p, **figures(m, 0.5)}
                         for p, m in (('cold', 3.5), ('paper', 2.5))],
        'basin': {'crops': 2, 'converged_deg': 10.0, 'start_deg': [0, 45],
                  'share': {'own, cold': [1.0, 0.5]},
                  'share_of_basin': {'own, cold': [1.0, 0.75]}}}))
    made = tables().rewritten(''.join(f'<!-- figures: {name} -->\n<!-- end figures -->\n'
                                      for name in ('fit', 'fit_presets', 'fit_beside_paper',
                                                   'fit_ablation', 'fit_basin')), tmp_path)
    assert '| cold | 4 | 4.5 | 75 % | 100 % | 3.2; 75 % | 125 | 160 | 800 |' in made
    assert '| random (time only) | 1 | - | - | - | - | 100000 |' in made
    for name in ('can', 'all'):
        assert (f'| {name} | 4 | 3.0 deg; 75 %; 100 % | 50 | 2.0 deg; 75 %; 100 % | 50 |'
                in made)
    assert '| can | 4 | 3.5 deg; 75 %; 100 % | 500 | 2.5 deg; 75 %; 100 % | 500 |' in made
    report = json.loads((tmp_path / 'fit.json').read_text())
    del report['presets'], report['beside_paper']
    (tmp_path / 'fit.json').write_text(json.dumps(report))
    for name, option in (('fit_presets', '--all'), ('fit_beside_paper', '--paper')):
        block = f'<!-- figures: {name} -->\n<!-- end figures -->\n'
        assert f'was run without {option}' in tables().rewritten(block, tmp_path)
    assert '- paper: VGG could not be loaded: use another.' in made
    assert '| own, cold, truth | 100 % | 50 % |' in made
    assert '| own, cold, end of the true start | 100 % | 75 % |' in made


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
    info = field.metadata
    changes = 'live' if info['live'] else 'never' if info['read_only'] else 'configure'
    assert row.split(' | ')[4] == changes


@pytest.mark.parametrize('item', [*INPUTS.values(), *OUTPUTS.values(), *SERVICES.values(),
                                  DIAGNOSTICS, OBJECT_POSE], ids=lambda item: item.name)
def test_every_topic_and_service_is_documented(item):
    # What is heard and told has a row in both tables.
    rows = [line for line in NODE.splitlines() if line.startswith(f'| `{item.name}` |')]
    assert any(item.description in row and item.type_name.split('/')[-1] in row for row in rows)


def test_readme_names_no_topic_that_is_not_there():
    section = README[README.index('## On a robot'):README.index('## How accurate')]
    named = set(re.findall(r'`(~/[a-z_]+|/[a-z]+)`', section))
    known = {item.name for item in (*OUTPUTS.values(), *SERVICES.values(), DIAGNOSTICS)}
    assert len(named) >= 8
    assert named <= known


def sections_of(path):
    """What links may name after a #, as GitHub makes it of headings."""
    headings = re.findall(r'^#+ (.+)$', path.read_text(), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', h.strip().lower()).replace(' ', '-') for h in headings}


@pytest.mark.parametrize('document', ['README.md', *sorted(
    f'docs/{p.name}' for p in (ROOT / 'docs').glob('*.md'))])
def test_documents_link_to_files_and_sections_that_exist(document):
    path = ROOT / document
    for link in re.findall(r'\]\(([^):]+)\)', path.read_text()):
        name, _, section = link.partition('#')
        target = path.parent / name if name else path
        assert target.exists(), link
        assert not section or section in sections_of(target), link
