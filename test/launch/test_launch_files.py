# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Launch files run for real: which programs they start, under which names, with which words."""

import pytest

pytest.importorskip('launch.actions')
pytest.importorskip('launch_ros.actions')

from launch import LaunchContext
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_harness import CHECKOUT, LAUNCH_FILES, run
import yaml

FILES = ('nabs_pose', 'camera', 'bag')
DEFAULTS = next(iter(yaml.safe_load(
    (CHECKOUT / 'config/nabs_pose.yaml').read_text()).values()))['ros__parameters']


def arguments_of(name):
    source = PythonLaunchDescriptionSource(str(LAUNCH_FILES / f'{name}.launch.py'))
    description = source.get_launch_description(LaunchContext())
    return {a.name: a for a in description.get_launch_arguments()}


@pytest.mark.parametrize('name', FILES)
def test_every_argument_is_described_and_has_a_default(prefix, name):
    arguments = arguments_of(name)
    assert len(arguments) >= 9
    for argument in arguments.values():
        assert argument.default_value is not None, argument.name
        assert argument.description[0].isupper(), argument.name
        assert argument.description.rstrip("]'").endswith('.') or argument.choices, argument.name


def test_arguments_of_the_node_hold_in_the_other_files(prefix):
    for name in ('camera', 'bag'):
        assert set(arguments_of(name)) >= set(arguments_of('nabs_pose'))


def test_the_node_gets_its_file_its_name_and_nothing_else(prefix):
    calls = prefix.launch('nabs_pose')
    assert set(calls) == {'nabs_pose_node'}
    node = calls['nabs_pose_node']
    assert (node.name, node.namespace) == ('nabs_pose', '/')
    assert node.parameters == DEFAULTS
    assert node.remaps == {name: name for name in
                           ('image', 'camera_info', 'detections', 'depth', 'mask')}
    assert node.after('--log-level') == 'info'


def test_arguments_reach_the_node(prefix, tmp_path):
    mine = tmp_path / 'mine.yaml'
    mine.write_text('/**:\n  ros__parameters:\n    seed: 7\n    device: cuda\n')
    node = prefix.launch(
        'nabs_pose', namespace='left', params_file=str(mine), device='cuda:1', preset='accurate',
        categories='mug, bottle', image_is_rectified='true', use_sim_time='true',
        ground_frame='table',
        image='/cam/image_raw', depth='/cam/depth', log_level='debug')['nabs_pose_node']
    assert node.namespace == '/left'
    assert node.parameters == {
        'seed': 7, 'device': 'cuda:1', 'preset': 'accurate', 'categories': ['mug', 'bottle'],
        'image_is_rectified': True, 'use_sim_time': True, 'ground_frame': 'table'}
    assert node.remaps['image'] == '/cam/image_raw'
    assert node.remaps['depth'] == '/cam/depth'
    assert node.remaps['mask'] == 'mask'
    assert node.after('--log-level') == 'debug'


def test_a_slash_behind_the_namespace_is_no_part_of_it(prefix):
    prefix.add_stand_in('usb_cam', 'usb_cam_node_exe')
    calls = prefix.launch('camera', namespace='/robot/left/')
    assert {name: node.namespace for name, node in calls.items()} == {
        'usb_cam_node_exe': '/robot/left/camera', 'box_publisher': '/robot/left',
        'nabs_pose_node': '/robot/left'}
    assert prefix.launch('nabs_pose', namespace='/')['nabs_pose_node'].namespace == '/'


def test_rviz_shows_the_topics_of_the_nodes_namespace(prefix):
    prefix.add_stand_in('rviz2', 'rviz2')
    rviz = prefix.launch('nabs_pose', rviz='true', namespace='left', image='/cam/image_raw',
                         use_sim_time='true')['rviz2']
    assert rviz.namespace == '/left'
    assert rviz.remaps['/nabs_pose/markers'] == 'nabs_pose/markers'
    assert rviz.remaps['/image'] == '/cam/image_raw'
    assert rviz.parameters == {'use_sim_time': True}
    assert rviz.after('-f') == 'camera_optical_frame'
    shown = yaml.safe_load(open(rviz.after('-d')))
    assert shown['Visualization Manager']['Global Options']['Fixed Frame'] == rviz.after('-f')


def test_foxglove_bridge_listens_on_its_port(prefix):
    prefix.add_stand_in('foxglove_bridge', 'foxglove_bridge')
    calls = prefix.launch('nabs_pose', foxglove='true', foxglove_port='9000')
    assert set(calls) == {'nabs_pose_node', 'foxglove_bridge'}
    assert calls['foxglove_bridge'].parameters == {'port': 9000}


@pytest.mark.parametrize('name, arguments, words', [
    ('nabs_pose', {'rviz': 'true'}, 'rviz:=true needs the package rviz2: run "sudo apt install '
     'ros-jazzy-rviz2" or choose another value.'),
    ('camera', {'camera': 'v4l2_camera'}, 'apt install ros-jazzy-v4l2-camera'),
    ('camera', {'camera': 'none', 'detector': 'yolo'}, 'needs the package yolo_bringup: build '
     'https://github.com/mgonzs13/yolo_ros in your workspace or choose'),
    ('camera', {'camera': 'webcam'}, 'webcam'),
    ('nabs_pose', {'preset': 'fast'}, 'fast'),
    ('camera', {'width': 'wide'}, 'width:=wide is no whole number.'),
    ('camera', {'camera': 'none', 'box': '[1, a]'}, "box:=[1, 'a'] is no list of four numbers."),
    ('nabs_pose', {'categories': '[mug'}, 'categories:=[mug is no YAML value: expected'),
])
def test_what_cannot_be_started_is_said_in_one_sentence(prefix, monkeypatch, caplog, name,
                                                        arguments, words):
    monkeypatch.setenv('ROS_DISTRO', 'jazzy')
    if 'width' in arguments:
        prefix.add_stand_in('usb_cam', 'usb_cam_node_exe')
    assert run(LAUNCH_FILES / f'{name}.launch.py', arguments) == 1
    errors = [r.getMessage() for r in caplog.records if r.levelname == 'ERROR']
    assert words in errors[-1]
    assert '\n' not in errors[-1]


def test_a_webcam_and_a_box_are_enough_to_start(prefix):
    prefix.add_stand_in('usb_cam', 'usb_cam_node_exe')
    calls = prefix.launch('camera', video_device='/dev/video2')
    assert set(calls) == {'usb_cam_node_exe', 'box_publisher', 'nabs_pose_node'}
    camera = calls['usb_cam_node_exe']
    assert camera.namespace == '/camera'
    assert camera.parameters == {
        'video_device': '/dev/video2', 'image_width': 640, 'image_height': 480,
        'framerate': 30.0, 'frame_id': 'camera_optical_frame', 'camera_name': 'camera'}
    assert calls['box_publisher'].remaps['image'] == 'camera/image_raw'
    assert calls['box_publisher'].parameters == {'follow': False, 'class_id': 'mug'}
    node = calls['nabs_pose_node']
    assert node.remaps['image'] == 'camera/image_raw'
    assert node.remaps['camera_info'] == 'camera/camera_info'
    assert node.remaps['detections'] == 'detections'


def test_a_box_may_be_given_and_follow(prefix):
    box = prefix.launch('camera', camera='none', box='[200, 120, 330, 260.5]', box_class='41',
                        box_follows='true')['box_publisher']
    assert box.parameters == {'box': [200.0, 120.0, 330.0, 260.5], 'follow': True,
                              'class_id': '41'}
    assert all(isinstance(value, float) for value in box.parameters['box'])


def test_v4l2_camera_is_asked_for_size_rate_and_calibration(prefix):
    prefix.add_stand_in('v4l2_camera', 'v4l2_camera_node')
    camera = prefix.launch(
        'camera', camera='v4l2_camera', detector='none', width='1280', height='720', rate='15',
        camera_info_url='file:///c.yaml', namespace='left')['v4l2_camera_node']
    assert camera.namespace == '/left/camera'
    assert camera.parameters == {
        'video_device': '/dev/video0', 'image_size': [1280, 720], 'time_per_frame': [1, 15],
        'camera_frame_id': 'camera_optical_frame', 'camera_info_url': 'file:///c.yaml'}


def test_a_realsense_gives_depth_and_its_own_topics(prefix):
    prefix.add_stand_in('realsense2_camera', 'realsense2_camera_node')
    prefix.add_stand_in('rviz2', 'rviz2')
    calls = prefix.launch('camera', camera='realsense', detector='none', with_depth='true',
                          rviz='true')
    assert set(calls) == {'realsense2_camera_node', 'nabs_pose_node', 'rviz2'}
    camera = calls['realsense2_camera_node']
    assert camera.name == 'camera'
    assert camera.parameters == {
        'camera_name': 'camera', 'enable_color': True, 'enable_depth': True,
        'align_depth.enable': True, 'rgb_camera.color_profile': '640x480x30'}
    node = calls['nabs_pose_node']
    assert node.remaps['image'] == 'camera/color/image_raw'
    assert node.remaps['depth'] == 'camera/aligned_depth_to_color/image_raw'
    assert calls['rviz2'].after('-f') == 'camera_color_optical_frame'


YOLO_LAUNCH = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
NAMES = ('namespace', 'input_image_topic', 'model', 'device', 'use_debug')
def generate_launch_description():
    return LaunchDescription(
        [DeclareLaunchArgument(name, default_value='unset') for name in NAMES]
        + [Node(package='yolo_bringup', executable='yolo_node', arguments=[
            word for name in NAMES for word in ('--' + name, LaunchConfiguration(name))])])
"""


@pytest.mark.parametrize('namespace', ['', 'left'])
def test_yolo_keeps_its_arguments_to_itself(prefix, namespace):
    """Its launch file has arguments that are called as ours, for other things."""
    prefix.add_stand_in('yolo_bringup', 'yolo_node')
    source = prefix.folder / 'share/yolo_bringup/launch/yolo.launch.py'
    source.parent.mkdir()
    source.write_text(YOLO_LAUNCH)
    calls = prefix.launch('camera', camera='none', detector='yolo', namespace=namespace,
                          yolo_device='cuda:0')
    yolo, node = calls['yolo_node'], calls['nabs_pose_node']
    assert yolo.after('--namespace') == f'{namespace}/yolo'.lstrip('/')
    assert yolo.after('--input_image_topic') == (
        '/left/camera/image_raw' if namespace else '/camera/image_raw')
    assert yolo.after('--model') == 'yolov8n.pt'
    assert yolo.after('--device') == 'cuda:0'
    assert node.parameters['device'] == DEFAULTS['device']
    assert node.namespace == f'/{namespace}'
    assert calls['yolo_adapter'].namespace == f'/{namespace}'


def test_another_camera_keeps_the_topics_it_is_given(prefix):
    calls = prefix.launch('camera', camera='none', image='/robot/rgb', fixed_frame='base')
    assert calls['nabs_pose_node'].remaps['image'] == '/robot/rgb'
    assert calls['box_publisher'].remaps['image'] == '/robot/rgb'


def test_a_bag_is_played_on_its_clock(prefix):
    for name in ('ros2bag', 'rviz2'):
        prefix.add_stand_in(name, name)
    prefix.add_command('ros2')
    calls = prefix.launch('bag', start_delay='0.1')
    assert set(calls) == {'nabs_pose_node', 'rviz2', 'ros2'}
    bag = str(prefix.folder / 'share/ros2_nabs_pose/demo/mugs')
    assert calls['ros2'].words == ['bag', 'play', bag, '--clock', '100', '--rate', '1.0', '--loop']
    node = calls['nabs_pose_node']
    assert node.parameters == {**DEFAULTS, 'use_sim_time': True}
    assert node.remaps['image'] == '/camera/image_raw'
    assert node.remaps['camera_info'] == '/camera/camera_info'
    assert node.remaps['detections'] == '/detections'
    assert calls['rviz2'].parameters == {'use_sim_time': True}


def test_a_bag_may_be_mine_once_and_slower_without_rviz(prefix):
    prefix.add_package('ros2bag')
    prefix.add_command('ros2')
    calls = prefix.launch('bag', start_delay='0.0', bag='/data/bag', loop='false', rate='0.5',
                          rviz='false', detections='/yolo', use_sim_time='false')
    assert set(calls) == {'nabs_pose_node', 'ros2'}
    assert calls['ros2'].words == ['bag', 'play', '/data/bag', '--clock', '100', '--rate', '0.5']
    assert calls['nabs_pose_node'].remaps['detections'] == '/yolo'
    assert calls['nabs_pose_node'].parameters['use_sim_time'] is False
