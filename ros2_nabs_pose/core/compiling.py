# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Networks compiled by ``torch.compile``: meant for GPUs, where starting many small kernels costs
more than running them. On CPUs it gains next to nothing (docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
import math
from typing import Any

import torch
from torch import Tensor

from .checkpoint import CategoryModel
from .encoder import Encoder, Encoding
from .generator import Generator
from .refiner import CHANNELS_IN, Refiner
from .types import PoseError

MOST_PROGRAMS = 64
"""Of one network's code, in all its sizes; further ones run as they are written."""
ROWS = 1, 2, 16
"""So many are compiled for at once: on CPUs torch makes a program for one, for 2 to 15, and for
all above."""
BESIDE = 3
"""Views of one volume that pose steps draw at once (``pose_steps.draw``)."""


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

    For use alone: copies of such networks would ask the ones that they were made of. Categories
    whose networks have the same sizes share what is compiled. Takes a minute or so. Raises
    PoseError in one sentence where it fails.
    """
    limit = 'recompile_limit' if hasattr(torch._dynamo.config, 'recompile_limit') else (
        'cache_size_limit')
    setattr(torch._dynamo.config, limit, max(MOST_PROGRAMS, getattr(torch._dynamo.config, limit)))
    try:
        with torch.no_grad():
            for model in models:
                _compile_encoder(model.encoder, device)
                _compile_views(model.generator, device)
            if refiner is not None:
                _compile_refiner(refiner, device)
    except Exception as error:  # it depends on what is missing: a compiler, Triton, headers
        raise PoseError('The networks cannot be compiled here, which needs a C++ compiler and '
                        "Python's headers (python3-dev), for GPUs Triton as well; go without "
                        f'compile_networks ({_reason(error)}).') from error


def _install(network: object, name: str, function: Callable[..., Any]) -> None:
    # One network's own function, in place of its class's: type checkers know no such thing.
    setattr(network, name, function)


def _compile_encoder(encoder: Encoder, device: str) -> None:
    run, codes = compiled(encoder.forward), encoder.config.latent_dim

    def forward(crop: Tensor, focal: Tensor | None = None, known: Tensor | None = None) -> Encoding:
        if known is None and focal is not None:
            # The same as None, so that the first code that is known asks for nothing new.
            known = crop.new_full((len(crop), codes), math.nan)
        said: Encoding = run(crop.contiguous(), focal, known)
        return said

    _install(encoder, 'forward', forward)
    size = encoder.config.resolution
    for count in ROWS:
        encoder(torch.zeros(count, 3, size, size, device=device),
                torch.full((count,), 3.0, device=device))


def _compile_views(generator: Generator, device: str) -> None:
    _install(generator, 'render', compiled(generator.render))
    volume, style = generator.volume(torch.zeros(1, generator.config.latent_dim, device=device))
    for count in ROWS:
        which = torch.zeros(count, dtype=torch.long, device=device)
        drawn = volume[which], style[which]  # no views, nor are a fit's (``fit.volumes``)
        for beside in (1, BESIDE):
            R = torch.eye(3, device=device).repeat(count * beside, 1, 1)
            generator.render(*drawn, R, torch.full((len(R),), 0.2, device=device))


def _compile_refiner(refiner: Refiner, device: str) -> None:
    _install(refiner, 'forward', compiled(refiner.forward))
    size = refiner.config.resolution
    for count in ROWS:
        refiner(torch.zeros(count, CHANNELS_IN, size, size, device=device))


def _reason(error: Exception) -> str:
    # What failed stands between the stack of those who passed it on and the compiler's command.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = ([line for line in lines if 'error: ' in line]
            or [line for line in lines if not line.endswith('raised:')])
    return (told[0] if told else type(error).__name__)[:200]
