# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Plain data that crosses the boundaries of the pipeline: frozen, without ROS and without torch.

Conventions (REP 103): camera frames are optical frames (x right, y down, z forward). Object
frames have z up along the symmetry axis and x towards the front (mug: the handle).
``T_cam_obj`` maps object points to camera points. Metres, radians, pixels, seconds.
Pixel centres lie at integer coordinates, as in OpenCV and CameraInfo.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

FRAME_MARGIN = 1.1
"""Half width of the upright view and of the feature volume, in radii."""

SCALE_CATEGORY_MEAN = 'category_mean'
SCALE_DEPTH = 'depth'
SCALE_KNOWN_SIZE = 'known_size'
SCALE_GROUND = 'ground'


class PoseError(ValueError):
    """Input that no pose can come from; its text is one sentence that names the thing and mend."""


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole camera with optional lens distortion, for an image of ``width`` x ``height`` pixels.

    ``distortion`` holds OpenCV's coefficients of the plumb-bob or rational model
    (k1 k2 p1 p2 k3 [k4 k5 k6]); empty for a rectified image.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    distortion: tuple[float, ...] = ()

    @property
    def matrix(self) -> np.ndarray:
        """K (3, 3), float64."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])


@dataclass(frozen=True)
class Box:
    """One detection: axis-aligned box in image pixels, category name, track id ('' if none)."""

    x0: float
    y0: float
    x1: float
    y1: float
    category: str
    track_id: str = ''
    score: float = 1.0

    @property
    def center_px(self) -> tuple[float, float]:
        return 0.5 * (self.x0 + self.x1), 0.5 * (self.y0 + self.y1)

    @property
    def width_px(self) -> float:
        return self.x1 - self.x0

    @property
    def height_px(self) -> float:
        return self.y1 - self.y0


@dataclass(frozen=True)
class CropView:
    """Virtual square pinhole camera turned towards a box's centre.

    ``R_crop_cam`` (3, 3) maps directions of the real camera into the virtual one;
    ``focal_px`` is its focal length for an image of ``size_px`` x ``size_px`` pixels whose
    principal point is the centre of the image, (size_px - 1) / 2.
    """

    R_crop_cam: np.ndarray
    focal_px: float
    size_px: int

    @property
    def focal(self) -> float:
        """Focal length in half image widths, so that a ray's tangent times it lies in [-1, 1]."""
        return self.focal_px / (0.5 * self.size_px)


@dataclass(frozen=True)
class Ground:
    """What is known of the ground that objects stand on, in the camera frame.

    up: (3,) away from it, of any length. height_m: of the camera over it, None: not known. Raises
    PoseError for what is no direction or no height.
    """

    up: np.ndarray
    height_m: float | None = None

    def __post_init__(self) -> None:
        length = float(np.linalg.norm(self.up)) if np.shape(self.up) == (3,) else 0.0
        if not 0.0 < length < float('inf'):
            raise PoseError(f'{self.up!r} is no direction: give three numbers, not all 0.')
        if self.height_m is not None and not 0.0 < self.height_m < float('inf'):
            raise PoseError(f'The camera cannot be {self.height_m:g} m above the ground: give a '
                            'height above 0, or none.')


@dataclass(frozen=True)
class PoseEstimate:
    """One object's pose, as believed for one image.

    T_cam_obj: (4, 4) float64, object to camera, metres.
    size_m: (3,) extent of the bounding box along the object's axes.
    box_center_m: (3,) centre of that box in the object frame.
    confidence: in [0, 1]. covariance: (6, 6), order x y z (m), rotation about x y z (rad) in the
    camera frame. scale_source: 'category_mean', 'depth', 'known_size' or 'ground'.
    loss: final fitting loss. iterations: steps the fit took in the cut of the box that counts,
    which is ``view``. seconds: its share of what its category's boxes took. warm: whether the
    winning start came from the previous frame. latent: (D,) code. view: the crop's virtual camera.
    crop_rgb: (S, S, 3), synthesis_rgba: (S, S, 4), float32 in [0, 1], the crop as observed and as
    explained, for debug images. track_id: as the detector gave it, or the tracker's own.
    radius_m: largest distance of the surface from the origin, which carries the metric scale.
    standing: how likely it stands on the ground of the frame's other objects, or under the up that
    is known, in [0, 1]; 0 where there is none to compare with.
    """

    category: str
    track_id: str
    box: Box
    T_cam_obj: np.ndarray
    size_m: np.ndarray
    box_center_m: np.ndarray
    confidence: float
    covariance: np.ndarray
    scale_source: str
    loss: float
    iterations: int
    warm: bool
    seconds: float
    latent: np.ndarray = field(repr=False)
    view: CropView = field(repr=False)
    crop_rgb: np.ndarray = field(repr=False)
    synthesis_rgba: np.ndarray = field(repr=False)
    radius_m: float = 0.0
    standing: float = 0.0


@dataclass(frozen=True)
class Failure:
    """Why a box got no pose, in one sentence."""

    box: Box
    reason: str


@dataclass(frozen=True)
class FrameResult:
    """All that one image gave: poses that are believed in, and reasons for the boxes without."""

    estimates: tuple[PoseEstimate, ...]
    failures: tuple[Failure, ...]
    seconds: float
