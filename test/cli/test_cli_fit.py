# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""``nabs-pose fit``: what goes into the pipeline, what is printed, and how mistakes are met."""

import json

import cv2
import numpy as np
import pytest

from ros2_nabs_pose.cli import main as cli

BOX = ['--category', 'mug', '--box', '120', '60', '240', '180']


def test_json_has_the_promised_keys_and_values(tiny, known, capsys):
    assert cli.main(['fit', str(tiny / 'a.png'), *BOX, '--json', '--preset', 'warm']) == 0
    out = capsys.readouterr().out
    got = json.loads(out)
    assert len(out.splitlines()) == 1
    assert {'T_cam_obj', 'size_m', 'confidence', 'covariance', 'scale_source',
            'iterations', 'seconds'} <= set(got)
    assert np.shape(got['T_cam_obj']) == (4, 4) and np.shape(got['covariance']) == (6, 6)
    assert got['front_m'] == [0.08, 0.0, 0.0]
    assert got['T_cam_obj'][2][3] == 0.5 and got['scale_source'] == 'category_mean'
    assert known.loaded['categories'] == ['mug'] and known.loaded['preset'] == 'warm'
    assert known.seen.intrinsics.fx == 384  # guessed: 1.2 x 320


def test_what_may_spin_has_no_front(tiny, known, capsys):
    known.models['mug'].card.symmetry = 'free_z'
    assert cli.main(['fit', str(tiny / 'a.png'), *BOX, '--json']) == 0
    assert json.loads(capsys.readouterr().out)['front_m'] is None


def test_a_known_size_reaches_the_pipeline(tiny, known, capsys):
    assert cli.main(['fit', str(tiny / 'a.png'), *BOX, '--known-size', '0.12']) == 0
    assert known.loaded['known_size_m'] == {'mug': (0.12,)}
    assert cli.main(['fit', str(tiny / 'a.png'), *BOX, '--known-size', '0.12x0.08x0.1']) == 0
    assert known.loaded['known_size_m'] == {'mug': (0.12, 0.08, 0.1)}
    assert cli.main(['fit', str(tiny / 'a.png'), *BOX]) == 0
    assert known.loaded['known_size_m'] is None


def test_people_are_told_how_sure_tilt_and_turn_are(tiny, known, capsys):
    assert cli.main(['fit', str(tiny / 'a.png'), *BOX]) == 0
    assert '(tilt +- 57.3 deg, about z +- 57.3 deg)' in capsys.readouterr().out
    known.covariance = np.diag([1.0, 1.0, 1.0, 0.0025, 0.0025, 0.0025]) + 4.0 * np.outer(
        known.spin_axis, known.spin_axis)
    assert cli.main(['fit', str(tiny / 'a.png'), *BOX]) == 0
    assert '(tilt +- 2.9 deg, about z not known)' in capsys.readouterr().out


def test_intrinsics_mask_and_depth_reach_the_pipeline(tiny, known, capsys):
    cv2.imwrite(str(tiny / 'm.png'), np.eye(240, 320, dtype=np.uint8) * 255)
    cv2.imwrite(str(tiny / 'd.png'), np.full((240, 320), 700, np.uint16))
    assert cli.main(['fit', str(tiny / 'a.png'), *BOX, '--intrinsics', '400', '401', '160', '121',
                     '--mask', str(tiny / 'm.png'), '--depth', str(tiny / 'd.png')]) == 0
    seen = known.seen
    assert (seen.intrinsics.fx, seen.intrinsics.fy, seen.intrinsics.cy) == (400, 401, 121)
    assert seen.masks[0].sum() == 240 and seen.depth_m[0, 0] == pytest.approx(0.7)
    assert 'position      0.0500 0.0200 0.5000 m' in capsys.readouterr().out


def test_overlay_is_drawn(tiny, known):
    assert cli.main(['fit', str(tiny / 'a.png'), *BOX, '--overlay', str(tiny / 'o.png')]) == 0
    overlay = cv2.imread(str(tiny / 'o.png'))
    assert overlay.shape[0] > 240 and (overlay[:240, :320] != cv2.imread(
        str(tiny / 'a.png'))).any(-1).mean() > 0.02


def test_no_pose_gives_the_reason_and_status_1(tiny, known, capsys):
    known.silent = ('',)
    assert cli.main(['fit', str(tiny / 'a.png'), *BOX, '--json']) == 1
    captured = capsys.readouterr()
    assert captured.out == '' and 'asked to be silent' in captured.err


@pytest.mark.parametrize('words, says', [
    (['none.png', *BOX], 'there is no file'),
    (['annotations.json', *BOX], 'not an image'),
    (['a.png', '--category', 'mug', '--box', '400', '0', '500', '90'], 'outside the 320 x 240'),
    (['a.png', '--category', 'mug', '--box', 'nan', '0', '50', '90'], 'not finite'),
    (['a.png', *BOX, '--intrinsics', '0', '0', '160', '120'], 'focal length'),
    (['a.png', *BOX, '--distortion', '0.1', '0', '0', '0'], '--intrinsics'),
    (['a.png', *BOX, '--mask', 'small.png'], '10 x 10, but the image is 320 x 240'),
    (['a.png', *BOX, '--depth', 'black.png'], 'no measured pixel'),
    (['a.png', *BOX, '--known-size', '-0.1'], 'metres above 0'),
    (['a.png', *BOX, '--known-size', '0.1x0.1'], 'or three sides'),
    (['a.png', *BOX, '--known-size', 'tall'], "'tall' is no size"),
    (['a.png', *BOX, '--depth', 'a.png'], 'a depth image has one'),
])
def test_bad_input_is_met_with_one_sentence_and_status_2(tiny, known, capsys, monkeypatch, words,
                                                         says):
    cv2.imwrite(str(tiny / 'small.png'), np.zeros((10, 10), np.uint8))
    cv2.imwrite(str(tiny / 'black.png'), np.zeros((240, 320), np.uint16))
    monkeypatch.chdir(tiny)
    assert cli.main(['fit', *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == '' and says in captured.err
    assert captured.err.startswith('nabs-pose fit: ') and captured.err.count('\n') == 1


def test_a_category_without_weights_is_named(tiny, capsys):
    assert cli.main(['fit', str(tiny / 'a.png'), *BOX, '--models', str(tiny)]) == 2
    assert 'mug.safetensors' in capsys.readouterr().err
