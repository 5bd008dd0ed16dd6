# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
from dataclasses import replace
import math
import subprocess
import sys

import pytest
from test_training import TINY_ENCODER, TINY_GENERATOR, tiny_views, what_it_asks_for
import torch

from ros2_nabs_pose.cli.main import main
from ros2_nabs_pose.core.checkpoint import CategoryModel, ModelCard, SizePrior
from ros2_nabs_pose.core.encoder import Encoder
from ros2_nabs_pose.core.generator import Generator
from ros2_nabs_pose.core.memory import CodePrior
from ros2_nabs_pose.core.refiner import (
    Comparison,
    EDGES_DEG,
    load_refiner,
    moved_by,
    Refiner,
    RefinerConfig,
    save_refiner,
)
from ros2_nabs_pose.core.rotations import geodesic_angle, rotation_facing
from ros2_nabs_pose.core.types import PoseError
from ros2_nabs_pose.training import refiner_task, refiner_trainer
from ros2_nabs_pose.training.compose import compose
from ros2_nabs_pose.training.engine import Engine
from ros2_nabs_pose.training.framing import CUT_OFF
from ros2_nabs_pose.training.instances import STEEP
from ros2_nabs_pose.training.refiner import validate_refiner
from ros2_nabs_pose.training.refiner_task import (
    as_tracked,
    BESIDE,
    HYPOTHESES,
    hypotheses_of,
    losses,
    misread,
    OTHER_CODE,
    OTHER_MASK,
    Task,
    TRACKED,
)
from ros2_nabs_pose.training.refiner_trainer import (
    begin_with,
    go_on_from,
    RefinerTrainer,
    RefinerTraining,
    VIEWS,
)
from ros2_nabs_pose.training.stretching import STRETCHED


def tiny_model(category='mug', symmetry='none', **sizes):
    torch.manual_seed(1)
    card = ModelCard(category, symmetry, 'handle', SizePrior((0.1, 0.1, 0.1), 0.08, 0.01))
    return CategoryModel(Generator(replace(TINY_GENERATOR, **sizes)),
                         Encoder(replace(TINY_ENCODER, **sizes)), card).eval()


def trainer(run, seed=1):
    config = RefinerTraining(('mug', 'can'), 'd', 'm', None, str(run), str(run / 'r.safetensors'),
                             steps=60, warmup=2, seed=seed, learning_rate=2e-3)
    models = {'mug': tiny_model(), 'can': tiny_model('can', 'free_z', latent_dim=5)}
    return RefinerTrainer(config, models, {name: tiny_views() for name in models})


def test_hypotheses_lie_around_the_truth_and_around_what_was_read():
    torch.manual_seed(5)
    _, views = tiny_views(3, 5).batch(3, 5)
    crops = compose(views, None)
    model = tiny_model()
    with torch.no_grad():
        said = model.encoder(crops.image)
    off, jitter = [], []
    for _ in range(40):
        now = hypotheses_of(said, crops, False)
        assert now.owner.tolist() == [b for b in range(15) for _ in range(3)]
        beside = torch.rad2deg(geodesic_angle(now.R[2::3], crops.R))
        off.append(beside)
        jitter.append((now.t[0::3] - said.t).flatten())
    off = torch.cat(off)
    assert 8.0 < float(off.median()) < 20.0
    assert float((off > 60.0).float().mean()) < 0.01
    assert float(torch.cat(jitter).std()) == pytest.approx(0.02, rel=0.1)


def test_some_codes_go_towards_another_instance_and_some_masks_get_a_spot_or_a_hole():
    torch.manual_seed(11)
    crops = torch.rand(300, 3, 64, 64)
    with torch.no_grad():
        said = tiny_model().encoder(crops)
    said = replace(said, mean=torch.arange(300.0).view(-1, 1).expand(-1, 27) // 2)
    said.mask_logits[:10] = torch.inf  # as of a mean of readings in half precision
    other = misread(said, 2)
    assert torch.isfinite(other.mask_logits).all()
    toward = (other.mean - said.mean)[:, 0]
    moved = toward != 0.0
    assert float(moved.float().mean()) == pytest.approx(OTHER_CODE, abs=0.08)
    share = toward[moved] / (said.mean.roll(2, 0) - said.mean)[moved, 0]
    assert float(share.min()) >= 0.2 and float(share.max()) <= 0.8
    changed = (torch.sigmoid(other.mask_logits) - torch.sigmoid(said.mask_logits)).flatten(1)
    spotted = changed.abs().amax(1) > 0.3
    assert float(spotted.float().mean()) == pytest.approx(OTHER_MASK, abs=0.07)
    for sign in (-1.0, 1.0):  # holes and spills
        assert ((sign * changed[spotted]).amax(1) > 0.3).any()
    covered = (changed[spotted].abs() > 0.1).float().mean(1)
    assert float(covered.max()) < 0.25  # a disc of 0.45 half widths, its edge soft
    assert other.axis is said.axis and other.points is said.points


def test_some_crops_are_shown_the_mean_code_of_all_views_of_their_own_instance():
    torch.manual_seed(12)
    with torch.no_grad():
        said = tiny_model().encoder(torch.rand(400, 3, 64, 64))
    codes = torch.arange(400.0).view(-1, 1).expand(-1, 27)
    # The first of four is twice as sure as the others.
    logvar = torch.zeros(400, 27)
    logvar[::4] = -math.log(2.0)
    said = replace(said, mean=codes, logvar=logvar)
    shown = as_tracked(said, 4, None)
    changed = shown.mean[:, 0] != codes[:, 0]
    assert float(changed.float().mean()) == pytest.approx(TRACKED, abs=0.08)
    means = (codes[::4] + 1.2).repeat_interleave(4, 0)  # (2 * 0 + 1 + 2 + 3) / 5
    torch.testing.assert_close(shown.mean[changed], means[changed])
    assert shown.axis is said.axis and shown.mask_logits is said.mask_logits
    # One to four sides are evidence: of a usual 0 +- 2, each of variance 0.8 for three fifths.
    usual = CodePrior((0.0,) * 27, (2.0,) * 27)
    whole = as_tracked(said, 4, usual).mean
    changed = (whole[:, 0] != codes[:, 0]) & (codes[:, 0] > 0.0)
    grown = whole[changed] / means[changed]
    # n * 1.25 / (0.25 + n * 1.0) of the mean.
    assert 1.0 <= float(grown.min()) < 1.02 and 1.165 < float(grown.max()) <= 5.0 / 4.25 + 1e-4


def test_a_task_shows_objects_cut_off_and_steep_views(monkeypatch):
    asked = what_it_asks_for(monkeypatch, refiner_trainer)
    trainer_of_one().task('mug')
    assert asked == [('steep', STEEP), ('stretched', STRETCHED), ('cut off', CUT_OFF)]


def test_a_tasks_crops_of_an_object_share_the_code_of_its_track(monkeypatch):
    monkeypatch.setattr(refiner_task, 'TRACKED', 1.0)
    monkeypatch.setattr(refiner_task, 'OTHER_CODE', 0.0)
    config = RefinerTraining(('mug',), 'd', 'm', None, '', '', crops=4)
    task = RefinerTrainer(config, {'mug': tiny_model()}, {'mug': tiny_views()}).task('mug')
    codes = task.now.latent.unflatten(0, (-1, VIEWS * HYPOTHESES))
    assert len(codes) == 2  # objects, however few crops: there must be another one's code
    torch.testing.assert_close(codes, codes[:, :1].expand_as(codes))
    assert not torch.allclose(codes[0, 0], codes[1, 0])


def test_hypotheses_of_round_bodies_are_told_as_the_camera_sees_them():
    torch.manual_seed(6)
    _, views = tiny_views(3, 5).batch(3, 5)
    crops = compose(views, None)
    with torch.no_grad():
        said = tiny_model('can', 'free_z').encoder(crops.image)
    now = hypotheses_of(said, crops, True)
    torch.testing.assert_close(now.R, rotation_facing(now.R[:, :, 2]), atol=1e-5, rtol=0.0)
    away = (now.R[2::3, :, 2] * crops.R[:, :, 2]).sum(1)
    assert float(away.min()) > 0.4  # at most 60 degrees beside the truth


def exact_task(turn_seen=True, off=0.0):
    now = RefinerTrainer.task(trainer_of_one(), 'mug').now
    R = now.R @ torch.linalg.matrix_exp(off * torch.tensor(
        [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    count = len(now.R)
    return Task(torch.zeros(count, 12, 64, 64), now, R, now.t, now.log_scale,
                torch.full((count,), turn_seen))


def trainer_of_one():
    config = RefinerTraining(('mug',), 'd', 'm', None, '', '')
    return RefinerTrainer(config, {'mug': tiny_model()}, {'mug': tiny_views()})


@pytest.mark.parametrize('way', ['mirror', 'stretch'])
def test_a_run_goes_on_with_the_pictures_that_it_began_with(tmp_path, way):
    runs = trainer_of_one()
    runs.save_state(tmp_path / 'state.pt')
    runs.load_state(tmp_path / 'state.pt')
    runs.config = replace(runs.config, **{way: False})
    with pytest.raises(PoseError, match=f'holds a run with .*--no-{way}'):
        runs.load_state(tmp_path / 'state.pt')


def test_what_is_not_to_be_stretched_is_not(monkeypatch):
    asked = what_it_asks_for(monkeypatch, refiner_trainer)
    runs = trainer_of_one()
    runs.config = replace(runs.config, stretch=False)
    runs.task('mug')
    assert ('stretched', 0.0) in asked


def test_some_of_what_was_read_is_moved_by_what_was_learned_so_far(monkeypatch):
    runs = trainer_of_one()
    turn = torch.tensor([0.3, -0.2, 0.1])
    with torch.no_grad():
        runs.average.head.bias[:6] = torch.tensor([0.6, -0.4, 0.2, 0.4, 0.0, 0.8])

    def task(share):
        monkeypatch.setattr(refiner_trainer, 'MOVED', share)
        torch.manual_seed(9)
        return runs.task('mug')

    still, moved, usual = task(0.0), task(1.0), task(0.35)
    read = torch.arange(len(still.now.owner)) % HYPOTHESES != BESIDE
    said = Comparison(turn.expand(len(read), -1), torch.tensor([0.1, 0.0]).expand(len(read), -1),
                      torch.full((len(read),), 0.2), torch.zeros(len(read), 6))
    expected = moved_by(still.now, said, free_about_z=False)
    for name in ('R', 't', 'log_scale'):
        got, was = getattr(moved.now, name), getattr(still.now, name)
        torch.testing.assert_close(got[read], getattr(expected, name)[read])
        torch.testing.assert_close(got[~read], was[~read])
    # The pairs show what was moved where it is now, and the truth stays.
    assert float((moved.pair - still.pair)[read].abs().flatten(1).amax(1).min()) > 0.01
    torch.testing.assert_close(moved.pair[~read], still.pair[~read])
    torch.testing.assert_close(moved.R, still.R)
    some = (usual.now.log_scale - still.now.log_scale).abs() > 0.1
    assert 0 < int(some.sum()) < int(read.sum()) and not bool(some[~read].any())


def silent(count, kind):
    logits = torch.full((count, len(EDGES_DEG) + 1), -30.0)
    logits[:, kind] = 30.0
    return Comparison(torch.zeros(count, 3), torch.zeros(count, 2), torch.zeros(count), logits)


def test_losses_vanish_at_the_truth_and_tell_what_is_missing():
    exact = exact_task()
    terms = losses(silent(len(exact.R), 0), exact)
    assert all(float(v) < 0.01 for v in terms.values()), terms
    # Turned by 0.3 rad about the object's axis: the front's column moves by 2 sin 0.15.
    spun = exact_task(off=0.3)
    terms = losses(silent(len(spun.R), 2), spun)
    assert float(terms['rotation']) == pytest.approx(3.0 * 2.0 * math.sin(0.15), rel=0.01)
    assert float(terms['class']) < 0.01
    assert float(losses(silent(len(spun.R), 0), spun)['class']) > 10.0
    # Where the turn cannot be told it costs nothing.
    hidden = exact_task(turn_seen=False, off=0.3)
    assert float(losses(silent(len(hidden.R), 0), hidden)['rotation']) < 0.01
    moved = replace(exact, t=exact.t + 0.1)
    assert float(losses(silent(len(exact.R), 0), moved)['place']) == pytest.approx(0.4, rel=1e-4)


def test_training_lowers_the_loss_on_all_categories_together(tmp_path):
    runs = trainer(tmp_path)
    torch.manual_seed(20)
    same = Task.joined([runs.task(name) for name in runs.models for _ in range(4)])

    @torch.no_grad()
    def terms():
        return {k: float(v) for k, v in losses(runs.refiner(same.pair), same).items()}

    first = terms()
    for _ in range(40):
        runs.train_step()
    last = terms()
    assert last['class'] < 0.95 * first['class']
    assert last['place'] < 0.8 * first['place']
    figures = validate_refiner(runs.average, runs.models, runs.data)
    assert set(figures) == {'mug', 'can'}
    assert all(0.0 <= row['after_within_20_deg'] <= 1.0 for row in figures.values())


def test_mixed_precision_shows_the_same_task(tmp_path):
    pytest.importorskip('lightning_fabric')
    exact = trainer(tmp_path)
    mixed = RefinerTrainer(exact.config, exact.models, exact.data, Engine('cpu', 'bf16-mixed'))
    tasks = []
    for one in (exact, mixed):
        torch.manual_seed(8)
        tasks.append(one.task('mug'))
    # Crop and mask of hypotheses made from the truth, whose rotations no network touches; then
    # the drawings, and what is learned from them.
    assert torch.equal(tasks[1].R, tasks[0].R) and tasks[1].pair.dtype == torch.float32
    torch.testing.assert_close(tasks[1].now.R[2::3], tasks[0].now.R[2::3], atol=1e-6, rtol=0.0)
    assert float((tasks[1].pair - tasks[0].pair)[2::3].abs().mean()) < 0.02
    assert math.isfinite(mixed.train_step()['loss'])


def test_a_resumed_training_is_the_uninterrupted_one(tmp_path):
    whole = trainer(tmp_path)
    for _ in range(4):
        whole.train_step()
    halves = trainer(tmp_path)
    for _ in range(2):
        halves.train_step()
    halves.save_state(tmp_path / 'state.pt')
    again = trainer(tmp_path)
    torch.rand(7)  # whatever else draws random numbers in the meantime
    again.load_state(tmp_path / 'state.pt')
    for _ in range(2):
        again.train_step()
    for name in ('refiner', 'average'):
        for key, value in getattr(whole, name).state_dict().items():
            assert torch.equal(getattr(again, name).state_dict()[key], value), key
    with pytest.raises(PoseError, match='other data or another seed'):
        trainer(tmp_path, seed=2).load_state(tmp_path / 'state.pt')


def test_it_begins_with_an_encoders_trunk_where_sizes_agree():
    refiner, encoder = Refiner(), Encoder()
    model = CategoryModel(Generator(), encoder, tiny_model().card)
    begin_with(refiner, model)
    assert torch.equal(refiner.down2.conv.weight, encoder.down2.conv.weight)
    assert torch.equal(refiner.down0.conv.weight[:, :3], 2.0 * encoder.down0.conv.weight)
    assert torch.equal(refiner.down0.conv.weight[:, 4:7], -0.5 * encoder.down0.conv.weight)
    before = {k: v.clone() for k, v in refiner.state_dict().items()}
    begin_with(refiner, tiny_model())
    assert all(torch.equal(v, before[k]) for k, v in refiner.state_dict().items())


def test_it_goes_on_from_a_trained_refiner_of_its_size(tmp_path):
    torch.manual_seed(9)
    trained = Refiner(RefinerConfig(('cup',), ('none',)))
    torch.nn.init.normal_(trained.head.weight)
    path = tmp_path / 'trained.safetensors'
    save_refiner(trained, path, {})
    config = replace(trainer_of_one().config, init=str(path))
    runs = RefinerTrainer(config, {'mug': tiny_model()}, {'mug': tiny_views()})
    assert runs.refiner.config.categories == ('mug',)
    for network in (runs.refiner, runs.average):
        torch.testing.assert_close(network.head.weight, trained.head.weight, atol=2e-3, rtol=1e-3)
        torch.testing.assert_close(network.down3.conv.weight, trained.down3.conv.weight,
                                   atol=2e-4, rtol=1e-3)
    with pytest.raises(PoseError, match='has other sizes .*leave --init away'):
        go_on_from(runs.refiner, Refiner(RefinerConfig(('cup',), ('none',), hidden=8)))


def test_the_command_names_what_is_missing(tmp_path, capsys):
    words = ['--data', str(tmp_path), '--models', str(tmp_path)]
    assert main(['train-refiner', 'mug', *words, '--out', str(tmp_path / 'r.safetensors')]) == 2
    assert f'no weights at {tmp_path}/mug.safetensors' in capsys.readouterr().err


@pytest.mark.slow
def test_the_documented_line_for_several_processes_reaches_the_command(tmp_path):
    pytest.importorskip('lightning_fabric')
    # torchrun has options of its own that begin with --run: the -- keeps them apart.
    done = subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node', '2', '-m', '--',
         'ros2_nabs_pose.cli.main', 'train-refiner', 'mug', '--data', str(tmp_path), '--models',
         str(tmp_path), '--run', str(tmp_path / 'run'), '--out', str(tmp_path / 'r.safetensors')],
        capture_output=True, text=True,
        timeout=120)
    assert f'no weights at {tmp_path}/mug.safetensors' in done.stderr, done.stderr[-2000:]


@pytest.mark.slow
def test_a_run_from_files_writes_log_and_weights(tmp_path, monkeypatch):
    from test_training import write_instance_file

    from ros2_nabs_pose.core.checkpoint import save_model
    data = tmp_path / 'data/mug'
    data.mkdir(parents=True)
    for i in range(3):
        write_instance_file(data, i)
    (data / 'dataset.json').write_text('{"seed": 1}')
    save_model(tiny_model(), tmp_path / 'models/mug.safetensors')
    out = tmp_path / 'models/shared/refiner.safetensors'
    command = ['train-refiner', 'mug', '--data', str(tmp_path / 'data'), '--models',
               str(tmp_path / 'models'), '--run', str(tmp_path / 'run'), '--out', str(out),
               '--crops', '2', '--steps']
    assert main([*command, '2']) == 0
    load_refiner(out)
    assert main([*command, '50']) == 0
    assert len((tmp_path / 'run/log.csv').read_text().splitlines()) == 2
