# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Crops through a virtual camera that looks at the box, and the way back into the image.

An object seen away from the image's centre shows another side than its rotation in the camera
frame tells. The virtual camera turns towards the box's centre without rolling, so the crop shows
the object as a camera that looks straight at it would; ``core.lift`` turns the answer back. It
rolls only where the object itself leans (``core.cuts``). Lens distortion is undone on the way.
"""

from __future__ import annotations

from dataclasses import replace
import math

import cv2
import numpy as np

from . import camera
from .types import Box, CropView, Intrinsics, PoseError

MARGIN = 1.4
MIN_LONGER_PX = 12.0
MIN_SHORTER_PX = 4.0
# Samples along each side of a crop pixel; the image is shrunk beforehand so that this suffices.
_SUPERSAMPLE = 2
# Image pixels between exactly computed points of the map back into the image.
_STRIDE = 8


def check_box(box: Box, intrinsics: Intrinsics) -> Box:
    """The part of ``box`` inside the image; PoseError in one sentence if no pose can come of it."""
    name = f'box of {box.category!r}' + (f' (track {box.track_id})' if box.track_id else '')
    corners = (box.x0, box.y0, box.x1, box.y1)
    if not all(math.isfinite(v) for v in corners):
        raise PoseError(f'the {name} has corners that are not finite numbers')
    text = '({:.0f}, {:.0f}, {:.0f}, {:.0f})'.format(*corners)
    if box.width_px <= 0 or box.height_px <= 0:
        raise PoseError(f'the {name} {text} is empty: give x0 < x1 and y0 < y1')
    right, bottom = intrinsics.width - 0.5, intrinsics.height - 0.5
    clipped = replace(box, x0=max(-0.5, box.x0), y0=max(-0.5, box.y0),
                      x1=min(right, box.x1), y1=min(bottom, box.y1))
    if clipped.width_px <= 0 or clipped.height_px <= 0:
        raise PoseError(f'the {name} {text} lies outside the {intrinsics.width} x '
                        f'{intrinsics.height} image: are the boxes in the pixels of this image?')
    longer = max(clipped.width_px, clipped.height_px)
    if longer < MIN_LONGER_PX or min(clipped.width_px, clipped.height_px) < MIN_SHORTER_PX:
        raise PoseError(f'the {name} shows {clipped.width_px:.0f} x {clipped.height_px:.0f} px of '
                        f'the object, too small to fit: {MIN_LONGER_PX:.0f} px are needed')
    return clipped


def make_view(intrinsics: Intrinsics, box: Box, size_px: int, margin: float = MARGIN,
              turn_rad: float = 0.0, zoom: float = 1.0) -> CropView:
    """Virtual camera for ``box``, which must be inside the image (``check_box``).

    It looks along the ray of the box's centre; its focal length is such that the longer side of
    the box, as it sees it, times ``margin`` is the crop's width, times ``zoom``. turn_rad: the
    picture is turned by so much, from its x axis towards its y axis (clockwise).
    """
    u, v = box.center_px
    center = camera.unproject_directions(intrinsics, np.array([[u, v]]))[0]
    R_crop_cam = camera.rotation_z_to(center).T
    outline = np.array([(x, y) for x in (box.x0, u, box.x1) for y in (box.y0, v, box.y1)])
    rays = camera.unproject_directions(intrinsics, outline) @ R_crop_cam.T
    tangents = rays[:, :2] / np.maximum(rays[:, 2:], 0.05)
    extent = float((tangents.max(0) - tangents.min(0)).max())
    cos, sin = math.cos(turn_rad), math.sin(turn_rad)
    turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    return CropView(R_crop_cam=turn @ R_crop_cam, focal_px=zoom * size_px / (margin * extent),
                    size_px=size_px)


def _crop_pixels(size_px: int, samples: int) -> np.ndarray:
    """Crop coordinates (N,) of ``samples`` evenly spread points along each of its pixels."""
    return (np.arange(size_px * samples) + 0.5) / samples - 0.5


def _image_pixels(intrinsics: Intrinsics, view: CropView, samples: int) -> np.ndarray:
    """Image pixels (N, N, 2) under the crop's sample points; NaN where the lens has no pixel."""
    tangent = (_crop_pixels(view.size_px, samples) - 0.5 * (view.size_px - 1)) / view.focal_px
    R = view.R_crop_cam  # its rows are the crop's axes in the camera
    rays = (tangent[None, :, None] * R[0] + tangent[:, None, None] * R[1]) + R[2]
    return camera.project(intrinsics, rays.reshape(-1, 3)).reshape(*rays.shape[:2], 2)


def _inside(px: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """Whether pixel coordinates (..., 2) lie in the image; NaN does not."""
    u, v = px[..., 0], px[..., 1]
    return ((u >= -0.5) & (u <= intrinsics.width - 0.5)
            & (v >= -0.5) & (v <= intrinsics.height - 0.5))


def _check_size(image: np.ndarray, intrinsics: Intrinsics) -> None:
    if image.shape[:2] != (intrinsics.height, intrinsics.width):
        raise PoseError(f'the image is {image.shape[1]} x {image.shape[0]}, but its intrinsics '
                        f'are for {intrinsics.width} x {intrinsics.height}')


def take_crop(image: np.ndarray, intrinsics: Intrinsics,
              view: CropView) -> tuple[np.ndarray, np.ndarray]:
    """What the virtual camera sees, without aliasing.

    image: (H, W, 3) RGB, uint8 or float in [0, 1]. Returns the crop (S, S, 3) float32 in [0, 1]
    and ``valid`` (S, S) float32, the part of each pixel that lies in the image; outside it the
    nearest colour of the image's edge is carried on.
    """
    _check_size(image, intrinsics)
    px = _image_pixels(intrinsics, view, _SUPERSAMPLE)
    inside = _inside(px, intrinsics)
    valid = _shrink(inside.astype(np.float32), view.size_px)
    if not inside.any():
        return np.zeros((view.size_px, view.size_px, 3), np.float32), valid

    # Image pixels in a crop pixel, at the centre where the box is. Blocks of that size are
    # averaged first, so that the two samples along each side of a crop pixel miss nothing.
    middle = px[view.size_px - 1:view.size_px + 1, view.size_px - 1:view.size_px + 1]
    across = np.linalg.norm(middle[0, 1] - middle[0, 0]) * _SUPERSAMPLE
    down = np.linalg.norm(middle[1, 0] - middle[0, 0]) * _SUPERSAMPLE
    rate = np.nanmin([across, down, 0.5 * max(intrinsics.width, intrinsics.height)])
    block = max(1, int(rate)) if np.isfinite(rate) else 1
    region, origin = _shrunk_region(image, px[inside], block)
    # NaN has no place in a map; far outside becomes the edge, and `valid` says so.
    samples = np.nan_to_num((px - origin + 0.5) / block - 0.5, nan=-1.0).astype(np.float32)
    colours = cv2.remap(region, samples[..., 0], samples[..., 1], cv2.INTER_LINEAR,
                        borderMode=cv2.BORDER_REPLICATE)
    crop = _shrink(colours.astype(np.float32), view.size_px)
    return crop / 255.0 if image.dtype == np.uint8 else crop, valid


def _shrink(array: np.ndarray, size_px: int) -> np.ndarray:
    return cv2.resize(array, (size_px, size_px), interpolation=cv2.INTER_AREA)


def _shrunk_region(image: np.ndarray, px: np.ndarray,
                   block: int) -> tuple[np.ndarray, np.ndarray]:
    """The part of the image around ``px`` (N, 2), averaged over blocks; and its origin (2,)."""
    height, width = image.shape[:2]
    # One block more on each side, for the interpolation at the region's edge.
    start = np.maximum(np.floor(px.min(0)).astype(int) - block, 0)
    stop = np.minimum(np.ceil(px.max(0)).astype(int) + block + 1, (width, height))
    region = image[start[1]:stop[1], start[0]:stop[0]]
    if region.dtype != np.uint8:
        region = region.astype(np.float32, copy=False)
    if block > 1:
        wide, high = -(-region.shape[1] // block), -(-region.shape[0] // block)
        region = cv2.copyMakeBorder(region, 0, high * block - region.shape[0],
                                    0, wide * block - region.shape[1], cv2.BORDER_REPLICATE)
        region = cv2.resize(region, (wide, high), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(region), start.astype(float)


def take_crop_nearest(values: np.ndarray, intrinsics: Intrinsics, view: CropView,
                      outside: float = 0) -> np.ndarray:
    """Crop (S, S, ...) of values that must not be mixed, such as masks: the nearest pixel's.

    values: (H, W) or (H, W, C) of any type. ``outside`` fills what the image does not show.
    """
    _check_size(values, intrinsics)
    px = _image_pixels(intrinsics, view, 1)
    inside = _inside(px, intrinsics)
    crop = np.full(inside.shape + values.shape[2:], outside, dtype=values.dtype)
    columns, rows = np.rint(px[inside]).astype(int).T
    crop[inside] = values[np.clip(rows, 0, values.shape[0] - 1),
                          np.clip(columns, 0, values.shape[1] - 1)]
    return crop


def take_depth_crop(depth_m: np.ndarray, intrinsics: Intrinsics, view: CropView) -> np.ndarray:
    """Depth (S, S) float32 along the virtual camera's z, metres; 0 where nothing was measured.

    depth_m: (H, W) along the real camera's z; 0, negative or not finite mean no measurement.
    """
    depth = take_crop_nearest(depth_m, intrinsics, view).astype(np.float64)
    tangent = (_crop_pixels(view.size_px, 1) - 0.5 * (view.size_px - 1)) / view.focal_px
    R = view.R_crop_cam
    # A ray with z = 1 in the crop has this z in the camera.
    z_cam = tangent[None, :] * R[0, 2] + tangent[:, None] * R[1, 2] + R[2, 2]
    good = np.isfinite(depth) & (depth > 0) & (z_cam > 0)
    return np.where(good, depth / np.where(good, z_cam, 1.0), 0.0).astype(np.float32)
