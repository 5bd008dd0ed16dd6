# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The segmenter: it begins by changing nothing, its weights mend masks, others go without."""

import pytest
import torch

from ros2_nabs_pose.core.checkpoint import CategoryModel, ModelCard, SizePrior, write_weights
from ros2_nabs_pose.core.encoder import Encoder, EncoderConfig
from ros2_nabs_pose.core.generator import Generator, GeneratorConfig
from ros2_nabs_pose.core.segmenter import (
    load_segmenter,
    read_crops,
    save_segmenter,
    Segmenter,
    SegmenterConfig,
)
from ros2_nabs_pose.core.types import PoseError

TINY = SegmenterConfig(categories=('mug',), channels=(6, 8, 10, 12))


def tiny_model(category='mug', resolution=64):
    torch.manual_seed(2)
    card = ModelCard(category, 'none', 'handle', SizePrior((0.1, 0.1, 0.1), 0.08, 0.01))
    encoder = EncoderConfig(latent_dim=4, channels=(4, 4, 8, 8), hidden=8, resolution=resolution)
    generator = GeneratorConfig(latent_dim=4, style_dim=8, volume_channels=(4, 4, 4),
                                image_channels=(6, 5, 4))
    return CategoryModel(Generator(generator), Encoder(encoder), card).eval()


def test_an_untrained_one_leaves_masks_as_they_are():
    torch.manual_seed(1)
    logits = 3.0 * torch.randn(3, 1, 64, 64)
    logits[0, 0, 0, 0] = 40.0
    mended = Segmenter(TINY).eval()(torch.rand(3, 3, 64, 64), logits)
    assert torch.equal(mended, logits.clamp(-6.0, 6.0))
    assert float(mended.detach()[0, 0, 0, 0]) == 6.0  # beyond all doubt is no longer


def test_what_it_changes_lies_where_the_picture_says():
    # A change that is the picture's own brightness: pixels go down, through and up unmixed.
    segmenter = Segmenter(TINY).eval()
    with torch.no_grad():
        stem, edges = segmenter.stem[0], segmenter.edges
        stem.weight.zero_()
        for k in range(4):
            stem.weight[k, k, 1, 1] = 1.0  # the crop's first channel, its four pixels
        for part in (segmenter.up0.lateral, segmenter.up0.conv):
            part.weight.zero_()
        segmenter.up0.lateral.bias.zero_()
        for k in range(4):
            segmenter.up0.conv.weight[k, k, 1, 1] = 1.0
        segmenter.stem[3].norm1.weight.zero_()
        edges.norm1.weight.zero_()
        for k in range(4):
            segmenter.change.weight[k, k, 1, 1] = 1.0
    crop = torch.full((1, 3, 64, 64), 0.5)
    crop[0, 0, 21, 42] = 0.75
    change = segmenter(crop, torch.zeros(1, 1, 64, 64))[0, 0].detach()
    assert float(change[21, 42]) == pytest.approx(1.0, rel=1e-3)
    assert float(change.abs().sum()) == pytest.approx(1.0, rel=1e-3)


def test_only_categories_it_was_trained_on_are_mended():
    segmenter = Segmenter(TINY).eval()
    with torch.no_grad():
        segmenter.change.bias.fill_(0.7)
    crop = torch.rand(2, 3, 64, 64)
    for model, change in ((tiny_model(), 0.7), (tiny_model('teapot'), 0.0),
                          (tiny_model(resolution=32), 0.0)):
        picture = torch.nn.functional.interpolate(crop, size=model.encoder.config.resolution)
        with torch.no_grad():
            alone = model.encoder(picture)
            said = read_crops(model, picture, segmenter)
        torch.testing.assert_close(said.mask_logits, alone.mask_logits.clamp(-6.0, 6.0) + change
                                   if change else alone.mask_logits)
        assert torch.equal(said.mean, alone.mean) and torch.equal(said.axis, alone.axis)
    assert torch.equal(read_crops(tiny_model(), crop, None).mask_logits,
                       tiny_model().encoder(crop).mask_logits)


def test_weights_go_to_disk_and_back(tmp_path):
    path = tmp_path / 'shared/segmenter.safetensors'
    segmenter = Segmenter(TINY).eval()
    with torch.no_grad():
        segmenter.change.weight.normal_(0.0, 0.1)
    save_segmenter(segmenter, path, {'step': 3})
    back = load_segmenter(path)
    assert back.config == TINY and not back.training
    crop, logits = torch.rand(1, 3, 64, 64), torch.randn(1, 1, 64, 64)
    torch.testing.assert_close(back(crop, logits), segmenter(crop, logits).detach(), atol=0.02,
                               rtol=0.02)  # half precision


def test_files_that_do_not_fit_are_refused_in_one_sentence(tmp_path):
    path = tmp_path / 'segmenter.safetensors'
    with pytest.raises(PoseError, match='train-segmenter'):
        load_segmenter(path)
    for described in ('{"categories": "mug"}', '[]', '{"colours": 3}', 'no json',
                      '{"categories": ["mug"]}'):
        write_weights(path, Segmenter(TINY), {'format': 'segmenter-1', 'segmenter': described})
        with pytest.raises(PoseError, match='do not fit their own description') as caught:
            load_segmenter(path)
        assert '\n' not in str(caught.value)
