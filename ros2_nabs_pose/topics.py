# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Every topic and service of the node, once: name, type, depth and what it carries.

The node subscribes, publishes and serves from these tables, and the docs are written from them.
Nothing here imports ROS.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """One topic; names are relative or private, so that remapping and namespaces work.

    depth: of the history. latched: late subscribers get the last message (transient local).
    """

    name: str
    type_name: str
    description: str
    depth: int = 10
    latched: bool = False


@dataclass(frozen=True)
class Service:
    """One service."""

    name: str
    type_name: str
    description: str


INPUTS: dict[str, Topic] = {
    'image': Topic(
        'image', 'sensor_msgs/msg/Image', 'The picture, in any of the encodings below.'),
    'compressed': Topic(
        'image/compressed', 'sensor_msgs/msg/CompressedImage',
        'The picture as JPEG or PNG; taken where image_transport says so or only it is published.'),
    'depth': Topic(
        'depth', 'sensor_msgs/msg/Image',
        'Optional depth, registered to the image: 16UC1 in millimetres or 32FC1 in metres.'),
    'depth_compressed': Topic(
        'depth/compressedDepth', 'sensor_msgs/msg/CompressedImage',
        'The same from compressed_depth_image_transport (PNG or RVL), or a 16-bit PNG; taken where '
        'no raw depth is published.'),
    'mask': Topic(
        'mask', 'sensor_msgs/msg/Image',
        'Optional label image (mono8, 16UC1, 32SC1), registered to the image: a number for each '
        'object, 0 for the background; see mask_labels.'),
    'mask_compressed': Topic(
        'mask/compressed', 'sensor_msgs/msg/CompressedImage',
        'The same as PNG; taken where no raw mask is published.'),
    'camera_info': Topic(
        'camera_info', 'sensor_msgs/msg/CameraInfo',
        'Calibration of the picture, with ROI and binning.', depth=30),
    'detections': Topic(
        'detections', 'vision_msgs/msg/Detection2DArray',
        'Boxes of the objects, stamped like the image they were found in.', depth=30),
    'transforms': Topic(
        '/tf', 'tf2_msgs/msg/TFMessage',
        'Transforms between the camera and up_frame or ground_frame, where one is set.', depth=100),
    'static_transforms': Topic(
        '/tf_static', 'tf2_msgs/msg/TFMessage', 'Those of them that never change.', depth=100,
        latched=True),
}

OUTPUTS: dict[str, Topic] = {
    'pose': Topic(
        '~/pose', 'geometry_msgs/msg/PoseStamped',
        'Pose of the target: see target_class, target_id, target_mode and ~/set_target.'),
    'pose_with_covariance': Topic(
        '~/pose_with_covariance', 'geometry_msgs/msg/PoseWithCovarianceStamped',
        'The same pose with its covariance: x, y, z, rotation about x, y, z of the camera frame.'),
    'poses': Topic(
        '~/poses', 'vision_msgs/msg/Detection3DArray',
        'All objects of a frame: pose, covariance, confidence as score, metric box, track id; '
        'empty where nothing is believed in.'),
    'tf': Topic(
        '/tf', 'tf2_msgs/msg/TFMessage',
        'Camera frame to [namespace/]<class>_<id>, all objects of a frame in one message.',
        depth=100),
    'markers': Topic(
        '~/markers', 'visualization_msgs/msg/MarkerArray',
        'Box, axes, two-sigma position ellipsoid and axis cones, and name of each object; those '
        'of vanished objects are deleted.'),
    'debug_image': Topic(
        '~/debug_image', 'sensor_msgs/msg/Image',
        'The image with boxes and axes over a strip of crops and their synthesised views; made '
        'only while somebody subscribes.', depth=2),
    'symmetries': Topic(
        '~/object_symmetries', 'std_msgs/msg/String',
        "Symmetries of the loaded categories as JSON, with the keys of BOP's models_info: "
        'symmetries_continuous (axis, offset) and symmetries_discrete (4 x 4, row by row).',
        depth=1, latched=True),
}

OBJECT_POSE = Topic(
    '~/objects/<class>_<id>/pose', 'geometry_msgs/msg/PoseStamped',
    'Pose of one object, where publish_object_poses asks for it; what a topic name may not hold '
    'becomes an underscore.')

DIAGNOSTICS = Topic(
    '/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray',
    'State, counts, drops, latencies, time of each stage, and the reason when nothing comes out.')

SERVICES: dict[str, Service] = {
    'reset': Service('~/reset', 'std_srvs/srv/Trigger',
                     'Forget all tracks and waiting messages: the next frame starts cold.'),
    'set_target': Service(
        '~/set_target', 'rcl_interfaces/srv/SetParametersAtomically',
        'Choose what ~/pose follows by any of target_class, target_id and target_mode; those '
        'left out go back to their defaults.'),
    'enable': Service(
        '~/enable', 'std_srvs/srv/SetBool',
        'False: deactivate, the camera is no longer subscribed and the models stay in memory; '
        'true: activate again.'),
}
