# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Rotations as batched torch tensors of any dtype on any device, differentiable where defined.

Convention: a rotation ``R`` (..., 3, 3) maps object directions to camera directions; columns are
the object's axes as seen in the camera frame (x right, y down, z forward). Angles are radians,
quaternions (..., 4) are x y z w.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# Below this length in the image, the object's axis has no direction there.
POLE = 1e-3


_IDENTITY = torch.eye(3)
# Rows x, y, z of what a rotation vector's skew-symmetric matrix is made of.
_SKEW = torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 1.0, 0.0],
                      [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0],
                      [0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]])


def exp_so3(w: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of rotation vectors ``w`` (..., 3), smooth at 0 (Rodrigues)."""
    skew = (w @ _SKEW.to(w)).unflatten(-1, (3, 3))
    square = (w * w).sum(-1)[..., None, None]
    small = square < 1e-8
    # The unused branch of a `where` still takes part in the gradient, so its input is kept safe.
    angle = torch.where(small, torch.ones_like(square), square).sqrt()
    sine = torch.where(small, 1.0 - square / 6.0, torch.sin(angle) / angle)
    # (1 - cos) / angle^2 through the half angle, which does not cancel.
    half = torch.sin(0.5 * angle) / angle
    cosine = torch.where(small, 0.5 - square / 24.0, 2.0 * half * half)
    return _IDENTITY.to(w) + sine * skew + cosine * (skew @ skew)


def quaternion_from_matrix(R: Tensor) -> Tensor:
    """Unit quaternions (..., 4), xyzw with w >= 0, of rotation matrices (..., 3, 3)."""
    m = R.flatten(-2).unbind(-1)
    xw, yw, zw = m[7] - m[5], m[2] - m[6], m[3] - m[1]
    xy, xz, yz = m[1] + m[3], m[2] + m[6], m[5] + m[7]
    rows = torch.stack([
        1.0 + m[0] - m[4] - m[8], xy, xz, xw,
        xy, 1.0 - m[0] + m[4] - m[8], yz, yw,
        xz, yz, 1.0 - m[0] - m[4] + m[8], zw,
        xw, yw, zw, 1.0 + m[0] + m[4] + m[8],
    ], -1).unflatten(-1, (4, 4))
    # The rows are 4 q_i q; the one of the largest q_i is the best conditioned (Shepperd 1978).
    best = rows.diagonal(dim1=-2, dim2=-1).argmax(-1)
    row = torch.gather(rows, -2, best[..., None, None].expand(*best.shape, 1, 4)).squeeze(-2)
    q = row / torch.linalg.vector_norm(row, dim=-1, keepdim=True)
    return torch.where(q[..., 3:] < 0, -q, q)


def matrix_from_quaternion(q: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of quaternions (..., 4), xyzw; ``q`` need not be unit."""
    x, y, z, w = (q / torch.linalg.vector_norm(q, dim=-1, keepdim=True)).unbind(-1)
    return torch.stack([
        1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
        2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
        2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y),
    ], -1).unflatten(-1, (3, 3))


def log_so3(R: Tensor) -> Tensor:
    """Rotation vectors (..., 3) with length in [0, pi], so that ``exp_so3`` gives ``R`` back."""
    q = quaternion_from_matrix(R)
    v, w = q[..., :3], q[..., 3:]
    square = (v * v).sum(-1, keepdim=True)
    small = square < 1e-10
    sine = torch.where(small, torch.ones_like(square), square).sqrt()
    # angle / sin(angle / 2); its series at the identity is 2 + sin^2(angle / 2) / 3.
    factor = torch.where(small, 2.0 + square / 3.0, 2.0 * torch.atan2(sine, w) / sine)
    return factor * v


def geodesic_angle(A: Tensor, B: Tensor) -> Tensor:
    """Angle (...) in [0, pi] of the rotation between ``A`` and ``B`` (..., 3, 3)."""
    D = A.transpose(-1, -2) @ B
    m = D.flatten(-2).unbind(-1)
    twice_sine = torch.linalg.vector_norm(
        torch.stack([m[7] - m[5], m[2] - m[6], m[3] - m[1]], -1), dim=-1)
    # atan2 stays exact at 0 and at pi, where an arc cosine of the trace loses half its digits.
    return torch.atan2(twice_sine, m[0] + m[4] + m[8] - 1.0)


def angles_among(R: Tensor) -> Tensor:
    """Angles (..., N, N) between every two of rotations (..., N, 3, 3), in [0, pi]."""
    return geodesic_angle(*torch.broadcast_tensors(R.unsqueeze(-3), R.unsqueeze(-4)))


def angle_apart(R: Tensor, other: Tensor, free_about_z: bool) -> Tensor:
    """Angles (...) between rotations (..., 3, 3), or between their axes; ``other`` broadcasts."""
    if not free_about_z:
        return geodesic_angle(R, other.expand_as(R))
    return torch.arccos((R[..., 2] * other[..., 2]).sum(-1).clamp(-1.0, 1.0))


def rotation_z(angle: Tensor) -> Tensor:
    """Rotations (..., 3, 3) about z by ``angle`` (...)."""
    c, s = torch.cos(angle), torch.sin(angle)
    o, i = torch.zeros_like(c), torch.ones_like(c)
    return torch.stack([c, -s, o, s, c, o, o, o, i], -1).unflatten(-1, (3, 3))


def _swing(axis: Tensor) -> Tensor:
    """Smallest rotation (..., 3, 3) that takes (0, 0, -1) to the unit vectors ``axis``."""
    x, y, z = axis.unbind(-1)
    near = z < 0.0
    square = x * x + y * y
    # R = 1 + [k] + [k]^2 g with k = (y, -x, 0), g = 1 / (1 - z) = (1 + z) / (x^2 + y^2): the
    # first form is exact towards the camera, the second away from it, where the first cancels.
    lost = square < torch.finfo(axis.dtype).tiny * 1e3
    g = torch.where(near, 1.0 / (1.0 - torch.where(near, z, torch.zeros_like(z))),
                    (1.0 + z) / torch.where(lost, torch.ones_like(square), square))
    # Straight away from the camera every half turn about an axis in the image will do: about x.
    gyy = torch.where(lost & ~near, torch.full_like(y, 2.0), g * y * y)
    gxx, gxy = g * x * x, g * x * y
    return torch.stack([1.0 - gxx, -gxy, -x, -gxy, 1.0 - gyy, -y, x, y, -z], -1).unflatten(
        -1, (3, 3))


def _flip_yz(R: Tensor) -> Tensor:
    """``R @ diag(1, -1, -1)``: the base rotation takes object z to (0, 0, -1) and keeps x."""
    return R * R.new_tensor([1.0, -1.0, -1.0])


def rotation_from_axis_azimuth(axis: Tensor, azimuth: Tensor) -> Tensor:
    """Rotations from where the object's z axis points and the turn about it (swing and twist).

    Convention: R = swing(axis) @ diag(1, -1, -1) @ rotation_z(azimuth). At axis (0, 0, -1) the
    object is seen from above and azimuth is the angle of its x axis in the image, from the right
    and anticlockwise; elsewhere that frame is carried along the shortest way. Continuous but for
    an axis straight away from the camera (seen from below).

    axis: (..., 3), unit length, in the camera frame. azimuth: (...), broadcastable. Returns
    (..., 3, 3).
    """
    return _flip_yz(_swing(axis)) @ rotation_z(azimuth)


def axis_azimuth_from_rotation(R: Tensor) -> tuple[Tensor, Tensor]:
    """Inverse of ``rotation_from_axis_azimuth``: axis (..., 3) and azimuth (...) in (-pi, pi]."""
    axis = R[..., :, 2]
    twist = _flip_yz(_swing(axis)).transpose(-1, -2) @ R
    return axis, torch.atan2(twist[..., 1, 0], twist[..., 0, 0])


def rotation_from_columns(columns: Tensor) -> Tensor:
    """Rotations (..., 3, 3) from numbers (..., 6): x along the first three, y towards the others.

    Continuous, unlike four or three numbers (Zhou et al., CVPR 2019, arXiv 1812.07035). Where both
    triples are parallel, or one is zero, there is no rotation, and the answer is none.
    """
    x = functional.normalize(columns[..., :3], dim=-1)
    y = columns[..., 3:]
    y = functional.normalize(y - (x * y).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack((x, y, torch.linalg.cross(x, y)), -1)


def rotation_facing(axis: Tensor) -> Tensor:
    """Rotations (..., 3, 3) with z along unit vectors ``axis`` (..., 3), x to the upright right.

    Of all spins about ``axis`` the one whose x axis lies to the right when the image is turned
    until the axis points up: the way a round object is described by what the camera sees of it.
    Where the axis points along the view (see ``POLE``), right is the image's.
    """
    x, y, z = axis.unbind(-1)
    square = x * x + y * y
    pole = square < POLE * POLE
    along = torch.where(pole, torch.ones_like(square), square).sqrt()
    right_x = torch.where(pole, torch.ones_like(x), -y / along)
    right_y = torch.where(pole, torch.zeros_like(y), x / along)
    right = torch.stack((right_x, right_y, torch.zeros_like(z)), -1)
    # At the pole the image's right is not quite across the axis.
    right = right - (right * axis).sum(-1, keepdim=True) * axis
    right = right / torch.linalg.vector_norm(right, dim=-1, keepdim=True)
    return torch.stack((right, torch.linalg.cross(axis, right), axis), -1)


def spin_nearest(R: Tensor, before: Tensor) -> Tensor:
    """``R @ rotation_z(a)`` (..., 3, 3) with the angle that brings it nearest to ``before``."""
    M = before.transpose(-1, -2) @ R
    return R @ rotation_z(torch.atan2(M[..., 0, 1] - M[..., 1, 0], M[..., 0, 0] + M[..., 1, 1]))
