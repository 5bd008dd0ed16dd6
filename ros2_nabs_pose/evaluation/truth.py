# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Where the error comes from: parts of the truth put into the estimate, one at a time.

'mask': the set's mask in place of the encoder's. 'start': the true pose is the only start; the
refiner, or where there is none the fit's steps, go on from there. 'size': the three sides of the
object's true box are known, as a user can tell them. 'code': the code that explains the crop best
at the true pose, found by many gradient steps, is every start's and is held. 'up': the true axis
that most objects of a frame have is known to be up, as a robot would know it, whether they stand or
not. 'ground': so is how high the camera is over where they truly touch the ground. All else is as
it always is, but for the seconds, which are of no use with 'code'. ``APART`` is no truth: each
object is told alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import APART
from .accuracy import Answer, evaluate, Inputs, Pipeline, report
from .sets import EvaluationSet, TrueFrame, TrueObject
from ..core import PosePipeline
from ..core.checkpoint import CategoryModel, ModelCard
from ..core.encoder import Encoding
from ..core.fit import fit
from ..core.ground import foot_of
from ..core.known_size import check_size
from ..core.lift import unlift
from ..core.losses import Observed
from ..core.presets import JointStage, PaperPreset, Preset
from ..core.rotations import rotation_facing
from ..core.starts import Hypotheses
from ..core.types import Box, CropView, FrameResult, Ground, Intrinsics, PoseError

ALIKE_RAD = math.radians(15.0)
"""True axes that are no farther apart are of objects that stand alike."""
CODE_STEPS = 120
"""Gradient steps to a code at the true pose; a fit without a refiner takes a few of them."""


@dataclass(frozen=True)
class InformedBox(Box):
    """A box that knows what it shows."""

    true: TrueObject | None = field(default=None, compare=False, repr=False)


def has_truth(true: TrueObject, truth: str) -> bool:
    """Whether a part of the truth is known of an object."""
    if truth == APART:
        return True
    if truth == 'mask':
        return true.mask_path is not None
    return true.T_cam_obj is not None and true.size_m is not None


def missing_truth(evaluation_set: EvaluationSet, truth: str) -> str:
    """One sentence where no object of the set has that truth, else nothing."""
    if truth == APART:
        company = any(len(f.objects) > 1 for f in evaluation_set.frames)
        return '' if company else (f'"{evaluation_set.name}" shows one object a picture: there are '
                                   'none to tell apart.')
    if any(has_truth(o, truth) for f in evaluation_set.frames for o in f.objects):
        return ''
    lacks = 'masks' if truth == 'mask' else 'poses with sizes'
    return f'"{evaluation_set.name}" has no {lacks}: the true {truth} cannot be put in there.'


def informed(evaluation_set: EvaluationSet) -> EvaluationSet:
    """The set with boxes that know what they show."""
    def frame(given: TrueFrame) -> TrueFrame:
        return replace(given, objects=tuple(
            replace(o, box=InformedBox(**asdict(o.box), true=o)) for o in given.objects))

    return replace(evaluation_set, frames=tuple(frame(f) for f in evaluation_set.frames))


def _reach(size_m: np.ndarray, center_m: np.ndarray, card: ModelCard) -> float:
    """Distance (m) from the origin to the farthest rim, handle or corner of a bounding box."""
    half = 0.5 * size_m
    if card.symmetry == 'free_z' or card.front_part:
        return max(math.hypot(half[:2].min(), half[2]), abs(center_m[0]) + half[0])
    return float(np.linalg.norm(np.abs(center_m) + half))


def true_radius_m(true: TrueObject, card: ModelCard) -> float:
    """The object's radius (m): the largest distance of its surface from its origin.

    Sets tell the bounding box alone, so the radius is the box's reach times what it is for the
    category's mean object; on the procedural families that holds to 2 % (cameras: 4 %).
    """
    assert true.size_m is not None
    mean = np.array(card.size.size_m)
    center = np.array([0.5 * (mean[0] - mean[1]) if card.front_part else 0.0, 0.0, 0.0])
    return (_reach(true.size_m, true.box_center_m, card)
            * card.size.radius_m / _reach(mean, center, card))


class InformedPipeline(PosePipeline):
    """A pipeline that takes one part of the truth from ``InformedBox``es: any but the mask."""

    truth = ''

    def swap(self, truth: str) -> InformedPipeline:
        """Take this part from now on; PoseError where the preset has no use for it."""
        for preset in (self.preset, self.warm_preset):
            if truth != 'size' and isinstance(preset, PaperPreset):
                raise PoseError(f'The true {truth} cannot be put into the preset "{preset.name}": '
                                'take warm, cold or accurate.')
        if truth == 'code':
            self.preset, self.warm_preset = (
                replace(p, rate_latent=0.0) for p in (self.preset, self.warm_preset)
                if isinstance(p, Preset))
        self.truth = truth
        return self

    def estimate_frame(self, image: np.ndarray, intrinsics: Intrinsics, boxes: Sequence[Box],
                       *args: Any, **options: Any) -> FrameResult:
        """As the pipeline that is not informed, on the frame's true ground where it is put in."""
        told = [true for box in boxes if self.truth in ('up', 'ground')
                and (true := self._true(box)) is not None]
        ground = true_ground(told, with_height=self.truth == 'ground')
        return super().estimate_frame(image, intrinsics, boxes, *args,
                                      **{'ground': ground, **options})

    def _starts(self, model: CategoryModel, cuts: Sequence[Any], said: Encoding, seen: Observed,
                focal: Tensor, preset: Preset, stamp_s: float | None,
                remembered: Tensor | None) -> Hypotheses:
        starts = super()._starts(model, cuts, said, seen, focal, preset, stamp_s, remembered)
        told = [i for i, c in enumerate(cuts) if self._true(c.box) is not None]
        if self.truth not in ('start', 'code') or not told:
            return starts
        first = [int(torch.nonzero(starts.owner == i)[0]) for i in told]
        at_truth = self._at_truth(model, cuts, told, starts.pick(torch.tensor(
            first, device=starts.owner.device)))
        if self.truth == 'start':
            others = [k for k, o in enumerate(starts.owner.tolist()) if o not in told]
            both = at_truth.joined(starts.pick(torch.tensor(
                others, dtype=torch.long, device=starts.owner.device)))
            return both.pick(both.owner.argsort(stable=True))  # grouped by owner
        latent = starts.latent.clone()
        codes = fit_codes(model, replace(at_truth, latent=said.mean[at_truth.owner]), seen, focal,
                          preset)
        for i, code in zip(told, codes, strict=True):
            latent[starts.owner == i] = code
        return replace(starts, latent=latent)

    def _known_sides(self, box: Box) -> Sequence[float] | None:
        true = self._true(box)
        if self.truth != 'size' or true is None or true.size_m is None:
            return super()._known_sides(box)
        return check_size(true.size_m.tolist())

    def _true(self, box: Box) -> TrueObject | None:
        true = box.true if isinstance(box, InformedBox) else None
        return true if true is not None and has_truth(true, self.truth) else None

    def _at_truth(self, model: CategoryModel, cuts: Sequence[Any], told: list[int],
                  rows: Hypotheses) -> Hypotheses:
        """``rows``, one for each told crop, moved to where the objects truly are."""
        states = [true_state(cuts[i].view, self._true(cuts[i].box), model.card) for i in told]
        R, t, scale = (rows.t.new_tensor(np.array(v)) for v in zip(*states, strict=True))
        if model.card.symmetry == 'free_z':
            R = rotation_facing(R[:, :, 2])
        return replace(rows, R=R, t=t, log_scale=torch.log(scale))


def true_ground(objects: Sequence[TrueObject], with_height: bool) -> Ground | None:
    """What objects stand on, if most of a frame's do; None where there are none."""
    posed = [(o.T_cam_obj[:3, 2], foot_of(o.T_cam_obj, o.box_center_m, o.size_m))
             for o in objects if o.T_cam_obj is not None and o.size_m is not None]
    if not posed:
        return None
    axes, feet = map(np.array, zip(*posed, strict=True))
    alike = axes @ axes.T > math.cos(ALIKE_RAD)
    most = int(alike.sum(1).argmax())
    height_m = float(np.median(-feet[alike[most]] @ axes[most]))
    # Seen from below, as some that are held are, an object does not stand there.
    return Ground(axes[most], height_m if with_height and height_m > 0.0 else None)


def true_state(view: CropView, true: TrueObject | None,
               card: ModelCard) -> tuple[np.ndarray, np.ndarray, float]:
    """The true pose as the fit speaks of it: R (3, 3), t (2,), apparent radius (see ``lift``)."""
    assert true is not None and true.T_cam_obj is not None
    return unlift(view, true.T_cam_obj, true_radius_m(true, card))


def fit_codes(model: CategoryModel, at_truth: Hypotheses, seen: Observed, focal: Tensor,
              preset: Preset, steps: int = CODE_STEPS) -> Tensor:
    """Codes (H, D) that explain the crops best at given poses, all other things held.

    at_truth: one row a crop, in the order of its owners; seen, focal: of all crops.
    """
    # The preset of a fit that holds its code moves none.
    held = replace(preset, stages=(JointStage(steps, 1),), rate_rotation=0.0, rate_place=0.0,
                   rate_latent=Preset.rate_latent)
    rows = replace(at_truth, owner=torch.arange(len(at_truth.owner), device=focal.device))
    return fit(model, rows, seen.pick(at_truth.owner), focal[at_truth.owner], held).best.latent


def evaluate_with(truth: str, load: Callable[[type[PosePipeline]], Pipeline],
                  evaluation_set: EvaluationSet, inputs: Inputs | None = None,
                  progress: Callable[[int, int], None] | None = None) -> list[Answer]:
    """``evaluate`` with one part of the truth put in; '' for none.

    load: gives the pipeline, as an instance of the class that it is called with. Raises PoseError
    where no object of the set has that truth.
    """
    inputs = inputs or Inputs()
    if not truth:
        return evaluate(load(PosePipeline), evaluation_set, inputs, progress)
    lacking = missing_truth(evaluation_set, truth)
    if lacking:
        raise PoseError(lacking)
    if truth == APART:
        alone = load(PosePipeline)
        alone.common_ground = False
        return evaluate(alone, evaluation_set, inputs, progress)
    if truth == 'mask':
        return evaluate(load(PosePipeline), evaluation_set, replace(inputs, masks=True), progress)
    pipeline = load(InformedPipeline)
    assert isinstance(pipeline, InformedPipeline)
    return evaluate(pipeline.swap(truth), informed(evaluation_set), inputs, progress)


def report_with(truths: Sequence[str], load: Callable[[type[PosePipeline]], Pipeline],
                evaluation_set: EvaluationSet, preset: str, inputs: Inputs | None = None,
                progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """What each part of the truth alone brings, JSON-ready.

    ``truth``: for each part, figures overall and by category, and of how many objects it was known.
    ``truth_missing``: a sentence for each part that the set does not have.
    """
    found: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for truth in truths:
        lacking = missing_truth(evaluation_set, truth)
        if lacking:
            missing[truth] = lacking
            continue
        answers = evaluate_with(truth, load, evaluation_set, inputs, progress)
        figures = report(answers, evaluation_set, preset, inputs)
        found[truth] = {
            'known': sum(has_truth(a.true, truth) for a in answers),
            'overall': figures['overall'], 'categories': figures['categories']}
    return {'truth': found, 'truth_missing': missing}
