# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
import pytest
import torch

from ros2_nabs_pose.core import losses
from ros2_nabs_pose.core.encoder import Encoder, EncoderConfig
from ros2_nabs_pose.core.losses import (
    build_terms,
    EncoderFeatures,
    gain_and_bias,
    Observed,
    photometric,
    silhouette,
    Synthesised,
    Vgg,
)
from ros2_nabs_pose.core.types import PoseError


def picture(seed=0, size=16):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, size, size, generator=generator)


def disc(radius, size=16):
    line = torch.arange(size) - (size - 1) / 2
    return ((line[:, None] ** 2 + line[None] ** 2) < radius ** 2).float()[None, None]


def made(rgb, alpha):
    return Synthesised(rgb * alpha, alpha, torch.zeros_like(alpha))


def test_gain_and_bias_undo_a_change_of_exposure():
    source = picture()
    gain, bias = gain_and_bias(source, 0.7 * source + 0.1, torch.ones(1, 1, 16, 16), stiffness=0.0)
    assert gain.flatten().tolist() == pytest.approx([0.7] * 3, abs=1e-4)
    assert bias.flatten().tolist() == pytest.approx([0.1] * 3, abs=1e-4)


def test_a_flat_source_does_not_become_another_gain():
    gain, bias = gain_and_bias(torch.full((1, 3, 16, 16), 0.5), picture(), torch.ones(1, 1, 16, 16))
    assert gain.flatten().tolist() == pytest.approx([1.0] * 3)


def test_a_darker_room_costs_less_than_other_texture():
    rgb, alpha = picture(), disc(6.0)
    seen = Observed.unread(0.8 * rgb, alpha)
    other = Observed.unread(picture(1), alpha)
    assert float(photometric(made(rgb, alpha), seen)) < 0.06
    assert float(photometric(made(rgb, alpha), other)) > 0.15


def test_background_does_not_count():
    rgb, alpha = picture(), disc(6.0)
    changed = rgb * alpha + picture(2) * (1.0 - alpha)
    a = photometric(made(rgb, alpha), Observed.unread(rgb, alpha))
    b = photometric(made(rgb, alpha), Observed.unread(changed, alpha))
    torch.testing.assert_close(a, b)


def test_silhouette_is_the_share_of_wrong_area():
    small, large = disc(4.0), disc(6.0)
    expected = float((large - small).sum() / large.sum())
    assert float(silhouette(made(picture(), small), Observed.unread(picture(), large))
                 ) == pytest.approx(expected, rel=1e-5)
    assert float(silhouette(made(picture(), large), Observed.unread(picture(), large))) == 0.0


def test_pixels_outside_the_image_do_not_count():
    small, large = disc(4.0), disc(6.0)
    valid = 1.0 - (large - small)
    unseen = Observed.unread(picture(), large, valid)
    assert float(silhouette(made(picture(), small), unseen)) == 0.0


def test_encoder_features_are_zero_for_the_same_picture_and_grow_with_difference():
    torch.manual_seed(0)
    encoder = Encoder(EncoderConfig(latent_dim=4, palette=0, channels=(8, 8, 8, 8),
                                    hidden=8)).eval()
    term = EncoderFeatures(encoder)
    rgb = torch.rand(1, 3, 64, 64)
    alpha = disc(20.0, 64)
    seen = Observed.unread(rgb, alpha)
    same = float(term(made(rgb, alpha), seen).detach())
    near = float(term(made((rgb + 0.05).clamp(0, 1), alpha), seen).detach())
    far = float(term(made(1.0 - rgb, alpha), seen).detach())
    assert same == pytest.approx(0.0, abs=1e-6)
    assert 0.0 < near < far


def test_an_unknown_loss_is_named():
    encoder = Encoder(EncoderConfig(latent_dim=4, palette=0, channels=(4, 4, 4, 4), hidden=4))
    with pytest.raises(PoseError, match='no loss "ssim"'):
        build_terms({'ssim': 1.0}, encoder)


def test_untrained_vgg_has_the_layers_of_vgg19():
    models = pytest.importorskip('torchvision.models')

    def layers(network):
        return [(type(layer).__name__, *(tuple(p.shape) for p in layer.parameters()))
                for layer in network]

    ours = layers(Vgg(trained=False).layers)
    assert len(ours) == 15
    assert ours == layers(models.vgg19(weights=None).features[:15])
    assert sum(name == 'MaxPool2d' for name, *_ in ours) == 2


def test_networks_are_loaded_once_whatever_asks_for_them():
    (_, one), (_, two) = (build_terms({'vgg-untrained': 1.0}, None)[0] for _ in range(2))
    assert one is not two and one.layers is two.layers


@pytest.mark.parametrize(('name', 'module', 'says'), [
    ('lpips-vgg', 'lpips', r'LPIPS backbone "vgg" could not be loaded \(no net\).*"features"'),
    ('vgg', 'torchvision.models', r'VGG-19 could not be loaded .*"paper_offline"')])
def test_a_backbone_that_cannot_be_had_is_named_with_what_does_without(monkeypatch, name, module,
                                                                       says):
    pytest.importorskip(module)

    def fails(*args, **options):
        raise OSError('no net')

    for loaded in (losses._lpips_network, losses._vgg_layers):
        loaded.cache_clear()
    monkeypatch.setattr(f'{module}.{"LPIPS" if module == "lpips" else "vgg19"}', fails)
    with pytest.raises(PoseError, match=says):
        build_terms({name: 1.0}, None)


def test_lpips_tells_like_from_unlike(monkeypatch):
    """Its own layers over a backbone by chance: weights of ImageNet are not in the package."""
    lpips = pytest.importorskip('lpips')
    made_by, asked = lpips.LPIPS, []

    def untrained(**options):
        asked.append(options)
        torch.manual_seed(3)
        return made_by(**options, pnet_rand=True)

    monkeypatch.setattr(lpips, 'LPIPS', untrained)
    losses._lpips_network.cache_clear()
    ((_, term),) = build_terms({'lpips': 1.0}, None)
    losses._lpips_network.cache_clear()
    assert asked[0]['net'] == 'alex'
    rgb, ones = picture(size=64), torch.ones(1, 1, 64, 64)
    seen = Observed.unread(rgb, ones)
    same, near, far = (float(term(made(x, ones), seen)) for x in (
        rgb, (rgb + 0.05).clamp(0, 1), 1.0 - rgb))
    assert same == pytest.approx(0.0, abs=1e-6) and same < near < far


def test_untrained_vgg_is_a_loss_by_name_and_equal_pictures_cost_nothing():
    rgb, ones = picture(), torch.ones(1, 1, 16, 16)
    ((weight, term),) = build_terms({'vgg-untrained': 0.5}, None)
    assert weight == 0.5
    seen = Observed.unread(rgb, ones)
    assert float(term(made(rgb, ones), seen)) == 0.0
    assert float(term(made(picture(1), ones), seen)) > 0.0
