# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
from dataclasses import replace
import math

import pytest
from tiny_models import TINY_GENERATOR
import torch

from ros2_nabs_pose.core import generator as generator_module
from ros2_nabs_pose.core.generator import (
    FRAME_MARGIN,
    Generator,
    GeneratorConfig,
    warp_to_crop,
)
from ros2_nabs_pose.core.rotations import exp_so3, rotation_z
from ros2_nabs_pose.core.volume import normalised, normalised_slices, sampled


def upright(azimuth_rad, elevation_rad):
    look = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    tilt = exp_so3(torch.tensor([elevation_rad, 0.0, 0.0]))
    return (tilt @ look @ rotation_z(torch.tensor(azimuth_rad)))[None]


def blob_volume(center_xyz, channels=1):
    """A volume that is 1 in the voxel around a point of the object frame (radii)."""
    volume = torch.zeros(1, channels, 16, 16, 16)
    x, y, z = (int((c / FRAME_MARGIN + 1.0) * 8.0) for c in center_xyz)
    volume[0, :, z, y, x] = 1.0
    return volume


@pytest.fixture
def seen_volume(monkeypatch):
    """Catches the sampled volume before it is decoded, (B, C * depth, 16, 16)."""
    generator = Generator(GeneratorConfig(volume_channels=(4, 4, 1), palette=0))
    caught = []
    generator.project.register_forward_pre_hook(lambda _, args: caught.append(args[0].detach()))

    def look(volume, R_view, kappa=0.0):
        style = torch.zeros(1, generator.config.style_dim + generator.config.colour_dims)
        generator.render(volume, style, R_view, torch.tensor([kappa]).expand(len(R_view)))
        return caught[-1].view(len(R_view), 16, 16, 16)

    return look


def centre_of_mass(seen):
    """Depth, v, u in radii of what the sampled volume (16, 16, 16) shows."""
    line = ((torch.arange(16) + 0.5) / 8.0 - 1.0) * FRAME_MARGIN
    weight = seen / seen.sum()
    return [float((weight.sum(axes) * line).sum()) for axes in ((1, 2), (0, 2), (0, 1))]


@pytest.mark.parametrize(('azimuth', 'elevation', 'expected'), [
    (0.0, 0.0, (0.0, 0.0, 0.6)),                      # front to the right
    (-math.pi / 2, 0.0, (-0.6, 0.0, 0.0)),            # turned to the camera: nearer
    (math.pi / 2, 0.0, (0.6, 0.0, 0.0)),              # turned away: farther
    (-math.pi / 2, math.pi / 6, (-0.52, 0.3, 0.0)),   # seen from above: lower in the image
])
def test_front_part_is_seen_where_the_rotation_puts_it(seen_volume, azimuth, elevation, expected):
    seen = seen_volume(blob_volume((0.6, 0.0, 0.0)), upright(azimuth, elevation))[0]
    assert centre_of_mass(seen) == pytest.approx(expected, abs=0.09)


def test_up_in_the_object_is_up_in_the_image(seen_volume):
    seen = seen_volume(blob_volume((0.0, 0.0, 0.6)), upright(0.7, 0.0))[0]
    assert centre_of_mass(seen) == pytest.approx((0.0, -0.6, 0.0), abs=0.09)


def test_perspective_shows_the_far_side_smaller(seen_volume):
    far = seen_volume(blob_volume((0.6, 0.6, 0.0)), upright(0.0, 0.0), 0.3)[0]
    near = seen_volume(blob_volume((0.6, -0.6, 0.0)), upright(0.0, 0.0), 0.3)[0]
    assert centre_of_mass(far)[2] == pytest.approx(0.6 / 1.18, abs=0.09)
    assert centre_of_mass(near)[2] == pytest.approx(0.6 / 0.82, abs=0.09)


def test_several_views_of_one_volume_equal_single_views():
    torch.manual_seed(0)
    generator = Generator(TINY_GENERATOR).eval()
    latent = torch.randn(2, 4)
    rotations = torch.cat([upright(a, 0.4) for a in (0.1, 0.9, 2.0, -1.0, 0.3, 3.0)])
    kappa = torch.linspace(0.05, 0.3, 6)
    volume, style = generator.volume(latent)
    together = generator.render(volume, style, rotations, kappa)
    for b in range(6):
        owner = slice(b // 3, b // 3 + 1)
        alone = generator.render(volume[owner], style[owner], rotations[b:b + 1], kappa[b:b + 1])
        torch.testing.assert_close(alone.stacked()[0], together.stacked()[b], atol=1e-5, rtol=0)


def gaussian(u, v, size=64, width=0.08):
    line = (torch.arange(size) + 0.5) / size * 2.0 - 1.0
    y, x = torch.meshgrid(line, line, indexing='ij')
    return torch.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * width ** 2))[None, None]


@pytest.mark.parametrize(('angle', 'tu', 'tv', 'scale'), [
    (0.0, 0.0, 0.0, 0.7), (0.5, 0.1, -0.2, 0.6), (-2.0, -0.15, 0.1, 0.8), (math.pi, 0.0, 0.2, 0.5)])
def test_warp_turns_shifts_and_scales_a_point(angle, tu, tv, scale):
    u, v = 0.4, -0.3
    warped = warp_to_crop(gaussian(u, v), torch.tensor([angle]), torch.tensor([[tu, tv]]),
                          torch.tensor([scale]), 64)[0, 0]
    x, y = u * FRAME_MARGIN * scale, v * FRAME_MARGIN * scale
    expected = (tu + math.cos(angle) * x - math.sin(angle) * y,
                tv + math.sin(angle) * x + math.cos(angle) * y)
    line = (torch.arange(64) + 0.5) / 32 - 1.0
    weight = warped / warped.sum()
    found = (float((weight.sum(0) * line).sum()), float((weight.sum(1) * line).sum()))
    assert found == pytest.approx(expected, abs=0.01)


def test_gradients_of_rotation_and_code_agree_with_finite_differences():
    torch.manual_seed(3)
    generator = Generator(TINY_GENERATOR).double().eval()
    R = upright(0.4, 0.5).double()
    latent = torch.randn(1, 4, dtype=torch.float64, requires_grad=True)
    omega = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    # A smooth functional of the image: trilinear sampling has kinks, so the step is small.
    weight = torch.rand(1, 5, 64, 64, dtype=torch.float64)

    def drawn(omega, latent):
        kappa = torch.tensor([0.1], dtype=torch.float64)
        views = generator(latent, exp_so3(omega) @ R, kappa)
        return (views.stacked() * weight).mean()[None]

    assert torch.autograd.gradcheck(drawn, (omega, latent), eps=1e-7, atol=1e-6, rtol=1e-3)


def test_resolution_must_fit_the_volume():
    with pytest.raises(ValueError, match='four times'):
        GeneratorConfig(volume_size=8, resolution=64)


@pytest.mark.parametrize('batch', [1, 2, 3])
def test_volumes_as_slices_are_the_volumes_that_torch_convolves(batch, monkeypatch):
    torch.manual_seed(0)
    generator = Generator(TINY_GENERATOR).double()
    latent = torch.randn(batch, 4, dtype=torch.float64, requires_grad=True)
    found = []
    for sliced_up_to in (0, 8):
        monkeypatch.setattr(generator_module, 'SLICED_UP_TO', sliced_up_to)
        volume, _ = generator.volume(latent)
        weight, code = torch.autograd.grad(volume.square().sum(),
                                           (generator.conv_v1.weight, latent))
        found.append((volume.detach(), weight, code))
    assert found[0][0].shape == (batch, 4, 16, 16, 16)
    for plain, sliced in zip(*found, strict=True):
        torch.testing.assert_close(sliced, plain, atol=1e-9, rtol=1e-7)


@pytest.mark.parametrize(('batch', 'threads', 'parts'), [
    (1, 1, 1), (1, 2, 2), (1, 6, 4), (1, 64, 4), (2, 2, 1), (2, 6, 2)])
def test_samples_are_the_same_however_many_threads_share_them(batch, threads, parts, monkeypatch):
    torch.manual_seed(0)
    volume = torch.randn(batch, 3, 5, 6, 7, dtype=torch.float64, requires_grad=True)
    grid = (2.4 * torch.rand(batch, 12, 2, 3, 3, dtype=torch.float64) - 1.2).requires_grad_()
    sample = torch.nn.functional.grid_sample
    plain = sample(volume, grid, align_corners=False)
    weight = torch.randn_like(plain)
    wanted = torch.autograd.grad((plain * weight).sum(), (volume, grid))
    monkeypatch.setattr(torch, 'get_num_threads', lambda: threads)
    asked = []
    monkeypatch.setattr(torch.nn.functional, 'grid_sample', lambda x, *args, **kwargs: (
        asked.append(len(x)), sample(x, *args, **kwargs))[1])
    shared = sampled(volume, grid)
    assert asked == [batch * parts]
    torch.testing.assert_close(shared, plain)
    found = torch.autograd.grad((shared * weight).sum(), (volume, grid))
    torch.testing.assert_close(found, wanted)


def test_adaptive_instance_normalisation_sets_mean_and_spread_of_each_map():
    torch.manual_seed(0)
    x = 3.0 + 5.0 * torch.randn(2, 3, 4, 4, 4)
    scale, shift = torch.rand(2, 3) + 0.5, torch.randn(2, 3)
    slices = x.permute(0, 2, 1, 3, 4).flatten(0, 1)
    for out in (normalised(x, scale, shift),
                normalised_slices(slices, scale, shift).unflatten(0, (2, 4)).transpose(1, 2)):
        torch.testing.assert_close(out.mean((2, 3, 4)), shift, atol=1e-5, rtol=0.0)
        torch.testing.assert_close(out.std((2, 3, 4), correction=0), scale, atol=1e-4, rtol=0.0)


def test_a_code_begins_with_the_objects_mean_colour():
    torch.manual_seed(0)
    generator = Generator(TINY_GENERATOR)
    with torch.no_grad():
        generator.to_image.weight.zero_()
        generator.to_image.bias.zero_()
        drawn = generator(torch.tensor([[2.0, 0.0, -2.0, 0.7]]), torch.eye(3)[None],
                          torch.zeros(1))
    means = drawn.rgb.mean((0, 2, 3)).tolist()
    assert means == pytest.approx([1 / (1 + math.exp(-2.5)), 0.5, 1 / (1 + math.exp(2.5))],
                                  abs=1e-5)


def test_a_pixel_is_painted_in_the_colour_of_the_palette_that_it_chooses():
    torch.manual_seed(3)
    generator = Generator(replace(TINY_GENERATOR, latent_dim=10, palette=2)).eval()
    code = torch.randn(1, 10)
    R, perspective = upright(0.4, 0.3), torch.tensor([0.1])
    with torch.no_grad():
        generator.to_image.weight[:3], generator.to_image.bias[:3] = 0.0, 0.0
        for chosen, colour in ((0, code[0, 4:7]), (1, code[0, 7:]), (None, code[0, :3])):
            bias = torch.full((2,), -40.0)
            if chosen is not None:
                bias[chosen] = 40.0
            generator.to_palette.bias.copy_(bias)
            rgb = generator(code, R, perspective).rgb
            wanted = torch.sigmoid(1.25 * colour).view(1, 3, 1, 1).expand_as(rgb)
            torch.testing.assert_close(rgb, wanted)
        # Where it wavers, it is painted in the mean of them.
        generator.to_palette.weight.zero_()
        generator.to_palette.bias.copy_(torch.tensor([0.0, -40.0]))
        mixed = 0.5 * (code[0, :3] + code[0, 4:7])
        torch.testing.assert_close(generator(code, R, perspective).rgb[0, :, 5, 5],
                                   torch.sigmoid(1.25 * mixed))
