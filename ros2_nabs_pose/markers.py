# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Markers of a frame's objects: box, axes, uncertainty and name; vanished objects are deleted.

Namespaces are the kinds, so that rviz can hide each; ids are the objects, for as long as they are
in sight.
"""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Any

import numpy as np

from .conversions import box_transform, frame_name, MakeMessage, pose_message, vector_message
from .core.types import PoseEstimate

KINDS = ('box', 'axes', 'position', 'rotation', 'name')
SIGMAS = 2.0
MAX_CONE_RAD = math.radians(80.0)
CONE_SIDES = 12

_MARKER = 'visualization_msgs/msg/Marker'
_CUBE, _SPHERE, _LINE_LIST, _TEXT, _TRIANGLE_LIST = 1, 2, 5, 9, 11
_ADD, _DELETE = 0, 2
_AXIS_COLORS = ((0.9, 0.1, 0.1), (0.1, 0.8, 0.1), (0.2, 0.3, 1.0))
_BOX_COLOR = (0.2, 0.8, 0.9, 0.35)
_POSITION_COLOR = (1.0, 0.7, 0.0, 0.3)
_CONE_ALPHA = 0.25


class MarkerBoard:
    """Which objects have markers, so that those of vanished ones can be deleted."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}

    def clear(self) -> None:
        """Forget all objects, where those who listened were told or have gone."""
        self._ids.clear()

    def update(self, estimates: Sequence[PoseEstimate]) -> tuple[list[int], list[int]]:
        """An id for each estimate, the one it had before; and the ids of objects that are gone."""
        names = [frame_name('', e.category, e.track_id) for e in estimates]
        gone = [self._ids.pop(name) for name in set(self._ids) - set(names)]
        for name in names:
            if name not in self._ids:
                taken = set(self._ids.values())
                self._ids[name] = next(i for i in range(len(taken) + 1) if i not in taken)
        ids = [self._ids[name] for name in names]
        return ids, sorted(set(gone) - set(ids))


def marker_array(make: MakeMessage, header: Any, estimates: Sequence[PoseEstimate],
                 board: MarkerBoard, lifetime_s: float) -> Any:
    """visualization_msgs/MarkerArray of a frame; markers vanish by themselves after lifetime_s."""
    ids, gone = board.update(estimates)
    markers = [make(_MARKER, header=header, ns=kind, id=number, action=_DELETE)
               for number in gone for kind in KINDS]
    seconds, nanoseconds = divmod(round(lifetime_s * 1e9), 10**9)
    lifetime = make('builtin_interfaces/msg/Duration', sec=seconds, nanosec=nanoseconds)
    for number, estimate in zip(ids, estimates):
        common = {'header': header, 'id': number, 'action': _ADD, 'lifetime': lifetime}
        markers += [make(_MARKER, ns=kind, **common, **fields) for kind, fields in zip(
            KINDS, (_box(make, estimate), _axes(make, estimate), _ellipsoid(make, estimate),
                    _cones(make, estimate), _name(make, estimate)))]
    return make('visualization_msgs/msg/MarkerArray', markers=markers)


def _box(make: MakeMessage, estimate: PoseEstimate) -> dict[str, Any]:
    return {'type': _CUBE, 'pose': pose_message(make, box_transform(estimate)),
            'scale': vector_message(make, estimate.size_m), 'color': _color(make, *_BOX_COLOR)}


def _axes(make: MakeMessage, estimate: PoseEstimate) -> dict[str, Any]:
    length = _axis_length(estimate)
    return {'type': _LINE_LIST, 'pose': pose_message(make, estimate.T_cam_obj),
            'scale': vector_message(make, (0.05 * length, 0.0, 0.0)),
            'color': _color(make, 1.0, 1.0, 1.0),
            'points': [_point(make, end) for tip in length * np.eye(3)
                       for end in (np.zeros(3), tip)],
            'colors': [_color(make, *rgb) for rgb in _AXIS_COLORS for _ in range(2)]}


def _ellipsoid(make: MakeMessage, estimate: PoseEstimate) -> dict[str, Any]:
    """Where the origin lies, to SIGMAS standard deviations along the covariance's own axes."""
    variances, directions = _principal(estimate.covariance[:3, :3])
    T_cam_ellipsoid = np.eye(4)
    T_cam_ellipsoid[:3, :3] = directions * np.sign(np.linalg.det(directions))
    T_cam_ellipsoid[:3, 3] = estimate.T_cam_obj[:3, 3]
    return {'type': _SPHERE, 'pose': pose_message(make, T_cam_ellipsoid),
            'scale': vector_message(make, np.maximum(2.0 * SIGMAS * np.sqrt(variances), 1e-3)),
            'color': _color(make, *_POSITION_COLOR)}


def _cones(make: MakeMessage, estimate: PoseEstimate) -> dict[str, Any]:
    """Where each axis may point: a cone to SIGMAS standard deviations, in the object frame."""
    R_cam_obj = estimate.T_cam_obj[:3, :3]
    rotation = R_cam_obj.T @ estimate.covariance[3:, 3:] @ R_cam_obj
    length = _axis_length(estimate)
    turns = 2.0 * np.pi * np.arange(CONE_SIDES) / CONE_SIDES
    # One message serves all corners that share it: making them is what costs.
    tip = _point(make, np.zeros(3))
    points, colors = [], []
    for axis, rgb in zip(np.eye(3), _AXIS_COLORS):
        # A small turn d moves the axis' tip by d x axis.
        across = np.cross(np.eye(3), axis)
        variances, directions = _principal(across.T @ rotation @ across)
        half = np.minimum(SIGMAS * np.sqrt(variances[1:]), MAX_CONE_RAD)
        rim = [_point(make, length * _on_cone(axis, directions[:, 1:] @ (
            half * (math.cos(t), math.sin(t))))) for t in turns]
        for one, other in zip(rim, rim[1:] + rim[:1]):
            points += [tip, one, other]
        colors += [_color(make, *rgb, _CONE_ALPHA)] * (3 * CONE_SIDES)
    return {'type': _TRIANGLE_LIST, 'pose': pose_message(make, estimate.T_cam_obj),
            'scale': vector_message(make, (1.0, 1.0, 1.0)), 'points': points, 'colors': colors,
            'color': _color(make, 1.0, 1.0, 1.0, _CONE_ALPHA)}


def _on_cone(axis: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Unit vector that lies an angle of |turn| from ``axis``, towards ``turn`` (at right angles).
    """
    angle = float(np.linalg.norm(turn))
    return math.cos(angle) * axis + math.sin(angle) * turn / max(angle, 1e-9)


def _name(make: MakeMessage, estimate: PoseEstimate) -> dict[str, Any]:
    above = box_transform(estimate)
    above[:3, 3] += 0.7 * float(estimate.size_m[2]) * above[:3, 2]
    return {'type': _TEXT, 'pose': pose_message(make, above), 'color': _color(make, 1.0, 1.0, 1.0),
            'scale': vector_message(make, (0.0, 0.0, 0.2 * _axis_length(estimate))),
            'text': f'{frame_name("", estimate.category, estimate.track_id)} '
                    f'{estimate.confidence:.2f}'}


def _axis_length(estimate: PoseEstimate) -> float:
    return 0.75 * float(np.max(estimate.size_m))


def _principal(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variances, rising and not below 0, and their directions as columns."""
    values, vectors = np.linalg.eigh(0.5 * (covariance + covariance.T))
    return np.maximum(values, 0.0), vectors


def _point(make: MakeMessage, values: Any) -> Any:
    x, y, z = (float(v) for v in values)
    return make('geometry_msgs/msg/Point', x=x, y=y, z=z)


def _color(make: MakeMessage, r: float, g: float, b: float, a: float = 1.0) -> Any:
    return make('std_msgs/msg/ColorRGBA', r=r, g=g, b=b, a=a)
