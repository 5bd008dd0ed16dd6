# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
import builtins
import os
from pathlib import Path
import subprocess
import sys

import pytest
import torch

from ros2_nabs_pose.core.checkpoint import (
    CategoryModel,
    load_model,
    ModelCard,
    save_model,
    SizePrior,
)
from ros2_nabs_pose.core.encoder import Encoder
from ros2_nabs_pose.core.generator import Generator
from ros2_nabs_pose.core.types import PoseError
from ros2_nabs_pose.core.variants import get_variant, VARIANTS
from ros2_nabs_pose.training.curves import Curves
from ros2_nabs_pose.training.engine import command_line, Engine


def without(monkeypatch, *names):
    """Imports of these packages fail as if they were not installed."""
    real = builtins.__import__

    def refuse(name, *rest, **kwargs):
        if name.startswith(names):
            raise ImportError(name)
        return real(name, *rest, **kwargs)

    monkeypatch.setattr(builtins, '__import__', refuse)


@pytest.mark.parametrize('name', VARIANTS)
def test_every_variant_draws_reads_and_learns(name):
    torch.manual_seed(0)
    sizes, reading = get_variant(name)
    assert sizes.latent_dim == reading.latent_dim and sizes.colour_dims == reading.colour_dims
    generator, encoder = Generator(sizes), Encoder(reading)
    said = encoder(torch.rand(2, 3, 64, 64))
    drawn = generator(said.mean, torch.eye(3).expand(2, 3, 3), torch.full((2,), 0.1))
    assert drawn.rgb.shape == (2, 3, 64, 64)
    (drawn.rgb.mean() + drawn.alpha.mean() + said.mask_logits.mean()).backward()
    for weight in (generator.constant, encoder.down0.conv.weight):
        assert float(weight.grad.abs().max()) > 0.0


def test_paper_has_the_published_sizes():
    generator = Generator(get_variant('paper')[0])
    volume, style = generator.volume(torch.zeros(1, 16))
    assert generator.constant.shape == (1, 512, 4, 4, 4)
    assert generator.conv_v1.out_channels == 128
    assert volume.shape == (1, 64, 16, 16, 16)
    assert generator.project.in_channels == 1024
    assert (generator.conv_i1.out_channels, generator.conv_i2.out_channels) == (256, 64)


def test_large_has_four_times_the_channels_and_its_file_says_so(tmp_path):
    small, large = (get_variant(name)[0] for name in ('compact', 'large'))
    assert large.volume_channels == tuple(4 * c for c in small.volume_channels)
    card = ModelCard('mug', 'none', 'handle', SizePrior((0.1, 0.1, 0.1), 0.08, 0.01))
    sizes, reading = get_variant('large')
    save_model(CategoryModel(Generator(sizes), Encoder(reading), card), tmp_path / 'm.safetensors')
    model = load_model(tmp_path / 'm.safetensors')
    assert (model.generator.config, model.encoder.config) == (sizes, reading)


def test_unknown_variant_and_precision_are_named():
    with pytest.raises(PoseError, match="no variant 'huge': choose one of compact, large, paper"):
        get_variant('huge')
    with pytest.raises(PoseError, match="no precision '16': choose one of 32-true, bf16-mixed"):
        Engine('cpu', '16')


def test_one_process_in_full_precision_needs_torch_alone(monkeypatch):
    without(monkeypatch, 'lightning_fabric')
    engine = Engine()
    assert (engine.rank, engine.world, engine.any(True), engine.any(False)) == (0, 1, True, False)
    with engine.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    with pytest.raises(PoseError, match='pip install lightning-fabric'):
        Engine('cpu', 'bf16-mixed')


def test_networks_run_in_half_precision_where_asked():
    pytest.importorskip('lightning_fabric')
    with Engine('cpu', 'bf16-mixed').autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


def test_curves_without_tensorboard_say_what_to_install(monkeypatch, tmp_path):
    without(monkeypatch, 'torch.utils.tensorboard')
    with pytest.raises(PoseError, match='pip install tensorboard'):
        Curves(tmp_path)


def test_curves_are_written(tmp_path):
    pytest.importorskip('tensorboard')
    curves = Curves(tmp_path)
    curves.scalars('training', 50, {'loss': 1.25})
    curves.close()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars('training/loss')] == [(50, 1.25)]


TWO_PROCESSES = """
import sys
from pathlib import Path
import torch
from test_training import Trainer, TrainConfig, tiny_views, TINY_ENCODER, TINY_GENERATOR
from ros2_nabs_pose.training.engine import Engine
engine = Engine()
def begin():
    views = tiny_views()
    config = TrainConfig('mug', '', None, '', '', steps=6, instances=2, views=2, warmup=2)
    return Trainer(config, views, views.card('mug'), TINY_GENERATOR, TINY_ENCODER, engine=engine)
def weights(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.optimizer.param_groups[0]['params']])
state = Path(sys.argv[1])
whole, half, again = begin(), None, None
torch.manual_seed(engine.rank)
random = torch.get_rng_state()
for _ in range(3):
    whole.train_step()
everywhere = engine.gather(weights(whole))
assert torch.equal(everywhere[0], everywhere[1])
assert not torch.equal(*engine.gather(torch.get_rng_state()))
assert engine.any(engine.rank == 1)
half = begin()
torch.set_rng_state(random)
for _ in range(2):
    half.train_step()
half.save_state(state)
engine.barrier()
again = begin()
again.load_state(state)
again.train_step()
assert torch.equal(weights(again), weights(whole))
(state.parent / f'done-{engine.rank}').touch()
"""


@pytest.mark.slow
def test_two_processes_keep_the_same_weights_and_resume_exactly(tmp_path):
    pytest.importorskip('lightning_fabric')
    (tmp_path / 'two.py').write_text(TWO_PROCESSES)
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parents[1]), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2',
         str(tmp_path / 'two.py'), str(tmp_path / 'state.pt')],
        env={**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': '1'}, capture_output=True,
        text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / 'done-0').exists() and (tmp_path / 'done-1').exists()


def test_a_card_tells_the_whole_command(monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['/usr/bin/nabs-pose', 'train', 'mug', '--data', 'my data'])
    monkeypatch.delenv('WORLD_SIZE', raising=False)
    assert command_line() == "nabs-pose train mug --data 'my data'"
    monkeypatch.setenv('WORLD_SIZE', '2')
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '2')
    assert command_line() == ('torchrun --nproc-per-node 2 -m -- ros2_nabs_pose.cli.main train mug '
                              "--data 'my data'")
    monkeypatch.setenv('WORLD_SIZE', '4')
    assert command_line().startswith('torchrun --nnodes 2 --nproc-per-node 2 -m -- ')
