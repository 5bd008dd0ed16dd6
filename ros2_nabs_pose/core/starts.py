# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Start hypotheses of a fit: the encoder's proposals, and what the previous frame believed."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
import math

import torch
from torch import Tensor

from .encoder import AGREE_RAD, Encoding
from .rotations import (
    angle_apart,
    exp_so3,
    log_so3,
    rotation_facing,
    rotation_from_axis_azimuth,
)


@dataclass(frozen=True)
class Hypotheses:
    """Poses and codes in the crop, one row a hypothesis (H), see ``lift`` for the state.

    owner: (H,) index of the crop. R: (H, 3, 3). t: (H, 2). log_scale: (H,). latent: (H, D).
    previous: (H,) True for the start that came from the previous frame. log_prior: (H,) log of the
    weight that the encoder gives to the start's rotation.
    """

    owner: Tensor
    R: Tensor
    t: Tensor
    log_scale: Tensor
    latent: Tensor
    previous: Tensor
    log_prior: Tensor

    def pick(self, index: Tensor) -> Hypotheses:
        """Rows ``index`` (H',)."""
        return Hypotheses(self.owner[index], self.R[index], self.t[index], self.log_scale[index],
                          self.latent[index], self.previous[index], self.log_prior[index])

    def joined(self, other: Hypotheses) -> Hypotheses:
        """Rows of both, the other's last."""
        return Hypotheses(*(torch.cat((getattr(self, f.name), getattr(other, f.name)))
                            for f in fields(self)))

    def moved(self, rows: Tensor, to: Hypotheses) -> Hypotheses:
        """The same with the poses of ``rows`` (H',) where those of ``to`` (H') are."""
        return replace(self, **{name: getattr(self, name).index_copy(0, rows, getattr(to, name))
                                for name in ('R', 't', 'log_scale')})

    def where(self, first: Tensor, other: Hypotheses) -> Hypotheses:
        """Own rows where ``first`` (H,) holds, the other's elsewhere."""
        def choose(a: Tensor, b: Tensor) -> Tensor:
            return torch.where(first.view(-1, *(1,) * (a.dim() - 1)), a, b)

        return Hypotheses(*(choose(getattr(self, f.name), getattr(other, f.name))
                            for f in fields(self)))


TILTS_RAD = (0.0, 0.25, -0.25, 0.5, -0.5, 0.75)
"""Starts of a round object, which has no azimuth to doubt: its tilt towards the camera is."""
TILT_SPREAD_RAD = 0.2
SWEEP_RAD = (0.1, 0.5, 0.9, 1.3)
"""Heights over the object of the views of a coarse sweep."""
LEAST_ODDS = 0.03
"""Further proposals less likely than this do not challenge a track; the first one always may."""
READ_SHARE = 0.7
"""How far a track's start moves towards a proposal that agrees with it."""


@dataclass(frozen=True)
class Remembered:
    """What a track hands to the next fit: rotation (3, 3) in the crop and code (D,)."""

    R: Tensor
    latent: Tensor


def first_rotations(said: Encoding, count: int, free_about_z: bool) -> tuple[Tensor, Tensor]:
    """Rotations (B, count, 3, 3) that a crop without a memory is tried with, and log weights.

    As ``Encoding.proposals``; where the turn about the axis is free they differ in tilt.
    """
    if free_about_z:
        return _tilted(said.axis, count)
    rotations, weights = said.proposals(count)
    return rotations, torch.log(weights + 1e-3)


def _tilted(axis: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Rotations (B, K, 3, 3) of round objects around the axis that was read, and log priors."""
    upright = rotation_facing(axis)
    tilts = upright.new_tensor((TILTS_RAD * (count // len(TILTS_RAD) + 1))[:count])
    turns = exp_so3(tilts[:, None] * upright[:, None, :, 0])
    rotations = rotation_facing((turns @ axis[:, None, :, None])[..., 0])
    log_prior = -0.5 * (tilts / TILT_SPREAD_RAD).square()
    return rotations, log_prior.expand(len(axis), -1)


def swept_starts(said: Encoding, rows: Tensor, azimuths: int, free_about_z: bool) -> Hypotheses:
    """A coarse sweep over upright views of crops ``rows`` (O',), whatever their axis was read as.

    ``SWEEP_RAD`` heights times ``azimuths`` (one where the body may spin), all equally likely;
    place, size and code are the encoder's.
    """
    count = 1 if free_about_z else azimuths
    height = said.t.new_tensor(SWEEP_RAD)
    axis = torch.stack((torch.zeros_like(height), -torch.cos(height), -torch.sin(height)), 1)
    turn = 2.0 * math.pi / count * torch.arange(count, device=height.device)
    R = rotation_from_axis_azimuth(axis[:, None], turn.to(height)).flatten(0, 1)
    owner = rows.repeat_interleave(len(R))
    return Hypotheses(owner, R.repeat(len(rows), 1, 1), said.t[owner], said.log_scale[owner],
                      said.mean[owner], torch.zeros_like(owner, dtype=torch.bool),
                      torch.zeros_like(said.log_scale[owner]))


def turned_around(now: Hypotheses, angle_deg: float,
                  free_about_z: bool) -> tuple[Hypotheses, Tensor]:
    """Six copies of each hypothesis, turned by ``angle_deg``, and the rows that they are of.

    The turns are about the object's axes, to and fro; four about the first two where it may spin.
    None of them is a track's own pose.
    """
    axes = math.radians(angle_deg) * torch.eye(3, dtype=now.R.dtype, device=now.R.device)
    axes = axes[:2] if free_about_z else axes
    turns = exp_so3(torch.cat((axes, -axes)))
    rows = torch.arange(len(now.R), device=now.R.device).repeat_interleave(len(turns))
    many = now.pick(rows)
    R = (now.R[:, None] @ turns).flatten(0, 1)
    R = rotation_facing(R[:, :, 2]) if free_about_z else R
    return replace(many, R=R, previous=torch.zeros_like(many.previous)), rows


def _towards(before: Tensor, rotations: Tensor, agree: Tensor, free_about_z: bool) -> Tensor:
    """Rotations (B, 3, 3) moved ``READ_SHARE`` of the way to the first proposal that agrees.

    rotations: (B, K, 3, 3), agree: (B, K). Without this nothing new would oppose a track's drift.
    """
    first = agree.to(torch.int).argmax(1)
    read = rotations[torch.arange(len(before), device=before.device), first]
    moved = exp_so3(READ_SHARE * log_so3(read @ before.transpose(1, 2))) @ before
    return rotation_facing(moved[:, :, 2]) if free_about_z else moved


def make_starts(said: Encoding, remembered: list[Remembered | None],
                cold_count: int, warm_count: int, free_about_z: bool = False) -> Hypotheses:
    """Hypotheses of all crops, grouped by owner.

    A crop without a memory gets ``cold_count`` proposals. One with a memory gets that and
    ``warm_count`` proposals, so that a lost track can find back. Place and scale always come from
    the new crop: the detector's box moved with the object. Beside a memory, proposals that say what
    it says are left out, for they would only double the work, and so are all but the first that
    are less likely than ``LEAST_ODDS``. free_about_z: the object may spin freely about its axis;
    starts then differ in tilt, which has no odds, and x always lies to the upright right.
    """
    most = max(cold_count, warm_count, 1)
    rotations, log_weights = first_rotations(said, most, free_about_z)
    if free_about_z:
        before = torch.stack([said.axis[i] if m is None else m.R[:, 2]
                              for i, m in enumerate(remembered)])
        before = rotation_facing(before)
        kept = said.t.new_zeros(len(remembered))
    else:
        before = torch.stack([rotations[i, 0] if m is None else m.R
                              for i, m in enumerate(remembered)])
        kept = torch.log(said.weight_at(before) + 1e-3)
    agree = angle_apart(rotations, before[:, None], free_about_z) < AGREE_RAD
    tracked = torch.tensor([m is not None for m in remembered], device=agree.device)
    before = torch.where((agree.any(1) & tracked)[:, None, None],
                         _towards(before, rotations, agree, free_about_z), before)
    idle = torch.zeros_like(agree)
    if not free_about_z:
        idle[:, 1:] = log_weights[:, 1:] < math.log(LEAST_ODDS)
    left_out = (agree | idle).tolist()
    owner, R, latent, previous, log_prior = [], [], [], [], []
    for i, memory in enumerate(remembered):
        if memory is not None:
            owner.append(i)
            R.append(before[i])
            latent.append(memory.latent)
            previous.append(True)
            log_prior.append(kept[i])
        for k in range(warm_count if memory is not None else cold_count):
            if memory is not None and left_out[i][k]:
                continue
            owner.append(i)
            R.append(rotations[i, k])
            latent.append(said.mean[i])
            previous.append(False)
            log_prior.append(log_weights[i, k])
    index = torch.tensor(owner, device=said.mean.device)
    return Hypotheses(index, torch.stack(R), said.t[index], said.log_scale[index],
                      torch.stack(latent), torch.tensor(previous, device=said.mean.device),
                      torch.stack(log_prior))
