# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Networks compiled by ``torch.compile``: meant for GPUs, where starting a fit's many small kernels
costs more than running them. On CPUs it gains nothing (docs/fitting.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import torch
from torch import nn, Tensor

from .checkpoint import CategoryModel
from .refiner import Refiner
from .types import PoseError


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors, compiled when it is first asked for one row and first for more.

    Batches may be of any size after that. Where gradients are wanted it runs as it was written.
    """
    fast = torch.compile(function)

    @wraps(function)
    def call(*given: Tensor | None) -> Any:
        if torch.is_grad_enabled():
            return function(*given)
        for tensor in given:
            if tensor is not None:
                torch._dynamo.maybe_mark_dynamic(tensor, 0)
        return fast(*given)

    return call


def compile_networks(models: Iterable[CategoryModel], refiner: Refiner | None,
                     device: str) -> None:
    """Compile, in place, what a fit asks again and again: encoders, views, the refiner.

    The compiling itself takes place when each is first asked. Raises PoseError in one sentence
    where nothing can be compiled for ``device``.
    """
    try:
        with torch.no_grad():
            compiled(_probe)(torch.zeros(2, device=device))
    except Exception as error:  # it depends on what is missing: a compiler, Triton, headers
        reason = str(error).strip().splitlines()[0][:200]
        raise PoseError('The networks cannot be compiled here: torch.compile needs a C++ compiler, '
                        f'for GPUs Triton as well; go without "compiled" ({reason}).') from error
    asked: list[tuple[nn.Module, str]] = [] if refiner is None else [(refiner, 'forward')]
    for model in models:
        asked += [(model.encoder, 'forward'), (model.generator, 'render')]
    for network, name in asked:
        setattr(network, name, compiled(getattr(network, name)))


def _probe(x: Tensor) -> Tensor:
    return torch.sin(x) + 1.0
