# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
from dataclasses import replace
import math
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
import torch

from ros2_nabs_pose.core.checkpoint import CategoryModel
from ros2_nabs_pose.core.cuts import OTHER_CUTS
from ros2_nabs_pose.core.encoder import bin_centers, Encoding
from ros2_nabs_pose.core.presets import MOST_CUTS, MOST_READINGS, PRESETS
from ros2_nabs_pose.core.readings import _mean, _rotated, _seen, _undone, Look, LOOKS, read
from ros2_nabs_pose.core.rotations import (
    axis_azimuth_from_rotation,
    exp_so3,
    geodesic_angle,
    rotation_facing,
    rotation_z,
)
from ros2_nabs_pose.core.types import PoseError

BINS = 24
STEP = 1
WIDTH = 2.0 * math.pi / BINS
MIRROR = torch.diag(torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))
OWN = torch.diag(torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64))


def reading_of(R, t=(0.1, -0.2), points=None, mask=None, latent=(0.0,)):
    """What an encoder that reads rotation R (3, 3) without error says of one crop."""
    axis, azimuth = axis_azimuth_from_rotation(R[None])
    centers = bin_centers(BINS).to(R)
    apart = torch.remainder(azimuth - centers + math.pi, 2.0 * math.pi) - math.pi
    logits = torch.full((1, BINS), -9.0, dtype=R.dtype)
    best = int(apart.abs().argmin())
    logits[0, best] = 9.0
    one = torch.zeros(1, dtype=R.dtype)
    return Encoding(
        mean=torch.tensor([latent], dtype=R.dtype), logvar=torch.zeros(1, len(latent)).to(R),
        mask_logits=torch.zeros(1, 1, 8, 8).to(R) if mask is None else mask,
        axis=axis, azimuth_logits=logits, azimuth_offset=apart[None].clamp(-WIDTH, WIDTH),
        t=torch.tensor([t], dtype=R.dtype), log_scale=one, front_logit=one,
        points=torch.zeros(1, 3, 4, 4).to(R) if points is None else points,
        others=R[None, None], other_logits=torch.full((1, 1), -9.0, dtype=R.dtype))


def repeated(said, count):
    """The same said of ``count`` crops."""
    return Encoding(*(getattr(said, name).expand(count, *getattr(said, name).shape[1:])
                      for name in Encoding.__dataclass_fields__))


def looked_at(R, t, way):
    """Rotation and place that the picture of a look shows."""
    t = torch.tensor(t, dtype=torch.float64)
    if way.mirrored:
        R, t = MIRROR @ R @ OWN, t * torch.tensor([-1.0, 1.0], dtype=torch.float64)
    turn = rotation_z(torch.tensor(way.turns * STEP * WIDTH, dtype=torch.float64))
    return turn @ R, tuple((turn[:2, :2] @ t).tolist())


vectors = st.tuples(*[st.floats(-3.0, 3.0)] * 3).map(lambda v: torch.tensor(v, dtype=torch.float64))


@settings(max_examples=80, deadline=None)
@given(vectors, st.sampled_from(LOOKS + (Look(True, 1), Look(True, -2))))
def test_an_exact_reading_of_any_look_is_undone_exactly(vector, way):
    R = exp_so3(vector)
    if R[2, 2] > 0.999:  # seen from below, the azimuth has no meaning of its own
        return
    seen_R, seen_t = looked_at(R, (0.1, -0.2), way)
    undone = _undone(reading_of(seen_R, seen_t), way, STEP, False)
    back, _ = undone.proposals(1)
    assert float(geodesic_angle(back[0, 0], R)) < 1e-6
    assert float(geodesic_angle(undone.others[0, 0], R)) < 1e-6
    assert undone.t[0].tolist() == pytest.approx([0.1, -0.2])


@settings(max_examples=60, deadline=None)
@given(vectors, st.sampled_from(LOOKS))
def test_points_of_a_look_are_those_of_the_crop(vector, way):
    """Told in the body's own frame, or in the facing one where it may spin."""
    R = exp_so3(vector)
    point = torch.tensor([0.3, -0.5, 0.2], dtype=torch.float64)
    for free in (False, True):
        if free:
            R = rotation_facing(R[:, 2])
        if R[:2, 2].norm() < 0.1:  # along the view right is the picture's, whatever its turn
            return
        in_camera = R @ point
        turn = rotation_z(torch.tensor(way.turns * STEP * WIDTH, dtype=torch.float64))
        seen_R, _ = looked_at(R, (0.0, 0.0), way)
        shown = turn @ (MIRROR @ in_camera if way.mirrored else in_camera)
        frame = rotation_facing(seen_R[:, 2]) if free else seen_R
        told = frame.T @ shown
        reading = reading_of(seen_R, points=told.view(1, 3, 1, 1).expand(1, 3, 4, 4).contiguous())
        undone = _undone(reading, way, STEP, free).points[0, :, 1, 1]
        torch.testing.assert_close(undone, point, atol=1e-9, rtol=0.0)


def blob(u, v, size=32):
    line = (torch.arange(size) + 0.5) / size * 2.0 - 1.0
    y, x = torch.meshgrid(line, line, indexing='ij')
    return torch.exp(-((x - u) ** 2 + (y - v) ** 2) / 0.06)[None, None]


@pytest.mark.parametrize('way', LOOKS)
def test_pictures_are_turned_as_poses_are_and_maps_back(way):
    u, v = 0.3, -0.2
    _, (x, y) = looked_at(torch.eye(3, dtype=torch.float64), (u, v), way)
    shown = _seen(blob(u, v), way, STEP, BINS)
    assert float((shown - blob(x, y)).abs().max()) < 0.05
    said = reading_of(torch.eye(3), mask=shown)
    assert float((_undone(said, way, STEP, False).mask_logits - blob(u, v)).abs().max()) < 0.1


def test_turning_there_and_back_changes_nothing_inside():
    picture = blob(0.2, 0.1)
    back = _rotated(_rotated(picture, 0.26), -0.26)
    assert float((back - picture)[..., 8:24, 8:24].abs().max()) < 0.08


def test_maps_of_points_are_turned_and_mirrored_with_the_picture():
    """Points that tell where they lie in the picture do so of the crop after every look, too."""
    line = (torch.arange(32) + 0.5) / 32 * 2.0 - 1.0
    v, u = torch.meshgrid(line, line, indexing='ij')
    for way in LOOKS:
        # What a look sees at a pixel came from here in the crop.
        turn = -way.turns * STEP * WIDTH
        x = math.cos(turn) * u - math.sin(turn) * v
        y = math.sin(turn) * u + math.cos(turn) * v
        x, own = (-x, -y) if way.mirrored else (x, y)  # in a mirror the body's own y is negated
        points = torch.stack((x, own, 0.5 * torch.ones_like(x)))[None]
        undone = _undone(reading_of(torch.eye(3), points=points), way, STEP, False).points[0]
        inside = torch.hypot(u, v) < 0.8
        wanted = torch.stack((u, v, 0.5 * torch.ones_like(u)))
        assert float((undone - wanted)[:, inside].abs().max()) < 0.03


class Needles(torch.nn.Module):
    """Says that the axis is where the picture's bright pixels lie, and that it sees no points."""

    def __init__(self):
        super().__init__()
        self.config = SimpleNamespace(azimuth_bins=BINS)

    def forward(self, rgb, focal=None, known=None):
        line = (torch.arange(rgb.shape[-1]) + 0.5) / rgb.shape[-1] * 2.0 - 1.0
        weight = rgb[:, 0] / rgb[:, 0].sum((1, 2), keepdim=True)
        u, v = (weight.sum(1) * line).sum(1), (weight.sum(2) * line).sum(1)
        axis = torch.nn.functional.normalize(torch.stack((u, v, -0.3 * torch.ones_like(u)), 1))
        return replace(repeated(reading_of(torch.eye(3)), len(rgb)), axis=axis,
                       t=torch.stack((u, v), 1))


def model_with(reader, training=None):
    card = SimpleNamespace(symmetry='none',
                           training={'mirror': True} if training is None else training)
    return CategoryModel(None, reader, card)


def test_crops_and_looks_are_not_mixed_up():
    crops = torch.cat([blob(0.3, -0.2), blob(-0.1, 0.35)]).expand(-1, 3, -1, -1).clone()
    model = model_with(Needles())
    once, four = read(model, crops, 1), read(model, crops, 4)
    torch.testing.assert_close(four.axis, once.axis, atol=0.03, rtol=0.0)
    torch.testing.assert_close(four.t, once.t, atol=0.02, rtol=0.0)
    assert float((once.axis[0] - once.axis[1]).abs().max()) > 0.3


@pytest.mark.parametrize('count', [1, 4])
def test_every_look_is_told_its_own_crops_focal_length(count):
    reader = Counting()
    model = model_with(reader)
    read(model, torch.rand(2, 3, 8, 8), count, torch.tensor([4.0, 7.0]))
    assert reader.focal.tolist() == [4.0, 7.0] * count
    assert reader.known is None


def test_known_codes_are_told_of_the_crop_and_not_of_its_mirror_image():
    reader = Counting()
    model = model_with(reader)
    known = torch.tensor([[1.0, 2.0], [math.nan, math.nan]])
    read(model, torch.rand(2, 3, 8, 8), 3, None, known)
    assert reader.known[:, 0].nan_to_num(-1.0).tolist() == [1.0, -1.0, -1.0, -1.0, 1.0, -1.0]


@pytest.mark.parametrize(('bins', 'shown'), [(24, 8), (25, 6), (16, 4), (15, 2)])
def test_looks_that_a_histogram_cannot_undo_are_left_out(bins, shown):
    reader = Counting()
    reader.config = SimpleNamespace(azimuth_bins=bins)
    model = model_with(reader)
    read(model, torch.rand(2, 3, 8, 8), 4)
    assert reader.shown == [shown]


@pytest.mark.parametrize('readings', [0, 5, -1])
def test_a_preset_cannot_read_more_ways_than_there_are(readings):
    with pytest.raises(PoseError, match='1 to 4 readings'):
        replace(PRESETS['cold'], readings=readings)
    assert len(LOOKS) == MOST_READINGS


@pytest.mark.parametrize('cuts', [0, 6])
def test_presets_cannot_ask_for_other_cuts_than_there_are(cuts):
    with pytest.raises(PoseError, match='give 1 to 5 cuts'):
        replace(PRESETS['cold'], cuts=cuts)
    assert len(OTHER_CUTS) == MOST_CUTS - 1


def test_the_mean_lies_between_readings_in_neighbouring_bins():
    """Azimuths 4 degrees apart on both sides of a bin's edge: the mean is 2 from either."""
    edge = bin_centers(BINS)[3] + WIDTH / 2.0
    tilt = exp_so3(torch.tensor([0.9, 0.0, 0.0], dtype=torch.float64))
    both = [tilt @ rotation_z((edge + math.radians(x)).double()) for x in (-2.0, 2.0)]
    mean = _mean([reading_of(R) for R in both], [Look(), Look()])
    R = mean.proposals(1)[0][0, 0]
    apart = [math.degrees(float(geodesic_angle(R, x))) for x in both]
    assert apart == pytest.approx([2.0, 2.0], abs=0.01)


def test_further_rotations_of_several_looks_are_gathered_around_what_most_of_them_say():
    def about(axis, degrees):
        return exp_so3(math.radians(degrees) * torch.eye(3, dtype=torch.float64)[axis])

    R = exp_so3(torch.tensor([0.9, 0.2, 0.1], dtype=torch.float64))
    first = reading_of(R).proposals(1)[0][0, 0]
    often, once, never = (about(1, 80.0) @ R, about(0, -70.0) @ R, about(2, 110.0) @ R)
    said = [replace(reading_of(R), others=torch.stack(others)[None],
                    other_logits=torch.tensor([odds], dtype=torch.float64).log())
            for others, odds in (((often, once), (0.2, 0.3)),
                                 # The same in another order, and one that agrees with the first.
                                 ((about(0, 2.0) @ first, about(1, 6.0) @ often), (0.9, 0.2)),
                                 ((never, about(1, -3.0) @ often), (0.02, 0.2)))]
    mean = _mean(said, [Look()] * 3)
    assert mean.others.shape == (1, 2, 3, 3)
    # 0, 6 and 3 degrees to either side, of nearly the same odds.
    assert math.degrees(float(geodesic_angle(mean.others[0, 0], often))) < 2.0
    torch.testing.assert_close(mean.others[0, 1], once, atol=1e-4, rtol=0.0)
    # Of odds 1 + 0.5, 1 + 1.1 and 1 + 0.22; the one that agrees with the first speaks for it.
    right = 1 / 1.5 + 1.9 / 2.1 + 1 / 1.22
    wanted = [0.2 * (1 / 1.5 + 1 / 2.1 + 1 / 1.22) / right, 0.3 / 1.5 / right]
    assert mean.other_logits.exp()[0].tolist() == pytest.approx(wanted, rel=1e-3)
    one = _mean(said[:1], [Look()])
    torch.testing.assert_close(one.others[0], torch.stack((once, often)), atol=1e-4, rtol=0.0)


def test_a_look_that_takes_the_other_one_for_the_first_speaks_for_that():
    """Three looks say A, one B; what their mean says lies between, is neither, and comes last."""
    A = exp_so3(torch.tensor([0.9, 0.2, 0.1], dtype=torch.float64))
    B = exp_so3(torch.tensor([0.0, 0.0, 2.0], dtype=torch.float64)) @ A
    none = exp_so3(torch.tensor([0.0, 2.5, 0.0], dtype=torch.float64)) @ A
    odds = torch.tensor([[0.25, 1e-6]], dtype=torch.float64).log()
    said = [replace(reading_of(x), others=torch.stack((y, none))[None], other_logits=odds)
            for x, y in ((A, B), (A, B), (A, B), (B, A))]
    whole = _mean(said, [Look()] * 4)
    R, weights = whole.proposals(3)
    # A: 0.8 of three looks' firsts, 0.2 of one's further one; B the other way round.
    for proposal, wanted, share in ((R[0, 0], A, 0.65), (R[0, 1], B, 0.35)):
        assert math.degrees(float(geodesic_angle(proposal, wanted))) < 1.0
        assert float(weights[0, 0 if wanted is A else 1]) == pytest.approx(share, abs=1e-3)
    torch.testing.assert_close(R[:, 2], whole.first(), atol=1e-6, rtol=0.0)
    assert float(weights[0, 2]) < 1e-3


def test_odds_of_looks_that_are_very_sure_stay_numbers():
    R = exp_so3(torch.tensor([0.9, 0.2, 0.1]))
    far = exp_so3(torch.tensor([0.0, 1.5, 0.0])) @ R
    for sure in (-500.0, 500.0):
        said = [replace(reading_of(R), others=far[None, None], other_logits=torch.tensor([[sure]]))
                for _ in range(2)]
        mean = _mean(said, [Look(), Look()])
        assert torch.isfinite(mean.other_logits).all()
        assert torch.isfinite(mean.proposals(3)[1]).all()


def test_a_mirrored_look_has_no_say_in_the_code():
    R = exp_so3(torch.tensor([0.9, 0.2, 0.1], dtype=torch.float64))
    said = [reading_of(R, latent=(x,)) for x in (1.0, 5.0, 3.0)]
    mean = _mean(said, [Look(), Look(mirrored=True), Look(turns=1)])
    assert mean.mean.tolist() == [[2.0]]


class Counting(torch.nn.Module):
    """Says the same of everything and counts what it is shown."""

    def __init__(self):
        super().__init__()
        self.config = SimpleNamespace(azimuth_bins=BINS)
        self.shown, self.focal, self.known = [], None, None

    def forward(self, rgb, focal=None, known=None):
        self.shown.append(len(rgb))
        self.focal, self.known = focal, known
        return repeated(reading_of(torch.eye(3)), len(rgb))


@pytest.mark.parametrize(('mirror', 'count', 'shown'), [
    (True, 1, 2), (True, 2, 4), (True, 4, 8), (False, 1, 2), (False, 2, 2), (False, 4, 6)])
def test_models_that_never_saw_a_mirror_are_not_shown_one(mirror, count, shown):
    reader = Counting()
    training = {'mirror': True} if mirror else {}
    said = read(model_with(reader, training), torch.rand(2, 3, 8, 8), count)
    assert reader.shown == [shown]
    assert len(said.axis) == 2
