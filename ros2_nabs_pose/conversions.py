# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Messages <-> plain data, as pure functions (see also ``image_encodings``, ``detections``).

Incoming messages are read by attribute. Outgoing ones are built through ``make(type_name,
**fields)``: ``ros_message`` makes rclpy's classes, ``bags.BagTypes.make`` the same messages for a
bag file, so that a node and a bag carry the same poses.
"""

from __future__ import annotations

import array
from collections.abc import Callable, Sequence
from functools import cache
import importlib
from typing import Any

import numpy as np

from .core.camera import from_camera_info_values, scaled_to
from .core.quaternions import matrix_rows, quaternion_values
from .core.types import Intrinsics, PoseEstimate

MakeMessage = Callable[..., Any]


@cache
def ros_class(type_name: str) -> Any:
    """rclpy's class of a type such as 'geometry_msgs/msg/Pose' or 'std_srvs/srv/Trigger'."""
    package, kind, name = type_name.split('/')
    return getattr(importlib.import_module(f'{package}.{kind}'), name)


def ros_message(type_name: str, **fields: Any) -> Any:
    """An rclpy message of a type such as 'geometry_msgs/msg/Pose'; unnamed fields are default."""
    return ros_class(type_name)(**fields)


def intrinsics_from_camera_info(message: Any, width: int, height: int,
                                rectified: bool) -> Intrinsics:
    """Intrinsics of an image of ``width`` x ``height`` pixels that comes with this CameraInfo.

    rectified: the image is rectified, so P holds and the lens does not. Raises PoseError where
    the camera is uncalibrated, its model unknown, or the image of another shape.
    """
    roi = message.roi
    intrinsics = from_camera_info_values(
        message.p if rectified else message.k, int(message.width), int(message.height),
        tuple(float(k) for k in message.d),
        (int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)),
        (int(message.binning_x), int(message.binning_y)),
        rectified=rectified, distortion_model=message.distortion_model)
    return scaled_to(intrinsics, width, height)


def frame_name(namespace: str, category: str, track_id: str) -> str:
    """Child frame ``<class>_<id>``, under the node's namespace so that two nodes never clash."""
    own = category if not track_id else (
        track_id if track_id.startswith(f'{category}_') else f'{category}_{track_id}')
    return '/'.join(part for part in (namespace.strip('/'), own) if part)


def pose_message(make: MakeMessage, T_cam_obj: np.ndarray) -> Any:
    """geometry_msgs/Pose of a (4, 4) transform, object to camera."""
    x, y, z = (float(v) for v in T_cam_obj[:3, 3])
    return make('geometry_msgs/msg/Pose', position=make('geometry_msgs/msg/Point', x=x, y=y, z=z),
                orientation=_quaternion(make, T_cam_obj))


def transform_from_pose(message: Any) -> np.ndarray:
    """(4, 4) transform of a geometry_msgs/Pose."""
    p, q = message.position, message.orientation
    transform = np.eye(4)
    transform[:3, :3] = matrix_rows(q.x, q.y, q.z, q.w)
    transform[:3, 3] = p.x, p.y, p.z
    return transform


def pose_stamped(make: MakeMessage, header: Any, estimate: PoseEstimate) -> Any:
    """geometry_msgs/PoseStamped of an estimate."""
    return make('geometry_msgs/msg/PoseStamped', header=header,
                pose=pose_message(make, estimate.T_cam_obj))


def pose_with_covariance_stamped(make: MakeMessage, header: Any, estimate: PoseEstimate) -> Any:
    """geometry_msgs/PoseWithCovarianceStamped of an estimate."""
    return make('geometry_msgs/msg/PoseWithCovarianceStamped', header=header,
                pose=_pose_with_covariance(make, estimate))


def detection3d(make: MakeMessage, header: Any, estimate: PoseEstimate) -> Any:
    """vision_msgs/Detection3D: one hypothesis with pose and covariance, and the metric box."""
    hypothesis = make(
        'vision_msgs/msg/ObjectHypothesisWithPose',
        hypothesis=make('vision_msgs/msg/ObjectHypothesis', class_id=estimate.category,
                        score=float(estimate.confidence)),
        pose=_pose_with_covariance(make, estimate))
    bbox = make('vision_msgs/msg/BoundingBox3D',
                center=pose_message(make, box_transform(estimate)),
                size=vector_message(make, estimate.size_m))
    return make('vision_msgs/msg/Detection3D', header=header, results=[hypothesis], bbox=bbox,
                id=estimate.track_id)


def detection3d_array(make: MakeMessage, header: Any, estimates: Sequence[PoseEstimate]) -> Any:
    """vision_msgs/Detection3DArray of a frame; empty where nothing is believed in."""
    return make('vision_msgs/msg/Detection3DArray', header=header,
                detections=[detection3d(make, header, estimate) for estimate in estimates])


def tf_message(make: MakeMessage, header: Any, estimates: Sequence[PoseEstimate],
               namespace: str) -> Any:
    """tf2_msgs/TFMessage with the transforms of all objects of a frame."""
    return make('tf2_msgs/msg/TFMessage', transforms=[
        make('geometry_msgs/msg/TransformStamped', header=header,
             child_frame_id=frame_name(namespace, estimate.category, estimate.track_id),
             transform=make('geometry_msgs/msg/Transform',
                            translation=vector_message(make, estimate.T_cam_obj[:3, 3]),
                            rotation=_quaternion(make, estimate.T_cam_obj)))
        for estimate in estimates])


def image_message(header: Any, rgb: np.ndarray) -> Any:
    """sensor_msgs/Image (rclpy) of an RGB array (H, W, 3) uint8."""
    height, width = rgb.shape[:2]
    # From an array.array rclpy copies the block; from a list or an ndarray it goes by element.
    data = array.array('B')
    data.frombytes(np.ascontiguousarray(rgb).tobytes())
    return ros_message('sensor_msgs/msg/Image', header=header, height=height, width=width,
                       encoding='rgb8', step=3 * width, data=data)


def box_transform(estimate: PoseEstimate) -> np.ndarray:
    """Pose (4, 4) of the bounding box: the object's rotation about the box's own centre."""
    transform = estimate.T_cam_obj.copy()
    transform[:3, 3] += transform[:3, :3] @ estimate.box_center_m
    return transform


def _pose_with_covariance(make: MakeMessage, estimate: PoseEstimate) -> Any:
    return make('geometry_msgs/msg/PoseWithCovariance',
                pose=pose_message(make, estimate.T_cam_obj),
                covariance=np.ascontiguousarray(estimate.covariance, np.float64).reshape(36))


def _quaternion(make: MakeMessage, transform: np.ndarray) -> Any:
    x, y, z, w = quaternion_values(transform[:3, :3].tolist())
    return make('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w)


def vector_message(make: MakeMessage, values: Any) -> Any:
    """geometry_msgs/Vector3 of three numbers."""
    x, y, z = (float(v) for v in values)
    return make('geometry_msgs/msg/Vector3', x=x, y=y, z=z)
