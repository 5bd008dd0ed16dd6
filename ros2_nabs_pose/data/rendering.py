# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Training views of one object: it alone, camera aimed at its origin, its z axis upwards.

Convention of a view: optical frame (x right, y down, z forward); the camera looks exactly at the
object's origin from ``distance``; R_cam_obj maps object directions to camera directions; the
projection of the object's z axis points up in the picture. With kappa = radius_m / distance and
u, v in [-1, 1] between the picture's edges, a point p (object frame) falls at

    q = R_cam_obj p / radius_m;  (u, v) = q[:2] / (FRAME_MARGIN * (1 + kappa * q[2])),

so that the sphere around the object just fits whatever the perspective.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import mitsuba_scene as ms
from .categories import get_category
from .dataset import write_instance
from .further import BENT_SHARE, FURTHER, FURTHER_SHARE, sample_further
from .glass import glass_of, over_backdrop, perhaps_clear, TIMES_SAMPLES
from .glass import STREAM as GLASS_STREAM
from .lighting import sample_environment, sample_exposure, sample_white_balance
from .looks import linear_to_srgb, Look
from .shapes import sample_object, Shape
from .strangers import sample_stranger
from .unusual import made_unusual
from .unusual import STREAM as UNUSUAL_STREAM
from .unusual_measures import unusual_measures
from ..core.types import FRAME_MARGIN

#: Perspective strengths (radius over distance) that views are drawn from, log-uniformly.
KAPPA_RANGE = (0.05, 0.30)
#: Instances of these streams never share a seed: training never draws an evaluation object.
STREAMS = {'training': 0, 'evaluation': 1, 'demo': 2, 'backgrounds': 3, 'occluders': 4,
           'strangers': 5}
MAX_DEPTH = 4
CLEAR_DEPTH = 12
"""Of objects of glass: front and back wall, inside and outside, and a handle behind them."""
#: Rays a pixel for depth and coverage of the front part.
GEOMETRY_SAMPLES = 8


@dataclass(frozen=True)
class RenderSettings:
    """Views per instance, their edge in pixels, samples a pixel, light set-ups per instance.

    unusual: share of the instances that are made unusual (unusual.py).
    """

    views: int = 60
    size_px: int = 64
    samples: int = 20
    lights: int = 3
    unusual: float = 0.0


def instance_rng(seed: int, instance: int, stream: str = 'training',
                 *beside: int) -> np.random.Generator:
    """The generator of one instance: depends on nothing but its arguments.

    beside: the number of a generator for what must not change what this one draws.
    """
    return np.random.default_rng(np.random.SeedSequence(
        (seed, STREAMS[stream], instance, *beside)))


def look_at_origin(elevation_rad: float, azimuth_rad: float) -> np.ndarray:
    """R_cam_obj (3, 3) of a camera at that direction from the origin, aimed at it, z axis up.

    At the poles, where no direction is up, the azimuth's tangent is taken as the right.
    """
    ce, se = np.cos(elevation_rad), np.sin(elevation_rad)
    ca, sa = np.cos(azimuth_rad), np.sin(azimuth_rad)
    forward = -np.array([ce * ca, ce * sa, se])
    right = np.array([-sa, ca, 0.0])
    return np.stack([right, np.cross(forward, right), forward])


def project(points_m: np.ndarray, R_cam_obj: np.ndarray, kappa: float,
            radius_m: float) -> np.ndarray:
    """(N, 2) u, v in [-1, 1] across the picture, of points (N, 3) in the object frame."""
    q = np.asarray(points_m) @ R_cam_obj.T / radius_m
    return q[:, :2] / (FRAME_MARGIN * (1.0 + kappa * q[:, 2:]))


def sample_elevations(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count,) radians from -15 to 88 degrees, four fifths of them between 5 and 65."""
    low, high = np.array([(-15, 5), (5, 65), (65, 88)]).T
    band = rng.choice(3, size=count, p=(0.09, 0.79, 0.12))
    return np.radians(rng.uniform(low[band], high[band]))


def sample_azimuths(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count,) radians: jittered even spacing in random order, so that no side is left out."""
    even = (rng.permutation(count) + rng.random(count)) / count
    return 2.0 * np.pi * even


def load_scene(shape: Shape, look: Look, emitters: dict,
               only: Collection[str] | None = None) -> object:
    """A Mitsuba scene of the object's parts (or of some alone) under the emitters."""
    depth = CLEAR_DEPTH if glass_of(look) else MAX_DEPTH
    description: dict = {'type': 'scene', 'integrator': ms.integrator(depth), **emitters}
    for name, part in shape.parts.items():
        if only is None or name in only:
            description[f'part_{name}'] = ms.shape(part.mesh, ms.bsdf(look.paints[part.material]),
                                                   marked=name == shape.front_part,
                                                   number=1)
    return ms.mitsuba().load_dict(description)


def sample_emitters(rng: np.random.Generator, radius_m: float) -> tuple[dict, dict]:
    """Environment and, for some, an area light of the size of a lamp or softbox; and a record."""
    emitters = {'environment': ms.environment(sample_environment(rng))}
    area = bool(rng.random() < 0.4)
    if area:
        azimuth, elevation = rng.uniform(0.0, 2.0 * np.pi), np.radians(rng.uniform(25.0, 80.0))
        toward = np.array([np.cos(elevation) * np.cos(azimuth),
                           np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
        away = radius_m * rng.uniform(5.0, 12.0)
        size = away * rng.uniform(0.15, 0.6)
        # Irradiance of about radiance * (size / away)^2: between a third and all of the map's.
        strength = rng.uniform(0.8, 3.0) * (away / size) ** 2
        tint = np.array((1.0, 0.96, 0.90)) * np.exp(rng.normal(0.0, 0.05, 3))
        emitters['lamp'] = ms.area_light(away * toward, np.zeros(3), size, strength * tint)
    return emitters, {'area_light': area}


def to_photograph(rgb: np.ndarray, alpha: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """(H, W, 4) uint8 sRGB with straight alpha, from linear colour premultiplied by alpha."""
    straight = rgb / np.maximum(alpha, 1e-4)[..., None] * gains
    # A shoulder above 0.8 keeps highlights from clipping flat, as cameras do.
    bright = np.maximum(straight - 0.8, 0.0)
    straight = np.minimum(straight, 0.8) + 0.2 * (1.0 - np.exp(-bright / 0.2 * 0.7))
    color = np.where(alpha[..., None] > 1e-4, linear_to_srgb(straight), 0.0)
    return np.round(255.0 * np.concatenate([color, alpha[..., None]], -1)).astype(np.uint8)


def _exposed(rng: np.random.Generator, frames: list[ms.Frame]) -> np.ndarray:
    """(3,) gains that expose the object between its own brightness and the room's."""
    seen = np.concatenate([f.rgb[f.alpha > 0.99] for f in frames] or [np.ones((1, 3))])
    own = float(np.percentile(seen.mean(-1), 90)) if len(seen) else 1.0
    # A room of radiance 1 gives a white object about 0.8; bright rooms make it brighter.
    metered = 0.8 / max(own, 0.05)
    gain = metered ** 0.45 * sample_exposure(rng)
    return gain * sample_white_balance(rng)


def _window(points_m: np.ndarray, R_cam_obj: np.ndarray, kappa: float, radius_m: float,
            size_px: int) -> tuple[int, int, int, int]:
    """The pixels that an object can cover (see mitsuba_scene.cropped); the rest stays empty."""
    px = (project(points_m, R_cam_obj, kappa, radius_m) + 1.0) * size_px / 2.0
    low = np.clip(np.floor(px.min(0)), 0, size_px - 1).astype(int)
    high = np.clip(np.ceil(px.max(0)), low + 1, size_px).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


@dataclass(frozen=True)
class _Views:
    """The poses of an instance's views, and what of them is geometry alone."""

    rotations: np.ndarray
    kappa: np.ndarray
    windows: list[tuple[int, int, int, int]]
    cameras: list[dict]


def _sample_views(rng: np.random.Generator, shape: Shape, settings: RenderSettings) -> _Views:
    count = settings.views
    elevation, azimuth = sample_elevations(rng, count), sample_azimuths(rng, count)
    kappa = np.exp(rng.uniform(np.log(KAPPA_RANGE[0]), np.log(KAPPA_RANGE[1]), count))
    rotations = np.stack([look_at_origin(e, a) for e, a in zip(elevation, azimuth, strict=True)])
    return _views(shape, rotations, kappa, settings.size_px)


def _views(shape: Shape, rotations: np.ndarray, kappa: np.ndarray, size: int) -> _Views:
    radius = shape.radius_m
    windows, cameras = [], []
    for R, k in zip(rotations, kappa, strict=True):
        window = _window(shape.vertices, R, k, radius, size)
        distance = radius / k
        windows.append(window)
        cameras.append(ms.cropped(ms.sensor(R, -R[2] * distance, FRAME_MARGIN * k, size, size,
                                            0.3 * distance, 4.0 * distance), window))
    return _Views(rotations, kappa, windows, cameras)


def _render_geometry(shape: Shape, look: Look, views: _Views,
                     size: int) -> dict[str, np.ndarray]:
    """coverage, and depth, part and front_visible of all views as dataset.py stores them."""
    count, radius = len(views.kappa), shape.radius_m
    coverage = np.zeros((count, size, size), np.float32)
    depth = np.zeros((count, size, size), np.float16)
    part = np.zeros((count, size, size), np.uint8)
    front_visible = np.ones(count, np.float32)
    # No lamps in these scenes: hidden from pictures, they would still stop these rays.
    scene = load_scene(shape, look, {})
    front_scene, hiding_scene, glass = None, scene, glass_of(look)
    if shape.front_part is not None:
        front_scene = load_scene(shape, look, {}, only={shape.front_part})
        if glass is not None:  # the front is seen through clear walls, not through what is opaque
            opaque = {name for name, p in shape.parts.items()
                      if look.paints[p.material] is not glass} - {shape.front_part}
            hiding_scene = front_scene if not opaque else load_scene(
                shape, look, {}, only={shape.front_part} | opaque)
    for i, (R, k) in enumerate(zip(views.rotations, views.kappa, strict=True)):
        x0, y0, x1, y1 = views.windows[i]
        distance = radius / k
        found = ms.geometry(scene, views.cameras[i], R, -R[2] * distance, GEOMETRY_SAMPLES, i)
        coverage[i, y0:y1, x0:x1] = found.coverage
        depth[i, y0:y1, x0:x1] = np.where(found.coverage > 0.0, (found.z - distance) / radius, 0.0)
        part[i, y0:y1, x0:x1] = np.round(255.0 * found.marked)
        if front_scene is not None:
            alone = ms.geometry(front_scene, views.cameras[i], R, -R[2] * distance,
                                GEOMETRY_SAMPLES, i)
            if hiding_scene is scene:
                seen = found
            elif hiding_scene is front_scene:
                seen = alone
            else:
                seen = ms.geometry(hiding_scene, views.cameras[i], R, -R[2] * distance,
                                   GEOMETRY_SAMPLES, i)
            front_visible[i] = min(float(seen.marked.sum()) / max(float(alone.coverage.sum()),
                                                                  1.0), 1.0)
    return {'coverage': coverage, 'depth': depth, 'part': part, 'front_visible': front_visible}


def render_instance(category: str, seed: int, instance: int, settings: RenderSettings,
                    stream: str = 'training') -> dict[str, np.ndarray | dict]:
    """Renders all views of one random object; the arrays and ``meta`` as dataset.py stores them.

    stream: 'strangers' for a kind that no training set has (strangers/), else one of the family's.
    """
    rng = instance_rng(seed, instance, stream)
    shape, look = (sample_stranger(category, instance, rng) if stream == 'strangers'
                   else sample_object(category, rng))
    if stream == 'training':
        beside = instance_rng(seed, instance, stream, UNUSUAL_STREAM)
        unusual = bent = beside.random() < settings.unusual
        if unusual and category in FURTHER and beside.random() < FURTHER_SHARE:
            shape, look = sample_further(category, beside)
            bent = beside.random() < BENT_SHARE
        elif unusual:
            shape = unusual_measures(shape, beside)
        shape, look = perhaps_clear(shape, look, instance_rng(seed, instance, stream, GLASS_STREAM))
        if bent:
            known = get_category(category)
            shape, look = made_unusual(shape, look, known.symmetry, known.origin, beside)
    origin = {'category': category, 'seed': seed, 'stream': stream, 'instance': instance}
    return render_object(shape, look, rng, settings, origin)


def render_object(shape: Shape, look: Look, rng: np.random.Generator, settings: RenderSettings,
                  origin: dict, rotations: np.ndarray | None = None
                  ) -> dict[str, np.ndarray | dict]:
    """Renders all views of an object; the arrays and ``meta`` as dataset.py stores them.

    origin: where the object comes from, which begins ``meta``. rotations: (V, 3, 3) R_cam_obj of
    views that keep to this module's convention, in place of random ones.
    """
    if rotations is None:
        views = _sample_views(rng, shape, settings)
    else:
        views = _views(shape, rotations, np.full(len(rotations), 0.15), settings.size_px)
    count, size = len(views.kappa), settings.size_px
    light = np.sort(np.arange(count) % settings.lights)
    rgba = np.zeros((count, size, size, 4), np.uint8)
    glass = glass_of(look)
    samples = settings.samples * (1 if glass is None else TIMES_SAMPLES)
    records = []
    for group in range(settings.lights):
        emitters, record = sample_emitters(rng, shape.radius_m)
        scene = load_scene(shape, look, emitters)
        members = np.flatnonzero(light == group)
        frames = [ms.render(scene, views.cameras[i], samples, int(i)) for i in members]
        gains = _exposed(rng, frames)
        for i, frame in zip(members, frames, strict=True):
            x0, y0, x1, y1 = views.windows[i]
            if glass is None:
                rgba[i, y0:y1, x0:x1] = to_photograph(frame.rgb, frame.alpha, gains)
                continue
            # What glass reflects stands for itself, however little it covers.
            rgba[i, y0:y1, x0:x1] = to_photograph(frame.rgb, np.ones_like(frame.alpha), gains)
            rgba[i, y0:y1, x0:x1, 3] = np.round(255.0 * frame.alpha)
        records.append(record | {'gains': [round(float(g), 4) for g in gains]})
    meta = origin | {
        'size_m': shape.size_m.tolist(), 'box_center_m': shape.box_center_m.tolist(),
        'radius_m': shape.radius_m, 'front_point_m': shape.front_point_m.tolist(),
        'shape': shape.parameters, 'pattern': look.pattern,
        'finish': sorted({look.paints[part.material].finish for part in shape.parts.values()}),
        'lights': records,
        'renderer': {'mitsuba': ms.mitsuba().__version__, 'size_px': size,
                     'samples': samples, 'max_depth': MAX_DEPTH,
                     'frame_margin': FRAME_MARGIN}}
    found = _render_geometry(shape, look, views, size)
    coverage = found.pop('coverage')
    if glass is not None:
        rgba, found['clear'] = over_backdrop(rgba[..., :3] / 255.0, rgba[..., 3] / 255.0,
                                             coverage, glass)
        meta['renderer']['max_depth'] = CLEAR_DEPTH
    return {'rgba': rgba, **found,
            'R_cam_obj': views.rotations.astype(np.float32),
            'kappa': views.kappa.astype(np.float32), 'light': light.astype(np.uint8),
            'meta': meta}


def render_and_store_instance(folder: Path, category: str, seed: int, settings: RenderSettings,
                              stream: str, instance: int) -> None:
    """One job of ``nabs-pose render CATEGORY``."""
    write_instance(folder, instance, render_instance(category, seed, instance, settings, stream))
