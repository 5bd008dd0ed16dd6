# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The refiner: its views and moves are exact geometry, its weights bring poses nearer."""

import copy
from dataclasses import replace
import math
import time

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
import torch
from torch.nn import functional

from ros2_nabs_pose.core import fit as fit_module
from ros2_nabs_pose.core import refiner as refiner_module
from ros2_nabs_pose.core.checkpoint import load_model, write_weights
from ros2_nabs_pose.core.fit import fit, volumes
from ros2_nabs_pose.core.generator import FRAME_MARGIN, GeneratorConfig
from ros2_nabs_pose.core.losses import Observed
from ros2_nabs_pose.core.pose_steps import draw, in_plane, place, synthesise
from ros2_nabs_pose.core.presets import PoseStage, Preset, PRESETS, RefineStage
from ros2_nabs_pose.core.refiner import (
    Comparison,
    FORMAT,
    load_refiner,
    mirror_image,
    Mirrored,
    Moved,
    moved_by,
    pairs,
    refine,
    Refiner,
    RefinerConfig,
    save_refiner,
    upright_view,
    WORTH,
    worth_of,
)
from ros2_nabs_pose.core.rotations import (
    exp_so3,
    geodesic_angle,
    log_so3,
    rotation_facing,
    rotation_z,
)
from ros2_nabs_pose.core.starts import Hypotheses, turned_around
from ros2_nabs_pose.core.types import PoseError
from ros2_nabs_pose.resources import find_model, find_refiner, models_dir

CODE = GeneratorConfig().latent_dim
"""Numbers in a code of the shipped mug."""


@pytest.fixture(scope='module')
def mug():
    return load_model(find_model('mug'))


@pytest.fixture(scope='module')
def shipped():
    return load_refiner(find_refiner(models_dir()))


def rows(R, t=(0.0, 0.0), scale=0.6, latent=None):
    count = len(R)
    return Hypotheses(torch.arange(count), R, R.new_tensor(t).expand(count, 2),
                      torch.full((count,), math.log(scale), dtype=R.dtype),
                      torch.zeros(count, CODE) if latent is None else latent.expand(count, -1),
                      torch.zeros(count, dtype=torch.bool), torch.zeros(count))


def looking_down(elevation, azimuth, roll=0.0):
    look = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    return (rotation_z(torch.tensor(roll)) @ exp_so3(torch.tensor([elevation, 0.0, 0.0])) @ look
            @ rotation_z(torch.tensor(azimuth)))[None]


def test_an_upright_view_undoes_the_placing(mug):
    now = rows(looking_down(0.6, -0.5, 0.7), (0.1, -0.05), 0.55)
    focal = torch.full((1,), 4.0)
    views = draw(mug, now, focal, volumes(mug, now.latent), alone=True)[:, 0]
    placed = place(views, now, 128)
    back = upright_view(torch.cat((placed.rgb, placed.alpha), 1), now, 64)
    assert float((back - views[:, :4]).abs().mean()) < 0.006
    # What the test would see if the turn or the place were taken the other way round.
    for wrong in (replace(now, R=rotation_z(torch.tensor(-1.4)) @ now.R), replace(now, t=-now.t)):
        other = upright_view(torch.cat((placed.rgb, placed.alpha), 1), wrong, 64)
        assert float((other - views[:, :4]).abs().mean()) > 0.02


angles = st.floats(-3.0, 3.0)
small = st.floats(-0.4, 0.4)


@settings(max_examples=60, deadline=None)
@given(st.tuples(angles, st.floats(-1.0, 1.2), angles), st.tuples(small, small, small),
       st.tuples(small, small), st.floats(-0.3, 0.3))
def test_the_exact_correction_leads_to_the_truth(view, turn, shift, grow):
    azimuth, elevation, roll = view
    now = rows(looking_down(elevation, azimuth, roll).double(), (0.2, -0.1), 0.7)
    true_R = exp_so3(torch.tensor([turn], dtype=torch.float64)) @ now.R
    true_t = now.t + torch.tensor([shift], dtype=torch.float64)
    upright = rotation_z(-in_plane(now.R))
    said = Comparison(
        turn=log_so3(upright @ true_R @ now.R.transpose(1, 2) @ upright.transpose(1, 2)),
        shift=(upright[:, :2, :2] @ (true_t - now.t)[..., None])[..., 0] / (0.7 * FRAME_MARGIN),
        grow=torch.tensor([grow], dtype=torch.float64), logits=torch.zeros(1, 6))
    moved = moved_by(now, said, free_about_z=False)
    torch.testing.assert_close(moved.R, true_R, atol=1e-6, rtol=0)
    torch.testing.assert_close(moved.t, true_t, atol=1e-9, rtol=0)
    assert float(moved.log_scale) == pytest.approx(math.log(0.7) + grow)


def test_a_free_body_is_tilted_but_not_spun():
    now = rows(rotation_facing(looking_down(0.5, 0.3, 0.2).double()[:, :, 2]))
    own = (rotation_z(-in_plane(now.R)) @ now.R)[:, :, 2]
    still = torch.zeros(1, 6, dtype=torch.float64)
    said = Comparison(0.3 * own, still[:, :2], still[:, 0], still)
    torch.testing.assert_close(moved_by(now, said, True).R, now.R, atol=1e-7, rtol=0)
    assert float(geodesic_angle(moved_by(now, said, False).R, now.R)) == pytest.approx(0.3)
    across = torch.linalg.cross(own, own.new_tensor([[0.0, 0.0, 1.0]]))
    across = 0.3 * functional.normalize(across, dim=1)
    tilted = moved_by(now, replace(said, turn=across + 0.2 * own), True)
    cosine = float((tilted.R[:, :, 2] * now.R[:, :, 2]).sum())
    assert math.acos(cosine) == pytest.approx(0.3, abs=1e-6)


@pytest.mark.parametrize('kind', range(len(WORTH)))
def test_worth_is_that_of_the_likely_class(kind):
    logits = torch.full((1, len(WORTH)), -20.0)
    logits[0, kind] = 20.0
    said = Comparison(torch.zeros(1, 3), torch.zeros(1, 2), torch.zeros(1), logits)
    assert float(said.worth) == pytest.approx(WORTH[kind], abs=1e-6)


def test_an_untrained_refiner_leaves_poses_as_they_are(mug):
    torch.manual_seed(0)
    now = rows(looking_down(0.6, -0.5).expand(2, -1, -1))
    seen = Observed.unread(torch.rand(2, 3, 64, 64), torch.rand(2, 1, 64, 64))
    focal, volume = torch.full((2,), 4.0), volumes(mug, now.latent)
    untrained = Refiner().eval()
    moved = refine(mug, untrained, now, seen, focal, volume, 2)
    worth = worth_of(mug, untrained, moved.now, seen, focal, volume)
    assert moved.taken == 2 and moved.rows.tolist() == [0, 1]
    torch.testing.assert_close(moved.now.R, now.R)
    torch.testing.assert_close(moved.now.t, now.t)
    assert worth.tolist() == pytest.approx([sum(WORTH) / len(WORTH)] * 2)
    views = draw(mug, now, focal, volume, alone=True)[:, 0]
    assert pairs(now, seen, views, focal).shape == (2, 12, 64, 64)


def test_the_points_that_were_read_lie_on_their_pixels_under_the_true_pose_alone(mug):
    """A plane through the origin, told exactly: right pose 0, a turn moves them by what it does."""
    R = looking_down(0.6, -0.5)
    now = replace(rows(R), t=torch.tensor([[0.1, -0.2]]), log_scale=torch.tensor([math.log(0.6)]))
    focal = torch.full((1,), 4.0)
    line = (torch.arange(32) + 0.5) / 16.0 - 1.0
    # Where the crop's pixels lie beside the origin, in radii, on a plane across the view.
    u, v = ((line - t) / 0.6 for t in (0.1, -0.2))
    in_crop = torch.stack((u.expand(32, 32), v[:, None].expand(32, 32), torch.zeros(32, 32)))
    points = torch.einsum('ji,jhw->ihw', R[0], in_crop)[None]
    seen = replace(Observed.unread(torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64)),
                   points=points)
    views = torch.rand(1, 5, 64, 64)
    inside = slice(16, 48)
    missed = pairs(now, seen, views, focal)[:, 9:, inside, inside]
    assert float(missed.abs().max()) < 1e-3
    turn = torch.tensor([[0.0, 0.2, 0.0]])  # about the image's downward axis: right goes away
    turned = replace(now, R=exp_so3(turn) @ now.R)
    moved = pairs(turned, seen, views, focal)[0, 9:, inside, inside]
    right = (torch.arange(16, 48) + 0.5) / 32.0 * FRAME_MARGIN - FRAME_MARGIN
    torch.testing.assert_close(moved[2], (-math.sin(0.2) * right).expand(32, 32), atol=0.03,
                               rtol=0.0)
    unread = replace(seen, points=torch.zeros_like(points))
    assert float(pairs(turned, unread, views, focal)[:, 9:].abs().max()) == 0.0


ACROSS, SIDES = torch.diag(torch.tensor([-1.0, 1.0, 1.0])), torch.diag(torch.tensor([1.0, -1.0, 1]))


def seen_in_a_mirror(now, seen, views):
    """Hypotheses of the mirrored object (its own left and right exchanged), its crop and drawing.
    """
    right = now.t.new_tensor((-1.0, 1.0))
    now = replace(now, R=ACROSS.to(now.R) @ now.R @ SIDES.to(now.R), t=now.t * right)
    points = seen.points.flip(3) * torch.tensor([1.0, -1.0, 1.0]).view(3, 1, 1)
    seen = replace(seen, rgb=seen.rgb.flip(3), mask=seen.mask.flip(3), points=points)
    return now, seen, views.flip(3)


@settings(max_examples=30, deadline=None)
@given(st.tuples(angles, st.floats(0.1, 1.2), st.floats(-1.0, 1.0)), st.tuples(small, small))
def test_a_mirror_image_is_the_pair_of_the_mirrored_object(view, t):
    torch.manual_seed(5)
    now = rows(looking_down(view[1], view[0], view[2]), t, 0.55)
    seen = replace(Observed.unread(torch.rand(1, 3, 64, 64), torch.rand(1, 1, 64, 64)),
                   points=torch.randn(1, 3, 32, 32))
    views, focal = torch.rand(1, 5, 64, 64), torch.full((1,), 3.0)
    pair = pairs(now, seen, views, focal)
    other, *shown = seen_in_a_mirror(now, seen, views)
    expected = pairs(other, *shown, focal)
    torch.testing.assert_close(mirror_image(pair), expected, atol=2e-3, rtol=0.0)
    assert float((pair - expected).abs().max()) > 0.1  # what it is without a mirror
    # A refiner that answers to the pair alone moves both to places that mirror each other.
    def says(x):
        told = functional.adaptive_avg_pool2d(x, (2, 2)).flatten(1)[:, :12]
        return Comparison(0.3 * told[:, :3], 0.2 * told[:, 3:5], 0.1 * told[:, 5], told[:, 6:])

    both = Mirrored(says)
    moved = moved_by(now, both(pair), free_about_z=False)
    mirrored = moved_by(other, both(expected), free_about_z=False)
    torch.testing.assert_close(mirrored.R, ACROSS @ moved.R @ SIDES, atol=1e-3, rtol=0.0)
    torch.testing.assert_close(mirrored.t, moved.t * torch.tensor([-1.0, 1.0]), atol=1e-3, rtol=0.0)
    torch.testing.assert_close(mirrored.log_scale, moved.log_scale, atol=1e-3, rtol=0.0)
    torch.testing.assert_close(both(expected).worth, both(pair).worth, atol=1e-4, rtol=0.0)
    alone = moved_by(other, says(expected), free_about_z=False)
    assert float((alone.R - mirrored.R).abs().max()) > 1e-3  # half of what is said comes from it


def test_a_mirror_is_used_where_both_networks_have_learned_from_one(mug, shipped, monkeypatch):
    focal = torch.full((1,), 5.0)
    true, seen = drawn_by_itself(mug, looking_down(0.6, -0.8), focal)
    plain = Preset('plain', 1, 0, (RefineStage(1, 1, (PoseStage((), 1),)), PoseStage((), 1)))
    mirror = replace(plain, mirror=True)
    asked = []
    honest = Refiner.forward
    monkeypatch.setattr(Refiner, 'forward', lambda self, pair: (
        asked.append(len(pair)), honest(self, pair))[1])
    assert mug.mirrors and shipped.mirrors
    one, two = (fit(mug, true, seen, focal, p, refiner=shipped) for p in (plain, mirror))
    assert asked == [1, 1, 2, 2]  # a move and the last word, each
    assert 1e-4 < float(geodesic_angle(one.best.R, two.best.R)) < math.radians(5.0)
    unlearned = copy.copy(mug)
    unlearned.card = replace(mug.card, training={**mug.card.training, 'mirror': False})
    strange = copy.deepcopy(shipped)
    strange.mirrors = False
    for model, refiner in ((unlearned, shipped), (mug, strange)):
        asked.clear()
        same = fit(model, true, seen, focal, mirror, refiner=refiner)
        assert asked == [1, 1]
        assert torch.equal(same.best.R, one.best.R)


def drawn_by_itself(model, R, focal):
    """A crop that the model draws at a pose, its own colours on grey, and that pose."""
    now = rows(R, latent=0.5 * torch.ones(1, model.generator.config.latent_dim))
    made = synthesise(model, *volumes(model, now.latent), R, now.t, now.log_scale, focal, 64)
    return now, Observed.unread(made.rgb + 0.5 * (1.0 - made.alpha), made.alpha)


@pytest.mark.parametrize('degrees, left', [(10.0, 7.0), (20.0, 10.0), (30.0, 14.0)])
def test_the_shipped_refiner_brings_poses_nearer(mug, shipped, degrees, left):
    generator = torch.Generator().manual_seed(4)
    focal = torch.full((1,), 5.0)
    errors, far, near = [], [], []
    for k in range(12):
        R = looking_down(0.3 + 0.05 * k, -1.5 + 0.25 * k)  # the handle is seen
        true, seen = drawn_by_itself(mug, R, focal)
        axis = functional.normalize(torch.randn(1, 3, generator=generator), dim=1)
        start = replace(true, R=exp_so3(math.radians(degrees) * axis) @ R)
        volume = volumes(mug, true.latent)
        far.append(float(worth_of(mug, shipped, start, seen, focal, volume)))
        moved = refine(mug, shipped, start, seen, focal, volume, 2).now
        near.append(float(worth_of(mug, shipped, moved, seen, focal, volume)))
        errors.append(math.degrees(float(geodesic_angle(moved.R, R))))
    assert sorted(errors)[5] < left, errors
    assert sorted(near)[5] > sorted(far)[5] + 0.1


def test_a_stage_keeps_the_likely_and_is_passed_over_without_a_refiner(mug, shipped):
    focal = torch.full((1,), 5.0)
    true, seen = drawn_by_itself(mug, looking_down(0.6, -0.8), focal)
    turned = torch.cat([rotation_z(torch.tensor(0.0))[None] @ true.R,
                        true.R @ rotation_z(torch.tensor(math.pi))])
    both = replace(rows(turned, latent=true.latent[0]), owner=torch.zeros(2, dtype=torch.long))
    keen = Preset('keen', 2, 0, (RefineStage(1, 1, (PoseStage((), 1),)), PoseStage((), 1)),
                  start_prior=0.0)
    found = fit(mug, both, seen, focal, keen, refiner=shipped)
    assert float(geodesic_angle(found.best.R, true.R)) < math.radians(8.0)
    assert found.iterations == 1
    assert 0.5 < float(found.worth) <= 1.0
    plain = replace(keen, stages=(PoseStage((), 1), PoseStage((), 1)))
    without, same = fit(mug, both, seen, focal, keen), fit(mug, both, seen, focal, plain)
    assert torch.equal(without.best.R, same.best.R)
    assert without.iterations == 0
    stranger = copy.deepcopy(shipped)
    for other in (replace(shipped.config, categories=('can',), symmetries=('none',)),
                  replace(shipped.config, categories=('mug',), symmetries=('free_z',)),
                  replace(shipped.config, resolution=32)):
        stranger.config = other
        unknown = fit(mug, both, seen, focal, keen, refiner=stranger)
        assert torch.equal(unknown.best.R, same.best.R)
    late = fit(mug, both, seen, focal, keen, deadline_s=0.0, refiner=shipped)
    assert torch.equal(late.best.R, same.best.R)


def test_weights_come_back_and_wrong_ones_are_named(tmp_path):
    torch.manual_seed(3)
    refiner = Refiner(RefinerConfig(('mug', 'toy'), ('none', 'free_z'), channels=(4, 4, 8, 8),
                                    hidden=8))
    torch.nn.init.normal_(refiner.head.weight)
    path = tmp_path / 'shared/refiner.safetensors'
    save_refiner(refiner, path, {'steps': 3, 'mirror': True})
    again = load_refiner(path)
    assert again.config == refiner.config
    assert again.mirrors
    save_refiner(refiner, path, {'steps': 3})
    assert not load_refiner(path).mirrors
    pair = torch.rand(2, 12, 64, 64)
    torch.testing.assert_close(again(pair).turn, refiner.eval()(pair).turn, atol=2e-3, rtol=1e-2)
    with pytest.raises(PoseError, match="have format '"):
        load_refiner(find_model('mug'))
    with pytest.raises(PoseError, match='no weights at'):
        load_refiner(tmp_path / 'none.safetensors')
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(PoseError, match='are damaged'):
        load_refiner(path)


def test_presets_end_with_a_stage_that_compares():
    for preset in PRESETS.values():
        if isinstance(preset, Preset):
            assert not isinstance(preset.stages[-1], RefineStage), preset.name


def test_turned_around_are_six_about_each():
    R = exp_so3(torch.tensor([[0.1, -0.4, 0.2], [1.0, 0.3, -0.6]]))
    now = replace(rows(R), previous=torch.tensor([True, False]))
    many, kept = turned_around(now, 30.0, free_about_z=False)
    assert kept.tolist() == [0] * 6 + [1] * 6
    assert not many.previous.any() and torch.equal(many.t, now.t[kept])
    angles = torch.rad2deg(geodesic_angle(many.R, R[kept]))
    torch.testing.assert_close(angles, torch.full((12,), 30.0), atol=1e-3, rtol=0.0)
    # To and fro about the same axes: each pair is 60 degrees apart, others are not.
    pairs_apart = torch.rad2deg(geodesic_angle(many.R[:3], many.R[3:6]))
    torch.testing.assert_close(pairs_apart, torch.full((3,), 60.0), atol=1e-3, rtol=0.0)


def test_starts_half_a_right_angle_off_converge_where_they_are_turned_around(mug, shipped):
    generator = torch.Generator().manual_seed(6)
    focal = torch.full((1,), 5.0)
    plain = Preset('plain', 1, 0, (RefineStage(4, 1, (PoseStage((), 1),)), PoseStage((32,), 1)))
    around = replace(plain, stages=(
        RefineStage(4, 1, (PoseStage((), 1),), around_deg=30.0), PoseStage((32,), 1)))
    within = {'plain': 0, 'around': 0}
    for k in range(8):
        R = looking_down(0.3 + 0.05 * k, -1.3 + 0.3 * k)
        true, seen = drawn_by_itself(mug, R, focal)
        axis = functional.normalize(torch.randn(1, 3, generator=generator), dim=1)
        start = replace(true, R=exp_so3(math.radians(45.0) * axis) @ R)
        for name, preset in (('plain', plain), ('around', around)):
            found = fit(mug, start, seen, focal, preset, refiner=shipped).best.R
            within[name] += float(geodesic_angle(found, R)) < math.radians(10.0)
    assert within['around'] >= 7 and within['around'] >= within['plain']


def test_starts_that_are_not_doubted_are_not_turned_around(mug, shipped):
    focal = torch.full((1,), 5.0)
    R = looking_down(0.5, -0.9)
    true, seen = drawn_by_itself(mug, R, focal)
    stage = RefineStage(2, 1, (PoseStage((), 1),), around_deg=30.0)

    def steps(start, stage):
        return fit(mug, start, seen, focal, Preset('p', 1, 0, (stage, PoseStage((32,), 1))),
                   refiner=shipped).iterations

    far = replace(true, R=exp_so3(torch.tensor([[0.0, 1.4, 0.0]])) @ R)
    assert steps(true, stage) == steps(true, replace(stage, around_deg=0.0)) == 3
    assert steps(far, stage) == 5 and steps(far, replace(stage, doubt=0.0)) == 3


def test_of_several_crops_the_doubted_alone_are_turned_around(mug, shipped):
    focal = torch.full((1,), 5.0)
    R = looking_down(0.5, -0.9)
    true, seen = drawn_by_itself(mug, R, focal)
    far = replace(true, R=exp_so3(torch.tensor([[0.0, 1.4, 0.0]])) @ R)
    both = far.joined(replace(true, owner=torch.tensor([1])))
    preset = Preset('p', 1, 0, (RefineStage(2, 1, (PoseStage((), 1),), around_deg=30.0),
                                PoseStage((32,), 1)))
    found = fit(mug, both, seen.pick(torch.tensor([0, 0])), focal.expand(2), preset,
                refiner=shipped)
    alone = [fit(mug, start, seen, focal, preset, refiner=shipped) for start in (far, true)]
    assert found.best.owner.tolist() == [0, 1]
    torch.testing.assert_close(found.best.R, torch.cat([a.best.R for a in alone]), atol=1e-4,
                               rtol=0.0)
    # What is said in the end is said of the pose that is given.
    worth = worth_of(mug, shipped, found.best, seen.pick(torch.tensor([0, 0])),
                     focal.expand(2), volumes(mug, found.best.latent))
    torch.testing.assert_close(found.worth, worth, atol=2e-3, rtol=0.0)


@pytest.mark.parametrize('times, wins', [(1.2, False), (1.4, True)])
def test_a_track_gives_way_to_what_is_worth_a_quarter_more(mug, shipped, monkeypatch, times, wins):
    focal = torch.full((1,), 5.0)
    true, seen = drawn_by_itself(mug, looking_down(0.5, -0.9), focal)
    other = replace(true, R=true.R @ rotation_z(torch.tensor([1.0])))
    both = replace(true, previous=torch.tensor([True])).joined(other)
    worth = torch.tensor([0.5, 0.5 * times])
    monkeypatch.setattr('ros2_nabs_pose.core.fit.refine',
                        lambda model, refiner, now, *rest: Moved(now, torch.arange(2), 1))
    monkeypatch.setattr('ros2_nabs_pose.core.fit.worth_of', lambda *given: worth)
    stage = RefineStage(1, 1, (PoseStage((), 1),))
    found = fit(mug, both, seen, focal, Preset('p', 1, 1, (stage, PoseStage((), 1))),
                refiner=shipped)
    assert bool(found.best.previous) is not wins


def test_round_bodies_are_shown_to_the_refiner_as_the_camera_sees_them():
    """Their points are told in that frame, so a spin of the hypothesis must change nothing."""
    axis = functional.normalize(torch.tensor([[0.2, -0.8, -0.4]]), dim=1)
    now = rows(rotation_facing(axis))
    spun = replace(now, R=now.R @ rotation_z(torch.tensor([1.3])))
    torch.testing.assert_close(refiner_module.facing(spun).R, now.R, atol=1e-6, rtol=0.0)


def test_nothing_is_turned_around_after_the_deadline(mug, shipped):
    focal = torch.full((1,), 5.0)
    true, seen = drawn_by_itself(mug, looking_down(0.5, -0.9), focal)
    far = replace(true, R=exp_so3(torch.tensor([[0.0, 1.4, 0.0]])) @ true.R)
    keen = RefineStage(1, 1, (PoseStage((), 1),), around_deg=30.0, doubt=2.0)
    preset = Preset('p', 1, 0, (keen, PoseStage((), 1)))

    def end_in(seconds):
        return fit(mug, far, seen, focal, preset, refiner=shipped,
                   deadline_s=time.perf_counter() + seconds)

    assert end_in(60.0).iterations == 2
    assert end_in(0.002).iterations <= 1  # a move takes longer than that


def test_round_objects_are_tilted_and_keep_to_one_side():
    R = rotation_facing(functional.normalize(torch.tensor([[0.1, -0.8, -0.5]]), dim=1))
    many, kept = turned_around(rows(R), 30.0, free_about_z=True)
    assert kept.tolist() == [0] * 4
    axes = torch.rad2deg(torch.arccos((many.R[:, :, 2] @ R[0, :, 2]).clamp(-1.0, 1.0)))
    torch.testing.assert_close(axes, torch.full((4,), 30.0), atol=0.05,
                               rtol=0.0)
    torch.testing.assert_close(many.R, rotation_facing(many.R[:, :, 2]), atol=1e-6, rtol=0.0)
    said = Comparison(torch.tensor([[0.3, -0.2, 0.4]]), torch.zeros(1, 2), torch.zeros(1),
                      torch.zeros(1, len(WORTH)))
    moved = moved_by(rows(R), said, free_about_z=True).R
    torch.testing.assert_close(moved, rotation_facing(moved[:, :, 2]), atol=1e-6, rtol=0.0)


def test_where_there_is_nothing_to_choose_nobody_is_asked(mug, shipped, monkeypatch):
    """A tracked frame's one hypothesis is moved, and its worth is told at the end alone."""
    focal = torch.full((1,), 5.0)
    true, seen = drawn_by_itself(mug, looking_down(0.5, -0.9), focal)
    asked = []
    honest = refiner_module.worth_of
    monkeypatch.setattr('ros2_nabs_pose.core.fit.worth_of',
                        lambda *given: asked.append(len(given[2].owner)) or honest(*given))
    preset = Preset('p', 1, 1, (RefineStage(1, 1, (PoseStage((), 1),)), PoseStage((), 1)))
    alone = fit(mug, true, seen, focal, preset, refiner=shipped)
    assert asked == []
    two = fit(mug, true.joined(true), seen, focal, preset, refiner=shipped)
    assert asked == [2]
    torch.testing.assert_close(alone.best.R, two.best.R, atol=1e-4, rtol=0.0)
    torch.testing.assert_close(alone.worth, two.worth, atol=1e-3, rtol=0.0)
    # Kept for a later stage, two are compared by their worth there as well.
    later = replace(preset, stages=(replace(preset.stages[0], keep=2), preset.stages[1]))
    fit(mug, true.joined(true), seen, focal, later, refiner=shipped)
    assert asked == [2, 2]


def test_a_deadline_within_a_stage_ends_the_moves(mug, shipped, monkeypatch):
    now = rows(looking_down(0.6, -0.5))
    seen = Observed.unread(torch.rand(1, 3, 64, 64), torch.rand(1, 1, 64, 64))
    clock = iter(range(100))
    monkeypatch.setattr(time, 'perf_counter', lambda: float(next(clock)))
    moved = refine(mug, shipped, now, seen, torch.full((1,), 4.0), volumes(mug, now.latent), 8,
                   deadline_s=2.5)
    assert moved.taken == 3  # asked at 0, 1 and 2 s, and not any more at 3


def comparison(pair, turn_rad, worth, share):
    """Turns (H,) about the first axis, worths (H,), moves by a share of what the pair looks like.

    So whoever is shown another's crop, drawing or focal length is found out.
    """
    logits = torch.full((len(pair), len(WORTH)), -40.0)
    logits[:, 0] = torch.log(worth.clamp_min(1e-6))
    logits[:, -1] = torch.log((1.0 - worth).clamp_min(1e-6))
    looks = pair.flatten(2).mean(2)
    return Comparison(turn_rad[:, None] * torch.tensor([1.0, 0.0, 0.0]), share * looks[:, :2],
                      0.1 * share * looks[:, 4], logits)


def saying(worths, turn_rad=0.1):
    """One who turns all by so much and finds them, in turn, worth what is written."""
    said = iter(worths)

    def compare(pair):
        worth = torch.tensor(next(said))
        assert len(pair) == len(worth)
        return comparison(pair, torch.full((len(pair),), turn_rad), worth, 1.0)

    return compare


def test_hopeless_hypotheses_are_dropped_but_never_a_tracks_own(mug):
    """Two crops of three hypotheses each; the second crop's first one is a track's own."""
    now = rows(torch.cat([looking_down(0.6, 0.4 * k) for k in range(6)]))
    now = replace(now, owner=torch.tensor([0, 0, 0, 1, 1, 1]),
                  previous=torch.tensor([False, False, False, True, False, False]))
    seen = Observed.unread(torch.rand(6, 3, 64, 64), torch.rand(6, 1, 64, 64))
    focal, volume = torch.linspace(4.0, 5.0, 6), volumes(mug, now.latent)
    worths = [0.9, 0.44, 0.46, 0.1, 0.3, 0.14], [0.2, 0.8, 0.1, 0.5], [0.3, 0.1, 0.6]
    moved = refine(mug, saying(worths), now, seen, focal, volume, 3, hopeless=0.5)
    assert moved.taken == 3
    # First 1 and 5 are dropped, then 0, in the end no other: a track's own stays.
    assert moved.rows.tolist() == [2, 3, 4]
    assert moved.now.owner.tolist() == [0, 1, 1] and moved.now.previous.tolist() == [
        False, True, False]
    for k, row in enumerate((2, 3, 4)):
        turned = geodesic_angle(moved.now.R[k][None], now.R[row][None])
        assert float(turned) == pytest.approx(0.3, abs=1e-3)
        one = torch.tensor([row])
        itself = replace(now.pick(one), owner=torch.zeros(1, dtype=torch.long))
        alone = refine(mug, saying([[0.5]] * 3), itself, seen.pick(one), focal[one],
                       (volume[0][one], volume[1][one]), 3).now
        torch.testing.assert_close(moved.now.t[k], alone.t[0], atol=1e-5, rtol=0.0)
        torch.testing.assert_close(moved.now.log_scale[k], alone.log_scale[0], atol=1e-5, rtol=0.0)
    assert len({round(float(x), 4) for x in moved.now.t[:, 0]}) == 3
    unequal = saying([[0.9, 0.0, 0.0, 0.5, 0.0, 0.0]] * 3)
    everyone = refine(mug, unequal, now, seen, focal, volume, 3)
    assert everyone.rows.tolist() == list(range(6))
    none = refine(mug, saying([[math.nan, 0.9, 0.2, 0.5, 0.4, 0.1]]), now, seen, focal, volume, 1,
                  hopeless=0.5)
    assert none.rows.tolist() == [0, 1, 2, 3, 4]


def test_what_is_turned_around_is_shown_its_own_crop_also_where_others_were_dropped(mug):
    now = rows(torch.cat([looking_down(0.6, 0.4 * k) for k in range(4)]))
    now = replace(now, owner=torch.tensor([0, 0, 1, 1]))
    seen = Observed.unread(torch.rand(4, 3, 64, 64), torch.rand(4, 1, 64, 64))
    focal, volume = torch.linspace(4.0, 5.0, 4), volumes(mug, now.latent)
    stage = RefineStage(1, 3, (), around_deg=30.0, around_times=2, doubt=0.95, hopeless=0.5)
    last = [0.2, 0.2, 0.2, 0.2, 0.6, 0.7], [0.2, 0.2, 0.2, 0.8, 0.2, 0.6]
    # The first crop's first hypothesis is dropped; then all that is left is doubted.
    both = saying([[0.1, 0.9, 0.8, 0.2], [0.5, 0.4], [0.5] * 12, [0.5] * 12,
                   [*last[0], *last[1]]])
    moved = fit_module._refined(mug, both, now, seen, focal, volume, stage, None)
    assert moved.taken == 3 and moved.now.owner.tolist() == [0, 0, 0, 1, 1, 1]
    assert moved.rows.tolist() == [1, 1, 1, 2, 2, 2]
    for crop in range(2):
        one = torch.tensor([1 + crop])
        mine = saying([[0.9], [0.5 - 0.1 * crop], [0.5] * 6, [0.5] * 6, last[crop]])
        alone = fit_module._refined(
            mug, mine, replace(now.pick(one), owner=torch.zeros(1).long()), seen.pick(one),
            focal[one], (volume[0][one], volume[1][one]), stage, None).now
        found = moved.now.pick(torch.nonzero(moved.now.owner == crop)[:, 0])
        torch.testing.assert_close(found.R, alone.R, atol=1e-4, rtol=0.0)
        torch.testing.assert_close(found.t, alone.t, atol=1e-5, rtol=0.0)


def settling(turns, worths=None):
    """One who turns those it is asked about by what is written (rad), worth 0.5 or as written."""
    said, worth_of_them = iter(turns), iter(worths or ())

    def compare(pair):
        turn = torch.tensor(next(said))
        assert len(pair) == len(turn), 'asked about others than are still moving'
        worth = torch.tensor(next(worth_of_them)) if worths else torch.full((len(pair),), 0.5)
        return comparison(pair, turn, worth, 0.01)

    return compare


def test_who_has_converged_is_moved_no_more(mug):
    now = rows(torch.cat([looking_down(0.6, 0.4 * k) for k in range(3)]))
    seen = Observed.unread(torch.rand(3, 3, 64, 64), torch.rand(3, 1, 64, 64))
    given = mug, now, seen, torch.linspace(4.0, 5.0, 3), volumes(mug, now.latent), 4
    turns = [0.3, 0.01, 0.2], [0.1, 0.019], [0.005]
    moved = refine(given[0], settling(turns), *given[1:], settled_rad=0.02)
    # The second stops after its first move, the third after its second; then nobody moves.
    assert moved.taken == 3 and moved.rows.tolist() == [0, 1, 2]
    turned = geodesic_angle(moved.now.R, now.R)
    torch.testing.assert_close(turned, torch.tensor([0.405, 0.01, 0.219]), atol=1e-3, rtol=0.0)
    everyone = refine(given[0], settling([[0.3, 0.01, 0.2]] * 4), *given[1:])
    assert everyone.taken == 4
    # Each was shown its own crop, drawing and focal length all along.
    for row, alone in enumerate(([0.3, 0.1, 0.005], [0.01], [0.2, 0.019])):
        one = torch.tensor([row])
        itself = replace(now.pick(one), owner=torch.zeros(1, dtype=torch.long))
        mine = refine(mug, settling([[x] for x in alone]), itself, seen.pick(one), given[3][one],
                      (given[4][0][one], given[4][1][one]), 4, settled_rad=0.02)
        assert mine.taken == len(alone)
        torch.testing.assert_close(moved.now.t[row], mine.now.t[0], atol=1e-5, rtol=0.0)
        torch.testing.assert_close(moved.now.log_scale[row], mine.now.log_scale[0], atol=1e-5,
                                   rtol=0.0)


def test_who_is_left_after_others_were_dropped_goes_on_from_where_it_was(mug):
    """Two crops; the first one's first hypothesis is dropped, its second and the third move on."""
    now = rows(torch.cat([looking_down(0.6, 0.4 * k) for k in range(4)]))
    now = replace(now, owner=torch.tensor([0, 0, 1, 1]))
    seen = Observed.unread(torch.rand(4, 3, 64, 64), torch.rand(4, 1, 64, 64))
    focal, volume = torch.linspace(4.0, 5.0, 4), volumes(mug, now.latent)
    turns = [0.1, 0.2, 0.01, 0.3], [0.15, 0.25], [0.1, 0.01]
    worths = [0.1, 0.9, 0.6, 0.6], [0.9, 0.6], [0.9, 0.6]
    moved = refine(mug, settling(turns, worths), now, seen, focal, volume, 3, hopeless=0.5,
                   settled_rad=0.02)
    assert moved.rows.tolist() == [1, 2, 3] and moved.taken == 3
    for k, (row, alone) in enumerate(((1, [0.2, 0.15, 0.1]), (2, [0.01]), (3, [0.3, 0.25, 0.01]))):
        one = torch.tensor([row])
        itself = replace(now.pick(one), owner=torch.zeros(1, dtype=torch.long))
        mine = refine(mug, settling([[x] for x in alone]), itself, seen.pick(one), focal[one],
                      (volume[0][one], volume[1][one]), 3, settled_rad=0.02).now
        torch.testing.assert_close(moved.now.R[k], mine.R[0], atol=1e-5, rtol=0.0)
        torch.testing.assert_close(moved.now.t[k], mine.t[0], atol=1e-5, rtol=0.0)


def test_a_stage_tells_when_to_stop_in_degrees_and_of_turned_copies_too(mug):
    """Turns of 0.03 rad are 1.7 degrees, so with 2 nobody moves twice, and with 1.5 all do."""
    now = rows(looking_down(0.6, 0.4))
    seen = Observed.unread(torch.rand(1, 3, 64, 64), torch.rand(1, 1, 64, 64))
    focal, volume = torch.full((1,), 4.0), volumes(mug, now.latent)
    asked = []

    def little(pair):
        asked.append(len(pair))
        still = torch.zeros(len(pair))
        return Comparison(torch.stack((still + 0.03, still, still), 1), torch.zeros(len(pair), 2),
                          still, torch.zeros(len(pair), len(WORTH)))

    for settled_deg, wanted in ((2.0, [1, 1, 6, 6]), (1.5, [1, 1, 1, 6, 6, 6])):
        asked.clear()
        stage = RefineStage(2, 1, (), around_deg=30.0, doubt=0.95, settled_deg=settled_deg)
        fit_module._refined(mug, little, now, seen, focal, volume, stage, None)
        assert asked == wanted


@pytest.mark.parametrize('shift, grow', [((0.05, 0.0), 0.0), ((0.0, -0.05), 0.0),
                                         ((0.0, 0.0), -0.05)])
def test_who_still_shifts_or_grows_has_not_converged(shift, grow):
    said = Comparison(torch.tensor([[0.01, 0.01, 0.0]]), torch.tensor([shift]),
                      torch.tensor([grow]), torch.zeros(1, len(WORTH)))
    assert float(said.farthest) == pytest.approx(0.05)
    still = replace(said, shift=torch.zeros(1, 2), grow=torch.zeros(1))
    assert float(still.farthest) == pytest.approx(0.01 * math.sqrt(2.0))


def test_who_has_converged_may_still_be_dropped(mug):
    """Its last worth counts against what others become."""
    now = rows(torch.cat([looking_down(0.6, 0.4 * k) for k in range(2)]))
    now = replace(now, owner=torch.tensor([0, 0]))
    seen = Observed.unread(torch.rand(2, 3, 64, 64), torch.rand(2, 1, 64, 64))
    both = settling(([0.0, 0.1], [0.1]), ([0.4, 0.5], [0.9]))
    moved = refine(mug, both, now, seen, torch.tensor([4.0, 5.0]), volumes(mug, now.latent), 2,
                   hopeless=0.5, settled_rad=0.02)
    assert moved.rows.tolist() == [1]


def test_a_move_is_not_shorter_than_none():
    with pytest.raises(PoseError, match='settled_deg cannot be -1: give 0 or more'):
        RefineStage(1, 1, (), settled_deg=-1.0)


@pytest.mark.parametrize('share', [1.0, -0.1])
def test_the_best_is_not_to_be_dropped(share):
    with pytest.raises(PoseError, match='give hopeless 0 to less than 1'):
        RefineStage(1, 1, (), hopeless=share)


def test_where_dropping_leaves_no_choice_nobody_is_asked(mug, shipped, monkeypatch):
    worths = [[0.1, 0.9, 0.8, 0.9], [0.9, 0.8, 0.1], [0.6, 0.9]]
    compare = saying(worths, 0.0)
    monkeypatch.setattr(fit_module, 'Mirrored', lambda refiner: compare)
    now = rows(torch.cat([looking_down(0.6, 0.4 * k) for k in range(4)]))
    now = replace(now, owner=torch.tensor([0, 0, 1, 1]))
    seen = Observed.unread(torch.rand(2, 3, 64, 64), torch.rand(2, 1, 64, 64))
    cold = replace(PRESETS['cold'], stages=(
        replace(PRESETS['cold'].stages[0], times=2, hopeless=0.5, settled_deg=0.0),
        PoseStage((), 1)))
    found = fit(mug, now, seen, torch.tensor([4.0, 5.0]), cold, refiner=shipped)
    torch.testing.assert_close(found.best.R, now.R[[1, 2]], atol=1e-5, rtol=0.0)
    assert found.best.owner.tolist() == [0, 1]
    assert found.worth.tolist() == pytest.approx([0.6, 0.9], abs=1e-3)


@pytest.mark.parametrize('said', ['[1]', '{"categories": "mug", "symmetries": ["none"]}',
                                  '{"categories": ["mug"], "symmetries": []}'])
def test_a_refiner_that_does_not_say_what_it_knows_is_refused(tmp_path, said):
    path = tmp_path / 'refiner.safetensors'
    write_weights(path, Refiner(), {'format': FORMAT, 'refiner': said})
    with pytest.raises(PoseError, match='do not fit their own description'):
        load_refiner(path)
