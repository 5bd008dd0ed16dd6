# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What composed crops show beside the object itself, and what a camera makes of them."""

from dataclasses import replace
import math

import cv2
import numpy as np
import pytest
import torch

from ros2_nabs_pose.data.glass import BACKDROP
from ros2_nabs_pose.training import compose as composing
from ros2_nabs_pose.training import photograph, surroundings
from ros2_nabs_pose.training.compose import compose, mirrored, recolour, Views


def discs(count=12, size=64, clear=0.0):
    """Views of grey discs of half the picture's width, each in a grey of its own."""
    line = (torch.arange(size) + 0.5) / size * 2.0 - 1.0
    alpha = (line ** 2 + line[:, None] ** 2 < 0.25).float().expand(count, 1, -1, -1)
    grey = torch.linspace(0.2, 0.9, count).view(-1, 1, 1, 1).expand(-1, 3, -1, -1)
    return Views(stacked=torch.cat((grey * alpha, alpha, 0.0 * alpha), 1), front=0.0 * alpha,
                 clear=clear * alpha, R_view=torch.eye(3).expand(count, 3, 3),
                 perspective=torch.full((count,), 0.1), front_visible=torch.ones(count))


@pytest.fixture()
def plain(monkeypatch):
    """Crops without light effects, occluders, neighbours or a camera."""
    monkeypatch.setattr(composing, 'photographed', lambda image: image)
    monkeypatch.setattr(composing, 'shade', lambda image: image)
    monkeypatch.setattr(composing, 'BESIDE', 0.0)
    monkeypatch.setattr(surroundings, 'IN_FRONT', 0.0)


def test_a_clear_object_shows_the_background_and_an_opaque_one_does_not(plain):
    """Against black and against white backgrounds, the same otherwise."""
    pictures = [torch.full((1, 3, 20, 20), value, dtype=torch.uint8) for value in (0, 255)]
    for clear in (0.0, 0.6):
        views = discs(clear=clear)
        crops = []
        for picture in pictures:
            torch.manual_seed(4)
            crops.append(compose(views, picture))
        inside = crops[0].mask[:, 0] > 0.999
        gained = (crops[1].image - crops[0].image).mean(1)
        # Noise stands behind a fifth of the crops, a shadow darkens the background of others.
        shown = torch.stack([g[i].mean() for g, i in zip(gained, inside, strict=True)])
        assert float(shown.max()) == pytest.approx(clear, abs=1e-3)
        assert (shown >= 0.0).all() and int((shown > 0.3 * clear).sum()) >= (6 if clear else 0)


def test_recolouring_leaves_what_shows_through_alone():
    torch.manual_seed(5)
    views = discs(clear=0.5)
    only_backdrop = replace(views, stacked=torch.cat(
        (BACKDROP * views.clear.expand(-1, 3, -1, -1), views.stacked[:, 3:]), 1))
    torch.testing.assert_close(recolour(only_backdrop, 1).stacked, only_backdrop.stacked)


def test_a_mirror_shows_what_is_clear_on_the_other_side():
    views = discs()
    left = views.clear.clone()
    left[..., :20] = 0.5
    flip = torch.arange(12) < 6
    seen = mirrored(replace(views, clear=left), flip).clear
    assert (seen[:6, ..., -20:] == 0.5).all() and (seen[6:, ..., :20] == 0.5).all()
    assert float(seen.sum()) == pytest.approx(float(left.sum()))


def test_what_stands_in_front_hides_no_more_than_it_may_and_is_a_thing_or_a_strip(monkeypatch):
    monkeypatch.setattr(surroundings, 'IN_FRONT', 1.0)
    torch.manual_seed(6)
    views = discs(64)
    alpha = views.stacked[:, 3:4]
    colour, cover = surroundings.occluder_of(None, views.stacked[:, :4], torch.full((64,), 0.7),
                                             alpha)
    hidden = (cover * alpha).sum((1, 2, 3)) / alpha.sum((1, 2, 3))
    assert float(hidden.max()) < surroundings.MOST_HIDDEN
    assert 20 <= int((hidden > 0.0).sum()) < 64
    assert float((colour - cover).max()) < 1e-5  # premultiplied
    # Discs are of one grey, strips show noise.
    some = [colour[b][:, cover[b, 0] > 0.99] for b in range(64) if (cover[b] > 0.99).sum() > 20]
    flat = [bool(x.std() < 0.02) for x in some]
    assert any(flat) and not all(flat)


def test_neighbours_are_other_objects_of_the_batch():
    torch.manual_seed(7)
    views = discs()
    colour, alpha = surroundings.others_of(views.stacked[:, :4], torch.full((12,), 0.6), 64)
    seen = 0
    for b in range(12):
        whole = alpha[b, 0] > 0.99
        if whole.any():
            assert abs(float(colour[b][:, whole].mean() - views.stacked[b, :3].max())) > 0.03
            seen += 1
    assert seen >= 6


def test_shade_darkens_or_patches_a_third_of_the_pictures_smoothly():
    torch.manual_seed(8)
    lit = surroundings.shade(torch.full((300, 3, 64, 64), 0.5))
    changed = (lit - 0.5).abs().amax((1, 2, 3)) > 1e-3
    assert 0.25 < float(changed.float().mean()) < 0.43
    assert float(lit.min()) > 0.1 and float(lit.max()) < 1.5
    torch.testing.assert_close(lit[:, 0], lit[:, 2])


@pytest.mark.parametrize('degrees', [0.0, 30.0, 90.0])
def test_motion_spreads_a_point_along_its_way_and_keeps_its_light(degrees):
    angle = math.radians(degrees)
    point = torch.zeros(1, 3, 64, 64)
    point[:, :, 31, 31] = 1.0
    blurred = photograph.moved(point, torch.tensor([6.0]), torch.tensor([angle]))
    assert float(blurred[0, 0].sum()) == pytest.approx(1.0, abs=1e-5)
    line = torch.arange(64.0) - 31.0
    along = (line * math.cos(angle) + line[:, None] * math.sin(angle))
    across = (line[:, None] * math.cos(angle) - line * math.sin(angle))
    # A bar of 6 px has a variance of 6^2 / 12 along it; across there is the pixel's own spread.
    assert float((blurred[0, 0] * along ** 2).sum()) == pytest.approx(3.0, abs=0.6)
    assert float((blurred[0, 0] * across ** 2).sum()) < 0.35
    flat = torch.full((2, 3, 64, 64), 0.3)
    torch.testing.assert_close(photograph.moved(flat, torch.tensor([2.0, 7.0]), torch.ones(2)),
                               flat)


@pytest.mark.parametrize('quality', [30, 60, 90])
def test_packed_pictures_are_what_opencv_reads_back_from_a_jpeg(quality):
    rng = np.random.default_rng(9)
    smooth = cv2.resize(rng.random((9, 9, 3)), (64, 64), interpolation=cv2.INTER_CUBIC)
    picture = np.clip(255 * (smooth + 0.05 * rng.normal(size=smooth.shape)), 0, 255).astype(
        np.uint8)
    stored = cv2.imencode('.jpg', picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    read = cv2.imdecode(stored, cv2.IMREAD_COLOR)[..., ::-1].astype(float)
    made = photograph.packed(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255.0,
                             torch.tensor([float(quality)]))
    made = 255.0 * made[0].permute(1, 2, 0).numpy()
    lost = np.abs(read - picture).mean()
    assert np.abs(made - read).mean() < 0.3 * lost
    assert np.abs(made - picture).mean() == pytest.approx(lost, rel=0.1)


def test_a_camera_keeps_pictures_in_range_and_leaves_none_as_it_was():
    torch.manual_seed(10)
    image = torch.rand(40, 3, 64, 64)
    taken = photograph.photographed(image)
    assert taken.shape == image.shape and torch.isfinite(taken).all()
    assert float(taken.min()) >= 0.0 and float(taken.max()) <= 1.0
    assert ((taken - image).abs().mean((1, 2, 3)) > 1e-3).all()
