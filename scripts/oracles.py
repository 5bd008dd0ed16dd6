#!/usr/bin/env python3
# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What 'cold' would reach if a part of the truth were known, on instances that training left out.

    scripts/env python scripts/oracles.py CATEGORY RENDERED_CATEGORY BACKGROUNDS [BATCHES]

Crops are composed as in training, eight instances in six crops each a batch. Put in, one at a
time: the true mask, and codes: the mean of what the six crops say; fitted to six clean views at
their true poses; fitted to the crop at its true pose, and at the answer's; one code for six crops
fitted at their answers' poses, poses fitted anew, three rounds. Prints a table; takes some three
minutes a batch on one core. What was learned from it: docs/experiments.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
import sys

import torch
from torch import Tensor
from tqdm import tqdm

from ros2_nabs_pose.core.checkpoint import CategoryModel
from ros2_nabs_pose.core.encoder import Encoding
from ros2_nabs_pose.core.fit import fit, FitResult
from ros2_nabs_pose.core.losses import build_terms, Observed
from ros2_nabs_pose.core.pipeline import PosePipeline
from ros2_nabs_pose.core.pose_steps import synthesise
from ros2_nabs_pose.core.presets import staged
from ros2_nabs_pose.core.readings import read
from ros2_nabs_pose.core.refiner import Refiner
from ros2_nabs_pose.core.starts import Hypotheses, make_starts
from ros2_nabs_pose.core.types import PoseError
from ros2_nabs_pose.evaluation.truth import fit_codes
from ros2_nabs_pose.training.compose import compose, Crops, facing_first, FRONT_SEEN, Views
from ros2_nabs_pose.training.instances import TrainingViews
from ros2_nabs_pose.training.refiner_task import rotation_errors

INSTANCES, VIEWS, SEED = 8, 6, 4


@dataclass(frozen=True)
class Scene:
    """A batch of crops and what is read off them."""

    model: CategoryModel
    refiner: Refiner | None
    views: Views
    crops: Crops
    said: Encoding

    @property
    def free(self) -> bool:
        return self.model.card.symmetry == 'free_z'

    def seen(self, mask: Tensor) -> Observed:
        return Observed.of(self.crops.image, self.said, mask)

    def cold(self, code: Tensor, mask: Tensor) -> FitResult:
        """Fit every crop with the preset 'cold', the code (B, D) in place of the one read."""
        preset = staged('cold')
        starts = make_starts(self.said, [None] * len(code), preset.cold_starts, 0, self.free)
        return fit(self.model, replace(starts, latent=code[starts.owner]), self.seen(mask),
                   self.crops.focal, preset, refiner=self.refiner)

    def errors_deg(self, found: FitResult) -> Tensor:
        """Of the crops whose front can be seen, or all of a round body."""
        visible = (self.crops.front_visible > FRONT_SEEN) | self.free
        errors = rotation_errors(found.best.R, self.crops.R, visible & (not self.free))
        return torch.rad2deg(errors[visible])

    def code_of_crop(self, at: Hypotheses, mask: Tensor, steps: int) -> Tensor:
        """Codes (B, D) that explain the crops at given poses, from those read."""
        return fit_codes(self.model, replace(at, latent=self.said.mean), self.seen(mask),
                         self.crops.focal, staged('cold'), steps)

    def code_of_views(self, steps: int = 60) -> Tensor:
        """Codes (B, D), one an instance, fitted to its clean views at their true poses."""
        R = facing_first(self.views.R_view, VIEWS) if self.free else self.views.R_view
        goal = self.views.stacked[:, :4]

        def loss(code: Tensor) -> Tensor:
            drawn = self.model.generator(code, R, self.views.perspective).stacked()
            return (5.0 * (drawn[:, :3] - goal[:, :3]).abs().mean()
                    + 3.0 * (drawn[:, 3:4] - goal[:, 3:]).abs().mean())

        return self._descend(loss, 0.0005, steps, 0.05, (0.9, 0.999), _together(self.said.mean))

    def code_of_answers(self, found: FitResult, mask: Tensor, code: Tensor) -> Tensor:
        """Codes (B, D), one an instance, that explain its crops at their answers' poses."""
        terms = build_terms({'photometric': 0.5, 'silhouette': 1.0}, self.model.encoder)
        worth = torch.nan_to_num(found.worth, nan=0.5)
        weight = worth / _together(worth[:, None])[:, 0].clamp_min(0.05)
        best, seen = found.best, self.seen(mask)

        def loss(code: Tensor) -> Tensor:
            made = synthesise(self.model, *self.model.generator.volume(code), best.R, best.t,
                              best.log_scale, self.crops.focal, mask.shape[-1])
            each = torch.stack([share * term(made, seen) for share, term in terms]).sum(0)
            return 8.0 * (each * weight).mean()

        return self._descend(loss, 0.002 * 8.0 / 6.0, 15, 0.06, (0.8, 0.95), code)

    @staticmethod
    def _descend(loss: Callable[[Tensor], Tensor], prior: float, steps: int, rate: float,
                 betas: tuple[float, float], code: Tensor) -> Tensor:
        """Codes (B, D), one an instance, from those of ``code``, by Adam."""
        own = code[::VIEWS].clone().requires_grad_()
        optimizer = torch.optim.Adam([own], lr=rate, betas=betas)
        for _ in range(steps):
            total = loss(own.repeat_interleave(VIEWS, 0)) + prior * own.square().mean()
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
        return own.detach().repeat_interleave(VIEWS, 0)


def _together(values: Tensor) -> Tensor:
    """(B, D) means over each instance's crops."""
    return values.view(-1, VIEWS, values.shape[1]).mean(1).repeat_interleave(VIEWS, 0)


def measure(scene: Scene) -> dict[str, Tensor]:
    """Rotation errors (deg) of every variant."""
    mask, read = torch.sigmoid(scene.said.mask_logits), scene.said.mean
    found = scene.cold(read, mask)
    truth = replace(found.best, R=scene.crops.R, t=scene.crops.t, log_scale=scene.crops.log_scale)
    shape = scene.code_of_views()
    answers = {
        'as it is': found,
        'true mask': scene.cold(read, scene.crops.mask),
        'mean code of six crops': scene.cold(_together(read), mask),
        'code of six clean views': scene.cold(shape, mask),
        'the same, true mask': scene.cold(shape, scene.crops.mask),
        'code of the crop at the truth': scene.cold(scene.code_of_crop(truth, mask, 50), mask),
        'code of the crop at the answer': scene.cold(
            scene.code_of_crop(found.best, mask, 30), mask)}
    code = _together(read)
    for round_ in range(1, 4):
        code = scene.code_of_answers(found, mask, code)
        found = answers[f'one code of six answers, {round_}'] = scene.cold(code, mask)
    return {name: scene.errors_deg(answer) for name, answer in answers.items()}


def main() -> int:
    """Measure and print."""
    if len(sys.argv) not in (4, 5):
        print(__doc__, file=sys.stderr)
        return 2
    category, batches = sys.argv[1], int(sys.argv[4]) if len(sys.argv) == 5 else 3
    try:
        pipeline = PosePipeline.load([category])
        data = TrainingViews.load(Path(sys.argv[2]), Path(sys.argv[3]), 'validation')
    except PoseError as error:
        print(f'oracles.py: {error}', file=sys.stderr)
        return 2
    model = pipeline.models[category]
    errors: dict[str, list[Tensor]] = {}
    torch.manual_seed(SEED)
    for _ in tqdm(range(batches), unit='batch'):
        _, views = data.batch(INSTANCES, VIEWS)
        crops = compose(views, data.backgrounds)
        with torch.no_grad():
            said = read(model, crops.image, staged('cold').readings, crops.focal)
        scene = Scene(model, pipeline.refiner, views, crops, said)
        for name, values in measure(scene).items():
            errors.setdefault(name, []).append(values)
    print(f'{category}, {len(torch.cat(errors["as it is"]))} crops of held-out instances\n'
          f'{"put in":<32}{"median deg":>11}{"<= 5":>7}{"<= 10":>7}{"<= 20":>7}')
    for name, parts in errors.items():
        e = torch.cat(parts)
        print(f'{name:<32}{e.median():>11.1f}'
              + ''.join(f'{(e <= k).float().mean():>7.0%}' for k in (5, 10, 20)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
