# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""``nabs-pose bag``: a recorded bag in, the same plus poses, TF and markers out, without ROS."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.types import PoseError

OUTPUTS = {
    '/nabs_pose/pose': 'geometry_msgs/msg/PoseStamped',
    '/nabs_pose/pose_with_covariance': 'geometry_msgs/msg/PoseWithCovarianceStamped',
    '/nabs_pose/poses': 'vision_msgs/msg/Detection3DArray',
    '/nabs_pose/markers': 'visualization_msgs/msg/MarkerArray',
    '/tf': 'tf2_msgs/msg/TFMessage',
}
INPUTS = {
    'image': ('sensor_msgs/msg/CompressedImage', 'sensor_msgs/msg/Image'),
    'camera_info': ('sensor_msgs/msg/CameraInfo',),
    'detections': ('vision_msgs/msg/Detection2DArray',),
}


def add_parser(subparsers: Any) -> None:
    """Add the ``bag`` command."""
    parser = subparsers.add_parser(
        'bag', help='add poses to a recorded bag, without ROS',
        description='Copies a rosbag2 folder or MCAP file and adds what the node would publish '
                    'for every frame with detections. A topic need not be named where the bag has '
                    'only one of its type.')
    parser.add_argument('bag', type=Path, help='rosbag2 folder, or MCAP or SQLite file')
    parser.add_argument('--out', type=Path, required=True, help='new folder for the MCAP bag')
    for name in INPUTS:
        parser.add_argument(f'--{name.replace("_", "-")}', dest=name, metavar='TOPIC',
                            help=f'topic of the {name}')
    parser.add_argument('--categories', nargs='+', default=['mug'], help='categories to load')
    parser.add_argument('--class-map', nargs='+', default=None, metavar='ID:CATEGORY',
                        help="the detector's class ids for categories")
    parser.add_argument('--preset', default='cold', help='preset of the fit')
    parser.add_argument('--device', default='cpu', help="'cpu' or 'cuda'")
    parser.add_argument('--models-dir', help='folder with the weights')
    parser.add_argument('--slop', type=float, default=0.01,
                        help='largest difference of the stamps of an image and its boxes, seconds')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Convert; 0 if any pose came out."""
    from rosbags.rosbag2 import StoragePlugin, Writer

    from ..bag_types import BagReader, BagTypes
    from ..core.pipeline import PosePipeline
    from ..markers import MarkerBoard
    from ..matching import Matcher
    from ..parameters import Parameters

    values = {'categories': args.categories, 'slop_s': args.slop, 'preset': args.preset,
              'device': args.device, 'models_dir': args.models_dir or ''}
    if args.class_map is not None:
        values['class_map'] = args.class_map
    try:
        parameters = Parameters.from_values(values)
    except ValueError as error:
        raise PoseError(str(error)) from error
    if args.out.exists():
        raise PoseError(f'{args.out} exists already: choose another folder or remove it')
    types = BagTypes()
    with BagReader(args.bag, types) as reader:
        topics = {_choose(name, getattr(args, name), reader.connections): name for name in INPUTS}
        pipeline = PosePipeline.load(parameters.categories, device=parameters.device,
                                     preset=parameters.preset,
                                     models_dir=parameters.models_dir or None)
        matcher: Matcher[Any] = Matcher(parameters.slop_s, parameters.queue_size)
        board = MarkerBoard()
        take = {'image': matcher.add_image, 'camera_info': matcher.add_camera_info,
                'detections': matcher.add_detections}
        with Writer(args.out, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
            copies = {c.id: reader.copy_connection(c, writer) for c in reader.connections}
            # A recorded /tf takes the objects' transforms too.
            recorded = {(c.topic, c.msgtype): copies[c.id] for c in reader.connections}
            outputs = {topic: recorded.get((topic, name))
                       or writer.add_connection(topic, name, typestore=types.store)
                       for topic, name in OUTPUTS.items()}
            frames = poses = 0
            problems: dict[str, int] = {}
            for connection, when_ns, raw in reader.messages():
                writer.write(copies[connection.id], when_ns, raw)
                if connection.topic not in topics:
                    continue
                message = reader.deserialize(raw, connection)
                match = take[topics[connection.topic]](message)
                if match is None:
                    continue
                messages, count, reasons = _estimate(
                    pipeline, types, match, parameters, board)
                for topic, content in messages.items():
                    writer.write(outputs[topic], when_ns,
                                 types.serialize(content, OUTPUTS[topic]))
                frames, poses = frames + 1, poses + count
                for reason in reasons:
                    problems[reason] = problems.get(reason, 0) + 1
                if frames % 10 == 0:
                    print(f'\r  frames {frames}  poses {poses}', end='', flush=True)
    print(f'\r  frames {frames}  poses {poses}')
    for reason, count in sorted(problems.items(), key=lambda item: -item[1])[:5]:
        print(f'  {count} x {reason}')
    if not frames:
        print(f'  no frame had image, camera_info and detections together: {matcher.counts}')
    print(f'  {args.out}')
    return 0 if poses else 1


def _estimate(pipeline: Any, types: Any, match: Any, parameters: Any, board: Any,
              ) -> tuple[dict[str, Any], int, Sequence[str]]:
    """Messages by topic for one frame, how many poses they hold, and why not more."""
    from ..frames import header_of, solve_frame, write_frame
    from ..markers import marker_array

    solved = solve_frame(pipeline, match, parameters)
    header = header_of(types.make, match)
    output = write_frame(types.make, header, solved.estimates, parameters, namespace='')
    messages = {'/nabs_pose/pose': output.pose, '/nabs_pose/poses': output.poses,
                '/nabs_pose/pose_with_covariance': output.pose_with_covariance,
                '/nabs_pose/markers': marker_array(types.make, header, solved.estimates, board,
                                                   parameters.marker_lifetime_s),
                '/tf': output.transforms}
    said = {topic: message for topic, message in messages.items() if message is not None}
    return said, len(solved.estimates), solved.reasons


def _choose(name: str, topic: str | None, connections: Sequence[Any]) -> str:
    """The topic of an input: the named one, or the only one of its type."""
    candidates = sorted({c.topic for c in connections if c.msgtype in INPUTS[name]})
    option = f'--{name.replace("_", "-")}'
    if topic is not None:
        if topic not in candidates:
            raise PoseError(f'the bag has no topic {topic} for {option}: it has '
                            f'{", ".join(candidates) or "none of that type"}')
        return topic
    if len(candidates) != 1:
        raise PoseError(f'{option} is needed: the bag has '
                        f'{", ".join(candidates) or "no topic of its type"}')
    return candidates[0]
