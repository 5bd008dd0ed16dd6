# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""From an image and boxes to poses: ``PosePipeline.load(...)``, then ``.estimate(...)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
import time

import numpy as np
import torch
from torch import Tensor

from .answers import answer, Fitted
from .checkpoint import CategoryModel, load_model
from .compiling import compile_networks
from .cuts import (
    Cut,
    cut_out,
    cut_upright,
    Frame,
    LEANS_RAD,
    other_cuts,
    STANDS_RAD,
    turn_upright,
)
from .deadline import late
from .devices import check_device
from .encoder import Encoding
from .fit import fit, FitResult
from .folding import made_ready, ready_refiner
from .follow import followed, Told
from .front import front_point
from .ground import on_one_ground
from .known_size import check_likely, check_size, KnownSize, of_round
from .losses import build_terms, Observed
from .memory import TELLING
from .paper import fit_paper
from .presets import PaperPreset, PoseStage, Preset, PRESETS, RefineStage
from .readings import read
from .refiner import Refiner
from .rotations import rotation_from_axis_azimuth, rotation_z
from .sights import doubted, Group, likelier, MOST_DOUBTED, Sight
from .sized_codes import with_known_sides
from .standing import stood_up
from .starts import Hypotheses, make_starts, Remembered, swept_starts
from .tracks import Track, Tracks
from .types import Box, Failure, FrameResult, Ground, Intrinsics, PoseError, PoseEstimate

WRAP_UP_S = 0.017
"""Kept of a time limit for comparing hypotheses, asking the refiner and lifting the pose."""


class PosePipeline:
    """Category models, tracks, and the way from image to poses. One thread at a time."""

    def __init__(self, models: Mapping[str, CategoryModel], preset: str = 'cold',
                 device: str = 'cpu', seed: int = 0,
                 refiner: Refiner | None = None,
                 known_size_m: Mapping[str, KnownSize] | None = None,
                 common_ground: bool = True) -> None:
        """known_size_m: of categories whose objects' size is known, the longest side of
        ``PoseEstimate.size_m`` or all three (``KnownSize``). seed: of the published protocol's
        random starts; nothing else is left to chance. common_ground: objects of one image that
        stand on one ground are told together, their axes (``standing``) and guessed sizes
        (``ground``); the published protocol has no such thing and goes without. Raises PoseError
        for a size that is none.
        """
        if preset not in PRESETS:
            raise PoseError(f'There is no preset "{preset}": choose from {", ".join(PRESETS)}.')
        if isinstance(PRESETS[preset], PaperPreset):
            encoder = next(iter(models.values())).encoder
            build_terms(PRESETS[preset].losses, encoder, next(encoder.parameters()).device)
        for category in known_size_m or {}:
            if category not in models:
                raise PoseError(f'A known size for "{category}" is of no use: give one for '
                                f'{", ".join(sorted(models))}.')
        self.models = dict(models)
        self.refiner = refiner
        self.preset = PRESETS[preset]
        self.warm_preset = PRESETS['warm'] if preset == 'cold' else self.preset
        self.device = torch.device(device)
        self.seed = seed
        self.known_size_m = {c: check_size(size, c) for c, size in (known_size_m or {}).items()}
        for category, sides in self.known_size_m.items():
            check_likely(sides, models[category].card.size.size_m, category)
        self.common_ground = common_ground and isinstance(self.preset, Preset)
        self._tracks = Tracks()

    @classmethod
    def load(cls, categories: Sequence[str] | None = None, device: str = 'cpu',
             preset: str = 'cold', models_dir: Path | str | None = None, seed: int = 0,
             known_size_m: Mapping[str, KnownSize] | None = None,
             common_ground: bool = True, compiled: bool = False) -> PosePipeline:
        """Read the models of ``categories`` (default: all there are) and get ready.

        compiled: see ``compiling``; it takes a minute. Raises PoseError where a model is missing
        or damaged, the device is not there or networks cannot be compiled.
        """
        from ..resources import find_model, find_refiner
        from ..resources import models_dir as default_dir

        folder = Path(models_dir) if models_dir is not None else default_dir()
        if categories is None:
            categories = sorted(p.stem for p in folder.glob('*.safetensors'))
            if not categories:
                raise PoseError(f'There are no models in {folder}: train one with '
                                '"nabs-pose train" or give another models folder.')
        check_device(device)
        models = {}
        for category in categories:
            path = (folder / f'{category}.safetensors' if models_dir is not None
                    else find_model(category))
            models[category] = made_ready(load_model(path)).to(device)
        refiner = ready_refiner(find_refiner(folder))
        refiner = None if refiner is None else refiner.to(device)
        if compiled:
            compile_networks(models.values(), refiner, device)
        return cls(models, preset=preset, device=device, seed=seed, refiner=refiner,
                   known_size_m=known_size_m, common_ground=common_ground)

    @torch.no_grad()
    def drawn_mean(self, category: str) -> np.ndarray:
        """Picture (S, S, 3) uint8 of a category's mean object on grey, seen from a little above."""
        generator = self.models[category].generator
        R = rotation_from_axis_azimuth(self._tensor([np.array([0.0, -0.92, -0.392])]),
                                       self._tensor([np.array(0.6)]))
        drawn = generator(torch.zeros(1, generator.config.latent_dim, device=self.device), R,
                          torch.full((1,), 0.15, device=self.device))
        picture = (drawn.rgb * drawn.alpha + 0.5 * (1.0 - drawn.alpha))[0].permute(1, 2, 0)
        painted: np.ndarray = (255.0 * picture).round().byte().cpu().numpy()
        return painted

    def front_m(self, estimate: PoseEstimate) -> np.ndarray:
        """(3,) where the front of an estimated object ends, in its frame, metres.

        Of a mug that is the middle of the handle's outer edge. It costs a drawing of its own.
        """
        code = self._tensor(estimate.latent[None])
        radii = front_point(self.models[estimate.category], code)[0].double().cpu().numpy()
        front: np.ndarray = estimate.radius_m * radii
        return front

    def reset(self) -> None:
        """Forget all tracks: the next frame starts cold."""
        self._tracks.reset()

    def estimate(self, image: np.ndarray, intrinsics: Intrinsics, boxes: Sequence[Box],
                 stamp_s: float | None = None, depth_m: np.ndarray | None = None,
                 masks: Sequence[np.ndarray | None] | None = None,
                 ground: Ground | None = None) -> list[PoseEstimate]:
        """Poses of the boxes that could be explained; see ``estimate_frame`` for the others."""
        return list(self.estimate_frame(image, intrinsics, boxes, stamp_s, depth_m, masks,
                                        ground=ground).estimates)

    def estimate_frame(self, image: np.ndarray, intrinsics: Intrinsics, boxes: Sequence[Box],
                       stamp_s: float | None = None, depth_m: np.ndarray | None = None,
                       masks: Sequence[np.ndarray | None] | None = None,
                       max_latency_s: float | None = None,
                       ground: Ground | None = None) -> FrameResult:
        """Poses of the boxes in one image, and a reason for every box without one.

        image: (H, W, 3) uint8 RGB. boxes: at most one an object. stamp_s: the image's time, for
        tracking; None: every frame follows the last. depth_m: (H, W) metres along z, 0 unknown,
        registered to the image. masks: (H, W) of each box, non-zero on the object, or None.
        max_latency_s: time that this call may take; the fits then end early with the best pose so
        far, and ``iterations`` tells how many steps they took. ground: what objects stand on, where
        that is known; it counts only with ``common_ground``.
        """
        began = time.perf_counter()
        deadline_s = None if max_latency_s is None else began + max_latency_s - WRAP_UP_S
        frame = Frame(image, intrinsics, depth_m, masks)
        cuts, failures = self._cut(frame, boxes, stamp_s)
        groups: list[Group] = []
        for category, model in self.models.items():
            mine = [c for c in cuts if c.box.category == category]
            # Fresh and tracked objects are fitted apart: the tracked ones need fewer steps.
            for known in (True, False):
                alike = [c for c in mine if (c.track is not None) == known]
                if alike:
                    groups.append(self._explain(model, frame, alike, stamp_s, deadline_s))
        # Only once every object has an answer is there time for second thoughts; what is tracked
        # needs the least of it.
        for group in sorted(groups, key=lambda g: g.sights[0].cut.track is None):
            self._cut_otherwise(frame, group, stamp_s, deadline_s)
            self._end(group, deadline_s)
        estimates: list[tuple[int, PoseEstimate]] = []
        tracks: list[Track] = []
        for group in groups:
            self._answer(group, stamp_s, estimates, tracks, failures)
        self._tracks.update(tracks)
        told = tuple(e for _, e in sorted(estimates, key=lambda pair: pair[0]))
        if self.common_ground:
            # Tracks go on with what each object's own crop says.
            spinning = [c for c, m in self.models.items() if m.card.symmetry == 'free_z']
            told = on_one_ground(
                stood_up(told, None if ground is None else ground.up, spinning), ground)
        seconds = time.perf_counter() - began
        return FrameResult(told, tuple(failures), seconds)

    def _cut(self, frame: Frame, boxes: Sequence[Box],
             stamp_s: float | None) -> tuple[list[Cut], list[Failure]]:
        tracked = self._tracks.match(boxes, stamp_s)
        cuts: list[Cut] = []
        failures: list[Failure] = []
        for i, box in enumerate(boxes):
            turn, zoom = 0.0, 1.0
            track = tracked[i]
            if track is not None and isinstance(self.warm_preset, Preset):
                turn = float(turn_upright(self._tensor(track.predicted(stamp_s)[:, 2]),
                                          STANDS_RAD if track.turned else LEANS_RAD))
                zoom = track.zoom if turn else 1.0
            try:
                if box.category not in self.models:
                    raise PoseError(f'There is no model for the class "{box.category}": loaded '
                                    f'are {", ".join(sorted(self.models)) or "none"}.')
                size = self.models[box.category].encoder.config.resolution
                cuts.append(cut_out(frame, i, box, size, track, turn, zoom))
            except PoseError as error:
                failures.append(Failure(box, str(error)))
        return cuts, failures

    @torch.no_grad()
    def _read(self, model: CategoryModel, cuts: Sequence[Cut],
              readings: int = 1) -> tuple[Encoding, Observed]:
        rgb = self._tensor([c.rgb for c in cuts]).permute(0, 3, 1, 2)
        valid = self._tensor([c.valid for c in cuts]).unsqueeze(1)
        said = (read(model, rgb, readings) if isinstance(self.preset, PaperPreset) else
                read(model, rgb, readings, self._focal(cuts), self._known_codes(model, cuts)))
        mask = torch.sigmoid(said.mask_logits)
        for i, cut in enumerate(cuts):
            if cut.mask is not None:
                mask[i, 0] = self._tensor(cut.mask)
        return said, Observed.of(rgb, said, mask, valid)

    def _explain(self, model: CategoryModel, frame: Frame, cuts: list[Cut],
                 stamp_s: float | None, deadline_s: float | None) -> Group:
        began = time.perf_counter()
        preset = self.preset if cuts[0].track is None else self.warm_preset
        in_time = not late(deadline_s)
        readings = preset.readings if isinstance(preset, Preset) and in_time else 1
        if cuts[0].track is not None or isinstance(preset, PaperPreset):
            said, seen = self._read(model, cuts, readings)
        else:
            said, seen = self._read(model, cuts)
            if not late(deadline_s):
                cuts = cut_upright(frame, cuts, said.axis, seen.mask)
                if readings > 1 or any(c.turn_rad for c in cuts):
                    said, seen = self._read(model, cuts, readings)
        first = preset.begun if isinstance(preset, Preset) else preset
        sights = self._fit(model, cuts, said, seen, first, stamp_s, deadline_s)
        return Group(model, preset, sights, time.perf_counter() - began)

    def _cut_otherwise(self, frame: Frame, group: Group, stamp_s: float | None,
                       deadline_s: float | None) -> None:
        """Doubtful answers for new objects are sought in other cuts of their boxes as well."""
        model, preset = group.model, group.preset
        if not isinstance(preset, Preset) or group.sights[0].cut.track is not None:
            return
        began = time.perf_counter()
        most = len(group.sights) if stamp_s is None else MOST_DOUBTED
        if deadline_s is not None:
            # A cut takes as long as the first one did.
            each_s = (preset.cuts - 1) * group.seconds / len(group.sights)
            most = min(most, int(max(deadline_s - began, 0.0) / max(each_s, 1e-6)))
        cuts: list[Cut] = []
        of: list[int] = []
        for k in doubted(group.sights, preset.cuts_below)[:most]:
            others = other_cuts(frame, group.sights[k].cut, preset.cuts - 1)
            cuts += others
            of += [k] * len(others)
        if not cuts:
            return
        said, seen = self._read(model, cuts, preset.readings)
        for k, sight in zip(of, self._fit(model, cuts, said, seen, preset.begun, None, deadline_s),
                            strict=True):
            group.sights[k] = likelier(group.sights[k], sight)
        group.seconds += time.perf_counter() - began

    def _end(self, group: Group, deadline_s: float | None) -> None:
        """Answers that were chosen go through the preset's last steps, if it has such."""
        if not isinstance(group.preset, Preset) or group.preset.ended is None:
            return
        began = time.perf_counter()
        group.sights = [replace(s, fitted=s.fitted.ended(
            group.model, self._focal([s.cut]), group.preset, self.refiner, deadline_s))
            for s in group.sights]
        group.seconds += time.perf_counter() - began

    def _answer(self, group: Group, stamp_s: float | None,
                estimates: list[tuple[int, PoseEstimate]], tracks: list[Track],
                failures: list[Failure]) -> None:
        for sight in group.sights:
            try:
                estimate = answer(group.model, sight.cut, sight.fitted,
                                  self._sides(group.model, sight.cut),
                                  group.seconds / len(group.sights))
            except PoseError as error:
                failures.append(Failure(sight.cut.box, str(error)))
                continue
            estimate = replace(estimate, track_id=self._id(sight.cut))
            estimates.append((sight.cut.place, estimate))
            tracks.append(followed(sight.cut, estimate, sight.R_crop, sight.told, sight.kept,
                                   stamp_s, group.model.card))

    def _fit(self, model: CategoryModel, cuts: Sequence[Cut], said: Encoding, seen: Observed,
             preset: Preset | PaperPreset, stamp_s: float | None,
             deadline_s: float | None) -> list[Sight]:
        focal = self._focal(cuts)
        codes, sureness = said.mean.cpu().numpy(), said.sureness.cpu().numpy()
        remembered: Tensor | None = None
        if isinstance(preset, PaperPreset):
            result = fit_paper(model, said, seen, focal, preset, self.seed, deadline_s)
        else:
            sides = [self._sides(model, c) for c in cuts]
            said = replace(said, mean=with_known_sides(
                model.generator, said.mean, said.sureness, sides))
            remembered = self._remembered(model, cuts, sides)
            starts = self._starts(model, cuts, said, seen, focal, preset, stamp_s, remembered)
            result = fit(model, starts, seen, focal, preset, deadline_s=deadline_s,
                         refiner=self.refiner)
            result = self._sweep(model, cuts, said, seen, focal, preset, deadline_s, result)
        own = said.mean.cpu().numpy()
        before = [None] * len(cuts) if remembered is None else [*remembered.cpu().numpy()]
        return [Sight(cut, Fitted(said, seen, result, i),
                      Told(codes[i], sureness[i], own[i], before[i]))
                for i, cut in enumerate(cuts)]

    def _starts(self, model: CategoryModel, cuts: Sequence[Cut], said: Encoding, seen: Observed,
                focal: Tensor, preset: Preset, stamp_s: float | None,
                remembered: Tensor | None) -> Hypotheses:
        return make_starts(said, [None] * len(cuts) if remembered is None else
                           [self._remember(*of, stamp_s) for of in zip(cuts, remembered,
                                                                       strict=True)],
                           preset.cold_starts, preset.warm_starts, model.card.symmetry == 'free_z')

    def _sweep(self, model: CategoryModel, cuts: Sequence[Cut], said: Encoding, seen: Observed,
               focal: Tensor, preset: Preset, deadline_s: float | None,
               result: FitResult) -> FitResult:
        """Where no start explains the crop, those of a coarse sweep, if the preset has one."""
        lost = [i for i, cut in enumerate(cuts)
                if preset.sweep and not Fitted(said, seen, result, i).explains(cut.valid)]
        if not lost or late(deadline_s):
            return result
        rows = torch.tensor(lost, device=self.device)
        starts = swept_starts(said, rows, preset.sweep, model.card.symmetry == 'free_z')
        # The fit's owners are rows of what it is given. Most of the sweep is seen to be wrong.
        starts = replace(starts, owner=torch.searchsorted(rows, starts.owner))
        some = preset.cold_starts
        look = replace(preset, stages=(RefineStage(1, some, instead=(PoseStage((16, 16), some),)),
                                       *preset.stages))
        swept = fit(model, starts, seen.pick(rows), focal[rows], look, deadline_s=deadline_s,
                    refiner=self.refiner)
        return result.with_better(rows, swept)

    def _known_sides(self, box: Box) -> Sequence[float] | None:
        return self.known_size_m.get(box.category)

    def _sides(self, model: CategoryModel, cut: Cut) -> Sequence[float] | None:
        known = self._known_sides(cut.box)
        return known if known is None or model.card.symmetry != 'free_z' else of_round(known)

    def _id(self, cut: Cut) -> str:
        """The detector's id, the track's, or a new one."""
        return cut.box.track_id or (cut.track.track_id if cut.track else self._tracks.new_id())

    def _remembered(self, model: CategoryModel, cuts: Sequence[Cut],
                    sides: Sequence[Sequence[float] | None]) -> Tensor | None:
        """(B, D) codes that the objects' tracks tell; None for objects without a track."""
        memories = [c.track.memory for c in cuts if c.track is not None]
        if not memories:
            return None
        return with_known_sides(model.generator, self._tensor([m.code for m in memories]),
                                self._tensor([m.told for m in memories]), sides)

    def _remember(self, cut: Cut, code: Tensor, stamp_s: float | None) -> Remembered:
        assert cut.track is not None
        turn = rotation_z(torch.tensor(cut.turn_rad, device=self.device))
        return Remembered(turn @ self._tensor(cut.track.predicted(stamp_s)), code)

    def _known_codes(self, model: CategoryModel, cuts: Sequence[Cut]) -> Tensor | None:
        """(B, D) what tracks remember of the objects; NaN where that is nothing, None if of all.

        It is nothing before there is more than one side: the word of a like picture is no news.
        """
        unknown = np.full(model.generator.config.latent_dim, np.nan, np.float32)
        known = [unknown if c.track is None or c.track.memory.evidence < TELLING
                 else c.track.memory.code for c in cuts]
        return None if all(k is unknown for k in known) else self._tensor(known)

    def _focal(self, cuts: Sequence[Cut]) -> Tensor:
        """(B,) in half widths of the crops."""
        return self._tensor(np.array([c.view.focal for c in cuts]))

    def _tensor(self, values: np.ndarray | list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.asarray(values, np.float32)).to(self.device)
