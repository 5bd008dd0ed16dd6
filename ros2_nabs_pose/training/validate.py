# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Figures and a picture of a model on instances that training does not see."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .codes import code_of_all
from .compose import compose, Crops, facing_first, FRONT_SEEN, Views
from .engine import own_random_numbers
from .instances import TrainingViews
from .painting import repainted
from .second_look import read_as_fitted
from .sheets import depth_shade, on_white, write_sheet
from ..core.checkpoint import CategoryModel
from ..core.encoder import Encoding
from ..core.losses import gain_and_bias
from ..core.presets import staged
from ..core.readings import read
from ..core.rotations import angle_apart
from ..core.starts import first_rotations

INSTANCES, VIEWS, BATCHES = 8, 4, 12
CROPS = INSTANCES * VIEWS * BATCHES
"""Crops that one round of validation looks at; those with a hidden front do not all count."""
CUT_BATCHES = PAINTED_BATCHES = STRETCHED_BATCHES = 4
"""Batches of crops in a round whose objects are cut off by the picture's edge, of others whose
objects wear prints that nobody rendered (``painting``), and of others still whose objects have
proportions that nobody rendered (``stretching``)."""
MOST_HIDDEN = 0.3
"""Share of an object that something in front may hide, in the crops that figures are made of;
training goes a little beyond it (``surroundings.MOST_HIDDEN``)."""
SEED = 20
STANDING_RAD = math.radians(30.0)


@dataclass(frozen=True)
class Example:
    """Crops that training did not see, and what is made of them.

    first: the first look. whole: all readings of the crops as they came. proposals: (B, 4, 3, 3)
    what a fit begins with, best first. drawn: (B, 5, S, S) every view drawn from its own crop's
    code, as a fit takes it, at its true rotation. together: the same from the code that all
    crops of its instance tell.
    """

    views: Views
    crops: Crops
    first: Encoding
    whole: Encoding
    proposals: Tensor
    drawn: Tensor
    together: Tensor


def draw(model: CategoryModel, code: Tensor, views: Views) -> Tensor:
    """Every view drawn from a code (B, D) at its true rotation, stacked (B, 5, S, S)."""
    R_view = views.R_view
    if model.card.symmetry == 'free_z':
        R_view = facing_first(R_view, 1)
    return model.generator(code, R_view, views.perspective).stacked()


def _crops(data: TrainingViews, batches: int, seed: int, cut_off: float = 0.0,
           painted: bool = False, stretched: bool = False) -> list[tuple[Tensor, Views, Crops]]:
    """Batches of B crops: of each its instance (B,), the views that they show, the crops.

    The same every time for a seed: the global random state is kept as it was.
    """
    with own_random_numbers(seed, data.rgba.device):
        found = []
        for _ in range(batches):
            index, views = data.batch(INSTANCES, VIEWS)
            if stretched:
                views, _ = data.some_stretched(index, views, share=1.0)
            if painted:
                every = torch.ones_like(views.perspective, dtype=torch.bool)
                views, _ = repainted(views, data.backgrounds, every)
            found.append((index.repeat_interleave(VIEWS), views,
                          compose(views, data.backgrounds, cut_off=cut_off,
                                  most_hidden=MOST_HIDDEN)))
        return found


@torch.no_grad()
def _examples(model: CategoryModel, data: TrainingViews, batches: int,
              seed: int = SEED) -> list[Example]:
    found = []
    for _, views, crops in _crops(data, batches, seed):
        first = model.encoder(crops.image, crops.focal)
        whole = read(model, crops.image, staged('cold').readings, crops.focal)
        fitted, proposals = read_as_fitted(model, crops, first, 4)
        all_tell = code_of_all(fitted, VIEWS, model.card.codes, VIEWS)
        found.append(Example(views, crops, first, whole, proposals,
                             draw(model, fitted.mean, views), draw(model, all_tell, views)))
    return found


def _overlap(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union (B,) of outlines (B, 1, S, S), boolean."""
    return (a & b).sum((1, 2, 3)) / (a | b).sum((1, 2, 3)).clamp_min(1)


def drawing_errors(drawn: Tensor, views: Views) -> dict[str, Tensor]:
    """How far drawings (B, 5, S, S) are from clean views, (B,) each; colours are times alpha.

    alpha_iou: of the outlines. The others are of the pixels that both cover, NaN where there are
    none. psnr_db: of the colours. psnr_lit_db: the same after the gain and bias a channel that the
    fit allows too, since a crop does not tell its exposure. depth_error: relative to the diameter.
    """
    a, b = drawn[:, 3:4] > 0.5, views.stacked[:, 3:4] > 0.5
    both = (a & b).to(drawn.dtype)
    pixels = both.sum((1, 2, 3))
    gain, bias = gain_and_bias(drawn[:, :3], views.stacked[:, :3], both)

    def psnr_db(colour: Tensor) -> Tensor:
        apart = ((colour - views.stacked[:, :3]).square() * both).sum((1, 2, 3)) / (3 * pixels)
        return -10.0 * torch.log10(apart.clamp_min(1e-8))

    depth = ((drawn[:, 4:] - views.stacked[:, 4:]).abs() * both).sum((1, 2, 3))
    return {'alpha_iou': _overlap(a, b), 'psnr_db': psnr_db(drawn[:, :3]),
            'psnr_lit_db': psnr_db(gain * drawn[:, :3] + bias), 'depth_error': depth / pixels / 2.0}


def median(values: list[Tensor]) -> float:
    """Of all values but those that are no numbers; NaN where there is none."""
    joined = torch.cat(values)
    return float(joined.nanmedian()) if len(joined) else math.nan


def _share(values: list[Tensor], limit: float) -> float:
    joined = torch.cat(values)
    return float((joined <= limit).float().mean()) if len(joined) else math.nan


def _where(values: list[Tensor], holds: list[Tensor]) -> list[Tensor]:
    return [v[h] for v, h in zip(values, holds, strict=True)]


def _errors(proposals: Tensor, crops: Crops, free_about_z: bool) -> tuple[Tensor, Tensor]:
    """Of proposals (B, K, 3, 3), degrees: (N, K) where the front is seen; (B,) the first axes."""
    R, seen = crops.R[:, None], crops.front_visible > FRONT_SEEN
    return (torch.rad2deg(angle_apart(proposals, R, free_about_z))[seen],
            torch.rad2deg(angle_apart(proposals[:, :1], R, True))[:, 0])


@torch.no_grad()
def validate(model: CategoryModel, data: TrainingViews, free_about_z: bool,
             rounds: int = 1) -> dict[str, float]:
    """Encoder's proposals, masks and the synthesis at the true pose, on fresh cluttered crops.

    rounds: of ``CROPS`` crops each, all others; what is to be published needs several, for a share
    of one round's crops moves by two of a hundred by chance.

    Rotation counts where the front part is seen (or always the axis, where the object spins
    freely), degrees, of the four rotations that a fit begins with after its second look at what
    leans, in several ways (``core.starts.first_rotations``).
    first_look_*: of the first look alone. standing_*: of objects turned in the picture by less
    than ``STANDING_RAD``. cut_off_*: of other crops, whose objects lie partly beyond the picture's
    edge (``CUT_BATCHES`` a round); painted_*: of others still, whose objects wear other prints than
    were rendered; stretched_*: of others still, of other proportions than were rendered. All else
    is of whole objects as they were rendered.
    The drawing's are of ``drawing_errors``; together_*: of what ``VIEWS`` crops of an instance tell
    together.
    """
    model.eval()
    rotation, best4, axis, iou, first_look, standing = [], [], [], [], [], []
    drawing: dict[str, list[Tensor]] = defaultdict(list)

    examples = (example for place in range(rounds)
                for example in _examples(model, data, BATCHES, SEED + place))
    for example in examples:
        views, crops, proposals = example.views, example.crops, example.proposals
        errors, axes = _errors(proposals, crops, free_about_z)
        axis.append(axes)
        rotation.append(errors[:, 0])
        best4.append(errors.amin(1))
        looked = first_rotations(example.first, 1, free_about_z)[0]
        first_look.append(_errors(looked, crops, free_about_z)[0][:, 0])
        turn = crops.R @ views.R_view.transpose(1, 2)
        standing.append((torch.atan2(turn[:, 1, 0], turn[:, 0, 0]).abs() < STANDING_RAD)[
            crops.front_visible > FRONT_SEEN])
        iou.append(_overlap(example.whole.mask_logits > 0.0, crops.mask > 0.5))
        for kind, picture in (('', example.drawn), ('together_', example.together)):
            for name, found in drawing_errors(picture, views).items():
                drawing[kind + name].append(found)

    def errors_among(batches: int, **kind: Any) -> tuple[list[Tensor], list[Tensor]]:
        """Rotation errors where the front is seen, and of all axes, of the first proposals."""
        rotations, axes = [], []
        for place in range(rounds):
            for _, _, crops in _crops(data, batches, SEED + place, **kind):
                first = model.encoder(crops.image, crops.focal)
                _, proposals = read_as_fitted(model, crops, first, 1)
                errors, of_axes = _errors(proposals, crops, free_about_z)
                axes.append(of_axes)
                rotations.append(errors[:, 0])
        return rotations, axes

    cut_rotation, cut_axis = errors_among(CUT_BATCHES, cut_off=1.0)
    painted_rotation, painted_axis = errors_among(PAINTED_BATCHES, painted=True)
    stretched_rotation, stretched_axis = errors_among(STRETCHED_BATCHES, stretched=True)
    return {
        'rotation_median_deg': median(rotation), 'within_10_deg': _share(rotation, 10.0),
        'within_20_deg': _share(rotation, 20.0), 'best4_within_20_deg': _share(best4, 20.0),
        'first_look_within_20_deg': _share(first_look, 20.0),
        'standing_within_20_deg': _share(_where(rotation, standing), 20.0),
        'standing_best4_within_20_deg': _share(_where(best4, standing), 20.0),
        'axis_median_deg': median(axis), 'mask_iou_median': median(iou),
        'cut_off_within_20_deg': _share(cut_rotation, 20.0),
        'cut_off_axis_median_deg': median(cut_axis),
        'painted_within_20_deg': _share(painted_rotation, 20.0),
        'painted_axis_median_deg': median(painted_axis),
        'stretched_within_20_deg': _share(stretched_rotation, 20.0),
        'stretched_axis_median_deg': median(stretched_axis),
        **{f'{name}_median': median(found) for name, found in drawing.items()},
    }


@torch.no_grad()
def read_strangers(model: CategoryModel, data: TrainingViews, free_about_z: bool,
                   rounds: int = 1) -> dict[str, Any]:
    """The encoder's first figures on kinds that training never saw (data/strangers/).

    As ``validate`` has them, of crops composed alike, but of all instances of ``data``; None where
    no crop tells. kinds: the same of every kind by itself, and ``front_seen``, how many of its
    crops show their front (or spin freely), by which rotations are judged.
    """
    model.eval()
    told = []
    for place in range(rounds):
        for index, _, crops in _crops(data, BATCHES, SEED + place):
            first = model.encoder(crops.image, crops.focal)
            whole = read(model, crops.image, staged('cold').readings, crops.focal)
            _, proposals = read_as_fitted(model, crops, first, 4)
            errors, axes = _errors(proposals, crops, free_about_z)
            told.append((errors, axes, _overlap(whole.mask_logits > 0.0, crops.mask > 0.5),
                         crops.front_visible > FRONT_SEEN, index))
    errors, axes, iou, seen, whose = (torch.cat(of_all) for of_all in zip(*told, strict=True))

    def figures(of: Tensor) -> dict[str, float | None]:
        of_seen = errors[of[seen]]
        first, best = [of_seen[:, 0]], [of_seen.amin(1)]
        found = {'rotation_median_deg': median(first), 'within_10_deg': _share(first, 10.0),
                 'within_20_deg': _share(first, 20.0), 'best4_within_20_deg': _share(best, 20.0),
                 'axis_median_deg': median([axes[of]]), 'mask_iou_median': median([iou[of]])}
        return {name: None if math.isnan(value) else value for name, value in found.items()}

    kinds = {}
    for kind in sorted(set(data.kinds)):
        of = torch.tensor([k == kind for k in data.kinds], device=whose.device)[whose]
        kinds[kind] = {'front_seen': int(seen[of].sum()), **figures(of)}
    return {**figures(torch.ones_like(seen)), 'kinds': kinds}


def sample_sheet(model: CategoryModel, data: TrainingViews, path: Path) -> None:
    """Rows of crop, mask, true view, synthesised view and its depth, for held-out crops."""
    model.eval()
    example, = _examples(model, data, 1)
    mask = torch.sigmoid(example.whole.mask_logits).expand(-1, 3, -1, -1)
    write_sheet((example.crops.image, mask, on_white(example.views.stacked),
                 on_white(example.drawn), depth_shade(example.drawn)), path)
