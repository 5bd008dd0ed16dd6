# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A run's state on disk: everything that is needed to go on as if it had never stopped."""

from __future__ import annotations

from collections.abc import Mapping
import json
from pathlib import Path
from typing import Any, Protocol

import torch

from .engine import Engine
from ..core.files import write_text_whole, written_whole
from ..core.types import PoseError

CONFIG = 'config.json'
STATE = 'state.pt'
"""What a run has once it has written weights: it saves its state before them."""


def check_out(run: Path, out: Path) -> None:
    """Raise PoseError where ``out`` holds weights, but is not where the run in that folder writes.

    So shipped or earlier weights are not lost to a run that has only begun.
    """
    stated = run / CONFIG
    said = json.loads(stated.read_text()).get('out', '') if stated.is_file() else ''
    own = said and Path(said).resolve() == out.resolve() and (run / STATE).is_file()
    if out.is_file() and not own:
        raise PoseError(f'{out} holds weights that this run has not written: give another --out, '
                        'or --replace to train over them.')


def write_config(run: Path, config: Mapping[str, Any]) -> None:
    """Note in a run's folder how it is run."""
    run.mkdir(parents=True, exist_ok=True)
    write_text_whole(run / CONFIG, json.dumps(dict(config), indent=2))


class Stateful(Protocol):
    """Networks and optimisers."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


def save_state(path: Path, engine: Engine, parts: Mapping[str, Stateful],
               values: Mapping[str, Any]) -> None:
    """Write parts, values and all processes' random states; atomic.

    All processes must call it; the first one writes.
    """
    device = torch.device(engine.device)
    random = engine.gather(torch.get_rng_state())
    there = engine.gather(torch.cuda.get_rng_state(device)) if device.type == 'cuda' else None
    if engine.rank:
        return
    with written_whole(path) as partial:
        torch.save({**values, **{name: part.state_dict() for name, part in parts.items()},
                    'random': random, 'random_device': there}, partial)


def read_state(path: Path, device: str | torch.device, data: str, seed: int) -> dict[str, Any]:
    """What ``save_state`` wrote.

    Raises PoseError where the run had other data or another seed: its card would be false.
    """
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    if (state['data'], state['seed']) != (data, seed):
        raise PoseError(f'{path.parent} holds a run with other data or another seed: choose '
                        'another --run, or remove that folder.')
    return state


def check_pictures(path: Path, state: Mapping[str, Any], mirror: bool, stretch: bool) -> None:
    """Raise PoseError where a run saw other kinds of pictures: mirror images, other proportions.

    Runs of versions that do not say so saw no other proportions.
    """
    for way, shown, wanted, former in (('mirror', 'mirror images', mirror, mirror),
                                       ('stretch', 'other proportions', stretch, False)):
        began = state.get(way, former)
        if began != wanted:
            how = 'with' if began else 'without'
            raise PoseError(f'{path.parent} holds a run {how} {shown} (--no-{way}): go on as it '
                            'began, or choose another --run.')


def take_up(path: Path, state: Mapping[str, Any], engine: Engine,
            parts: Mapping[str, Stateful]) -> None:
    """Bring parts and random numbers to where a run stopped.

    Raises PoseError where it ran on another number of processes, or its networks had other sizes.
    """
    device, random, there = torch.device(engine.device), state['random'], state['random_device']
    if random.dim() == 2 and len(random) != engine.world:
        raise PoseError(f'{path.parent} holds a run on {len(random)} processes: take it up on as '
                        'many, or choose another --run.')
    try:
        if random.dim() != 2:
            raise ValueError('random numbers as former versions kept them')
        for name, part in parts.items():
            part.load_state_dict(state[name])
    except (KeyError, RuntimeError, ValueError) as error:
        raise PoseError(f'{path.parent} holds a run of a version with other networks: begin '
                        f'anew from it, with --init {path} and another --run.') from error
    # Cloned: torch reads a state from where its storage begins, whatever the slice.
    torch.set_rng_state(random[engine.rank].cpu().clone())
    if there is not None and device.type == 'cuda':
        torch.cuda.set_rng_state(there[engine.rank].cpu().clone(), device)
