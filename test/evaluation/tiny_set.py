# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A small evaluation set on disk, and a pipeline that answers with known errors."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from ros2_nabs_pose.core import crop
from ros2_nabs_pose.core.types import Failure, FrameResult, PoseEstimate


def true_pose(x=0.05):
    """An upright object half a metre away, seen from 30 degrees above, front to the right."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler('x', 120, degrees=True).as_matrix()
    T[:3, 3] = x, 0.02, 0.5
    return T


def annotation(**changes):
    """One object as annotations.json has it."""
    return {'id': 'mug_1', 'category': 'mug', 'box_px': [120, 60, 240, 180], 'mask': None,
            'T_cam_obj': true_pose().tolist(), 'size_m': [0.12, 0.08, 0.1],
            'box_center_m': [0.02, 0, 0], 'yaw_visible': True, 'keypoints_px': None} | changes


def write_annotations(folder, frames, **changes):
    """Write a set whose frames are lists of objects; every frame shows the same picture."""
    image = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / 'a.png'), image)
    entries = [{'image': 'a.png', 'depth': None, 'depth_unit_m': None,
                'intrinsics': [400, 400, 160, 120], 'sequence': None, 'stamp_s': 0.0,
                'objects': objects} | changes for objects in frames]
    (folder / 'annotations.json').write_text(
        json.dumps({'name': 'tiny', 'licence': 'none', 'frames': entries}))
    return folder


class KnownErrors:
    """Answers every box with the true pose but for a given spin, tilt and shift, or with none."""

    def __init__(self, spin_deg=0.0, tilt_deg=0.0, shift_m=0.0, silent=(), confidence=0.9,
                 symmetry='none', categories=('mug',)):
        card = SimpleNamespace(symmetry=symmetry)
        self.models = {c: SimpleNamespace(card=card) for c in categories}
        self.error = Rotation.from_euler('ZX', [spin_deg, tilt_deg], degrees=True).as_matrix()
        self.shift_m, self.silent, self.confidence = shift_m, silent, confidence
        self.calls = []
        self.covariance = np.eye(6)

    @property
    def spin_axis(self):
        """(6,) the turn about the object's own z in its answers' covariance."""
        return np.concatenate((np.zeros(3), true_pose()[:3, :3] @ self.error[:, 2]))

    def reset(self):
        self.calls.append('reset')

    def front_m(self, estimate):
        return np.array([0.08, 0.0, 0.0])

    def estimate_frame(self, image, intrinsics, boxes, stamp_s=None, depth_m=None, masks=None):
        self.calls.append(stamp_s)
        self.seen = SimpleNamespace(image=image, intrinsics=intrinsics, depth_m=depth_m,
                                    masks=masks)
        given = [b for b in boxes if b.track_id not in self.silent]
        return FrameResult(
            estimates=tuple(self.answer(intrinsics, box) for box in given),
            failures=tuple(Failure(b, 'asked to be silent') for b in boxes if b not in given),
            seconds=0.25)

    def answer(self, intrinsics, box):
        T = true_pose()
        T[:3, :3] = T[:3, :3] @ self.error
        T[0, 3] += self.shift_m
        view = crop.make_view(intrinsics, box, 64)
        rgba = np.zeros((64, 64, 4), np.float32)
        rgba[16:48, 16:48] = 1.0
        return PoseEstimate(
            category=box.category, track_id=box.track_id, box=box, T_cam_obj=T,
            size_m=np.array([0.12, 0.08, 0.1]), box_center_m=np.array([0.02, 0, 0]),
            confidence=self.confidence, covariance=self.covariance, scale_source='category_mean',
            loss=0.1, iterations=10, warm=False, seconds=0.2, latent=np.zeros(4), view=view,
            crop_rgb=np.zeros((64, 64, 3), np.float32), synthesis_rgba=rgba)
