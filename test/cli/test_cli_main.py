# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The command line itself: help that is quick, and mistakes met with a sentence."""

import subprocess
import sys

import pytest

from ros2_nabs_pose.cli import main as cli


@pytest.mark.parametrize('words', [['--help'], ['fit', '--help'], ['benchmark', '--help'],
                                   ['benchmark', 'accuracy', '--help'],
                                   ['benchmark', 'speed', '--help']])
def test_help_shows_examples(words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 0
    assert 'nabs-pose' in capsys.readouterr().out.split('example', 1)[1]


@pytest.mark.parametrize('words,says', [
    (['benchmark', 'node', '--busy', '-1'], '--busy: -1 is negative'),
    (['benchmark', 'models', '--rounds', '0'], '--rounds: 0 is not positive'),
])
def test_counts_of_no_use_are_refused(words, says, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 2
    assert says in capsys.readouterr().err


def test_help_does_not_wait_for_torch():
    code = ('import sys\nfrom ros2_nabs_pose.cli.main import main\n'
            "try:\n    main(['fit', '--help'])\nexcept SystemExit:\n    pass\n"
            "print('torch' in sys.modules)")
    ran = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == 'False'


@pytest.mark.parametrize(('module', 'package'), [('tqdm.auto', 'tqdm'),
                                                 ('cv2', 'opencv-python')])
def test_a_package_that_is_not_there_is_named(monkeypatch, capsys, module, package):
    from ros2_nabs_pose.cli import fit

    def run(args):
        raise ModuleNotFoundError(f"No module named '{module}'", name=module)

    monkeypatch.setattr(fit, 'run', run)
    assert cli.main(['fit', 'a.png', '--category', 'mug', '--box', '0', '0', '9', '9']) == 2
    said = capsys.readouterr().err
    assert f'needs the Python package "{package}"' in said and len(said.splitlines()) == 1


def test_a_module_of_our_own_that_is_missing_is_no_users_fault(monkeypatch):
    from ros2_nabs_pose.cli import fit

    def run(args):
        raise ModuleNotFoundError('gone', name='ros2_nabs_pose.core.gone')

    monkeypatch.setattr(fit, 'run', run)
    with pytest.raises(ModuleNotFoundError, match='gone'):
        cli.main(['fit', 'a.png', '--category', 'mug', '--box', '0', '0', '9', '9'])


@pytest.mark.parametrize('words', [[], ['fly'], ['fit', 'a.png'], ['benchmark']])
def test_mistakes_end_with_status_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 2
    assert 'usage' in capsys.readouterr().err
