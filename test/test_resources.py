# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Models are found in a checkout, in an installation and where the environment says."""

from pathlib import Path
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

import ros2_nabs_pose
from ros2_nabs_pose import resources
from ros2_nabs_pose.core.types import PoseError

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Make resources.py believe that it lies in the site-packages of a prefix; return that."""
    monkeypatch.delenv(resources.MODELS_VARIABLE, raising=False)
    monkeypatch.setenv('AMENT_PREFIX_PATH', '')
    package = tmp_path / 'lib' / 'python3.11' / 'site-packages' / 'ros2_nabs_pose'
    package.mkdir(parents=True)
    monkeypatch.setattr(resources, '__file__', str(package / 'resources.py'))
    monkeypatch.setattr(sys, 'prefix', str(tmp_path))
    return tmp_path


def write_model(folder: Path, category: str = 'teapot') -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f'{category}.safetensors'
    path.write_bytes(b'weights')
    return path


def test_environment_variable_decides(tmp_path, monkeypatch):
    path = write_model(tmp_path / 'mine')
    monkeypatch.setenv(resources.MODELS_VARIABLE, str(path.parent))
    assert resources.models_dir() == path.parent
    assert resources.find_model('teapot') == path


def test_environment_variable_that_names_no_folder_is_said_so(tmp_path, monkeypatch):
    monkeypatch.setenv(resources.MODELS_VARIABLE, str(tmp_path / 'nowhere'))
    with pytest.raises(PoseError, match='NABS_POSE_MODELS names .*nowhere, which is not a folder'):
        resources.models_dir()


def test_unknown_category_names_what_is_there(tmp_path, monkeypatch):
    write_model(tmp_path)
    write_model(tmp_path, 'vase')
    monkeypatch.setenv(resources.MODELS_VARIABLE, str(tmp_path))
    with pytest.raises(PoseError, match=r'category "anvil" in .* \(there: teapot, vase\)'):
        resources.find_model('anvil')


def test_checkout_comes_first(tmp_path, monkeypatch):
    monkeypatch.delenv(resources.MODELS_VARIABLE, raising=False)
    package = tmp_path / 'ros2_nabs_pose'
    package.mkdir()
    for name in ('package.xml', 'setup.py'):
        (tmp_path / name).touch()
    write_model(tmp_path / 'share' / 'ros2_nabs_pose' / 'models')
    own = write_model(tmp_path / 'models')
    monkeypatch.setattr(resources, '__file__', str(package / 'resources.py'))
    assert resources.find_model('teapot') == own


def test_prefix_of_an_installation(installed):
    path = write_model(installed / 'share' / 'ros2_nabs_pose' / 'models')
    assert resources.find_model('teapot') == path


def test_ament_index(installed, tmp_path, monkeypatch):
    pytest.importorskip('ament_index_python')
    prefix = tmp_path / 'workspace' / 'install'
    marker = prefix / 'share' / 'ament_index' / 'resource_index' / 'packages' / 'ros2_nabs_pose'
    marker.parent.mkdir(parents=True)
    marker.touch()
    path = write_model(prefix / 'share' / 'ros2_nabs_pose' / 'models')
    write_model(installed / 'share' / 'ros2_nabs_pose' / 'models')
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(prefix))
    assert resources.find_model('teapot') == path


def test_missing_everywhere_names_where_it_was_sought(installed):
    with pytest.raises(PoseError, match='"models" of ros2_nabs_pose is nowhere to be found'):
        resources.models_dir()


def test_version_is_that_of_the_manifest():
    assert (CHECKOUT / 'package.xml').is_file()
    manifest = ElementTree.parse(CHECKOUT / 'package.xml').getroot()
    assert ros2_nabs_pose.__version__ in (manifest.findtext('version'), '0+unknown')


@pytest.mark.slow
def test_pip_installs_models_launch_files_and_the_ament_marker(tmp_path):
    source = tmp_path / 'source'
    shutil.copytree(CHECKOUT, source, ignore=shutil.ignore_patterns(
        '.*', 'build', 'install', 'log', '*.egg-info', 'data', 'runs', 'out', '__pycache__'))
    write_model(source / 'models')
    target = tmp_path / 'target'
    subprocess.run([sys.executable, '-m', 'pip', 'install', '--no-deps', '--no-build-isolation',
                    '--quiet', '--target', str(target), str(source)], check=True, timeout=240)
    share = target / 'share' / 'ros2_nabs_pose'
    assert (share / 'package.xml').is_file()
    assert (share / 'models' / 'teapot.safetensors').is_file()
    assert (share.parent / 'ament_index/resource_index/packages/ros2_nabs_pose').is_file()
    found = subprocess.run(
        [sys.executable, '-c', 'from ros2_nabs_pose.resources import find_model;'
                               'print(find_model("teapot"))'],
        cwd=tmp_path, env={'PYTHONPATH': str(target), 'PATH': '/usr/bin:/bin'}, check=True,
        capture_output=True, text=True, timeout=120)
    assert found.stdout.strip() == str(share / 'models' / 'teapot.safetensors')
