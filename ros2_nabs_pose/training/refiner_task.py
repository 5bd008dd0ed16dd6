# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What the refiner learns from: hypotheses beside the truth, and what it should say of them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
import math
from operator import attrgetter

import torch
from torch import Tensor
from torch.nn import functional

from .codes import code_of_all
from .compose import Crops
from ..core.encoder import Encoding
from ..core.generator import pixel_line
from ..core.memory import CodePrior
from ..core.pose_steps import in_plane
from ..core.refiner import Comparison, EDGES_DEG, moved_by
from ..core.rotations import exp_so3, geodesic_angle, rotation_facing, rotation_z
from ..core.starts import first_rotations, Hypotheses

HYPOTHESES = 3
BESIDE = 2
"""Which of them lies beside the truth; the others were read."""
STARTS = 4
NEAR_RAD = math.radians(70.0)
"""Farther off, there is more than one way back, and the correction counts little."""
OTHER_CODE, OTHER_MASK = 0.3, 0.2
"""Shares of the crops whose code, or mask, is made worse than it was read (``misread``)."""
TRACKED = 0.4
"""Share of the crops that are compared with what a track would remember of their object."""


@dataclass(frozen=True)
class Task:
    """What the refiner is shown and should say, a row a hypothesis (H).

    pair: (H, 12, S, S). now: the hypotheses; their owners are rows of no use here. R: (H, 3, 3),
    t: (H, 2), log_scale: (H,) of the truth. turn_seen: (H,) whether the turn about the object's
    axis can be told; where it cannot, the axis alone counts.
    """

    pair: Tensor
    now: Hypotheses
    R: Tensor
    t: Tensor
    log_scale: Tensor
    turn_seen: Tensor

    @classmethod
    def joined(cls, tasks: list[Task]) -> Task:
        """All of several categories; codes, which may differ in length, are left out."""
        def of_all(*names: str) -> list[Tensor]:
            return [torch.cat([attrgetter(name)(x) for x in tasks]) for name in names]

        owner, R, t, log_scale, warm, loss = of_all(
            *(f'now.{f.name}' for f in fields(Hypotheses) if f.name != 'latent'))
        now = Hypotheses(owner, R, t, log_scale, tasks[0].now.latent, warm, loss)
        pair, *rest = of_all('pair', 'R', 't', 'log_scale', 'turn_seen')
        return cls(pair, now, *rest)


def rotation_errors(R: Tensor, truth: Tensor, turn_seen: Tensor) -> Tensor:
    """(H,) rad between rotations, or between their axes where no turn can be told."""
    axis = torch.arccos((R[:, :, 2] * truth[:, :, 2]).sum(1).clamp(-1.0, 1.0))
    return torch.where(turn_seen, geodesic_angle(R, truth), axis)


def _some_turns(count: int, device: torch.device) -> Tensor:
    """Rotation vectors (count, 3): a third small, two fifths middling, the rest up to 60 deg."""
    kind = torch.rand(count, 1, device=device)
    normal = torch.randn(count, 1, device=device)
    angle = torch.where(kind < 0.35, math.radians(6.0) * normal,
                        torch.where(kind < 0.75, math.radians(18.0) * normal,
                                    math.radians(60.0) * torch.rand(count, 1, device=device)))
    return angle * functional.normalize(torch.randn(count, 3, device=device), dim=1)


def as_tracked(said: Encoding, group: int, usual: CodePrior | None) -> Encoding:
    """What was read of B crops, ``group`` of an instance in a row, some with a track's code.

    That is what all views of the object tell together (``memory.CodeMemory``). A crop's own code
    errs with its own pose: a mug seen from above is read as flatter, and drawn so. Beside one that
    comes from other views, too, the refiner learns to see which of the two is wrong. usual: what is
    usual for the category's codes, where it is known.
    """
    evidence = 1.0 + (group - 1.0) * torch.rand(len(said.mean), 1, device=said.mean.device)
    of_all = code_of_all(said, group, usual, evidence)
    some = torch.rand(len(of_all), 1, device=of_all.device) < TRACKED
    return replace(said, mean=torch.where(some, of_all, said.mean))


def misread(said: Encoding, group: int) -> Encoding:
    """What was read of B crops, ``group`` of an instance in a row, as objects unlike them are read.

    Encoders know what they have learned from better than what users will show them, so here some
    crops get a code on the way to another instance's, and some a mask that spills over or has a
    hole. The refiner is to take neither for the truth.
    """
    # In half precision a mean of readings may be sure without limit.
    mean, logits = said.mean, said.mask_logits.clamp(-12.0, 12.0)
    count, size = len(mean), logits.shape[-1]
    share = 0.2 + 0.6 * torch.rand(count, 1, device=mean.device)
    share = share * (torch.rand(count, 1, device=mean.device) < OTHER_CODE)
    line = pixel_line(size, mean)
    at = torch.rand(count, 2, 1, 1, device=mean.device) * 1.6 - 0.8
    radius = 0.1 + 0.35 * torch.rand(count, 1, 1, device=mean.device)
    away = torch.hypot(line - at[:, 0], line.view(-1, 1) - at[:, 1])
    spot = torch.sigmoid((radius - away) * 0.5 * size)[:, None]
    sign = torch.randint(2, (count, 1, 1, 1), device=mean.device) * 2.0 - 1.0
    spot = spot * (torch.rand(count, 1, 1, 1, device=mean.device) < OTHER_MASK)
    return replace(said, mean=torch.lerp(mean, mean.roll(group, 0), share),
                   mask_logits=logits + spot * (8.0 * sign - logits))


def hypotheses_of(said: Encoding, crops: Crops, free_about_z: bool) -> Hypotheses:
    """Three hypotheses of each crop (B), in a row: read, read otherwise, beside the truth."""
    count, device = len(crops.t), crops.t.device
    read, _ = first_rotations(said, STARTS, free_about_z)
    other = torch.randint(STARTS, (count,), device=device)
    rows = torch.arange(count, device=device)
    R = torch.stack((read[:, 0], read[rows, other],
                     exp_so3(_some_turns(count, device)) @ crops.R), 1)
    # Half of what was read is turned a little more, so that the same crop is not the same task.
    some = (torch.rand(count, HYPOTHESES, 1, device=device) < 0.5).to(R.dtype)
    some[:, BESIDE] = 0.0
    about = functional.normalize(torch.randn(count, HYPOTHESES, 3, device=device), dim=2)
    angle = math.radians(6.0) * torch.randn(count, HYPOTHESES, 1, device=device)
    R = exp_so3(some * angle * about) @ R
    if free_about_z:  # as a fit's hypotheses are told, and the points that the encoder reads
        R = rotation_facing(R[..., 2])
    t, log_scale = (x.unsqueeze(1).repeat_interleave(HYPOTHESES, 1)
                    for x in (said.t, said.log_scale))
    exact = torch.rand(count, device=device) < 0.5
    t[exact, BESIDE], log_scale[exact, BESIDE] = crops.t[exact], crops.log_scale[exact]
    t = t + 0.02 * torch.randn_like(t)
    log_scale = log_scale + 0.03 * torch.randn_like(log_scale)
    total = count * HYPOTHESES
    return Hypotheses(rows.repeat_interleave(HYPOTHESES), R.flatten(0, 1), t.flatten(0, 1),
                      log_scale.flatten(), said.mean.repeat_interleave(HYPOTHESES, 0),
                      torch.zeros(total, dtype=torch.bool, device=device),
                      torch.zeros(total, device=device))


def losses(said: Comparison, task: Task) -> dict[str, Tensor]:
    """Terms: the rotation after the move, place and size after it, and the error before it."""
    before = rotation_errors(task.now.R, task.R, task.turn_seen)
    after = moved_by(task.now, said, free_about_z=False)
    axis, front = (torch.linalg.vector_norm(after.R[:, :, k] - task.R[:, :, k] + 1e-6, dim=1)
                   for k in (2, 0))
    counts = torch.where(before < NEAR_RAD, 1.0, 0.15)
    rotation = counts * (1.5 * axis + front * task.turn_seen)
    # A turn that nobody can tell is not to be told.
    own_axis = (rotation_z(-in_plane(task.now.R)) @ task.now.R)[:, :, 2]
    spin = 0.3 * (said.turn * own_axis).sum(1).abs() * ~task.turn_seen
    place = (after.t - task.t).abs().sum(1) + (after.log_scale - task.log_scale).abs()
    wanted = torch.bucketize(torch.rad2deg(before), before.new_tensor(EDGES_DEG))
    return {'rotation': 3.0 * (rotation + spin).mean(), 'place': 2.0 * place.mean(),
            'class': 0.5 * functional.cross_entropy(said.logits, wanted)}
