# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
from dataclasses import replace

import pytest
from test_training import TINY_ENCODER, tiny_views
import torch
from torch import nn

from ros2_nabs_pose.core.generator import FRAME_MARGIN
from ros2_nabs_pose.core.rotations import rotation_facing, rotation_z
from ros2_nabs_pose.training.framing import boxed
from ros2_nabs_pose.training.teacher import (
    CHANNELS,
    clean_crops,
    clean_input,
    CleanEncoder,
    FormerEncoder,
    is_former,
)

NAME = 'layers.0.weight'


def some_views(count=6):
    """Discs that slope away to the right."""
    torch.manual_seed(3)
    views = tiny_views(2, count).batch(2, count)[1]
    slope = 0.3 * torch.linspace(-1.0, 1.0, 64) * views.stacked[:, 3]
    return replace(views, stacked=torch.cat((views.stacked[:, :4], slope[:, None]), 1))


@pytest.mark.parametrize('free_about_z', [False, True])
def test_points_are_told_in_the_frame_that_the_code_speaks_of(free_about_z):
    views = some_views()
    seen = clean_input(views, free_about_z)
    assert seen.shape == (12, CHANNELS, 64, 64)
    assert torch.equal(seen[:, :4], views.stacked[:, :4])
    spun = replace(views, R_view=views.R_view @ rotation_z(torch.tensor(0.7)))
    again = clean_input(spun, free_about_z)
    if free_about_z:  # where its x axis happens to lie does not matter
        torch.testing.assert_close(again, seen, atol=1e-5, rtol=0.0)
    else:  # the same points, turned back about z by as much
        turned = torch.einsum('ij,bjhw->bihw', rotation_z(torch.tensor(-0.7)), seen[:, 4:])
        torch.testing.assert_close(again[:, 4:], turned, atol=1e-5, rtol=0.0)
        assert (again[:, 4:] - seen[:, 4:]).abs().max() > 0.2
    # Seen from the camera the points lie at the depth that was seen there.
    R = rotation_facing(views.R_view[:, :, 2]) if free_about_z else views.R_view
    depth = torch.einsum('bj,bjhw->bhw', R[:, 2], seen[:, 4:])
    torch.testing.assert_close(depth, views.stacked[:, 4], atol=1e-5, rtol=0.0)


def test_a_clean_encoder_that_saw_pictures_alone_is_taken_up_as_it_was():
    torch.manual_seed(1)
    parent, child = CleanEncoder(5), CleanEncoder(5)
    before = {k: v for k, v in parent.state_dict().items() if not k.startswith('blocks.')}
    before[NAME] = before[NAME][:, :4]
    child.load_state_dict(child.taking_up(before))
    plain = nn.Sequential(nn.Conv2d(4, 24, 4, stride=2, padding=1), *list(parent.layers)[1:])
    plain[0].load_state_dict({'weight': before[NAME], 'bias': before['layers.0.bias']})
    seen = clean_input(some_views(), False)
    mean, logvar = plain(seen[:, :4] * 2.0 - 1.0).chunk(2, 1)
    colour = seen[:, :3].sum((2, 3)) / seen[:, 3:4].sum((2, 3))
    mean = torch.cat((mean[:, :3] + 4.0 * colour - 2.0, mean[:, 3:]), 1)
    said = child(seen)
    torch.testing.assert_close(said[0], mean, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(said[1], logvar.clamp(-8.0, 4.0), atol=1e-4, rtol=1e-4)
    # The points and the blocks have their say as soon as they have learned.
    said[0].square().mean().backward()
    assert child.layers[0].weight.grad[:, 4:].abs().max() > 0.0
    assert all(block.conv1.weight.grad.abs().max() > 0.0 for block in child.blocks)


def test_a_clean_encoder_of_its_own_kind_is_taken_up_whole():
    torch.manual_seed(2)
    parent, child = CleanEncoder(5), CleanEncoder(5)
    with torch.no_grad():
        for weight in parent.parameters():
            weight += 0.05 * torch.randn_like(weight)
    child.load_state_dict(child.taking_up(parent.state_dict()))
    for name, value in child.state_dict().items():
        assert torch.equal(value, parent.state_dict()[name]), name


def test_a_clean_encoder_of_other_sizes_is_not_cut_to_fit():
    child = CleanEncoder(5)
    for channels in (3, 9):
        state = CleanEncoder(5).state_dict()
        state[NAME] = torch.zeros(24, channels, 4, 4)
        with pytest.raises(RuntimeError, match='size mismatch'):
            child.load_state_dict(child.taking_up(state))


def test_a_palette_is_looked_for_at_the_top_and_at_the_bottom_at_first():
    """A view whose upper half is red and whose lower half is blue, as a camera sees it level."""
    torch.manual_seed(4)
    encoder = CleanEncoder(15, palette=3)
    seen = torch.zeros(1, CHANNELS, 64, 64)
    seen[:, 0, :32], seen[:, 2, 32:], seen[:, 3] = 1.0, 1.0, 1.0
    seen[:, 6] = torch.linspace(1.0, -1.0, 64)[:, None]
    with torch.no_grad():
        front, top, bottom = encoder(seen)[0][0, 6:].view(3, 3)
    assert top[0] > 1.0 > -1.0 > top[2] and bottom[2] > 1.0 > -1.0 > bottom[0]
    assert abs(float(front[0])) < 1.0
    torch.testing.assert_close(front[0] + front[2], torch.tensor(0.0), atol=1e-4, rtol=0.0)


def test_who_had_no_palette_gets_one():
    torch.manual_seed(6)
    parent, child = CleanEncoder(6), CleanEncoder(15, palette=3)
    child.load_state_dict(child.taking_up(parent.state_dict()))
    seen = clean_input(some_views(), False)
    for mine, theirs in zip(child(seen), parent(seen), strict=True):
        torch.testing.assert_close(mine[:, :6], theirs)
    assert child.taking_up(child.state_dict()).keys() == child.state_dict().keys()


def test_a_former_encoder_learns_nothing():
    torch.manual_seed(2)
    former = FormerEncoder(TINY_ENCODER)
    before = {k: v.clone() for k, v in former.state_dict().items()}
    former.train()
    mean, logvar = former(*clean_crops(some_views(), 64))
    assert not former.encoder.training and mean.shape == logvar.shape == (12, 4)
    assert all(torch.equal(v, before[k]) for k, v in former.state_dict().items())
    assert not any(p.requires_grad for p in former.parameters())
    assert is_former(before) and not is_former(CleanEncoder(4).state_dict())
    assert all(torch.equal(v, before[k])
               for k, v in FormerEncoder.state_of(former.encoder).items())


def test_clean_crops_show_the_object_whole_in_the_middle_and_nothing_beside_it():
    torch.manual_seed(5)
    views = some_views()
    image, focal = clean_crops(views, 64)
    # The discs' outline has 0.71 radii; boxes are wider by some 1.43.
    scale = 2.0 / (2.0 * 0.5 ** 0.5 * 1.435)
    torch.testing.assert_close(focal, scale / views.perspective, rtol=0.03, atol=0.0)
    line = (torch.arange(64) + 0.5) / 32.0 - 1.0
    far = torch.hypot(line, line[:, None])
    plain = torch.tensor([0.0, 90.0, 40.0]) / 255.0
    for b in range(12):
        near = torch.hypot(line - 0.5 * scale * views.R_view[b, 0, 0],
                           line[:, None] - 0.5 * scale * views.R_view[b, 1, 0])
        assert image[b, 0, near < 0.06].min() > 0.8
        inside = image[b][:, (far < 0.64 * scale) & (near > 0.2)]
        torch.testing.assert_close(inside.median(1).values, plain, atol=0.02, rtol=0.0)
    assert image[:, 0, far > 0.75].std() > 0.05  # some background, not the discs' own colours


def test_clean_crops_are_as_wide_as_what_is_seen():
    """A disc that is cut to a bar, and moved: the box goes along."""
    views = some_views()
    alpha = torch.zeros_like(views.stacked[:, 3:4])
    alpha[:, :, 10:20, 8:40] = 1.0
    stacked = torch.cat((0.5 * alpha.expand(-1, 3, -1, -1), alpha, 0.0 * alpha), 1)
    t, scale = boxed(alpha)
    width, middle = FRAME_MARGIN * 31.0 / 32.0, FRAME_MARGIN * torch.tensor([-0.25, -17.0 / 32.0])
    torch.testing.assert_close(scale, torch.full_like(scale, 2.0 / (width * 1.435)))
    torch.testing.assert_close(t, -scale[:, None] * middle, atol=1e-5, rtol=0.0)
    image, _ = clean_crops(replace(views, stacked=stacked, clear=0.0 * alpha), 64)
    grey = ((image - 0.5).abs() < 0.02).all(1)
    assert grey[:, 30:34, 12:52].all() and float(grey.float().mean()) < 0.35
