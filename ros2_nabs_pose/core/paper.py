# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The published fitting protocol (Chen et al., ECCV 2020, arXiv 2008.08145), as a yardstick.

32 starts with the azimuth swept, elevation 45 degrees and no in-plane rotation, codes drawn from
the encoder's posterior; 50 steps of Adam on code and pose, with a rate for each; VGG-19 features of
the masked object on white against the synthesis on white; among the five lowest losses the largest
cluster within 10 degrees wins, by its lowest member. No memory, no prior, no early stopping.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .checkpoint import CategoryModel
from .deadline import late
from .encoder import Encoding
from .fit import FitResult
from .losses import build_terms, Observed, Synthesised, Term
from .pose_steps import synthesise
from .presets import PaperPreset
from .rotations import geodesic_angle, rotation_z
from .starts import Hypotheses

START_ELEVATION = 0.25
"""Half turns: 45 degrees."""
START_SCALE = 0.7
"""Apparent radius in half crop widths of an object that its box and margin just hold."""


def rotation_from_angles(azimuth: Tensor, elevation: Tensor, in_plane: Tensor) -> Tensor:
    """R (H, 3, 3) of the paper's angles, each (H,) in half turns.

    At all zero the object's x axis points towards the camera and its z axis up in the image.
    """
    look = azimuth.new_tensor([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])
    tilt = elevation * math.pi
    c, s, o, i = torch.cos(tilt), torch.sin(tilt), torch.zeros_like(tilt), torch.ones_like(tilt)
    # Seen from higher up, the object's z axis leans towards the camera.
    lean = torch.stack((i, o, o, o, c, -s, o, s, c), 1).view(-1, 3, 3)
    return rotation_z(in_plane * math.pi) @ lean @ look @ rotation_z(azimuth * math.pi)


def on_white(seen: Observed) -> Observed:
    """The masked object on white, which is all that the protocol looks at."""
    mask = seen.mask * seen.valid
    return Observed(seen.rgb * mask + 1.0 - mask, mask, torch.ones_like(mask), seen.points)


def _white(made: Synthesised) -> Synthesised:
    return Synthesised(made.rgb + 1.0 - made.alpha, torch.ones_like(made.alpha), made.depth)


def choose(loss: Tensor, R: Tensor, among: int, within_rad: float) -> int:
    """Index of the paper's choice: the lowest loss of the largest cluster of the best starts."""
    best = loss.argsort()[:among]
    near = geodesic_angle(R[best][:, None], R[best][None]) <= within_rad
    # Ties go to the cluster whose centre has the lower loss; argmax takes the first.
    centre = int(near.sum(1).argmax())
    members = best[near[centre]]
    return int(members[loss[members].argmin()])


def fit_paper(model: CategoryModel, said: Encoding, crops: Observed, focal: Tensor,
              preset: PaperPreset, seed: int, deadline_s: float | None = None) -> FitResult:
    """Fit crops (O) one by one; arguments and result as for ``fit.fit``."""
    terms = build_terms(preset.losses, model.encoder, focal.device)
    generator = torch.Generator().manual_seed(seed)
    found = [_fit_one(model, said, o, on_white(crops.pick(torch.tensor([o] * preset.starts))),
                      focal[o], preset, terms, generator, deadline_s) for o in range(len(focal))]
    best = Hypotheses(*(torch.cat([getattr(h, name) for h, _, _, _ in found]) for name in (
        'owner', 'R', 't', 'log_scale', 'latent', 'previous', 'log_prior')))
    made = Synthesised(*(torch.cat([getattr(m, name) for _, m, _, _ in found])
                         for name in ('rgb', 'alpha', 'depth')))
    return FitResult(best=best, loss=torch.cat([loss for _, _, loss, _ in found]), synthesis=made,
                     iterations=max(steps for _, _, _, steps in found),
                     worth=torch.full_like(focal, math.nan))


def _fit_one(model: CategoryModel, said: Encoding, o: int, seen: Observed, focal: Tensor,
             preset: PaperPreset, terms: list[tuple[float, Term]], generator: torch.Generator,
             deadline_s: float | None) -> tuple[Hypotheses, Synthesised, Tensor, int]:
    count, like = preset.starts, said.mean
    noise = torch.randn(count, like.shape[1], generator=generator).to(like)
    latent = said.mean[o] + torch.exp(0.5 * said.logvar[o]) * noise
    azimuth = (2.0 * torch.arange(count) / count - 1.0).to(like)
    parameters = {'latent': latent, 'azimuth': azimuth,
                  'elevation': torch.full_like(azimuth, START_ELEVATION),
                  'in_plane': torch.zeros_like(azimuth),
                  't': torch.zeros_like(azimuth)[:, None].expand(-1, 2).clone(),
                  'scale': torch.full_like(azimuth, START_SCALE)}
    for value in parameters.values():
        value.requires_grad_()
    optimizer = torch.optim.Adam([{'params': [value], 'lr': preset.rates[name]}
                                  for name, value in parameters.items()])
    focals = focal.expand(count)

    def draw() -> tuple[Synthesised, Tensor, Tensor]:
        p = parameters
        R = rotation_from_angles(p['azimuth'], p['elevation'], p['in_plane'])
        volume = model.generator.volume(p['latent'])
        made = synthesise(model, *volume, R, p['t'], torch.log(p['scale'].clamp_min(0.05)), focals,
                          seen.rgb.shape[-1])
        loss = torch.stack([weight * term(_white(made), seen) for weight, term in terms]).sum(0)
        return made, loss + preset.latent_prior * p['latent'].square().mean(1), R

    steps = 0
    for _ in range(preset.iterations):
        if late(deadline_s):
            break
        optimizer.zero_grad()
        draw()[1].sum().backward()
        optimizer.step()
        steps += 1
    with torch.no_grad():
        made, loss, R = draw()
        loss = torch.nan_to_num(loss, nan=math.inf)
        chosen = choose(loss, R, preset.among, math.radians(preset.within_deg))
        row = slice(chosen, chosen + 1)
        state = Hypotheses(
            torch.tensor([o], device=R.device), R[row], parameters['t'][row].detach(),
            torch.log(parameters['scale'][row].detach().clamp_min(0.05)),
            parameters['latent'][row].detach(), torch.zeros(1, dtype=torch.bool, device=R.device),
            torch.zeros(1, device=R.device))
        return state, made.pick(torch.tensor([chosen])), loss[row], steps
