# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The refiner: a small network that compares a crop with what a hypothesis draws.

It tells how to move the pose so that both agree, and how far off the rotation is now. An encoder
that is unsure reads what is usual; a refiner that is unsure leaves the pose as it is, so it takes
away errors that all readings of a crop share. It looks at pictures and at the points that were
read, never at a code, so one network serves all categories that it was trained on; others go
without. Comparing an observed with
a rendered view to correct a pose is Li et al.'s idea (DeepIM, ECCV 2018, arXiv 1804.00175).

The crop is resampled to the hypothesis' own upright view, where the drawing needs no warp: turn
in the plane, place and size are then the same for every hypothesis, and only errors are left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn, Tensor
from torch.nn import functional

from .checkpoint import CategoryModel, read_weights, write_weights
from .deadline import late
from .encoder import Down
from .generator import channels_last, FRAME_MARGIN, pixel_line
from .losses import Observed
from .pose_steps import draw, in_plane
from .rotations import exp_so3, rotation_facing, rotation_z
from .starts import Hypotheses
from .types import PoseError

FORMAT = 'refiner-3'
FORMER = ('refiner-2',)
"""Formats of former versions that are read, too."""
EDGES_DEG = (5.0, 10.0, 20.0, 40.0, 90.0)
"""Between these lie the classes of rotation errors that the network tells apart."""
WORTH = (1.0, 0.8, 0.5, 0.2, 0.05, 0.0)
"""What a rotation error of each class is worth when hypotheses are compared."""
CHANNELS_IN = 12
TO_THE_RIGHT = 9
"""Which of them changes its sign in a mirror: how far right of its pixel a point lies."""


@dataclass(frozen=True)
class RefinerConfig:
    """Sizes of the refiner; the trunk has the encoder's layout, but for fewer blocks, so that it
    can begin with its weights.

    categories: what it was trained on. symmetries: of each of them, as its model's card says.
    """

    categories: tuple[str, ...] = ()
    symmetries: tuple[str, ...] = ()
    channels: tuple[int, int, int, int] = (32, 64, 112, 160)
    blocks: tuple[int, int, int, int] = (1, 1, 1, 1)
    hidden: int = 256
    resolution: int = 64


@dataclass(frozen=True)
class Comparison:
    """What the refiner says of H hypotheses, in their upright views.

    turn: (H, 3) rotation vector (rad) to turn the object by, in the view's camera. shift: (H, 2)
    to move it by, in half widths of the view. grow: (H,) change of the log scale. logits: (H, K)
    of the classes between ``EDGES_DEG``.
    """

    turn: Tensor
    shift: Tensor
    grow: Tensor
    logits: Tensor

    @property
    def worth(self) -> Tensor:
        """(H,) expected ``WORTH`` of the hypotheses as they were drawn, 0 to 1."""
        return functional.softmax(self.logits, 1) @ self.logits.new_tensor(WORTH)

    @property
    def farthest(self) -> Tensor:
        """(H,) the largest part of the move: the turn (rad), the way to either side, the growth."""
        turn = torch.linalg.vector_norm(self.turn, dim=1, keepdim=True)
        return torch.cat((turn, self.shift.abs(), self.grow.abs()[:, None]), 1).amax(1)


class Refiner(nn.Module):
    """Residual network over crop, mask, drawing and points; see ``pairs`` for its input."""

    def __init__(self, config: RefinerConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or RefinerConfig()
        self.mirrors = False
        """Whether it has learned from mirror images."""
        c0, c1, c2, c3 = config.channels
        b0, b1, b2, b3 = config.blocks
        self.down0 = Down(CHANNELS_IN, c0, b0)
        self.down1 = Down(c0, c1, b1)
        self.down2 = Down(c1, c2, b2)
        self.down3 = Down(c2, c3, b3)
        self.hidden = nn.Sequential(
            nn.Linear(c3 * (config.resolution // 16) ** 2, config.hidden), nn.LeakyReLU(0.1),
            nn.Linear(config.hidden, config.hidden), nn.LeakyReLU(0.1))
        self.head = nn.Linear(config.hidden, 6 + len(WORTH))
        # It begins by leaving poses as they are.
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        channels_last(self)

    def knows(self, model: CategoryModel) -> bool:
        """Whether it was trained on such objects, by name and symmetry, in drawings of its size."""
        kinds = zip(self.config.categories, self.config.symmetries, strict=True)
        return ((model.card.category, model.card.symmetry) in kinds
                and model.generator.config.resolution == self.config.resolution)

    def forward(self, pair: Tensor) -> Comparison:
        """Compare pairs (H, 12, S, S) of crop and drawing, as ``pairs`` makes them."""
        x = pair.contiguous(memory_format=torch.channels_last)
        x = self.down3(self.down2(self.down1(self.down0(x)))).flatten(1)
        out = self.head(self.hidden(x))
        return Comparison(turn=0.5 * out[:, :3], shift=0.25 * out[:, 3:5], grow=0.25 * out[:, 5],
                          logits=out[:, 6:])


Comparing = Callable[[Tensor], Comparison]
"""Who compares pairs (H, 12, S, S): a ``Refiner``, or one ``Mirrored``."""


class Mirrored:
    """A refiner that sees every pair twice, as it is and in a mirror, and says the mean of both.

    Its errors in both differ, as those of an encoder do (see ``readings``). What a mirror shows is
    the mirror image of the object beside that of its drawing, so no other drawing is needed.
    """

    def __init__(self, refiner: Comparing) -> None:
        self.refiner = refiner

    def __call__(self, pair: Tensor) -> Comparison:
        """Compare pairs (H, 12, S, S); costs as much as 2 H."""
        said = self.refiner(torch.cat((pair, mirror_image(pair))))

        def mean(told: Tensor, *sides: float) -> Tensor:
            own, other = told.chunk(2)
            return 0.5 * (own + (other * other.new_tensor(sides) if sides else other))

        # A mirror changes the sense of turns about the axes that lie in it.
        return Comparison(mean(said.turn, 1.0, -1.0, -1.0), mean(said.shift, -1.0, 1.0),
                          mean(said.grow), mean(said.logits))


def mirror_image(pair: Tensor) -> Tensor:
    """Pairs (H, 12, S, S) with left and right exchanged: those of mirrored objects."""
    image = pair.flip(3)
    image[:, TO_THE_RIGHT].neg_()
    return image


def upright_view(crops: Tensor, now: Hypotheses, size_px: int) -> Tensor:
    """Crops (H, C, S, S) as the hypotheses' upright views show them, (H, C, size_px, size_px).

    The inverse of ``generator.warp_to_crop``; zero where the view reaches beyond the crop.
    """
    angle, scale = in_plane(now.R), torch.exp(now.log_scale) * FRAME_MARGIN
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack((torch.stack((cos, -sin, now.t[:, 0]), 1),
                         torch.stack((sin, cos, now.t[:, 1]), 1)), 1)
    grid = functional.affine_grid(theta, [len(angle), 1, size_px, size_px], align_corners=False)
    return functional.grid_sample(crops, grid, mode='bilinear', padding_mode='zeros',
                                  align_corners=False)


def pairs(now: Hypotheses, seen: Observed, views: Tensor, focal: Tensor) -> Tensor:
    """The network's input (H, 12, S, S): crop and mask, the drawing's colour, alpha and depth, and
    where the points that the encoder read lie under the hypothesis.

    views: (H, 5, S, S) upright views as the hypotheses draw them (``UprightViews.stacked``). focal:
    (H,) of the crops, half widths. The last three channels are, in radii, how far right and below
    its pixel a point lies, and how far behind the origin: under the right pose the first two are 0.
    """
    size = views.shape[-1]
    crop = upright_view(torch.cat((seen.rgb * 2.0 - 1.0, seen.mask), 1), now, size)
    upright = rotation_z(-in_plane(now.R)) @ now.R
    points = torch.einsum('bij,bjhw->bihw', upright, upright_view(seen.points, now, size))
    told = (seen.points != 0.0).flatten(1).any(1).to(points.dtype).view(-1, 1, 1, 1)
    line = pixel_line(size, points) * FRAME_MARGIN
    perspective = (torch.exp(now.log_scale) / focal).clamp_max(0.5).view(-1, 1, 1, 1)
    wider = 1.0 + perspective * points[:, 2:]
    missed = torch.cat((points[:, :1] - line.view(1, 1, 1, -1) * wider,
                        points[:, 1:2] - line.view(1, 1, -1, 1) * wider, points[:, 2:]), 1)
    return torch.cat((crop, views[:, :3] * 2.0 - 1.0, views[:, 3:],
                      told * crop[:, 3:4] * missed), 1)


def facing(now: Hypotheses) -> Hypotheses:
    """Hypotheses of bodies that may spin freely, each described by what the camera sees of it.

    So are the points that an encoder reads of them (``Encoding.points``).
    """
    return replace(now, R=rotation_facing(now.R[:, :, 2]))


def moved_by(now: Hypotheses, said: Comparison, free_about_z: bool) -> Hypotheses:
    """Hypotheses after what the refiner says; a body that may spin freely is not spun."""
    to_crop = rotation_z(in_plane(now.R))
    turn = (to_crop @ said.turn[..., None])[..., 0]
    if free_about_z:
        axis = now.R[:, :, 2]
        turn = turn - (turn * axis).sum(1, keepdim=True) * axis
    scale = torch.exp(now.log_scale)[:, None] * FRAME_MARGIN
    shift = (to_crop[:, :2, :2] @ said.shift[..., None])[..., 0] * scale
    R = exp_so3(turn) @ now.R
    # Small turns of the axis add up to a spin; models draw round objects from one side.
    R = rotation_facing(R[:, :, 2]) if free_about_z else R
    return replace(now, R=R, t=now.t + shift, log_scale=now.log_scale + said.grow)


@dataclass(frozen=True)
class Moved:
    """Hypotheses that were moved, the rows that they began as, and how often they were moved."""

    now: Hypotheses
    rows: Tensor
    taken: int


@torch.no_grad()
def refine(model: CategoryModel, refiner: Comparing, starts: Hypotheses, seen: Observed,
           focal: Tensor, volume: tuple[Tensor, Tensor], times: int,
           deadline_s: float | None = None, hopeless: float = 0.0,
           settled_rad: float = 0.0) -> Moved:
    """Move hypotheses up to ``times`` times.

    seen, focal, volume: rows H, the volume's style with them. Each time costs a view and a pass
    of the refiner a hypothesis. After ``deadline_s`` (``time.perf_counter``) nothing is moved.
    hopeless: each time those are dropped that were worth less than so much of the best one of their
    crop, before they were moved; never a track's own pose. 0: none. settled_rad: who turned by
    less than this, and moved by less than as much of the view's half width and grew by less, has
    converged and is moved no more. 0: all are moved to the end.
    """
    free = model.card.symmetry == 'free_z'
    now = facing(starts) if free else starts
    rows = torch.arange(len(now.owner), device=focal.device)
    worth, moving = torch.zeros_like(focal), torch.ones_like(focal, dtype=torch.bool)
    for taken in range(times):
        here = torch.nonzero(moving)[:, 0]
        if late(deadline_s) or not len(here):
            return Moved(now, rows, taken)
        before, shown, near, drawn = now, seen, focal, volume
        if len(here) < len(now.owner):
            before, shown, near = now.pick(here), seen.pick(here), focal[here]
            drawn = volume[0][here], volume[1][here]
        said = _compared(model, refiner, before, shown, near, drawn)
        now = now.moved(here, moved_by(before, said, free))
        worth, moving = worth.index_copy(0, here, said.worth), moving.index_copy(
            0, here, said.farthest >= settled_rad)
        # What is no number is not dropped here: it ends in a failure that says so.
        dropped = worth < hopeless * best_of_each(worth, now.owner)
        kept = torch.nonzero(~dropped | now.previous)[:, 0]
        if len(kept) < len(now.owner):
            now, rows, seen, focal = now.pick(kept), rows[kept], seen.pick(kept), focal[kept]
            volume = volume[0][kept], volume[1][kept]
            worth, moving = worth[kept], moving[kept]
    return Moved(now, rows, times)


def best_of_each(worth: Tensor, owner: Tensor) -> Tensor:
    """(H,) the highest worth among the hypotheses of each one's crop."""
    highest = worth.new_zeros(int(owner.max()) + 1).scatter_reduce(0, owner, worth, 'amax')
    return highest[owner]


@torch.no_grad()
def worth_of(model: CategoryModel, refiner: Comparing, now: Hypotheses, seen: Observed,
             focal: Tensor, volume: tuple[Tensor, Tensor]) -> Tensor:
    """What the hypotheses that ``refine`` led to are worth, (H,); costs as much as one move.

    Bodies that may spin must be told as it tells them, by ``facing`` rotations.
    """
    return _compared(model, refiner, now, seen, focal, volume).worth


def _compared(model: CategoryModel, refiner: Comparing, now: Hypotheses, seen: Observed,
              focal: Tensor, volume: tuple[Tensor, Tensor]) -> Comparison:
    views = draw(model, now, focal, volume, alone=True)[:, 0]
    return refiner(pairs(now, seen, views, focal))


def save_refiner(refiner: Refiner, path: Path, training: dict[str, object]) -> None:
    """Write weights (see ``packing``) with a record of their training; atomic."""
    write_weights(path, refiner, {'format': FORMAT, 'training': json.dumps(training),
                                  'refiner': json.dumps(asdict(refiner.config))})


def load_refiner(path: Path) -> Refiner:
    """Read a refiner, in float32 and evaluation mode; PoseError in one sentence where it fails."""
    metadata, tensors = read_weights(path, (FORMAT, *FORMER), 'train-refiner')
    try:
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v
                                  for k, v in json.loads(metadata['refiner']).items()}
        config = RefinerConfig(**values)
        if len(config.symmetries) != len(config.categories) or isinstance(config.categories, str):
            raise ValueError('categories and symmetries differ')
        refiner = Refiner(config)
        refiner.load_state_dict(tensors)
        refiner.mirrors = bool(json.loads(metadata['training']).get('mirror', False))
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = ' '.join(str(error).split())[:200]
        raise PoseError(f'The weights in {path} do not fit their own description ({reason}): '
                        'fetch the file again.') from error
    return refiner.requires_grad_(False).eval()
