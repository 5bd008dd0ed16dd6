# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""``nabs-pose benchmark``: tables, files, and sets that are bags."""

import json

import cv2
import numpy as np
import pytest
from tiny_set import annotation, write_annotations

from ros2_nabs_pose.bags import write_sequence
from ros2_nabs_pose.cli import main as cli
from ros2_nabs_pose.evaluation import speed


def test_accuracy_writes_json_table_and_pictures(tiny, known, capsys):
    out = tiny / 'out' / 'a.json'
    assert cli.main(['benchmark', 'accuracy', '--set', str(tiny), '--preset', 'accurate', '--json',
                     str(out), '--pictures', str(tiny / 'p'), '--categories', 'mug']) == 0
    report = json.loads(out.read_text())
    assert (report['set'], report['preset']) == ('tiny', 'accurate')
    assert report['categories']['mug']['rotation_median_deg'] == pytest.approx(8.0)
    assert known.loaded['categories'] == ['mug']
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith('mug'))
    assert line.split()[:7] == ['mug', '1', '1', '0.00', '1.00', '1.00', '8.0']
    assert (tiny / 'p' / 'accuracy.png').is_file() and (tiny / 'p' / 'overlays.png').is_file()


def test_a_bag_is_a_set_too(tmp_path, known, capsys):
    write_annotations(tmp_path, [[annotation()]], sequence='s')
    write_sequence(tmp_path, tmp_path / 'bag')
    assert cli.main(['benchmark', 'accuracy', '--set', str(tmp_path / 'bag')]) == 0
    assert 'bag, preset cold' in capsys.readouterr().out


def test_speed_writes_presets_side_by_side(tiny, known, capsys, monkeypatch):
    monkeypatch.setattr(speed, 'peak_memory_mb', lambda *_: 123.0)
    drawing = {'compact': {'one': 9.0, 'eight': 30.0}}
    monkeypatch.setattr(speed, 'measure_generators', lambda *_: drawing)
    out = tiny / 's.json'
    assert cli.main(['benchmark', 'speed', '--set', str(tiny), '--preset', 'cold', 'accurate',
                     '--json', str(out)]) == 0
    report = json.loads(out.read_text())
    assert set(report['presets']) == {'cold', 'accurate'} and report['device']
    assert report['generators_ms'] == drawing
    cold = report['presets']['cold']
    assert set(cold['seconds']) == {'median', 'p95'} and cold['peak_memory_mb'] == 123.0
    assert cold['rotation_median_deg'] == pytest.approx(8.0) and cold['within_10_deg'] == 1.0


@pytest.mark.parametrize('content, says', [
    (None, 'not an evaluation set'),
    ([[annotation(category='can')]], 'none of the categories'),
])
def test_sets_of_no_use_are_named(tmp_path, known, capsys, content, says):
    if content is not None:
        write_annotations(tmp_path, content)
    assert cli.main(['benchmark', 'accuracy', '--set', str(tmp_path)]) == 2
    assert says in capsys.readouterr().err


def test_truth_is_put_in_where_the_set_has_it(tiny, known, capsys):
    cv2.imwrite(str(tiny / 'm.png'), np.full((240, 320), 255, np.uint8))
    write_annotations(tiny, [[annotation(mask='m.png', T_cam_obj=None)]])
    out = tiny / 'a.json'
    assert cli.main(['benchmark', 'accuracy', '--set', str(tiny), '--truth', 'mask', 'size',
                     '--json', str(out)]) == 0
    report = json.loads(out.read_text())
    assert report['truth']['mask']['known'] == 1 and known.seen.masks[0].all()
    assert report['truth']['mask']['categories']['mug']['answered'] == 1
    assert set(report['truth']) == {'mask'} and set(report['truth_missing']) == {'size'}
    said = capsys.readouterr().out
    assert 'with the true mask, known of 1 objects' in said
    assert '"tiny" has no poses with sizes: the true size cannot be put in there.' in said


def test_gap_measures_a_folder_of_sets_once(tmp_path, known, capsys):
    (tmp_path / 'real' / 'scans').mkdir(parents=True)
    write_annotations(tmp_path / 'real' / 'scans', [[annotation()]])
    command = ['benchmark', 'gap', '--root', str(tmp_path / 'real'), '--presets', 'warm', 'cold',
               '--truth', '--json', str(tmp_path / 'real.json'), '--plots', str(tmp_path / 'out')]
    assert cli.main(command) == 0
    report = json.loads((tmp_path / 'real.json').read_text())
    assert report['sets']['scans']['warm']['overall']['rotation_median_deg'] == pytest.approx(8.0)
    assert report['put_in'] == {} and report['presets'] == ['warm', 'cold']
    said = capsys.readouterr()
    assert '| scans | mug | 1 | 1 / 1 | 100 % / 100 % | 8.0 / 8.0 |' in said.out
    assert '2 of 2: scans-cold' in said.err
    assert (tmp_path / 'out' / 'confidence.png').is_file()
    frames = len(known.calls)
    assert cli.main(command) == 0 and len(known.calls) == frames  # nothing was measured again
    assert cli.main([*command, '--root', str(tmp_path)]) == 2
    assert 'holds none of scans, tables' in capsys.readouterr().err
