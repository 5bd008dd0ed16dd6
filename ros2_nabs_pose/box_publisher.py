# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A given or drawn box as detections for every image: a camera and no detector is enough to start.

    ros2 run ros2_nabs_pose box_publisher --ros-args -p "box:=[200.0, 120.0, 330.0, 260.0]"
    ros2 run ros2_nabs_pose box_publisher        # draw the box with the mouse

The box stays where it is, or follows what it holds with one of OpenCV's trackers (``follow``).
"""

from __future__ import annotations

from collections.abc import Sequence
import math
import os
import sys
from typing import Any

import cv2
import numpy as np
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from .conversions import MakeMessage, ros_class, ros_message
from .core.types import PoseError
from .image_encodings import rgb_from_message
from .qos import publisher_options
from .status import LogThrottle
from .subscriptions import Input, input_types

BoxPx = tuple[float, float, float, float]
NO_BOX: BoxPx = (0.0, 0.0, 0.0, 0.0)
TRACKED_SIDE_PX = 320
TRACKERS = ('CSRT', 'KCF', 'MIL')  # best first; opencv-python-headless has the last alone
FOLLOW_PERIOD_S = 0.2
WINDOW_PERIOD_S = 0.02
PARAMETERS: dict[str, tuple[Any, str]] = {
    'box': (list(NO_BOX), 'Left, top, right and bottom edge in pixels; all 0: none, draw it.'),
    'class_id': ('mug', "Class of what the box holds, as the node's class_map knows it."),
    'track_id': ('1', 'Id of the detection, with -2, -3 ... behind it for boxes drawn later; '
                 'empty: the node gives its own.'),
    'follow': (False, "Let the box follow what it holds, with one of OpenCV's trackers."),
    'window': (False, 'Open a window to draw a box in even where one is given.'),
    'image_transport': ('auto', "Subscribe 'raw' images, 'compressed' ones, or 'auto'."),
}


def checked_box(values: Sequence[float]) -> BoxPx | None:
    """A box from four numbers, None for no box; raises ValueError with one sentence."""
    try:
        said = f'box is {list(values)}: '
        box = tuple(float(value) for value in values)
    except TypeError as error:  # the parameter's type is open, and one number is no list
        raise ValueError(f'box is {values!r}: give a list of four numbers') from error
    except ValueError:
        box = (math.nan,)
    if box in ((), NO_BOX):
        return None
    if len(box) != 4 or not all(map(math.isfinite, box)):
        raise ValueError(f'{said}give left, top, right and bottom in pixels')
    x0, y0, x1, y1 = box
    if x1 <= x0 or y1 <= y0:
        raise ValueError(f'{said}right and bottom must lie beyond left and top')
    return x0, y0, x1, y1


def detections_of_box(make: MakeMessage, header: Any, box: BoxPx, class_id: str,
                      track_id: str) -> Any:
    """vision_msgs/Detection2DArray with one box of score 1, under the image's header."""
    x0, y0, x1, y1 = box
    center = make('vision_msgs/msg/Pose2D', position=make(
        'vision_msgs/msg/Point2D', x=0.5 * (x0 + x1), y=0.5 * (y0 + y1)))
    detection = make(
        'vision_msgs/msg/Detection2D', header=header, id=track_id,
        bbox=make('vision_msgs/msg/BoundingBox2D', center=center, size_x=x1 - x0, size_y=y1 - y0),
        results=[make('vision_msgs/msg/ObjectHypothesisWithPose', hypothesis=make(
            'vision_msgs/msg/ObjectHypothesis', class_id=class_id, score=1.0))])
    return make('vision_msgs/msg/Detection2DArray', header=header, detections=[detection])


class Follower:
    """One of OpenCV's trackers on a picture small enough for it to keep up."""

    def __init__(self, rgb: np.ndarray, box: BoxPx) -> None:
        create = next(getattr(cv2, f'Tracker{name}_create') for name in TRACKERS
                      if hasattr(cv2, f'Tracker{name}_create'))
        self._scale = min(1.0, TRACKED_SIDE_PX / max(rgb.shape[:2]))
        self._tracker = create()
        x0, y0, x1, y1 = (self._scale * value for value in box)
        self._tracker.init(self._small(rgb), (round(x0), round(y0), max(2, round(x1 - x0)),
                                              max(2, round(y1 - y0))))

    def follow(self, rgb: np.ndarray) -> BoxPx | None:
        """Where the box is in the next picture (H, W, 3) uint8; None where it is lost."""
        found, (x, y, width, height) = self._tracker.update(self._small(rgb))
        if not found:
            return None
        s = 1.0 / self._scale
        return x * s, y * s, (x + width) * s, (y + height) * s

    def _small(self, rgb: np.ndarray) -> np.ndarray:
        size = (round(rgb.shape[1] * self._scale), round(rgb.shape[0] * self._scale))
        return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)


class Drawing:
    """A box under the mouse: pressed at one corner, let go at the other."""

    def __init__(self) -> None:
        self._start: tuple[int, int] | None = None
        self.growing: BoxPx | None = None
        self.drawn: BoxPx | None = None

    def on_mouse(self, event: int, x: int, y: int, flags: int, param: Any) -> None:
        """OpenCV's mouse callback."""
        if event == cv2.EVENT_LBUTTONDOWN:
            self._start = x, y
        if self._start is None:
            return
        x0, y0 = self._start
        self.growing = (float(min(x, x0)), float(min(y, y0)), float(max(x, x0)), float(max(y, y0)))
        if event == cv2.EVENT_LBUTTONUP:
            left, top, right, bottom = self.growing
            if right - left >= 2 and bottom - top >= 2:  # a click alone is no box
                self.drawn = self.growing
            self._start, self.growing = None, None


class Window:
    """Shows the images with the box, and takes a new one from the mouse."""

    TITLE = 'Draw a box around the object with the mouse; q ends'

    def __init__(self) -> None:
        self._drawing = Drawing()
        cv2.namedWindow(self.TITLE, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)
        cv2.setMouseCallback(self.TITLE, self._drawing.on_mouse)

    def show(self, rgb: np.ndarray, box: BoxPx | None) -> None:
        """Draw the image, and the box that is being drawn or else the one that counts."""
        picture = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        shown = self._drawing.growing or box
        if shown is not None:
            x0, y0, x1, y1 = (round(value) for value in shown)
            cv2.rectangle(picture, (x0, y0), (x1, y1), (0, 200, 255), 2)
        cv2.imshow(self.TITLE, picture)

    def take(self) -> BoxPx | None:
        """A box that was drawn since the last call."""
        drawn, self._drawing.drawn = self._drawing.drawn, None
        return drawn

    def closed(self) -> bool:
        """Let the window live; whether the user wants to end."""
        key = cv2.waitKey(1) & 0xFF
        return key in (ord('q'), 27) or cv2.getWindowProperty(
            self.TITLE, cv2.WND_PROP_VISIBLE) < 1


def why_no_window() -> str:
    """One sentence where no window can be opened here, '' where one can."""
    if 'GUI:                           NONE' in cv2.getBuildInformation():
        return ('this OpenCV has no windows (opencv-python-headless): install python3-opencv, or '
                'give the parameter box')
    if sys.platform.startswith('linux') and not (
            os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')):
        return 'there is no display to draw on (DISPLAY is not set): give the parameter box'
    return ''


class BoxPublisher(Node):
    """Publishes ``detections`` for each ``image``, with its stamp and frame."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('box_publisher', **kwargs)
        for name, (default, description) in PARAMETERS.items():
            self.declare_parameter(name, default, ParameterDescriptor(
                description=description, read_only=name in ('window', 'image_transport'),
                dynamic_typing=name == 'box'))  # of whole numbers, too
        transport = self._value('image_transport')
        if transport not in ('auto', 'raw', 'compressed'):
            raise ValueError(f'image_transport is {transport!r}: choose one of auto, raw, '
                             'compressed')
        self.box = checked_box(self._value('box'))
        self._drawn = 0
        self.window: Window | None = None
        if self.box is None or self._value('window'):
            if reason := why_no_window():
                raise ValueError(reason)
            self.window = Window()
        self.add_on_set_parameters_callback(self._on_parameters)
        self._follower: Follower | None = None
        self._throttle = LogThrottle()
        self._detections = self.create_publisher(
            ros_class('vision_msgs/msg/Detection2DArray'), 'detections', 10,
            qos_overriding_options=publisher_options())
        self._images = Input(self, input_types(self, 'image', 'compressed', transport),
                             self._on_image, 1)
        self.create_timer(FOLLOW_PERIOD_S, self._images.follow,
                          clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._images.follow()

    def take_drawn(self) -> None:
        """Let a box that was drawn count from the next image on."""
        drawn = self.window.take() if self.window else None
        if drawn is not None:
            self.box, self._follower = drawn, None
            self._drawn += 1
            self.get_logger().info(
                f'Box: [{", ".join(f"{value:.1f}" for value in drawn)}], give it as the parameter '
                'box to have it again.')

    def _value(self, name: str) -> Any:
        return self.get_parameter(name).value

    def _on_parameters(self, changes: list[Any]) -> SetParametersResult:
        for change in changes:
            if change.name == 'box':
                try:
                    self.box, self._follower = checked_box(change.value), None
                except ValueError as error:
                    return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _on_image(self, message: Any) -> None:
        follows = self.box is not None and self._value('follow')
        if self.window is not None or follows:
            try:
                rgb = rgb_from_message(message)
            except PoseError as error:
                if self._throttle.allows(str(error), self.get_clock().now().nanoseconds * 1e-9):
                    self.get_logger().warning(str(error))
                return
            if follows:
                self._follow(rgb)
            if self.window is not None:
                self.window.show(rgb, self.box)
        if self.box is not None:
            self._detections.publish(detections_of_box(
                ros_message, message.header, self.box, self._value('class_id'),
                self._id()))

    def _id(self) -> str:
        """Of the box: a newly drawn one is about another object, whose track begins anew."""
        given = str(self._value('track_id'))
        return f'{given}-{self._drawn}' if given and self._drawn > 1 else given

    def _follow(self, rgb: np.ndarray) -> None:
        assert self.box is not None
        if self._follower is None:
            self._follower = Follower(rgb, self.box)
            return
        self.box = self._follower.follow(rgb)
        if self.box is None:
            self._follower = None
            self.get_logger().warning('What the box held is out of sight: draw or give a new box.')


def main(args: list[str] | None = None) -> int:
    """Run until Ctrl-C or until the window is closed; returns 1 where it could not start."""
    rclpy.init(args=args)
    try:
        node = BoxPublisher()
    except (ParameterException, ValueError) as error:
        print(f'box_publisher: {error}', file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if node.window is None:
            executor.spin()
        else:
            while not node.window.closed():
                executor.spin_once(timeout_sec=WINDOW_PERIOD_S)
                node.take_drawn()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
