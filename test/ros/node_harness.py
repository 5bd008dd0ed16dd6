# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The node as its own process, and a client that talks to it over DDS."""

import os
from pathlib import Path
import random
import signal
import subprocess
import sys
import time

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rcl_interfaces.srv import SetParameters
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import (
    Detection2D,
    Detection2DArray,
    Detection3DArray,
    ObjectHypothesisWithPose,
)
from visualization_msgs.msg import MarkerArray

from ros2_nabs_pose.matching import stamp_ns

FRAME = 'test_camera_frame'
START_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 20.0
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class NodeProcess:
    """``nabs_pose_node`` in a process of its own, in a DDS domain of its own."""

    def __init__(self, folder: Path, *ros_args, domain=None):
        self.domain = domain or random.SystemRandom().randint(1, 100)
        self.log_path = folder / 'node.log'
        environment = {**os.environ, 'ROS_DOMAIN_ID': str(self.domain),
                       'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
                       'ROS_PYTHON_CHECK_FIELDS': '1', 'PYTHONUNBUFFERED': '1'}
        with self.log_path.open('w') as log:
            self.process = subprocess.Popen(
                [sys.executable, '-m', 'ros2_nabs_pose.node', '--ros-args', *ros_args],
                env=environment, stdout=log, stderr=subprocess.STDOUT)

    @property
    def log(self):
        return self.log_path.read_text()

    def end(self):
        """See to it that the process is gone; it must not have ended by a fault."""
        if self.process.poll() is None:
            self.stop()
        assert self.process.returncode == 0, self.log

    def stop(self, how=signal.SIGINT):
        """Exit status and the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(how)
        try:
            code = self.process.wait(10.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return code, time.monotonic() - began


class Client:
    """A ROS 2 node in the test's process: sends what a camera and a detector send, and listens."""

    def __init__(self, domain, namespace='', compressed=False, reliable=True, latched_info=None):
        os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
        self.domain = domain
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.name = f'test_client_{random.getrandbits(32)}'
        self.node = rclpy.create_node(self.name, context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE if reliable
                         else ReliabilityPolicy.BEST_EFFORT)
        image, name = (CompressedImage, 'image/compressed') if compressed else (Image, 'image')
        self.publishers = {
            key: self.node.create_publisher(kind, f'{namespace}/{topic}', qos)
            for key, kind, topic in (('image', image, name), ('info', CameraInfo, 'camera_info'),
                                     ('boxes', Detection2DArray, 'detections'))}
        if latched_info is not None:
            # Published once, before the node can listen.
            self.node.destroy_publisher(self.publishers['info'])
            self.publishers['info'] = self.node.create_publisher(
                CameraInfo, f'{namespace}/camera_info', LATCHED)
            self.publishers['info'].publish(self.info(latched_info))
        self.received = {}
        self.clients = {}
        self.base = base = f'{namespace}/nabs_pose'
        for key, kind, topic in (
                ('poses', Detection3DArray, f'{base}/poses'), ('pose', PoseStamped, f'{base}/pose'),
                ('markers', MarkerArray, f'{base}/markers'), ('tf', TFMessage, '/tf'),
                ('debug', Image, f'{base}/debug_image'),
                ('diagnostics', DiagnosticArray, '/diagnostics')):
            self.received[key] = []
            self.node.create_subscription(kind, topic, self.received[key].append, 50)
        self.reset = self.node.create_client(Trigger, f'{base}/reset')
        self.stamp = 1_700_000_000 * 10**9

    def close(self):
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def spin_until(self, condition, timeout_s=ANSWER_TIMEOUT_S):
        """What ``condition`` gives once it is true, or its last value after the time."""
        deadline = time.monotonic() + timeout_s
        while not (value := condition()) and time.monotonic() < deadline:
            self.executor.spin_once(timeout_sec=0.05)
        return value

    def report(self):
        """The node's last report, None before the first; other nodes' reports are passed over."""
        name = f'{self.base}: object poses'.lstrip('/')
        return next((status for message in reversed(self.received['diagnostics'])
                     for status in message.status if status.name == name), None)

    def reported_s(self):
        """When the node made its last report, seconds of the system clock: it may come late."""
        last = self.report()
        stamp = next(message.header.stamp for message in reversed(self.received['diagnostics'])
                     if last in message.status)
        return stamp.sec + 1e-9 * stamp.nanosec

    def diagnostics(self):
        """Values of the last report."""
        report = self.report()
        return {v.key: v.value for v in report.values} if report else {}

    def listen(self, key, kind, topic, qos=50):
        """Keep the messages of a topic of the node under ``received[key]``."""
        self.received[key] = []
        return self.node.create_subscription(
            kind, f'{self.base}/{topic}', self.received[key].append, qos)

    def note_arrivals(self):
        """When each ``poses`` was written and when it came here, by stamp.

        Seconds of the system clock, both of DDS: a busy process may be late to take what its
        middleware received, and the middleware's own thread to receive what was written.
        """
        arrivals = {}

        def note(message, info=None):
            now_ns = time.time_ns()
            arrivals[stamp_ns(message.header)] = tuple(
                1e-9 * (info or {}).get(f'{which}_timestamp', now_ns)
                for which in ('source', 'received'))

        def note_with_info(message, info):
            note(message, info)

        # Humble's rclpy gives a callback the message alone.
        self.node.create_subscription(
            Detection3DArray, f'{self.base}/poses',
            note_with_info if hasattr(Subscription, 'CallbackType') else note, 50)
        return arrivals

    def call(self, kind, name, request, timeout_s=ANSWER_TIMEOUT_S):
        """The response of a service of the node, None after the time."""
        if name not in self.clients:
            self.clients[name] = self.node.create_client(kind, f'{self.base}/{name}')
        assert self.clients[name].wait_for_service(10.0), name
        future = self.clients[name].call_async(request)
        self.spin_until(future.done, timeout_s)
        return future.result()

    def set_parameters(self, **values):
        """Results of setting parameters, in their order."""
        return self.call(SetParameters, 'set_parameters', SetParameters.Request(parameters=[
            Parameter(name, value=value).to_parameter_msg()
            for name, value in values.items()])).results

    def wait_until_ready(self):
        """Whether the node says so and every publisher has its reader."""
        ready = self.spin_until(
            lambda: self.diagnostics().get('state') == 'ready' and all(
                p.get_subscription_count() for p in self.publishers.values()), START_TIMEOUT_S)
        self.spin_for(0.5)  # a reader learns of its writer a little after the writer of it
        return ready

    def spin_for(self, seconds):
        self.spin_until(lambda: False, seconds)

    def reason(self, *words, timeout_s=ANSWER_TIMEOUT_S):
        """The reason in diagnostics once it holds all words, or the last one after the time."""
        self.spin_until(lambda: all(w in self.diagnostics().get('reason', '') for w in words),
                        timeout_s)
        return self.diagnostics().get('reason', '')

    def header(self, message, stamp, frame=FRAME):
        message.header.frame_id = frame
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
        return message

    def next_stamp(self, step_s=0.1):
        self.stamp += round(step_s * 1e9)
        return self.stamp

    def send(self, frame, stamp=None, without=(), **changes):
        """Publish a frame of the bag under a new stamp, without some of 'info', 'image', 'boxes';
        ``changes`` replace its parts.
        """
        stamp = stamp or self.next_stamp()
        frame = {**frame, **changes}
        if 'info' not in without:
            self.publishers['info'].publish(self.header(self.info(frame['info']), stamp))
        if 'image' not in without:
            compressed = self.publishers['image'].msg_type is CompressedImage
            message = CompressedImage(format='jpeg', data=frame['jpeg']) if compressed \
                else self.raw(frame['rgb'], frame.get('encoding', 'rgb8'))
            self.publishers['image'].publish(self.header(message, stamp))
        if 'boxes' not in without:
            message = Detection2DArray(detections=[self.box(b) for b in frame['boxes']])
            self.publishers['boxes'].publish(self.header(message, stamp, ''))
        return stamp

    @staticmethod
    def info(source):
        message = CameraInfo(width=source.width, height=source.height,
                             distortion_model=source.distortion_model)
        message.d, message.k, message.p = list(source.d), source.k, source.p
        return message

    @staticmethod
    def raw(rgb, encoding):
        return Image(height=rgb.shape[0], width=rgb.shape[1], encoding=encoding,
                     step=rgb.shape[1] * 3, data=rgb.tobytes())

    @staticmethod
    def box(source):
        message = Detection2D(id=source.id)
        center = message.bbox.center
        center.position.x, center.position.y = source.bbox.center.position.x, \
            source.bbox.center.position.y
        message.bbox.size_x, message.bbox.size_y = source.bbox.size_x, source.bbox.size_y
        for result in source.results:
            hypothesis = ObjectHypothesisWithPose()
            hypothesis.hypothesis.class_id = result.hypothesis.class_id
            hypothesis.hypothesis.score = float(result.hypothesis.score)
            message.results.append(hypothesis)
        return message

    def answer(self, key, stamp, timeout_s=ANSWER_TIMEOUT_S):
        """The message of a topic with this stamp, or None."""
        def find():
            for message in self.received[key]:
                header = message.transforms[0].header if key == 'tf' else (
                    message.markers[0].header if key == 'markers' else message.header)
                if stamp_ns(header) == stamp:
                    return message
            return None
        return self.spin_until(find, timeout_s)
