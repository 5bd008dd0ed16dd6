# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The shape of the fit's problem: from how far it converges, and what its losses look like."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
import math
import time
from typing import Any, TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from ..core.checkpoint import CategoryModel
from ..core.fit import fit
from ..core.losses import build_terms, Observed, Synthesised
from ..core.pose_steps import synthesise
from ..core.presets import PaperPreset, Preset
from ..core.refiner import Refiner
from ..core.rotations import angle_apart, exp_so3, rotation_z
from ..core.starts import Hypotheses

if TYPE_CHECKING:
    from .ablation import Case

ANGLES_DEG = tuple(range(0, 181, 15))
"""The first of them is the start at the truth."""
CONVERGED_DEG = 10.0
TERMS = ('photometric', 'silhouette', 'features')


def _own_crop(model: CategoryModel, made: Synthesised, focal: Tensor) -> Observed:
    """A crop that the model drew itself, on grey; its outline is known, its points are read."""
    rgb = made.rgb + 0.5 * (1.0 - made.alpha)
    return Observed.of(rgb, model.encoder(rgb, focal), made.alpha)


def turned_starts(R: Tensor, t: Tensor, log_scale: Tensor, latent: Tensor,
                  angles_deg: Sequence[float], free_about_z: bool,
                  generator: torch.Generator) -> Hypotheses:
    """One start an angle (A), each for a crop of its own, turned about a random axis.

    R (1, 3, 3), t (1, 2), log_scale (1,), latent (1, D). free_about_z: only turns that can be
    seen, across the object's axis.
    """
    count = len(angles_deg)
    axis = torch.randn(count, 3, generator=generator).to(R)
    if free_about_z:
        along = R[:, :, 2]
        axis = axis - (axis * along).sum(1, keepdim=True) * along
    angle = torch.deg2rad(torch.tensor(angles_deg, dtype=R.dtype))[:, None]
    turn = exp_so3(angle * functional.normalize(axis, dim=1))
    return Hypotheses(torch.arange(count), turn @ R, t.expand(count, -1), log_scale.expand(count),
                      latent.expand(count, -1), torch.zeros(count, dtype=torch.bool),
                      torch.zeros(count))


def basin(model: CategoryModel, cases: Sequence[Case], presets: Mapping[str, Preset | PaperPreset],
          until_s: float, seed: int, progress: Callable[[str], None],
          refiner: Refiner | None = None) -> dict[str, Any]:
    """Share of single starts that end within 10 degrees, by how far they began.

    'own': the model draws the crop itself, code known; what remains is the optimiser. 'held-out':
    the crop as it is, place, size and code as the encoder reads them. 'share': of the truth.
    'share_of_basin': of where the start at the truth ends, which is elsewhere where the picture
    does not tell the turn. Nothing pulls towards the start. Ends at ``until_s``
    (``time.perf_counter``), one crop at least.
    """
    free = model.card.symmetry == 'free_z'
    generator = torch.Generator().manual_seed(seed)
    curves: dict[str, list[Tensor]] = {}
    basins: dict[str, list[Tensor]] = {}
    done = 0
    for case in cases:
        if done and time.perf_counter() > until_s:
            break
        with torch.no_grad():
            said = model.encoder(case.image, case.focal)
            made = synthesise(model, *model.generator.volume(said.mean), case.R, case.t,
                              case.log_scale, case.focal, case.image.shape[-1])
            crops = {'own': (_own_crop(model, made, case.focal), case.t, case.log_scale),
                     'held-out': (Observed.of(case.image, said), said.t, said.log_scale)}
        index = torch.zeros(len(ANGLES_DEG), dtype=torch.long)
        for kind, (seen, t, log_scale) in crops.items():
            starts = turned_starts(case.R, t, log_scale, said.mean, ANGLES_DEG, free, generator)
            for name, preset in presets.items():
                if isinstance(preset, PaperPreset):
                    continue
                result = fit(model, starts, seen.pick(index), case.focal[index],
                             replace(preset, pull=0.0), refiner=refiner)
                ended = result.best.R
                for found, R in ((curves, case.R), (basins, ended[:1])):
                    found.setdefault(f'{kind}, {name}', []).append(
                        angle_apart(ended, R, free) <= math.radians(CONVERGED_DEG))
        done += 1
        progress(f'basin: crop {done}')
    return {'crops': done, 'start_deg': list(ANGLES_DEG), 'converged_deg': CONVERGED_DEG,
            'share': _shares(curves), 'share_of_basin': _shares(basins)}


def _shares(found: Mapping[str, Sequence[Tensor]]) -> dict[str, list[float]]:
    return {name: torch.stack(list(rows)).float().mean(0).tolist()
            for name, rows in found.items()}


def _spread(half: float, count: int) -> Tensor:
    return torch.linspace(-half, half, count)


@torch.no_grad()
def landscapes(model: CategoryModel, cases: Sequence[Case], count: int = 15) -> dict[str, Any]:
    """Each loss term around the truth of each case, code as the encoder reads it.

    'turn': about the object's axis (columns) and about the image's x (rows), degrees; 'shift':
    tx (columns) and ty (rows), half crop widths. Values [row][column], crop as it is.
    """
    azimuth, elevation = _spread(90.0, count), _spread(45.0, count)
    shift = _spread(0.3, count)
    rows, columns = (x.flatten() for x in torch.meshgrid(
        torch.arange(count), torch.arange(count), indexing='ij'))
    terms = build_terms(dict.fromkeys(TERMS, 1.0), model.encoder)
    found = []
    for case in cases:
        said = model.encoder(case.image, case.focal)
        crop = Observed.of(case.image, said)
        volume = model.generator.volume(said.mean)
        tilt = functional.pad(torch.deg2rad(elevation[rows])[:, None], (0, 2))
        R = exp_so3(tilt) @ case.R @ rotation_z(torch.deg2rad(azimuth[columns]))
        t = case.t + torch.stack((shift[columns], shift[rows]), 1)
        still = case.R.expand(len(t), -1, -1), case.t.expand(len(t), -1)
        planes: dict[str, dict[str, list[list[float]]]] = {}
        for plane, (turn, place) in {'turn': (R, still[1]), 'shift': (still[0], t)}.items():
            # A row at a time, so that the batch stays small.
            parts: list[list[list[float]]] = [[] for _ in terms]
            for k in range(0, len(t), count):
                one = torch.zeros(count, dtype=torch.long)
                seen = crop.pick(one)
                made = synthesise(model, *volume, turn[k:k + count], place[k:k + count],
                                  case.log_scale[one], case.focal[one], case.image.shape[-1])
                for part, (_, term) in zip(parts, terms, strict=True):
                    part.append([round(float(x), 4) for x in term(made, seen)])
            planes[plane] = dict(zip(TERMS, parts, strict=True))
        found.append(planes)
    return {'azimuth_deg': azimuth.tolist(), 'elevation_deg': elevation.tolist(),
            'shift': [round(x, 4) for x in shift.tolist()], 'crops': found}
