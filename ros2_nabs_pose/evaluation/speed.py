# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What presets cost and give, side by side on the same crops in one run.

The presets take turns on every frame, so that whatever else the machine does falls on all of
them. 'warm' is what tracked objects get: it is tracked through sequences, and in a set of single
pictures it sees each of them twice, of which the second time counts. Every other preset meets every
frame cold. Peak memory is that of a fresh process for each preset.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
import multiprocessing
from pathlib import Path
import platform
import resource
import sys
import time
from typing import Any

import numpy as np

from .accuracy import FREE_Z, ObjectResult, Pipeline, runs, score, summarise
from .sets import EvaluationSet, load_frame, LoadedFrame, read_set, TrueFrame
from ..core.types import PoseError

TRACKED_PRESET = 'warm'
COMPILED = ', compiled'
"""Behind a preset's name where its networks are compiled."""
_MEMORY_FRAMES = 3


@dataclass(frozen=True)
class Setup:
    """How pipelines are loaded; the same for every preset."""

    categories: tuple[str, ...] | None = None
    device: str = 'cpu'
    models_dir: Path | None = None
    threads: int = 0
    seed: int = 0


def load_pipeline(preset: str, setup: Setup) -> Pipeline:
    """A ``PosePipeline`` with a preset, whose networks are compiled where its name says so."""
    import torch

    from ..core import PosePipeline

    if setup.threads > 0:
        torch.set_num_threads(setup.threads)
    return PosePipeline.load(setup.categories, device=setup.device,
                             preset=preset.removesuffix(COMPILED), models_dir=setup.models_dir,
                             seed=setup.seed, compiled=preset.endswith(COMPILED))


def _frames(evaluation_set: EvaluationSet, models: Any,
            limit: int) -> list[tuple[TrueFrame, LoadedFrame, bool]]:
    """Up to ``limit`` frames that show known categories, and whether each continues a sequence.

    Sequences are cut short, so that motion between frames stays; single frames are spread out.
    """
    chosen: list[tuple[TrueFrame, bool]] = []
    single: list[TrueFrame] = []
    for frames, tracked in runs(evaluation_set):
        used = [f for f in frames if any(o.category in models for o in f.objects)]
        if tracked:
            chosen += [(f, i > 0) for i, f in enumerate(used)]
        else:
            single += used
    chosen = chosen[:limit]
    room = limit - len(chosen)
    if len(single) > room:
        single = [single[int(i)] for i in np.linspace(0, len(single) - 1, room)]
    chosen += [(f, False) for f in single]
    return [(f, load_frame(f), goes_on) for f, goes_on in chosen]


def measure(evaluation_set: EvaluationSet, presets: Sequence[str], setup: Setup, limit: int = 40,
            load: Callable[[str, Setup], Pipeline] = load_pipeline,
            memory: Callable[[str, EvaluationSet, Setup], float] | None = None,
            generators: Callable[[str], dict[str, dict[str, float]]] | None = None
            ) -> dict[str, Any]:
    """JSON-ready report: device, frames, and for each preset its seconds, accuracy and memory."""
    pipelines = {preset: load(preset, setup) for preset in presets}
    models = next(iter(pipelines.values())).models
    frames = _frames(evaluation_set, models, limit)
    if not frames:
        raise PoseError(f'{evaluation_set.folder} shows none of the categories that there are '
                        f'models for ({", ".join(sorted(models))})')
    seconds: dict[str, list[float]] = {preset: [] for preset in presets}
    results: dict[str, list[ObjectResult]] = {preset: [] for preset in presets}
    objects: dict[str, list[int]] = {preset: [] for preset in presets}
    for pipeline in pipelines.values():
        _once(pipeline, *frames[0][:2])  # the first call allocates and is not counted
        pipeline.reset()
    sequences = any(goes_on for _, _, goes_on in frames)
    for true, loaded, goes_on in frames:
        for preset, pipeline in pipelines.items():
            tracked = preset.removesuffix(COMPILED) == TRACKED_PRESET
            if not (tracked and goes_on):
                pipeline.reset()
            if tracked and not sequences:
                _once(pipeline, true, loaded)
            took, scored = _once(pipeline, true, loaded)
            if not tracked or goes_on or not sequences:
                seconds[preset].append(took)
                results[preset] += scored
                objects[preset].append(len(scored))
    measured_memory = memory or peak_memory_mb
    return {
        'device': describe_device(setup.device), 'set': evaluation_set.name,
        'frames': len(frames),
        'generators_ms': (generators or measure_generators)(setup.device),
        'presets': {preset: _figures(seconds[preset], results[preset], objects[preset],
                                     measured_memory(preset, evaluation_set, setup))
                    for preset in presets}}


def measure_generators(device: str, turns: int = 7,
                       in_a_row: int = 3) -> dict[str, dict[str, float]]:
    """Milliseconds (median) of drawing and of the gradient to code and rotation, by variant.

    Keys 'one' and 'eight': for one crop and for a batch of eight, each crop with a code of its own.
    The generators are folded, as in use (``core/folding.py``).
    The variants take turns, so that whatever else the machine does falls on all of them. In its
    turn each draws several times in a row, as a fit does; the first time, with the other one's
    weights in the caches, is not counted.
    """
    import torch

    from ..core.folding import FoldedGenerator
    from ..core.generator import Generator
    from ..core.rotations import exp_so3
    from ..core.variants import VARIANTS

    def draw(generator: Generator, count: int) -> float:
        latent = torch.zeros(count, generator.config.latent_dim, device=device).requires_grad_()
        omega = torch.full((count, 3), 0.3, device=device).requires_grad_()
        began = time.perf_counter()
        views = generator(latent, exp_so3(omega), torch.full((count,), 0.1, device=device))
        torch.autograd.grad(views.stacked().square().mean(), (latent, omega))
        if device.startswith('cuda'):
            torch.cuda.synchronize()
        return 1e3 * (time.perf_counter() - began)

    generators = {name: FoldedGenerator(Generator(VARIANTS[name][0])).to(device)
                  for name in ('compact', 'paper')}
    found: dict[str, dict[str, float]] = {name: {} for name in generators}
    for count, key in ((1, 'one'), (8, 'eight')):
        times: dict[str, list[float]] = {name: [] for name in generators}
        for turn in range(turns + 1):
            for name, generator in generators.items():
                draw(generator, count)
                took = [draw(generator, count) for _ in range(in_a_row)]
                if turn:
                    times[name] += took
        for name, values in times.items():
            found[name][key] = float(np.median(values))
    return found


def _figures(seconds: list[float], results: list[ObjectResult], objects: list[int],
             memory_mb: float) -> dict[str, Any]:
    """objects: how many there are in each frame, in the order of ``seconds``."""
    accuracy = summarise(results)
    counts = sorted(set(objects))
    return {
        'seconds': {'median': float(np.median(seconds)),
                    'p95': float(np.percentile(seconds, 95))},
        'seconds_by_objects': {str(n): float(np.median(
            [t for t, o in zip(seconds, objects, strict=True) if o == n])) for n in counts},
        'frames': len(seconds),
        **{key: accuracy[key] for key in ('n', 'answered', 'rotation_median_deg', 'within_10_deg')},
        'peak_memory_mb': memory_mb}


def _once(pipeline: Pipeline, true: TrueFrame,
          loaded: LoadedFrame) -> tuple[float, list[ObjectResult]]:
    """Seconds of one frame, and its objects' results."""
    known = [(i, o) for i, o in enumerate(true.objects) if o.category in pipeline.models]
    began = time.perf_counter()
    result = pipeline.estimate_frame(loaded.image, loaded.intrinsics, [o.box for _, o in known],
                                     true.stamp_s if true.sequence is not None else None)
    took = time.perf_counter() - began
    found = {e.track_id: e for e in result.estimates}
    return took, [score(true, o, loaded, loaded.masks[i], found.get(o.id),
                        pipeline.models[o.category].card.symmetry == FREE_Z) for i, o in known]


def peak_memory_mb(preset: str, evaluation_set: EvaluationSet, setup: Setup) -> float:
    """Peak memory (MB) of a fresh process that loads a preset and answers a few frames.

    The GPU's memory where the device is one, else the process' resident memory.
    """
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(_memory_of_a_run, preset, evaluation_set.folder, setup).result()


def _memory_of_a_run(preset: str, folder: Path, setup: Setup) -> float:
    import torch

    pipeline = load_pipeline(preset, setup)
    for true, loaded, _ in _frames(read_set(folder), pipeline.models, _MEMORY_FRAMES):
        pipeline.reset()
        _once(pipeline, true, loaded)
    if setup.device.startswith('cuda'):
        return torch.cuda.max_memory_allocated() / 1e6
    return _peak_resident_mb()


def _peak_resident_mb() -> float:
    try:
        # Unlike getrusage, this does not begin with the size of the parent process.
        for line in Path('/proc/self/status').read_text(encoding='ascii').splitlines():
            if line.startswith('VmHWM:'):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == 'darwin' else peak * 1024 / 1e6


def describe_device(device: str) -> str:
    """The device in words: a GPU's name, or the processor, its vector instructions, on which the
    speed hangs as much, and the threads in use.
    """
    import torch

    if device.startswith('cuda'):
        return str(torch.cuda.get_device_name(device))
    name = platform.processor() or platform.machine()
    try:
        for line in Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines():
            if line.startswith('model name'):
                name = line.split(':', 1)[1].strip()
                break
    except OSError:
        pass
    vectors = torch.backends.cpu.get_cpu_capability()
    return f'{name}, {vectors}, {torch.get_num_threads()} threads'
