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

from . import belief
from .checkpoint import CategoryModel, load_model
from .cuts import (
    Cut,
    cut_out,
    Frame,
    LEANS_RAD,
    limited,
    STANDS_RAD,
    tight_zoom,
    turn_upright,
)
from .encoder import bin_centers, Encoding
from .fit import fit, FitResult
from .folding import fold_norms
from .front import front_point
from .lift import lift, scale_from_depth
from .losses import build_terms, Observed
from .paper import fit_paper
from .presets import PaperPreset, PoseStage, Preset, PRESETS, RefineStage
from .readings import read
from .refiner import load_refiner, Refiner
from .rotations import (
    axis_azimuth_from_rotation,
    rotation_from_axis_azimuth,
    rotation_z,
    spin_nearest,
)
from .starts import Hypotheses, make_starts, Remembered, swept_starts
from .tracks import Track, Tracks
from .types import (
    Box,
    Failure,
    FrameResult,
    Intrinsics,
    PoseError,
    PoseEstimate,
    SCALE_CATEGORY_MEAN,
    SCALE_DEPTH,
    SCALE_KNOWN_SIZE,
)

WRAP_UP_S = 0.017
"""Kept of a time limit for comparing hypotheses, asking the refiner and lifting the pose."""


class PosePipeline:
    """Category models, tracks, and the way from image to poses. One thread at a time."""

    def __init__(self, models: Mapping[str, CategoryModel], preset: str = 'cold',
                 device: str = 'cpu', seed: int = 0,
                 known_radius_m: Mapping[str, float] | None = None,
                 refiner: Refiner | None = None) -> None:
        if preset not in PRESETS:
            raise PoseError(f'There is no preset "{preset}": choose from {", ".join(PRESETS)}.')
        if isinstance(PRESETS[preset], PaperPreset):
            build_terms(PRESETS[preset].losses, next(iter(models.values())).encoder)
        self.models = dict(models)
        self.refiner = refiner
        self.preset = PRESETS[preset]
        self.warm_preset = PRESETS['warm'] if preset == 'cold' else self.preset
        self.device = torch.device(device)
        self.seed = seed
        self.known_radius_m = dict(known_radius_m or {})
        self._tracks = Tracks()

    @classmethod
    def load(cls, categories: Sequence[str] | None = None, device: str = 'cpu',
             preset: str = 'cold', models_dir: Path | str | None = None,
             seed: int = 0) -> PosePipeline:
        """Read the models of ``categories`` (default: all there are) and get ready.

        Raises PoseError where a model is missing or damaged or the device is not there.
        """
        from ..resources import find_model, find_refiner
        from ..resources import models_dir as default_dir

        folder = Path(models_dir) if models_dir is not None else default_dir()
        if categories is None:
            categories = sorted(p.stem for p in folder.glob('*.safetensors'))
            if not categories:
                raise PoseError(f'There are no models in {folder}: train one with '
                                '"nabs-pose train" or give another models folder.')
        try:
            torch.device(device)
        except RuntimeError as error:
            raise PoseError(f'There is no device "{device}": give "cpu", "cuda" or '
                            '"cuda:1".') from error
        if device.startswith('cuda') and not torch.cuda.is_available():
            raise PoseError('The device "cuda" was asked for, but torch finds no GPU: use '
                            '"cpu", or install a CUDA build of torch.')
        if device.startswith('cuda') and (torch.device(device).index or 0) >= (
                count := torch.cuda.device_count()):
            raise PoseError(f'There is no device "{device}": torch finds {count} GPU(s), the first '
                            'is "cuda:0".')
        models = {}
        for category in categories:
            path = (folder / f'{category}.safetensors' if models_dir is not None
                    else find_model(category))
            models[category] = load_model(path).to(device)
            fold_norms(models[category].encoder)
        weights = find_refiner(folder)
        refiner = None if weights is None else load_refiner(weights).to(device)
        if refiner is not None:
            fold_norms(refiner)
        return cls(models, preset=preset, device=device, seed=seed, refiner=refiner)

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
                 masks: Sequence[np.ndarray | None] | None = None) -> list[PoseEstimate]:
        """Poses of the boxes that could be explained; see ``estimate_frame`` for the others."""
        return list(self.estimate_frame(image, intrinsics, boxes, stamp_s, depth_m,
                                        masks).estimates)

    def estimate_frame(self, image: np.ndarray, intrinsics: Intrinsics, boxes: Sequence[Box],
                       stamp_s: float | None = None, depth_m: np.ndarray | None = None,
                       masks: Sequence[np.ndarray | None] | None = None,
                       max_latency_s: float | None = None) -> FrameResult:
        """Poses of the boxes in one image, and a reason for every box without one.

        image: (H, W, 3) uint8 RGB. boxes: at most one an object. stamp_s: the image's time, for
        tracking; None: every frame follows the last. depth_m: (H, W) metres along z, 0 unknown,
        registered to the image. masks: (H, W) of each box, non-zero on the object, or None.
        max_latency_s: time that this call may take; the fits then end early with the best pose so
        far, and ``iterations`` tells how many steps they took.
        """
        began = time.perf_counter()
        deadline_s = None if max_latency_s is None else began + max_latency_s - WRAP_UP_S
        torch.manual_seed(self.seed)
        frame = Frame(image, intrinsics, depth_m, masks)
        cuts, failures = self._cut(frame, boxes, stamp_s)
        estimates: list[tuple[int, PoseEstimate]] = []
        tracks: list[Track] = []
        for category, model in self.models.items():
            mine = [c for c in cuts if c.box.category == category]
            if not mine:
                continue
            # Fresh and tracked objects are fitted apart: the tracked ones need fewer steps.
            for known in (True, False):
                group = [c for c in mine if (c.track is not None) == known]
                if group:
                    self._explain(model, frame, group, stamp_s, deadline_s, estimates, tracks,
                                  failures)
        self._tracks.update(tracks)
        seconds = time.perf_counter() - began
        return FrameResult(tuple(e for _, e in sorted(estimates, key=lambda pair: pair[0])),
                           tuple(failures), seconds)

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
        said = read(model, rgb, readings)
        mask = torch.sigmoid(said.mask_logits)
        for i, cut in enumerate(cuts):
            if cut.mask is not None:
                mask[i, 0] = self._tensor(cut.mask)
        return said, Observed.of(rgb, said, mask, valid)

    def _turn_upright(self, frame: Frame, cuts: Sequence[Cut], said: Encoding,
                      seen: Observed) -> list[Cut]:
        """What leans is cut out once more, turned upright (see ``cuts``), where it can be."""
        cuts = list(cuts)
        for i, turn in enumerate(turn_upright(said.axis).tolist()):
            if not turn:
                continue
            zoom = limited(tight_zoom(seen.mask[i, 0].cpu().numpy(), turn))
            try:
                cuts[i] = cut_out(frame, cuts[i].place, cuts[i].box, cuts[i].view.size_px, None,
                                  turn, zoom)
            except PoseError:
                continue  # the first look has to do
        return cuts

    def _explain(self, model: CategoryModel, frame: Frame, cuts: list[Cut],
                 stamp_s: float | None, deadline_s: float | None,
                 estimates: list[tuple[int, PoseEstimate]], tracks: list[Track],
                 failures: list[Failure]) -> None:
        began = time.perf_counter()
        preset = self.preset if cuts[0].track is None else self.warm_preset
        in_time = deadline_s is None or time.perf_counter() < deadline_s
        readings = preset.readings if isinstance(preset, Preset) and in_time else 1
        if cuts[0].track is not None or isinstance(preset, PaperPreset):
            said, seen = self._read(model, cuts, readings)
        else:
            said, seen = self._read(model, cuts)
            if deadline_s is None or time.perf_counter() < deadline_s:
                cuts = self._turn_upright(frame, cuts, said, seen)
                if readings > 1 or any(c.turn_rad for c in cuts):
                    said, seen = self._read(model, cuts, readings)
        focal = torch.tensor([c.view.focal for c in cuts], dtype=torch.float32,
                             device=self.device)
        if isinstance(preset, PaperPreset):
            result = fit_paper(model, said, seen, focal, preset, self.seed, deadline_s)
        else:
            starts = self._starts(model, cuts, said, seen, focal, preset, stamp_s)
            result = fit(model, starts, seen, focal, preset, deadline_s=deadline_s,
                         refiner=self.refiner)
            result = self._sweep(model, cuts, said, seen, focal, preset, deadline_s, result)
        seconds = (time.perf_counter() - began) / len(cuts)
        for i, cut in enumerate(cuts):
            try:
                estimate = self._estimate(model, cut, i, said, seen.mask, result, seconds)
            except PoseError as error:
                failures.append(Failure(cut.box, str(error)))
                continue
            estimates.append((cut.place, estimate))
            # Tracks remember the object in a crop that is cut out straight.
            straight = rotation_z(torch.tensor(-cut.turn_rad, dtype=torch.float64))
            R = (straight @ result.best.R[i].double().cpu()).numpy()
            R_cam_obj = estimate.T_cam_obj[:3, :3]
            zoom = cut.track.zoom if cut.track is not None else 1.0
            if cut.turn_rad:
                zoom = limited(cut.zoom * tight_zoom(estimate.synthesis_rgba[..., 3]))
            if cut.track is None:
                track = Track(estimate.track_id, cut.box, R, estimate.latent, stamp_s, R_cam_obj)
            else:
                # What this frame alone says of the code joins the track's; the challenger's
                # victory is a new beginning.
                code = said.mean[i].cpu().numpy() if result.best.previous[i] else estimate.latent
                track = cut.track.followed_by(cut.box, R, R_cam_obj, code, stamp_s)
            measured = estimate.scale_source == SCALE_DEPTH
            tracks.append(replace(
                track, turned=bool(cut.turn_rad), zoom=zoom,
                radius_m=estimate.radius_m if measured else track.radius_m))

    def _starts(self, model: CategoryModel, cuts: Sequence[Cut], said: Encoding, seen: Observed,
                focal: Tensor, preset: Preset, stamp_s: float | None) -> Hypotheses:
        return make_starts(said, [self._remember(c, stamp_s) for c in cuts],
                           preset.cold_starts, preset.warm_starts, model.card.symmetry == 'free_z')

    def _sweep(self, model: CategoryModel, cuts: Sequence[Cut], said: Encoding, seen: Observed,
               focal: Tensor, preset: Preset, deadline_s: float | None,
               result: FitResult) -> FitResult:
        """Where no start explains the crop, those of a coarse sweep, if the preset has one."""
        lost = [i for i, cut in enumerate(cuts) if preset.sweep and belief.outline_overlap(
            result.synthesis.alpha[i, 0].cpu().numpy(), seen.mask[i, 0].cpu().numpy(), cut.valid)
            < belief.MIN_OUTLINE]
        if not lost or (deadline_s is not None and time.perf_counter() >= deadline_s):
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

    def _estimate(self, model: CategoryModel, cut: Cut, i: int, said: Encoding, mask: Tensor,
                  result: FitResult, seconds: float) -> PoseEstimate:
        loss = float(result.loss[i])
        R, t = result.best.R[i], result.best.t[i].double().cpu().numpy()
        scale = float(torch.exp(result.best.log_scale[i]))
        made = result.synthesis
        synthesis = torch.cat((made.rgb[i], made.alpha[i])).permute(1, 2, 0).cpu().numpy()
        if not (np.isfinite(loss) and np.isfinite(t).all() and bool(torch.isfinite(R).all())):
            raise PoseError('The fit did not converge to numbers: check the image for damage.')
        outline = belief.outline_overlap(synthesis[..., 3], mask[i, 0].cpu().numpy(), cut.valid)
        if outline < belief.MIN_OUTLINE:
            raise PoseError(f'No {cut.box.category} explains the crop (outline overlap '
                            f'{outline:.2f}): the box may show something else.')
        yaw_std = 0.0
        if model.card.symmetry != 'free_z':
            _, yaw = axis_azimuth_from_rotation(R)
            probability = torch.softmax(said.azimuth_logits[i], 0)
            centers = bin_centers(len(probability)).numpy()
            yaw_std = belief.yaw_spread(probability.cpu().numpy(), centers, float(yaw))
        radius, source, size, center = self._size(model, cut, result, i, t, scale, synthesis)
        T_cam_obj = lift(cut.view, R.double().cpu().numpy(), t, scale, radius)
        if model.card.symmetry == 'free_z' and cut.track is not None:
            # Among equal rotations the one nearest to the last one is published.
            T_cam_obj[:3, :3] = spin_nearest(torch.from_numpy(T_cam_obj[:3, :3]),
                                             torch.from_numpy(cut.track.R_cam_obj)).numpy()
        prior = model.card.size
        radius_std = prior.radius_std_m / prior.radius_m if source == SCALE_CATEGORY_MEAN else 0.02
        track_id = cut.box.track_id or (cut.track.track_id if cut.track else self._tracks.new_id())
        return PoseEstimate(
            category=cut.box.category, track_id=track_id, box=cut.box, T_cam_obj=T_cam_obj,
            size_m=size, box_center_m=center,
            confidence=belief.confidence(outline, yaw_std, float(result.worth[i])),
            covariance=belief.pose_covariance(T_cam_obj, yaw_std, radius_std),
            scale_source=source, loss=loss, iterations=result.iterations,
            warm=bool(result.best.previous[i]), seconds=seconds,
            latent=result.best.latent[i].cpu().numpy(), view=cut.view, crop_rgb=cut.rgb,
            synthesis_rgba=_straight(synthesis), radius_m=radius)

    @torch.no_grad()
    def _size(self, model: CategoryModel, cut: Cut, result: FitResult, i: int, t: np.ndarray,
              scale: float, synthesis: np.ndarray) -> tuple[float, str, np.ndarray, np.ndarray]:
        """Radius (m), where it came from, bounding box and its centre (m)."""
        prior = model.card.size
        read = model.generator.proportions(model.generator.style(result.best.latent[i:i + 1]))
        spread = 2.0 * prior.radius_std_m
        radius = float(np.clip(float(read.log_radius_m.exp()), prior.radius_m - spread,
                               prior.radius_m + spread))
        source = SCALE_CATEGORY_MEAN
        if cut.box.category in self.known_radius_m:
            radius, source = self.known_radius_m[cut.box.category], SCALE_KNOWN_SIZE
        elif cut.depth_m is not None:
            made = result.synthesis
            relative = (made.depth[i, 0] / made.alpha[i, 0].clamp_min(1e-3)).cpu().numpy()
            measured = scale_from_depth(cut.view, t, scale, cut.depth_m, synthesis[..., 3] > 0.7,
                                        relative)
            if measured is not None:
                radius, source = measured, SCALE_DEPTH
        if source == SCALE_CATEGORY_MEAN and cut.track is not None and cut.track.radius_m:
            # A frame without depth must not make the object jump back to a guessed size.
            radius, source = cut.track.radius_m, SCALE_DEPTH
        return (radius, source, radius * read.size[0].double().cpu().numpy(),
                radius * read.center[0].double().cpu().numpy())

    def _remember(self, cut: Cut, stamp_s: float | None) -> Remembered | None:
        if cut.track is None:
            return None
        turn = rotation_z(torch.tensor(cut.turn_rad, device=self.device))
        return Remembered(turn @ self._tensor(cut.track.predicted(stamp_s)),
                          self._tensor(cut.track.latent))

    def _tensor(self, values: np.ndarray | list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.asarray(values, np.float32)).to(self.device)


def _straight(premultiplied: np.ndarray) -> np.ndarray:
    """RGBA whose colour is no longer multiplied by alpha."""
    alpha = premultiplied[..., 3:]
    colour = premultiplied[..., :3] / np.maximum(alpha, 1e-3)
    return np.concatenate((np.clip(colour, 0.0, 1.0), alpha), 2).astype(np.float32)
