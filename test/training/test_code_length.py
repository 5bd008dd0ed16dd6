# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Weights that were learned with shorter codes draw and read as they did."""

from dataclasses import replace

import pytest
from test_training import TINY_ENCODER, TINY_GENERATOR, tiny_views
import torch
from torch.testing import assert_close

from ros2_nabs_pose.core.checkpoint import save_model
from ros2_nabs_pose.core.encoder import EncoderConfig
from ros2_nabs_pose.core.generator import GeneratorConfig
from ros2_nabs_pose.core.types import PoseError
from ros2_nabs_pose.training.code_length import lengthened, with_codes_of
from ros2_nabs_pose.training.trainer import TrainConfig, Trainer

SHORT, LONG = 4, 7


def run_of(length, seed=1, palette=0):
    config = TrainConfig('mug', 'd', None, 'r', 'o', only='drawing', seed=seed)
    views = tiny_views()
    code = {'latent_dim': length, 'palette': palette}
    return Trainer(config, views, views.card('mug'), replace(TINY_GENERATOR, **code),
                   replace(TINY_ENCODER, **code))


@pytest.fixture()
def parent(tmp_path):
    """A run with short codes, whose layers that are told codes do pay heed to them."""
    found = run_of(SHORT)
    with torch.no_grad():
        for part in (found.model, found.average):
            part.encoder.from_known.weight.normal_()
    found.average.load_state_dict(found.model.state_dict())
    found.save_state(tmp_path / 'state.pt')
    return found


def test_all_is_drawn_and_read_as_with_the_shorter_code(parent, tmp_path):
    child = run_of(LONG, seed=2)
    child.begin_from(tmp_path / 'state.pt')
    torch.manual_seed(0)
    code = torch.randn(3, LONG)
    R, perspective = torch.eye(3).expand(3, 3, 3), torch.full((3,), 0.1)
    crop, focal = torch.rand(3, 3, 64, 64), torch.full((3,), 5.0)
    _, seen = child.data.batch(3, 1)
    for mine, theirs in ((child.model, parent.model), (child.average, parent.average)):
        assert_close(mine.generator(code, R, perspective).stacked(),
                     theirs.generator(code[:, :SHORT], R, perspective).stacked())
        said = mine.eval().encoder(crop, focal, code)
        before = theirs.eval().encoder(crop, focal, code[:, :SHORT])
        assert_close(said.mean[:, :SHORT], before.mean)
        assert_close(said.logvar[:, :SHORT], before.logvar)
        assert_close(said.axis, before.axis)
    for said, before in zip(child.taught(seen, False), parent.taught(seen, False), strict=True):
        assert_close(said[:, :SHORT], before)
    # The further numbers tell views apart already, and the generator can learn to listen.
    assert child.taught(seen, False)[0][:, SHORT:].std(0).min() > 1e-3
    child.model.generator(code, R, perspective).stacked().square().sum().backward()
    assert child.model.generator.style[0].weight.grad[:, SHORT:].abs().min() > 0.0


def test_longer_codes_are_not_cut(parent, tmp_path):
    with pytest.raises(PoseError, match='does not fit this model'):
        run_of(SHORT - 1).begin_from(tmp_path / 'state.pt')


def test_what_differs_for_another_reason_is_left_to_be_refused():
    own = {'generator.style.0.weight': torch.ones(2, 5), 'encoder.look.2.bias': torch.arange(6.0),
           'encoder.other': torch.ones(3)}
    state = {'generator.style.0.weight': torch.ones(2, 3), 'encoder.other': torch.zeros(2),
             'encoder.look.2.bias': torch.tensor([10.0, 11.0, 12.0, 13.0]), 'else': torch.ones(1)}
    found = lengthened(state, own)
    assert found['generator.style.0.weight'].tolist() == [[1.0, 1.0, 1.0, 0.0, 0.0]] * 2
    assert found['encoder.look.2.bias'].tolist() == [10.0, 11.0, 2.0, 12.0, 13.0, 5.0]
    assert found['encoder.other'] is state['encoder.other'] and found['else'] is state['else']


def test_a_palette_stays_at_the_end_of_a_longer_code(tmp_path):
    parent = run_of(3 + 2 + 6, palette=2)
    parent.save_state(tmp_path / 'state.pt')
    child = run_of(3 + 4 + 6, seed=2, palette=2)
    child.begin_from(tmp_path / 'state.pt')
    code = torch.randn(2, 13)
    shorter = torch.cat((code[:, :5], code[:, 7:]), 1)
    view = torch.eye(3).expand(2, 3, 3), torch.full((2,), 0.1)
    assert_close(child.model.generator(code, *view).stacked(),
                 parent.model.generator(shorter, *view).stacked())
    crop = torch.rand(2, 3, 64, 64)
    _, seen = child.data.batch(2, 1)
    said, before = (run.model.eval().encoder(crop) for run in (child, parent))
    for mine, theirs in ((said.mean, before.mean), (said.logvar, before.logvar)):
        assert_close(torch.cat((mine[:, :5], mine[:, 7:]), 1), theirs)
    for mine, theirs in zip(child.taught(seen, False), parent.taught(seen, False), strict=True):
        assert_close(torch.cat((mine[:, :5], mine[:, 7:]), 1), theirs)


def test_who_had_no_palette_gets_one(parent, tmp_path):
    child = run_of(SHORT + 6, seed=2, palette=2)
    fresh = {k: v.clone() for k, v in child.model.state_dict().items() if 'to_palette' in k}
    child.begin_from(tmp_path / 'state.pt')
    kept = child.model.state_dict()
    assert len(fresh) == 4 and all(torch.equal(kept[k], v) for k, v in fresh.items())
    crop = torch.rand(2, 3, 64, 64)
    said, before = (run.model.eval().encoder(crop) for run in (child, parent))
    assert_close(said.mean[:, :SHORT], before.mean)
    assert_close(said.axis, before.axis)


def test_where_the_generator_is_held_codes_are_as_long_as_it_has_learned_them(parent, tmp_path):
    sizes = GeneratorConfig(), EncoderConfig()
    assert with_codes_of(tmp_path / 'none.pt', sizes) == sizes
    save_model(parent.average, tmp_path / 'm.safetensors')
    for name in ('state.pt', 'm.safetensors'):
        for found in with_codes_of(tmp_path / name, sizes):
            assert (found.latent_dim, found.palette) == (SHORT, 0)
    run_of(3 + 6, palette=2).save_state(tmp_path / 'palette.pt')
    found = with_codes_of(tmp_path / 'palette.pt', sizes)
    assert [(f.latent_dim, f.palette) for f in found] == [(9, 2)] * 2
    assert found[0] == replace(sizes[0], latent_dim=9, palette=2)
