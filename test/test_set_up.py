# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The set-up's decisions and its words when something is missing; and scripts/env in use."""

import importlib.util
import os
from pathlib import Path
import shutil
import subprocess
import sys
import time

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture
def set_up(tmp_path, monkeypatch):
    """Return scripts/set_up.py as a module that works on a checkout of its own."""
    spec = importlib.util.spec_from_file_location('set_up', CHECKOUT / 'scripts' / 'set_up.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, 'ROOT', tmp_path)
    monkeypatch.setattr(module, 'VENV', tmp_path / '.venv')
    monkeypatch.setattr(module, 'STAMPS', tmp_path / '.venv' / '.set-up')
    monkeypatch.setattr(module, 'LOG', tmp_path / '.venv' / '.set-up' / 'log')
    monkeypatch.setattr(module, 'existing_cuda_torch', lambda environment: '')
    return module


@pytest.mark.parametrize('output, words', [
    ('WARNING: Retrying after connection broken by NewConnectionError(...)\n'
     'ERROR: No matching distribution found for torch==1', 'package index cannot be reached'),
    ('ERROR: No matching distribution found for torch==9\n', 'pip finds no torch==9 for Python'),
    ('-- ok\nfatal error: Python.h: No such file\nmake: stop\n', 'fatal error: Python.h'),
    ('', 'it said nothing'),
])
def test_failures_are_put_in_one_sentence(set_up, output, words):
    sentence = set_up.explain('pip failed', output, Path('log'))
    assert words in sentence
    assert '\n' not in sentence and sentence.endswith('.')


def test_a_step_is_done_again_only_when_what_it_is_made_from_changes(set_up):
    done = []
    steps = set_up.SetUp('', None)
    for stamp in ('a', 'a', 'b'):
        steps.step('packages', stamp, 'Packages', lambda stamp=stamp: done.append(stamp))
    assert done == ['a', 'b']


def test_a_step_that_was_cut_short_makes_the_environment_anew(set_up):
    steps = set_up.SetUp('', None)
    (set_up.VENV / 'bin').mkdir(parents=True)
    (set_up.VENV / 'bin' / 'python').touch()
    steps.step('base', 'base', 'Base', lambda: None)
    assert steps.is_whole('base')

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        steps.step('packages', 'a', 'Packages', interrupted)
    assert not (set_up.STAMPS / 'ready').exists()
    assert not steps.is_whole('base')


def test_a_step_that_failed_by_itself_is_simply_tried_again(set_up):
    steps = set_up.SetUp('', None)
    (set_up.VENV / 'bin').mkdir(parents=True)
    (set_up.VENV / 'bin' / 'python').touch()
    steps.step('base', 'base', 'Base', lambda: None)

    def failing():
        steps.call([sys.executable, '-c', 'raise SystemExit("error: no such thing")'], 'It failed')

    with pytest.raises(set_up.SetUpError, match='It failed: error: no such thing; the details'):
        steps.step('packages', 'a', 'Packages', failing)
    assert steps.is_whole('base')


def test_a_full_disk_is_named_and_nothing_half_written_is_trusted(set_up):
    steps = set_up.SetUp('', None)

    def failing():
        steps.call([sys.executable, '-c', 'raise SystemExit("[Errno 28] No space left on device")'],
                   'It failed')

    with pytest.raises(set_up.SetUpError, match='is full: free about'):
        steps.step('packages', 'a', 'Packages', failing)
    assert (set_up.STAMPS / 'packages.begun').exists()


def test_a_foreign_environment_is_left_alone(set_up):
    set_up.VENV.mkdir()
    (set_up.VENV / 'pyvenv.cfg').touch()
    with pytest.raises(set_up.SetUpError, match='was not made by this set-up: move it away'):
        set_up.remove_environment()
    assert (set_up.VENV / 'pyvenv.cfg').exists()


def test_too_little_space_is_said_beforehand(set_up):
    with pytest.raises(set_up.SetUpError, match='needs about 1000000.0 GB, and only'):
        set_up.require_space(1e6)


def test_packages_of_a_sourced_ros_stay_as_they_are(set_up):
    soft = set_up.soft_constraints('# pins\nnumpy==2.2.6\nscipy==1.15.3\ntorch==2.13.0\n',
                                   {'numpy': '1.21.5', 'torch': '2.7.0+cu128'}, with_torch=True)
    assert soft.split() == ['numpy==1.21.5', 'torch==2.7.0+cu128', 'scipy<=1.15.3']


def test_every_wanted_package_has_a_version(set_up, monkeypatch):
    monkeypatch.setattr(set_up, 'REQUIREMENTS', CHECKOUT / 'requirements')
    names = set_up.wanted_names(('run', 'tools', 'test', 'no_deps', 'ros'))
    pinned = {line.split('==')[0]
              for line in (CHECKOUT / 'requirements' / 'constraints.txt').read_text().splitlines()}
    assert {name.split('[')[0] for name in names} | {'torch'} <= pinned


needs_environment = pytest.mark.skipif(
    not (CHECKOUT / '.venv' / '.set-up' / 'ready').exists(), reason='not run by scripts/test')


@needs_environment
def test_env_passes_words_and_exit_status_on_and_costs_little():
    env = str(CHECKOUT / 'scripts' / 'env')
    code = 'import sys; print(sys.argv[1:]); sys.exit(7)'
    done = subprocess.run([env, 'python', '-c', code, 'a  b', "it's", '"', '$HOME', ''],
                          capture_output=True, text=True)
    assert done.returncode == 7
    assert done.stdout.strip() == repr(['a  b', "it's", '"', '$HOME', ''])
    began = time.monotonic()
    subprocess.run([env, 'true'], check=True)
    assert time.monotonic() - began < 1.0


@needs_environment
def test_env_without_a_command_says_how_to_use_it():
    done = subprocess.run([str(CHECKOUT / 'scripts' / 'env')], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith('usage: scripts/env COMMAND')


def test_an_unfit_python_is_named(tmp_path):
    checkout = copy_of_scripts(tmp_path)
    tools = tmp_path / 'tools'
    tools.mkdir()
    for name in ('bash', 'cat', 'dirname', 'env', 'flock', 'id', 'sed', 'sha256sum', 'uname'):
        (tools / name).symlink_to(shutil.which(name))
    (tools / 'python3').write_text('#!/bin/sh\necho 3.13:/opt/python3.13\n')
    (tools / 'python3').chmod(0o755)
    text = (checkout / 'scripts' / 'common.sh').read_text()
    (checkout / 'scripts' / 'common.sh').write_text(text.replace('/usr/bin/python3', 'nowhere'))
    environment = {key: value for key, value in os.environ.items() if key != 'ROS_DISTRO'}
    done = subprocess.run([str(checkout / 'scripts' / 'env'), 'true'], capture_output=True,
                          text=True, env={**environment, 'PATH': str(tools)})
    assert done.returncode == 1
    assert done.stderr.strip() == ('set-up: Python 3.10, 3.11 or 3.12 is needed (found: 3.13); '
                                   'install one, or name it in NABS_POSE_PYTHON.')


def copy_of_scripts(folder: Path) -> Path:
    checkout = folder / 'checkout'
    for name in ('scripts', 'requirements', 'interfaces'):
        shutil.copytree(CHECKOUT / name, checkout / name)
    for name in ('setup.py', 'setup.cfg', 'package.xml'):
        shutil.copy(CHECKOUT / name, checkout)
    return checkout
