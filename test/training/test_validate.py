# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
import math
from types import SimpleNamespace

import pytest
from test_training import tiny_views
import torch

from ros2_nabs_pose.core.checkpoint import CategoryModel
from ros2_nabs_pose.core.encoder import Encoding
from ros2_nabs_pose.core.memory import CodePrior
from ros2_nabs_pose.core.rotations import angle_apart, exp_so3
from ros2_nabs_pose.core.starts import TILTS_RAD
from ros2_nabs_pose.training import validate as validating
from ros2_nabs_pose.training.second_look import read_as_fitted
from ros2_nabs_pose.training.second_look import upright as turned_upright
from ros2_nabs_pose.training.validate import drawing_errors, median


def needle(lean, size=64):
    """A bright needle from the picture's centre, ``lean`` rad clockwise from up, (3, S, S)."""
    line = (torch.arange(size) + 0.5) / size * 2.0 - 1.0
    v, u = torch.meshgrid(line, line, indexing='ij')
    along = u * math.sin(lean) - v * math.cos(lean)
    across = u * math.cos(lean) + v * math.sin(lean)
    return ((across.abs() < 0.08) & (along > 0.0) & (along < 0.6)).float().expand(3, -1, -1)


class NeedleReader(torch.nn.Module):
    """Says that the axis is where the needle points, and keeps what it was shown."""

    def __init__(self):
        super().__init__()
        self.shown, self.focal = [], None
        self.config = SimpleNamespace(azimuth_bins=24)

    def forward(self, crop, focal=None, known=None):
        self.shown.append(crop)
        self.focal = focal
        line = (torch.arange(crop.shape[-1]) + 0.5) / crop.shape[-1] * 2.0 - 1.0
        weight = crop[:, 0] / crop[:, 0].sum((1, 2), keepdim=True)
        u, v = (weight.sum(1) * line).sum(1), (weight.sum(2) * line).sum(1)
        axis = torch.nn.functional.normalize(torch.stack((u, v, -0.2 * torch.ones_like(u)), 1))
        zero = torch.zeros(len(crop))
        logits = torch.zeros(len(crop), 24)
        logits[:, 12] = 9.0
        return Encoding(zero[:, None], zero[:, None], (crop[:, :1] - 0.5) * 9.0, axis, logits,
                        torch.zeros(len(crop), 24), torch.zeros(len(crop), 2), zero, zero,
                        torch.zeros(len(crop), 3, 32, 32), torch.zeros(len(crop), 0, 3, 3),
                        torch.zeros(len(crop), 0))


def crops_of(image):
    return SimpleNamespace(image=image, focal=torch.full((len(image),), 5.0))


def model_of(reader, symmetry='none'):
    return CategoryModel(None, reader, SimpleNamespace(symmetry=symmetry, training={}))


def test_what_leans_is_shown_again_upright_and_turned_back_in_the_answer():
    leans = [0.1, 1.2, -2.5]
    reader = NeedleReader()
    image = torch.stack([needle(lean) for lean in leans])
    _, R = read_as_fitted(model_of(reader), crops_of(image), reader(image), 4)
    looked_at = reader.focal
    axis = R[:, 0, :, 2]
    first, looks = reader.shown
    assert len(looks) == 9  # as it is, turned to and fro; untrained in mirrors, so none
    # What is shown enlarged has a longer focal length, in every look.
    said = reader(image)
    zooms = turned_upright(image, said.axis, torch.sigmoid(said.mask_logits))[2]
    assert float(zooms[0]) == 1.0 and (zooms[1:] != 1.0).all()
    torch.testing.assert_close(looked_at, (5.0 * zooms).repeat(3))
    assert torch.equal(looks[0], first[0])  # the first one stands
    second = looks[1:3]
    upright = reader(second).axis
    torch.testing.assert_close(upright[:, 0], torch.zeros(2), atol=0.02, rtol=0.0)
    assert (upright[:, 1] < -0.8).all()
    # It reaches 0.6 of the way to the edge from the centre, a box's edge 1 / 1.4 of it.
    height = (second[:, 0] > 0.5).any(2).sum(1) / 64
    assert height.tolist() == pytest.approx([0.5 / 1.4] * 2, abs=0.04)
    wanted = torch.tensor([[math.sin(x), -math.cos(x)] for x in leans])
    torch.testing.assert_close(torch.nn.functional.normalize(axis[:, :2]), wanted, atol=0.04,
                               rtol=0.0)
    # What is read the same in every look is their mean.
    torch.testing.assert_close(axis[0], reader(first).axis[0], atol=0.02, rtol=0.0)


def test_what_spins_freely_is_proposed_with_other_tilts():
    reader = NeedleReader()
    image = needle(0.1)[None]
    _, R = read_as_fitted(model_of(reader, 'free_z'), crops_of(image), reader(image), 4)
    axes = R[0, :, :, 2]
    torch.testing.assert_close(axes[0], reader(image).axis[0], atol=0.02, rtol=0.0)
    apart = torch.rad2deg(torch.arccos((axes @ axes[0]).clamp(-1.0, 1.0)))
    assert apart.tolist() == pytest.approx([0.0] + [math.degrees(abs(t)) for t in TILTS_RAD[1:4]],
                                           abs=0.05)


def test_every_round_looks_at_other_crops_and_the_first_at_those_of_one(monkeypatch):
    seeds, cut = [], []

    def examples(model, data, batches, seed):
        seeds.append((batches, seed))
        return []

    def crops(data, batches, seed, **kind):
        cut.append((batches, seed, *kind.items()))
        return []

    monkeypatch.setattr(validating, '_examples', examples)
    monkeypatch.setattr(validating, '_crops', crops)
    for name in ('median', '_share'):  # of nothing
        monkeypatch.setattr(validating, name, lambda *values: math.nan)
    validating.validate(model_of(None), None, False)
    first = list(seeds)
    validating.validate(model_of(None), None, False, rounds=3)
    assert len(first) == 1 and seeds[1] == first[0] and len(set(seeds)) == 3
    assert validating.CROPS == 384
    # Objects cut off, in other prints and of other proportions are looked at beside, every round.
    assert len(cut) == 12 and len(set(cut)) == 9
    assert cut[:3] == [(4, validating.SEED, ('cut_off', 1.0)),
                       (4, validating.SEED, ('painted', True)),
                       (4, validating.SEED, ('stretched', True))]


@pytest.mark.parametrize('kind', ['cut_off', 'painted', 'stretched'])
def test_what_is_cut_off_painted_or_stretched_is_judged_by_itself(monkeypatch, kind):
    """Needles 10 and 30 degrees off, the second one's front out of sight, and nothing whole."""
    reader = NeedleReader()
    image = needle(math.radians(40.0))[None].repeat(2, 1, 1, 1)
    said = reader(image)
    truth = read_as_fitted(model_of(reader), crops_of(image), said, 1)[1][:, 0]
    off = exp_so3(torch.deg2rad(torch.tensor([[0.0, 0.0, 10.0], [0.0, 0.0, 30.0]])))
    crops = SimpleNamespace(**vars(crops_of(image)), R=off @ truth,
                            front_visible=torch.tensor([1.0, 0.0]))
    monkeypatch.setattr(validating, '_examples', lambda *args: [])
    monkeypatch.setattr(validating, '_crops',
                        lambda *args, **kinds: [(None, None, crops)] if kind in kinds else [])
    median_of = validating.median
    for name, of in (('median', median_of), ('_share', validating._share)):
        monkeypatch.setattr(validating, name, lambda values, *rest, of=of: (
            of(values, *rest) if values else math.nan))
    found = validating.validate(model_of(reader), None, False)
    apart = torch.rad2deg(angle_apart(truth[:, None], crops.R[:, None], True))[:, 0]
    assert found[f'{kind}_within_20_deg'] == 1.0  # of the one whose front is seen
    assert found[f'{kind}_axis_median_deg'] == pytest.approx(float(apart.median()), abs=1e-3)
    for other in {'cut_off', 'painted', 'stretched'} - {kind}:
        assert math.isnan(found[f'{other}_within_20_deg'])
    assert math.isnan(found['within_20_deg']) and math.isnan(found['axis_median_deg'])


def test_painted_crops_are_the_same_objects_in_other_colours():
    data = tiny_views(8, 5)
    plain, painted = (validating._crops(data, 1, 3, painted=how)[0][2] for how in (False, True))
    views = [validating._crops(data, 1, 3, painted=how)[0][1] for how in (False, True)]
    assert torch.equal(views[0].R_view, views[1].R_view)
    assert torch.equal(views[0].stacked[:, 3:], views[1].stacked[:, 3:])
    changed = (views[0].stacked[:, :3] - views[1].stacked[:, :3]).abs().flatten(1).amax(1) > 0.05
    assert float(changed.float().mean()) > 0.7
    apart = (plain.image - painted.image)[:, :, 24:40, 24:40].abs().mean((1, 2, 3))
    assert float((apart > 0.02).float().mean()) > 0.6


def test_stretched_crops_are_other_shapes_of_the_same_objects():
    data = tiny_views(8, 5)
    plain, stretched = (validating._crops(data, 1, 3, stretched=how)[0][1]
                        for how in (False, True))
    assert torch.equal(plain.front_visible, stretched.front_visible)
    # Every instance is stretched, and so every view, but for what is seen along the one long side.
    changed = (plain.stacked[:, 3] - stretched.stacked[:, 3]).abs().flatten(1).sum(1)
    assert float((changed > 40.0).float().mean()) > 0.8
    turned = torch.rad2deg(angle_apart(plain.R_view[:, None], stretched.R_view[:, None], False))
    assert 1.0 < float(turned.median()) < 10.0


def test_drawings_are_judged_by_outline_colour_and_depth_each_in_its_own_unit():
    size = 64
    alpha = torch.zeros(1, 1, size, size)
    alpha[..., 16:48, 16:48] = 1.0
    grain = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    one = torch.cat(((0.2 + 0.4 * grain) * alpha, alpha, 0.1 * alpha), 1)
    drawn = one.repeat(3, 1, 1, 1)
    drawn[1, :3] += 0.1 * alpha[0]  # brighter: 20 dB, and right once light is removed
    drawn[1, 4:] += 0.06 * alpha[0]  # radii: 3 % of the diameter
    drawn[1, :, 16:24] = 0.0  # a quarter is missing, and does not count for colour and depth
    drawn[2] = 0.0
    found = drawing_errors(drawn, SimpleNamespace(stacked=one.repeat(3, 1, 1, 1)))
    assert found['alpha_iou'].tolist() == pytest.approx([1.0, 0.75, 0.0])
    assert found['psnr_db'][:2].tolist() == pytest.approx([80.0, 20.0], abs=1e-3)
    assert float(found['psnr_lit_db'][:2].min()) > 50.0
    assert found['depth_error'][:2].tolist() == pytest.approx([0.0, 0.03], abs=1e-5)
    # Of what is not drawn at all there is nothing to say but that.
    assert all(math.isnan(found[k][2]) for k in ('psnr_db', 'psnr_lit_db', 'depth_error'))
    assert median([found['depth_error']]) == pytest.approx(0.0, abs=1e-6)


def test_kinds_of_strangers_are_judged_by_themselves(monkeypatch):
    """Needles 5, 15, 30 and 7 degrees off, two of a kind, the second one's front out of sight."""
    reader = NeedleReader()
    image = needle(math.radians(40.0))[None].repeat(4, 1, 1, 1)
    truth = read_as_fitted(model_of(reader), crops_of(image), reader(image), 1)[1][:, 0]
    off = exp_so3(torch.deg2rad(torch.tensor([[0.0, 0.0, d] for d in (5.0, 15.0, 30.0, 7.0)])))
    crops = SimpleNamespace(**vars(crops_of(image)), R=off @ truth, mask=torch.ones(4, 1, 64, 64),
                            front_visible=torch.tensor([1.0, 0.0, 1.0, 1.0]))
    monkeypatch.setattr(validating, '_crops',
                        lambda *args: [(torch.tensor([1, 1, 0, 0]), None, crops)])
    data = SimpleNamespace(kinds=('tall', 'flat', 'rare'), rgba=torch.zeros(1))
    found = validating.read_strangers(model_of(reader), data, False)
    flat, tall, rare = (found['kinds'][kind] for kind in ('flat', 'tall', 'rare'))
    assert (flat['front_seen'], tall['front_seen'], rare['front_seen']) == (1, 2, 0)
    assert (flat['within_10_deg'], tall['within_10_deg']) == (1.0, 0.5)
    assert found['within_10_deg'] == pytest.approx(2.0 / 3.0)
    assert flat['rotation_median_deg'] == pytest.approx(5.0, abs=0.1)
    # Axes are judged of all crops, also where the front is out of sight.
    axes = torch.rad2deg(angle_apart(truth[:, None], crops.R[:, None], True))[:, 0]
    assert flat['axis_median_deg'] == pytest.approx(float(axes[:2].median()), abs=1e-3)
    assert rare['within_10_deg'] is None and rare['mask_iou_median'] is None


def test_four_crops_together_are_drawn_from_what_all_of_them_tell(monkeypatch):
    """Codes of 1, 2, 3 and 6 with variance 1, usually 0 +- 2: 3 in the mean, 4 * 3 / (1/4 + 3)."""
    said = SimpleNamespace(mean=torch.tensor([[1.0], [2.0], [3.0], [6.0]] * 2),
                           sureness=torch.ones(8, 1))
    model = SimpleNamespace(encoder=lambda image, focal: said,
                            card=SimpleNamespace(codes=CodePrior((0.0,), (2.0,))))
    monkeypatch.setattr(validating, '_crops',
                        lambda *args: [(None, 'views', crops_of(torch.ones(8)))])
    monkeypatch.setattr(validating, 'read', lambda *args: said)
    monkeypatch.setattr(validating, 'read_as_fitted', lambda *args: (said, None))
    monkeypatch.setattr(validating, 'draw', lambda model, code, views: code)
    example, = validating._examples(model, None, 1)
    torch.testing.assert_close(example.drawn, said.mean)
    torch.testing.assert_close(example.together, torch.full((8, 1), 12.0 / 3.25))
