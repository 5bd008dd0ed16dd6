# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What the encoder proposes, and how its numbers become rotations."""

from dataclasses import replace
import math

import pytest
from tiny_models import TINY_ENCODER
import torch

from ros2_nabs_pose.core.encoder import (
    bin_centers,
    Encoder,
    EncoderConfig,
    Encoding,
    FIELD_SPREAD,
    LEAST_LOGVAR,
    MODE_SHARE,
    SAME_RAD,
    USUAL_FIELD,
)
from ros2_nabs_pose.core.generator import GeneratorConfig
from ros2_nabs_pose.core.rotations import (
    axis_azimuth_from_rotation,
    exp_so3,
    geodesic_angle,
    rotation_from_axis_azimuth,
)

AXIS = torch.nn.functional.normalize(torch.tensor([0.1, -0.8, -0.5]), dim=0)


def of_bin(index):
    """Rotation (3, 3) that a bin of the azimuth stands for."""
    return rotation_from_axis_azimuth(AXIS, bin_centers(24)[index])


def reading(probabilities, others=(), odds=()):
    """One crop: a histogram {bin: share}, and further rotations with their odds."""
    logits = torch.full((1, 24), 1e-9).log()
    for index, share in probabilities.items():
        logits[0, index] = math.log(share)
    zero = torch.zeros(1)
    return Encoding(
        mean=torch.zeros(1, 4), logvar=torch.zeros(1, 4), mask_logits=torch.zeros(1, 1, 8, 8),
        axis=AXIS[None], azimuth_logits=logits, azimuth_offset=torch.zeros(1, 24),
        t=torch.zeros(1, 2), log_scale=zero, front_logit=zero, points=torch.zeros(1, 3, 4, 4),
        others=torch.stack(list(others))[None] if others else torch.zeros(1, 0, 3, 3),
        other_logits=torch.tensor([odds]).reshape(1, len(others)).float())


def turned(R, degrees):
    return exp_so3(torch.tensor([math.radians(degrees), 0.0, 0.0])) @ R


def test_the_field_of_view_has_a_say_in_pose_and_code_and_an_unknown_one_is_the_usual():
    torch.manual_seed(2)
    encoder, crops = Encoder(TINY_ENCODER).eval(), torch.rand(2, 3, 64, 64)
    near, usual = torch.full((2,), 1.0 / (USUAL_FIELD + FIELD_SPREAD)), torch.full(
        (2,), 1.0 / USUAL_FIELD)
    with torch.no_grad():
        # As it begins, it says the same of every field.
        assert torch.equal(encoder(crops, near).axis, encoder(crops).axis)
        encoder.from_field.weight.fill_(1.0)
        told, untold = encoder(crops, near), encoder(crops)
        for name in ('axis', 'mean', 'azimuth_logits', 'others'):
            assert not torch.allclose(getattr(told, name), getattr(untold, name)), name
        for name in ('mask_logits', 'points'):
            assert torch.equal(getattr(told, name), getattr(untold, name)), name
        torch.testing.assert_close(encoder(crops, usual).axis, untold.axis)
        without = Encoder(replace(TINY_ENCODER, informed=False)).eval()
        assert torch.equal(without(crops, near, torch.ones(2, 4)).axis, without(crops).axis)


def test_a_known_code_has_a_say_in_the_pose_but_not_in_the_code_that_is_read():
    torch.manual_seed(2)
    encoder, crops = Encoder(TINY_ENCODER).eval(), torch.rand(2, 3, 64, 64)
    known = torch.stack((torch.ones(4), torch.full((4,), math.nan)))
    with torch.no_grad():
        assert torch.equal(encoder(crops, None, known).axis, encoder(crops).axis)
        encoder.from_known.weight.fill_(1.0)
        told, untold = encoder(crops, None, known), encoder(crops)
    for name in ('axis', 'azimuth_logits', 'others', 't', 'log_scale'):
        first, second = getattr(told, name).isclose(getattr(untold, name))
        assert not first.all() and second.all(), name  # the second one's is not known
    for name in ('mean', 'logvar', 'mask_logits', 'points'):
        assert torch.equal(getattr(told, name), getattr(untold, name)), name


def test_a_code_is_as_sure_as_its_variance_says_and_no_surer_than_training_tells():
    said = replace(reading({5: 1.0}), logvar=torch.tensor([[-8.0, LEAST_LOGVAR, 0.0, 4.0]]))
    assert said.sureness[0].tolist() == pytest.approx(
        [math.exp(4.6), math.exp(4.6), 1.0, math.exp(-4.0)], rel=1e-5)


def test_without_further_rotations_the_histograms_modes_are_proposed():
    R, weights = reading({5: 0.6, 6: 0.1, 17: 0.3}).proposals(2)
    torch.testing.assert_close(R[0], torch.stack((of_bin(5), of_bin(17))), atol=1e-5, rtol=0.0)
    assert weights[0].tolist() == pytest.approx([0.7, 0.3], abs=1e-5)


def test_further_rotations_come_by_their_odds_and_other_modes_count_less():
    """Odds 0.5 and 0.25 against 1 of the first: of 1.75."""
    likely, unlikely = turned(of_bin(5), 80.0), turned(of_bin(5), -120.0)
    said = reading({5: 0.7, 17: 0.3}, (unlikely, likely), (math.log(0.25), math.log(0.5)))
    R, weights = said.proposals(4)
    wanted = torch.stack((of_bin(5), likely, unlikely, of_bin(17)))
    torch.testing.assert_close(R[0], wanted, atol=1e-5, rtol=0.0)
    assert MODE_SHARE * 0.3 < 0.25 < 0.3  # so the mode comes last for its share alone
    assert weights[0].tolist() == pytest.approx([x / 1.75 for x in (0.7, 0.5, 0.25, 0.3)], abs=1e-5)
    assert said.proposals(1)[0].shape == (1, 1, 3, 3)
    torch.testing.assert_close(said.first()[0], of_bin(5), atol=1e-5, rtol=0.0)


def test_what_the_odds_speak_for_comes_first():
    other = turned(of_bin(5), 80.0)
    R, weights = reading({5: 1.0}, (other,), (math.log(3.0),)).proposals(2)
    torch.testing.assert_close(R[0], torch.stack((other, of_bin(5))), atol=1e-5, rtol=0.0)
    assert weights[0].tolist() == pytest.approx([0.75, 0.25], abs=1e-5)


def test_the_same_rotation_is_not_proposed_twice_while_there_are_others():
    near = turned(of_bin(5), 0.8 * math.degrees(SAME_RAD))
    said = reading({5: 0.7, 17: 0.3}, (near, turned(of_bin(5), 90.0)), (-0.5, -3.0))
    R, weights = said.proposals(3)
    wanted = torch.stack((of_bin(5), of_bin(17), turned(of_bin(5), 90.0)))
    torch.testing.assert_close(R[0], wanted, atol=1e-5, rtol=0.0)
    # What says the same as the first speaks for it.
    right, same, other = torch.tensor([0.0, -0.5, -3.0]).softmax(0).tolist()
    assert weights[0].tolist() == pytest.approx([0.7 * right + same, 0.3 * right, other], abs=1e-5)


def test_a_likely_mode_comes_before_an_unlikely_further_rotation():
    far = [turned(of_bin(5), x) for x in (80.0, -80.0, 160.0)]
    R, _ = reading({5: 0.55, 17: 0.45}, far, (-6.0, -6.0, -6.0)).proposals(2)
    torch.testing.assert_close(R[0], torch.stack((of_bin(5), of_bin(17))), atol=1e-5, rtol=0.0)


def test_a_rotation_is_as_likely_as_what_was_read_around_it():
    other = turned(of_bin(5), 90.0)
    said = reading({5: 0.7, 17: 0.3}, (other,), (math.log(3.0),))
    assert float(said.weight_at(of_bin(5)[None])) == pytest.approx(0.7 / 4, abs=1e-5)
    assert float(said.weight_at(turned(of_bin(17), 10.0)[None])) == pytest.approx(0.3 / 4, abs=1e-5)
    assert float(said.weight_at(turned(other, 10.0)[None])) == pytest.approx(3 / 4, abs=1e-5)
    # Without further rotations the turn is all there is to ask for.
    alone = reading({5: 0.7, 17: 0.3})
    assert float(alone.weight_at(of_bin(17)[None])) == pytest.approx(0.3)
    far = turned(of_bin(5), 100.0)
    _, turn = axis_azimuth_from_rotation(far)
    same_turn = rotation_from_axis_azimuth(AXIS, turn)
    assert float(alone.weight_at(far[None])) == float(alone.weight_at(same_turn[None])) > 0.2


def test_an_encoder_tells_as_many_further_rotations_as_it_is_made_for():
    torch.manual_seed(1)
    said = Encoder(TINY_ENCODER).eval()(torch.rand(2, 3, 64, 64))
    assert said.others.shape == (2, 3, 3, 3) and said.other_logits.shape == (2, 3)
    torch.testing.assert_close(torch.linalg.det(said.others), torch.ones(2, 3))
    assert float(geodesic_angle(said.others[:, 0], said.others[:, 1]).detach().min()) > 0.1
    axis, _ = axis_azimuth_from_rotation(said.first())
    torch.testing.assert_close(axis, said.axis, atol=1e-4, rtol=0.0)


def test_an_encoder_looks_for_its_palette_on_the_object():
    """A red object on the left, blue clutter beside it, which the mask leaves out."""
    torch.manual_seed(5)
    encoder = Encoder(replace(TINY_ENCODER, latent_dim=9, palette=2)).eval()
    crop = torch.zeros(1, 3, 64, 64)
    crop[:, 0, :, :32], crop[:, 2, :, 32:] = 1.0, 1.0
    on_the_left = torch.full((1, 4, 32, 32), 30.0)
    on_the_left[..., 16:] = -30.0
    encoder.to_mask.register_forward_hook(lambda *_: on_the_left)
    with torch.no_grad():
        for values in encoder.look[-1].parameters():
            values.zero_()
        mean = encoder(crop).mean
        encoder.look[-1].bias[8] = 0.5
        added = encoder(crop).mean - mean
    assert added.tolist() == [[0.0] * 8 + [0.5]]
    red = torch.tensor([2.0, -2.0, -2.0])
    torch.testing.assert_close(mean[0, 3:].view(2, 3), red.expand(2, 3), atol=2e-3, rtol=0.0)


@pytest.mark.parametrize(('sizes', 'message'), [
    ({'latent_dim': 11, 'palette': 3}, 'room for the colours'),
    ({'palette': 1, 'colour_dims': 0}, 'a mean colour beside it')])
@pytest.mark.parametrize('kind', [EncoderConfig, GeneratorConfig])
def test_a_palette_has_room_in_the_code_and_a_mean_beside_it(kind, sizes, message):
    with pytest.raises(ValueError, match=message):
        kind(**sizes)
