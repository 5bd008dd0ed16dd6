# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
import pytest
import torch

from ros2_nabs_pose.core.checkpoint import (
    CategoryModel,
    load_model,
    ModelCard,
    save_model,
    SizePrior,
)
from ros2_nabs_pose.core.encoder import Encoder, EncoderConfig
from ros2_nabs_pose.core.generator import Generator, GeneratorConfig
from ros2_nabs_pose.core.types import PoseError

CARD = ModelCard('mug', 'none', 'handle', SizePrior((0.11, 0.08, 0.1), 0.075, 0.01),
                 training={'seed': 7}, figures={'rotation_median_deg': 5.5})


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return CategoryModel(
        Generator(GeneratorConfig(latent_dim=4, style_dim=8, volume_channels=(4, 4, 4),
                                  image_channels=(6, 5, 4))),
        Encoder(EncoderConfig(latent_dim=4, channels=(4, 4, 8, 8), hidden=8)), CARD)


def test_a_saved_model_comes_back_with_its_card_and_weights(model, tmp_path):
    path = tmp_path / 'mug.safetensors'
    save_model(model, path, half=False)
    again = load_model(path)
    assert again.card == CARD
    assert again.generator.config == model.generator.config
    assert again.encoder.config == model.encoder.config
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    assert not again.training
    assert not any(p.requires_grad for p in again.parameters())


def test_half_precision_keeps_three_digits_and_halves_the_file(model, tmp_path):
    save_model(model, tmp_path / 'half.safetensors')
    save_model(model, tmp_path / 'full.safetensors', half=False)
    again = load_model(tmp_path / 'half.safetensors')
    assert again.generator.constant.dtype == torch.float32
    torch.testing.assert_close(again.generator.constant, model.generator.constant,
                               rtol=1e-3, atol=1e-4)
    header = 20_000
    assert ((tmp_path / 'half.safetensors').stat().st_size
            < 0.55 * (tmp_path / 'full.safetensors').stat().st_size + header)


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
    from safetensors.torch import save_file
    save_file({'x': torch.zeros(1)}, str(tmp_path / 'x.safetensors'), metadata={'format': '99'})
    with pytest.raises(PoseError, match="format '99'"):
        load_model(tmp_path / 'x.safetensors')
