# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
from dataclasses import replace
import math

import pytest
import torch

from ros2_nabs_pose.core import answers
from ros2_nabs_pose.core.pipeline import PosePipeline
from ros2_nabs_pose.core.pose_steps import synthesise
from ros2_nabs_pose.core.presets import PoseStage, Preset, staged
from ros2_nabs_pose.core.rotations import exp_so3, geodesic_angle, rotation_z
from ros2_nabs_pose.evaluation import crop_fits
from ros2_nabs_pose.evaluation.crop_fits import fit_crops

LOOK = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


@pytest.fixture(scope='module')
def pipeline():
    return PosePipeline.load(['mug'])


@pytest.fixture(scope='module')
def crops(pipeline):
    """Two of the model's own mugs on grey, the second one leaning: image, focal, R."""
    model = pipeline.models['mug']
    code = torch.zeros(2, model.generator.config.latent_dim)
    R = (rotation_z(torch.tensor([0.0, 1.2])) @ exp_so3(torch.tensor([[0.5, 0.0, 0.0]])) @ LOOK
         @ rotation_z(torch.tensor([-0.4, -0.4])))
    focal = torch.full((2,), 6.0)
    with torch.no_grad():
        made = synthesise(model, *model.generator.volume(code), R, torch.zeros(2, 2),
                          torch.full((2,), math.log(0.8)), focal, 64)
    tint = torch.tensor([1.0, 0.5, 0.4]).view(3, 1, 1)
    return tint * made.rgb + 0.7 * (1.0 - made.alpha), focal, R


def error_deg(found, R):
    return math.degrees(float(geodesic_angle(found[None], R[None])[0]))


def test_answers_are_told_of_the_crop_as_it_came_whichever_cut_they_are_from(
        pipeline, crops, monkeypatch):
    image, focal, R = crops
    model = pipeline.models['mug']
    doubting = replace(staged('cold'), cuts_below=math.inf)
    honest = crop_fits.fit
    others = []

    def listening(*args, **options):
        found = honest(*args, **options)
        if len(found.worth) == 2:
            return found
        others.append(found.worth)
        # One of four cuts of each crop, the less worthy crop first.
        return replace(found, worth=torch.eye(4)[believed[0]].repeat(2)) if believed else found

    monkeypatch.setattr(crop_fits, 'fit', listening)
    believed = []
    first = fit_crops(model, image, focal, replace(doubting, cuts=1), pipeline.refiner)
    assert not others
    assert [error_deg(f.R, true) < 15.0 for f, true in zip(first, R, strict=True)] == [True] * 2
    found = fit_crops(model, image, focal, doubting, pipeline.refiner)
    order = sorted(range(2), key=lambda k: first[k].worth)
    for k, worths in zip(order, others[0].view(2, 4).tolist(), strict=True):
        assert found[k].worth == pytest.approx(max(first[k].worth, *worths))
    for number, turn_deg in enumerate((9.0, -9.0, 0.0, 0.0)):
        believed[:] = [number]
        found = fit_crops(model, image, focal, doubting, pipeline.refiner)
        for k in range(2):
            assert found[k].worth == 1.0
            assert error_deg(found[k].R, R[k]) < 15.0
            turn = found[k].turn @ first[k].turn.T
            assert math.degrees(math.atan2(turn[1, 0], turn[0, 0])) == pytest.approx(
                turn_deg, abs=1e-3)
    standing, leaning = (math.degrees(math.atan2(f.turn[1, 0], f.turn[0, 0])) for f in first)
    assert standing == 0.0 and leaning == pytest.approx(-math.degrees(1.2), abs=15.0)


@pytest.fixture()
def fits(monkeypatch):
    """How many crops each fit was of."""
    counts = []
    honest = crop_fits.fit
    monkeypatch.setattr(crop_fits, 'fit', lambda *args, **options: counts.append(
        len(args[2].rgb)) or honest(*args, **options))
    return counts


def test_answers_that_leave_no_doubt_are_the_first_cuts(pipeline, crops, fits):
    image, focal, _ = crops
    sure = replace(staged('cold'), cuts_below=0.0)
    found = fit_crops(pipeline.models['mug'], image, focal, sure, pipeline.refiner)
    assert fits == [2]
    between = sum(f.worth for f in found) / 2.0
    del fits[:]
    again = fit_crops(pipeline.models['mug'], image, focal,
                      replace(sure, cuts_below=between, cuts=3), pipeline.refiner)
    assert fits == [2, 2]
    surer = max(range(2), key=lambda k: found[k].worth)
    torch.testing.assert_close(again[surer].R, found[surer].R)


def test_last_steps_are_taken_once_from_the_answer_that_was_chosen(pipeline, crops, monkeypatch):
    image, focal, R = crops
    model, accurate = pipeline.models['mug'], staged('accurate')
    ends, honest = [], answers.fit
    monkeypatch.setattr(answers, 'fit', lambda *args, **options: ends.append(
        (len(args[1].owner), len(args[2].rgb), args[4].stages)) or honest(*args, **options))
    found = fit_crops(model, image, focal, replace(accurate, cuts_below=math.inf),
                      pipeline.refiner)
    assert ends == [(1, 1, accurate.stages[-1:])] * 2
    assert all(error_deg(f.R, true) < 15.0 for f, true in zip(found, R, strict=True))
    before = fit_crops(model, image, focal, replace(accurate.begun, cuts_below=math.inf),
                       pipeline.refiner)
    assert len(ends) == 2
    for ended, begun in zip(found, before, strict=True):
        assert ended.fitted.result.iterations > begun.fitted.result.iterations
        assert torch.equal(ended.turn, begun.turn)

    # Of one cut it is what one fit with all stages is; with such a limit all steps count that help.
    once = replace(accurate, cuts=1, stages=(
        accurate.stages[0], replace(accurate.stages[1], explained=10.0)))
    found = fit_crops(model, image, focal, once, pipeline.refiner)
    begun = fit_crops(model, image, focal, once.begun, pipeline.refiner)
    del ends[:]
    monkeypatch.setattr(Preset, 'begun', property(lambda self: self))
    whole = fit_crops(model, image, focal, once, pipeline.refiner)
    assert not ends
    for a, b, c in zip(found, whole, begun, strict=True):
        torch.testing.assert_close(a.R, b.R, atol=1e-5, rtol=0.0)
        row = b.fitted.row
        torch.testing.assert_close(a.fitted.result.loss[0], b.fitted.result.loss[row], atol=1e-5,
                                   rtol=0.0)
        assert float(a.fitted.result.loss[0]) <= float(c.fitted.result.loss[row]) + 1e-6
        assert a.worth == pytest.approx(b.worth, abs=1e-4)
    assert any(float(a.fitted.result.loss[0]) < 0.95 * float(c.fitted.result.loss[c.fitted.row])
               for a, c in zip(found, begun, strict=True))


def test_only_presets_whose_last_steps_must_explain_end_apart():
    for preset in (staged('cold'), staged('warm')):
        assert preset.begun is preset and preset.ended is None
    accurate = staged('accurate')
    assert accurate.begun.stages == (accurate.stages[0], PoseStage((), 1))
    assert accurate.ended.stages == (accurate.stages[1],)
    assert accurate.begun.begun == accurate.begun and accurate.ended.ended is None


def test_without_a_refiner_nothing_is_doubted(pipeline, crops, fits):
    image, focal, R = crops
    found = fit_crops(pipeline.models['mug'], image[:1], focal[:1],
                      replace(staged('cold'), cuts_below=2.0))
    assert fits == [1]
    assert math.isnan(found[0].worth) and error_deg(found[0].R, R[0]) < 15.0


def test_where_the_picture_ends_is_turned_with_the_cut(pipeline, crops):
    image, focal, _ = crops
    valid = torch.ones(2, 1, 64, 64)
    valid[:, :, :, 50:] = 0.0
    found = fit_crops(pipeline.models['mug'], image, focal, staged('cold'), pipeline.refiner, valid)
    assert float(found[0].valid[:, :48].min()) == 1.0 and float(found[0].valid[:, 52:].max()) == 0.0
    # Turned with the leaning mug.
    assert 0.0 < float(found[1].valid.mean()) < 1.0
    assert not torch.equal(found[1].valid, found[0].valid)
