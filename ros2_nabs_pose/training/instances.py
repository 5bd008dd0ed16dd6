# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Rendered instances in memory, and random batches of their views."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from .compose import Views, visible_points
from .stretching import grown, outermost, some_sides, STRETCHED, stretched
from ..core.checkpoint import ModelCard, SizePrior
from ..core.types import PoseError
from ..data.backgrounds import load_backgrounds
from ..data.categories import about_axis, category_of
from ..data.dataset import load_instances, read_recipe
from ..data.unusual import is_unusual

FLAT_DEG, STEEP_DEG = 55.0, 70.0
"""Between these elevations a view becomes a steep one (``TrainingViews.batch``)."""
STEEP = 2.5
"""How many times as often as others training shows steep views. Few views are rendered there, and
where looks disagree an encoder tells what is usual; but a camera on a robot often looks down."""


def fingerprint(*arrays: np.ndarray) -> str:
    """Short hash of the data itself, to tell in a model's card what it was trained on."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _smooth(picture: np.ndarray) -> np.ndarray:
    """A picture (S, S) or (S, S, 3) uint8 without grain, its edges kept."""
    # The median takes single bright or dark paths away, the filter the rest of the grain.
    return cv2.bilateralFilter(cv2.medianBlur(picture, 3), 5, 60.0, 1.8)


def clear_without_grain(clear: np.ndarray, rgba: np.ndarray) -> np.ndarray:
    """What shows through (N, V, S, S) uint8, smoothed as colours are (``without_grain``)."""
    smooth = clear.copy()
    for share, picture in zip(smooth.reshape(-1, *clear.shape[2:]),
                              rgba.reshape(-1, *rgba.shape[2:]), strict=True):
        if share.any():
            share[...] = np.minimum(_smooth(share), picture[..., 3])
    return smooth


def without_grain(rgba: np.ndarray) -> np.ndarray:
    """Straight-alpha pictures (N, V, S, S, 4) uint8 with the path tracer's grain smoothed.

    Few samples a pixel leave a grain that no camera has; an edge-keeping filter over the covered
    pixels removes most of it. Sensor noise is added anew when crops are composed.
    """
    smooth = rgba.copy()
    for picture in smooth.reshape(-1, *rgba.shape[2:]):
        covered = picture[..., 3] > 64
        if covered.any():
            colour = np.where(covered[..., None], picture[..., :3],
                              picture[..., :3][covered].mean(0).astype(np.uint8))
            picture[..., :3] = np.where(covered[..., None], _smooth(colour), picture[..., :3])
    return smooth


@dataclass(frozen=True)
class Shapes:
    """Boxes and sizes of instances (I): size, center (I, 3) in radii, log_radius (I,) metres."""

    size: Tensor
    center: Tensor
    log_radius: Tensor

    def mirrored(self, flip: Tensor) -> Shapes:
        """Those whose ``flip`` (I,) is set seen in a mirror, as ``compose.mirrored`` has it."""
        across = self.center.new_tensor((1.0, -1.0, 1.0))
        return replace(self, center=torch.where(flip[:, None], self.center * across, self.center))


@dataclass(frozen=True)
class TrainingViews:
    """Tensors of N instances with V views of S x S pixels each; see data/dataset.py.

    rgba: (N, V, S, S, 4) uint8. depth: (N, V, S, S) float16, radii. front: (N, V, S, S) uint8.
    clear: (N, V, S, S) uint8, what shows through them, or None where nothing does.
    R_view: (N, V, 3, 3). perspective, front_visible: (N, V). size, center: (N, 3) radii.
    log_radius: (N,) log metres. usual: (N,) bool, not made unusual (data/unusual.py). kinds: of
    strangers (data/strangers/) the N names of their kinds, else empty.
    backgrounds: (M, 3, H, W) uint8 or None.
    """

    rgba: Tensor
    depth: Tensor
    front: Tensor
    clear: Tensor | None
    R_view: Tensor
    perspective: Tensor
    front_visible: Tensor
    size: Tensor
    center: Tensor
    log_radius: Tensor
    usual: Tensor
    backgrounds: Tensor | None
    fingerprint: str
    recipe: dict[str, Any]
    kinds: tuple[str, ...] = ()

    def require_size(self, size_px: int) -> None:
        """PoseError in one sentence where the views are of another edge than ``size_px``."""
        if self.rgba.shape[2] != size_px:
            raise PoseError(f'The views are of {self.rgba.shape[2]} pixels: render them with '
                            f'--size {size_px}.')

    @classmethod
    def load(cls, folder: Path, backgrounds: Path | None, split: str,
             device: str = 'cpu') -> TrainingViews:
        """Read a rendered category; ``split`` is 'train' or 'validation' (other instances).

        Of those to validate on, unusual ones are left out if there are others, so that figures say
        what they said without them. Of strangers (data/strangers/) all are for validation;
        PoseError where they are to be learned from.
        """
        strangers = bool(read_recipe(folder).get('strangers'))
        if strangers and split == 'train':
            raise PoseError(f'{folder} holds strangers, to measure models on: train on what '
                            '"nabs-pose render" makes without --strangers.')
        found = load_instances(folder, 'all' if strangers else split)
        usual = np.array([not is_unusual(m) for m in found.meta])
        if split == 'validation' and usual.any() and not usual.all():
            found, usual = found.chosen(usual), usual[usual]
        radius = found.radius_m.astype(np.float32)
        size = found.size_m.astype(np.float32) / radius[:, None]
        center = np.asarray([m['box_center_m'] for m in found.meta], np.float32) / radius[:, None]

        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(device)

        pool = None
        if backgrounds is not None:
            pool = tensor(load_backgrounds(backgrounds, split).transpose(0, 3, 1, 2))
        clear = clear_without_grain(found.clear, found.rgba) if found.clear.any() else None
        return cls(
            rgba=tensor(without_grain(found.rgba)), depth=tensor(found.depth),
            front=tensor(found.part), clear=None if clear is None else tensor(clear),
            R_view=tensor(found.R_cam_obj), perspective=tensor(found.kappa),
            front_visible=tensor(found.front_visible), size=tensor(size), center=tensor(center),
            log_radius=tensor(np.log(radius)),
            usual=tensor(usual), backgrounds=pool,
            fingerprint=fingerprint(found.rgba, found.R_cam_obj),
            recipe=json.loads((folder / 'dataset.json').read_text()),
            kinds=tuple(m['shape']['stranger'] for m in found.meta) if strangers else ())

    def card(self, category: str) -> ModelCard:
        """The model card's fixed part: the category's symmetry and its usual instances' sizes.

        PoseError where the data are of another category, or of none that is known.
        """
        usual = self.usual if bool(self.usual.any()) else torch.ones_like(self.usual)
        metres = self.log_radius[usual].exp()
        radius = metres.cpu().numpy()
        size = (self.size[usual] * metres[:, None]).mean(0).cpu().numpy()
        try:
            known = category_of(category, self.recipe)
        except KeyError as error:
            raise PoseError(f'{error.args[0]}: give the name that they were rendered under') from (
                error)
        licences = self.recipe.get('licences')
        return ModelCard(
            category=category, symmetry=known.symmetry, front_part=known.front_part or '',
            size=SizePrior(size_m=(float(size[0]), float(size[1]), float(size[2])),
                           radius_m=float(radius.mean()), radius_std_m=float(radius.std())),
            # Weights made from a user's meshes are under whatever those meshes are under.
            licence=' AND '.join(sorted(licences)) if licences else ModelCard.licence)

    @property
    def about_axis(self) -> bool:
        """Whether they are bodies about their own z, as mugs and bottles are.

        Data that do not say what they are count as such, so that nothing round is squeezed.
        """
        try:
            known = category_of(self.recipe.get('what', ''), self.recipe)
        except KeyError:
            return True
        return about_axis(known.symmetry, known.origin)

    @cached_property
    def _known_outermost(self) -> dict[int, Tensor]:
        return {}

    def outermost(self, index: Tensor) -> Tensor:
        """(I, K, 3) points of instances (I,), radii, that tell how far they reach any way.

        Worked out, in some hundredths of a second each, when they are first asked for.
        """
        known = self._known_outermost
        for i in index.tolist():
            if i not in known:
                known[i] = self._outermost_of(i)
        return torch.stack([known[i] for i in index.tolist()])

    def _outermost_of(self, instance: int) -> Tensor:
        v = torch.arange(self.rgba.shape[1], device=self.rgba.device)
        views = self._views(torch.full_like(v, instance), v)
        alpha = views.stacked[:, 3:4]
        points = (visible_points(views) / alpha.clamp_min(1e-3)).movedim(1, 3).flatten(0, 2)
        return outermost(points, (alpha > 0.5).flatten())

    def some_stretched(self, index: Tensor, views: Views,
                       share: float = STRETCHED) -> tuple[Views, Shapes]:
        """The views (I * V) of instances ``index`` (I,), V of each in a row, and their shapes.

        A share of the instances are given other proportions than were rendered (``stretching``).
        """
        if not share:
            return views, Shapes(self.size[index], self.center[index], self.log_radius[index])
        sides = some_sides(len(index), self.about_axis, views.stacked, share)
        radius = grown(self.outermost(index), sides)
        group = len(views.R_view) // len(index)
        longer = sides / radius[:, None]
        shapes = Shapes(self.size[index] * longer, self.center[index] * longer,
                        self.log_radius[index] + torch.log(radius))
        return stretched(views, *(x.repeat_interleave(group, 0) for x in (sides, radius))), shapes

    def _steepness(self, index: Tensor) -> Tensor:
        """How steeply views (I, V) look down: 0 up to ``FLAT_DEG``, 1 from ``STEEP_DEG`` on."""
        elevation = torch.rad2deg(torch.asin(-self.R_view[index, :, 2, 2].clamp(-1.0, 1.0)))
        return ((elevation - FLAT_DEG) / (STEEP_DEG - FLAT_DEG)).clamp(0.0, 1.0)

    def batch(self, instances: int, views: int, steep: float = 1.0) -> tuple[Tensor, Views]:
        """Random instances (I,) and ``views`` random views of each, I * views in a row.

        steep: how many times as often as others views from ``STEEP_DEG`` up are drawn.
        """
        count, per = self.rgba.shape[:2]
        device = self.rgba.device
        index = torch.randperm(count, device=device)[:instances]
        if len(index) < instances:
            index = torch.randint(count, (instances,), device=device)
        chance = torch.rand(instances, per, device=device)
        if steep != 1.0:  # the first of so many to arrive, some of which come more often
            chance = -torch.log(chance) / (1.0 + (steep - 1.0) * self._steepness(index))
        seen = chance.argsort(1)[:, :views]
        i = index[:, None].expand(-1, views).reshape(-1)
        v = seen.reshape(-1)
        return index, self._views(i, v)

    def _views(self, i: Tensor, v: Tensor) -> Views:
        """Of instances (B,) the views (B,)."""
        rgba = self.rgba[i, v].permute(0, 3, 1, 2).float() / 255.0
        alpha = rgba[:, 3:]
        stacked = torch.cat((rgba[:, :3] * alpha, alpha,
                             self.depth[i, v].float().unsqueeze(1) * alpha), 1)
        clear = (torch.zeros_like(alpha) if self.clear is None
                 else self.clear[i, v].float().unsqueeze(1) / 255.0)
        return Views(
            stacked=stacked, front=self.front[i, v].float().unsqueeze(1) / 255.0, clear=clear,
            R_view=self.R_view[i, v], perspective=self.perspective[i, v],
            front_visible=self.front_visible[i, v])
