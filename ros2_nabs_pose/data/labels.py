# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Printed labels of packages: brand names, badges, bands, swooshes, small print and bar codes."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

from .looks import contrasting, linear_to_srgb, sample_color, srgb_to_linear

#: Rows of a label's texture; its columns follow from its proportions.
LABEL_HEIGHT = 128
_BRANDS = ('SOLA', 'Bravo', 'FRUTTO', 'Kiko', 'NORDIC', 'Vita', 'MAX', 'Aqua', 'COLA', 'Luna',
           'ZEST', 'Bella', 'TUNA', 'Tomato', 'SOUP', 'Mais', 'BEANS', 'Clean', 'SOFT', 'Dr. O',
           'Fresh',
           'ROYAL', 'Oro', 'PILS', 'Cola', 'Alpen', 'mint', 'CARE', '24h', 'ULTRA', 'Ketchup',
           'Pure')
_SMALL = ('net 330 ml', 'original', 'natural taste', 'since 1894', '500 g', 'with vitamin C',
          'premium', 'extra', 'classic', 'low fat', 'new recipe', 'imported', '5 % vol',
          'sensitive')

Color = tuple[float, float, float]


def brand_color(rng: np.random.Generator) -> np.ndarray:
    """(3,) linear: louder than vessels are, reds, blues, greens and yellows before others."""
    kind = rng.choice(('vivid', 'white', 'black', 'gold', 'any'), p=(0.62, 0.13, 0.06, 0.05, 0.14))
    if kind == 'any':
        return sample_color(rng)
    if kind == 'white':
        hsv = (rng.uniform(0.05, 0.65), rng.uniform(0.0, 0.06), rng.uniform(0.85, 0.97))
    elif kind == 'black':
        hsv = (rng.random(), rng.uniform(0.0, 0.4), rng.uniform(0.06, 0.18))
    elif kind == 'gold':
        hsv = (rng.uniform(0.10, 0.13), rng.uniform(0.35, 0.65), rng.uniform(0.65, 0.85))
    else:
        common = rng.choice((0.0, 0.99, 0.60, 0.62, 0.36, 0.13, 0.08, 0.52)) + rng.normal(0.0, 0.02)
        hue = common % 1.0 if rng.random() < 0.7 else rng.random()
        hsv = (hue, rng.uniform(0.70, 0.98), rng.uniform(0.45, 0.95))
    return srgb_to_linear(np.array(colorsys.hsv_to_rgb(*hsv)))


def _tuple(color: np.ndarray) -> Color:
    return float(color[0]), float(color[1]), float(color[2])


def _write(image: np.ndarray, text: str, middle: tuple[int, int], width: float, height: float,
           color: np.ndarray, font: int, outline: np.ndarray | None = None) -> None:
    """Writes a word centred at ``middle``, as large as width and height let it be, in place."""
    (w, h), _ = cv2.getTextSize(text, font, 1.0, 2)
    scale = min(width / max(w, 1), height / max(h, 1))
    thick = max(1, int(round(scale * 3.2)))
    at = (int(middle[0] - w * scale / 2), int(middle[1] + h * scale / 2))
    if outline is not None:
        cv2.putText(image, text, at, font, scale, _tuple(outline), thick + 3, cv2.LINE_AA)
    cv2.putText(image, text, at, font, scale, _tuple(color), thick, cv2.LINE_AA)


def _background(rng: np.random.Generator, image: np.ndarray, palette: list[np.ndarray]) -> None:
    """One colour, and for most a second one as bands, halves, waves, stripes or a gradient."""
    height, width = image.shape[:2]
    image[:] = palette[0]
    kind = rng.choice(('plain', 'bands', 'split', 'gradient', 'stripes', 'diagonal', 'picture'),
                      p=(0.24, 0.20, 0.16, 0.12, 0.07, 0.09, 0.12))
    u = np.linspace(0.0, 2.0 * np.pi, width)
    v = np.linspace(0.0, 1.0, height)[:, None]
    second = palette[1]
    if kind == 'bands':
        low, high = rng.uniform(0.04, 0.25, 2)
        image[:int(low * height)] = second
        image[int((1.0 - high) * height):] = second if rng.random() < 0.7 else palette[2]
        if rng.random() < 0.5:
            line = max(1, int(0.02 * height))
            for edge in (int(low * height), int((1.0 - high) * height) - line):
                image[edge:edge + line] = palette[2]
    elif kind == 'split':
        wave = rng.uniform(0.0, 0.16) * np.sin(2 * int(rng.integers(1, 3)) * u + rng.uniform(0, 6))
        mask = v > rng.uniform(0.3, 0.7) + wave[None, :]
        image[mask] = second
    elif kind == 'gradient':
        mix = np.clip((v - rng.uniform(0.2, 0.8)) / rng.uniform(0.3, 1.0) + 0.5, 0.0, 1.0)
        mix = mix[..., None]
        image[:] = palette[0] * (1.0 - mix) + second * mix
    elif kind == 'stripes':
        count = int(rng.integers(4, 20))
        image[:, (np.arange(width) / width * count) % 1.0 < rng.uniform(0.2, 0.6)] = second
    elif kind == 'diagonal':
        count, slope = int(rng.integers(1, 4)), rng.choice((-1, 1)) * rng.uniform(0.3, 1.5)
        phase = (np.arange(width)[None, :] / width * count + slope * v) % 1.0
        image[phase < rng.uniform(0.15, 0.5)] = second
    elif kind == 'picture':
        # Fruit, vegetables, waves: soft blobs of a few colours in the lower part.
        for _ in range(int(rng.integers(5, 16))):
            at = (int(rng.integers(width)), int(rng.uniform(0.5, 1.0) * height))
            radius = int(rng.uniform(0.06, 0.22) * height)
            color = palette[int(rng.integers(1, len(palette)))] * rng.uniform(0.7, 1.2)
            cv2.circle(image, at, radius, _tuple(color), -1, cv2.LINE_AA)
            cv2.circle(image, (at[0] - radius // 3, at[1] - radius // 3), max(radius // 3, 1),
                       _tuple(np.minimum(1.6 * color + 0.03, 0.95)), -1, cv2.LINE_AA)


def _badge(rng: np.random.Generator, image: np.ndarray, at: tuple[int, int], size: float,
           color: np.ndarray, rim: np.ndarray) -> None:
    """A disc, oval, ribbon, star or shield under the brand's name, in place."""
    kind = rng.integers(5)
    fill, edge, s = _tuple(color), _tuple(rim), max(int(size), 3)
    if kind == 0:
        cv2.circle(image, at, s, fill, -1, cv2.LINE_AA)
        cv2.circle(image, at, s, edge, 2, cv2.LINE_AA)
    elif kind == 1:
        cv2.ellipse(image, at, (int(1.5 * s), int(0.75 * s)), float(rng.uniform(-20, 20)), 0, 360,
                    fill, -1, cv2.LINE_AA)
    elif kind == 2:
        cv2.rectangle(image, (at[0] - int(1.5 * s), at[1] - s // 2),
                      (at[0] + int(1.5 * s), at[1] + s // 2), fill, -1)
    elif kind == 3:
        count = int(rng.integers(5, 17))
        turn = np.arange(2 * count) * np.pi / count
        reach = s * np.where(np.arange(2 * count) % 2, rng.uniform(0.5, 0.85), 1.1)
        star = np.stack([at[0] + reach * np.sin(turn), at[1] - reach * np.cos(turn)], 1)
        cv2.fillPoly(image, [np.round(star).astype(np.int32)], fill, cv2.LINE_AA)
    else:
        shield = np.array([(-1, -0.9), (1, -0.9), (1, 0.3), (0, 1.1), (-1, 0.3)]) * s + at
        cv2.fillPoly(image, [np.round(shield).astype(np.int32)], fill, cv2.LINE_AA)
        cv2.polylines(image, [np.round(shield).astype(np.int32)], True, edge, 2, cv2.LINE_AA)


def _front(rng: np.random.Generator, image: np.ndarray, centre: int, width: int,
           palette: list[np.ndarray]) -> None:
    """Brand name over a badge, a line of small print, some decoration around one centre."""
    height = image.shape[0]
    y = int(rng.uniform(0.28, 0.55) * height)
    under = palette[0]
    if rng.random() < 0.55:
        badge = palette[int(rng.integers(1, len(palette)))]
        _badge(rng, image, (centre, y), rng.uniform(0.18, 0.36) * min(height, width), badge,
               palette[2])
        under = badge
    ink = contrasting(rng, under)
    if rng.random() < 0.35:
        ink = np.full(3, 0.85) if linear_to_srgb(under).mean() < 0.6 else np.full(3, 0.02)
    font = int(rng.choice((0, 2, 3, 4, 6, 7))) | (cv2.FONT_ITALIC if rng.random() < 0.25 else 0)
    _write(image, str(rng.choice(_BRANDS)), (centre, y), rng.uniform(0.6, 0.95) * width,
           rng.uniform(0.16, 0.34) * height, ink, font,
           contrasting(rng, ink) if rng.random() < 0.3 else None)
    for _ in range(int(rng.integers(0, 4))):
        _write(image, str(rng.choice(_SMALL)), (centre, int(rng.uniform(0.08, 0.95) * height)),
               rng.uniform(0.3, 0.7) * width, rng.uniform(0.05, 0.10) * height,
               palette[int(rng.integers(1, len(palette)))], 0)
    if rng.random() < 0.35:  # what is in it
        at = (centre + int(rng.normal(0.0, 0.12) * width), int(rng.uniform(0.68, 0.9) * height))
        axes = (int(rng.uniform(0.08, 0.3) * width), int(rng.uniform(0.06, 0.2) * height))
        color = brand_color(rng)
        cv2.ellipse(image, at, axes, float(rng.uniform(-30, 30)), 0, 360, _tuple(color), -1,
                    cv2.LINE_AA)
        cv2.ellipse(image, at, (axes[0] // 2, axes[1] // 2), 0.0, 0, 360, _tuple(0.6 * color), -1,
                    cv2.LINE_AA)


def _small_print(rng: np.random.Generator, image: np.ndarray, centre: int, width: int,
                 ink: np.ndarray) -> None:
    """A bar code, and lines too small to read."""
    height = image.shape[0]
    if rng.random() < 0.6:
        w, h = int(rng.uniform(0.35, 0.6) * width), int(rng.uniform(0.15, 0.35) * height)
        x0 = max(centre - w // 2, 0)
        y0 = int(rng.uniform(0.45, 0.95 - h / height) * height)
        image[y0:y0 + h, x0:x0 + w] = 0.88
        bars = rng.random(w) < 0.5
        bars[:3] = bars[-3:] = False
        patch = image[y0 + 2:y0 + h - 2, x0:x0 + w]
        patch[:, bars[:patch.shape[1]]] = 0.02
    for k in range(int(rng.integers(3, 9))):
        y = int((0.08 + 0.045 * k) * height)
        x = np.arange(max(centre - width // 2, 0), min(centre + width // 2, image.shape[1]))
        image[y:y + 2, x[rng.random(len(x)) < 0.7]] = ink


def sample_palette(rng: np.random.Generator) -> list[np.ndarray]:
    """Four colours of a brand; the first is the ground's, the others can be told from it."""
    base = brand_color(rng)
    others = []
    for _ in range(3):
        color = brand_color(rng)
        others.append(color if np.abs(linear_to_srgb(color) - linear_to_srgb(base)).max() > 0.25
                      else contrasting(rng, base))
    return [base, *others]


def label_texture(rng: np.random.Generator, aspect: float, palette: list[np.ndarray],
                  wraps: bool = True) -> np.ndarray:
    """(LABEL_HEIGHT, W, 3) linear, first row at the top of the label.

    aspect: width over height of the label. wraps: it goes all the way round, so that it has two
    fronts or a front and a back; its main front is in the middle. Otherwise it is one front.
    """
    width = int(np.clip(aspect, 0.4, 8.0) * LABEL_HEIGHT)
    image = np.zeros((LABEL_HEIGHT, width, 3))
    _background(rng, image, palette)
    if not wraps:
        _front(rng, image, width // 2, int(0.9 * width), palette)
        if rng.random() < 0.3:
            edge = max(2, int(0.03 * LABEL_HEIGHT))
            cv2.rectangle(image, (edge, edge), (width - edge, LABEL_HEIGHT - edge),
                          _tuple(palette[2]), max(1, edge // 2))
        return np.clip(image, 0.01, 0.95)
    face = int(0.36 * width)
    if rng.random() < 0.45:  # the same front twice, drawn once
        half: np.ndarray = np.ascontiguousarray(image[:, width // 4:width // 4 + width // 2])
        _front(rng, half, half.shape[1] // 2, face, palette)
        image[:, width // 4:width // 4 + half.shape[1]] = half
        image[:] = np.roll(image, width // 2, axis=1)
        image[:, width // 4:width // 4 + half.shape[1]] = half
    else:
        _front(rng, image, width // 2, face, palette)
        for centre in (int(0.10 * width), int(0.88 * width)):
            if rng.random() < 0.7:
                _small_print(rng, image, centre, int(0.18 * width), contrasting(rng, palette[0]))
    return np.clip(image, 0.01, 0.95)
