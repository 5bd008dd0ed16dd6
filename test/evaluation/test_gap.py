# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Presets on all sets: parts are kept, put together, compared with the aims, shown."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from tiny_set import annotation, KnownErrors, write_annotations

from ros2_nabs_pose.core import PoseError
from ros2_nabs_pose.evaluation import gap, gap_tables
from ros2_nabs_pose.evaluation.accuracy import ObjectResult
from ros2_nabs_pose.evaluation.gap_plots import write_plots
from ros2_nabs_pose.evaluation.gap_targets import targets


class Loader:
    """Pipelines that spin 4 degrees off with 'cold', 12 with the others; counts how many."""

    def __init__(self):
        self.presets = []

    def __call__(self, kind, preset):
        self.presets.append(preset)
        pipeline = KnownErrors(spin_deg=4.0 if preset == 'cold' else 12.0, shift_m=0.02)
        pipeline.swap = lambda truth: pipeline
        return pipeline


@pytest.fixture
def root(tmp_path):
    """Two sets: 'scans' with a mask, 'photos' with keypoints alone."""
    folder = tmp_path / 'real'
    for name in ('scans', 'photos'):
        (folder / name).mkdir(parents=True)
    cv2.imwrite(str(folder / 'scans' / 'm.png'), np.full((240, 320), 255, np.uint8))
    write_annotations(folder / 'scans', [[annotation(mask='m.png')]])
    points = {'top': [160, 70], 'bottom': [160, 170], 'front': [230, 120]}
    write_annotations(folder / 'photos', [[annotation(T_cam_obj=None, keypoints_px=points)]])
    return folder


def plan(root, **changes):
    return gap.Plan(**{'root': root, 'out': root.parent / 'out', 'presets': ('warm', 'cold'),
                       'truths': ('mask',), 'truth_preset': 'cold', 'settings': {'seed': 0}}
                    | changes)


def silent(*_):
    pass


def test_presets_and_truths_come_together(root):
    load = Loader()
    report = gap.measure(plan(root), load, silent)
    assert load.presets == ['warm', 'cold', 'warm', 'cold', 'cold']
    scans = report['sets']['scans']
    assert scans['warm']['categories']['mug']['rotation_median_deg'] == pytest.approx(12.0)
    assert scans['cold']['overall']['within_5_deg'] == 1.0
    assert report['put_in']['mask']['scans']['known'] == 1
    assert set(report['put_in']) == {'mask'}
    assert '"photos" has no masks: the true mask cannot be put in there.' in report['cannot']
    assert '"scans" has no depth.' in report['cannot']
    assert report['all']['warm']['categories']['mug']['n'] == 2
    assert report['all']['warm']['reliability'] == [
        {'n': 1, 'confidence': pytest.approx(0.9), 'correct': 0.0}]
    assert report['errors'] == {'scans': [[0.9, pytest.approx(4.0)]], 'photos': []}
    aims = {(t['set'], t['what']): t for t in report['targets']}
    assert aims['scans', 'within 10 deg']['value'] == 1.0
    assert aims['scans', 'within 10 deg']['met'] is True
    json.dumps(report, allow_nan=False)


def test_parts_are_kept_until_what_they_depend_on_changes(root):
    gap.measure(plan(root), Loader(), silent)
    again = Loader()
    told = []
    report = gap.measure(plan(root), again, lambda *args: told.append(args))
    assert again.presets == [] and len(told) == 5 and told[-1][1:3] == (5, 5)
    assert report['sets']['scans']['cold']['overall']['within_5_deg'] == 1.0

    parts = root.parent / 'out' / 'parts'
    assert sorted(p.name for p in parts.iterdir()) == [
        'photos-cold.json', 'photos-warm.json', 'scans-cold-mask.json', 'scans-cold.json',
        'scans-warm.json']
    (parts / 'scans-warm.json').write_text('{"half of')
    gap.measure(plan(root), again, silent)
    assert again.presets == ['warm']
    other = Loader()
    gap.measure(plan(root, settings={'seed': 1}), other, silent)
    assert len(other.presets) == 5
    gap.measure(plan(root, settings={'seed': 1}, again=True), other, silent)
    assert len(other.presets) == 10


def test_pictures_of_the_sets_stay_in_the_folder_of_the_plots(root):
    report = gap.measure(plan(root), Loader(), silent)
    out = root.parent / 'out'
    assert sorted(p.name for p in (out / 'overlays').iterdir()) == [
        'photos-cold.jpg', 'photos-warm.jpg', 'scans-cold.jpg', 'scans-warm.jpg']
    made = write_plots(report, root.parent / 'plots')
    assert [p.name for p in made] == ['accuracy.png', 'confidence.png', 'truth.png']
    assert all(cv2.imread(str(p)).std() > 5 for p in made)


def test_tables_show_presets_side_by_side(root):
    report = gap.measure(plan(root), Loader(), silent)
    assert '| mug | 1 | 1 / 1 | 0 % / 100 % | 12.0 / 4.0 |' in gap_tables.accuracy_table(report)
    assert '|  | true mask | 100 % | 100 % | 100 % | 4.0 |' in gap_tables.put_in_table(report)
    assert '- "scans" has no depth.' in gap_tables.put_in_table(report)
    assert '| photos | cold | 1 |' in gap_tables.keypoint_table(report)
    assert '| scans | within 10 deg | at least 75 % | 100 % | yes |' in gap_tables.target_table(
        report)


def test_what_cannot_be_measured_is_said(root, tmp_path):
    with pytest.raises(PoseError, match='There is no folder'):
        gap.measure(plan(tmp_path / 'nowhere'), Loader(), silent)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(PoseError, match='holds none of scans, tables'):
        gap.measure(plan(tmp_path / 'empty'), Loader(), silent)
    with pytest.raises(PoseError, match='There is no preset "quick"'):
        gap.measure(plan(root, presets=('quick',)), Loader(), silent)
    with pytest.raises(PoseError, match='show none of the categories'):
        gap.measure(plan(root), lambda *_: KnownErrors(categories=('zebra',)), silent)


def test_long_sets_are_left_out_of_codes(root):
    write_annotations(root / 'scans', [[annotation()]] * (gap.MAX_CODE_FRAMES + 1))
    parts, cannot = gap.parts_of(plan(root, truths=('start', 'code')), gap.read_sets(root))
    assert [p.name for p in parts if p.put_in] == ['scans-cold-start']
    assert any('has 101 frames' in line for line in cannot)


def result(category='mug', error=1.0, **values):
    return ObjectResult(**{
        'image': 'a.png', 'id': 'o', 'category': category, 'posed': True, 'free_z': False,
        'front_visible': True, 'answered': error is not None, 'rotation_error_deg': error,
        'axis_error_deg': error, 'confidence': None if error is None else 0.8} | values)


def test_aims_are_measured_as_they_are_worded():
    found = {(t['set'], t['what']): SimpleNamespace(**t) for t in targets({
        ('scans', ''): [result(), result('can', 15.0), result('can', None), result('can', 2.0)],
        ('mug-sequence', ''): [result(error=100.0)] * 10 + [result(error=2.0), result(error=170.0)],
        ('tables', ''): [result(error=12.0), result('bowl', 3.0)],
        ('tables', 'depth'): [result(translation_error_m=0.02)],
        ('photos', ''): [
            result(posed=False, keypoint_errors=(0.01, 0.02, 0.05), front_angle_deg=-12.0),
            result(id='mug_glass', keypoint_errors=(0.3, 0.0, 0.0), front_angle_deg=0.0,
                   confidence=0.4)]})}
    assert found['scans', 'within 10 deg'].value == pytest.approx(0.5)
    worst = found['scans', 'worst category within 10 deg']
    assert worst.value == pytest.approx(1 / 3) and worst.met is False
    assert found['mug-sequence', 'frames turned around after frame 10'].value == 1.0
    assert found['ycbv, tables', 'axis median'].value == pytest.approx(7.5)
    assert found['ycbv, tables', 'visible handles within 15 deg'].met is True
    depth = found['ycbv, tables', 'position with depth, median']
    assert depth.value == 0.02 and depth.met is False
    assert ('ycbv, tables', 'position with known size, median over distance') not in found
    assert found['photos', 'opaque mugs, worst keypoint over diagonal'].value == 0.05
    assert found['photos', 'opaque mugs, worst handle direction'].value == 12.0
    assert found['photos', 'glass mug, confidence where it is wrong'].met is True
    assert found['tables', 'expected calibration error'].value == pytest.approx(0.3)
    assert ('ycbv', 'expected calibration error') not in found
