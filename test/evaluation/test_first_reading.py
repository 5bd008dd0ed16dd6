# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What encoders say before any fit: known readings give known figures, real models real ones."""

import json
from pathlib import Path
import sys

import cv2
import numpy as np
import pytest
import torch

from ros2_nabs_pose.cli.main import main
from ros2_nabs_pose.core import Intrinsics
from ros2_nabs_pose.core.crop import make_view
from ros2_nabs_pose.core.types import Box
from ros2_nabs_pose.evaluation.first_reading import (
    judge,
    Judged,
    measure_set,
    Read,
    ReadingPipeline,
    summarise,
)
from ros2_nabs_pose.evaluation.sets import load_frame, read_set

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'core'))
from test_pipeline import BOX, CAMERA, rotation_error_deg, scene
from tiny_set import annotation, true_pose, write_annotations


def turned_about_x(degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return true_pose()[:3, :3] @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def test_proposals_and_masks_are_judged_by_the_truth(tmp_path):
    mask = np.zeros((240, 320), np.uint8)
    mask[60:180, 120:240] = 255
    cv2.imwrite(str(tmp_path / 'm.png'), mask)
    write_annotations(tmp_path, [[annotation(mask='m.png')]])
    frame = read_set(tmp_path).frames[0]
    loaded, true = load_frame(frame), frame.objects[0]
    view = make_view(Intrinsics(400, 400, 160, 120, 320, 240), Box(120, 60, 240, 180, 'mug'), 64)
    inside = np.zeros((64, 64), np.float32)
    inside[10:54, 10:54] = 1.0
    drawing = np.zeros((64, 64, 4), np.float32)
    drawing[10:54, 10:32, 3] = 1.0  # half of it
    read = Read(view, np.stack([turned_about_x(a) for a in (30.0, 5.0, 60.0, 90.0)]),
                np.zeros((64, 64, 3), np.float32), inside, drawing)
    found = judge(true, read, loaded, loaded.masks[0], False)
    assert found.errors_deg == pytest.approx((30.0, 5.0, 60.0, 90.0))
    assert found.mask_iou > 0.85
    assert found.drawing_iou == pytest.approx(0.5 * found.mask_iou, abs=0.08)


def test_figures_count_what_can_be_judged():
    figures = summarise([
        Judged('mug', True, (30.0, 5.0, 60.0, 90.0), 0.9, 0.8),
        Judged('mug', True, (8.0, 40.0, 60.0, 90.0), 0.8, 0.6),
        Judged('mug', False, (2.0, 2.0, 2.0, 2.0), 1.0, 1.0),  # its handle is hidden
        Judged('mug', True, None, None, None)])
    assert (figures['n'], figures['n_front_visible']) == (4, 2)
    assert figures['rotation_median_deg'] == 19.0
    assert (figures['within_10_deg'], figures['within_20_deg']) == (0.5, 0.5)
    assert figures['best_of_4_within_20_deg'] == 1.0
    assert figures['mask_iou_median'] == 0.9 and figures['drawing_iou_median'] == 0.8
    nothing = summarise([])
    assert nothing['within_10_deg'] is None and nothing['mask_iou_median'] is None


def painted_set(folder, pipeline):
    image, T = scene(pipeline)
    cv2.imwrite(str(folder / 'a.png'), image[..., ::-1])
    entry = {'id': 'm', 'category': 'mug', 'box_px': [BOX.x0, BOX.y0, BOX.x1, BOX.y1],
             'T_cam_obj': T.tolist(), 'size_m': [0.1, 0.1, 0.1], 'yaw_visible': True}
    frame = {'image': 'a.png', 'intrinsics': [CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy],
             'objects': [entry]}
    (folder / 'annotations.json').write_text(json.dumps({'name': 'p', 'frames': [frame]}))
    return T


def test_a_real_model_reads_its_own_drawing(tmp_path, capsys):
    torch.set_num_threads(1)
    pipeline = ReadingPipeline.load(['mug'])
    T = painted_set(tmp_path, pipeline)
    read = pipeline.read_boxes(load_frame(read_set(tmp_path).frames[0]), [BOX])[0]
    best = np.eye(4)
    best[:3, :3] = read.R_cam_obj[0]
    assert rotation_error_deg(best, T) < 25.0
    assert 0.1 < (read.mask > 0.5).mean() < 0.8
    figures = measure_set(pipeline, read_set(tmp_path), tmp_path / 'sheet.jpg')['overall']
    assert figures['n'] == figures['n_front_visible'] == 1
    assert figures['rotation_median_deg'] == pytest.approx(rotation_error_deg(best, T), abs=1e-3)
    assert cv2.imread(str(tmp_path / 'sheet.jpg')).std() > 5.0
    assert main(['benchmark', 'readings', '--set', str(tmp_path), '--categories', 'mug', '--json',
                 str(tmp_path / 'out.json')]) == 0
    said = json.loads((tmp_path / 'out.json').read_text())[tmp_path.name]
    assert said['overall']['rotation_median_deg'] == pytest.approx(
        figures['rotation_median_deg'], abs=1e-3)
    assert 'best of 4' in capsys.readouterr().out


def test_a_folder_that_is_no_set_is_named(tmp_path, capsys):
    assert main(['benchmark', 'readings', '--set', str(tmp_path)]) == 2
    assert 'annotations.json' in capsys.readouterr().err
