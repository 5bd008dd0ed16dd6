# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""
Start the pose node.

    ros2 launch ros2_nabs_pose nabs_pose.launch.py image:=/camera/image_raw \
        camera_info:=/camera/camera_info detections:=/detections
"""

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchContext, LaunchDescription

TOPICS = {
    'image': 'Topic of raw images; compressed ones are looked for beside it, under /compressed.',
    'camera_info': 'Topic of the calibration that belongs to the images.',
    'detections': 'Topic of the boxes, vision_msgs/Detection2DArray.',
}


def generate_launch_description() -> LaunchDescription:
    """Node with its parameter file, topics and namespace as arguments."""
    share = FindPackageShare('ros2_nabs_pose')
    arguments = [
        DeclareLaunchArgument('namespace', default_value='',
                              description='Namespace of the node, its topics and its TF frames.'),
        DeclareLaunchArgument(
            'params_file', default_value=PathJoinSubstitution([share, 'config', 'nabs_pose.yaml']),
            description='Parameter file; the default one explains every parameter.'),
        DeclareLaunchArgument('device', default_value='',
                              description="Where torch computes: 'cpu', 'cuda' or 'cuda:1'; "
                              'empty: as the parameter file says.'),
        DeclareLaunchArgument('log_level', default_value='info',
                              description='Least severe messages to log.'),
        *(DeclareLaunchArgument(name, default_value=name, description=text)
          for name, text in TOPICS.items()),
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=_start)])


def _start(context: LaunchContext) -> list[Node]:
    """The node; an argument that was left empty does not override the parameter file."""
    device = LaunchConfiguration('device').perform(context)
    return [Node(
        package='ros2_nabs_pose', executable='nabs_pose_node', name='nabs_pose',
        namespace=LaunchConfiguration('namespace'), output='screen',
        parameters=[LaunchConfiguration('params_file'), *([{'device': device}] if device else [])],
        remappings=[(name, LaunchConfiguration(name)) for name in TOPICS],
        arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')])]
