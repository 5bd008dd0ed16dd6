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


def discs(count=12, size=64, clear=0.0, brightest=0.9):
    """Views of grey discs of half the picture's width, each in a grey of its own."""
    line = (torch.arange(size) + 0.5) / size * 2.0 - 1.0
    alpha = (line ** 2 + line[:, None] ** 2 < 0.25).float().expand(count, 1, -1, -1)
    grey = torch.linspace(0.2, brightest, count).view(-1, 1, 1, 1).expand(-1, 3, -1, -1)
    return Views(stacked=torch.cat((grey * alpha, alpha, 0.0 * alpha), 1), front=0.0 * alpha,
                 clear=clear * alpha, R_view=torch.eye(3).expand(count, 3, 3),
                 perspective=torch.full((count,), 0.1), front_visible=torch.ones(count))


@pytest.fixture()
def plain(monkeypatch):
    """Crops without light effects, occluders, neighbours or a camera."""
    monkeypatch.setattr(composing, 'photographed', lambda image: image)
    monkeypatch.setattr(composing, 'shade', lambda image: image)
    monkeypatch.setattr(surroundings, 'BESIDE', 0.0)
    monkeypatch.setattr(surroundings, 'IN_FRONT', 0.0)


def test_a_clear_object_shows_the_background_and_an_opaque_one_does_not(plain):
    """Against black and against white backgrounds, the same otherwise."""
    pictures = [torch.full((1, 3, 20, 20), value, dtype=torch.uint8) for value in (0, 255)]
    for clear in (0.0, 0.6):
        views = discs(clear=clear, brightest=0.6)  # so that nothing is too bright to show
        crops = []
        for picture in pictures:
            torch.manual_seed(4)
            crops.append(compose(views, picture))
        inside = crops[0].mask[:, 0] > 0.999
        gained = (crops[1].image - crops[0].image).mean(1)
        shown = torch.stack([g[i].mean() for g, i in zip(gained, inside, strict=True)])
        # Behind a fifth of the crops there is noise in place of the picture; elsewhere the middle
        # shows what the object lets through, but for the shadow of what it does not.
        pictured = shown > 0.0
        assert clear == 0.0 or int(pictured.sum()) >= 6
        assert float(shown.max()) == pytest.approx(clear, abs=1e-3)
        assert (shown[pictured] >= (1.0 - 0.6 * (1.0 - clear)) * clear - 1e-3).all()


@pytest.mark.parametrize('inside, outside, left', [(0.0, 0.0, 1.0), (0.0, 1.0, 1.0),
                                                   (1.0, 0.0, 0.0), (0.3, 1.0, 0.7)])
def test_what_stands_before_the_front_hides_it(plain, monkeypatch, inside, outside, left):
    """The front is the disc's middle; what hides the rest changes nothing."""
    views = discs()
    line = (torch.arange(64) + 0.5) / 32.0 - 1.0
    front = (torch.hypot(line, line[:, None]) < 0.2).float().expand(12, 1, -1, -1).clone()
    front[6:] = 0.0  # these have none that could be hidden

    def ring(pool, own_light, scale, alpha, most_hidden):
        share = alpha / alpha.sum((2, 3), keepdim=True)
        at = [(share.sum((1, k)) * line).sum(1).view(-1, 1, 1) for k in (2, 3)]
        away = torch.hypot(line - at[0], line[:, None] - at[1]) / scale.view(-1, 1, 1)
        cover = torch.where(away < 0.35, inside, outside)[:, None].expand_as(alpha)
        return torch.zeros_like(alpha), cover

    monkeypatch.setattr(composing, 'occluder_of', ring)
    crops = compose(replace(views, front=front, front_visible=torch.full((12,), 0.8)), None)
    torch.testing.assert_close(crops.front_visible[:6], torch.full((6,), 0.8 * left))
    torch.testing.assert_close(crops.front_visible[6:], torch.full((6,), 0.8))


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


@pytest.mark.parametrize('most', [surroundings.MOST_HIDDEN, 0.2])
def test_what_stands_in_front_hides_no_more_than_it_may_and_is_a_thing_or_a_strip(
        monkeypatch, most):
    monkeypatch.setattr(surroundings, 'IN_FRONT', 1.0)
    torch.manual_seed(6)
    views = discs(64)
    alpha = views.stacked[:, 3:4]
    colour, cover = surroundings.occluder_of(None, views.own_light(), torch.full((64,), 0.7),
                                             alpha, most)
    hidden = (cover * alpha).sum((1, 2, 3)) / alpha.sum((1, 2, 3))
    assert 0.7 * most < float(hidden.max()) < most
    assert 15 <= int((hidden > 0.0).sum()) < 64
    assert float((colour - cover).max()) < 1e-5  # premultiplied
    # Discs are of one grey, strips show noise.
    some = [colour[b][:, cover[b, 0] > 0.99] for b in range(64) if (cover[b] > 0.99).sum() > 20]
    flat = [bool(x.std() < 0.02) for x in some]
    assert any(flat) and not all(flat)


def test_a_strip_in_front_is_filled_with_a_picture(monkeypatch):
    monkeypatch.setattr(surroundings, 'IN_FRONT', 1.0)
    torch.manual_seed(24)
    views, white = discs(120), torch.full((2, 3, 20, 20), 255, dtype=torch.uint8)
    behind = surroundings.background_of(white, 60, 32, views.stacked)
    assert float(behind.min()) >= 0.0 and float(behind.max()) <= 1.0 + 1e-6
    assert 0.6 < float((behind > 0.999).flatten(1).all(1).float().mean()) < 0.95
    colour, cover = surroundings.occluder_of(white, views.own_light(), torch.full((120,), 0.7),
                                             views.stacked[:, 3:4])
    assert float(colour.min()) >= 0.0 and float((colour - cover).max()) < 1e-5  # premultiplied
    # Of what is drawn in front, a good part is white all over: strips, but for those with noise.
    drawn = [colour[b][:, cover[b, 0] > 0.99] for b in range(120) if (cover[b] > 0.99).sum() > 20]
    filled = sum(bool((x > 0.98).all()) for x in drawn)
    assert 0.2 < filled / len(drawn) < 0.7


def test_neighbours_are_other_objects_of_the_batch():
    torch.manual_seed(7)
    views = discs()
    colour, alpha = surroundings.others_of(views.own_light(), torch.full((12,), 0.6), 64)
    seen = 0
    for b in range(12):
        whole = alpha[b, 0] > 0.99
        if whole.any():
            assert abs(float(colour[b][:, whole].mean() - views.stacked[b, :3].max())) > 0.03
            seen += 1
    assert seen >= 6


def test_a_share_of_the_backgrounds_gets_a_neighbour_and_clear_ones_let_it_through():
    torch.manual_seed(13)
    views = discs(200, clear=1.0)
    empty = torch.full((200, 3, 64, 64), 0.5)
    views = replace(views, stacked=torch.cat((BACKDROP * views.clear.expand(-1, 3, -1, -1),
                                              views.stacked[:, 3:]), 1))
    scale = torch.full((200,), 0.9)
    torch.testing.assert_close(surroundings.with_others(empty, views.own_light(), scale), empty)
    seen = surroundings.with_others(empty, discs(200).own_light(), scale)
    share = float(((seen - 0.5).abs().amax((1, 2, 3)) > 0.02).float().mean())
    assert 0.6 * surroundings.BESIDE < share < 1.2 * surroundings.BESIDE


def test_compose_puts_neighbours_and_occluders_into_its_crops(plain, monkeypatch):
    views = discs(60)
    white = torch.full((1, 3, 20, 20), 255, dtype=torch.uint8)

    def differing(module, name):
        crops = []
        for share in (0.0, 1.0):
            monkeypatch.setattr(module, name, share)
            torch.manual_seed(14)
            crops.append(compose(views, white).image)
        monkeypatch.setattr(module, name, 0.0)
        return float(((crops[1] - crops[0]).abs().amax((1, 2, 3)) > 0.1).float().mean())

    assert differing(surroundings, 'BESIDE') > 0.5
    assert differing(surroundings, 'IN_FRONT') > 0.3


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


@pytest.mark.parametrize('effect, share', [('moved', 'MOVED'), ('packed', 'PACKED')])
def test_a_camera_moves_and_packs_a_share_of_its_pictures(effect, share, monkeypatch):
    torch.manual_seed(15)
    done, real = [], getattr(photograph, effect)

    def recorded(image, *arguments):
        done.append(len(image))
        return real(image, *arguments)

    monkeypatch.setattr(photograph, effect, recorded)
    photograph.photographed(torch.rand(400, 3, 40, 40))
    assert sum(done) / 400 == pytest.approx(getattr(photograph, share), abs=0.06)


def test_sharpening_raises_edges_and_leaves_flat_parts():
    image = torch.full((2, 3, 16, 16), 0.4)
    image[..., 8:] = 0.6
    made = photograph.sharpened(image, torch.tensor([0.0, 0.9]))
    assert torch.equal(made[0], image[0])
    # The mean over 3 x 3 pixels beside the edge is a third of the step off.
    torch.testing.assert_close(made[1, :, 5, 6:10], torch.tensor(
        [0.4, 0.4 - 0.06, 0.6 + 0.06, 0.6]).expand(3, 4))
    assert float(photograph.sharpened(torch.eye(16).expand(1, 3, 16, 16),
                                      torch.tensor([3.0])).max()) == 1.0


def test_most_pictures_have_little_noise_and_some_have_much(monkeypatch):
    for effect in ('MOVED', 'PACKED', 'SHARPENED'):
        monkeypatch.setattr(photograph, effect, 0.0)
    torch.manual_seed(17)
    taken = photograph.photographed(torch.full((300, 3, 32, 32), 0.5))
    noise = taken.std((2, 3)).amin(1)  # of a channel that is not cut off at 1
    assert float(noise.median()) == pytest.approx(photograph.MOST_NOISE / 8.0, rel=0.3)
    assert 0.8 * photograph.MOST_NOISE < float(noise.max()) < 1.1 * photograph.MOST_NOISE


def test_light_is_dim_and_warm_more_often_than_not(monkeypatch):
    for effect in ('MOVED', 'PACKED', 'SHARPENED', 'MOST_NOISE'):
        monkeypatch.setattr(photograph, effect, 0.0)
    torch.manual_seed(18)
    taken = photograph.photographed(torch.full((400, 3, 16, 16), 0.4)).mean((2, 3))
    warmth = torch.log(taken[:, 0] / taken[:, 2])
    assert float(warmth.mean()) == pytest.approx(0.17, abs=0.05)
    assert float(warmth.std()) == pytest.approx(0.224, abs=0.04)
    assert 0.15 < float(taken[:, 1].quantile(0.1)) < 0.25 < float(taken[:, 1].median()) < 0.36


def test_two_fifths_of_the_pictures_are_sharpened_and_a_third_are_soft(monkeypatch):
    real, raised = photograph.sharpened, []
    monkeypatch.setattr(photograph, 'sharpened',
                        lambda image, amount: raised.append(amount) or real(image, amount))
    for effect in ('MOVED', 'PACKED'):
        monkeypatch.setattr(photograph, effect, 0.0)
    torch.manual_seed(19)
    photograph.photographed(torch.rand(500, 3, 16, 16))
    amount, = raised
    assert float((amount > 0.0).float().mean()) == pytest.approx(photograph.SHARPENED, abs=0.06)
    assert 0.1 <= float(amount[amount > 0.0].min()) < float(amount.max()) <= 0.8
    image = torch.rand(500, 3, 16, 16)
    as_it_was = (photograph._soft(image) == image).flatten(1).all(1)
    # An eighth are enlarged from few pixels.
    assert float(as_it_was.float().mean()) == pytest.approx(0.88 * photograph.IN_FOCUS, abs=0.06)


def test_blocks_do_not_reach_around_the_picture(monkeypatch):
    """A bright right border leaves no ringing at the left one."""
    monkeypatch.setattr(photograph, 'PACKED', 1.0)
    monkeypatch.setattr(photograph, 'MOVED', 0.0)
    monkeypatch.setattr(photograph, 'SHARPENED', 0.0)
    monkeypatch.setattr(photograph, 'MOST_NOISE', 0.0)
    monkeypatch.setattr(photograph, 'WARMTH', ((0.0, 0.0),) * 3)
    monkeypatch.setattr(photograph, 'uniform', lambda shape, low, high, like: torch.full(
        shape, 0.0 if low <= 0.0 else 30.0 if high > 50.0 else 1.0))
    torch.manual_seed(16)
    image = torch.full((30, 3, 64, 64), 0.5)
    image[..., -6:] = 1.0
    taken = photograph.photographed(image)
    assert float((taken[..., :16] - 0.5).abs().max()) < 0.02
    assert float((taken[..., 40:] - image[..., 40:]).abs().max()) > 0.03


def test_a_camera_keeps_pictures_in_range_and_leaves_none_as_it_was():
    torch.manual_seed(10)
    image = torch.rand(40, 3, 64, 64)
    taken = photograph.photographed(image)
    assert taken.shape == image.shape and torch.isfinite(taken).all()
    assert float(taken.min()) >= 0.0 and float(taken.max()) <= 1.0
    assert ((taken - image).abs().mean((1, 2, 3)) > 1e-3).all()


def test_crops_tell_their_focal_length_and_a_poor_calibration_is_off_by_a_seventh():
    torch.manual_seed(9)
    views = replace(discs(400), perspective=torch.linspace(0.05, 0.3, 400))
    crops = compose(views, None)
    # A sphere of radius 1 at distance 1 / perspective, so many half widths large.
    torch.testing.assert_close(crops.focal * views.perspective, crops.log_scale.exp())
    off = torch.log(composing.roughly(crops.focal) / crops.focal)
    assert float(off.std()) == pytest.approx(composing.FOCAL_SPREAD, rel=0.1)
    assert abs(float(off.mean())) < 0.03
