# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Pictures of clutter without the object: what training puts behind and in front of it.

A table or floor and walls with procedural prints, and boxes, books, turned bodies and rods lying
about on it, path-traced under the same environments as the objects.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from . import mitsuba_scene as ms
from .dataset import DatasetError, write_atomically
from .lighting import sample_environment, sample_exposure, sample_white_balance
from .looks import linear_to_srgb, Paint, sample_color, sample_vessel_look
from .rendering import instance_rng, look_at_origin
from .shapes.surfaces import box, Mesh, revolve

VALIDATION_SHARE = 0.1
SAMPLES = 8


def _rough_texture(rng: np.random.Generator) -> np.ndarray:
    """(96, 128, 3) linear: wood grain, weave, tiles, or cloudy noise between two colours."""
    a, b = sample_color(rng), sample_color(rng)
    if rng.random() < 0.6:
        b = np.clip(a * np.exp(rng.normal(0.0, 0.4)), 0.01, 0.95)
    v, u = np.meshgrid(np.linspace(0.0, 1.0, 96), np.linspace(0.0, 1.0, 128), indexing='ij')
    cells = (int(rng.integers(3, 24)), int(rng.integers(3, 24)))
    cloud = cv2.resize(rng.normal(0.0, 1.0, cells), (128, 96), interpolation=cv2.INTER_CUBIC)
    kind = rng.integers(4)
    mix: np.ndarray
    if kind == 0:
        mix = 0.5 + 0.5 * np.sin(2.0 * np.pi * (rng.uniform(3, 12) * v + 0.6 * cloud))
    elif kind == 1:
        count = rng.uniform(4, 30)
        mix = 0.5 + 0.25 * (np.sign(np.sin(count * np.pi * u)) + np.sign(np.sin(count * np.pi * v)))
    elif kind == 2:
        count = rng.uniform(2, 9)
        mix = ((np.floor(u * count) + np.floor(v * count)) % 2) * 0.9 + 0.05 * cloud
    else:
        mix = 0.5 + 0.4 * cloud
    share = np.clip(mix, 0.0, 1.0)[..., None]
    return np.clip(a * (1.0 - share) + b * share, 0.01, 0.95)


def _paint(rng: np.random.Generator) -> Paint:
    kind = rng.random()
    if kind < 0.4:
        return Paint(_rough_texture(rng), 'satin', float(rng.uniform(0.2, 0.7)))
    if kind < 0.7:
        return sample_vessel_look(rng).paints['outside']
    return Paint(sample_color(rng), 'glazed', float(rng.uniform(0.1, 0.6)))


def _turned_body(rng: np.random.Generator) -> Mesh:
    """A can, glass, bowl or vase: a random profile about z, standing on z = 0."""
    height, radius = rng.uniform(0.04, 0.28), rng.uniform(0.02, 0.09)
    at = np.linspace(0.0, 1.0, 12)
    wave = 1.0 + rng.uniform(0.0, 0.5) * np.sin(at * rng.uniform(1.0, 6.0) + rng.uniform(0.0, 6.3))
    flare = 1.0 + rng.uniform(-0.5, 0.9) * at
    r = radius * wave * np.clip(flare, 0.15, None)
    r /= r.max() / radius
    profile = np.concatenate([[[0.0, 0.0]], np.stack([r, at * height], 1)])
    wall = 0.92 * r[::-1]
    if rng.random() < 0.5:
        profile = np.concatenate([profile, np.stack([wall, np.maximum(at[::-1], 0.05) * height], 1),
                                  [[0.0, 0.05 * height]]])
    else:
        profile = np.concatenate([profile, [[0.0, height]]])
    return revolve(profile, np.linspace(0.0, 1.0, len(profile)), 28)


def _pose(rng: np.random.Generator, spread_m: float, lying: bool) -> np.ndarray:
    """(4, 4): somewhere on the table, turned, perhaps lying on its side."""
    angle = rng.uniform(0.0, 2.0 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0.0], [np.sin(angle), np.cos(angle), 0.0],
                     [0.0, 0.0, 1.0]])
    if lying:
        turn = turn @ np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    pose = np.eye(4)
    pose[:3, :3] = turn
    pose[:2, 3] = rng.uniform(-spread_m, spread_m, 2)
    pose[2, 3] = 0.03 if lying else 0.0
    return pose


def clutter(rng: np.random.Generator, count: int, spread_m: float) -> dict:
    """Mitsuba shapes of random things standing and lying on z = 0 within +-``spread_m``."""
    scene = {}
    for k in range(count):
        if rng.random() < 0.5:
            size = rng.uniform(0.02, 0.22, 3) * np.array([1.0, 1.0, rng.uniform(0.15, 1.2)])
            pose = _pose(rng, spread_m, False)
            pose[2, 3] = 0.5 * size[2]
            mesh = box(size)
        else:
            mesh, pose = _turned_body(rng), _pose(rng, spread_m, rng.random() < 0.15)
        scene[f'clutter_{k}'] = ms.shape(mesh, ms.bsdf(_paint(rng)), T_world_mesh=pose)
    return scene


def room(rng: np.random.Generator) -> dict:
    """Table top or floor, and for some a wall or two, as Mitsuba shapes."""
    scene = {}
    top = box(np.array([rng.uniform(0.8, 3.0), rng.uniform(0.8, 3.0), 0.04])).moved(
        np.array([0.0, 0.0, -0.02]))
    scene['table'] = ms.shape(top, ms.bsdf(_paint(rng)))
    for k in range(int(rng.integers(0, 3))):
        wall = box(np.array([0.05, 6.0, 4.0]))
        pose = _pose(rng, 0.2, False)
        pose[:3, 3] = pose[:3, 0] * rng.uniform(0.5, 2.5)
        scene[f'wall_{k}'] = ms.shape(wall, ms.bsdf(_paint(rng)), T_world_mesh=pose)
    return scene


def render_background(seed: int, index: int, size_px: int) -> np.ndarray:
    """One picture (S, S, 3) uint8 sRGB."""
    rng = instance_rng(seed, index, 'backgrounds')
    spread = rng.uniform(0.12, 0.5)
    description = {
        'type': 'scene', 'integrator': ms.integrator(3, hide_emitters=False),
        'environment': ms.environment(sample_environment(rng)), **room(rng),
        **clutter(rng, int(rng.integers(3, 14)), spread)}
    scene = ms.mitsuba().load_dict(description)
    R = look_at_origin(float(np.radians(rng.uniform(8.0, 80.0))), float(rng.uniform(0.0, 6.3)))
    distance = rng.uniform(0.5, 1.3)
    position = -R[2] * distance + np.array([*rng.uniform(-0.15, 0.15, 2), rng.uniform(0.0, 0.1)])
    camera = ms.sensor(R, position, float(np.tan(np.radians(rng.uniform(16.0, 32.0)))), size_px,
                       size_px, 0.01, 50.0)
    frame = ms.render(scene, camera, SAMPLES, index)
    gains = sample_exposure(rng) * sample_white_balance(rng) * 0.55 / max(
        float(np.percentile(frame.rgb, 75)), 0.05)
    picture = np.round(255.0 * linear_to_srgb(frame.rgb * gains)).astype(np.uint8)
    # Few samples leave grain that no camera has.
    return cv2.fastNlMeansDenoisingColored(picture, None, 9, 9, 3, 13)


def background_path(folder: Path, index: int) -> Path:
    """Where a picture of that number is stored."""
    return folder / f'background-{index:05d}.npz'


def render_and_store(folder: Path, seed: int, size_px: int, index: int) -> None:
    """One job of ``nabs-pose render backgrounds``: skipped where the file is complete."""
    path = background_path(folder, index)
    if not path.exists():
        write_atomically(path, {'rgb': render_background(seed, index, size_px)})


def load_backgrounds(folder: Path, split: str = 'all') -> np.ndarray:
    """Pictures (N, S, S, 3) uint8 of 'train', 'validation' (the last tenth) or 'all'."""
    paths = sorted(Path(folder).glob('background-*.npz'))
    if not paths:
        raise DatasetError(f"no background-*.npz in '{folder}': render some first with "
                           f"'nabs-pose render backgrounds --out {folder}'")
    held_out = max(1, round(VALIDATION_SHARE * len(paths)))
    chosen = {'all': paths, 'train': paths[:-held_out], 'validation': paths[-held_out:]}[split]
    return np.stack([np.load(path)['rgb'] for path in chosen])
