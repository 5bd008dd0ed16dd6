# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""yolo_msgs/DetectionArray (yolo_ros) -> vision_msgs/Detection2DArray, and its masks.

    ros2 run ros2_nabs_pose yolo_adapter --ros-args -r yolo_detections:=/yolo/tracking

The conversions are pure functions of objects with the messages' fields; only ``main`` needs ROS
and yolo_msgs.
"""

from __future__ import annotations

import array
import importlib
import sys
from typing import Any

import cv2
import numpy as np

from .conversions import MakeMessage, ros_class, ros_message

DETECTIONS_DEPTH = 30


def detections_from_yolo(make: MakeMessage, message: Any) -> Any:
    """vision_msgs/Detection2DArray of a yolo_msgs/DetectionArray.

    The class is the name, or the number where there is no name; tracks keep their ids, and boxes
    their angle.
    """
    detections = []
    for found in message.detections:
        center, size = found.bbox.center, found.bbox.size
        point = make('vision_msgs/msg/Point2D', x=float(center.position.x),
                     y=float(center.position.y))
        detections.append(make(
            'vision_msgs/msg/Detection2D', header=message.header, id=found.id,
            bbox=make('vision_msgs/msg/BoundingBox2D',
                      center=make('vision_msgs/msg/Pose2D', position=point,
                                  theta=float(center.theta)),
                      size_x=float(size.x), size_y=float(size.y)),
            results=[make('vision_msgs/msg/ObjectHypothesisWithPose', hypothesis=make(
                'vision_msgs/msg/ObjectHypothesis',
                class_id=found.class_name or str(found.class_id), score=float(found.score)))]))
    return make('vision_msgs/msg/Detection2DArray', header=message.header, detections=detections)


def labels_from_yolo(message: Any) -> np.ndarray | None:
    """Labels (H, W) uint16 of a yolo_msgs/DetectionArray, None where no detection has an outline.

    1 for the first detection, 2 for the second, and so on, as ``mask_labels: index`` has it;
    where outlines overlap, the detection with the higher score is in front.
    """
    outlined = [(number, found) for number, found in enumerate(message.detections, 1)
                if len(found.mask.data) >= 3]
    if not outlined:
        return None
    size = outlined[0][1].mask
    labels = np.zeros((int(size.height), int(size.width)), np.uint16)
    for number, found in sorted(outlined, key=lambda item: item[1].score):
        outline = np.array([(point.x, point.y) for point in found.mask.data])
        cv2.fillPoly(labels, [outline.round().astype(np.int32)], number)
    return labels


def label_message(make: MakeMessage, header: Any, labels: np.ndarray) -> Any:
    """sensor_msgs/Image of labels (H, W) uint16."""
    data = array.array('B')
    data.frombytes(np.ascontiguousarray(labels, '<u2').tobytes())
    return make('sensor_msgs/msg/Image', header=header, height=labels.shape[0],
                width=labels.shape[1], encoding='16UC1', step=2 * labels.shape[1], data=data)


def main(args: list[str] | None = None) -> int:
    """Run the adapter until Ctrl-C; returns 1 where yolo_msgs is missing."""
    import rclpy
    from rclpy.clock import Clock, ClockType
    from rclpy.executors import ExternalShutdownException
    from rclpy.node import Node

    from .qos import publisher_options
    from .subscriptions import Input

    try:
        source_type = importlib.import_module('yolo_msgs.msg').DetectionArray
    except ImportError:
        print('yolo_adapter: yolo_msgs is not installed: build '
              'https://github.com/mgonzs13/yolo_ros in your workspace and source it',
              file=sys.stderr)
        return 1
    rclpy.init(args=args)
    try:
        node = Node('yolo_adapter')
        boxes, masks = (
            node.create_publisher(ros_class(kind), name, 10,
                                  qos_overriding_options=publisher_options())
            for kind, name in (('vision_msgs/msg/Detection2DArray', 'detections'),
                               ('sensor_msgs/msg/Image', 'mask')))

        def convert(message: Any) -> None:
            if masks.get_subscription_count():
                labels = labels_from_yolo(message)
                if labels is not None:
                    masks.publish(label_message(ros_message, message.header, labels))
            boxes.publish(detections_from_yolo(ros_message, message))

        source = Input(node, {node.resolve_topic_name('yolo_detections'): source_type}, convert,
                       DETECTIONS_DEPTH)
        node.create_timer(0.2, source.follow, clock=Clock(clock_type=ClockType.STEADY_TIME))
        source.follow()
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
