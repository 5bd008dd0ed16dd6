# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What each part of the fit buys: variants of presets on the same crops in one run.

Held-out instances are composed into cluttered crops as in training, but for what may hide them,
which is no more than in validation; the seed is fixed, and only crops that show the front part
count. Every crop is fitted by itself, as in use, and the variants take turns on it, so that
whatever else the machine does falls on all of them. Seconds cover all from the crop to the pose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
import math
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .ablation_shapes import basin, landscapes
from .crop_fits import fit_crops
from .speed import describe_device
from ..core.checkpoint import CategoryModel
from ..core.fit import fit
from ..core.losses import build_terms, Observed
from ..core.paper import fit_paper
from ..core.presets import (
    JointStage,
    PaperPreset,
    PoseStage,
    Preset,
    PRESETS,
    RefineStage,
    Stage,
    staged,
)
from ..core.refiner import Refiner
from ..core.rotations import exp_so3, geodesic_angle, rotation_z
from ..core.starts import make_starts, Remembered
from ..core.types import PoseError
from ..training.compose import compose, FRONT_SEEN
from ..training.engine import own_random_numbers
from ..training.instances import TrainingViews
from ..training.second_look import second_look
from ..training.validate import MOST_HIDDEN

SEED = 21
WARM_DEG = (5.0, 10.0)
"""How far the start of a tracked frame is turned from the truth."""
SHARES = {'variants': 0.4, 'paper': 0.3, 'basin': 0.25}
"""Of the time; the rest is for the landscapes."""


@dataclass(frozen=True)
class Case:
    """One crop and its truth: image (1, 3, S, S), R (1, 3, 3), t (1, 2), log_scale and focal (1,).

    focal is in half crop widths. before: (3, 3) rotation that a track would remember, mask
    (1, 1, S, S) where it saw the object.
    """

    image: Tensor
    R: Tensor
    t: Tensor
    log_scale: Tensor
    focal: Tensor
    before: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Variant:
    """A preset with one knob turned; warm: it starts from the remembered pose.

    speed_only: its poses mean nothing, its time does; run where ``paper`` itself cannot be.
    """

    name: str
    knob: str
    preset: Preset | PaperPreset
    warm: bool = False
    speed_only: bool = False


UNTRAINED = 'paper, untrained VGG'


def default_variants() -> tuple[Variant, ...]:
    """The presets themselves, then 'cold' with one cut and one knob turned at a time."""
    cold, warm, accurate = (staged(name) for name in ('cold', 'warm', 'accurate'))
    paper = PRESETS['paper']
    assert isinstance(paper, PaperPreset)
    # Other knobs are turned where there is one cut: several would blur what they do.
    single = replace(cold, cuts=1)
    refined, end = single.stages
    assert isinstance(refined, RefineStage)
    fine = PoseStage((32,), 1)

    def stages(*chosen: Stage) -> Preset:
        return replace(single, stages=chosen)

    # With a refiner that keeps one hypothesis, losses, pull and prior have nothing to decide.
    bare = stages(*refined.instead, end)
    return (
        Variant('cold', 'preset', cold), Variant('accurate', 'preset', accurate),
        Variant('warm', 'preset', warm, warm=True),
        Variant('cold effort, tracked', 'preset', cold, warm=True),
        Variant('warm effort, no memory', 'preset', warm),
        Variant('encoder alone', 'steps', replace(single, cold_starts=1, stages=(end,))),
        Variant('encoder and choice', 'steps', stages(end)),
        Variant('no refiner', 'refiner', bare),
        *(Variant(f'refiner {n} times', 'refiner', stages(replace(refined, times=n), end))
          for n in (1, 4)),
        Variant('refiner drops none', 'refiner', stages(replace(refined, hopeless=0.0), end)),
        Variant('refiner never stops', 'refiner', stages(replace(refined, settled_deg=0.0), end)),
        Variant('refiner keeps 2', 'refiner', stages(replace(refined, keep=2), end)),
        Variant('no mirror', 'mirror', replace(single, mirror=False)),
        Variant('1 cut', 'cuts', single),
        Variant('5 cuts always', 'cuts', replace(cold, cuts_below=math.inf)),
        Variant('1 reading', 'readings', replace(single, readings=1)),
        Variant('2 readings', 'readings', replace(single, readings=2)),
        Variant('1 start', 'starts', replace(single, cold_starts=1)),
        *(Variant(f'{n} starts', 'starts', replace(single, cold_starts=n)) for n in (2, 8)),
        Variant('a pose step after', 'steps', stages(refined, fine)),
        Variant('two pose steps after', 'steps', stages(refined, fine, fine)),
        *(Variant(f'{n} joint steps, a pose step', 'steps', stages(refined, JointStage(n, 1), fine))
          for n in (4, 12)),
        *(Variant(f'Adam only, {n} steps', 'optimiser', stages(JointStage(n, 1), end))
          for n in (4, 16, 48)),
        Variant('pose steps only', 'optimiser', stages(PoseStage((16, 32, 32), 1), end)),
        *(Variant(f'no refiner, {name} only', 'loss', replace(bare, losses={name: 1.0}))
          for name in cold.losses),
        Variant('no refiner, no features', 'loss', replace(bare, losses={
            name: weight for name, weight in cold.losses.items() if name != 'features'})),
        Variant('no refiner, no pull', 'pull', replace(bare, pull=0.0)),
        Variant('no refiner, pull x 5', 'pull', replace(bare, pull=5.0 * cold.pull)),
        *(Variant(f'no refiner, start prior x {k:g}', 'start_prior', replace(
            bare, start_prior=k * cold.start_prior)) for k in (0.0, 3.0)),
        Variant('paper_offline', 'paper', PRESETS['paper_offline']),
        Variant('paper', 'paper', paper),
        Variant(UNTRAINED, 'paper', replace(paper, losses={'vgg-untrained': 1.0}),
                speed_only=True))


@torch.no_grad()
def draw_cases(data: TrainingViews, count: int, free_about_z: bool, size_px: int = 64) -> list[
        Case]:
    """``count`` crops that show the front, always the same; the global random state is kept.

    At most ``MOST_HIDDEN`` of an object is hidden by others. PoseError where none shows the front.
    """
    cases: list[Case] = []
    with own_random_numbers(SEED, data.rgba.device):
        for _ in range(4 * count):
            _, views = data.batch(4, 2)
            crops = compose(views, data.backgrounds, size_px, most_hidden=MOST_HIDDEN)
            axis = torch.nn.functional.normalize(torch.randn_like(crops.R[:, 0]), dim=1)
            angle = torch.deg2rad(torch.empty_like(axis[:, :1]).uniform_(*WARM_DEG))
            before = exp_so3(angle * axis) @ crops.R
            for b in range(len(crops.focal)):
                if free_about_z or float(crops.front_visible[b]) > FRONT_SEEN:
                    row = slice(b, b + 1)
                    cases.append(Case(crops.image[row], crops.R[row], crops.t[row],
                                      crops.log_scale[row], crops.focal[row], before[b],
                                      crops.mask[row]))
            if len(cases) >= count:
                return cases[:count]
    if not cases:
        raise PoseError('None of the held-out crops shows the front part: render more views.')
    return cases


def rotation_error_deg(R: Tensor, truth: Tensor, free_about_z: bool) -> Tensor:
    """Degrees (B,) between rotations (B, 3, 3), or between their axes."""
    if free_about_z:
        cosine = (R[:, :, 2] * truth[:, :, 2]).sum(1).clamp(-1.0, 1.0)
        return torch.rad2deg(torch.arccos(cosine))
    return torch.rad2deg(geodesic_angle(R, truth))


def run_case(model: CategoryModel, case: Case, variant: Variant,
             refiner: Refiner | None = None) -> tuple[float, float]:
    """Rotation error (deg) and seconds of one fit, from the crop to the pose.

    What leans is turned upright, as ``PosePipeline`` does it: after a first look, or as the track
    knows it; doubtful answers of new objects are sought in other cuts, too. The published protocol
    has no such things.
    """
    free = model.card.symmetry == 'free_z'
    began = time.perf_counter()
    R = case.R
    if isinstance(variant.preset, PaperPreset):
        with torch.no_grad():
            said = model.encoder(case.image)
        found = fit_paper(model, said, Observed.of(case.image, said), case.focal, variant.preset,
                          SEED).best.R
    elif variant.warm:
        with torch.no_grad():
            look = second_look(model, case.image, case.focal, case.before[None, :, 2], case.mask,
                               variant.preset.readings)
            turn = rotation_z(look.turn)
        R = turn @ case.R
        starts = make_starts(look.said, [Remembered(turn[0] @ case.before, look.said.mean[0])],
                             variant.preset.cold_starts, variant.preset.warm_starts, free)
        found = fit(model, starts, Observed.of(look.image, look.said), look.focal,
                    variant.preset, refiner=refiner).best.R
    else:
        answer, = fit_crops(model, case.image, case.focal, variant.preset, refiner)
        found = answer.R[None]
    seconds = time.perf_counter() - began
    return float(rotation_error_deg(found, R, free)[0]), seconds


Runs = dict[str, list[tuple[float, float]]]
"""Error (deg) and seconds of each variant, by its name, from the first crop on."""


def take_turns(model: CategoryModel, cases: Sequence[Case], variants: Sequence[Variant],
               refiner: Refiner | None, told: str, progress: Callable[[str], None],
               budget_s: float = math.inf) -> Runs:
    """All variants on every crop, crop by crop, as long as there is time; one crop there always is.

    told: what progress names. Our presets' first call, which allocates, is not counted; beside the
    paper's many seconds that is nothing.
    """
    runs: Runs = {v.name: [] for v in variants}
    for variant in variants:
        if isinstance(variant.preset, Preset):
            run_case(model, cases[0], variant, refiner)
    until = time.perf_counter() + budget_s
    for number, case in enumerate(cases):
        if number and time.perf_counter() > until:
            break
        for variant in variants:
            runs[variant.name].append(run_case(model, case, variant, refiner))
        progress(f'{told}: crop {number + 1} of {len(cases)}')
    return runs


def summarise(errors_deg: Sequence[float], seconds: Sequence[float]) -> dict[str, float]:
    """Figures of one variant over its crops (N > 0)."""
    errors = np.asarray(errors_deg)
    return {'crops': len(errors), 'rotation_median_deg': float(np.median(errors)),
            **{f'within_{limit}_deg': float((errors <= limit).mean()) for limit in (5, 10, 20)},
            'seconds_median': float(np.median(seconds))}


def table(variants: Sequence[Variant], runs: Runs) -> list[dict[str, Any]]:
    """Rows of the ablation.

    speed_up: how many times faster than each paper preset (their medians). paper_crops: the same
    figures on just those crops that the paper presets had time for. Variants for speed only are
    yardsticks of time and no rows.
    """
    papers = {v.name: runs[v.name] for v in variants
              if isinstance(v.preset, PaperPreset) and runs.get(v.name)}
    speed_only = {v.name for v in variants if v.speed_only}
    rows = []
    for variant in variants:
        done = runs.get(variant.name)
        if not done or variant.speed_only:
            continue
        row: dict[str, Any] = {'name': variant.name, 'knob': variant.knob, 'warm': variant.warm,
                               **summarise(*zip(*done, strict=True))}
        row['speed_up'] = {
            name: float(np.median([s for _, s in paper])) / row['seconds_median']
            for name, paper in papers.items()}
        row['paper_crops'] = {
            name: summarise(*zip(*done[:len(paper)], strict=True))
            for name, paper in papers.items() if name not in speed_only}
        rows.append(row)
    return rows


def measure(model: CategoryModel, data: TrainingViews, crops: int = 200, minutes: float = 10.0,
            variants: Sequence[Variant] | None = None,
            progress: Callable[[str], None] = print,
            refiner: Refiner | None = None) -> dict[str, Any]:
    """JSON-ready report; fewer crops where the time is short, and ``left_out`` says what."""
    model = model.eval().requires_grad_(False)
    free = model.card.symmetry == 'free_z'
    chosen = tuple(variants) if variants is not None else default_variants()
    cases = draw_cases(data, crops, free, model.encoder.config.resolution)
    left_out: list[str] = []
    budget = {part: 60.0 * minutes * share for part, share in SHARES.items()}

    ours = [v for v in chosen if isinstance(v.preset, Preset)]
    runs = {**{v.name: [] for v in chosen},
            **take_turns(model, cases, ours, refiner, 'variants', progress, budget['variants'])}
    counted = max((len(r) for r in runs.values()), default=0) or len(cases)
    if counted < len(cases):
        left_out.append(f'{len(cases) - counted} of {len(cases)} crops: no time')

    papers: list[Variant] = []
    for variant in (v for v in chosen if isinstance(v.preset, PaperPreset)):
        if variant.speed_only and any(v.name == 'paper' for v in papers):
            continue
        try:
            build_terms(variant.preset.losses, model.encoder)
            papers.append(variant)
        except PoseError as error:
            left_out.append(f'{variant.name}: {error}')
    for variant in papers:
        until = time.perf_counter() + budget['paper'] / len(papers)
        last = 0.0
        wanted = 1 if variant.speed_only else counted
        for number, case in enumerate(cases[:wanted]):
            if number and time.perf_counter() + last > until:
                left_out.append(f'{variant.name}: only {number} of {counted} crops: no time')
                break
            runs[variant.name].append(run_case(model, case, variant, refiner))
            last = runs[variant.name][-1][1]
            progress(f'{variant.name}: crop {number + 1}, {last:.1f} s')

    basins = basin(model, cases, {name: PRESETS[name] for name in ('cold', 'accurate')},
                   time.perf_counter() + budget['basin'], SEED, progress, refiner)
    pictures = landscapes(model, cases[:3])
    return {'category': model.card.category, 'device': describe_device('cpu'),
            'data_hash': data.fingerprint, 'seed': SEED, 'warm_start_deg': list(WARM_DEG),
            'minutes': minutes, 'crops': counted, 'left_out': left_out,
            'speed_only': {v.name: {'crops': len(runs[v.name]), 'seconds_median': float(
                np.median([seconds for _, seconds in runs[v.name]]))}
                for v in chosen if v.speed_only and runs[v.name]},
            'variants': table(chosen, runs), 'basin': basins, 'landscapes': pictures}


def pareto(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Names of the rows that no other of the same kind (warm or cold) beats in time and error."""
    def beaten(row: dict[str, Any]) -> bool:
        return any(
            other['warm'] == row['warm'] and other is not row
            and other['seconds_median'] <= row['seconds_median']
            and other['rotation_median_deg'] <= row['rotation_median_deg']
            and (other['seconds_median'], other['rotation_median_deg'])
            != (row['seconds_median'], row['rotation_median_deg']) for other in rows)

    return [row['name'] for row in rows
            if math.isfinite(row['rotation_median_deg']) and not beaten(row)]
