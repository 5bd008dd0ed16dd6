# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
import csv
from dataclasses import replace
import math
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_models import TINY_GENERATOR
import torch

from ros2_nabs_pose.core.checkpoint import CategoryModel, load_model, save_model
from ros2_nabs_pose.core.encoder import bin_centers, Encoder, EncoderConfig, Encoding
from ros2_nabs_pose.core.generator import FRAME_MARGIN, Generator
from ros2_nabs_pose.core.rotations import axis_azimuth_from_rotation, exp_so3, rotation_z
from ros2_nabs_pose.core.types import PoseError
from ros2_nabs_pose.training import trainer as training
from ros2_nabs_pose.training.codes import agreed, usual_codes
from ros2_nabs_pose.training.compose import compose, facing_first, mirrored, recolour
from ros2_nabs_pose.training.framing import CUT_OFF
from ros2_nabs_pose.training.instances import (
    clear_without_grain,
    FLAT_DEG,
    STEEP,
    STEEP_DEG,
    TrainingViews,
    without_grain,
)
from ros2_nabs_pose.training.loop import learning_rate
from ros2_nabs_pose.training.objective import (
    _further_rotations,
    code_term,
    readings,
    soft_bins,
    Weights,
)
from ros2_nabs_pose.training.stretching import STRETCHED
from ros2_nabs_pose.training.teacher import is_former
from ros2_nabs_pose.training.train import train
from ros2_nabs_pose.training.trainer import HINT_SPREAD, HINTS, hints, TrainConfig, Trainer
from ros2_nabs_pose.training.validate_drawing import validate_drawing

TINY_ENCODER = EncoderConfig(latent_dim=4, palette=0, channels=(8, 8, 12, 12), blocks=(1, 1, 1, 1),
                             hidden=8)


def tiny_views(instances=3, views=5, size=64):
    """Discs with a bright dot towards the object's x axis: a picture whose yaw can be seen."""
    generator = torch.Generator().manual_seed(0)
    azimuth = 6.28 * torch.rand(instances, views, generator=generator)
    zero = torch.zeros_like(azimuth)
    look = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    R = exp_so3(torch.stack((zero + 0.6, zero, zero), -1)) @ look @ rotation_z(azimuth)
    line = ((torch.arange(size) + 0.5) / size * 2.0 - 1.0) * FRAME_MARGIN
    v, u = torch.meshgrid(line, line, indexing='ij')
    dot = 0.5 * R[..., :2, 0]
    near = ((u - dot[..., 0, None, None]) ** 2 + (v - dot[..., 1, None, None]) ** 2) < 0.02
    disc = (u ** 2 + v ** 2 < 0.5).expand_as(near)
    rgba = torch.stack((near * 255, disc * 90, disc * 40, disc * 255), -1).to(torch.uint8)
    return TrainingViews(
        rgba=rgba, depth=torch.zeros(instances, views, size, size).half(),
        front=(near * 255).to(torch.uint8),
        clear=None, R_view=R, perspective=torch.full_like(azimuth, 0.1),
        front_visible=torch.ones_like(azimuth), size=torch.ones(instances, 3),
        center=torch.zeros(instances, 3), log_radius=torch.full((instances,), -2.5),
        usual=torch.ones(instances, dtype=torch.bool),
        backgrounds=None, fingerprint='test', recipe={})


def test_a_composed_crop_shows_the_front_where_its_pose_says():
    torch.manual_seed(1)
    _, views = tiny_views(3, 5).batch(3, 5)
    crops = compose(views, None)
    line = (torch.arange(64) + 0.5) / 32 - 1.0
    found = 0
    for b in range(15):
        front = crops.t[b] + 0.5 * torch.exp(crops.log_scale[b]) * crops.R[b, :2, 0]
        origin = crops.mask[b, 0, int((crops.t[b, 1] + 1) * 32), int((crops.t[b, 0] + 1) * 32)]
        if origin < 0.9 or crops.mask[b].sum() < 0.9 * crops.mask.sum((1, 2, 3)).median():
            continue  # something stands in front
        # Reddest place inside the object.
        redness = (crops.image[b, 0] - crops.image[b, 1]) * (crops.mask[b, 0] > 0.95)
        weight = redness.clamp_min(0.0) ** 4
        weight = weight / weight.sum()
        centre = torch.stack(((weight.sum(0) * line).sum(), (weight.sum(1) * line).sum()))
        assert float((centre - front).abs().max()) < 0.12
        found += 1
    assert found >= 6


def test_crops_keep_the_object_in_the_picture_and_the_occluder_in_bounds():
    torch.manual_seed(2)
    _, views = tiny_views(3, 5).batch(3, 5)
    for _ in range(5):
        crops = compose(views, None)
        assert float(crops.image.min()) >= 0.0
        assert float(crops.image.max()) <= 1.0
        radius = torch.exp(crops.log_scale) * 0.5 ** 0.5
        visible = crops.mask.sum((1, 2, 3)) / (math.pi * (32 * radius) ** 2)
        assert float(visible.min()) > 0.6
        assert float(visible.max()) < 1.05


@pytest.mark.parametrize('flipped', [False, True])
def test_points_lie_where_the_pose_puts_them_in_the_crop(flipped):
    """Projected by the crop's pose, each point must land on its own pixel."""
    torch.manual_seed(3)
    _, views = tiny_views(3, 5).batch(3, 5)
    line = ((torch.arange(64) + 0.5) / 64 * 2.0 - 1.0) * FRAME_MARGIN
    slope = (0.3 * line.view(1, 1, -1, 1) - 0.2 * line).expand(15, 1, -1, -1)
    alpha = views.stacked[:, 3:4]
    views = replace(views, stacked=torch.cat((views.stacked[:, :4], slope * alpha), 1))
    views = mirrored(views, torch.full((15,), flipped))
    crops = compose(views, None)
    share = torch.nn.functional.avg_pool2d(crops.mask, 2)
    inside = share[:, 0] > 0.999
    in_camera = torch.einsum('bij,bjhw->bihw', crops.R, crops.points / share.clamp_min(1e-6))
    away = 1.0 + views.perspective.view(-1, 1, 1) * in_camera[:, 2]
    at = (torch.arange(32) + 0.5) / 16.0 - 1.0
    scale = torch.exp(crops.log_scale).view(-1, 1, 1)
    u, v = (crops.t[:, k].view(-1, 1, 1) + scale * in_camera[:, k] / away for k in (0, 1))
    assert float((u - at)[inside].abs().max()) < 0.003
    assert float((v - at[:, None])[inside].abs().max()) < 0.003
    # The facing frame differs by a spin alone: heights and distances from the axis stay.
    facing = crops.facing()
    torch.testing.assert_close(facing[:, 2], crops.points[:, 2], atol=1e-5, rtol=0.0)
    torch.testing.assert_close(facing[:, :2].square().sum(1), crops.points[:, :2].square().sum(1),
                               atol=1e-5, rtol=0.0)


def test_a_mirrored_view_shows_the_front_where_its_pose_says_and_only_flagged_ones_change():
    _, views = tiny_views(2, 8).batch(2, 8)
    flip = torch.arange(16) % 2 == 0
    changed = mirrored(views, flip)
    line = ((torch.arange(64) + 0.5) / 64 * 2.0 - 1.0) * FRAME_MARGIN
    weight = changed.front[:, 0] / changed.front.sum((1, 2, 3))[:, None, None]
    u, v = (weight.sum(1) * line).sum(1), (weight.sum(2) * line).sum(1)
    torch.testing.assert_close(torch.stack((u, v), 1), 0.5 * changed.R_view[:, :2, 0],
                               atol=0.02, rtol=0.0)
    torch.testing.assert_close(torch.linalg.det(changed.R_view), torch.ones(16))
    # A mirror swaps left and right; what is up in the picture and near stays so.
    torch.testing.assert_close(changed.R_view[::2, 0, 0], -views.R_view[::2, 0, 0])
    torch.testing.assert_close(changed.R_view[:, 1:, ::2], views.R_view[:, 1:, ::2])
    for name in ('stacked', 'front', 'R_view'):
        assert torch.equal(getattr(changed, name)[1::2], getattr(views, name)[1::2])
    again = mirrored(changed, flip)
    assert torch.equal(again.stacked, views.stacked) and torch.equal(again.R_view, views.R_view)


def test_training_the_encoder_alone_leaves_the_generator_and_its_codes_as_they_are(tmp_path):
    data = tiny_views(4, 6)
    config = TrainConfig('mug', 'd', None, 'r', 'o', instances=2, views=3, warmup=1)
    parent = Trainer(config, data, data.card('mug'), TINY_GENERATOR, TINY_ENCODER)
    parent.train_step()
    # How a model is read depends on what it learns from: its first validation must know it, too.
    assert parent.average.card.training['mirror'] is True
    parent.save_state(tmp_path / 'state.pt')
    child = Trainer(replace(config, only='encoder'), data, data.card('mug'), TINY_GENERATOR,
                    TINY_ENCODER)
    child.begin_from(tmp_path / 'state.pt')

    def states():
        return [{k: v.clone() for k, v in part.state_dict().items()}
                for part in (child.model.generator, child.average.generator, child.teacher,
                             child.model.encoder)]

    with pytest.raises(PoseError, match='other parts'):
        child.load_state(tmp_path / 'state.pt')
    before = states()
    terms = [child.train_step() for _ in range(3)]
    after = states()
    assert set(terms[0]) == {'loss', 'mask', 'axis', 'place', 'points', 'azimuth', 'offset',
                             'front', 'others', 'code', 'colour', 'alpha', 'depth', 'edges'}
    for was, now in zip(before[:3], after[:3], strict=True):
        for name in was:
            torch.testing.assert_close(now[name], was[name], atol=1e-6, rtol=0.0)
    moved = [name for name in before[3] if not torch.equal(before[3][name], after[3][name])]
    assert 'head.weight' in moved and 'down0.conv.weight' in moved and 'look.0.weight' in moved


@pytest.mark.parametrize('symmetry', ['none', 'free_z'])
def test_codes_that_are_read_are_judged_by_what_they_draw_at_the_true_pose(symmetry):
    """Of the first crops of each instance; nothing is to be paid where a drawing is the view."""
    torch.manual_seed(12)
    data = tiny_views(4, 6)
    config = TrainConfig('mug', 'd', None, 'r', 'o', instances=3, views=4, only='encoder')
    alone = Trainer(config, data, replace(data.card('mug'), symmetry=symmetry), TINY_GENERATOR,
                    TINY_ENCODER)
    _, views = data.batch(3, 4)
    with torch.no_grad():
        said = alone.model.encoder(compose(views, None).image)
        rows = [0, 1, 4, 5, 8, 9]
        R = views.R_view[rows]
        if symmetry == 'free_z':
            R = facing_first(R, 1)
        drawn = alone.model.generator(said.mean[rows], R, views.perspective[rows]).stacked()
    same = replace(views, stacked=views.stacked.index_copy(0, torch.tensor(rows), drawn))
    paid, free = alone.drawing_terms(said, views, 4), alone.drawing_terms(said, same, 4)
    assert float(paid['alpha']) > 0.05 and float(paid['colour']) > 0.05
    # Depths are compared times the view's coverage, drawn ones as they are.
    assert all(float(free[name]) < 1e-5 for name in ('alpha', 'colour', 'edges'))
    said = replace(said, mean=said.mean.clone().requires_grad_())
    slope, = torch.autograd.grad(sum(alone.drawing_terms(said, views, 4).values()), said.mean)
    assert [bool(x.any()) for x in slope] == [b in rows for b in range(12)]


def test_the_teacher_alone_learns_from_what_a_models_generator_draws(tmp_path, monkeypatch):
    views = tiny_views(4, 6)
    monkeypatch.setattr(TrainingViews, 'load', classmethod(lambda cls, *a: views))
    monkeypatch.setattr('ros2_nabs_pose.training.train.get_variant',
                        lambda name: (TINY_GENERATOR, TINY_ENCODER))
    config = TrainConfig('mug', 'd', None, str(tmp_path / 'r'), str(tmp_path / 'o'), steps=4,
                         instances=2, views=3, warmup=1, only='teacher',
                         init=str(tmp_path / 'mug.safetensors'))
    parent = Trainer(replace(config, only=''), views, views.card('mug'), TINY_GENERATOR,
                     TINY_ENCODER)
    save_model(parent.model, tmp_path / 'mug.safetensors')
    shipped = load_model(tmp_path / 'mug.safetensors').state_dict()
    train(config)
    assert not (tmp_path / 'o').exists()  # a model has no teacher, so there is none to write
    with (tmp_path / 'r/validation.csv').open() as file:
        assert [row['step'] for row in csv.DictReader(file)] == ['4']
    assert (tmp_path / 'r/samples/000004.png').exists()
    state = torch.load(tmp_path / 'r/state.pt', weights_only=True)
    assert all(torch.equal(v, shipped[k]) for k, v in state['model'].items())
    fresh = Trainer(config, views, views.card('mug'), TINY_GENERATOR, TINY_ENCODER).teacher
    assert not torch.equal(state['teacher']['layers.0.weight'], fresh.layers[0].weight)
    # The encoder's training takes it up from there.
    child = Trainer(replace(config, only='encoder', init=str(tmp_path / 'r/state.pt')), views,
                    views.card('mug'), TINY_GENERATOR, TINY_ENCODER)
    child.begin_from(tmp_path / 'r/state.pt')
    assert torch.equal(child.teacher.layers[0].weight, state['teacher']['layers.0.weight'])


@pytest.mark.parametrize('symmetry', ['none', 'free_z'])
def test_an_encoder_goes_on_from_a_model_alone(tmp_path, monkeypatch, symmetry):
    """Its own former self tells the codes, in a run that was stopped, too, and in one after it."""
    views = tiny_views(4, 6)
    card = replace(views.card('mug'), symmetry=symmetry)
    monkeypatch.setattr(TrainingViews, 'load', classmethod(lambda cls, *a: views))
    monkeypatch.setattr(TrainingViews, 'card', lambda self, category: card)
    monkeypatch.setattr('ros2_nabs_pose.training.train.get_variant',
                        lambda name: (TINY_GENERATOR, TINY_ENCODER))
    path = tmp_path / 'mug.safetensors'
    config = TrainConfig('mug', 'd', None, str(tmp_path / 'r'), str(path), steps=4, instances=2,
                         views=4, warmup=1, only='encoder', init=str(path))
    # As former versions wrote them: with no further rotations, and told nothing beside the crop.
    parent = Trainer(replace(config, only='', init=''), views, card, TINY_GENERATOR,
                     replace(TINY_ENCODER, others=0, informed=False))
    save_model(parent.model, path)
    shipped = load_model(path).state_dict()
    train(replace(config, steps=2), replace_out=True)  # which writes over what it began with
    train(config, replace_out=True)
    state = torch.load(tmp_path / 'r/state.pt', weights_only=True)
    assert state['step'] == 4
    for name, value in shipped.items():
        kind, _, rest = name.partition('.')
        if kind == 'encoder':
            assert torch.equal(state['teacher'][f'encoder.{rest}'], value)
        else:
            assert torch.equal(state['model'][name], value)
    learned = load_model(path).state_dict()
    assert not torch.equal(learned['encoder.head.weight'], shipped['encoder.head.weight'])

    def begun(only):
        child = Trainer(replace(config, only=only), views, card, TINY_GENERATOR, TINY_ENCODER)
        child.begin_from(tmp_path / 'r/state.pt')
        return child

    again = begun('encoder').teacher.state_dict()
    assert all(torch.equal(v, again[k]) for k, v in state['teacher'].items())
    assert not is_former(begun('teacher').teacher.state_dict())
    for only in ('', 'drawing'):
        with pytest.raises(PoseError, match='holds no clean encoder .* --only teacher'):
            begun(only)


@pytest.mark.parametrize('only', ['', 'drawing'])
def test_a_model_has_no_codes_for_the_generator_to_learn_from(tmp_path, only):
    views = tiny_views(4, 6)
    config = TrainConfig('mug', 'd', None, 'r', 'o', only=only)
    fresh = Trainer(config, views, views.card('mug'), TINY_GENERATOR, TINY_ENCODER)
    save_model(fresh.model, tmp_path / 'mug.safetensors')
    with pytest.raises(PoseError, match='holds no clean encoder .* --only teacher'):
        fresh.begin_from(tmp_path / 'mug.safetensors')


def test_an_encoder_does_not_learn_beside_another_categorys_generator(tmp_path):
    views = tiny_views(4, 6)
    config = TrainConfig('can', 'd', None, 'r', 'o', only='encoder')
    alone = Trainer(config, views, views.card('can'), TINY_GENERATOR, TINY_ENCODER)
    mug = CategoryModel(Generator(TINY_GENERATOR), Encoder(TINY_ENCODER), views.card('mug'))
    save_model(mug, tmp_path / 'mug.safetensors')
    with pytest.raises(PoseError, match='mug.safetensors draws a mug, .* model of the category'):
        alone.begin_from(tmp_path / 'mug.safetensors')


@pytest.mark.parametrize('colour_dims, palette', [(3, 2), (3, 0), (0, 0)])
def test_of_painted_crops_codes_tell_the_shape_alone(colour_dims, palette):
    """What colours are below the paint nobody can read, so those numbers are not asked for."""
    torch.manual_seed(13)
    data = tiny_views(2, 4)
    sizes = replace(TINY_GENERATOR, latent_dim=13, colour_dims=colour_dims, palette=palette)
    reading = replace(TINY_ENCODER, latent_dim=13, colour_dims=colour_dims, palette=palette)
    alone = Trainer(TrainConfig('mug', 'd', None, 'r', 'o', only='encoder'), data,
                    data.card('mug'), sizes, reading)
    _, views = data.batch(2, 2)
    crops = compose(views, None)
    with torch.no_grad():
        said = alone.model.encoder(crops.image)
    said = replace(said, mean=said.mean.clone().requires_grad_(),
                   logvar=said.logvar.clone().requires_grad_())
    painted = torch.tensor([False, True, True, False])
    target = said.mean.detach() + 1.0
    code = alone.reading_terms(said, crops, target, torch.zeros(4, 13), 2, painted)['code']
    for slope in torch.autograd.grad(code, (said.mean, said.logvar)):
        told = slope != 0.0
        assert told[~painted].all()
        shape = (torch.arange(13) >= colour_dims) & (torch.arange(13) < 13 - 3 * palette)
        assert (told[painted] == shape).all()


@pytest.mark.parametrize('symmetry', ['none', 'free_z'])
def test_the_drawing_alone_learns_from_clean_views_and_leaves_the_encoder(tmp_path, monkeypatch,
                                                                          symmetry):
    views = tiny_views(4, 6)
    monkeypatch.setattr(TrainingViews, 'load', classmethod(lambda cls, *a: views))
    monkeypatch.setattr('ros2_nabs_pose.training.train.get_variant',
                        lambda name: (TINY_GENERATOR, TINY_ENCODER))
    card = replace(views.card('mug'), symmetry=symmetry)
    monkeypatch.setattr(TrainingViews, 'card', lambda self, category: card)
    config = TrainConfig('mug', 'd', None, str(tmp_path / 'r'), str(tmp_path / 'o'), steps=4,
                         instances=2, views=3, warmup=1, validate_every=2, only='drawing',
                         init=str(tmp_path / 'p/state.pt'))
    parent = Trainer(replace(config, only=''), views, card, TINY_GENERATOR, TINY_ENCODER)
    (tmp_path / 'p').mkdir()
    parent.save_state(tmp_path / 'p/state.pt')
    before = {k: v.clone() for k, v in parent.model.state_dict().items()}
    taught = {k: v.clone() for k, v in parent.teacher.state_dict().items()}
    figures = train(config)
    # Its codes are others than the encoder has learned to read, so there is no model to write yet.
    assert not (tmp_path / 'o').exists()
    state = torch.load(tmp_path / 'r/state.pt', weights_only=True)
    changed = {k for k, v in state['average'].items() if not torch.equal(v, before[k])}
    assert 'generator.to_image.weight' in changed
    assert not any(k.startswith('encoder.') for k in changed)
    assert not torch.equal(state['teacher']['layers.0.weight'], taught['layers.0.weight'])
    with (tmp_path / 'r/validation.csv').open() as file:
        assert [int(row['step']) for row in csv.DictReader(file)] == [2, 4]
    assert (tmp_path / 'r/samples/000004.png').exists()
    # It needs no other run to begin with, for nothing that stays as it is has its say.
    assert train(replace(config, init='', run=str(tmp_path / 'n'))).keys() == figures.keys()
    # And the encoder goes on from there, from what was judged.
    child = Trainer(replace(config, only='encoder'), views, card, TINY_GENERATOR, TINY_ENCODER)
    child.begin_from(tmp_path / 'r/state.pt')
    assert torch.equal(child.model.generator.to_image.weight,
                       state['average']['generator.to_image.weight'])
    again = validate_drawing(child.average, child.teacher, views)
    assert figures == pytest.approx(again, nan_ok=True)
    taught.update(child.teacher.state_dict())
    assert all(torch.equal(v, taught[k]) for k, v in state['teacher'].items())


def test_a_run_whose_clean_encoder_saw_pictures_alone_is_begun_from_and_not_resumed(tmp_path):
    torch.manual_seed(4)
    views = tiny_views(4, 6)
    config = TrainConfig('mug', 'd', None, 'r', 'o', only='drawing')
    parent = Trainer(config, views, views.card('mug'), TINY_GENERATOR, TINY_ENCODER)
    parent.save_state(tmp_path / 'state.pt')
    state = torch.load(tmp_path / 'state.pt', weights_only=True)
    old = {k: v for k, v in state['teacher'].items() if not k.startswith('blocks.')}
    old['layers.0.weight'] = old['layers.0.weight'][:, :4].clone()
    torch.save({**state, 'teacher': old}, tmp_path / 'state.pt')
    child = Trainer(replace(config, seed=2), views, views.card('mug'), TINY_GENERATOR,
                    TINY_ENCODER)
    child.begin_from(tmp_path / 'state.pt')
    with torch.no_grad():
        parent.teacher.layers[0].weight[:, 4:] = 0.0
    _, seen = views.batch(3, 2)
    for mine, theirs in zip(child.taught(seen, False), parent.taught(seen, False), strict=True):
        torch.testing.assert_close(mine, theirs)
    with pytest.raises(PoseError, match='begin anew from it, with --init .*state.pt and another'):
        Trainer(config, views, views.card('mug'), TINY_GENERATOR,
                TINY_ENCODER).load_state(tmp_path / 'state.pt')


def test_a_palette_is_learned_by_all_who_have_to_do_with_it():
    views = tiny_views()
    sizes = {'latent_dim': 13, 'palette': 3}
    trainer = Trainer(TrainConfig('mug', 'd', None, 'r', 'o', student_from=0), views,
                      views.card('mug'), replace(TINY_GENERATOR, **sizes),
                      replace(TINY_ENCODER, **sizes))
    index, batch = views.batch(2, 3)
    sum(trainer.losses(index, batch).values()).backward()
    for learner in (trainer.teacher.attention[2].weight, trainer.teacher.towards,
                    trainer.model.generator.to_palette.weight,
                    trainer.model.encoder.to_palette.weight):
        assert learner.grad.abs().max() > 1e-7


def test_the_encoder_alone_needs_a_generator_to_begin_with(tmp_path, monkeypatch):
    views = tiny_views()
    monkeypatch.setattr(TrainingViews, 'load', classmethod(lambda cls, *a: views))
    with pytest.raises(PoseError, match='give --init'):
        train(TrainConfig('mug', 'd', None, str(tmp_path / 'r'), str(tmp_path / 'o'),
                          only='encoder'))
    assert not (tmp_path / 'r').exists()


def test_steep_views_are_drawn_so_many_times_as_often():
    """One of two views: the one from 30 degrees up, or the other."""
    data = tiny_views(400, 2)
    turn = torch.eye(3).expand(400, 2, 3, 3).clone()
    for view, degrees in enumerate((30.0, 80.0)):
        turn[:, view, 2, 2] = -math.sin(math.radians(degrees))
    data = replace(data, R_view=turn, perspective=torch.tensor([0.3, 0.8]).expand(400, 2))
    torch.manual_seed(5)
    for steep, share in ((1.0, 0.5), (3.0, 0.75)):
        seen = torch.cat([data.batch(400, 1, steep)[1].perspective for _ in range(5)])
        assert float((seen == 0.8).float().mean()) == pytest.approx(share, abs=0.035)
    # Halfway between flat and steep, halfway as often.
    turn[:, 1, 2, 2] = -math.sin(math.radians(0.5 * (FLAT_DEG + STEEP_DEG)))
    data = replace(data, R_view=turn)
    seen = torch.cat([data.batch(400, 1, 5.0)[1].perspective for _ in range(5)])
    assert float((seen == 0.8).float().mean()) == pytest.approx(0.75, abs=0.035)


def test_batches_bring_along_what_is_clear_of_each_view():
    data = tiny_views(3, 4)
    number = torch.arange(12, dtype=torch.uint8).view(3, 4, 1, 1)
    data = replace(data, clear=(20 * number).expand(3, 4, 64, 64),
                   perspective=number[..., 0, 0].float())
    torch.manual_seed(17)
    _, views = data.batch(3, 4)
    assert sorted(views.perspective.tolist()) == list(range(12))
    torch.testing.assert_close(views.clear[:, 0, 5, 5], 20.0 * views.perspective / 255.0)
    assert not tiny_views(3, 4).batch(3, 4)[1].clear.any()


def test_grain_is_taken_from_what_is_clear_within_its_outline():
    rng = np.random.default_rng(18)
    rgba = np.zeros((1, 1, 64, 64, 4), np.uint8)
    rgba[..., 10:50, 10:50, 3] = 255
    grain = np.clip(150 + 25 * rng.normal(size=(1, 1, 64, 64)), 0, 255) * (rgba[..., 3] > 0)
    smooth = clear_without_grain(grain.astype(np.uint8), rgba)
    inside = (..., slice(15, 45), slice(15, 45))
    assert smooth[inside].std() < 0.4 * grain[inside].std()
    assert smooth[inside].mean() == pytest.approx(150, abs=3)
    assert not smooth[rgba[..., 3] == 0].any()


def test_recolouring_is_the_same_in_all_views_of_an_instance_and_keeps_shape():
    torch.manual_seed(3)
    _, views = tiny_views(2, 4).batch(2, 4)
    changed = recolour(views, 4)
    assert torch.equal(changed.stacked[:, 3:], views.stacked[:, 3:])
    body = changed.stacked[:, :3, 32, 32] / changed.stacked[:, 3:4, 32, 32]
    original = views.stacked[:, :3, 32, 32]
    same = [(original[a] == original[b]).all() for a in range(4) for b in range(4)]
    assert any(same)
    for a in range(4):
        for b in range(4):
            if (original[a] == original[b]).all():
                torch.testing.assert_close(body[a], body[b])


def test_soft_bins_share_an_angle_between_its_neighbours():
    centres = bin_centers(8)
    target = soft_bins(torch.tensor([float(centres[3]), float(centres[7]) + math.pi / 8]), 8)
    assert target[0].tolist() == pytest.approx([0, 0, 0, 1, 0, 0, 0, 0], abs=1e-5)
    assert target[1].tolist() == pytest.approx([0.5, 0, 0, 0, 0, 0, 0, 0.5], abs=1e-5)


def test_an_encoder_that_says_the_truth_pays_little():
    torch.manual_seed(4)
    _, views = tiny_views().batch(3, 5)
    crops = compose(views, None)
    axis, azimuth = axis_azimuth_from_rotation(crops.R)
    logits = torch.log(soft_bins(azimuth, 24) + 1e-6)
    offset = torch.remainder(azimuth[:, None] - bin_centers(24) + math.pi, 2 * math.pi) - math.pi
    share = torch.nn.functional.avg_pool2d(crops.mask, 2)
    said = Encoding(mean=torch.zeros(15, 4), logvar=torch.zeros(15, 4),
                    mask_logits=40.0 * (crops.mask - 0.5), axis=axis, azimuth_logits=logits,
                    azimuth_offset=offset, t=crops.t, log_scale=crops.log_scale,
                    front_logit=torch.full((15,), 9.0),
                    points=crops.points / share.clamp_min(1e-6),
                    others=crops.R[:, None], other_logits=torch.zeros(15, 1))
    terms = readings(said, crops, Weights())
    assert float(terms['points']) == pytest.approx(0.0, abs=1e-4)
    assert float(terms['axis']) == pytest.approx(0.0, abs=1e-5)
    assert float(terms['place']) == 0.0
    assert float(terms['offset']) == pytest.approx(0.0, abs=1e-4)
    assert float(terms['azimuth']) < 0.5
    # Even odds where the first is right.
    assert float(terms['others']) == pytest.approx(
        0.1 * Weights().others * math.log(2.0), abs=2e-4)
    round_terms = readings(said, crops, Weights(), free_about_z=True)
    assert 'azimuth' not in round_terms
    # A round object's points are told in its facing frame, so here they are turned.
    assert float(round_terms['points']) > 0.5


def said_of(first, others, logits):
    """A reading of one crop that shows a rotation (3, 3), with further ones (M, 3, 3)."""
    axis, azimuth = axis_azimuth_from_rotation(first[None])
    offset = torch.remainder(azimuth[:, None] - bin_centers(24) + math.pi, 2 * math.pi) - math.pi
    one = torch.zeros(1)
    return Encoding(
        mean=torch.zeros(1, 4), logvar=torch.zeros(1, 4), mask_logits=torch.zeros(1, 1, 64, 64),
        axis=axis, azimuth_logits=torch.log(soft_bins(azimuth, 24) + 1e-6), azimuth_offset=offset,
        t=torch.zeros(1, 2), log_scale=one, front_logit=one, points=torch.zeros(1, 3, 32, 32),
        others=others[None].clone().requires_grad_(),
        other_logits=logits[None].clone().requires_grad_())


def test_of_further_rotations_the_nearest_pays_where_the_first_is_wrong():
    _, views = tiny_views().batch(1, 1)
    crops = replace(compose(views, None), front_visible=torch.ones(1))
    R = crops.R[0]

    def off(degrees):
        return exp_so3(torch.tensor([math.radians(degrees), 0.0, 0.0])) @ R

    def cost(first_off, offs, logits=(0.0, 0.0)):
        said = said_of(off(first_off), torch.stack([off(x) for x in offs]), torch.tensor(logits))
        term = _further_rotations(said, crops)
        term.backward()
        return float(term.detach()), said.others.grad[0].flatten(1).norm(dim=1).tolist()

    wrong, pull = cost(90.0, (30.0, -80.0))
    right, gentle = cost(3.0, (30.0, -80.0))
    assert wrong > 5.0 * right and pull[0] > 10.0 * gentle[0]
    assert pull[0] > 10.0 * pull[1] > 0.0  # one that is of no use is drawn near, too, but little
    # Chordal distances, 2 sqrt 2 sin(angle / 2), and even odds of three.
    near, far = (math.sqrt(8.0) * math.sin(math.radians(x / 2)) for x in (30.0, 80.0))
    assert wrong == pytest.approx(3.1 * near + 0.2 * (near + far) + 0.1 * math.log(3.0), rel=1e-3)
    # The odds learn whether the first is right, else which one is nearest.
    assert cost(90.0, (30.0, -80.0), (5.0, 0.0))[0] < wrong - 0.05
    assert cost(3.0, (30.0, -80.0), (-5.0, -5.0))[0] < right - 0.05
    assert cost(3.0, (0.0, -80.0), (5.0, 0.0))[0] > cost(3.0, (0.0, -80.0))[0] + 0.05
    # Nobody can tell the turn while the front is hidden; the axis can be told.
    hidden = replace(crops, front_visible=torch.zeros(1))
    for turn, axis_off in ((rotation_z(torch.tensor(2.0)), 0.0), (torch.eye(3), 30.0)):
        said = said_of(R @ turn, torch.stack([off(axis_off) @ turn]), torch.zeros(1))
        chord = math.sqrt(8.0) * math.sin(math.radians(axis_off / 2))
        across = math.sqrt(1.0 - float(R[0, 2]) ** 2)  # off() turns about the camera's x axis
        wrong = 1.0 / (1.0 + math.exp(5.0))
        wanted = (3.2 * wrong + 0.1) * chord * across + 0.1 * math.log(2.0)
        assert float(_further_rotations(said, hidden).detach()) == pytest.approx(wanted, rel=1e-3)


def test_a_run_takes_up_one_that_is_told_nothing_beside_the_crop(tmp_path):
    views = tiny_views()
    card = views.card('mug')
    before = Trainer(TrainConfig('mug', 'd', None, 'r', 'o'), views, card, TINY_GENERATOR,
                     replace(TINY_ENCODER, informed=False))
    before.train_step()
    before.save_state(tmp_path / 'state.pt')
    now = Trainer(TrainConfig('mug', 'd', None, 'r2', 'o', warmup=0), views, card, TINY_GENERATOR,
                  TINY_ENCODER)
    now.begin_from(tmp_path / 'state.pt')
    assert torch.equal(now.model.encoder.head.weight, before.average.encoder.head.weight)
    assert not now.model.encoder.from_field.weight.any()
    now.train_step()
    assert now.model.encoder.from_field.weight.any()  # it learns to look at both
    assert now.model.encoder.from_known.weight.any()


def test_hints_are_what_the_other_views_tell_and_half_of_the_crops_have_none():
    torch.manual_seed(4)
    mean = torch.randn(400, 1, 3).expand(400, 4, 3).clone()
    mean[:, 0] += 100.0  # what one view tells has no say in its own hint
    alike = torch.zeros(1600, 3)
    told = hints(mean.flatten(0, 1), alike, 4).view(400, 4, 3)
    missing = told.isnan().any(2)
    assert torch.equal(missing, told.isnan().all(2))
    assert float(missing.float().mean()) == pytest.approx(1.0 - HINTS, abs=0.04)
    off = (told[:, 0] - mean[:, 1])[~missing[:, 0]]
    assert float(off.abs().max()) < 4.0 * HINT_SPREAD
    assert float(off.std()) == pytest.approx(HINT_SPREAD / math.sqrt(3.0), rel=0.1)
    assert float((told[:, 1] - mean[:, 1])[~missing[:, 1]].mean()) == pytest.approx(
        100.0 / 3.0, abs=0.1)
    assert hints(mean[:, 0], alike[:400], 1).isnan().all()
    # Of the others the unsure one has no say.
    unsure = torch.zeros(400, 4, 3)
    unsure[:, 0] = 20.0
    told = hints(mean.flatten(0, 1), unsure.flatten(0, 1), 4).view(400, 4, 3)
    off = (told[:, 1] - mean[:, 1])[~told.isnan().any(2)[:, 1]]
    assert float(off.abs().max()) < 4.0 * HINT_SPREAD


def test_an_instances_code_is_what_its_surest_view_says(monkeypatch):
    """Both the one that is drawn, with that view's spread, and the one that crops are read for."""
    views = tiny_views()
    trainer = Trainer(TrainConfig('mug', 'd', None, 'r', 'o', only='drawing'), views,
                      views.card('mug'), TINY_GENERATOR, TINY_ENCODER)
    index, batch = views.batch(2, 3)
    mean = torch.arange(6.0).view(6, 1).expand(6, 4).contiguous()
    logvar = torch.full((6, 4), 4.0)
    logvar[[1, 5]] = -12.0
    monkeypatch.setattr(trainer, 'taught', lambda *_: (mean, logvar))
    monkeypatch.setattr(trainer, 'augmented', lambda index, seen: (
        seen, views.some_stretched(index, seen, share=0.0)[1]))
    monkeypatch.setattr(torch, 'rand', lambda *size, **_: torch.zeros(size))  # all views count
    drawn = []
    monkeypatch.setattr(trainer.model.generator, 'volume', lambda code: drawn.append(code) or (
        Generator.volume(trainer.model.generator, code)))
    trainer.losses(index, batch)
    assert (drawn[0] - torch.tensor([[1.0], [5.0]])).abs().max() < 0.05
    together = trainer._together(mean, logvar, 3)
    torch.testing.assert_close(together[:, 0], torch.tensor([1.0] * 3 + [5.0] * 3), atol=1e-4,
                               rtol=0.0)


def test_every_number_of_a_code_counts_alike_however_many_there_are():
    def term(numbers):
        said = SimpleNamespace(mean=torch.full((2, numbers), 0.5), logvar=torch.zeros(2, numbers))
        return float(code_term(said, torch.zeros(2, numbers), Weights()))

    assert term(1) == pytest.approx(Weights().code * 0.125)
    assert term(8) == pytest.approx(8.0 * term(1))


def test_views_agree_on_what_the_surest_says():
    means = torch.tensor([[[1.0, 5.0], [3.0, 7.0]]])
    alike = torch.ones(1, 2, 2)
    assert agreed(means, alike).tolist() == [[2.0, 6.0]]
    surer = agreed(means, torch.tensor([[[1.0, 1.0], [1.0, 1.0 / 3.0]]]))
    torch.testing.assert_close(surer, torch.tensor([[2.0, 5.5]]))
    assert agreed(means, torch.tensor([[[1.0], [0.0]]]) * alike).tolist() == [[1.0, 5.0]]


def test_what_is_usual_for_codes_is_told_by_the_finished_model():
    views = tiny_views()
    model = CategoryModel(Generator(TINY_GENERATOR), Encoder(TINY_ENCODER), views.card('mug'))
    state = torch.random.get_rng_state()
    usual = usual_codes(model.train(), views)
    assert model.training and torch.equal(torch.random.get_rng_state(), state)
    assert usual == usual_codes(model, views)
    sizes = TINY_ENCODER.latent_dim
    assert len(usual.mean) == len(usual.std) == sizes and min(usual.std) > 0.0
    # Where every crop leaves a number open by the same spread, it spreads at least so far.
    with torch.no_grad():
        model.encoder.look[-1].weight[sizes:] = 0.0
        model.encoder.look[-1].bias[sizes:] = math.log(4.0)
    assert min(usual_codes(model, views).std) >= 2.0


def test_a_run_takes_up_one_without_further_rotations(tmp_path):
    views = tiny_views()
    card = views.card('mug')
    before = Trainer(TrainConfig('mug', 'd', None, 'r', 'o'), views, card, TINY_GENERATOR,
                     replace(TINY_ENCODER, others=0))
    before.train_step()
    before.save_state(tmp_path / 'state.pt')
    now = Trainer(TrainConfig('mug', 'd', None, 'r2', 'o', seed=3), views, card, TINY_GENERATOR,
                  TINY_ENCODER)
    fresh = now.model.encoder.others[0].weight.clone()
    now.begin_from(tmp_path / 'state.pt')
    assert torch.equal(now.model.encoder.head.weight, before.average.encoder.head.weight)
    assert torch.equal(now.model.encoder.others[0].weight, fresh)
    assert torch.equal(now.average.encoder.others[0].weight, fresh)
    assert math.isfinite(now.train_step()['others'])
    # One that has them keeps its own, and a round body's has no use for them.
    now.save_state(tmp_path / 'now.pt')
    later = Trainer(TrainConfig('mug', 'd', None, 'r3', 'o', seed=4), views, card, TINY_GENERATOR,
                    TINY_ENCODER)
    later.begin_from(tmp_path / 'now.pt')
    assert torch.equal(later.model.encoder.others[0].weight, now.average.encoder.others[0].weight)
    can = Trainer(TrainConfig('can', 'd', None, 'r4', 'o'), views, views.card('can'),
                  TINY_GENERATOR, TINY_ENCODER)
    can.begin_from(tmp_path / 'now.pt')
    assert can.model.encoder.config.others == 0
    assert torch.equal(can.model.encoder.head.weight, now.average.encoder.head.weight)


def test_views_of_another_size_than_the_generators_are_refused():
    views = tiny_views(2, 3, 96)
    with pytest.raises(PoseError, match='96 pixels: render them with --size 64'):
        Trainer(TrainConfig('mug', 'd', None, 'r', 'o'), views, views.card('mug'), TINY_GENERATOR,
                TINY_ENCODER)


def test_learning_rate_warms_up_and_comes_down():
    config = TrainConfig('mug', '', None, '', '', steps=1000, warmup=100, learning_rate=1e-3)
    assert learning_rate(0, config) == pytest.approx(1e-5)
    assert learning_rate(100, config) == pytest.approx(1e-3)
    assert learning_rate(1000, config) == pytest.approx(2e-5)


def trainer(run):
    config = TrainConfig('mug', 'd', None, str(run), str(run / 'mug.safetensors'), steps=6,
                         instances=2, views=2, warmup=2)
    views = tiny_views()
    return Trainer(config, views, views.card('mug'), TINY_GENERATOR, TINY_ENCODER)


def what_it_asks_for(monkeypatch, module):
    """Shares of the crops to be cut off, and how often steep views are drawn, as they are asked."""
    asked = []

    def composed(views, backgrounds, cut_off=0.0):
        asked.append(('cut off', cut_off))
        return compose(views, backgrounds, cut_off=cut_off)

    batch = TrainingViews.batch

    def drawn(self, instances, views, steep=1.0):
        asked.append(('steep', steep))
        return batch(self, instances, views, steep)

    stretched = TrainingViews.some_stretched

    def shown(self, index, views, share):
        asked.append(('stretched', share))
        return stretched(self, index, views, share)

    monkeypatch.setattr(module, 'compose', composed)
    monkeypatch.setattr(TrainingViews, 'batch', drawn)
    monkeypatch.setattr(TrainingViews, 'some_stretched', shown)
    return asked


def test_a_step_sees_objects_cut_off_and_steep_views(tmp_path, monkeypatch):
    asked = what_it_asks_for(monkeypatch, training)
    runs = trainer(tmp_path)
    runs.train_step()
    assert asked == [('steep', STEEP), ('stretched', STRETCHED), ('cut off', CUT_OFF)]
    assert STEEP > 1.0 and CUT_OFF > 0.0 and STRETCHED > 0.0
    runs.config = replace(runs.config, stretch=False)
    runs.train_step()
    assert asked[4] == ('stretched', 0.0)


def test_a_resumed_training_is_the_uninterrupted_one(tmp_path):
    whole = trainer(tmp_path)
    for _ in range(4):
        whole.train_step()
    halves = trainer(tmp_path)
    for _ in range(2):
        halves.train_step()
    halves.save_state(tmp_path / 'state.pt')
    again = trainer(tmp_path)
    torch.rand(7)  # whatever else draws random numbers in the meantime
    again.load_state(tmp_path / 'state.pt')
    for _ in range(2):
        again.train_step()
    assert again.step == whole.step == 4
    for name, value in whole.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value), name
    for name, value in whole.average.state_dict().items():
        assert torch.equal(again.average.state_dict()[name], value), name


def test_a_run_with_other_data_is_not_taken_up(tmp_path):
    first = trainer(tmp_path)
    first.save_state(tmp_path / 'state.pt')
    other = trainer(tmp_path)
    other.data = replace(other.data, fingerprint='other')
    with pytest.raises(PoseError, match='other data or another seed'):
        other.load_state(tmp_path / 'state.pt')


@pytest.mark.parametrize('way, shown', [('mirror', 'mirror images'),
                                        ('stretch', 'other proportions')])
def test_a_run_goes_on_with_the_pictures_that_it_began_with(tmp_path, way, shown):
    with_, without = trainer(tmp_path), trainer(tmp_path)
    without.config = replace(without.config, **{way: False})
    with_.save_state(tmp_path / 'with.pt')
    without.save_state(tmp_path / 'without.pt')
    with_.load_state(tmp_path / 'with.pt')
    without.load_state(tmp_path / 'without.pt')
    with pytest.raises(PoseError, match=fr'a run without {shown} \(--no-{way}\)'):
        with_.load_state(tmp_path / 'without.pt')
    with pytest.raises(PoseError, match=f'a run with {shown}'):
        without.load_state(tmp_path / 'with.pt')


def test_a_run_of_before_there_were_other_proportions_is_taken_up_without(tmp_path):
    former = trainer(tmp_path)
    former.save_state(tmp_path / 'state.pt')
    state = torch.load(tmp_path / 'state.pt', weights_only=True)
    torch.save({k: v for k, v in state.items() if k != 'stretch'}, tmp_path / 'state.pt')
    with pytest.raises(PoseError, match='without other proportions'):
        former.load_state(tmp_path / 'state.pt')
    former.config = replace(former.config, stretch=False)
    former.load_state(tmp_path / 'state.pt')


def test_a_run_with_other_networks_is_named(tmp_path):
    first = trainer(tmp_path)
    first.save_state(tmp_path / 'state.pt')
    wider = Trainer(first.config, first.data, first.model.card, TINY_GENERATOR,
                    replace(TINY_ENCODER, blocks=(2, 1, 1, 1)))
    with pytest.raises(PoseError, match='a version with other networks'):
        wider.load_state(tmp_path / 'state.pt')


def test_training_lowers_the_loss():
    torch.manual_seed(0)
    views = tiny_views()
    config = TrainConfig('mug', '', None, '', '', steps=200, instances=3, views=3, warmup=5,
                         learning_rate=5e-3)
    runs = Trainer(config, views, views.card('mug'), TINY_GENERATOR, TINY_ENCODER)
    steps = [runs.train_step() for _ in range(200)]
    for term in ('alpha', 'mask'):
        first, last = (np.mean([s[term] for s in part]) for part in (steps[:10], steps[-10:]))
        assert last < 0.4 * first, term


def write_instance_file(folder, index):
    views = tiny_views(1, 4)
    meta = '{"radius_m": 0.08, "size_m": [0.1, 0.08, 0.09], "box_center_m": [0.01, 0, 0]}'
    np.savez(folder / f'instance-{index:05d}.npz', rgba=views.rgba[0].numpy(),
             depth=views.depth[0].numpy(), part=views.front[0].numpy(),
             R_cam_obj=views.R_view[0].numpy(), kappa=views.perspective[0].numpy(),
             front_visible=views.front_visible[0].numpy(), light=np.zeros(4, np.uint8), meta=meta)


@pytest.mark.slow
def test_a_run_from_files_writes_log_samples_and_a_model_with_its_recipe(tmp_path):
    data = tmp_path / 'mug'
    data.mkdir()
    for i in range(3):
        write_instance_file(data, i)
    (data / 'dataset.json').write_text('{"seed": 1}')
    config = TrainConfig('mug', str(data), None, str(tmp_path / 'run'),
                         str(tmp_path / 'mug.safetensors'), steps=2, instances=2, views=2,
                         validate_every=2, command='nabs-pose train mug')
    figures = train(config)
    model = load_model(tmp_path / 'mug.safetensors')
    assert model.card.training['command'] == 'nabs-pose train mug'
    assert model.card.training['recipe'] == {'seed': 1}
    assert model.card.size.radius_m == pytest.approx(0.08)
    assert model.card.figures == pytest.approx(figures, nan_ok=True)  # it draws nothing yet
    assert (tmp_path / 'run/samples/000002.png').stat().st_size > 1000
    with (tmp_path / 'run/validation.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]['axis_median_deg']) == figures['axis_median_deg']


def test_the_grain_filter_keeps_alpha_and_flattens_noise():
    rng = np.random.default_rng(0)
    rgba = np.zeros((1, 1, 64, 64, 4), np.uint8)
    rgba[..., 16:48, 16:48, :3] = np.clip(128 + 20 * rng.standard_normal((32, 32, 3)), 0, 255)
    rgba[..., 16:48, 16:48, 3] = 255
    smooth = without_grain(rgba)
    assert np.array_equal(smooth[..., 3], rgba[..., 3])
    inner = smooth[0, 0, 20:44, 20:44, :3].astype(float)
    assert inner.std() < 0.55 * rgba[0, 0, 20:44, 20:44, :3].astype(float).std()
    assert inner.mean() == pytest.approx(128, abs=2)


def test_free_objects_face_the_first_view_and_keep_their_relative_poses():
    _, views = tiny_views(2, 3).batch(2, 3)
    turned = facing_first(views.R_view, 3)
    assert torch.allclose(turned[::3, :, 0], torch.tensor([[1.0, 0.0, 0.0]] * 2), atol=1e-6)
    assert torch.allclose(turned[:, :, 2], views.R_view[:, :, 2], atol=1e-6)
    for a, b in ((1, 0), (5, 3)):
        assert torch.allclose(turned[a] @ turned[b].T, views.R_view[a] @ views.R_view[b].T,
                              atol=1e-6)


def test_a_free_category_trains_and_takes_up_anothers_layers(tmp_path):
    config = TrainConfig(category='can', data='', backgrounds=None, run='', out='', steps=4,
                         instances=2, views=2, student_from=1)
    views = tiny_views()
    first = Trainer(config, views, replace(views.card('mug'), symmetry='free_z'), TINY_GENERATOR,
                    TINY_ENCODER)
    assert first.student_share == 0.0
    terms = [first.train_step() for _ in range(3)][-1]
    assert 'azimuth' not in terms and all(math.isfinite(v) for v in terms.values())
    assert first.student_share == 0.5
    first.save_state(tmp_path / 'state.pt')
    second = Trainer(config, views, views.card('mug'), TINY_GENERATOR, TINY_ENCODER)
    second.begin_from(tmp_path / 'state.pt')
    assert second.step == 0
    for name, value in first.average.state_dict().items():
        assert torch.equal(second.model.state_dict()[name], value)
    with pytest.raises(PoseError, match='no training state'):
        second.begin_from(tmp_path / 'nothing.pt')
