# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Drawing poses over images, and panels that show how a fit explains its crop.

Images are RGB uint8, (H, W, 3), and are drawn on in place. Every line has a dark rim and every
text a dark plate, so that both can be read on light and dark ground.
"""

from __future__ import annotations

from collections.abc import Sequence
import math

import cv2
import numpy as np

from .core import camera
from .core.types import Box, Intrinsics, PoseEstimate

Colour = tuple[int, int, int]

# Readable beside each other and for most colour-blind eyes; red, green, blue stay for the axes.
PALETTE: tuple[Colour, ...] = ((255, 176, 0), (0, 190, 255), (255, 110, 180), (170, 230, 60),
                               (190, 150, 255), (255, 235, 110))
TRUTH: Colour = (235, 235, 235)
AXIS_COLOURS: tuple[Colour, ...] = ((235, 40, 40), (30, 190, 60), (50, 90, 255))
_RIM: Colour = (20, 20, 20)
# Corners of a box as signs of x, y, z; edges join corners that differ in one sign.
_CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
_EDGES = [(i, j) for i in range(8) for j in range(i + 1, 8)
          if np.count_nonzero(_CORNERS[i] != _CORNERS[j]) == 1]
_SHIFT = 4


def line_width(image: np.ndarray) -> int:
    """Width of lines that are legible in this image, pixels."""
    return max(1, round(max(image.shape[:2]) / 500))


def polyline(image: np.ndarray, px: np.ndarray, colour: Colour, width: int,
             closed: bool = False) -> None:
    """Draw a rimmed line through pixels (N, 2); nothing if one of them is NaN."""
    if not np.isfinite(px).all():
        return
    # OpenCV takes fixed-point numbers; far outside, they would wrap round.
    fixed = [np.rint(np.clip(px, -1e4, 1e4) * (1 << _SHIFT)).astype(np.int32)]
    cv2.polylines(image, fixed, closed, _RIM, width + 2, cv2.LINE_AA, _SHIFT)
    cv2.polylines(image, fixed, closed, colour, width, cv2.LINE_AA, _SHIFT)


def draw_box(image: np.ndarray, box: Box, colour: Colour) -> None:
    """Draw a detection's rectangle."""
    corners = [(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1)]
    polyline(image, np.array(corners), colour, line_width(image), closed=True)


def _line_px(intrinsics: Intrinsics, T_cam_obj: np.ndarray, start: np.ndarray,
             end: np.ndarray) -> np.ndarray:
    """Pixels along a line of the object frame; several, for a lens bends it."""
    steps = np.linspace(0.0, 1.0, 9 if intrinsics.distortion else 2)[:, None]
    points = start + steps * (end - start)
    return camera.project(intrinsics, points @ T_cam_obj[:3, :3].T + T_cam_obj[:3, 3])


def draw_axes(image: np.ndarray, intrinsics: Intrinsics, T_cam_obj: np.ndarray,
              length_m: float) -> None:
    """Draw the object's axes from its origin: x red, y green, z blue, the farthest one first."""
    for axis in np.argsort(-T_cam_obj[2, :3]):
        tip = np.zeros(3)
        tip[axis] = length_m
        px = _line_px(intrinsics, T_cam_obj, np.zeros(3), tip)
        polyline(image, px, AXIS_COLOURS[axis], 2 * line_width(image))


def draw_box_3d(image: np.ndarray, intrinsics: Intrinsics, T_cam_obj: np.ndarray,
                size_m: np.ndarray, box_center_m: np.ndarray, colour: Colour) -> None:
    """Draw the bounding box of an object; edges on its far side are dimmed."""
    corners = np.asarray(box_center_m) + 0.5 * _CORNERS * np.asarray(size_m)
    eye = -T_cam_obj[:3, :3].T @ T_cam_obj[:3, 3] - np.asarray(box_center_m)
    # A face is seen if the camera is beyond it; an edge if one of its two faces is.
    beyond = eye * _CORNERS > 0.5 * np.asarray(size_m)
    dim: Colour = (colour[0] // 2, colour[1] // 2, colour[2] // 2)

    def seen(edge: tuple[int, int]) -> bool:
        shared = _CORNERS[edge[0]] == _CORNERS[edge[1]]
        return bool((beyond[edge[0]] & shared).any())

    for edge in sorted(_EDGES, key=seen):
        px = _line_px(intrinsics, T_cam_obj, corners[edge[0]], corners[edge[1]])
        polyline(image, px, colour if seen(edge) else dim, line_width(image))


def draw_cross(image: np.ndarray, at_px: tuple[float, float], colour: Colour) -> None:
    """Mark a point."""
    reach = 4.0 * line_width(image)
    for dx, dy in ((reach, reach), (reach, -reach)):
        ends = np.array([[at_px[0] - dx, at_px[1] - dy], [at_px[0] + dx, at_px[1] + dy]])
        polyline(image, ends, colour, line_width(image))


def draw_label(image: np.ndarray, text: str, at_px: tuple[float, float],
               colour: Colour = (255, 255, 255)) -> None:
    """Write a line of text whose plate's lower left corner is ``at_px``, kept in the image."""
    scale = max(0.4, max(image.shape[:2]) / 1400)
    thickness = max(1, round(2 * scale))
    (width, height), baseline = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    pad = max(2, height // 4)
    x = int(np.clip(at_px[0], 0, max(0, image.shape[1] - width - 2 * pad)))
    bottom = int(np.clip(at_px[1], height + baseline + 2 * pad, image.shape[0]))
    plate = image[bottom - height - baseline - 2 * pad:bottom, x:x + width + 2 * pad]
    plate[...] = plate // 4
    cv2.putText(image, text, (x + pad, bottom - baseline - pad), cv2.FONT_HERSHEY_SIMPLEX, scale,
                colour, thickness, cv2.LINE_AA)


def draw_estimate(image: np.ndarray, intrinsics: Intrinsics, estimate: PoseEstimate,
                  colour: Colour = PALETTE[0], label: str | None = None) -> None:
    """Draw an estimate: detection, bounding box, axes, and a label (default: what and how sure)."""
    draw_box(image, estimate.box, (colour[0] // 2, colour[1] // 2, colour[2] // 2))
    draw_box_3d(image, intrinsics, estimate.T_cam_obj, estimate.size_m, estimate.box_center_m,
                colour)
    draw_axes(image, intrinsics, estimate.T_cam_obj, 0.7 * float(np.max(estimate.size_m)))
    text = f'{estimate.category} {estimate.confidence:.2f}' if label is None else label
    if text:
        draw_label(image, text, (estimate.box.x0, estimate.box.y0), colour)


def to_uint8(image: np.ndarray) -> np.ndarray:
    """uint8 copy of an image given as float in [0, 1]."""
    return np.rint(np.clip(image, 0.0, 1.0) * 255).astype(np.uint8)


def crop_panel(estimate: PoseEstimate, height_px: int = 192) -> np.ndarray:
    """Three pictures side by side, (h, 3 h, 3): crop, synthesis on grey, and both in one.

    The third shows the crop where nothing was synthesised and, on the object, half of each, with
    the synthesised outline.
    """
    crop, rgba = estimate.crop_rgb, estimate.synthesis_rgba
    alpha = rgba[..., 3:]
    made = alpha * rgba[..., :3] + (1.0 - alpha) * 0.5
    blend = crop * (1.0 - 0.5 * alpha) + 0.5 * alpha * rgba[..., :3]
    size = (height_px, height_px)
    tiles = [cv2.resize(to_uint8(tile), size, interpolation=cv2.INTER_CUBIC)
             for tile in (crop, made, blend)]
    coverage = cv2.resize(np.ascontiguousarray(alpha[..., 0]), size,
                          interpolation=cv2.INTER_LINEAR)
    outlines, _ = cv2.findContours((coverage > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL,
                                   cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(tiles[2], outlines, -1, PALETTE[0], max(1, height_px // 128), cv2.LINE_AA)
    return np.concatenate(tiles, 1)


def overlay_with_panel(image: np.ndarray, intrinsics: Intrinsics,
                       estimate: PoseEstimate) -> np.ndarray:
    """New picture: an estimate drawn over its image, the crop panel beneath."""
    drawn = image.copy()
    draw_estimate(drawn, intrinsics, estimate)
    panel = crop_panel(estimate, max(96, drawn.shape[1] // 3))
    width = max(drawn.shape[1], panel.shape[1])
    rows = [np.pad(part, ((0, 0), (0, width - part.shape[1]), (0, 0)), constant_values=40)
            for part in (drawn, panel)]
    return np.concatenate(rows)


def contact_sheet(tiles: Sequence[np.ndarray], columns: int, tile_px: tuple[int, int],
                  captions: Sequence[str] | None = None) -> np.ndarray:
    """One picture of many: each scaled into ``tile_px`` (width, height), captions beneath.

    Tiles keep their proportions; ``captions`` has one line for each tile.
    """
    width, height = tile_px
    strip = 0 if captions is None else max(18, height // 18)
    rows = max(1, math.ceil(len(tiles) / columns))
    gap = 4
    sheet = np.full((rows * (height + strip + gap) + gap, columns * (width + gap) + gap, 3), 40,
                    np.uint8)
    for i, tile in enumerate(tiles):
        scale = min(width / tile.shape[1], height / tile.shape[0])
        size = max(1, round(tile.shape[1] * scale)), max(1, round(tile.shape[0] * scale))
        small = cv2.resize(tile, size, interpolation=cv2.INTER_AREA if scale < 1
                           else cv2.INTER_CUBIC)
        x = gap + (i % columns) * (width + gap)
        y = gap + (i // columns) * (height + strip + gap)
        left, top = x + (width - size[0]) // 2, y + (height - size[1]) // 2
        sheet[top:top + size[1], left:left + size[0]] = small
        if captions is not None:
            cv2.putText(sheet, captions[i], (x + 2, y + height + strip - strip // 4),
                        cv2.FONT_HERSHEY_SIMPLEX, strip / 40, (235, 235, 235), 1, cv2.LINE_AA)
    return sheet
