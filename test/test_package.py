# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""package.xml, setup.py, RViz' and Foxglove's files agree with the code and with each other."""

import ast
import importlib
import json
import os
from pathlib import Path
import re
import runpy
import xml.etree.ElementTree as ElementTree

import pytest
import setuptools
import yaml

from ros2_nabs_pose.topics import DIAGNOSTICS, INPUTS, OUTPUTS

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ElementTree.parse(ROOT / 'package.xml').getroot()
RUN = {e.text for tag in ('depend', 'exec_depend') for e in MANIFEST.iter(tag)}
TEST = {e.text for e in MANIFEST.iter('test_depend')}
# Packages of ROS that Python code may import; everything else comes from pip or from here.
ROS_PACKAGE = re.compile(r'(\w+_msgs|\w+_interfaces|rclpy|launch\w*|ament_\w+|std_srvs)$')
ROSDEP_KEYS = {'numpy': 'python3-numpy', 'cv2': 'python3-opencv', 'yaml': 'python3-yaml',
               'scipy': 'python3-scipy', 'tqdm': 'python3-tqdm', 'hypothesis': 'python3-hypothesis',
               'matplotlib': 'python3-matplotlib', 'pytest': 'python3-pytest'}
BY_THE_USER = {'cv_bridge', 'tf2_ros', 'yolo_msgs'}


def imported(*folders):
    """Top-level names that the Python files below some folders import, anywhere in them."""
    names = set()
    for folder in folders:
        for path in (ROOT / folder).rglob('*.py'):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name.partition('.')[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    names.add(node.module.partition('.')[0])
    return names


@pytest.fixture(scope='module')
def package():
    """The arguments that setup.py hands to setuptools.setup."""
    kept = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, 'setup', lambda **arguments: kept.update(arguments))
        before = os.getcwd()
        runpy.run_path(str(ROOT / 'setup.py'))
        os.chdir(before)
    return kept


def test_ros_packages_that_the_code_imports_are_declared():
    names = {n for n in imported('ros2_nabs_pose', 'launch', 'examples') if ROS_PACKAGE.match(n)}
    assert {'rclpy', 'vision_msgs', 'launch_ros'} <= names
    assert names - BY_THE_USER <= RUN
    names = {n for n in imported('test') if ROS_PACKAGE.match(n)} - {'launch_harness'}
    assert names - BY_THE_USER <= RUN | TEST


def test_nothing_is_declared_that_nobody_imports():
    names = imported('ros2_nabs_pose', 'launch', 'examples')
    keys = {ROSDEP_KEYS.get(name, name) for name in names}
    # Messages that are made by their full names are found in the text.
    text = ''.join(p.read_text() for p in (ROOT / 'ros2_nabs_pose').rglob('*.py'))
    assert {key for key in RUN if key not in keys and f"'{key}/" not in text} == set()


def test_python_packages_have_their_rosdep_keys():
    wanted = {ROSDEP_KEYS[n] for n in imported('ros2_nabs_pose', 'launch') if n in ROSDEP_KEYS}
    optional = {'python3-scipy', 'python3-tqdm', 'python3-matplotlib'}  # training, evaluation
    assert wanted - RUN <= optional
    assert optional <= TEST
    assert {ROSDEP_KEYS[n] for n in imported('test') if n in ROSDEP_KEYS} <= RUN | TEST


def test_the_manifest_is_of_the_third_format_and_complete():
    assert MANIFEST.get('format') == '3'
    assert re.fullmatch(r'\d+\.\d+\.\d+', MANIFEST.findtext('version'))
    assert MANIFEST.findtext('license') == 'Apache-2.0'
    assert 'Apache License' in (ROOT / 'LICENSE').read_text()
    assert MANIFEST.find('maintainer').get('email')
    assert MANIFEST.findtext('export/build_type') == 'ament_python'
    # Elements of one name stand together and in the order that the schema has.
    tags = [element.tag for element in MANIFEST]
    order = ['name', 'version', 'description', 'maintainer', 'license', 'depend', 'exec_depend',
             'test_depend', 'export']
    assert [tag for i, tag in enumerate(tags) if i == 0 or tags[i - 1] != tag] == order


def test_everything_that_is_found_below_share_is_installed(package):
    installed = {file for _, files in package['data_files'] for file in files}
    for folder in ('launch', 'config', 'rviz', 'foxglove', 'models', 'demo', 'examples'):
        there = {str(p.relative_to(ROOT)) for p in (ROOT / folder).rglob('*')
                 if p.is_file() and '__pycache__' not in p.parts}
        assert there, folder
        assert there <= installed
    assert 'resource/ros2_nabs_pose' in installed
    assert 'package.xml' in installed


def test_commands_can_be_called(package):
    entries = package['entry_points']['console_scripts']
    commands = dict(re.split(' *= *', entry) for entry in entries)
    assert {'nabs_pose_node', 'nabs-pose'} <= set(commands)
    for name, target in commands.items():
        module, _, function = target.partition(':')
        if module.endswith('node'):
            pytest.importorskip('rclpy')
        assert callable(getattr(importlib.import_module(module), function)), name


def test_executables_of_the_launch_files_are_installed(package):
    entries = package['entry_points']['console_scripts']
    commands = {re.split(' *= *', entry)[0] for entry in entries}
    started = set()
    for path in (ROOT / 'launch').glob('*.py'):
        started |= set(re.findall(r"package='ros2_nabs_pose',\s+executable='(\w+)'",
                                  path.read_text()))
    assert 'nabs_pose_node' in started
    assert started <= commands


def published():
    return {item.name.replace('~', '/nabs_pose') for item in (*OUTPUTS.values(), DIAGNOSTICS)}


def topic_values(tree):
    """Every value under a key Topic of a tree, as RViz has them, with the display's class."""
    for display in tree['Visualization Manager']['Displays']:
        if 'Topic' in display:
            yield display['Class'].partition('/')[2], display['Topic']['Value']


def test_rviz_shows_topics_that_are_there_with_their_types():
    shown = dict(topic_values(yaml.safe_load((ROOT / 'rviz/nabs_pose.rviz').read_text())))
    types = {item.name.replace('~', '/nabs_pose'): item.type_name
             for item in (*OUTPUTS.values(), *INPUTS.values())}
    expected = {'Image': 'sensor_msgs/msg/Image',
                'MarkerArray': 'visualization_msgs/msg/MarkerArray',
                'Pose': 'geometry_msgs/msg/PoseStamped',
                'PoseWithCovariance': 'geometry_msgs/msg/PoseWithCovarianceStamped'}
    assert set(shown) == {*expected, 'Camera'}
    assert {name: types[shown[name]] for name in expected} == expected
    assert types[shown['Camera'].lstrip('/')] == 'sensor_msgs/msg/Image'


def test_rviz_has_a_tf_display_and_the_launch_file_remaps_what_it_shows():
    tree = yaml.safe_load((ROOT / 'rviz/nabs_pose.rviz').read_text())
    classes = {display['Class'] for display in tree['Visualization Manager']['Displays']}
    assert 'rviz_default_plugins/TF' in classes
    text = (ROOT / 'launch/nabs_pose.launch.py').read_text()
    remapped = ast.literal_eval(re.search(r'RVIZ_TOPICS = (\(.*?\))', text)[1])
    assert {f'/nabs_pose/{name}' for name in remapped} | {'/image'} == {
        topic for _, topic in topic_values(tree)}
    frame = re.search(r"RVIZ_FRAME = '(\w+)'", text)[1]
    assert tree['Visualization Manager']['Global Options']['Fixed Frame'] == frame


def panels(layout):
    return [layout] if isinstance(layout, str) else [
        *panels(layout['first']), *panels(layout['second'])]


def test_foxglove_lays_out_panels_of_topics_that_are_there():
    layout = json.loads((ROOT / 'foxglove/nabs_pose.json').read_text())
    shown = panels(layout['layout'])
    assert sorted(shown) == sorted(layout['configById'])
    assert {panel.partition('!')[0] for panel in shown} == {
        '3D', 'Image', 'Plot', 'RawMessages', 'DiagnosticSummary'}
    named = set(re.findall(r'"(/[\w/]+)', json.dumps(layout)))
    assert len(named) >= 6
    assert named <= published()
