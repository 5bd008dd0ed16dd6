# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What a mesh file says of colours, as texture coordinates and a coat to paint it with.

Textures stay textures; colours of vertices and faces become a small texture of their own, in which
every triangle has 2 x 2 texels between which the renderer's bilinear filter interpolates exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from .looks import srgb_to_linear

#: Pictures larger than this are shrunk: views are a hundred pixels across.
MAX_TEXTURE_PX = 1024
#: What nothing exceeds, and nothing falls below, that reflects light.
REFLECTANCE = (0.01, 0.95)


@dataclass(frozen=True)
class Coat:
    """Colour (3,) or texture (H, W, 3), linear; finish and roughness; None where nobody says."""

    color: np.ndarray | None
    finish: str | None = None
    roughness: float | None = None


def _limited(color: np.ndarray) -> np.ndarray:
    return np.clip(np.asarray(color, np.float32), *REFLECTANCE)


def _picture(image: Any) -> np.ndarray:
    """A PIL image as (H, W, 3) linear; raises OSError where its data is cut short."""
    image.load()
    rgba = np.asarray(image.convert('RGBA'), np.float64) / 255.0
    # Nothing is transparent here: what is cut out of a picture shows paper.
    paper = rgba[..., :3] * rgba[..., 3:] + 1.0 - rgba[..., 3:]
    rgb: np.ndarray = srgb_to_linear(paper).astype(np.float32)
    height, width = rgb.shape[:2]
    shrink = MAX_TEXTURE_PX / max(height, width)
    if shrink < 1.0:
        rgb = cv2.resize(rgb, (max(1, round(width * shrink)), max(1, round(height * shrink))),
                         interpolation=cv2.INTER_AREA)
    return rgb


def wrapped(uv: np.ndarray) -> np.ndarray:
    """(M, 3, 2) coordinates shifted by whole numbers per triangle, so that they start in [0, 1).

    Textures repeat, and the renderer tells objects apart by large whole numbers in these.
    """
    return uv - np.floor(uv.min(axis=1, keepdims=True))


def baked(colors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Texture (H, W, 3) and coordinates (M, 3, 2) that give corners their colours (M, 3, 3).

    The fourth texel of a triangle's block continues the plane through the other three, so that
    the bilinear filter is linear in it. The first row lies at v = 1.
    """
    count = len(colors)
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    blocks = np.zeros((rows * columns, 2, 2, 3), np.float32)
    a, b, c = colors[:, 0], colors[:, 1], colors[:, 2]
    blocks[:count] = np.stack([np.stack([a, b], 1), np.stack([c, b + c - a], 1)], 1)
    texture = blocks.reshape(rows, columns, 2, 2, 3).transpose(0, 2, 1, 3, 4).reshape(
        2 * rows, 2 * columns, 3)
    index = np.arange(count)
    first = np.stack([2 * (index % columns), 2 * (index // columns)], 1)
    texel = first[:, None] + np.array([[0, 0], [1, 0], [0, 1]])
    u = (texel[..., 0] + 0.5) / (2 * columns)
    v = 1.0 - (texel[..., 1] + 0.5) / (2 * rows)
    return texture, np.stack([u, v], -1)


def _surface(material: Any) -> tuple[str | None, float | None]:
    """Finish and roughness of a glTF material; others do not tell."""
    metallic = getattr(material, 'metallicFactor', None)
    roughness = getattr(material, 'roughnessFactor', None)
    if getattr(material, 'metallicRoughnessTexture', None) is not None:
        return None, None  # then the factors are mere multipliers
    if metallic is not None and metallic > 0.5:
        # The format's defaults are metal of full roughness, which is what nobody meant.
        return ('metal', float(np.clip(roughness, 0.15, 0.6))) if roughness is not None else (
            None, None)
    if roughness is None:
        return None, None
    return ('matte', 0.8) if roughness > 0.75 else ('satin', float(max(roughness, 0.08)))


def _flat(material: Any, lost_texture: bool) -> np.ndarray | None:
    """The material's one colour (3,) linear, or None where it does not say."""
    if hasattr(material, 'baseColorFactor'):
        if material.baseColorFactor is None:  # white, says the format
            return None if lost_texture else _limited(np.ones(3))
        factor = np.asarray(material.baseColorFactor)
        # The format's factors are linear already.
        scale = 255.0 if factor.dtype.kind in 'ui' else 1.0
        return _limited(factor[:3] / scale)
    given = getattr(material, 'kwargs', {}) or {}
    if 'kd' in given:
        color = srgb_to_linear(np.asarray(material.diffuse[:3], np.float64) / 255.0)
        # Exporters leave white or black behind where a texture has the say.
        loud = lost_texture and (color.min() > 0.99 or color.max() < 0.01)
        return None if loud else _limited(color)
    return None


def coat_and_uv(visual: Any, faces: np.ndarray, lost_texture: bool
                ) -> tuple[Coat, np.ndarray, str]:
    """Coat, coordinates (M, 3, 2) and '' or what is wrong, of a trimesh visual.

    faces: (M, 3) of the mesh. lost_texture: a picture that the file names was not found.
    """
    nowhere = np.zeros((len(faces), 3, 2))
    if visual is None or not visual.defined:
        return Coat(None), nowhere, ''
    if visual.kind in ('vertex', 'face'):
        if visual.kind == 'vertex':
            rgb = np.asarray(visual.vertex_colors)[faces, :3]
        else:
            rgb = np.repeat(np.asarray(visual.face_colors)[:, None, :3], 3, axis=1)
        texture, uv = baked(_limited(srgb_to_linear(rgb / 255.0)))
        return Coat(texture), uv, ''
    material = visual.material
    finish, roughness = _surface(material)
    image = getattr(material, 'baseColorTexture', None)
    image = getattr(material, 'image', None) if image is None else image
    flat = _flat(material, lost_texture)
    given, wrong = getattr(visual, 'uv', None), ''
    # The library puts a picture of 2 x 2 pixels where a file has no material at all.
    if image is not None and max(image.size) > 2 and given is not None:
        try:
            picture = _picture(image)
        except (OSError, ValueError, SyntaxError):
            wrong = 'a texture is damaged'
        else:
            if flat is not None and getattr(material, 'baseColorFactor', None) is not None:
                picture = picture * flat
            corners = np.nan_to_num(np.asarray(given, np.float64)[faces][..., :2])
            return Coat(_limited(picture), finish, roughness), wrapped(corners), ''
    return Coat(flat, finish, roughness), nowhere, wrong
