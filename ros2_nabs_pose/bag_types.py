# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Message types for bag files without ROS: what the rosbags library lacks, and a maker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection, ConnectionExtRosbag2, Nodetype
from rosbags.rosbag2 import Writer
from rosbags.typesys import get_types_from_msg, get_typestore, Stores

from .core.types import PoseError

# vision_msgs 4.1, fields only (comments and the rest of the package: interfaces/vision_msgs).
VISION_MSGS = {
    'Point2D': 'float64 x\nfloat64 y',
    'Pose2D': 'vision_msgs/Point2D position\nfloat64 theta',
    'BoundingBox2D': 'vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y',
    'BoundingBox3D': 'geometry_msgs/Pose center\ngeometry_msgs/Vector3 size',
    'ObjectHypothesis': 'string class_id\nfloat64 score',
    'ObjectHypothesisWithPose':
        'ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose',
    'Detection2D': 'std_msgs/Header header\nObjectHypothesisWithPose[] results\n'
                   'BoundingBox2D bbox\nstring id',
    'Detection2DArray': 'std_msgs/Header header\nDetection2D[] detections',
    'Detection3D': 'std_msgs/Header header\nObjectHypothesisWithPose[] results\n'
                   'BoundingBox3D bbox\nstring id',
    'Detection3DArray': 'std_msgs/Header header\nDetection3D[] detections',
}


class BagTypes:
    """ROS 2 Jazzy's common messages and vision_msgs, to build, serialise and read."""

    def __init__(self) -> None:
        self.store = get_typestore(Stores.ROS2_JAZZY)
        for name, text in VISION_MSGS.items():
            type_name = f'vision_msgs/msg/{name}'
            self.store.register(get_types_from_msg(text, type_name))

    def make(self, type_name: str, **fields: Any) -> Any:
        """A message of a type; fields that are not given are zero or empty."""
        definitions = self.store.fielddefs[type_name][1]
        return self.store.types[type_name](**{
            name: fields[name] if name in fields else self._empty(kind)
            for name, kind in definitions})

    def serialize(self, message: Any, type_name: str) -> memoryview:
        """CDR bytes of a message."""
        return self.store.serialize_cdr(message, type_name)

    def _empty(self, kind: Any) -> Any:
        node, detail = kind
        if node == Nodetype.NAME:
            return self.make(detail)
        if node == Nodetype.BASE:
            return '' if detail[0] == 'string' else np.zeros((), _dtype(detail[0])).item()
        (item_node, item), length = detail
        count = length if node == Nodetype.ARRAY else 0
        if item_node == Nodetype.BASE and item[0] != 'string':
            return np.zeros(count, _dtype(item[0]))
        return [self._empty((item_node, item)) for _ in range(count)]


def _dtype(base: str) -> Any:
    return np.dtype({'octet': 'uint8', 'byte': 'uint8', 'char': 'uint8'}.get(base, base))


class BagReader:
    """A rosbag2 folder or a single MCAP or SQLite file, as a context manager."""

    def __init__(self, path: Path, types: BagTypes) -> None:
        if not path.exists():
            raise PoseError(f'there is no bag at {path}')
        self._path = path
        try:
            self._reader = AnyReader([path], default_typestore=types.store)
        except (AnyReaderError, FileNotFoundError) as error:
            raise PoseError(f'{path} is not a rosbag2 folder or file: {error}') from error

    def __enter__(self) -> BagReader:
        try:
            self._reader.open()
        except AnyReaderError as error:
            raise PoseError(f'{self._path} cannot be read: {error}') from error
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    @property
    def connections(self) -> list[Connection]:
        """The recorded topics with their types."""
        return self._reader.connections

    def copy_connection(self, connection: Connection, writer: Writer) -> Connection:
        """The same topic in another bag, with its definition and QoS."""
        assert isinstance(connection.ext, ConnectionExtRosbag2)
        # A file without its folder's metadata does not carry the types' hashes.
        digest = connection.digest or self._reader.typestore.hash_rihs01(connection.msgtype)
        return writer.add_connection(
            connection.topic, connection.msgtype, msgdef=connection.msgdef.data or None,
            rihs01=digest, typestore=self._reader.typestore,
            serialization_format=connection.ext.serialization_format,
            offered_qos_profiles=connection.ext.offered_qos_profiles)

    def messages(self, topic: str | None = None) -> Iterator[tuple[Connection, int, bytes]]:
        """Connection, time in ns and CDR bytes of every message, or of a topic's, in order of time.
        """
        if topic is None:
            return self._reader.messages()
        some = [c for c in self.connections if c.topic == topic]
        # Of no connections at all the library gives all messages.
        return self._reader.messages(some) if some else iter(())

    def deserialize(self, raw: bytes, connection: Connection) -> Any:
        """The message behind CDR bytes."""
        return self._reader.deserialize(raw, connection.msgtype)
