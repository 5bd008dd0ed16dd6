# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""``nabs-pose bag``: a recorded bag in, the same plus poses, TF and markers out, without ROS."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
import math
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
TRANSFORMS, STATIC_TRANSFORMS = '/tf', '/tf_static'
EXTRAS = dict.fromkeys(('depth', 'mask'), INPUTS['image'])


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
    for name in EXTRAS:
        parser.add_argument(f'--{name}', metavar='TOPIC',
                            help=f'topic of the {name}, raw or compressed; none unless named')
    parser.add_argument('--categories', nargs='+', default=['mug'], help='categories to load')
    parser.add_argument('--class-map', nargs='+', default=None, metavar='ID:CATEGORY',
                        help="the detector's class ids for categories")
    parser.add_argument('--preset', default='cold', help='preset of the fit')
    parser.add_argument('--device', default='cpu', help="'cpu' or 'cuda'")
    parser.add_argument('--models-dir', help='folder with the weights')
    parser.add_argument('--up-frame', default='', metavar='FRAME',
                        help="frame of the bag's /tf whose z axis is up, such as map: what stands "
                             'is told upright in it')
    parser.add_argument('--ground-frame', default='', metavar='FRAME',
                        help='the same, its origin on what the objects stand on, such as table: '
                             'distances then are no guess')
    parser.add_argument('--slop', type=float, default=0.01,
                        help='largest difference of the stamps of an image and its boxes, seconds')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Convert; 0 if any pose came out."""
    from rosbags.rosbag2 import StoragePlugin, Writer

    from ..bag_types import BagReader, BagTypes
    from ..core.pipeline import PosePipeline
    from ..frame_tree import FrameTree
    from ..markers import MarkerBoard
    from ..matching import Matcher
    from ..parameters import Parameters

    values = {'categories': args.categories, 'slop_s': args.slop, 'preset': args.preset,
              'device': args.device, 'models_dir': args.models_dir or '',
              'up_frame': args.up_frame, 'ground_frame': args.ground_frame}
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
        topics = _topics(args, reader.connections)
        pipeline = PosePipeline.load(parameters.categories, device=parameters.device,
                                     preset=parameters.preset,
                                     models_dir=parameters.models_dir or None)
        played_s = 0.0
        matcher: Matcher[Any] = Matcher(parameters.slop_s, parameters.queue_size,
                                        wait_s=parameters.depth_wait_s, clock=lambda: played_s)
        for name in EXTRAS:
            matcher.expect(name, name in topics.values())
        board = MarkerBoard()
        frames = FrameTree()
        if parameters.standing_frame:  # whenever they were recorded: they hold for all of it
            for connection, _, raw in reader.messages(STATIC_TRANSFORMS):
                frames.add(reader.deserialize(raw, connection), static=True)
        take = {'image': matcher.add_image, 'camera_info': matcher.add_camera_info,
                'detections': matcher.add_detections, 'depth': matcher.add_depth,
                'mask': matcher.add_mask}
        with Writer(args.out, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
            copies = {c.id: reader.copy_connection(c, writer) for c in reader.connections}
            # A recorded /tf takes the objects' transforms too.
            recorded = {(c.topic, c.msgtype): copies[c.id] for c in reader.connections}
            outputs = {topic: recorded.get((topic, name))
                       or writer.add_connection(topic, name, typestore=types.store)
                       for topic, name in OUTPUTS.items()}
            totals: Counter[str] = Counter()
            problems: Counter[str] = Counter()

            def answer(match: Any, when_ns: int) -> None:
                if match is None:
                    return
                messages, count, reasons = _estimate(pipeline, types, match, parameters, frames,
                                                     board)
                for topic, content in messages.items():
                    writer.write(outputs[topic], when_ns,
                                 types.serialize(content, OUTPUTS[topic]))
                totals.update(frames=1, poses=count)
                problems.update(reasons)
                if totals['frames'] % 10 == 0:
                    print(f'\r  {_told(totals)}', end='', flush=True)

            when_ns = 0
            for connection, when_ns, raw in reader.messages():
                writer.write(copies[connection.id], when_ns, raw)
                played_s = when_ns * 1e-9
                if parameters.standing_frame and connection.topic == TRANSFORMS:
                    frames.add(reader.deserialize(raw, connection))
                if connection.topic in topics:
                    answer(take[topics[connection.topic]](reader.deserialize(raw, connection)),
                           when_ns)
            played_s = math.inf  # what still waits for depth or mask waits no longer
            answer(matcher.poll(), when_ns)
    print(f'\r  {_told(totals)}')
    for reason, count in problems.most_common(5):
        print(f'  {count} x {reason}')
    if not totals['frames']:
        print(f'  no frame had image, camera_info and detections together: {matcher.counts}')
    print(f'  {args.out}')
    return 0 if totals['poses'] else 1


def _told(totals: Counter[str]) -> str:
    return f'frames {totals["frames"]}  poses {totals["poses"]}'


def _estimate(pipeline: Any, types: Any, match: Any, parameters: Any, frames: Any, board: Any,
              ) -> tuple[dict[str, Any], int, Sequence[str]]:
    """Messages by topic for one frame, how many poses they hold, and why not more."""
    from ..frames import header_of, solve_frame, write_frame
    from ..markers import marker_array

    solved = solve_frame(pipeline, match, parameters, frames)
    header = header_of(types.make, match)
    output = write_frame(types.make, header, solved.estimates, parameters, namespace='')
    messages = {'/nabs_pose/pose': output.pose, '/nabs_pose/poses': output.poses,
                '/nabs_pose/pose_with_covariance': output.pose_with_covariance,
                '/nabs_pose/markers': marker_array(types.make, header, solved.estimates, board,
                                                   parameters.marker_lifetime_s),
                '/tf': output.transforms}
    said = {topic: message for topic, message in messages.items() if message is not None}
    return said, len(solved.estimates), solved.reasons


def _topics(args: argparse.Namespace, connections: Sequence[Any]) -> dict[str, str]:
    """Inputs by topic: depth and mask where they are named, and what the rest of the bag has."""
    extras = {_choose(name, topic, EXTRAS[name], connections): name
              for name in EXTRAS if (topic := getattr(args, name))}
    others = [c for c in connections if c.topic not in extras]
    return {**extras, **{_choose(name, getattr(args, name), kinds, others): name
                         for name, kinds in INPUTS.items()}}


def _choose(name: str, topic: str | None, kinds: Sequence[str], connections: Sequence[Any]) -> str:
    """The topic of an input: the named one, or the only one of its types."""
    candidates = sorted({c.topic for c in connections if c.msgtype in kinds})
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
