# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The worker's part of the node: what is published, counted, and given up."""

import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from messages import camera_info, detection, detections, header
import numpy as np
from rcl_interfaces.srv import GetParameters
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from ros2_nabs_pose import life
from ros2_nabs_pose.core.types import PoseError
from ros2_nabs_pose.frame_tree import FrameTree
from ros2_nabs_pose.matching import Match
from ros2_nabs_pose.node import NabsPoseNode
from ros2_nabs_pose.parameters import Parameters
from ros2_nabs_pose.processing import Processing

pytestmark = pytest.mark.ros


class Pipeline:
    """Fits when it is let go; remembers what it was asked."""

    def __init__(self, estimate):
        self.estimate = estimate
        self.models = {'mug': SimpleNamespace(card=SimpleNamespace(symmetry='none'))}
        self.entered, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self.calls = []

    def estimate_frame(self, image, intrinsics, boxes, **kwargs):
        self.calls.append(kwargs['stamp_s'])
        self.entered.release()
        assert self.go.acquire(timeout=5.0)
        if self.calls[-1] == 13.0:
            raise RuntimeError('what no input should cause')
        return SimpleNamespace(estimates=(self.estimate,), failures=())

    def reset(self):
        self.calls.append('reset')


class Outputs:
    """Publishers that keep what they are given."""

    def __init__(self):
        self.active = True
        self.sent = []

    def publish_poses(self, header, solved, parameters):
        self.sent.append((header.stamp.sec, len(solved.estimates)))

    def publish_pictures(self, header, solved, parameters):
        pass


def match(stamp_s):
    image = SimpleNamespace(header=header(stamp_s), height=48, width=64, step=192,
                            encoding='rgb8', is_bigendian=0, data=bytes(64 * 48 * 3))
    info = camera_info(header=header(stamp_s), width=64, height=48)
    return Match(image, info, detections(detection(['mug'], (30.0, 20.0))),
                 stamp_ns=round(stamp_s * 1e9), received_s=time.monotonic())


@pytest.fixture
def scene(estimate, monkeypatch):
    """(processing, pipeline, outputs, warnings) around a stand-in for the models."""
    pipeline, warnings = Pipeline(estimate), []
    monkeypatch.setattr(Processing, '_load', lambda self: pipeline)
    node = SimpleNamespace(
        get_clock=lambda: SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=20 * 10**9)),
        get_logger=lambda: SimpleNamespace(debug=lambda text: None),
        context=SimpleNamespace(ok=lambda: True))
    processing = Processing(node, Parameters, lambda text: warnings.append(text) if text else None,
                            FrameTree())
    processing.outputs = outputs = Outputs()
    assert processing.done.wait(5.0)
    yield processing, pipeline, outputs, warnings
    for _ in range(10):
        pipeline.go.release()
    assert processing.stop(5.0)


def wait_for(condition):
    deadline = time.monotonic() + 5.0
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert condition()


def test_frames_that_wait_for_a_fit_are_not_fitted_after_a_reset(scene):
    processing, pipeline, outputs, _ = scene
    processing.put(match(1.0))
    assert pipeline.entered.acquire(timeout=5.0)
    for stamp_s in (2.0, 3.0):
        processing.put(match(stamp_s))
    processing.reset()
    pipeline.go.release()
    wait_for(lambda: processing.dropped == 3)
    assert pipeline.calls == [1.0]
    processing.put(match(4.0))
    pipeline.go.release()
    wait_for(lambda: outputs.sent)
    assert pipeline.calls == [1.0, 'reset', 4.0]
    assert outputs.sent == [(4, 1)]


def test_a_frame_is_published_and_timed(scene):
    processing, pipeline, outputs, warnings = scene
    processing.put(match(10.0))
    assert pipeline.entered.acquire(timeout=5.0)
    time.sleep(0.05)
    pipeline.go.release()
    wait_for(lambda: processing.statistics.summary(time.monotonic()).frames == 1)
    assert outputs.sent == [(10, 1)]
    summary = processing.statistics.summary(time.monotonic())
    assert summary.poses == 1
    assert summary.times_ms['stamp_to_publish'][0] == pytest.approx(10_000.0)
    assert 50.0 <= summary.times_ms['fit'][0] <= summary.times_ms['latency'][0] < 1000.0
    assert np.isfinite(list(summary.times_ms.values())).all()
    assert warnings == []


def test_a_reset_gives_up_the_frame_in_hand_and_the_tracks(scene):
    processing, pipeline, outputs, _ = scene
    processing.put(match(10.0))
    assert pipeline.entered.acquire(timeout=5.0)
    processing.reset()
    processing.put(match(2.0))
    pipeline.go.release()
    assert pipeline.entered.acquire(timeout=5.0)
    pipeline.go.release()
    wait_for(lambda: outputs.sent)
    assert pipeline.calls == [10.0, 'reset', 2.0]
    assert outputs.sent == [(2, 1)]
    assert processing.dropped == 1


def test_nothing_is_published_once_deactivated(scene):
    processing, pipeline, outputs, _ = scene
    processing.put(match(10.0))
    assert pipeline.entered.acquire(timeout=5.0)
    outputs.active = False
    pipeline.go.release()
    wait_for(lambda: processing.dropped == 1)
    assert outputs.sent == []
    assert processing.statistics.summary(0.0).frames == 0


def test_a_fault_in_a_frame_is_one_sentence_and_the_next_one_comes(scene):
    processing, pipeline, outputs, warnings = scene
    for stamp_s in (13.0, 14.0):
        processing.put(match(stamp_s))
        assert pipeline.entered.acquire(timeout=5.0)
        pipeline.go.release()
    wait_for(lambda: len(outputs.sent) == 2)
    assert outputs.sent == [(13, 0), (14, 1)]
    assert warnings == ['a frame failed: RuntimeError: what no input should cause']


def cpu_time_s(callback):
    began_s = time.thread_time()
    callback()
    return time.thread_time() - began_s


def test_timers_are_short_and_a_destroyed_node_leaves_no_thread(estimate, monkeypatch):
    monkeypatch.setattr(Processing, '_load', lambda self: Pipeline(estimate))
    context = rclpy.Context()
    rclpy.init(context=context)
    try:
        node = NabsPoseNode(context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        deadline = time.monotonic() + 10.0
        while node.state != 'active' and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.05)
        assert node.state == 'active'
        assert 'pose_worker' in [t.name for t in threading.enumerate()]
        # Time of this thread alone: what others do on the machine does not count.
        for timer in (node._report, node._keep_house):
            assert np.percentile([cpu_time_s(timer) for _ in range(40)], 95) < 5e-3
        node.destroy_node()
        executor.shutdown()
        assert 'pose_worker' not in [t.name for t in threading.enumerate()]
    finally:
        rclpy.shutdown(context=context)


class Managed:
    """A node that waits to be configured, whose models come once ``go`` is set; and its client."""

    def __init__(self, estimate, monkeypatch):
        self.go, pipeline = threading.Event(), Pipeline(estimate)

        def load(processing):
            assert self.go.wait(10.0)
            return pipeline

        monkeypatch.setattr(Processing, '_load', load)
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.node = NabsPoseNode(
            context=self.context, parameter_overrides=[Parameter('autostart', value=False)])
        self.caller = rclpy.create_node('caller', context=self.context)
        for node in (self.node, self.caller):
            self.executor.add_node(node)

    def call(self, kind, name, request):
        client = self.caller.create_client(kind, f'/nabs_pose/{name}')
        assert client.wait_for_service(5.0)
        return client.call_async(request)

    def change(self, transition):
        return self.call(ChangeState, 'change_state', ChangeState.Request(
            transition=Transition(id=transition)))

    def result(self, future):
        self.executor.spin_until_future_complete(future, 5.0)
        return future.result()

    def close(self):
        self.go.set()
        self.caller.destroy_node()
        self.node.destroy_node()
        self.executor.shutdown(0.0)
        rclpy.shutdown(context=self.context)


@pytest.fixture
def managed(estimate, monkeypatch):
    managed = Managed(estimate, monkeypatch)
    yield managed
    managed.close()


def test_a_configuring_node_answers_and_tells_in_the_end_how_it_went(managed):
    configured = [managed.change(Transition.TRANSITION_CONFIGURE) for _ in range(2)]
    for _ in range(3):
        asked = managed.call(
            GetParameters, 'get_parameters', GetParameters.Request(names=['preset']))
        began_s = time.monotonic()
        assert managed.result(asked).values[0].string_value == Parameters().preset
        assert time.monotonic() - began_s < 1.0
    assert managed.node.state == 'unconfigured'
    assert not any(future.done() for future in configured)
    managed.go.set()
    # The second one came too late: it is no transition of a configured node.
    assert sorted(managed.result(future).success for future in configured) == [False, True]
    assert managed.node.state == 'inactive'
    assert managed.result(managed.change(Transition.TRANSITION_ACTIVATE)).success


def test_a_node_that_is_shut_down_while_it_loads_lets_nobody_wait(managed):
    configured = managed.change(Transition.TRANSITION_CONFIGURE)
    managed.executor.spin_once(0.5)
    assert managed.result(managed.change(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)).success
    assert not managed.result(configured).success
    assert managed.node.state == 'finalized'


def test_where_rclpy_has_no_service_to_wrap_configuring_still_answers(estimate, monkeypatch):
    monkeypatch.setattr(life, 'CHANGE_STATE', '_called_otherwise')
    managed = Managed(estimate, monkeypatch)
    try:
        managed.go.set()
        assert managed.result(managed.change(Transition.TRANSITION_CONFIGURE)).success
        assert managed.node.state == 'inactive'
    finally:
        managed.close()


def test_models_that_cannot_be_loaded_are_told(monkeypatch):
    def load(self):
        raise PoseError('There is no model.')

    monkeypatch.setattr(Processing, '_load', load)
    processing = Processing(SimpleNamespace(), Parameters, print, FrameTree())
    assert processing.done.wait(5.0)
    assert (processing.ready, processing.error) == (False, 'There is no model.')


def test_the_nodes_answer_before_torch_is_loaded():
    """The worker loads it, which takes seconds; those that only pass boxes on never need it."""
    code = ('import sys; import ros2_nabs_pose.node, ros2_nabs_pose.box_publisher, '
            "ros2_nabs_pose.yolo_adapter; print('torch' in sys.modules)")
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60,
                          check=True)
    assert done.stdout.strip() == 'False'
