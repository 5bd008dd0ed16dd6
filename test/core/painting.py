# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Pictures with a crop's picture painted in: the way back of ``crop.take_crop``."""

import cv2
import numpy as np

from ros2_nabs_pose.core import camera


def paste_crop(image, rgba, intrinsics, view):
    """Copy of ``image`` (H, W, 3) with ``rgba`` (S, S, 4) in [0, 1], straight alpha, laid over it.

    The result has the image's type (uint8, or float in [0, 1]).
    """
    rows, columns = np.mgrid[:intrinsics.height, :intrinsics.width]
    pixels = np.stack([columns.ravel(), rows.ravel()], -1).astype(float)
    rays = camera.unproject_directions(intrinsics, pixels) @ view.R_crop_cam.T
    ahead = rays[:, 2] > 0.05
    tangents = rays[:, :2] / np.where(ahead, rays[:, 2], 1.0)[:, None]
    px = np.where(ahead[:, None], tangents * view.focal_px + 0.5 * (view.size_px - 1), -1e4)
    maps = px.reshape(*rows.shape, 2).astype(np.float32)
    over = np.concatenate([rgba[..., :3] * rgba[..., 3:], rgba[..., 3:]], -1).astype(np.float32)
    laid = cv2.remap(over, maps[..., 0], maps[..., 1], cv2.INTER_LINEAR,
                     borderMode=cv2.BORDER_CONSTANT)
    top = 255.0 if image.dtype == np.uint8 else 1.0
    mixed = image * (1.0 - laid[..., 3:]) + top * laid[..., :3]
    return np.rint(mixed).astype(np.uint8) if image.dtype == np.uint8 else mixed
