# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What objects are painted with: colours, prints and how they shine.

Colours are linear RGB reflectances. A look maps the material names of a shape's parts to paints.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np

TEXTURE_HEIGHT, TEXTURE_WIDTH = 96, 224
FINISHES = ('matte', 'satin', 'glazed', 'metal')
GLASS = 'glass'
"""The finish of what light goes straight through, see glass.py."""
_WORDS = ('COFFEE', 'Hello', 'BEST', 'Good', 'tea', 'Mon', '2024', 'LOVE', 'cafe', 'ROBOT', 'Home',
          'yes', 'No. 1', 'Club', 'Paris', 'Dad', 'MOM', 'team', 'lab', 'and', 'open', 'new')


@dataclass(frozen=True)
class Paint:
    """Colour (3,) or texture (H, W, 3), linear; finish: of FINISHES, or GLASS;
    roughness in [0, 1]. Of GLASS the colour is what its edges show in place of
    what lies behind, the roughness how thick it is.
    """

    color: np.ndarray
    finish: str
    roughness: float


@dataclass(frozen=True)
class Look:
    """Paints by material name, and the kind of pattern for the record."""

    paints: dict[str, Paint]
    pattern: str


def srgb_to_linear(c: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] to linear light."""
    c = np.asarray(c, dtype=np.float64)
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(c: np.ndarray) -> np.ndarray:
    """Linear light to sRGB, clipped to [0, 1]."""
    c = np.clip(c, 0.0, 1.0)
    return np.where(c <= 0.0031308, 12.92 * c, 1.055 * c ** (1.0 / 2.4) - 0.055)


def sample_color(rng: np.random.Generator) -> np.ndarray:
    """(3,) linear reflectance, as glazes and plastics have it: many whites, fewer loud colours."""
    kind = rng.choice(('white', 'cream', 'grey', 'black', 'pastel', 'dark', 'vivid'),
                      p=(0.25, 0.10, 0.07, 0.10, 0.14, 0.14, 0.20))
    hue = rng.random()
    if kind == 'white':
        hsv = (rng.uniform(0.05, 0.65), rng.uniform(0.0, 0.05), rng.uniform(0.86, 0.97))
    elif kind == 'cream':
        hsv = (rng.uniform(0.06, 0.14), rng.uniform(0.08, 0.40), rng.uniform(0.70, 0.94))
    elif kind == 'grey':
        hsv = (hue, rng.uniform(0.0, 0.10), rng.uniform(0.30, 0.75))
    elif kind == 'black':
        hsv = (hue, rng.uniform(0.0, 0.30), rng.uniform(0.08, 0.24))
    elif kind == 'pastel':
        hsv = (hue, rng.uniform(0.15, 0.42), rng.uniform(0.75, 0.95))
    elif kind == 'dark':
        # Browns, navy, bottle green and wine red are what dark mugs come in.
        hue = rng.choice((0.06, 0.61, 0.42, 0.97)) + rng.normal(0.0, 0.03)
        hsv = (hue % 1.0, rng.uniform(0.40, 0.85), rng.uniform(0.22, 0.50))
    else:
        hsv = (hue, rng.uniform(0.60, 0.92), rng.uniform(0.55, 0.92))
    return srgb_to_linear(np.array(colorsys.hsv_to_rgb(*hsv)))


def contrasting(rng: np.random.Generator, base: np.ndarray) -> np.ndarray:
    """A colour that can be told from ``base``."""
    best = sample_color(rng)
    for _ in range(4):
        if np.abs(linear_to_srgb(best) - linear_to_srgb(base)).max() > 0.25:
            break
        best = sample_color(rng)
    return best


def plain(color: np.ndarray) -> np.ndarray:
    """A texture of one colour (3,)."""
    return np.tile(color, (TEXTURE_HEIGHT, TEXTURE_WIDTH, 1))


def _bands(rng: np.random.Generator, base: np.ndarray) -> np.ndarray:
    """Horizontal or vertical bands in one or two colours."""
    image = plain(base)
    colors = [contrasting(rng, base) for _ in range(2)]
    vertical = rng.random() < 0.25
    length = TEXTURE_WIDTH if vertical else TEXTURE_HEIGHT
    if vertical or rng.random() < 0.35:
        count = int(rng.integers(6, 20)) if vertical else int(rng.integers(3, 9))
        edges = (np.arange(length) / length * count) % 1.0
        rows = [(edges < rng.uniform(0.3, 0.7), colors[0])]
    else:
        rows = []
        for k in range(int(rng.integers(1, 4))):
            low = rng.uniform(0.0, 0.95)
            at = np.arange(length) / length
            rows.append(((at >= low) & (at < low + rng.uniform(0.02, 0.35)), colors[k % 2]))
    for mask, color in rows:
        image[(slice(None), mask) if vertical else mask] = color
    return image


def _gradient(rng: np.random.Generator, base: np.ndarray) -> np.ndarray:
    """Glaze that runs from one colour into another, the border wavy or soft."""
    other = contrasting(rng, base)
    u = np.linspace(0.0, 2.0 * np.pi, TEXTURE_WIDTH)
    wave = sum(rng.normal(0.0, 0.03) * np.sin(k * u + rng.uniform(0.0, 6.3)) for k in (1, 2, 3, 5))
    v = np.linspace(0.0, 1.0, TEXTURE_HEIGHT)[:, None] + wave[None, :]
    mix = np.clip((v - rng.uniform(0.25, 0.75)) / rng.uniform(0.02, 0.8) + 0.5, 0.0, 1.0)[..., None]
    return base * (1.0 - mix) + other * mix


def _mottled(rng: np.random.Generator, base: np.ndarray) -> np.ndarray:
    """Stoneware: cloudy variation and dark or light speckles."""
    cells = (int(rng.integers(3, 10)), int(rng.integers(6, 20)))
    cloud = cv2.resize(rng.normal(0.0, 1.0, cells), (TEXTURE_WIDTH, TEXTURE_HEIGHT),
                       interpolation=cv2.INTER_CUBIC)
    image = base * np.exp(rng.uniform(0.03, 0.25) * cloud)[..., None]
    speckle = rng.random((TEXTURE_HEIGHT, TEXTURE_WIDTH)) < rng.uniform(0.0, 0.05)
    image[speckle] = contrasting(rng, base)
    return image


def _draw_print(rng: np.random.Generator, image: np.ndarray, base: np.ndarray) -> None:
    """Draws shapes and words into a patch of the texture, in place."""
    width, height = int(rng.uniform(0.16, 0.42) * TEXTURE_WIDTH), int(
        rng.uniform(0.30, 0.75) * TEXTURE_HEIGHT)
    # The print mostly sits on the two sides that a holder of the handle and others see.
    centre_u = (rng.choice((0.25, 0.75)) if rng.random() < 0.7 else rng.uniform(0.2, 0.8))
    x0 = int(np.clip(centre_u * TEXTURE_WIDTH - width / 2, 0, TEXTURE_WIDTH - width))
    y0 = int(rng.uniform(0.1, 0.9) * (TEXTURE_HEIGHT - height))
    patch = np.ascontiguousarray(image[y0:y0 + height, x0:x0 + width])
    if rng.random() < 0.35:
        patch[:] = contrasting(rng, base)
    palette = [contrasting(rng, base) for _ in range(3)]
    for _ in range(int(rng.integers(1, 6))):
        color = tuple(float(c) for c in palette[int(rng.integers(3))])
        at = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        kind = rng.integers(4)
        if kind == 0:
            cv2.circle(patch, at, int(rng.integers(2, max(3, height // 2))), color,
                       -1 if rng.random() < 0.7 else 2)
        elif kind == 1:
            corners = np.array(at) + rng.integers(-height // 2, height // 2 + 1, (5, 2))
            cv2.fillPoly(patch, [corners.astype(np.int32)], color)
        elif kind == 2:
            other = (int(rng.integers(0, width)), int(rng.integers(0, height)))
            cv2.rectangle(patch, at, other, color, -1 if rng.random() < 0.5 else 2)
        else:
            axes = (int(rng.integers(2, width // 2)), int(rng.integers(2, height // 2)))
            cv2.ellipse(patch, at, axes, float(rng.uniform(0, 180)), 0, 360, color, -1)
    for _ in range(int(rng.integers(0, 4))):
        color = tuple(float(c) for c in palette[int(rng.integers(3))])
        cv2.putText(patch, str(rng.choice(_WORDS)),
                    (int(rng.integers(0, width // 3 + 1)), int(rng.integers(10, height))),
                    int(rng.integers(0, 8)), float(rng.uniform(0.3, 1.0)), color,
                    int(rng.integers(1, 3)), cv2.LINE_AA)
    image[y0:y0 + height, x0:x0 + width] = patch


def _printed(rng: np.random.Generator, base: np.ndarray) -> np.ndarray:
    """One to three prints, as logos and labels are; drawn bottom up, so flipped at the end."""
    image = plain(base)
    for _ in range(int(rng.integers(1, 4))):
        _draw_print(rng, image, base)
    return image


def _allover(rng: np.random.Generator, base: np.ndarray) -> np.ndarray:
    """A motif (dots, diamonds, blots) repeated all over."""
    image = plain(base)
    colors = [contrasting(rng, base) for _ in range(2)]
    step = int(rng.integers(12, 34))
    radius = int(rng.uniform(0.15, 0.42) * step)
    jitter = rng.uniform(0.0, 0.35) * step
    for row, y in enumerate(range(step // 2, TEXTURE_HEIGHT, step)):
        for x in range((row % 2) * step // 2, TEXTURE_WIDTH, step):
            at = (int(x + rng.normal(0.0, jitter + 1e-9)), int(y + rng.normal(0.0, jitter + 1e-9)))
            color = tuple(float(c) for c in colors[int(rng.random() < 0.3)])
            cv2.circle(image, at, max(radius, 1), color, -1, cv2.LINE_AA)
    return image


#: name -> draws a texture over a base colour: (rng, (3,)) -> (H, W, 3), linear, not clipped.
PATTERNS = {'bands': _bands, 'gradient': _gradient, 'mottled': _mottled, 'printed': _printed,
            'allover': _allover}


def _finish(rng: np.random.Generator, metal_share: float) -> tuple[str, float]:
    finish = str(rng.choice(FINISHES, p=(0.22, 0.23, 0.55 - metal_share, metal_share)))
    low, high = {'matte': (0.5, 0.9), 'satin': (0.25, 0.45), 'glazed': (0.05, 0.16),
                 'metal': (0.15, 0.45)}[finish]
    return finish, float(rng.uniform(low, high))


def metal_color(rng: np.random.Generator) -> np.ndarray:
    """Steel mostly, sometimes copper or brass."""
    return np.array(((0.62, 0.61, 0.59), (0.62, 0.61, 0.59), (0.60, 0.62, 0.64), (0.72, 0.45, 0.32),
                     (0.70, 0.58, 0.32))[int(rng.integers(5))]) * rng.uniform(0.8, 1.1)


def sample_vessel_look(rng: np.random.Generator) -> Look:
    """Paints for a vessel with materials outside, inside, handle and lid.

    About 55 % plain, 20 % two-tone (inside or handle differ), 25 % with a pattern; 5 % metal.
    """
    pattern = str(rng.choice(('plain', 'two-tone', *PATTERNS),
                             p=(0.55, 0.20, 0.055, 0.045, 0.035, 0.08, 0.035)))
    finish, roughness = _finish(rng, 0.05)
    base = sample_color(rng)
    if finish == 'metal':
        base = metal_color(rng)
    outside = Paint(base, finish, roughness)
    inside, handle, lid = outside, outside, outside
    if pattern == 'two-tone':
        other = Paint(contrasting(rng, base), 'glazed' if finish == 'metal' else finish, roughness)
        white = Paint(np.array((0.80, 0.79, 0.76)), other.finish, roughness)
        inside = white if rng.random() < 0.4 else other
        if rng.random() < 0.35:
            handle = other
        if rng.random() < 0.15:
            inside = outside if handle is other else inside
    elif pattern in PATTERNS:
        texture = np.clip(PATTERNS[pattern](rng, base), 0.01, 0.95)
        # Drawn with row 0 at the top of the print; the renderer puts row 0 at v = 1.
        outside = Paint(texture, 'glazed' if finish == 'metal' else finish, roughness)
        inside = Paint(base, outside.finish, roughness)
        handle = inside
        if rng.random() < 0.25:
            inside = Paint(contrasting(rng, base), outside.finish, roughness)
        if rng.random() < 0.12:
            handle = Paint(contrasting(rng, base), outside.finish, roughness)
    if rng.random() < 0.6:
        lid = Paint(sample_color(rng), str(rng.choice(('matte', 'satin'))), 0.4)
    return Look({'outside': outside, 'inside': inside, 'handle': handle, 'lid': lid}, pattern)
