# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""From what a fit ended with to what is answered: pose in metres, size, confidence, spread.

The answer that was chosen may go through last steps of the fit before it is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from . import belief
from .checkpoint import CategoryModel
from .cuts import Cut
from .deadline import late
from .encoder import bin_centers, Encoding
from .fit import fit, FitResult
from .known_size import radius_of
from .lift import lift, scale_from_depth
from .losses import Observed
from .presets import Preset
from .refiner import Refiner
from .rotations import axis_azimuth_from_rotation, spin_nearest
from .types import PoseError, PoseEstimate, SCALE_CATEGORY_MEAN, SCALE_DEPTH, SCALE_KNOWN_SIZE


@dataclass(frozen=True)
class Fitted:
    """Row ``row`` of a fit: what was read of that crop, what was seen, and the fit itself."""

    said: Encoding
    seen: Observed
    result: FitResult
    row: int

    @property
    def mask(self) -> Tensor:
        """(S, S) of the crop, as seen."""
        return self.seen.mask[self.row, 0]

    def ended(self, model: CategoryModel, focal: Tensor, preset: Preset, refiner: Refiner | None,
              deadline_s: float | None = None) -> Fitted:
        """The same after the preset's last steps, which only what was chosen goes through.

        focal: (1,) of the crop. Itself where the preset has none (``Preset.ended``), or once it is
        late.
        """
        if preset.ended is None or late(deadline_s):
            return self
        row = torch.tensor([self.row], device=focal.device)
        begun = replace(self.result.best.pick(row), owner=torch.zeros_like(row))
        seen = self.seen.pick(row)
        result = fit(model, begun, seen, focal, preset.ended, deadline_s=deadline_s,
                     refiner=refiner)
        steps = self.result.iterations + result.iterations
        return Fitted(self.said.pick(row), seen, replace(result, iterations=steps), 0)

    @property
    def R(self) -> Tensor:
        """(3, 3) rotation in the crop."""
        return self.result.best.R[self.row]

    @property
    def t(self) -> np.ndarray:
        """(2,) place in the crop."""
        place: np.ndarray = self.result.best.t[self.row].double().cpu().numpy()
        return place

    @property
    def scale(self) -> float:
        """Apparent radius in the crop."""
        return float(torch.exp(self.result.best.log_scale[self.row]))

    @property
    def synthesis(self) -> np.ndarray:
        """(S, S, 4) what is drawn in the crop, colour multiplied by alpha."""
        made = self.result.synthesis
        drawn: np.ndarray = torch.cat((made.rgb[self.row], made.alpha[self.row])).permute(
            1, 2, 0).cpu().numpy()
        return drawn

    @property
    def worth(self) -> float:
        """What the refiner says of it (``Comparison.worth``); NaN where none was asked."""
        return float(self.result.worth[self.row])

    def outline(self, valid: np.ndarray) -> float:
        """How well the drawing's outline matches the mask (``belief.outline_overlap``)."""
        return belief.outline_overlap(self.result.synthesis.alpha[self.row, 0].cpu().numpy(),
                                      self.mask.cpu().numpy(), valid)

    def explains(self, valid: np.ndarray) -> bool:
        """Whether the drawing is believed to be what the crop, where ``valid``, shows."""
        return self.outline(valid) >= belief.MIN_OUTLINE


@dataclass(frozen=True)
class Measured:
    """An object's metric size: radius (m), where it came from, its box's extent and centre (m)."""

    radius_m: float
    source: str
    size_m: np.ndarray
    center_m: np.ndarray


def answer(model: CategoryModel, cut: Cut, fitted: Fitted, sides_m: Sequence[float] | None,
           seconds: float) -> PoseEstimate:
    """The answer for one crop, with the box's track id; PoseError where nothing is explained.

    sides_m: what is known of the object's size, one side or three (``check_size``).
    """
    result, row = fitted.result, fitted.row
    R, t, synthesis = fitted.R, fitted.t, fitted.synthesis
    loss = float(result.loss[row])
    if not (np.isfinite(loss) and np.isfinite(t).all() and bool(torch.isfinite(R).all())):
        raise PoseError('The fit did not converge to numbers: check the image for damage.')
    outline = fitted.outline(cut.valid)
    if outline < belief.MIN_OUTLINE:
        raise PoseError(f'No {cut.box.category} explains the crop (outline overlap '
                        f'{outline:.2f}): the box may show something else.')
    yaw_std, free = 0.0, model.card.symmetry == 'free_z'
    if not free:
        _, yaw = axis_azimuth_from_rotation(R)
        probability = torch.softmax(fitted.said.azimuth_logits[row], 0)
        centers = bin_centers(len(probability)).numpy()
        yaw_std = belief.yaw_spread(probability.cpu().numpy(), centers, float(yaw))
    measured = _measured(model, cut, fitted, sides_m)
    T_cam_obj = lift(cut.view, R.double().cpu().numpy(), t, fitted.scale, measured.radius_m)
    if free and cut.track is not None:
        # Among equal rotations the one nearest to the last one is published.
        T_cam_obj[:3, :3] = spin_nearest(torch.from_numpy(T_cam_obj[:3, :3]),
                                         torch.from_numpy(cut.track.R_cam_obj)).numpy()
    worth = fitted.worth
    sure = belief.confidence(outline, yaw_std, worth)
    prior = model.card.size
    guessed = measured.source == SCALE_CATEGORY_MEAN
    radius_std = prior.radius_std_m / prior.radius_m if guessed else 0.02
    return PoseEstimate(
        category=cut.box.category, track_id=cut.box.track_id, box=cut.box, T_cam_obj=T_cam_obj,
        size_m=measured.size_m, box_center_m=measured.center_m,
        confidence=sure,
        covariance=belief.pose_covariance(
            T_cam_obj, belief.axis_spread(sure, refined=not np.isnan(worth)),
            belief.UNKNOWN_YAW_STD_RAD if free else yaw_std, radius_std),
        scale_source=measured.source, loss=loss, iterations=result.iterations,
        warm=bool(result.best.previous[row]), seconds=seconds,
        latent=result.best.latent[row].cpu().numpy(), view=cut.view, crop_rgb=cut.rgb,
        synthesis_rgba=straight(synthesis), radius_m=measured.radius_m)


@torch.no_grad()
def _measured(model: CategoryModel, cut: Cut, fitted: Fitted,
              sides_m: Sequence[float] | None) -> Measured:
    """Metric size: known, measured by depth now or before, or what the code and category tell."""
    prior, row, made = model.card.size, fitted.row, fitted.result.synthesis
    read = model.generator.proportions(
        model.generator.style(fitted.result.best.latent[row:row + 1]))
    spread = 2.0 * prior.radius_std_m
    radius = float(np.clip(float(read.log_radius_m.exp()), prior.radius_m - spread,
                           prior.radius_m + spread))
    source = SCALE_CATEGORY_MEAN
    drawn = read.size[0].double().cpu().numpy()
    if sides_m is not None:
        radius, source = radius_of(sides_m, drawn), SCALE_KNOWN_SIZE
    elif cut.depth_m is not None:
        alpha = made.alpha[row, 0]
        relative = (made.depth[row, 0] / alpha.clamp_min(1e-3)).cpu().numpy()
        by_depth = scale_from_depth(cut.view, fitted.t, fitted.scale, cut.depth_m,
                                    (alpha > 0.7).cpu().numpy(), relative)
        if by_depth is not None:
            radius, source = by_depth, SCALE_DEPTH
    if source == SCALE_CATEGORY_MEAN and cut.track is not None and cut.track.radius_m:
        # A frame without depth must not make the object jump back to a guessed size.
        radius, source = cut.track.radius_m, SCALE_DEPTH
    told = sides_m is not None and len(sides_m) == len(drawn)
    size = np.array(sides_m) if told else radius * drawn
    # Of a box that is told larger than it is drawn, the centre is farther away as well.
    return Measured(radius, source, size, size / drawn * read.center[0].double().cpu().numpy())


def straight(premultiplied: np.ndarray) -> np.ndarray:
    """RGBA whose colour is no longer multiplied by alpha."""
    alpha = premultiplied[..., 3:]
    colour = premultiplied[..., :3] / np.maximum(alpha, 1e-3)
    return np.concatenate((np.clip(colour, 0.0, 1.0), alpha), 2).astype(np.float32)
