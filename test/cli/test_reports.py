# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.

import json

from ros2_nabs_pose.cli.reports import table, tell_frames, text, write_report


def test_figures_keep_their_digits_and_gaps_are_dashes():
    assert [text(x) for x in (None, 7, 0.126)] == ['-', '7', '0.13']
    assert text(12.34, 1) == '12.3'


def test_columns_line_up_labels_left_and_figures_right():
    assert table(['set', 'kind', 'n'], [['scans', 'mug', '17'], ['x', 'bottle', '3']], 2) == (
        'set    kind     n\n'
        'scans  mug     17\n'
        'x      bottle   3')


def test_reports_are_written_into_new_folders_and_nowhere_without_a_path(tmp_path):
    path = tmp_path / 'new' / 'report.json'
    write_report(path, {'a': [1, None]})
    assert json.loads(path.read_text()) == {'a': [1, None]}
    write_report(None, {'a': object()})
    assert [p.name for p in tmp_path.rglob('*')] == ['new', 'report.json']


def test_progress_is_for_terminals_alone(capsys, monkeypatch):
    tell_frames(1, 2, 'scans')
    assert capsys.readouterr().err == ''
    monkeypatch.setattr('sys.stderr.isatty', lambda: True)
    tell_frames(1, 2, 'scans')
    tell_frames(2, 2)
    assert capsys.readouterr().err == '\rscans: frame 1 of 2\rframe 2 of 2\n'
