# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Parts of the truth in the estimate: each changes what it is about, and nothing else."""

from dataclasses import replace
from importlib import import_module
import json
from pathlib import Path
import sys

import cv2
import numpy as np
import pytest
from tiny_set import annotation, KnownErrors, write_annotations
import torch

from ros2_nabs_pose.core import PoseError, PosePipeline
from ros2_nabs_pose.core.checkpoint import load_model
from ros2_nabs_pose.core.losses import Observed
from ros2_nabs_pose.core.presets import PoseStage
from ros2_nabs_pose.core.starts import Hypotheses
from ros2_nabs_pose.evaluation import truth
from ros2_nabs_pose.evaluation.sets import read_set
from ros2_nabs_pose.resources import find_model

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'core'))
from test_pipeline import BOX, CAMERA, scene

LARGER = 1.3


@pytest.fixture(scope='module')
def models():
    torch.set_num_threads(1)
    return PosePipeline.load(['mug']).models


@pytest.fixture(scope='module')
def painted(models, tmp_path_factory):
    """A set of one picture of the model's own mug, 30 % larger than such mugs are."""
    pipeline = PosePipeline(models)
    image, T = scene(pipeline)
    estimate, = pipeline.estimate(image, CAMERA, [BOX])
    T[:3, 3] *= LARGER
    folder = tmp_path_factory.mktemp('painted')
    cv2.imwrite(str(folder / 'a.png'), image[..., ::-1])
    entry = {
        'id': 'm', 'category': 'mug', 'box_px': [BOX.x0, BOX.y0, BOX.x1, BOX.y1],
        'T_cam_obj': T.tolist(), 'size_m': (LARGER * estimate.size_m).tolist(),
        'box_center_m': (LARGER * estimate.box_center_m).tolist(), 'yaw_visible': True}
    frame = {'image': 'a.png', 'intrinsics': [CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy],
             'objects': [entry]}
    (folder / 'annotations.json').write_text(json.dumps({'frames': [frame]}))
    return read_set(folder)


def answer(models, painted, part, preset=None):
    def load(kind):
        pipeline = kind(models)
        pipeline.preset = preset or pipeline.preset
        return pipeline

    found, = truth.evaluate_with(part, load, painted)
    assert found.estimate is not None
    return found


def test_the_true_size_moves_the_object_to_its_true_distance(models, painted):
    plain, sized = (answer(models, painted, part) for part in ('', 'size'))
    # What is left is the reading's error of the apparent size; the model decides about that.
    assert sized.result.translation_error_relative < 0.15 < plain.result.translation_error_relative
    assert sized.result.scale_source == 'known_size'
    np.testing.assert_allclose(sized.estimate.size_m, painted.frames[0].objects[0].size_m)


def test_the_true_start_is_the_only_one(models, painted):
    no_steps = replace(PosePipeline(models).preset, stages=(PoseStage((), 1),))
    plain, started = (answer(models, painted, part, no_steps) for part in ('', 'start'))
    assert plain.result.rotation_error_deg > 0.5
    assert started.result.rotation_error_deg < 0.01
    position, true = started.estimate.T_cam_obj[:3, 3], started.true.T_cam_obj[:3, 3]
    np.testing.assert_allclose(position / np.linalg.norm(position), true / np.linalg.norm(true),
                               atol=1e-5)
    assert answer(models, painted, 'start').estimate.iterations > 0  # the fit goes on from there


def test_the_true_up_and_ground_are_every_standing_objects(models, painted):
    plain, upright, placed = (answer(models, painted, part) for part in ('', 'up', 'ground'))
    assert plain.estimate.standing == 0.0 and upright.estimate.standing > 0.9
    assert upright.result.axis_error_deg < 0.6 * plain.result.axis_error_deg
    np.testing.assert_array_equal(upright.estimate.T_cam_obj[:3, 3],
                                  plain.estimate.T_cam_obj[:3, 3])
    assert placed.result.scale_source == 'ground' != upright.result.scale_source
    assert (placed.result.translation_error_relative
            < 0.5 * plain.result.translation_error_relative)
    np.testing.assert_array_equal(placed.estimate.T_cam_obj[:3, :3],
                                  upright.estimate.T_cam_obj[:3, :3])


def true_mug(R, position, size):
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, position
    return truth.TrueObject(
        id='1', category='mug', box=None, mask_path=None, T_cam_obj=T, size_m=size,
        box_center_m=np.zeros(3), yaw_visible=True, keypoints_px=None)


def test_apart_leaves_out_what_objects_tell_each_other(tiny):
    write_annotations(tiny, [[annotation(), annotation(id='2')]])
    pipeline = KnownErrors(spin_deg=8.0)
    pipeline.common_ground = True
    found = truth.report_with(['apart'], lambda _: pipeline, read_set(tiny), 'cold')
    assert pipeline.common_ground is False
    assert found['truth']['apart']['overall']['n'] == found['truth']['apart']['known'] == 2
    write_annotations(tiny, [[annotation()]])
    alone = truth.report_with(['apart'], lambda _: pipeline, read_set(tiny), 'cold')
    assert 'shows one object a picture' in alone['truth_missing']['apart']


def test_the_ground_is_where_most_objects_of_a_frame_stand():
    # A camera that looks straight down, its y axis towards the viewer.
    upright = np.diag([1.0, -1.0, -1.0])
    leaning = cv2.Rodrigues(np.array([0.1, 0.0, 0.0]))[0] @ upright
    lying = upright @ np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    mugs = [true_mug(lying, (0.0, 0.2, 0.9), np.ones(3)),
            true_mug(upright, (0.3, 0.0, 0.85), np.array([1.0, 1.0, 0.1])),
            true_mug(leaning, (-0.1, 0.0, 0.8), np.array([1.0, 1.0, 0.2]))]
    ground = truth.true_ground(mugs, with_height=True)
    np.testing.assert_array_equal(ground.up, [0.0, 0.0, -1.0])
    # 0.85 and half of 0.1; 0.8 and half of 0.2 that leans.
    assert ground.height_m == pytest.approx(0.5 * (0.9 + 0.8 + 0.1 * np.cos(0.1)))
    assert truth.true_ground(mugs, with_height=False).height_m is None
    assert truth.true_ground([], with_height=True) is None


def test_the_code_of_the_truth_is_held(models, painted, monkeypatch):
    code = torch.full((1, models['mug'].generator.config.latent_dim), 0.1)
    monkeypatch.setattr(truth, 'fit_codes', lambda *_: code)
    found = answer(models, painted, 'code')
    np.testing.assert_allclose(found.estimate.latent, code[0].numpy(), atol=1e-6)
    assert found.estimate.iterations > 0


def test_the_code_of_the_truth_is_not_the_one_that_was_read(models, painted, monkeypatch):
    """At the true pose it explains the picture better; where a fit ends, it need not."""
    fitted = []

    def fit_codes(model, start, seen, focal, preset, *rest):
        code = truth_fit_codes(model, start, seen, focal, preset, *rest)
        held = replace(preset, stages=(PoseStage((), 1),))
        fitted.append([float(truth.fit(model, replace(start, latent=c), seen, focal, held).loss)
                       for c in (start.latent, code)])
        return code

    truth_fit_codes = truth.fit_codes
    monkeypatch.setattr(truth, 'fit_codes', fit_codes)
    plain, told = (answer(models, painted, part) for part in ('', 'code'))
    assert np.abs(told.estimate.latent - plain.estimate.latent).max() > 0.1
    (before, after), = fitted
    assert after < 0.9 * before


def test_codes_are_fitted_at_poses_that_stay(models):
    """From a grey code to one that draws a red disc redder."""
    model = models['mug']
    rows = torch.linspace(-1, 1, 64)
    disc = (rows[:, None] ** 2 + rows ** 2 < 0.4).float()[None, None]
    seen = Observed.unread(disc * torch.tensor([0.9, 0.1, 0.1]).view(1, 3, 1, 1), disc)
    start = Hypotheses(torch.zeros(1, dtype=torch.long), torch.eye(3)[None], torch.zeros(1, 2),
                       torch.tensor([-0.4]), torch.zeros(1, model.generator.config.latent_dim),
                       torch.tensor([False]), torch.zeros(1))
    preset = PosePipeline(models).preset
    code = truth.fit_codes(model, start, seen, torch.tensor([8.0]), preset, steps=25)
    held = replace(preset, stages=(PoseStage((), 1),))
    before, after = (truth.fit(model, replace(start, latent=c), seen, torch.tensor([8.0]), held)
                     for c in (start.latent, code))
    assert float(after.loss) < 0.9 * float(before.loss)
    np.testing.assert_array_equal(after.best.R, start.R)


def test_masks_are_given_as_an_input(tiny):
    cv2.imwrite(str(tiny / 'm.png'), np.full((240, 320), 255, np.uint8))
    write_annotations(tiny, [[annotation(mask='m.png')]])
    pipeline = KnownErrors(spin_deg=8.0)
    found = truth.report_with(['mask'], lambda _: pipeline, read_set(tiny), 'cold')
    assert pipeline.seen.masks[0].all()
    assert found['truth']['mask']['known'] == 1
    assert found['truth']['mask']['overall']['rotation_median_deg'] == pytest.approx(8.0)
    assert found['truth_missing'] == {}


def test_sets_without_a_truth_are_named(tiny):
    write_annotations(tiny, [[annotation(T_cam_obj=None)]])
    found = truth.report_with(['mask', 'start'], lambda _: None, read_set(tiny), 'cold')
    assert found['truth'] == {}
    assert found['truth_missing'] == {
        'mask': '"tiny" has no masks: the true mask cannot be put in there.',
        'start': '"tiny" has no poses with sizes: the true start cannot be put in there.'}
    with pytest.raises(PoseError, match='has no masks'):
        truth.evaluate_with('mask', lambda _: None, read_set(tiny))


def test_the_papers_preset_has_no_use_for_a_start(models):
    pipeline = truth.InformedPipeline(models, preset='paper_offline')
    with pytest.raises(PoseError, match='"paper_offline": take warm, cold or accurate'):
        pipeline.swap('start')


@pytest.mark.parametrize('category', ['bottle', 'bowl', 'camera', 'can', 'laptop', 'mug'])
def test_radii_follow_from_boxes(category, tiny):
    card = load_model(find_model(category)).card
    known = read_set(tiny).frames[0].objects[0]
    rng = np.random.default_rng(4)
    family = import_module(f'ros2_nabs_pose.data.shapes.{category}')
    for _ in range(4):
        shape = family.sample(rng)
        true = replace(known, size_m=shape.size_m, box_center_m=shape.box_center_m)
        assert truth.true_radius_m(true, card) == pytest.approx(shape.radius_m, rel=0.1)


def test_boxes_carry_what_they_show(tiny):
    given = read_set(tiny)
    told = truth.informed(given).frames[0].objects[0]
    assert told.box.true is given.frames[0].objects[0]
    assert replace(told.box, x0=1.0).true is told.box.true
    assert told.box == replace(told.box, true=None)  # what it knows is no part of the box
