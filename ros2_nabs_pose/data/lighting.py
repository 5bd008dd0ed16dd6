# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Procedural environment maps: rooms with windows and lamps, and the open sky."""

from __future__ import annotations

import numpy as np

ENV_HEIGHT, ENV_WIDTH = 32, 64


def _warmth(kelvin_like: float) -> np.ndarray:
    """(3,) tint from cool (-1) over neutral (0) to warm (1), about equal in luminance."""
    return np.array((1.0 + 0.22 * kelvin_like, 1.0, 1.0 - 0.30 * kelvin_like))


def _directions() -> tuple[np.ndarray, np.ndarray]:
    """Elevation (H, 1) from +pi/2 down and azimuth (1, W) of the map's pixels, radians."""
    elevation = np.pi * (0.5 - (np.arange(ENV_HEIGHT) + 0.5) / ENV_HEIGHT)
    azimuth = 2.0 * np.pi * (np.arange(ENV_WIDTH) + 0.5) / ENV_WIDTH
    return elevation[:, None], azimuth[None, :]


def _turned(azimuth: np.ndarray, center: float) -> np.ndarray:
    """Difference of azimuths, wrapped to [-pi, pi)."""
    return (azimuth - center + np.pi) % (2.0 * np.pi) - np.pi


def _room(rng: np.random.Generator) -> np.ndarray:
    elevation, azimuth = _directions()
    wall = _warmth(rng.uniform(-0.2, 0.6)) * rng.uniform(0.25, 0.9)
    ceiling = wall * rng.uniform(0.8, 1.8)
    image = np.where((elevation > rng.uniform(0.5, 0.8))[..., None], ceiling, wall)
    image = np.broadcast_to(image, (ENV_HEIGHT, ENV_WIDTH, 3)).copy()
    shade = 1.0 + rng.uniform(0.0, 0.6) * np.cos(_turned(azimuth, rng.uniform(0, 6.3)))
    image *= np.broadcast_to(shade, image.shape[:2])[..., None]
    # Furniture: darker and coloured blocks on the walls, for structure in reflections.
    for _ in range(int(rng.integers(2, 7))):
        low = rng.uniform(-0.4, 0.3)
        block = ((np.abs(_turned(azimuth, rng.uniform(0, 6.3))) < rng.uniform(0.1, 0.6))
                 & (elevation > low) & (elevation < low + rng.uniform(0.2, 0.8)))
        image[block] *= rng.uniform(0.2, 1.3, 3)
    for _ in range(int(rng.integers(0, 3))):
        low = rng.uniform(-0.05, 0.35)
        window = ((np.abs(_turned(azimuth, rng.uniform(0, 6.3))) < rng.uniform(0.15, 0.55))
                  & (elevation > low) & (elevation < low + rng.uniform(0.3, 0.8)))
        image[window] = _warmth(rng.uniform(-0.6, 0.1)) * rng.uniform(4.0, 22.0)
    for _ in range(int(rng.integers(1, 5))):
        at, up = rng.uniform(0, 6.3), rng.uniform(0.5, 1.45)
        size = rng.uniform(0.10, 0.30)
        spot = np.exp(-((_turned(azimuth, at) * np.cos(up)) ** 2 + (elevation - up) ** 2)
                      / (2.0 * size ** 2))
        image += spot[..., None] * _warmth(rng.uniform(-0.2, 1.0)) * rng.uniform(2.0, 16.0)
    return image


def _sky(rng: np.random.Generator) -> np.ndarray:
    elevation, azimuth = _directions()
    overcast = rng.random() < 0.5
    zenith = np.array((0.8, 0.85, 0.9)) if overcast else np.array((0.35, 0.55, 0.95))
    horizon = np.array((0.9, 0.9, 0.9)) if overcast else np.array((0.95, 0.92, 0.85))
    mix = np.clip(np.sin(elevation), 0.0, 1.0)[..., None] ** 0.6
    image = np.broadcast_to(zenith * mix + horizon * (1.0 - mix),
                            (ENV_HEIGHT, ENV_WIDTH, 3)).copy()
    sun, up = rng.uniform(0, 6.3), rng.uniform(0.35, 1.3)
    apart = (_turned(azimuth, sun) * np.cos(up)) ** 2 + (elevation - up) ** 2
    strength = rng.uniform(0.0, 2.0) if overcast else rng.uniform(15.0, 60.0)
    width = 0.5 if overcast else rng.uniform(0.08, 0.14)
    image += (np.exp(-apart / (2.0 * width ** 2)) * strength)[..., None] * _warmth(0.2)
    return image


def sample_environment(rng: np.random.Generator) -> np.ndarray:
    """(32, 64, 3) float32 linear radiance, mean over the sphere about 1; row 0 looks up (+z).

    The lower hemisphere is what a table or floor throws back.
    """
    image = _room(rng) if rng.random() < 0.75 else _sky(rng)
    elevation, _ = _directions()
    bounce = rng.uniform(0.08, 0.75) * np.exp(rng.normal(0.0, 0.18, 3))
    weight = np.clip(np.sin(elevation), 0.0, None)[..., None] * np.ones((1, ENV_WIDTH, 1))
    irradiance = (image * weight * np.cos(elevation)[..., None]).sum((0, 1)) / (
        weight * np.cos(elevation)[..., None]).sum((0, 1))
    below = elevation[:, 0] < -0.12
    image[below] = irradiance * bounce * (1.0 + 0.25 * rng.normal(size=(1, ENV_WIDTH, 1)))
    area = np.cos(elevation)[..., None]
    mean = float((image * area).sum() / (area.sum() * ENV_WIDTH * 3.0))
    return np.clip(image / mean, 0.005, None).astype(np.float32)


def sample_exposure(rng: np.random.Generator) -> float:
    """Factor on linear radiance: a photograph is rarely exposed for the object itself."""
    return float(np.exp(rng.normal(-0.05, 0.28)))


def sample_white_balance(rng: np.random.Generator) -> np.ndarray:
    """(3,) gains of a camera whose white balance is not quite right."""
    return np.exp(rng.normal(0.0, 0.05, 3))
