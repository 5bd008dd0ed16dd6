# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""
Start a camera, a detector and the pose node: from a webcam to poses in one command.

    ros2 launch ros2_nabs_pose camera.launch.py                    # webcam, draw the box yourself
    ros2 launch ros2_nabs_pose camera.launch.py camera:=realsense detector:=yolo rviz:=true

The camera's topics lie under <namespace>/camera; the drivers and detectors are other packages.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    SetLaunchConfiguration,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from ros2_nabs_pose.launching import (
    given_parameters,
    is_on,
    Namespace,
    pose_node,
    require_package,
    switch,
)

FRAME = 'camera_optical_frame'
REALSENSE_FRAME = 'camera_color_optical_frame'


def generate_launch_description() -> LaunchDescription:
    """Camera, detector and node; arguments of nabs_pose.launch.py hold here too."""
    return LaunchDescription([
        DeclareLaunchArgument('camera', default_value='usb_cam', choices=sorted(CAMERAS),
                              description="Driver of the camera; 'none': it runs already, with its "
                              'topics under <namespace>/camera.'),
        DeclareLaunchArgument('detector', default_value='box_publisher', choices=sorted(DETECTORS),
                              description="What finds the boxes: 'box_publisher' takes one that "
                              "you draw or give, 'yolo' starts yolo_ros; 'none': something else "
                              'publishes <namespace>/detections.'),
        DeclareLaunchArgument('box', default_value='',
                              description='What box_publisher sends: left, top, right, bottom in '
                              "pixels, such as '[200, 120, 330, 260]'; empty: draw it with the "
                              'mouse.'),
        DeclareLaunchArgument('box_class', default_value='mug',
                              description='Class of what the box holds.'),
        switch('box_follows', 'false', 'The box follows what it holds, with a tracker of OpenCV.'),
        DeclareLaunchArgument('video_device', default_value='/dev/video0',
                              description='Device of usb_cam and v4l2_camera.'),
        DeclareLaunchArgument('width', default_value='640', description='Width of the images.'),
        DeclareLaunchArgument('height', default_value='480', description='Height of the images.'),
        DeclareLaunchArgument('rate', default_value='30', description='Images a second.'),
        DeclareLaunchArgument('camera_info_url', default_value='',
                              description='Calibration for usb_cam and v4l2_camera, such as '
                              'file:///home/me/webcam.yaml; empty: where the driver looks by '
                              'itself.'),
        switch('with_depth', 'false', "The RealSense's depth, registered to its colour images, "
               'gives the metric scale.'),
        DeclareLaunchArgument('yolo_model', default_value='yolov8n.pt',
                              description='Weights for yolo_ros.'),
        DeclareLaunchArgument('yolo_device', default_value='cpu',
                              description="Where yolo_ros computes: 'cpu' or 'cuda:0'."),
        DeclareLaunchArgument('namespace', default_value='',
                              description='Namespace of all nodes, topics and TF frames.'),
        OpaqueFunction(function=_start),
        pose_node(),
    ])


def _start(context: LaunchContext) -> list:
    """The chosen driver and detector, and the names that the node finds them under."""
    camera = LaunchConfiguration('camera').perform(context)
    detector = LaunchConfiguration('detector').perform(context)
    base = 'camera/color' if camera == 'realsense' else 'camera'
    chosen = {'image': f'{base}/image_raw', 'camera_info': f'{base}/camera_info',
              'fixed_frame': REALSENSE_FRAME if camera == 'realsense' else FRAME}
    if is_on(context, 'with_depth'):
        chosen['depth'] = 'camera/aligned_depth_to_color/image_raw'
    # What the command line says stays.
    chosen.update((name, context.launch_configurations[name])
                  for name in chosen if name in context.launch_configurations)
    return [*(SetLaunchConfiguration(name, value) for name, value in chosen.items()),
            *CAMERAS[camera](context), *DETECTORS[detector](context, chosen['image'])]


def _nothing(context: LaunchContext, image: str = '') -> list:
    return []


def _usb_cam(context: LaunchContext) -> list:
    """In a namespace of its own: remapping image_raw would leave its compressed twin behind."""
    require_package('usb_cam', 'camera:=usb_cam')
    return [Node(
        package='usb_cam', executable='usb_cam_node_exe', name='usb_cam', output='screen',
        namespace=[Namespace(), '/camera'],
        parameters=[{**given_parameters(context, ['video_device', 'camera_info_url']),
                     'image_width': _number(context, 'width'),
                     'image_height': _number(context, 'height'),
                     'framerate': float(_number(context, 'rate')),
                     'frame_id': FRAME, 'camera_name': 'camera'}])]


def _v4l2_camera(context: LaunchContext) -> list:
    require_package('v4l2_camera', 'camera:=v4l2_camera')
    return [Node(
        package='v4l2_camera', executable='v4l2_camera_node', name='v4l2_camera', output='screen',
        namespace=[Namespace(), '/camera'],
        parameters=[{**given_parameters(context, ['video_device', 'camera_info_url']),
                     'image_size': [_number(context, 'width'), _number(context, 'height')],
                     'time_per_frame': [1, _number(context, 'rate')],
                     'camera_frame_id': FRAME}])]


def _realsense(context: LaunchContext) -> list:
    """The driver names its topics <namespace>/camera/color/... after the node."""
    require_package('realsense2_camera', 'camera:=realsense')
    profile = 'x'.join(str(_number(context, name)) for name in ('width', 'height', 'rate'))
    with_depth = is_on(context, 'with_depth')
    return [Node(
        package='realsense2_camera', executable='realsense2_camera_node', name='camera',
        namespace=Namespace(), output='screen',
        parameters=[{'camera_name': 'camera', 'enable_color': True, 'enable_depth': with_depth,
                     'align_depth.enable': with_depth, 'rgb_camera.color_profile': profile}])]


def _box_publisher(context: LaunchContext, image: str) -> list:
    given = given_parameters(context, ['box'])
    if 'box' in given:
        try:
            given['box'] = [float(value) for value in given['box']]
        except (TypeError, ValueError) as error:
            raise RuntimeError(f"box:={given['box']} is no list of four numbers.") from error
    return [Node(
        package='ros2_nabs_pose', executable='box_publisher', name='box_publisher',
        namespace=Namespace(), output='screen',
        parameters=[{**given, 'follow': is_on(context, 'box_follows'),
                     'class_id': ParameterValue(
                         LaunchConfiguration('box_class'), value_type=str)}],
        remappings=[('image', image)])]


def _yolo(context: LaunchContext, image: str) -> list:
    """yolo_ros as its own launch file starts it, and the adapter to vision_msgs."""
    require_package('yolo_bringup', 'detector:=yolo', 'https://github.com/mgonzs13/yolo_ros')
    namespace = LaunchConfiguration('namespace').perform(context).strip('/')
    source = PathJoinSubstitution([FindPackageShare('yolo_bringup'), 'launch', 'yolo.launch.py'])
    return [
        # In a group: it calls its arguments namespace and device, too.
        GroupAction([IncludeLaunchDescription(
            PythonLaunchDescriptionSource(source), launch_arguments={
                'namespace': '/'.join(part for part in (namespace, 'yolo') if part),
                'input_image_topic': image if image.startswith('/')
                else '/' + '/'.join(part for part in (namespace, image) if part),
                'model': LaunchConfiguration('yolo_model'),
                'device': LaunchConfiguration('yolo_device'),
                'use_debug': 'False'}.items())]),
        Node(package='ros2_nabs_pose', executable='yolo_adapter', name='yolo_adapter',
             namespace=Namespace(), output='screen',
             remappings=[('yolo_detections', 'yolo/tracking')]),
    ]


def _number(context: LaunchContext, name: str) -> int:
    """An argument that is a whole number; RuntimeError with one sentence where it is none."""
    text = LaunchConfiguration(name).perform(context)
    try:
        return int(text)
    except ValueError as error:
        raise RuntimeError(f'{name}:={text} is no whole number.') from error


CAMERAS = {'none': _nothing, 'usb_cam': _usb_cam, 'v4l2_camera': _v4l2_camera,
           'realsense': _realsense}
DETECTORS = {'none': _nothing, 'box_publisher': _box_publisher, 'yolo': _yolo}
