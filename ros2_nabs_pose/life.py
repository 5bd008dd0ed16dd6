# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A lifecycle node whose transitions fail with a logged sentence, and never end the process."""

from __future__ import annotations

from collections.abc import Callable
import traceback
from typing import Any

from lifecycle_msgs.msg import Transition
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.exceptions import ParameterException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.task import Future

CHANGE_STATE = '_service_change_state'
"""What rclpy calls the service of a lifecycle node that changes its state."""


class ManagedNode(LifecycleNode):
    """Runs the four steps that a subclass has, in the executor's thread.

    A step that raises ValueError, RuntimeError or a ParameterException fails: its sentence is
    logged and the state stays. After any other fault everything is given back.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        # Some releases of rclpy let a transition that is not possible now end the whole node. The
        # service is theirs and private: where it has another name, they have their way, and
        # configuring keeps the executor for as long as it takes.
        service = getattr(self, CHANGE_STATE, None)
        if service is not None:
            service.callback = self._guarded(service.callback)
            # In a group of its own: what awaits in the nodes' own would keep the others waiting.
            service.callback_group = ReentrantCallbackGroup()
            service.callback_group.add_entity(service)

    @property
    def state(self) -> str:
        """Name of the lifecycle state."""
        return str(self._state_machine.current_state[1])

    def _before_configure(self) -> Future | None:
        """Begin what configuring waits for; what is done once it need not wait, None at once."""
        return None

    def _configure(self) -> None:
        raise NotImplementedError

    def _activate(self) -> None:
        raise NotImplementedError

    def _deactivate(self) -> None:
        raise NotImplementedError

    def _clean_up(self) -> None:
        raise NotImplementedError

    def _tell(self, failure: str) -> None:
        """Log why a transition failed."""
        self.get_logger().error(failure)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unconfigured to inactive."""
        return self._run(self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Inactive to active: what is published goes out."""
        super().on_activate(state)
        done = self._run(self._activate)
        if done != TransitionCallbackReturn.SUCCESS:
            super().on_deactivate(state)
        return done

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Active to inactive."""
        super().on_deactivate(state)
        return self._run(self._deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Inactive to unconfigured."""
        return self._run(self._clean_up)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Any state to finalized."""
        super().on_deactivate(state)
        return self._run(self._deactivate, self._clean_up)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After a fault in a transition: to unconfigured."""
        return self.on_shutdown(state)

    def _run(self, *steps: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            for step in steps:
                step()
        except (ValueError, RuntimeError, ParameterException) as error:
            if self.context.ok():
                self._tell(str(error))
            return TransitionCallbackReturn.FAILURE
        except Exception:
            self.get_logger().error(traceback.format_exc())  # rclpy keeps it to itself
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def _guarded(self, change_state: Callable[..., Any]) -> Callable[..., Any]:
        async def callback(request: Any, response: Any) -> Any:
            goal = request.transition  # its label counts where it has one
            if self.state == 'unconfigured' and (goal.label == 'configure' or not goal.label and (
                    goal.id == Transition.TRANSITION_CONFIGURE)):
                prepared = self._before_configure()
                if prepared is not None:
                    await prepared
            try:
                return change_state(request, response)
            except RuntimeError as error:
                if self.context.ok():
                    self.get_logger().error(
                        f'no transition from {self.state}: {str(error).splitlines()[0]}')
                response.success = False
                return response
        return callback
