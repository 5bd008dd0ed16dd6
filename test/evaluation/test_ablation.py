# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
from dataclasses import replace
import math
from types import SimpleNamespace

import pytest
from tiny_models import tiny_model
import torch

from ros2_nabs_pose.cli.main import main
from ros2_nabs_pose.core.checkpoint import CategoryModel
from ros2_nabs_pose.core.cuts import limited, tight_zoom
from ros2_nabs_pose.core.encoder import Encoder
from ros2_nabs_pose.core.generator import FRAME_MARGIN, Generator
from ros2_nabs_pose.core.presets import PaperPreset, PoseStage, PRESETS
from ros2_nabs_pose.core.readings import turned
from ros2_nabs_pose.core.rotations import exp_so3, geodesic_angle, rotation_z
from ros2_nabs_pose.core.types import PoseError
from ros2_nabs_pose.evaluation import ablation, every_category
from ros2_nabs_pose.evaluation.ablation import (
    default_variants,
    draw_cases,
    measure,
    pareto,
    rotation_error_deg,
    run_case,
    table,
    Variant,
)
from ros2_nabs_pose.evaluation.ablation_plots import plot_pareto, write_plots
from ros2_nabs_pose.evaluation.ablation_shapes import turned_starts
from ros2_nabs_pose.evaluation.every_category import presets_by_category
from ros2_nabs_pose.training.instances import TrainingViews


@pytest.fixture()
def views():
    """Discs with a bright dot towards the object's x axis; two instances, four views each."""
    generator = torch.Generator().manual_seed(0)
    azimuth = 6.28 * torch.rand(2, 4, generator=generator)
    zero = torch.zeros_like(azimuth)
    look = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    R = exp_so3(torch.stack((zero + 0.6, zero, zero), -1)) @ look @ rotation_z(azimuth)
    line = ((torch.arange(64) + 0.5) / 32.0 - 1.0) * FRAME_MARGIN
    v, u = torch.meshgrid(line, line, indexing='ij')
    dot = 0.5 * R[..., :2, 0]
    near = ((u - dot[..., 0, None, None]) ** 2 + (v - dot[..., 1, None, None]) ** 2) < 0.02
    disc = (u ** 2 + v ** 2 < 0.5).expand_as(near)
    rgba = torch.stack((near * 255, disc * 90, disc * 40, disc * 255), -1).to(torch.uint8)
    return TrainingViews(
        rgba=rgba, depth=torch.zeros(2, 4, 64, 64).half(), front=(near * 255).to(torch.uint8),
        clear=None, R_view=R, perspective=torch.full_like(azimuth, 0.1),
        front_visible=torch.ones_like(azimuth), size=torch.ones(2, 3), center=torch.zeros(2, 3),
        log_radius=torch.full((2,), -2.5), usual=torch.ones(2, dtype=torch.bool),
        backgrounds=None, fingerprint='test', recipe={})


@pytest.fixture()
def model():
    return tiny_model()


def test_crops_are_the_same_every_time_and_remember_a_pose_5_to_10_degrees_off(views):
    first = draw_cases(views, 5, False)
    torch.rand(7)
    again = draw_cases(views, 5, False)
    assert len(first) == 5
    assert all(torch.equal(a.image, b.image) for a, b in zip(first, again, strict=True))
    for case in first:
        apart = math.degrees(float(geodesic_angle(case.before[None], case.R)[0]))
        assert 4.99 < apart < 10.01
        # Perspective (radius over distance) is what scale and focal length say.
        assert float(torch.exp(case.log_scale) / case.focal) == pytest.approx(0.1, abs=1e-6)


def test_crops_that_hide_the_front_do_not_count(views):
    hidden = torch.ones_like(views.front_visible)
    hidden[:, ::2] = 0.0
    cases = draw_cases(replace(views, front_visible=hidden), 6, False)
    shown = views.R_view[:, 1::2].flatten(0, 1)[:, :, 2]
    for case in cases:  # the axis' slope along the ray does not change with the in-plane angle
        assert float((shown[:, 2] - case.R[0, 2, 2]).abs().min()) < 1e-5


def test_errors_of_round_objects_are_their_axes():
    R = torch.eye(3)[None]
    turned = exp_so3(torch.tensor([[0.2, 0.0, 0.0]])) @ R @ rotation_z(torch.tensor([1.0]))
    assert float(rotation_error_deg(turned, R, True)) == pytest.approx(math.degrees(0.2), abs=1e-3)
    assert float(rotation_error_deg(turned, R, False)) > 50.0


def test_starts_are_turned_by_what_was_asked():
    R = exp_so3(torch.tensor([[0.3, 0.9, -0.2]]))
    generator = torch.Generator().manual_seed(0)
    for free in (False, True):
        starts = turned_starts(R, torch.zeros(1, 2), torch.zeros(1), torch.zeros(1, 4),
                               (0, 45, 135), free, generator)
        found = rotation_error_deg(starts.R, R.expand(3, -1, -1), free)
        assert found.tolist() == pytest.approx([0.0, 45.0, 135.0], abs=0.05)


def test_the_table_compares_on_the_crops_that_the_paper_had_time_for():
    variants = (Variant('cold', 'preset', PRESETS['cold']),
                Variant('paper_offline', 'paper', PRESETS['paper_offline']),
                Variant('paper', 'paper', PRESETS['paper']))
    cold, paper = table(variants, {'cold': [(4.0, 0.1), (30.0, 0.1), (8.0, 0.1)],
                                   'paper_offline': [(12.0, 20.0)], 'paper': []})
    assert cold['rotation_median_deg'] == 8.0
    assert cold['within_5_deg'] == pytest.approx(1 / 3)
    assert cold['within_10_deg'] == pytest.approx(2 / 3)
    assert cold['speed_up'] == {'paper_offline': pytest.approx(200.0)}
    assert cold['paper_crops']['paper_offline']['rotation_median_deg'] == 4.0
    assert paper['crops'] == 1 and paper['speed_up']['paper_offline'] == 1.0


def test_variants_for_speed_only_are_a_yardstick_of_time_and_no_row():
    variants = (Variant('cold', 'preset', PRESETS['cold']),
                Variant('random', 'paper', PRESETS['paper'], speed_only=True))
    (row,) = table(variants, {'cold': [(4.0, 0.1)], 'random': [(90.0, 50.0)]})
    assert row['speed_up'] == {'random': pytest.approx(500.0)}
    assert row['paper_crops'] == {}


def test_none_beats_the_front_in_both_time_and_error():
    rows = [{'name': n, 'warm': w, 'seconds_median': s, 'rotation_median_deg': e}
            for n, w, s, e in (('fast', False, 1.0, 9.0), ('good', False, 5.0, 3.0),
                               ('beaten', False, 6.0, 4.0), ('tracked', True, 0.5, 2.0))]
    assert pareto(rows) == ['fast', 'good', 'tracked']


def test_variants_turn_one_knob_and_have_names_of_their_own():
    variants = default_variants()
    assert len({v.name for v in variants}) == len(variants)
    assert {v.knob for v in variants} == {
        'preset', 'refiner', 'mirror', 'cuts', 'steps', 'readings', 'starts', 'optimiser', 'loss',
        'pull', 'start_prior', 'paper'}
    by_name = {v.name: v.preset for v in variants}
    assert by_name['1 cut'] == replace(PRESETS['cold'], cuts=1)
    assert by_name['8 starts'] == replace(by_name['1 cut'], cold_starts=8)


def test_what_leans_is_turned_upright_before_it_is_fitted(views, model, monkeypatch):
    """Fits are shown the same crop however the picture is turned; the error is told of the turn."""
    case, = draw_cases(views, 1, False)
    fitted = []

    def fit(model, starts, seen, focal, preset, refiner=None):
        fitted.append((seen.rgb, focal, starts.R[:1]))
        # An answer that is exact in the picture that was fitted.
        return SimpleNamespace(best=SimpleNamespace(R=starts.R[:1]))

    monkeypatch.setattr(ablation, 'fit', fit)
    warm = Variant('warm', 'preset', replace(PRESETS['warm'], warm_starts=0), warm=True)
    back = rotation_z(-torch.atan2(case.R[0, 0, 2], -case.R[0, 1, 2]))
    straight = replace(case, R=back @ case.R, before=back @ case.R[0])
    lean, angle = rotation_z(torch.tensor(1.2)), torch.tensor([1.2])
    leaning = replace(straight, R=lean @ straight.R, before=lean @ straight.before,
                      image=turned(straight.image, angle), mask=turned(straight.mask, angle))
    # The error is told in the turned picture, where the answer is: a wrong turn would show.
    off = exp_so3(torch.tensor([0.0, 0.1, 0.0]))
    straight, leaning = (replace(c, before=c.before @ off) for c in (straight, leaning))
    errors = [run_case(model, c, warm)[0] for c in (straight, leaning)]
    assert errors == pytest.approx([math.degrees(0.1)] * 2, abs=0.1)
    (first, f0, start), (again, f1, start_again) = fitted
    torch.testing.assert_close(start, straight.before[None], atol=1e-4, rtol=0.0)
    lean_left = -torch.atan2(start_again[0, 0, 2], -start_again[0, 1, 2])
    assert float(lean_left) == pytest.approx(0.0, abs=1e-4)
    assert torch.equal(first, case.image) and torch.equal(f0, case.focal)
    zoom = f1 / f0
    lean_back = float(torch.atan2(leaning.before[0, 2], leaning.before[1, 2].neg()).neg())
    assert float(zoom) == pytest.approx(limited(tight_zoom(leaning.mask[0, 0].numpy(), lean_back)))

    def coarse(image):
        return torch.nn.functional.avg_pool2d(image[..., 16:48, 16:48], 4)

    expected = coarse(turned(straight.image, torch.zeros(1), zoom))
    assert float((coarse(again) - expected).abs().mean()) < 0.005
    assert float((coarse(leaning.image) - expected).abs().mean()) > 0.02


def test_presets_are_compared_on_every_category_and_on_all(views, model, monkeypatch, tmp_path):
    torch.manual_seed(2)
    other = CategoryModel(Generator(model.generator.config), Encoder(model.encoder.config),
                          model.card).eval()
    models = {'mug': model, 'pot': other}
    monkeypatch.setattr(every_category, 'load_model', lambda path: models[path.stem])
    monkeypatch.setattr(every_category.TrainingViews, 'load', lambda folder, clutter, split: views)
    said = []
    found = presets_by_category([tmp_path / 'mug', tmp_path / 'pot'], tmp_path, None, 2,
                                progress=said.append)
    rows = found['presets']
    assert found['beside_paper'] == []
    assert [(r['category'], r['preset']) for r in rows] == [
        (c, p) for c in ('mug', 'pot', every_category.ALL) for p in ('cold', 'warm', 'accurate')]
    assert [r['crops'] for r in rows] == [2] * 6 + [4] * 3
    assert said == ['mug: crop 1 of 2', 'mug: crop 2 of 2', 'pot: crop 1 of 2', 'pot: crop 2 of 2']
    for category, row in (('mug', rows[0]), ('pot', rows[3])):
        errors = [run_case(models[category], case, Variant('cold', 'preset', PRESETS['cold']))[0]
                  for case in draw_cases(views, 2, False)]
        assert row['rotation_median_deg'] == pytest.approx(sum(errors) / 2.0, abs=1e-3)
    assert rows[0]['rotation_median_deg'] != rows[3]['rotation_median_deg']
    small = replace(views, rgba=views.rgba[:, :, ::2, ::2])
    monkeypatch.setattr(every_category.TrainingViews, 'load', lambda folder, clutter, split: small)
    with pytest.raises(PoseError, match='pot: The views are of 32 pixels'):
        presets_by_category([tmp_path / 'pot'], tmp_path, None, 2)


def test_the_published_protocol_is_compared_on_the_crops_that_it_had(
        views, model, monkeypatch, tmp_path):
    short = Variant('short paper', 'paper', PaperPreset('p', {'features': 1.0}, starts=2,
                                                        iterations=1))
    monkeypatch.setattr(every_category, 'yardstick', lambda model: short)
    monkeypatch.setattr(every_category, 'load_model', lambda path: model)
    monkeypatch.setattr(every_category.TrainingViews, 'load', lambda folder, clutter, split: views)
    said = []
    found = presets_by_category([tmp_path / 'mug', tmp_path / 'pot'], tmp_path, None, 3,
                                progress=said.append, by_paper=2)
    assert {r['crops'] for r in found['presets']} == {3, 6}
    beside = found['beside_paper']
    names = ['cold', 'warm', 'accurate', 'short paper']
    assert [(r['category'], r['preset']) for r in beside] == [
        (c, p) for c in ('mug', 'pot', every_category.ALL) for p in names]
    assert [r['crops'] for r in beside] == [2] * 8 + [4] * 4
    cases = draw_cases(views, 3, False)
    for row, name in zip(beside[:4:3], ('cold', 'paper'), strict=True):
        variant = short if name == 'paper' else Variant('cold', 'preset', PRESETS['cold'])
        errors = [run_case(model, case, variant)[0] for case in cases[:2]]
        assert row['rotation_median_deg'] == pytest.approx(sum(errors) / 2.0, abs=1e-3)
    assert said[3:5] == ['mug, short paper: crop 1 of 2', 'mug, short paper: crop 2 of 2']


@pytest.mark.parametrize('there, name', [(True, 'paper'), (False, 'paper_offline')])
def test_the_yardstick_is_the_paper_where_its_weights_can_be_had(model, monkeypatch, there, name):
    def build(losses, encoder):
        if not there:
            raise PoseError('no weights')

    monkeypatch.setattr(every_category, 'build_terms', build)
    chosen = every_category.yardstick(model)
    assert (chosen.name, chosen.preset) == (name, PRESETS[name])


def test_every_knob_is_in_the_legend(monkeypatch, tmp_path):
    """More knobs than a palette has colours, and the yardstick's come last."""
    names = [f'knob {k}' for k in range(13)]
    rows = [{'name': n, 'knob': n, 'warm': False, 'seconds_median': 0.1 + k,
             'rotation_median_deg': 5.0 + k} for k, n in enumerate(names)]
    shown = []
    monkeypatch.setattr('matplotlib.axes.Axes.legend', lambda self, **given: shown.extend(
        self.get_legend_handles_labels()[1]))
    plot_pareto({'variants': rows, 'category': 'mug', 'crops': 3, 'speed_only': {}},
                tmp_path / 'plot.png')
    assert shown == names


def test_wrong_folders_of_every_category_are_named(tmp_path, capsys):
    given = ['benchmark', 'fit', '--category', 'mug', '--data', str(tmp_path)]
    assert main([*given, '--all', str(tmp_path)]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1 and f'rendered instances in {tmp_path}' in told[0]
    for option in ('--each', '--paper'):
        assert main([*given, option, '5']) == 2
        assert f'{option} is for the crops of --all' in capsys.readouterr().err


def test_a_report_is_measured_and_drawn(views, model, tmp_path):
    variants = (
        Variant('cold', 'preset', replace(PRESETS['cold'], stages=(PoseStage((16,), 1),))),
        Variant('warm', 'preset', PRESETS['warm'], warm=True),
        Variant('short paper', 'paper', PaperPreset('p', {'features': 1.0}, starts=2,
                                                    iterations=1)),
        Variant('no such', 'paper', PaperPreset('p', {'nonsense': 1.0})),
        Variant('for speed', 'paper', PaperPreset('p', {'features': 1.0}, starts=2, iterations=1),
                speed_only=True))
    said = []
    report = measure(model, views, 2, 0.001, variants, said.append)
    rows = {row['name']: row for row in report['variants']}
    assert set(rows) == {'cold', 'warm', 'short paper'}
    assert rows['cold']['seconds_median'] > 0.0
    assert rows['short paper']['crops'] == 1
    assert report['speed_only']['for speed']['crops'] == 1
    assert rows['warm']['speed_up']['for speed'] == pytest.approx(
        report['speed_only']['for speed']['seconds_median'] / rows['warm']['seconds_median'])
    assert any('nonsense' in line for line in report['left_out'])
    # 0.06 s are too short for everything: one crop each, and it is said.
    assert report['crops'] == 1 or rows['cold']['crops'] == 2
    assert len(said) >= 3
    assert set(report['basin']['share_of_basin']) == set(report['basin']['share'])
    assert set(report['basin']['share']) == {'own, cold', 'own, accurate', 'held-out, cold',
                                             'held-out, accurate'}
    picture = report['landscapes']['crops'][0]
    middle = len(report['landscapes']['shift']) // 2
    # Both planes show the same state in their middle.
    for term, values in picture['turn'].items():
        assert values[middle][middle] == pytest.approx(picture['shift'][term][middle][middle],
                                                       abs=2e-4)
    write_plots(report, tmp_path / 'plots')
    assert {p.name for p in (tmp_path / 'plots').iterdir()} == {
        'fit-pareto.png', 'fit-basin.png', 'fit-landscapes.png'}
