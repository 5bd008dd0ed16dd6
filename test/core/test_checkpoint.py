# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
from dataclasses import replace
import json

import pytest
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_models import TINY_ENCODER, TINY_GENERATOR, tiny_model
import torch

from ros2_nabs_pose.core import packing
from ros2_nabs_pose.core.checkpoint import (
    CategoryModel,
    load_model,
    ModelCard,
    save_model,
    SizePrior,
)
from ros2_nabs_pose.core.encoder import Encoder
from ros2_nabs_pose.core.generator import Generator
from ros2_nabs_pose.core.memory import CodePrior
from ros2_nabs_pose.core.types import PoseError

CARD = ModelCard('mug', 'none', 'handle', SizePrior((0.11, 0.08, 0.1), 0.075, 0.01),
                 training={'seed': 7}, figures={'rotation_median_deg': 5.5})


@pytest.fixture(scope='module')
def model():
    return tiny_model(CARD).train()


def stored_in(path):
    """Metadata and tensors of a file."""
    with safe_open(path, 'pt') as file:
        return file.metadata(), {name: file.get_tensor(name) for name in file.keys()}


def test_a_saved_model_comes_back_with_its_card_and_weights(model, tmp_path):
    path = tmp_path / 'mug.safetensors'
    save_model(model, path, exact=True)
    again = load_model(path)
    assert again.card == CARD
    assert again.generator.config == model.generator.config
    assert again.encoder.config == model.encoder.config
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    assert not again.training
    assert not any(p.requires_grad for p in again.parameters())


def test_a_stored_model_is_close_to_the_exact_one_and_much_smaller(model, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, 'LARGE', 300)
    save_model(model, tmp_path / 'stored.safetensors')
    save_model(model, tmp_path / 'exact.safetensors', exact=True)
    again = load_model(tmp_path / 'stored.safetensors')
    assert again.generator.constant.dtype == torch.float32
    torch.testing.assert_close(again.generator.constant, model.generator.constant,
                               rtol=1e-3, atol=1e-4)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=1e-3,
                                   atol=max(1e-4, float(value.abs().max()) / 250.0), msg=name)
    with safe_open(str(tmp_path / 'stored.safetensors'), framework='pt') as file:
        kinds = [file.get_slice(name).get_dtype() for name in file.keys()]
    assert kinds.count('I8') > 10
    header = 25_000
    assert ((tmp_path / 'stored.safetensors').stat().st_size
            < 0.3 * (tmp_path / 'exact.safetensors').stat().st_size + header)


def test_models_of_the_former_version_are_read(model, tmp_path):
    path = tmp_path / 'mug.safetensors'
    save_model(model, path)
    with safe_open(str(path), framework='pt') as file:
        metadata = file.metadata()
    half = {k: (v.half() if v.is_floating_point() else v).contiguous()
            for k, v in model.state_dict().items()}
    save_file(half, str(path), metadata={**metadata, 'format': '3'})
    for name, value in load_model(path).state_dict().items():
        assert torch.equal(value, half[name].to(value.dtype)), name


def test_lost_scales_are_named(model, tmp_path):
    path = tmp_path / 'mug.safetensors'
    save_model(model, path)
    with safe_open(str(path), framework='pt') as file:
        metadata = file.metadata()
    tensors = {**model.state_dict(), 'generator.constant': torch.zeros(3, 2, dtype=torch.int8)}
    save_file({k: v.contiguous() for k, v in tensors.items()}, str(path), metadata=metadata)
    with pytest.raises(PoseError, match='incomplete .no scales of "generator.constant".'):
        load_model(path)


def test_missing_and_damaged_files_are_named_in_one_sentence(model, tmp_path):
    with pytest.raises(PoseError, match='no weights at .*nothing.safetensors'):
        load_model(tmp_path / 'nothing.safetensors')
    path = tmp_path / 'mug.safetensors'
    save_model(model, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:len(whole) // 2])
    with pytest.raises(PoseError, match='mug.safetensors are damaged'):
        load_model(path)
    path.write_bytes(b'not a model')
    with pytest.raises(PoseError, match='damaged'):
        load_model(path)


def test_weights_that_are_not_numbers_are_refused(model, tmp_path):
    path = tmp_path / 'mug.safetensors'
    kept = model.generator.constant.data.clone()
    try:
        model.generator.constant.data[0, 0, 0, 0, 0] = float('nan')
        save_model(model, path)
    finally:
        model.generator.constant.data.copy_(kept)
    with pytest.raises(PoseError, match='not numbers'):
        load_model(path)


def test_another_format_is_refused(model, tmp_path):
    save_file({'x': torch.zeros(1)}, str(tmp_path / 'x.safetensors'), metadata={'format': '99'})
    with pytest.raises(PoseError, match="format '99'"):
        load_model(tmp_path / 'x.safetensors')


def test_what_is_usual_for_codes_is_kept_and_must_fit_them(model, tmp_path):
    size = model.encoder.config.latent_dim
    usual = CodePrior(tuple(0.5 * k for k in range(size)), (0.25,) * size)
    path = tmp_path / 'm.safetensors'
    save_model(CategoryModel(model.generator, model.encoder, replace(CARD, codes=usual)), path)
    assert load_model(path).card.codes == usual
    wrong = replace(CARD, codes=replace(usual, std=(1.0,) * (size + 1)))
    save_model(CategoryModel(model.generator, model.encoder, wrong), path)
    with pytest.raises(PoseError, match='another number of entries'):
        load_model(path)


def test_encoders_of_the_former_format_are_told_nothing_beside_the_crop(model, tmp_path):
    path = tmp_path / 'm.safetensors'
    encoder = Encoder(replace(model.encoder.config, informed=False))
    save_model(CategoryModel(model.generator, encoder, CARD), path)
    metadata, tensors = stored_in(path)
    sizes = json.loads(metadata['encoder'])
    assert sizes.pop('informed') is False
    save_file(tensors, path, {**metadata, 'format': '5', 'encoder': json.dumps(sizes)})
    loaded = load_model(path)
    assert not loaded.encoder.config.informed
    crop = torch.rand(1, 3, 64, 64)
    assert torch.equal(loaded.encoder(crop, torch.tensor([3.0])).axis, loaded.encoder(crop).axis)


def test_models_of_the_former_format_paint_without_a_palette(model, tmp_path):
    path = tmp_path / 'm.safetensors'
    save_model(model, path)
    metadata, tensors = stored_in(path)
    metadata['format'] = '6'
    for part in ('generator', 'encoder'):
        sizes = json.loads(metadata[part])
        assert sizes.pop('palette') == 0
        metadata[part] = json.dumps(sizes)
    save_file(tensors, path, metadata)
    loaded = load_model(path)
    assert loaded.generator.config == model.generator.config
    assert loaded.encoder.config == model.encoder.config


def test_a_palette_comes_back(tmp_path):
    torch.manual_seed(2)
    sizes = {'latent_dim': 9, 'palette': 2}
    model = CategoryModel(Generator(replace(TINY_GENERATOR, **sizes)),
                          Encoder(replace(TINY_ENCODER, **sizes)), CARD).eval()
    save_model(model, tmp_path / 'm.safetensors', exact=True)
    loaded = load_model(tmp_path / 'm.safetensors')
    crop, code = torch.rand(1, 3, 64, 64), torch.randn(1, 9)
    view = torch.eye(3)[None], torch.tensor([0.1])
    assert torch.equal(loaded.encoder(crop).mean, model.encoder(crop).mean)
    assert torch.equal(loaded.generator(code, *view).rgb, model.generator(code, *view).rgb)


def test_a_generator_and_an_encoder_of_other_codes_are_refused(model, tmp_path):
    sizes = {'latent_dim': 13, 'palette': 3}
    encoder = Encoder(replace(TINY_ENCODER, **{**sizes, 'palette': 2}))
    generator = Generator(replace(TINY_GENERATOR, **sizes))
    save_model(CategoryModel(generator, encoder, CARD), tmp_path / 'm.safetensors')
    with pytest.raises(PoseError, match='generator and encoder are of other sizes'):
        load_model(tmp_path / 'm.safetensors')


def test_files_that_do_not_tell_of_further_rotations_have_none(model, tmp_path):
    path = tmp_path / 'm.safetensors'
    encoder = Encoder(replace(model.encoder.config, others=0))
    save_model(CategoryModel(model.generator, encoder, CARD), path)
    metadata, tensors = stored_in(path)
    sizes = json.loads(metadata['encoder'])
    assert sizes.pop('others') == 0
    save_file(tensors, path, {**metadata, 'encoder': json.dumps(sizes)})
    loaded = load_model(path)
    assert loaded.encoder.config.others == 0
    assert loaded.encoder(torch.rand(1, 3, 64, 64)).proposals(4)[0].shape == (1, 4, 3, 3)
