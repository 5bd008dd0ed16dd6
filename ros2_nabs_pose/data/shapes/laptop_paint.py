# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What laptops are painted with: cases, keyboards, screens lit or dark, logos.

Pictures are drawn in sRGB with row 0 at the top as their viewer sees them, then made linear.
"""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ..looks import Look, Paint, srgb_to_linear

if TYPE_CHECKING:
    from .laptop import LaptopParameters

#: Pixels a metre of the deck's texture, and of screens and backs.
DECK_DENSITY, PLATE_DENSITY = 1300.0, 800.0
KEY_PITCH_M = 0.019
#: Widths of keys in units of the pitch, row by row from the back; each row sums to 15.
KEY_ROWS = ((1,) * 15, (1,) * 13 + (2,), (1.5,) + (1,) * 12 + (1.5,), (1.75,) + (1,) * 11 + (2.25,),
            (2.25,) + (1,) * 10 + (2.75,), (1, 1, 1, 1.25, 5.5, 1.25, 1, 1, 1, 1))
SCREENS = ('desktop', 'windows', 'text', 'gradient', 'dark')
SCREEN_WEIGHTS = (0.24, 0.24, 0.12, 0.10, 0.30)
CASES = ('silver', 'grey', 'black', 'white', 'colored')
CASE_WEIGHTS = (0.34, 0.22, 0.26, 0.09, 0.09)


def _hsv(h: float, s: float, v: float) -> np.ndarray:
    return np.array(colorsys.hsv_to_rgb(h % 1.0, s, v))


def _random_color(rng: np.random.Generator, low: float = 0.2) -> np.ndarray:
    return _hsv(rng.random(), rng.uniform(0.0, 0.9), rng.uniform(low, 1.0))


def _tuple(color: np.ndarray) -> tuple[float, ...]:
    return tuple(float(c) for c in color)


def _box(image: np.ndarray, x0: float, y0: float, x1: float, y1: float,
         color: np.ndarray) -> None:
    """Fills a rectangle given in pixels, in place; the far edges are not included."""
    height, width = image.shape[:2]
    image[max(int(round(y0)), 0):min(int(round(y1)), height),
          max(int(round(x0)), 0):min(int(round(x1)), width)] = color


def _case(rng: np.random.Generator) -> tuple[str, np.ndarray, str, float]:
    """Kind, sRGB colour, finish and roughness of the shell."""
    kind = str(rng.choice(CASES, p=CASE_WEIGHTS))
    color = {'silver': _hsv(rng.uniform(0.05, 0.65), rng.uniform(0.0, 0.04), rng.uniform(.72, .88)),
             'grey': _hsv(rng.uniform(0.55, 0.65), rng.uniform(0.0, 0.07), rng.uniform(0.38, 0.60)),
             'black': _hsv(rng.random(), rng.uniform(0.0, 0.10), rng.uniform(0.09, 0.26)),
             'white': _hsv(0.1, rng.uniform(0.0, 0.05), rng.uniform(0.88, 0.96)),
             'colored': _hsv(rng.random(), rng.uniform(0.2, 0.85), rng.uniform(0.35, 0.85))}[kind]
    metal = {'silver': 0.6, 'grey': 0.5, 'black': 0.08, 'white': 0.0, 'colored': 0.3}[kind]
    if rng.random() < metal:
        return kind, color, 'metal', float(rng.uniform(0.35, 0.60))
    finish = str(rng.choice(('matte', 'satin', 'glazed'), p=(0.35, 0.50, 0.15)))
    low, high = {'matte': (0.5, 0.9), 'satin': (0.28, 0.5), 'glazed': (0.08, 0.2)}[finish]
    return kind, color, finish, float(rng.uniform(low, high))


def _draw_keys(rng: np.random.Generator, image: np.ndarray, area: tuple[float, float, float, float],
               keys: np.ndarray, legend: np.ndarray | None, numeric: bool) -> None:
    """Draws rows of keys into the area (x0, y0, x1, y1 in pixels), with a numeric pad or none."""
    x0, y0, x1, y1 = area
    units = 19.25 if numeric else 15.0
    pitch = (x1 - x0) / units
    heights = np.array([rng.uniform(0.5, 1.0), 1.0, 1.0, 1.0, 1.0, 1.0])
    edges = y0 + np.concatenate([[0.0], np.cumsum(heights)]) * (y1 - y0) / heights.sum()
    gap = pitch * rng.uniform(0.10, 0.22) / 2.0
    for row, widths in enumerate(KEY_ROWS):
        starts = np.concatenate([[0.0], np.cumsum(widths)])
        spans = [(a, b) for a, b in zip(starts[:-1], starts[1:], strict=True)]
        if numeric:
            spans += [(15.25 + k, 16.25 + k) for k in range(4)]
        for a, b in spans:
            left, right = x0 + a * pitch + gap, x0 + b * pitch - gap
            top, bottom = edges[row] + gap, edges[row + 1] - gap
            _box(image, left, top, right, bottom, keys)
            if legend is not None and b - a < 3.0:
                size = max(pitch * 0.16, 1.0)
                cx, cy = left + rng.uniform(0.3, 0.5) * (right - left), 0.5 * (top + bottom)
                _box(image, cx - size, cy - size, cx + size, cy + size, 0.5 * (keys + legend))


def deck_texture(rng: np.random.Generator, p: LaptopParameters, shell: np.ndarray,
                 kind: str) -> np.ndarray:
    """(H, W, 3) sRGB of the keyboard side: row 0 at the hinge, left as the user sees it."""
    width, height = int(p.width_m * DECK_DENSITY), int(p.depth_m * DECK_DENSITY)
    deck = shell
    if kind not in ('black', 'white') and rng.random() < 0.2:
        deck = np.full(3, rng.uniform(0.1, 0.3))
    image = np.tile(deck, (height, width, 1))
    numeric = p.width_m > 0.35 and rng.random() < 0.65
    units = 19.25 if numeric else 15.0
    span = min(units * KEY_PITCH_M, p.width_m - 0.016) * DECK_DENSITY
    rows = min(5.7 * KEY_PITCH_M, 0.48 * p.depth_m) * DECK_DENSITY
    top = rng.uniform(0.07, 0.16) * height
    x0 = 0.5 * (width - span)
    light_keys = kind in ('silver', 'white') and rng.random() < (0.8 if kind == 'white' else 0.25)
    keys = (_hsv(0.1, 0.02, rng.uniform(0.75, 0.95)) if light_keys
            else np.full(3, rng.uniform(0.05, 0.20)))
    style = rng.random()
    pad = rng.uniform(0.002, 0.006) * DECK_DENSITY
    well = deck if style < 0.3 else (deck * rng.uniform(0.65, 0.9) if style < 0.6
                                     else keys * rng.uniform(0.7, 1.6))
    _box(image, x0 - pad, top - pad, x0 + span + pad, top + rows + pad, np.clip(well, 0.0, 1.0))
    legend = np.full(3, 0.15 if light_keys else 0.85) if rng.random() < 0.7 else None
    if legend is not None and not light_keys and rng.random() < 0.08:
        legend = _hsv(rng.random(), 0.8, 1.0)
    _draw_keys(rng, image, (x0, top, x0 + span, top + rows), keys, legend, numeric)
    if x0 > 0.02 * DECK_DENSITY and rng.random() < 0.4:  # loudspeakers beside the keys
        for left in (0.25 * x0, width - 0.75 * x0):
            _box(image, left, top, left + 0.5 * x0, top + rows, deck * rng.uniform(0.7, 0.9))
    _draw_pad(rng, image, deck, x0 + 7.0 / units * span if numeric else 0.5 * width, top + rows)
    if rng.random() < 0.25:  # stickers on the palm rest
        for k in range(int(rng.integers(1, 4))):
            size = rng.uniform(0.012, 0.022) * DECK_DENSITY
            left = (0.012 + 0.026 * k) * DECK_DENSITY
            _box(image, left, height - size - 14, left + size * rng.uniform(0.8, 1.3), height - 14,
                 _random_color(rng))
    return image


def _draw_pad(rng: np.random.Generator, image: np.ndarray, deck: np.ndarray, centre: float,
              keys_end: float) -> None:
    """The touch pad between the keys and the front edge, with or without buttons, in place."""
    height, width = image.shape[:2]
    free = height - keys_end
    tall = rng.uniform(0.60, 0.86) * free
    wide = np.clip(tall * rng.uniform(1.3, 1.9), 0.2 * width, 0.46 * width)
    y0 = keys_end + rng.uniform(0.4, 0.75) * (free - tall)
    x0, x1 = centre - wide / 2.0, centre + wide / 2.0
    shade = rng.uniform(0.78, 0.97) if deck.max() > 0.4 else rng.uniform(0.75, 1.5)
    line = deck * 0.6 if deck.max() > 0.3 else deck + 0.18
    _box(image, x0 - 2, y0 - 2, x1 + 2, y0 + tall + 2, line)
    _box(image, x0, y0, x1, y0 + tall, np.clip(deck * shade, 0.0, 1.0))
    if rng.random() < 0.25:
        split = y0 + 0.78 * tall
        _box(image, x0, split, x1, split + 2, line)
        _box(image, centre - 1, split, centre + 1, y0 + tall, line)


def _wallpaper(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A gradient with soft blots, hills or both: what desktops are covered with."""
    a, b, c = (_random_color(rng, 0.3) for _ in range(3))
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    turn = rng.uniform(0.0, 2.0 * np.pi)
    mix = np.clip(0.5 + np.cos(turn) * (x - 0.5) + np.sin(turn) * (y - 0.3), 0.0, 1.0)[..., None]
    image = a * (1.0 - mix) + b * mix
    if rng.random() < 0.6:
        cells = rng.random((int(rng.integers(2, 7)), int(rng.integers(3, 10)))).astype(np.float32)
        cloud = cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
        amount = np.clip((cloud - 0.5) * rng.uniform(1.0, 6.0) + 0.5, 0.0, 1.0)[..., None]
        image = image * (1.0 - amount) + c * amount
    for _ in range(int(rng.integers(0, 3))):
        ridge = np.full(width, rng.uniform(0.4, 0.95))
        for k in (1, 2, 3):
            ridge += rng.normal(0.0, 0.06) * np.sin(k * 6.3 * np.arange(width) / width
                                                    + rng.uniform(0, 6))
        below = (np.arange(height) / height)[:, None] > ridge[None]
        image[below] = _random_color(rng, 0.1) * 0.8
    return image


def _draw_lines(rng: np.random.Generator, image: np.ndarray, area: tuple[float, ...],
                ink: np.ndarray) -> None:
    """Lines of text-like dashes, broken into words and paragraphs."""
    x0, y0, x1, y1 = area
    pitch = rng.uniform(4.0, 8.0)
    y = y0 + pitch
    while y < y1 - pitch:
        x, end = x0 + 3.0, x0 + rng.uniform(0.5, 0.97) * (x1 - x0)
        if rng.random() > 0.12:
            while x < end:
                word = rng.uniform(4.0, 18.0)
                _box(image, x, y, min(x + word, end), y + 0.45 * pitch, ink)
                x += word + 3.0
        y += pitch


def _draw_window(rng: np.random.Generator, image: np.ndarray, area: tuple[float, ...]) -> None:
    """A window with a title bar, text and perhaps a picture or a side bar, in place."""
    x0, y0, x1, y1 = area
    dark = rng.random() < 0.3
    paper = np.full(3, rng.uniform(0.08, 0.2) if dark else rng.uniform(0.92, 1.0))
    ink = _hsv(rng.random(), rng.uniform(0, 0.5), rng.uniform(0.6, 0.9) if dark else 0.3)
    _box(image, x0, y0, x1, y1, paper)
    bar = _random_color(rng) if rng.random() < 0.4 else np.full(3, 0.3 if dark else 0.8)
    _box(image, x0, y0, x1, y0 + 8, bar)
    left = x0
    if rng.random() < 0.4:
        left = x0 + rng.uniform(0.12, 0.3) * (x1 - x0)
        _box(image, x0, y0 + 8, left, y1, 0.85 * paper + 0.15 * bar)
    below = y0 + 10.0
    if rng.random() < 0.45:
        below += rng.uniform(0.2, 0.5) * (y1 - below)
        height, width = int(below - y0 - 12), int(0.9 * (x1 - left))
        if height > 2 and width > 2:
            _box_image(image, left + 4, y0 + 12, _wallpaper(rng, height, width))
    _draw_lines(rng, image, (left, below, x1, y1), ink)


def _box_image(image: np.ndarray, x0: float, y0: float, patch: np.ndarray) -> None:
    """Pastes a patch with its upper left corner there, cut at the edges, in place."""
    x, y = max(int(x0), 0), max(int(y0), 0)
    target = image[y:y + len(patch), x:x + patch.shape[1]]
    target[:] = patch[:target.shape[0], :target.shape[1]]


def _content(rng: np.random.Generator, kind: str, height: int, width: int) -> np.ndarray:
    """(height, width, 3) sRGB of what the screen shows."""
    if kind == 'dark':
        return np.full((height, width, 3), rng.uniform(0.015, 0.09))
    image = _wallpaper(rng, height, width)
    if kind == 'gradient':
        return image
    if kind == 'text':
        _draw_window(rng, image, (0.0, 0.0, width, height))
        return image
    if kind == 'windows':
        for _ in range(int(rng.integers(1, 4))):
            w, h = rng.uniform(0.35, 0.8) * width, rng.uniform(0.4, 0.85) * height
            x0, y0 = rng.uniform(0, width - w), rng.uniform(0, height - h)
            _draw_window(rng, image, (x0, y0, x0 + w, y0 + h))
    else:
        for k in range(int(rng.integers(0, 12))):
            size = 0.045 * width
            x0, y0 = 0.03 * width + (k // 5) * 2.0 * size, (0.05 + 0.16 * (k % 5)) * height
            _box(image, x0, y0, x0 + size, y0 + size, _random_color(rng))
    bar = np.full(3, rng.choice((0.1, 0.2, 0.9)))
    if rng.random() < 0.5:
        _box(image, 0, 0.95 * height, width, height, bar)
        for k in range(8):
            x0 = (0.3 + 0.05 * k) * width
            _box(image, x0, 0.96 * height, x0 + 0.025 * width, 0.99 * height, _random_color(rng))
    else:
        _box(image, 0, 0, width, 0.03 * height, bar)
        _box(image, 0.25 * width, 0.9 * height, 0.75 * width, 0.98 * height, 0.5 + 0.4 * bar)
    return image


def screen_texture(rng: np.random.Generator, p: LaptopParameters, kind: str,
                   bezel: np.ndarray) -> np.ndarray:
    """(H, W, 3) sRGB of the lid's inner side, bezel included, upright for the user."""
    width, height = int(p.width_m * PLATE_DENSITY), int(p.lid_height_m * PLATE_DENSITY)
    image = np.tile(bezel, (height, width, 1))
    x0, y0 = p.bezel_side_m * PLATE_DENSITY, p.bezel_top_m * PLATE_DENSITY
    _box_image(image, x0, y0, _content(rng, kind, int(p.screen_height_m * PLATE_DENSITY),
                                       int(p.screen_width_m * PLATE_DENSITY)))
    if bezel.max() > 0.3 or rng.random() < 0.5:
        cv2.circle(image, (width // 2, max(int(y0 / 2), 1)), 2, (0.05, 0.05, 0.06), -1)
    if p.bezel_bottom_m > 0.016 and rng.random() < 0.5:
        _box(image, 0.45 * width, height - 0.6 * p.bezel_bottom_m * PLATE_DENSITY, 0.55 * width,
             height - 0.4 * p.bezel_bottom_m * PLATE_DENSITY,
             np.full(3, 0.75 if bezel.max() < 0.4 else 0.3))
    return image


def _back_texture(rng: np.random.Generator, p: LaptopParameters, shell: np.ndarray) -> np.ndarray:
    """(H, W, 3) sRGB of the lid's back, upright for who stands behind it: logo, stickers."""
    width, height = int(p.width_m * PLATE_DENSITY), int(p.lid_height_m * PLATE_DENSITY)
    image = np.tile(shell, (height, width, 1))
    logo = (np.clip(shell * rng.uniform(0.5, 0.7), 0, 1) if shell.max() > 0.5
            else np.full(3, rng.uniform(0.6, 0.95)))
    if rng.random() < 0.2:
        logo = _random_color(rng)
    at = (int(rng.choice((0.5, 0.5, 0.5, 0.85)) * width),
          int(rng.choice((0.5, 0.45, 0.3)) * height))
    size = int(rng.uniform(0.03, 0.075) * width)
    form = rng.integers(4)
    if form == 0:
        cv2.circle(image, at, size, _tuple(logo), -1 if rng.random() < 0.5 else 3, cv2.LINE_AA)
    elif form == 1:
        cv2.putText(image, str(rng.choice(('NOTE', 'book', 'Aero', 'LAB', 'Nova', 'zen'))),
                    (at[0] - 2 * size, at[1]), int(rng.integers(0, 4)), size / 16.0, _tuple(logo),
                    2, cv2.LINE_AA)
    elif form == 2:
        for k in (0, 1):
            for m in (0, 1):
                _box(image, at[0] + (k - 1) * size + 1, at[1] + (m - 1) * size + 1,
                     at[0] + k * size, at[1] + m * size, logo)
    else:
        cv2.ellipse(image, at, (size, int(1.2 * size)), 0.0, 0, 360, _tuple(logo), -1, cv2.LINE_AA)
        cv2.ellipse(image, (at[0] + size // 3, at[1] - int(1.5 * size)),
                    (size // 3, size // 6), -40.0, 0, 360, _tuple(logo), -1, cv2.LINE_AA)
    if rng.random() < 0.08:
        for _ in range(int(rng.integers(1, 7))):
            x0, y0 = rng.uniform(0, 0.85) * width, rng.uniform(0, 0.8) * height
            _box(image, x0, y0, x0 + rng.uniform(15, 50), y0 + rng.uniform(15, 40),
                 _random_color(rng))
    return image


def paint_laptop(rng: np.random.Generator, p: LaptopParameters) -> Look:
    """Paints with the materials shell, bottom, deck, lid, lid_rim, screen and hinge."""
    def linear(srgb: np.ndarray) -> np.ndarray:
        return np.clip(srgb_to_linear(np.clip(srgb, 0.0, 1.0)), 0.01, 0.95)

    kind, shell, finish, roughness = _case(rng)
    lid = shell
    if rng.random() < 0.12:
        lid = np.full(3, rng.uniform(0.1, 0.25)) if shell.max() > 0.4 else shell * 1.8
    bezel = np.full(3, rng.uniform(0.02, 0.12))
    if rng.random() < 0.2:
        bezel = shell
    picture = str(rng.choice(SCREENS, p=SCREEN_WEIGHTS))
    glossy = rng.random() < (0.75 if picture == 'dark' else 0.5)
    screen = linear(screen_texture(rng, p, picture, bezel))
    dark = np.full(3, rng.uniform(0.03, 0.12))
    paints = {
        'shell': Paint(linear(shell), finish, roughness),
        'bottom': Paint(linear(shell if rng.random() < 0.5 else dark), 'matte', 0.7),
        'deck': Paint(linear(deck_texture(rng, p, shell, kind)), finish, roughness),
        'lid': Paint(linear(_back_texture(rng, p, lid)), finish, roughness),
        'lid_rim': Paint(linear(lid), finish, roughness),
        'screen': Paint(screen, 'glazed' if glossy else 'satin',
                        float(rng.uniform(0.05, 0.14) if glossy else rng.uniform(0.3, 0.5))),
        'hinge': Paint(linear(shell if rng.random() < 0.4 else dark), 'satin', 0.4)}
    return Look(paints, f'{kind}, {picture}')
