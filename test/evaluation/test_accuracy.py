# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Accuracy over a set: known errors come out as figures, in the promised keys."""

import json

import cv2
import numpy as np
import pytest
from tiny_set import annotation, KnownErrors, write_annotations

from ros2_nabs_pose.core import camera
from ros2_nabs_pose.core.types import Intrinsics
from ros2_nabs_pose.evaluation import metrics
from ros2_nabs_pose.evaluation.accuracy import evaluate, Inputs, report
from ros2_nabs_pose.evaluation.pictures import plot_accuracy, write_overlays
from ros2_nabs_pose.evaluation.sets import read_set

PROMISED = {'n', 'answered', 'within_5_deg', 'within_10_deg', 'within_20_deg',
            'rotation_median_deg', 'axis_median_deg', 'translation_median_m',
            'translation_median_relative', 'mask_iou_median', 'confidence_ece'}


def figures(folder, pipeline, inputs=None):
    evaluation_set = read_set(folder)
    return report(evaluate(pipeline, evaluation_set, inputs), evaluation_set, 'cold', inputs)


def test_known_errors_come_out(tiny):
    got = figures(tiny, KnownErrors(spin_deg=8.0, shift_m=0.03, confidence=0.7))
    overall = got['overall']
    assert got['set'] == 'tiny' and got['preset'] == 'cold'
    assert PROMISED <= set(overall) and set(got['categories']) == {'mug'}
    assert overall['rotation_median_deg'] == pytest.approx(8.0)
    assert overall['axis_median_deg'] == pytest.approx(0.0, abs=1e-6)
    assert overall['translation_median_m'] == pytest.approx(0.03)
    assert overall['translation_median_relative'] == pytest.approx(
        0.03 / np.linalg.norm([0.05, 0.02, 0.5]))
    assert [overall[f'within_{d}_deg'] for d in (5, 10, 20)] == [0.0, 1.0, 1.0]
    assert overall['confidence_ece'] == pytest.approx(0.3)  # said 0.7, right
    assert overall['mask_iou_median'] is None
    json.dumps(got, allow_nan=False)


def test_hidden_fronts_and_silence(tmp_path):
    write_annotations(tmp_path, [[
        annotation(id='seen'), annotation(id='silent'),
        annotation(id='hidden', yaw_visible=False)]])
    got = figures(tmp_path, KnownErrors(spin_deg=60.0, tilt_deg=0.0, silent=('silent',)))
    overall = got['overall']
    assert (overall['n'], overall['answered'], overall['n_front_visible']) == (3, 2, 2)
    # One of two judged is unanswered, the other is 60 degrees off; the hidden one is not judged.
    assert overall['within_20_deg'] == 0.0
    assert overall['rotation_median_deg'] == pytest.approx(60.0)
    by_id = {o['id']: o for o in got['objects']}
    assert by_id['hidden']['rotation_error_deg'] == pytest.approx(0.0, abs=1e-6)
    assert by_id['silent']['reason'] == 'asked to be silent'
    # The one answer whose whole rotation can be judged said 0.9 and is wrong.
    assert overall['confidence_ece'] == pytest.approx(0.9)
    right = figures(tmp_path, KnownErrors(spin_deg=3.0, silent=('silent',)))['overall']
    assert right['within_5_deg'] == 0.5


def test_objects_that_spin_freely_are_judged_by_their_axis(tmp_path):
    write_annotations(tmp_path, [[annotation(category='can', yaw_visible=None)]])
    got = figures(tmp_path, KnownErrors(90.0, 6.0, symmetry='free_z', categories=('can',)))
    assert got['categories']['can']['rotation_median_deg'] == pytest.approx(6.0)
    assert got['categories']['can']['within_10_deg'] == 1.0


def test_categories_without_a_model_are_counted_apart(tmp_path):
    write_annotations(tmp_path, [[annotation(), annotation(id='b', category='bowl')]])
    got = figures(tmp_path, KnownErrors())
    assert got['without_model'] == {'bowl': 1} and got['overall']['n'] == 1


def test_sequences_are_tracked_in_order_and_single_frames_are_cold(tmp_path):
    write_annotations(tmp_path, [[annotation()]] * 4)
    data = json.loads((tmp_path / 'annotations.json').read_text())
    for frame, (name, stamp) in zip(data['frames'], [('a', 0.2), (None, 7.0), ('b', 0.0),
                                                     ('a', 0.1)], strict=True):
        frame['sequence'], frame['stamp_s'] = name, stamp
    (tmp_path / 'annotations.json').write_text(json.dumps(data))
    pipeline = KnownErrors()
    figures(tmp_path, pipeline)
    assert pipeline.calls == ['reset', 0.1, 0.2, 'reset', 0.0, 'reset', None]


def test_depth_and_masks_are_given_only_when_asked_for(tiny):
    cv2.imwrite(str(tiny / 'd.png'), np.full((240, 320), 5000, np.uint16))
    mask = np.zeros((240, 320), np.uint8)
    mask[60:180, 120:240] = 255
    cv2.imwrite(str(tiny / 'm.png'), mask)
    write_annotations(tiny, [[annotation(mask='m.png')]], depth='d.png', depth_unit_m=0.0001)
    pipeline = KnownErrors()
    overall = figures(tiny, pipeline)['overall']
    assert pipeline.seen.depth_m is None and pipeline.seen.masks is None
    # Alpha covers half of the crop's width and height, the mask 1 / 1.4 of them.
    assert overall['mask_iou_median'] == pytest.approx((0.5 * 1.4) ** 2, abs=0.03)
    figures(tiny, pipeline, Inputs(depth=True, masks=True))
    assert pipeline.seen.depth_m.max() == pytest.approx(0.5)
    assert pipeline.seen.masks[0].sum() == 120 * 120


def test_photographs_are_judged_by_their_keypoints(tiny):
    intrinsics = Intrinsics(400, 400, 160, 120, 320, 240)
    pipeline = KnownErrors()
    T = pipeline.answer(intrinsics, read_set(tiny).frames[0].objects[0].box).T_cam_obj
    points = metrics.reference_points(np.array([0.12, 0.08, 0.1]), np.array([0.08, 0, 0]))
    px = camera.project(intrinsics, points @ T[:3, :3].T + T[:3, 3])
    px[0] += 0.1 * np.hypot(120, 120), 0
    keypoints = dict(zip(('top', 'bottom', 'front'), px.tolist(), strict=True))
    write_annotations(tiny, [[annotation(T_cam_obj=None, size_m=None, keypoints_px=keypoints)]])
    got = figures(tiny, pipeline)
    found = got['overall']['keypoints']
    assert found['top_median_diagonals'] == pytest.approx(0.1)
    assert found['front_median_diagonals'] == pytest.approx(0.0, abs=1e-9)
    assert got['overall']['rotation_median_deg'] is None
    assert got['overall']['within_10_deg'] is None
    # A handle on the other side of a mug seen from the side: half a turn in the image.
    turned = figures(tiny, KnownErrors(spin_deg=180.0))['overall']['keypoints']
    assert turned['front_angle_abs_median_deg'] > 150


def test_pictures_are_written_whatever_could_be_measured(tmp_path):
    points = {'top': [160, 70], 'bottom': [160, 170], 'front': [230, 120]}
    write_annotations(tmp_path, [
        [annotation(), annotation(id='photo', T_cam_obj=None, keypoints_px=points)],
        [annotation(id='silent')]])
    evaluation_set = read_set(tmp_path)
    answers = evaluate(KnownErrors(silent=('silent',)), evaluation_set)
    plot_accuracy(report(answers, evaluation_set, 'cold'), tmp_path / 'plot.png')
    write_overlays(answers, tmp_path / 'overlays.png')
    assert cv2.imread(str(tmp_path / 'plot.png')).std() > 5
    assert cv2.imread(str(tmp_path / 'overlays.png')).shape[1] > 1000
    nothing = evaluate(KnownErrors(silent=('silent', 'mug_1', 'photo')), evaluation_set)
    plot_accuracy(report(nothing, evaluation_set, 'cold'), tmp_path / 'plot.png')
