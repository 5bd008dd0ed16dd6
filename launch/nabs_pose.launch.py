# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""
Start the pose node, and RViz or a bridge to Foxglove beside it where asked.

    ros2 launch ros2_nabs_pose nabs_pose.launch.py image:=/camera/image_raw \
        camera_info:=/camera/camera_info detections:=/detections rviz:=true
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from ros2_nabs_pose.launching import (
    given_parameters,
    is_on,
    Namespace,
    require_package,
    shared_file,
    switch,
)

TOPICS = {
    'image': 'Topic of raw images; compressed ones are looked for beside it, under /compressed.',
    'camera_info': 'Topic of the calibration that belongs to the images.',
    'detections': 'Topic of the boxes, vision_msgs/Detection2DArray.',
    'depth': 'Topic of depth images registered to the colour images; used once it is published.',
    'mask': 'Topic of label images of the objects; used once it is published.',
}
# Parameters that are arguments too. Empty: as the parameter file says.
PARAMETERS = {
    'categories': ("Object categories to load, such as '[mug, bottle]'", None),
    'device': ("Where torch computes: 'cpu', 'cuda' or 'cuda:1'", None),
    'preset': ('Effort of the fit', ['', 'warm', 'cold', 'accurate']),
    'ground_frame': ('Frame of /tf with z up on what the objects stand on, such as table', None),
    'image_is_rectified': ('The images have had their lens distortion taken out',
                           ['', 'true', 'false']),
    'autostart': ('Load the models and become active without a lifecycle manager',
                  ['', 'true', 'false']),
    'use_sim_time': ('Take the time from /clock', ['', 'true', 'false']),
}
# What the RViz configuration shows, by the names that it holds; relative to a namespace.
RVIZ_TOPICS = ('pose', 'pose_with_covariance', 'markers', 'debug_image')
RVIZ_FRAME = 'camera_optical_frame'


def generate_launch_description() -> LaunchDescription:
    """Node with its parameter file, topics and namespace as arguments."""
    return LaunchDescription([
        DeclareLaunchArgument('namespace', default_value='',
                              description='Namespace of the node, its topics and its TF frames.'),
        DeclareLaunchArgument(
            'params_file', default_value=shared_file('config', 'nabs_pose.yaml'),
            description='Parameter file; the default one explains every parameter.'),
        *(DeclareLaunchArgument(name, default_value='', description=(
            f'{text}; empty: as the parameter file says.'),
            **({'choices': choices} if choices else {}))
          for name, (text, choices) in PARAMETERS.items()),
        DeclareLaunchArgument('log_level', default_value='info',
                              choices=['debug', 'info', 'warn', 'error', 'fatal'],
                              description='Least severe messages to log.'),
        *(DeclareLaunchArgument(name, default_value=name, description=text)
          for name, text in TOPICS.items()),
        switch('rviz', 'false', 'Start RViz with the configuration in rviz_config.'),
        DeclareLaunchArgument('rviz_config', default_value=shared_file('rviz', 'nabs_pose.rviz'),
                              description='Configuration of RViz.'),
        DeclareLaunchArgument('fixed_frame', default_value=RVIZ_FRAME,
                              description="RViz' fixed frame: the images' frame_id, or any frame "
                              'that TF connects with it.'),
        switch('foxglove', 'false', 'Start foxglove_bridge; the log says where the layout lies.'),
        DeclareLaunchArgument('foxglove_port', default_value='8765',
                              description='TCP port of foxglove_bridge.'),
        OpaqueFunction(function=_start),
    ])


def _start(context: LaunchContext) -> list:
    """The node, and the viewers that are switched on."""
    return [_node(context),
            *([_rviz(context)] if is_on(context, 'rviz') else []),
            *(_foxglove(context) if is_on(context, 'foxglove') else [])]


def _node(context: LaunchContext) -> Node:
    """The node; an argument that was left empty does not override the parameter file."""
    given = given_parameters(context, PARAMETERS)
    if isinstance(given.get('categories'), str):
        given['categories'] = [name.strip() for name in given['categories'].split(',')]
    return Node(
        package='ros2_nabs_pose', executable='nabs_pose_node', name='nabs_pose',
        namespace=Namespace(), output='screen',
        parameters=[LaunchConfiguration('params_file'), *([given] if given else [])],
        remappings=[(name, LaunchConfiguration(name)) for name in TOPICS],
        arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')])


def _rviz(context: LaunchContext) -> Node:
    """RViz in the node's namespace; its configuration names the topics without one."""
    require_package('rviz2', 'rviz:=true')
    return Node(
        package='rviz2', executable='rviz2', name='rviz', output='log',
        namespace=Namespace(),
        parameters=[given_parameters(context, ['use_sim_time'])],
        remappings=[
            *((f'/nabs_pose/{name}', f'nabs_pose/{name}') for name in RVIZ_TOPICS),
            *((f'/{name}', LaunchConfiguration(name)) for name in ('image', 'camera_info'))],
        arguments=['-d', LaunchConfiguration('rviz_config'),
                   '-f', LaunchConfiguration('fixed_frame')])


def _foxglove(context: LaunchContext) -> list:
    """A bridge that Foxglove connects to, and where to find what to import there."""
    require_package('foxglove_bridge', 'foxglove:=true')
    port = int(LaunchConfiguration('foxglove_port').perform(context))
    layout = shared_file('foxglove', 'nabs_pose.json')
    return [
        Node(package='foxglove_bridge', executable='foxglove_bridge', name='foxglove_bridge',
             namespace=Namespace(),
             parameters=[{'port': port, **given_parameters(context, ['use_sim_time'])}]),
        LogInfo(msg=[f'Foxglove: connect to ws://localhost:{port} and import the layout ',
                     layout]),
    ]
