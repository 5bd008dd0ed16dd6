# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What cameras are painted with: plastics, leather, metal, names and screens."""

from __future__ import annotations

import cv2
import numpy as np

from . import Shape
from .camera_parts import HANDWOUND
from ..looks import contrasting, Look, Paint, sample_color, srgb_to_linear

_NAMES = ('NOVA', 'Lumen', 'ORION', 'Kestrel', 'Fotex', 'VISTA', 'Argo', 'Zeon', 'MIRA', 'Optar')


def _name_texture(rng: np.random.Generator, ground: np.ndarray) -> np.ndarray:
    """A maker's name, light on dark or dark on light."""
    image = np.tile(ground, (32, 96, 1))
    ink = (0.85, 0.85, 0.85) if ground.mean() < 0.3 else (0.02, 0.02, 0.02)
    text = str(rng.choice(_NAMES))
    (width, height), _ = cv2.getTextSize(text, 0, 1.0, 2)
    scale = min(86.0 / width, 22.0 / height)
    cv2.putText(image, text, (int(48 - width * scale / 2), int(16 + height * scale / 2)), 0, scale,
                ink, 2, cv2.LINE_AA)
    return image


def _screen(rng: np.random.Generator) -> Paint:
    """The display: off mostly, or showing a landscape."""
    dark = np.full(3, rng.uniform(0.008, 0.03))
    if rng.random() < 0.7:
        return Paint(dark, 'glazed', 0.06)
    rows = np.linspace(0.0, 1.0, 48)[:, None, None]
    sky, ground = sample_color(rng), sample_color(rng)
    image = np.where(rows < rng.uniform(0.35, 0.65), sky * (0.6 + 0.4 * rows), ground)
    return Paint(np.clip(np.broadcast_to(image, (48, 64, 3)), 0.01, 0.95).copy(), 'glazed', 0.1)


#: Of each kind: share of black bodies, and of black or silver ones; the rest have a colour.
_BODIES = {'slr': (0.93, 0.97), 'bridge': (0.93, 0.97), 'mirrorless': (0.66, 0.88),
           'film': (0.86, 0.88), 'retro': (0.65, 0.72), 'compact': (0.34, 0.60),
           'instant': (0.25, 0.35)}


def sample_look(rng: np.random.Generator, shape: Shape) -> Look:
    """Black plastics mostly, silver for some, loud colours for compacts and instant cameras.

    What is wound by hand wears leather between metal plates; plates of others may be of a second
    colour.
    """
    kind = str(shape.parameters['kind'])
    black = Paint(np.full(3, rng.uniform(0.012, 0.05)), 'satin', float(rng.uniform(0.3, 0.6)))
    silver = Paint(np.array((0.58, 0.58, 0.57)) * rng.uniform(0.7, 1.1),
                   str(rng.choice(('satin', 'metal'))), 0.3)
    color = Paint(sample_color(rng), str(rng.choice(('satin', 'glazed'))),
                  float(rng.uniform(0.1, 0.4)))
    draw = rng.random()
    black_share, silver_share = _BODIES[kind]
    body = black if draw < black_share else silver if draw < silver_share else color
    leather = Paint(np.full(3, rng.uniform(0.012, 0.035)), 'matte', 0.8)
    if kind in HANDWOUND:
        plate = silver if rng.random() < 0.7 else black
        body = leather if body is black else body
    else:
        plate = silver if body is black and rng.random() < 0.12 else body
        if rng.random() < 0.35:
            second = contrasting(rng, np.asarray(body.color))
            plate = black if rng.random() < 0.4 else Paint(second, 'satin', 0.3)
    barrel = body if rng.random() < 0.35 and body is not leather else black
    if kind in ('compact', 'retro', 'film') and rng.random() < 0.35:
        barrel = silver
    accent_color = srgb_to_linear(np.array(((0.8, 0.1, 0.1), (0.85, 0.7, 0.2), (0.75, 0.75, 0.75),
                                            (0.1, 0.1, 0.1), (0.3, 0.3, 0.32))[rng.integers(5)]))
    accent = Paint(accent_color, 'satin', 0.3)
    tint = np.array(((0.01, 0.01, 0.02), (0.03, 0.01, 0.04), (0.01, 0.03, 0.03))[rng.integers(3)])
    screen = _screen(rng)
    under = plate if shape.parameters['hump_m'] > 0.0 or shape.parameters['plate'] > 0.0 else body
    band = (barrel, barrel, silver, accent, leather)[rng.integers(5)]
    paints = {
        'body': body, 'plate': plate, 'grip': leather if body is not color else body,
        'barrel': barrel, 'band': band, 'door': leather if rng.random() < 0.8 else body,
        'dark': Paint(np.full(3, 0.012), 'matte', 0.6),
        'glass': Paint(tint, 'glazed', 0.03), 'accent': accent,
        'trim': black if rng.random() < 0.6 else silver, 'metal': silver, 'screen': screen,
        'screen_off': Paint(np.full(3, 0.015), 'glazed', 0.05),
        'flash': Paint(np.array((0.72, 0.72, 0.68)), 'glazed', 0.15),
        'name': Paint(_name_texture(rng, np.asarray(under.color)), under.finish, under.roughness)}
    return Look(paints, kind)
