# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
from dataclasses import replace
import math

import pytest
import torch

from ros2_nabs_pose.core.pipeline import PosePipeline
from ros2_nabs_pose.core.pose_steps import synthesise
from ros2_nabs_pose.core.presets import staged
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
    worths = []

    def listening(*args, **options):
        found = honest(*args, **options)
        worths.append(found.worth)
        return found if len(worths) - 1 != believed else replace(
            found, worth=torch.full_like(found.worth, 5.0))

    monkeypatch.setattr(crop_fits, 'fit', listening)
    turns = []
    for believed in (None, *range(5)):
        del worths[:]
        found = fit_crops(model, image, focal, doubting, pipeline.refiner)
        assert len(worths) == 5
        assert [error_deg(f.R, true) < 15.0 for f, true in zip(found, R, strict=True)] == [True] * 2
        if believed is None:
            best = torch.stack(worths).amax(0).tolist()
            assert [f.worth for f in found] == pytest.approx(best)
        else:
            assert [f.worth for f in found] == [5.0] * 2
            turns.append([math.degrees(math.atan2(f.turn[1, 0], f.turn[0, 0])) for f in found])
    standing, leaning = zip(*turns, strict=True)
    assert standing == pytest.approx([0.0, 9.0, -9.0, 0.0, 0.0])
    assert [t - leaning[0] for t in leaning] == pytest.approx(standing, abs=1e-3)
    assert leaning[0] == pytest.approx(-math.degrees(1.2), abs=15.0)


def test_answers_that_leave_no_doubt_are_the_first_cuts(pipeline, crops, monkeypatch):
    image, focal, _ = crops
    fits = []
    honest = crop_fits.fit
    monkeypatch.setattr(crop_fits, 'fit', lambda *args, **options: fits.append(
        len(args[2].rgb)) or honest(*args, **options))
    sure = replace(staged('cold'), cuts_below=0.0)
    found = fit_crops(pipeline.models['mug'], image, focal, sure, pipeline.refiner)
    assert fits == [2]
    between = sum(f.worth for f in found) / 2.0
    del fits[:]
    again = fit_crops(pipeline.models['mug'], image, focal,
                      replace(sure, cuts_below=between, cuts=3), pipeline.refiner)
    assert fits == [2, 1, 1]
    surer = max(range(2), key=lambda k: found[k].worth)
    torch.testing.assert_close(again[surer].R, found[surer].R)


def test_without_a_refiner_nothing_is_doubted(pipeline, crops, monkeypatch):
    image, focal, R = crops
    found = fit_crops(pipeline.models['mug'], image[:1], focal[:1],
                      replace(staged('cold'), cuts_below=2.0))
    assert math.isnan(found[0].worth) and error_deg(found[0].R, R[0]) < 15.0


def test_what_lies_beyond_the_picture_does_not_speak_against_an_answer(pipeline, crops):
    image, focal, _ = crops
    valid = torch.ones(2, 1, 64, 64)
    valid[:, :, :, 50:] = 0.0
    found = fit_crops(pipeline.models['mug'], image, focal, staged('cold'), pipeline.refiner, valid)
    assert float(found[0].valid[:, :48].min()) == 1.0 and float(found[0].valid[:, 52:].max()) == 0.0
    # Turned with the leaning mug.
    assert 0.0 < float(found[1].valid.mean()) < 1.0
    assert not torch.equal(found[1].valid, found[0].valid)
