# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What the worker's thread does for the node: load once, then decode, fit and publish."""

from __future__ import annotations

from collections.abc import Callable
import os
import threading
import time
import traceback
from typing import Any

from rclpy.lifecycle import LifecycleNode

from .conversions import ros_message
from .core.types import PoseError
from .frame_tree import FrameTree
from .frames import header_of, solve_frame, SolvedFrame, warm_up
from .matching import Match
from .outputs import Outputs
from .parameters import Parameters
from .status import FrameStatistics, FrameTimes
from .worker import be_nicer, wait_briefly, Worker


class Processing:
    """Models in the worker's thread; ``done`` once they are ready, or ``error`` says why not.

    settings: gives the parameters as they are now. outputs: None until there are publishers.
    warn: logs a sentence, not too often. frames: what ``up_frame`` and
    ``ground_frame`` are looked up in.
    """

    def __init__(self, node: LifecycleNode, settings: Callable[[], Parameters],
                 warn: Callable[[str], None], frames: FrameTree) -> None:
        self._node = node
        self._frames = frames
        self._settings = settings
        self._warn = warn
        self._epoch = 0  # grows with each reset
        self._epoch_solved = 0
        self._outdated = 0
        self.outputs: Outputs | None = None
        self.statistics = FrameStatistics()
        self.symmetries: dict[str, str] = {}
        self.done = threading.Event()
        self.error: str | None = None
        self._worker: Worker[tuple[int, Match[Any]], Any] = Worker(
            self._load, self._process, self.done.set, self._on_failure)
        self._worker.start()

    @property
    def ready(self) -> bool:
        """Whether the models are loaded and warm."""
        return self.done.is_set() and self.error is None

    @property
    def dropped(self) -> int:
        """How many frames a newer one replaced, or a reset or the node's end overtook."""
        return self._worker.dropped + self._outdated

    def put(self, match: Match[Any]) -> None:
        """Hand over a frame; returns at once."""
        self._worker.put((self._epoch, match))

    def reset(self) -> None:
        """Forget the tracks and the frame in hand; returns at once.

        After a bag has begun anew, a pose from before would be one from the future.
        """
        self._epoch += 1

    def stop(self, timeout_s: float) -> bool:
        """End after the frame in hand; whether the thread was gone within ``timeout_s``."""
        return self._worker.stop(timeout_s)

    # Worker's thread.

    def _load(self) -> Any:
        wait_briefly()
        # Imported here, so that the node answers while torch loads.
        import torch

        from .core.pipeline import PosePipeline

        parameters = self._settings()
        be_nicer(parameters.fit_niceness)
        torch.set_num_threads(parameters.num_threads or min(4, os.cpu_count() or 1))
        pipeline = PosePipeline.load(
            parameters.categories, device=parameters.device, preset=parameters.preset,
            models_dir=parameters.models_dir or None, known_size_m=parameters.known_sizes_m,
            common_ground=parameters.common_ground, compiled=parameters.compile_networks)
        warm_up(pipeline, parameters.categories)
        self.symmetries = {name: model.card.symmetry for name, model in pipeline.models.items()}
        return pipeline

    def _on_failure(self, error: Exception) -> None:
        self.error = str(error) if isinstance(error, PoseError) else (
            f'The worker ended: {"".join(traceback.format_exception(error))}')
        self.done.set()

    def _process(self, pipeline: Any, job: tuple[int, Match[Any]]) -> None:
        """One frame: decode, fit, publish; whatever the frame holds, the node lives on."""
        taken_s = time.monotonic()
        epoch, match = job
        parameters, outputs = self._settings(), self.outputs
        if self._is_outdated(epoch):
            return
        if epoch != self._epoch_solved:
            pipeline.reset()
            self._epoch_solved = epoch
        # A fault in one frame must not silence the next ones.
        try:
            solved = solve_frame(pipeline, match, parameters, self._frames)
        except Exception as error:
            solved = SolvedFrame(None, (), (self._describe(error),))
        if outputs is None or self._is_outdated(epoch):
            return
        try:
            self._publish(outputs, match, solved, parameters, taken_s)
        except Exception as error:
            if not self._node.context.ok():
                return  # Ctrl-C came during the fit: nobody listens any more
            self._warn(self._describe(error))
        self._warn('; '.join(dict.fromkeys(solved.reasons)))

    def _is_outdated(self, epoch: int) -> bool:
        """Whether nobody wants a frame of ``epoch`` any more, which is then counted."""
        outputs = self.outputs
        outdated = epoch != self._epoch or outputs is None or not outputs.active
        self._outdated += outdated
        return outdated

    def _publish(self, outputs: Outputs, match: Match[Any], solved: SolvedFrame,
                 parameters: Parameters, taken_s: float) -> None:
        began_s = time.monotonic()
        header = header_of(ros_message, match)
        # Read before: whoever hears a pose may set a simulated clock forward at once.
        stamp_age_s = (self._node.get_clock().now().nanoseconds - match.stamp_ns) * 1e-9
        outputs.publish_poses(header, solved, parameters)
        now_s = time.monotonic()
        self.statistics.add_frame(len(solved.estimates), solved.reasons, FrameTimes(
            latency_s=now_s - match.received_s, stamp_to_publish_s=stamp_age_s,
            wait_s=taken_s - match.received_s, decode_s=solved.decode_s, fit_s=solved.fit_s,
            publish_s=now_s - began_s), now_s)
        outputs.publish_pictures(header, solved, parameters)

    def _describe(self, error: Exception) -> str:
        """One sentence for a fault that no input should cause; its origin goes to the debug log."""
        self._node.get_logger().debug(traceback.format_exc())
        return f'a frame failed: {type(error).__name__}: {error}'
