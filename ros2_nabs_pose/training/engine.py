# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Where a training runs: in one process as it is, on many or in mixed precision through Fabric.

Gradients are averaged by hand instead of by a wrapper around the models, because a step calls
their parts (volume, render, proportions), which a wrapper's forward does not cover.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
import dataclasses
import os
import shlex
import sys
from typing import Any, get_args, Literal

import torch
from torch import Tensor

from ..core.types import PoseError

Precision = Literal['32-true', 'bf16-mixed']
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@contextmanager
def own_random_numbers(seed: int, device: torch.device | str) -> Iterator[None]:
    """Torch's random numbers from a seed, on the CPU and ``device``; afterwards as before."""
    kept = [torch.device(device)] if str(device).startswith('cuda') else []
    with torch.random.fork_rng(devices=kept):
        torch.manual_seed(seed)
        yield


def command_line() -> str:
    """What was typed to start this process, for a model's card."""
    words, processes = sys.argv[1:], int(os.environ.get('WORLD_SIZE', '1'))
    if processes == 1:
        return shlex.join(['nabs-pose', *words])
    here = int(os.environ.get('LOCAL_WORLD_SIZE', '1'))
    machines = ['--nnodes', str(processes // here)] if processes != here else []
    return shlex.join(['torchrun', *machines, '--nproc-per-node', str(here),
                       '-m', '--', 'ros2_nabs_pose.cli.main', *words])


def full_precision(said: Any) -> Any:
    """A dataclass of tensors with all of them in 32 bits."""
    return dataclasses.replace(said, **{f.name: getattr(said, f.name).float()
                                        for f in dataclasses.fields(said)})


class Engine:
    """Processes and precision of a run; one process in 32 bits needs nothing but torch.

    rank, world: this process among how many. Raises PoseError where the precision is unknown or
    Lightning Fabric is needed and missing.
    """

    def __init__(self, device: str = 'cpu', precision: str = '32-true') -> None:
        known = next((p for p in PRECISIONS if p == precision), None)
        if known is None:
            raise PoseError(f"There is no precision '{precision}': choose one of "
                            f"{', '.join(PRECISIONS)}.")
        self.rank, self.world = 0, 1
        self.device = device
        self._fabric: Any = None
        processes = int(os.environ.get('WORLD_SIZE', '1'))
        if precision == '32-true' and processes == 1:
            return
        try:
            from lightning_fabric import Fabric
        except ImportError as error:
            raise PoseError('More than one process, or mixed precision, needs Lightning Fabric: '
                            'pip install lightning-fabric.') from error
        local = int(os.environ.get('LOCAL_WORLD_SIZE', '1'))
        fabric = Fabric(accelerator='cuda' if device.startswith('cuda') else 'cpu', devices=local,
                        num_nodes=processes // local, precision=known,
                        strategy='ddp' if processes > 1 else 'auto')
        fabric.launch()
        self.rank, self.world = fabric.global_rank, fabric.world_size
        self.device = str(fabric.device)
        self._fabric = fabric

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision in which networks run; losses stay outside, in 32 bits."""
        context: AbstractContextManager[Any] = (
            self._fabric.autocast() if self._fabric else nullcontext())
        return context

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Gradients become their mean over all processes, in one message."""
        if self.world == 1:
            return
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        mean = self._fabric.all_reduce(torch.cat([g.flatten() for g in grads]), reduce_op='mean')
        for grad, part in zip(grads, mean.split([g.numel() for g in grads]), strict=True):
            grad.copy_(part.view_as(grad))

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process; all of them must ask."""
        if self.world == 1:
            return flag
        return bool(self._fabric.all_reduce(torch.tensor(float(flag), device=self.device),
                                            reduce_op='sum') > 0)

    def gather(self, value: Tensor) -> Tensor:
        """(world, ...) the processes' tensors of one shape; all of them must ask."""
        if self.world == 1:
            return value.unsqueeze(0)
        gathered: Tensor = self._fabric.all_gather(value.to(self.device)).to(value.device)
        return gathered

    def barrier(self) -> None:
        """Wait for the other processes."""
        if self.world > 1:
            self._fabric.barrier()
