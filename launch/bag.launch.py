# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""
Play a bag through the pose node, on the bag's clock, and look at it in RViz.

    ros2 launch ros2_nabs_pose bag.launch.py                       # the bag that is shipped
    ros2 launch ros2_nabs_pose bag.launch.py bag:=my_bag image:=/camera/color/image_raw \
        camera_info:=/camera/color/camera_info detections:=/yolo/detections
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, TimerAction
from launch.substitutions import LaunchConfiguration

from ros2_nabs_pose.launching import is_on, pose_node, require_package, shared_file, switch

TOPICS = {
    'image': ('/camera/image_raw', 'Topic of the images in the bag, without /compressed.'),
    'camera_info': ('/camera/camera_info', 'Topic of the calibration in the bag.'),
    'detections': ('/detections', 'Topic of the boxes in the bag.'),
}


def generate_launch_description() -> LaunchDescription:
    """Player, node and RViz; arguments of nabs_pose.launch.py hold here too."""
    return LaunchDescription([
        DeclareLaunchArgument('bag', default_value=shared_file('demo', 'mugs'),
                              description='Bag to play, a folder; default: two mugs on a table.'),
        switch('loop', 'true', 'Begin again at the end.'),
        DeclareLaunchArgument('rate', default_value='1.0', description='Speed: 0.5 is half.'),
        DeclareLaunchArgument('start_delay', default_value='8.0',
                              description='Seconds for the node to load its models before the bag '
                              'begins.'),
        *(DeclareLaunchArgument(name, default_value=topic, description=text)
          for name, (topic, text) in TOPICS.items()),
        DeclareLaunchArgument('use_sim_time', default_value='true', choices=['true', 'false'],
                              description="Node and RViz take the time from the bag's clock."),
        switch('rviz', 'true', 'Start RViz.'),
        pose_node(),
        OpaqueFunction(function=_player),
    ])


def _player(context: LaunchContext) -> list:
    """``ros2 bag play`` with a clock, once the node had time to load."""
    require_package('ros2bag', 'bag.launch.py')
    if any(Path(LaunchConfiguration('bag').perform(context)).glob('*.mcap')):
        require_package('rosbag2_storage_mcap', 'bag.launch.py')  # Humble has it apart
    return [TimerAction(
        period=LaunchConfiguration('start_delay'),
        actions=[ExecuteProcess(
            cmd=['ros2', 'bag', 'play', LaunchConfiguration('bag'), '--clock', '100',
                 '--rate', LaunchConfiguration('rate'),
                 *(['--loop'] if is_on(context, 'loop') else [])],
            name='bag_player', output='screen')])]
