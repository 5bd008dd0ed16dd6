# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The ROS 2 node: a lifecycle node with subscriptions and services around a worker; no maths.

Callbacks only pair messages by stamp and leave them in the worker's mailbox; the worker's thread
(``processing``) owns the model, decodes, fits and publishes. Every stamp and frame is the image's.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from rcl_interfaces.msg import SetParametersResult
import rclpy
from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.task import Future

from . import parameters as node_parameters
from .conversions import ros_class
from .diagnostics import Reporter
from .inputs import Inputs
from .life import ManagedNode
from .matching import Match
from .outputs import Outputs
from .processing import Processing
from .status import CallbackTimes, LogThrottle
from .topics import SERVICES

START_PERIOD_S = 0.05
HOUSEKEEPING_PERIOD_S = 0.2
DIAGNOSTICS_PERIOD_S = 1.0
STOP_TIMEOUT_S = 0.8
TARGET_PARAMETERS = ('target_class', 'target_id', 'target_mode')


class NabsPoseNode(ManagedNode):
    """Images, calibrations and boxes in; poses out. ``finished`` is done when it cannot go on.

    Unconfigured: only parameters, services and diagnostics. Inactive: the models are loaded and
    warm. Active: subscribed and publishing.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('nabs_pose', **kwargs)
        self._settings = node_parameters.declare(self)
        self.add_on_set_parameters_callback(self._on_parameters)
        self.finished: Future = Future()

        self._callback_times = CallbackTimes()
        timed = self._callback_times.timed
        self._inputs = Inputs(self, self._enqueue, timed)
        self._outputs: Outputs | None = None
        self._processing: Processing | None = None
        self._loaded: Future | None = None
        self._throttle = LogThrottle()
        self._reporter = Reporter(self, self._inputs, self._callback_times, self._warn)

        for key, callback in (('reset', self._on_reset), ('set_target', self._on_set_target),
                              ('enable', self._on_enable)):
            self.create_service(ros_class(SERVICES[key].type_name), SERVICES[key].name, callback)
        self._time_jumps = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1)),
            post_callback=self._on_time_jump)
        # Simulated time may stand still; looking for publishers and reporting must not.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(HOUSEKEEPING_PERIOD_S, timed(self._keep_house), clock=steady)
        self.create_timer(DIAGNOSTICS_PERIOD_S, timed(self._report), clock=steady)

        self._starting = self._settings.autostart
        if self._starting:
            # Ahead of the transition that waits for it, so that the node answers meanwhile.
            self._processing = self._begin_to_load()
            self._autostart_timer = self.create_timer(
                START_PERIOD_S, self._start_once_loaded, clock=steady)

    def stop(self, timeout_s: float) -> bool:
        """End the worker after its frame in hand; whether it was gone within ``timeout_s``."""
        return self._processing is None or self._processing.stop(timeout_s)

    def destroy_node(self) -> None:
        """Leave no thread behind, whoever spins the node."""
        self.stop(STOP_TIMEOUT_S)
        super().destroy_node()

    # Life: the steps of the transitions, in the executor's thread.

    def _begin_to_load(self) -> Processing:
        return Processing(self, lambda: self._settings, self._warn, self._inputs.frames)

    def _before_configure(self) -> Future | None:
        """Load in the worker's thread, while the executor answers."""
        if self._processing is None:
            self._processing = self._begin_to_load()
        if self._loaded is None:
            self._loaded = Future()
        return self._loaded

    def _configure(self) -> None:
        """Load the models and warm them up; waits only where nobody did before."""
        if self._processing is None:
            self._processing = self._begin_to_load()
        processing = self._processing
        while not processing.done.wait(0.1):
            if not self.context.ok():
                raise RuntimeError('the node was stopped while it loaded')
            if time.monotonic() >= self._reporter.last_s + DIAGNOSTICS_PERIOD_S:
                self._report()
        if processing.error is not None:
            self._processing = None
            raise RuntimeError(processing.error)
        self._inputs.configure(self._settings)
        self._outputs = processing.outputs = Outputs(self)

    def _activate(self) -> None:
        """Subscribe."""
        assert self._outputs is not None and self._processing is not None
        self._outputs.publish_symmetries(self._processing.symmetries)
        self._inputs.open(self._settings)
        self._reporter.forget()
        topics = self._inputs.topics
        self.get_logger().info(
            f'Ready: poses of {", ".join(self._settings.categories)} from {topics.image}, '
            f'{topics.camera_info} and {topics.detections}.')

    def _deactivate(self) -> None:
        """Unsubscribe; the models stay."""
        self._inputs.close()
        if self._outputs is not None:
            self._outputs.objects.tidy(wanted=False)

    def _clean_up(self) -> None:
        """Give the models and their memory back."""
        processing, self._processing = self._processing, None
        if processing is not None:
            processing.outputs = None
            processing.stop(STOP_TIMEOUT_S)
        if self._outputs is not None:
            self._outputs.close()
            self._outputs = None

    def _tell(self, failure: str) -> None:
        (self.get_logger().fatal if self._starting else super()._tell)(failure)

    def _start_once_loaded(self) -> None:
        """Go to active by itself; where the models cannot be loaded there is no going on."""
        if self._processing is None or not self._processing.done.is_set():
            return
        self._autostart_timer.cancel()
        success = TransitionCallbackReturn.SUCCESS
        if self.state == 'unconfigured' and self.trigger_configure() != success or (
                self.state == 'inactive' and self.trigger_activate() != success):
            self.finished.set_result(False)
        self._starting = False

    def _keep_house(self) -> None:
        # Here, since a future may be set in the executor's thread alone.
        if self._loaded is not None and (
                self._processing is None or self._processing.done.is_set()):
            self._loaded.set_result(None)
            self._loaded = None
        self._inputs.follow()
        if self._outputs is not None and self._outputs.active:
            self._outputs.keep_house(self._settings)

    # Services, parameters, clock: executor's thread.

    def _enqueue(self, match: Match[Any]) -> None:
        if self._processing is not None:
            self._processing.put(match)

    def _forget(self) -> None:
        self._inputs.matcher.clear()
        if self._processing is not None:
            self._processing.reset()

    def _on_time_jump(self, jump: Any) -> None:
        self._forget()

    def _on_reset(self, request: Any, response: Any) -> Any:
        self._forget()
        response.success = True
        response.message = 'tracks are forgotten before the next frame'
        return response

    def _on_set_target(self, request: Any, response: Any) -> Any:
        given = {p.name: Parameter.from_parameter_msg(p) for p in request.parameters}
        strange = sorted(set(given) - set(TARGET_PARAMETERS))
        if strange:
            response.result = SetParametersResult(successful=False, reason=(
                f'{", ".join(strange)} is none of {", ".join(TARGET_PARAMETERS)}'))
            return response
        defaults = node_parameters.Parameters()
        response.result = self.set_parameters_atomically([
            given.get(name) or Parameter(name, value=getattr(defaults, name))
            for name in TARGET_PARAMETERS])
        return response

    def _on_enable(self, request: Any, response: Any) -> Any:
        before, after = ('inactive', 'active') if request.data else ('active', 'inactive')
        if self.state == before:
            (self.trigger_activate if request.data else self.trigger_deactivate)()
        response.success = self.state == after
        response.message = f'the node is {self.state}' + (
            '' if response.success else ': configure it first')
        return response

    def _on_parameters(self, changes: list[Any]) -> SetParametersResult:
        values = {**vars(self._settings), **{p.name: p.value for p in changes}}
        try:
            settings = node_parameters.Parameters.from_values(values)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        late = node_parameters.changed_at_configure(self._settings, settings)
        if late and self._processing is not None:
            return SetParametersResult(successful=False, reason=(
                f'{", ".join(late)} cannot change now: it is read when the node is configured, so '
                'deactivate and clean it up first'))
        self._settings = settings
        self._inputs.change(settings)
        return SetParametersResult(successful=True)

    # Diagnostics: executor's thread.

    def _warn(self, sentence: str) -> None:
        if sentence and self._throttle.allows(sentence, time.monotonic()):
            self.get_logger().warning(sentence)

    def _report(self) -> None:
        self._reporter.report(self.state, self._processing, self._outputs, self._settings.slop_s)


def main(args: list[str] | None = None) -> int:
    """Run the node until Ctrl-C or SIGTERM; returns 1 where it could not start, else exits."""
    # The worker may hold the interpreter for this long while a callback waits; the default is 5 ms.
    sys.setswitchinterval(0.0005)
    # Ctrl-C shuts rclpy's context, as SIGTERM does, and that ends the spinning. A KeyboardInterrupt
    # on top of it could come in the middle of rclpy's native code, which then aborts.
    interrupts: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: interrupts.append(number))
    rclpy.init(args=args)
    if interrupts:  # before rclpy listened
        rclpy.try_shutdown()
        return 0
    try:
        node = NabsPoseNode()
    except (ParameterException, ValueError, RuntimeError) as error:
        if not rclpy.ok():  # asked to end while it was being built: rclpy refuses what comes then
            rclpy.try_shutdown()
            return 0
        print(f'nabs_pose_node: {error}', file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        executor.spin_until_future_complete(node.finished)
    except ExternalShutdownException:
        pass
    except RuntimeError:
        if node.context.ok():
            raise
        # rclpy could not end a transition that Ctrl-C cut short.
    if node.stop(STOP_TIMEOUT_S):
        executor.shutdown(0.0)  # a transition that still waits for its models waits for ever
        node.destroy_node()
        rclpy.try_shutdown()
    # Not by return: the interpreter takes up to a second to tear torch down, and where a fit is
    # still at work its native code must not outlive the interpreter.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1 if node.finished.done() else 0)


if __name__ == '__main__':
    sys.exit(main())
