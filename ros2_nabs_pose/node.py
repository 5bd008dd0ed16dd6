# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The ROS 2 node: parameters, subscriptions and publishers around a worker; no maths.

Callbacks only pair messages by stamp and leave them in the worker's mailbox; the worker's thread
owns the model, decodes, fits and publishes. Every stamp and frame is the image's.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.task import Future
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray, Detection3DArray
from visualization_msgs.msg import MarkerArray

from . import parameters as node_parameters
from .conversions import image_message, ros_message
from .core.types import PoseError
from .frames import SolvedFrame, debug_picture, header_of, solve_frame, warm_up, write_frame
from .matching import Match, Matcher
from .status import Explainer, FrameStatistics, LogThrottle, Topics
from .subscriptions import Input
from .worker import Worker

FOLLOW_PERIOD_S = 0.2
DIAGNOSTICS_PERIOD_S = 1.0
STOP_TIMEOUT_S = 0.8
IMAGES_DEPTH = 10


class NabsPoseNode(Node):
    """Images, calibrations and boxes in; poses out. ``finished`` is done when the worker failed."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('nabs_pose', **kwargs)
        self._settings = node_parameters.declare(self)
        self.add_on_set_parameters_callback(self._on_parameters)
        self.finished: Future = Future()

        self._matcher: Matcher[Any] = Matcher(self._settings.slop_s, self._settings.queue_size)
        self._statistics = FrameStatistics()
        self._throttle = LogThrottle()
        self._reset_wanted = threading.Event()
        self._ready = False
        self._topics = Topics(self.resolve_topic_name('image'),
                              self.resolve_topic_name('camera_info'),
                              self.resolve_topic_name('detections'))
        self._explainer = Explainer(self._topics, self._settings.slop_s)

        self._pose = self.create_publisher(PoseStamped, '~/pose', 10)
        self._poses = self.create_publisher(Detection3DArray, '~/poses', 10)
        self._markers = self.create_publisher(MarkerArray, '~/markers', 10)
        self._debug_image = self.create_publisher(Image, '~/debug_image', 2)
        self._tf = self.create_publisher(TFMessage, '/tf', 100)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self.create_service(Trigger, '~/reset', self._on_reset)

        self._images = Input(self, self._image_types(), self._on_image, IMAGES_DEPTH)
        self._inputs = (
            self._images,
            Input(self, {self._topics.camera_info: CameraInfo}, self._on_camera_info, 30),
            Input(self, {self._topics.detections: Detection2DArray}, self._on_detections, 30))
        # Simulated time may stand still; looking for publishers and reporting must not.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(FOLLOW_PERIOD_S, self._follow_publishers, clock=steady)
        self._follow_publishers()
        self.create_timer(DIAGNOSTICS_PERIOD_S, self._on_diagnostics, clock=steady)

        self._worker: Worker[Match[Any], Any] = Worker(
            self._load, self._process, self._on_ready, self._on_failure)
        self._worker.start()

    def stop(self, timeout_s: float) -> bool:
        """End the worker after its frame in hand; whether it was gone within ``timeout_s``."""
        return self._worker.stop(timeout_s)

    # Subscriptions: executor thread, they only pair and enqueue.

    def _image_types(self) -> dict[str, Any]:
        """Message types by topic that images may come from, best first.

        Compressed ones lie where ``image/compressed`` was remapped to, else beside wherever
        ``image`` was remapped to.
        """
        remapped = self.resolve_topic_name('image/compressed')
        plain = self.resolve_topic_name('image/compressed', only_expand=True)
        beside = f'{self._topics.image}/compressed'
        compressed = {beside if remapped == plain else remapped: CompressedImage}
        raw = {self._topics.image: Image}
        return {'raw': raw, 'compressed': compressed,
                'auto': {**raw, **compressed}}[self._settings.image_transport]

    def _follow_publishers(self) -> None:
        for source in self._inputs:
            source.follow()

    def _on_image(self, message: Any) -> None:
        self._enqueue(self._matcher.add_image(message, time.monotonic()))

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._enqueue(self._matcher.add_camera_info(message))

    def _on_detections(self, message: Detection2DArray) -> None:
        self._enqueue(self._matcher.add_detections(message))

    def _enqueue(self, match: Match[Any] | None) -> None:
        if match is not None:
            self._worker.put(match)

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._matcher.clear()
        self._reset_wanted.set()
        response.success = True
        response.message = 'tracks are forgotten before the next frame'
        return response

    def _on_parameters(self, changes: list[Any]) -> SetParametersResult:
        values = {**vars(self._settings), **{p.name: p.value for p in changes}}
        try:
            self._settings = node_parameters.Parameters.from_values(values)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    # Worker thread.

    def _load(self) -> Any:
        # Imported here, so that the node answers while torch loads.
        import torch

        from .core.pipeline import PosePipeline

        parameters = self._settings
        torch.set_num_threads(
            parameters.num_threads or min(4, max(1, (os.cpu_count() or 2) - 1)))
        pipeline = PosePipeline.load(
            parameters.categories, device=parameters.device, preset=parameters.preset,
            models_dir=parameters.models_dir or None, seed=parameters.seed)
        warm_up(pipeline, parameters.categories)
        return pipeline

    def _on_ready(self) -> None:
        self._ready = True
        self.get_logger().info(
            f'Ready: poses of {", ".join(self._settings.categories)} from {self._topics.image}, '
            f'{self._topics.camera_info} and {self._topics.detections}.')

    def _on_failure(self, error: Exception) -> None:
        if isinstance(error, PoseError):
            self.get_logger().fatal(str(error))
        else:
            trace = ''.join(traceback.format_exception(error))
            self.get_logger().fatal(f'The worker ended: {trace}')
        self.finished.set_result(False)

    def _process(self, pipeline: Any, match: Match[Any]) -> None:
        """One frame: decode, fit, publish; whatever the frame holds, the node lives on."""
        parameters = self._settings
        if self._reset_wanted.is_set():
            self._reset_wanted.clear()
            pipeline.reset()
        # A fault in one frame must not silence the next ones.
        try:
            solved = solve_frame(pipeline, match, parameters)
        except Exception as error:
            solved = SolvedFrame(None, (), (self._describe(error),))
        try:
            self._publish(match, solved, parameters)
        except Exception as error:
            if not self.context.ok():
                return  # Ctrl-C came during the fit: nobody listens any more
            self._warn(self._describe(error))
        self._warn('; '.join(dict.fromkeys(solved.reasons)))

    def _describe(self, error: Exception) -> str:
        """One sentence for a fault that no input should cause; its origin goes to the debug log."""
        self.get_logger().debug(traceback.format_exc())
        return f'a frame failed: {type(error).__name__}: {error}'

    def _publish(self, match: Match[Any], solved: SolvedFrame,
                 parameters: node_parameters.Parameters) -> None:
        header = header_of(ros_message, match)
        output = write_frame(ros_message, header, solved.estimates, parameters,
                             self.get_namespace())
        for publisher, message in ((self._poses, output.poses), (self._pose, output.pose),
                                   (self._tf, output.transforms), (self._markers, output.markers)):
            if message is not None:
                publisher.publish(message)
        self._statistics.add_frame(len(solved.estimates), solved.reasons,
                                   time.monotonic() - match.received_s)
        if solved.frame is not None and self._debug_image.get_subscription_count():
            picture = debug_picture(solved.frame, solved.estimates)
            self._debug_image.publish(image_message(header, picture))

    # Diagnostics: executor thread.

    def _warn(self, sentence: str) -> None:
        if sentence and self._throttle.allows(sentence, time.monotonic()):
            self.get_logger().warning(sentence)

    def _on_diagnostics(self) -> None:
        counts = self._matcher.counts
        frames, poses, reasons, latency_ms = self._statistics.snapshot()
        reason = self._explainer.explain(counts, self._matcher.waiting_offset_s(),
                                         self._images.count_publishers(), frames, reasons)
        if not self._ready:
            reason = 'loading the models'
        values = {
            'state': 'ready' if self._ready else 'loading', 'reason': reason, 'frames': frames,
            'poses': poses, 'matches': counts.matches, 'dropped_stale': self._worker.dropped,
            'images': counts.images, 'camera_infos': counts.camera_infos,
            'detections': counts.detections, 'unmatched_detections': counts.unmatched_detections,
            'latency_ms_median': f'{latency_ms[0]:.1f}', 'latency_ms_p95': f'{latency_ms[1]:.1f}',
            'image_topic': self._images.topic or '', 'image_reliable': self._images.reliable}
        status = DiagnosticStatus(
            level=DiagnosticStatus.WARN if reason else DiagnosticStatus.OK,
            name=f'{self.get_fully_qualified_name().lstrip("/")}: object poses',
            message=reason or 'poses come out',
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()])
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()  # of the report, not of a pose
        self._diagnostics.publish(message)
        if self._ready:
            self._warn(reason)


def main(args: list[str] | None = None) -> int:
    """Run the node until Ctrl-C or SIGTERM; returns 1 where it could not start, else exits."""
    rclpy.init(args=args)
    try:
        node = NabsPoseNode()
    except (ParameterException, ValueError) as error:
        print(f'nabs_pose_node: {error}', file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        executor.spin_until_future_complete(node.finished)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    if node.stop(STOP_TIMEOUT_S):
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    # Not by return: the interpreter takes up to a second to tear torch down, and where a fit is
    # still at work its native code must not outlive the interpreter.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1 if node.finished.done() else 0)


if __name__ == '__main__':
    sys.exit(main())
