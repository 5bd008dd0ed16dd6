# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
from dataclasses import fields, replace
import math
import time

import pytest
from tiny_models import tiny_model
import torch

from ros2_nabs_pose.core import fit as fitting
from ros2_nabs_pose.core.checkpoint import load_model
from ros2_nabs_pose.core.fit import _best_rows, fit
from ros2_nabs_pose.core.losses import build_terms, Observed
from ros2_nabs_pose.core.pose_steps import in_plane, synthesise
from ros2_nabs_pose.core.presets import PoseStage, PRESETS
from ros2_nabs_pose.core.rotations import exp_so3, geodesic_angle, rotation_z
from ros2_nabs_pose.core.starts import Hypotheses
from ros2_nabs_pose.core.types import PoseError
from ros2_nabs_pose.resources import find_model


def view_rotation(azimuth, elevation, roll=0.0):
    look = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    tilt = exp_so3(torch.tensor([elevation, 0.0, 0.0]))
    return (rotation_z(torch.tensor(roll)) @ tilt @ look @ rotation_z(torch.tensor(azimuth)))[None]


@pytest.mark.parametrize('name', ['photometric', 'silhouette', 'features'])
@pytest.mark.parametrize('elevation', [0.3, 1.2])
def test_gradients_agree_with_finite_differences_in_every_dimension(name, elevation):
    model = tiny_model().double().requires_grad_(False)
    (_, term), = build_terms({name: 1.0}, model.encoder)
    generator = torch.Generator().manual_seed(2)
    rgb = torch.rand(1, 3, 64, 64, generator=generator, dtype=torch.float64)
    mask = torch.rand(1, 1, 64, 64, generator=generator, dtype=torch.float64)
    seen = Observed.unread(rgb, mask)
    R0 = view_rotation(0.7, elevation, 0.2).double()
    focal = torch.tensor([3.0], dtype=torch.float64)

    def loss(omega, t, log_scale, latent):
        made = synthesise(model, *model.generator.volume(latent), exp_so3(omega) @ R0, t,
                          log_scale, focal, 64)
        return term(made, seen)

    inputs = (torch.zeros(1, 3), torch.tensor([[0.05, -0.02]]), torch.tensor([-0.4]),
              torch.full((1, 4), 0.3))
    inputs = tuple(x.double().requires_grad_() for x in inputs)
    assert torch.autograd.gradcheck(loss, inputs, eps=1e-7, atol=1e-5, rtol=1e-2)


@pytest.mark.parametrize('roll', [-2.5, 0.0, 0.4, 3.0])
def test_the_in_plane_angle_leaves_the_axis_pointing_up(roll):
    R = view_rotation(0.3, 0.5, roll)
    upright = rotation_z(-in_plane(R)) @ R
    assert float(upright[0, 0, 2]) == pytest.approx(0.0, abs=1e-6)
    assert float(upright[0, 1, 2]) < 0.0


def test_the_in_plane_angle_has_no_gradient_at_the_pole():
    R = view_rotation(0.3, math.pi / 2 - 0.01).requires_grad_()
    slope, = torch.autograd.grad(in_plane(R).sum(), R)
    assert float(slope.abs().max()) == 0.0


def test_best_rows_keeps_each_owners_lowest_losses():
    loss = torch.tensor([3.0, 1.0, 2.0, 5.0, 4.0])
    owner = torch.tensor([0, 0, 0, 1, 1])
    assert _best_rows(loss, owner, 2).tolist() == [1, 2, 4, 3]
    assert _best_rows(loss, owner, 1).tolist() == [1, 4]


@pytest.fixture(scope='module')
def mug():
    try:
        return load_model(find_model('mug'))
    except PoseError as error:
        pytest.fail(str(error))


def explained_by_itself(model, R, off_deg, seed=0):
    """A crop the model draws itself, and a start ``off_deg`` away from its rotation."""
    generator = torch.Generator().manual_seed(seed)
    latent = 0.5 * torch.randn(1, model.generator.config.latent_dim, generator=generator)
    focal = torch.tensor([4.0])
    t, log_scale = torch.zeros(1, 2), torch.tensor([math.log(0.65)])
    made = synthesise(model, *model.generator.volume(latent), R, t, log_scale, focal, 64)
    crop = Observed.unread(made.rgb + 0.5 * (1.0 - made.alpha), made.alpha)
    axis = torch.nn.functional.normalize(torch.randn(1, 3, generator=generator), dim=1)
    start = Hypotheses(torch.tensor([0]), exp_so3(math.radians(off_deg) * axis) @ R, t + 0.03,
                       log_scale + 0.05, latent, torch.tensor([False]), torch.zeros(1))
    return crop, start, focal


# The code is the true one, so pose steps alone must find the pose.
POSE_ONLY = replace(PRESETS['accurate'], pull=0.0,
                    stages=(PoseStage((16, 16, 16, 32, 32, 32, 64, 64), 1),))


@pytest.mark.parametrize('azimuth', [-2.0, -0.5, 0.2, 3.0])
def test_a_start_fifteen_degrees_off_finds_back_to_its_own_synthesis(mug, azimuth):
    R = view_rotation(azimuth, 0.6, 0.1)
    crop, start, focal = explained_by_itself(mug, R, 15.0)
    result = fit(mug, start, crop, focal, POSE_ONLY)
    assert math.degrees(float(geodesic_angle(result.best.R, R)[0])) < 4.0
    assert result.best.t[0].tolist() == pytest.approx([0.0, 0.0], abs=0.015)
    assert float(result.best.log_scale[0]) == pytest.approx(math.log(0.65), abs=0.03)


def test_the_best_final_loss_wins(mug):
    R = view_rotation(0.2, 0.6)
    crop, near, focal = explained_by_itself(mug, R, 5.0)
    _, far, _ = explained_by_itself(mug, R, 150.0)
    both = Hypotheses(torch.tensor([0, 0]), torch.cat((far.R, near.R)), torch.cat((far.t, near.t)),
                      torch.cat((far.log_scale, near.log_scale)),
                      torch.cat((far.latent, near.latent)), torch.tensor([False, False]),
                      torch.zeros(2))
    result = fit(mug, both, crop, focal, POSE_ONLY)
    assert math.degrees(float(geodesic_angle(result.best.R, R)[0])) < 5.0
    alone = fit(mug, far, crop, focal, POSE_ONLY)
    assert float(alone.loss[0]) > float(result.loss[0])
    assert result.worth.shape == (1,) and result.worth.isnan().all()  # there was no refiner


EXPLAINED = PoseStage((32, 32, 64), 1, explained=0.1, spins_deg=(-20.0, 20.0))


def spun(start, R, degrees):
    """The start, but only turned about the object's own axis."""
    return replace(start, R=R @ rotation_z(torch.tensor([math.radians(degrees)])))


def counted_views(model, monkeypatch):
    """How many views each call of the generator draws from now on."""
    drawn, render = [], model.generator.render
    monkeypatch.setattr(model.generator, 'render',
                        lambda *args: drawn.append(len(args[2])) or render(*args))
    return drawn


def test_what_the_generator_can_draw_is_found_from_a_turn_about_its_axis(mug):
    """Pose steps alone stay in the next minimum, a turn leads past it."""
    R = view_rotation(0.2, 0.6)
    found = {(): 0, EXPLAINED.spins_deg: 0}
    for seed in range(4):
        crop, start, focal = explained_by_itself(mug, R, 0.0, seed)
        for spins in found:
            preset = replace(PRESETS['accurate'], stages=(replace(EXPLAINED, spins_deg=spins),))
            result = fit(mug, spun(start, R, 26.0), crop, focal, preset)
            off = math.degrees(float(geodesic_angle(result.best.R, R)[0]))
            assert off < 5.0 or off == pytest.approx(26.0, abs=0.01)  # explained, or as it was
            assert off > 20.0 or float(result.loss[0]) < EXPLAINED.explained
            found[spins] += off < 5.0
    assert found[EXPLAINED.spins_deg] >= found[()] + 2


def test_steps_that_do_not_explain_what_is_seen_are_taken_back(mug):
    """Of a crop in other colours the same steps lower the loss, and that tells nothing."""
    R = view_rotation(0.2, 0.6)
    crop, start, focal = explained_by_itself(mug, R, 8.0)
    noise = torch.rand(crop.rgb.shape, generator=torch.Generator().manual_seed(2))
    other = replace(crop, rgb=0.5 * crop.rgb + 0.5 * noise)
    preset = replace(PRESETS['accurate'], stages=(EXPLAINED,))
    result = fit(mug, start, other, focal, preset)
    assert torch.equal(result.best.R, start.R) and torch.equal(result.best.t, start.t)
    still = fit(mug, start, other, focal, replace(preset, stages=(PoseStage((), 1),)))
    torch.testing.assert_close(result.loss, still.loss)
    torch.testing.assert_close(result.synthesis.alpha, still.synthesis.alpha)
    kept = fit(mug, start, other, focal, replace(preset, stages=(PoseStage((32, 32, 64), 1),)))
    assert EXPLAINED.explained < float(kept.loss[0]) < float(result.loss[0])


def test_each_crop_is_turned_stepped_and_taken_back_by_itself(mug):
    """Turned ones, one that is stepped as it is, and one that is not explained, all at once."""
    found = []
    for seed, turn in ((0, 26.0), (1, 26.0), (2, -26.0), (3, 0.0), (2, 26.0)):
        R = view_rotation(0.2, 0.6)
        crop, start, focal = explained_by_itself(mug, R, 0.0 if turn else 5.0, seed)
        found.append((R, crop, spun(start, R, turn) if turn else start, focal))
    R, crop, start, focal = found[-1]
    noise = torch.rand(crop.rgb.shape, generator=torch.Generator().manual_seed(2))
    found[-1] = R, replace(crop, rgb=noise), start, focal
    crops = Observed(*(torch.cat([getattr(x[1], f.name) for x in found])
                       for f in fields(Observed)))
    starts = Hypotheses(torch.arange(5), *(torch.cat([getattr(x[2], f.name) for x in found])
                                           for f in fields(Hypotheses) if f.name != 'owner'))
    preset = replace(PRESETS['accurate'], stages=(EXPLAINED,))
    result = fit(mug, starts, crops, torch.cat([x[3] for x in found]), preset)
    off = [math.degrees(float(geodesic_angle(result.best.R[k:k + 1], found[k][0])[0]))
           for k in range(5)]
    assert min(off[:3]) < 5.0 and off[3] < 2.0 and off[4] == pytest.approx(26.0, abs=0.01)
    for k in range(5):
        alone = fit(mug, found[k][2], found[k][1], found[k][3], preset)
        torch.testing.assert_close(alone.best.R[0], result.best.R[k], atol=1e-3, rtol=0.0)
        torch.testing.assert_close(alone.loss[0], result.loss[k], atol=1e-3, rtol=0.0)
        torch.testing.assert_close(alone.synthesis.alpha[0], result.synthesis.alpha[k], atol=1e-2,
                                   rtol=0.0)


def test_a_turn_that_hardly_matters_is_not_taken(mug, monkeypatch):
    """The handle is behind: turns look alike, and what is a little nearer is so by chance."""
    R = view_rotation(0.5 * math.pi, 0.4)
    preset = replace(PRESETS['accurate'], stages=(EXPLAINED,))
    unturned = replace(preset, stages=(replace(EXPLAINED, spins_deg=()),))
    others = {fitting.SPIN_SHARE: 0, 1.0: 0}
    for seed in range(6):
        crop, start, focal = explained_by_itself(mug, R, 3.0, seed)
        noise = 0.03 * torch.randn(crop.rgb.shape, generator=torch.Generator().manual_seed(9))
        noisy = replace(crop, rgb=crop.rgb + noise)
        still = fit(mug, start, noisy, focal, unturned)
        for share in others:
            monkeypatch.setattr(fitting, 'SPIN_SHARE', share)
            turned = fit(mug, start, noisy, focal, preset)
            others[share] += float(geodesic_angle(turned.best.R, still.best.R)[0]) > 0.1
    assert others[0.8] == 0 and others[1.0] > 0


def test_nothing_is_turned_once_time_is_up(mug, monkeypatch):
    """One view is drawn, to tell what the start is worth."""
    R = view_rotation(0.2, 0.6)
    crop, start, focal = explained_by_itself(mug, R, 0.0)
    away, drawn = spun(start, R, 26.0), counted_views(mug, monkeypatch)
    preset = replace(PRESETS['accurate'], stages=(EXPLAINED,))
    result = fit(mug, away, crop, focal, preset, deadline_s=0.0)
    assert torch.equal(result.best.R, away.R) and result.iterations == 0 and drawn == [1]
    drawn.clear()
    fit(mug, away, crop, focal, preset)
    assert drawn[0] == 3  # itself and two turns


def test_time_that_runs_out_among_the_turns_leaves_the_pose(mug, monkeypatch):
    R = view_rotation(0.2, 0.6)
    crop, start, focal = explained_by_itself(mug, R, 0.0)
    away = spun(start, R, 20.0)  # one of the turns would explain it without a step
    times = iter((0.0, 9.0))
    monkeypatch.setattr(time, 'perf_counter', lambda: next(times, 9.0))
    result = fit(mug, away, crop, focal, replace(PRESETS['accurate'], stages=(EXPLAINED,)),
                 deadline_s=5.0)
    assert torch.equal(result.best.R, away.R) and result.iterations == 0


def test_round_objects_are_not_turned_about_their_axis(mug, monkeypatch):
    crop, start, focal = explained_by_itself(mug, view_rotation(0.2, 0.6), 5.0)
    drawn = counted_views(mug, monkeypatch)
    monkeypatch.setattr(mug, 'card', replace(mug.card, symmetry='free_z'))
    fit(mug, start, crop, focal, replace(PRESETS['accurate'], stages=(EXPLAINED,)))
    assert drawn[0] == 1


def test_turns_need_a_limit():
    with pytest.raises(PoseError, match='needs a limit'):
        PoseStage((32,), 1, spins_deg=(10.0,))


def test_among_equals_the_encoders_word_decides(mug):
    R = view_rotation(0.2, 0.6)
    crop, start, focal = explained_by_itself(mug, R, 5.0)
    index = torch.tensor([0, 0])
    twins = replace(start.pick(index), log_prior=torch.tensor([-3.0, 0.0]),
                    t=start.t[index] + torch.tensor([[0.0], [1e-4]]))
    stages = (PoseStage((), 1),)
    result = fit(mug, twins, crop, focal, replace(PRESETS['cold'], stages=stages))
    assert float(result.best.log_prior[0]) == 0.0
    result = fit(mug, twins, crop, focal,
                 replace(PRESETS['cold'], stages=stages, start_prior=-1.0))
    assert float(result.best.log_prior[0]) == -3.0


def test_the_same_input_gives_the_same_pose(mug):
    crop, start, focal = explained_by_itself(mug, view_rotation(0.2, 0.6), 10.0)
    a, b = (fit(mug, start, crop, focal, PRESETS['warm']) for _ in range(2))
    assert torch.equal(a.best.R, b.best.R)
    assert torch.equal(a.loss, b.loss)
