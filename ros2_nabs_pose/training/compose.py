# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Turn clean upright views into what a detector's crop looks like: clutter, jitter, occlusion.

The generator learns the clean object; the encoder sees it in the wild. Everything is drawn anew
for every batch from torch's random numbers, on the device of the data.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
import math

import torch
from torch import Tensor
from torch.nn import functional

from .framing import framed
from .photograph import photographed
from .surroundings import (
    background_of,
    MOST_HIDDEN,
    occluder_of,
    shade,
    uniform,
    with_others,
)
from ..core.generator import FRAME_MARGIN, pixel_line, warp_to_crop
from ..core.rotations import rotation_facing, rotation_z
from ..data.glass import BACKDROP

FRONT_SEEN = 0.15
"""Share of its front that must be seen for an object's turn about its axis to be told."""
FOCAL_SPREAD = 0.15
"""How far a focal length may be off (of its log): many a camera's is guessed."""


@dataclass(frozen=True)
class Views:
    """A batch of clean upright views, B = instances x views per instance.

    stacked: (B, 5, S, S) colour times alpha, alpha, depth times alpha (see UprightViews.stacked).
    front: (B, 1, S, S) coverage of the visible front part. clear: (B, 1, S, S) share of what lies
    behind, grey here, that shows through. R_view: (B, 3, 3). perspective: (B,). front_visible: (B,)
    share of the front part that is seen.
    """

    stacked: Tensor
    front: Tensor
    clear: Tensor
    R_view: Tensor
    perspective: Tensor
    front_visible: Tensor

    def pick(self, rows: Tensor) -> Views:
        """Those of ``rows`` (B',)."""
        return Views(*(getattr(self, f.name)[rows] for f in fields(self)))

    def own_light(self) -> Tensor:
        """(B, 4, S, S): colour over black, and the share of what lies behind that is not seen."""
        colour = self.stacked[:, :3] - BACKDROP * self.clear
        return torch.cat((colour.clamp_min(0.0), self.stacked[:, 3:4] - self.clear), 1)


@dataclass(frozen=True)
class Crops:
    """What the encoder gets and should say; names as in Encoding.

    image: (B, 3, S, S). mask: (B, 1, S, S) visible object. valid: (B, 1, S, S) 1 where the picture
    is, 0 beyond its edge. focal: (B,) focal length of the crop, half widths. R: (B, 3, 3) full
    rotation. front_visible: (B,) share of the front part that neither the object itself nor what
    stands in front of it hides, and that is not beyond the picture's edge; 1 where there is none.
    points: (B, 3, S/2, S/2) what the pixels show of the object, in its own frame, radii, times the
    share of the pixel that shows it. front: (B, 1, S/2, S/2) coverage of the visible front part.
    """

    image: Tensor
    mask: Tensor
    valid: Tensor
    focal: Tensor
    R: Tensor
    t: Tensor
    log_scale: Tensor
    front_visible: Tensor
    points: Tensor
    front: Tensor

    def facing(self) -> Tensor:
        """``points`` told in the facing frame, as objects that may spin freely are described."""
        to_facing = rotation_facing(self.R[:, :, 2]).transpose(1, 2) @ self.R
        return torch.einsum('bij,bjhw->bihw', to_facing, self.points)


def roughly(focal: Tensor) -> Tensor:
    """Focal lengths (B,) as a calibration that may be poor tells them."""
    return focal * torch.exp(FOCAL_SPREAD * torch.randn_like(focal))


def recolour(views: Views, group: int) -> Views:
    """Change the colours of each instance (``group`` views in a row), the same in all its views.

    Channels are permuted, mixed and scaled: a small set of rendered looks becomes a large one.
    """
    batch = views.stacked.shape[0]
    count = batch // group
    order = torch.argsort(torch.rand(count, 3, device=views.stacked.device), 1)
    mix = functional.one_hot(order, 3).to(views.stacked.dtype)
    saturation = uniform((count, 1, 1), 0.5, 1.0, mix)
    mix = saturation * mix + (1.0 - saturation) / 3.0
    gain = uniform((count, 1, 1), 0.65, 1.15, mix) * uniform((count, 3, 1), 0.93, 1.07, mix)
    mix = (mix * gain).repeat_interleave(group, 0)
    behind = BACKDROP * views.clear
    rgb = torch.einsum('bij,bjhw->bihw', mix, views.stacked[:, :3] - behind) + behind
    rgb = torch.minimum(rgb.clamp_min(0.0), views.stacked[:, 3:4])
    return replace(views, stacked=torch.cat((rgb, views.stacked[:, 3:]), 1))


def mirrored(views: Views, flip: Tensor) -> Views:
    """Views whose ``flip`` (B,) is set, seen in a mirror: pictures left to right, poses with them.

    The mirrored picture shows the object's own mirror image, reflected at its x-z plane: front and
    up stay what they are. A few rendered shapes become twice as many, and no side of the picture
    or of a handle's bow is the usual one. R_view becomes M R M', M = diag(-1, 1, 1) in the
    camera, M' = diag(1, -1, 1) in the object, which is a rotation again.
    """
    pick = flip.view(-1, 1, 1, 1)
    camera = views.R_view.new_tensor((-1.0, 1.0, 1.0))[:, None]
    own = views.R_view.new_tensor((1.0, -1.0, 1.0))[None, :]
    return replace(
        views, stacked=torch.where(pick, views.stacked.flip(3), views.stacked),
        front=torch.where(pick, views.front.flip(3), views.front),
        clear=torch.where(pick, views.clear.flip(3), views.clear),
        R_view=torch.where(pick[..., 0], camera * views.R_view * own, views.R_view))


def facing_first(R_view: Tensor, group: int) -> Tensor:
    """Turn objects about their own z until the first of each ``group`` views has x to the right.

    R_view: (B, 3, 3) upright views, B = instances x group. Only for objects that may spin freely:
    all views of an instance are turned by the same angle, so their relative poses stay.
    """
    first = R_view.view(-1, group, 3, 3)[:, :1]
    right, across = first[..., 0, 0], first[..., 0, 1]
    away = torch.hypot(right, across).clamp_min(1e-6)
    return (R_view.view(-1, group, 3, 3)
            @ rotation_z(torch.atan2(across / away, right / away))).flatten(0, 1)


def visible_points(views: Views) -> Tensor:
    """Points (B, 3, S, S) of the object that the pixels show, in its own frame, radii.

    Times alpha, as colours are. Rays converge: what the view shows at x lies at x (1 + p z), with
    the perspective p and the depth z behind the origin (see ``Generator.render``).
    """
    alpha, size = views.stacked[:, 3:4], views.stacked.shape[-1]
    depth = views.stacked[:, 4:5] / alpha.clamp_min(1e-3)
    line = pixel_line(size, alpha) * FRAME_MARGIN
    wider = 1.0 + views.perspective.view(-1, 1, 1, 1) * depth
    across, down = line.view(1, 1, 1, -1) * wider, line.view(1, 1, -1, 1) * wider
    in_camera = torch.cat((across, down, depth), 1)
    return alpha * torch.einsum('bji,bjhw->bihw', views.R_view, in_camera)


def _share_left(whole: Tensor, left: Tensor) -> Tensor:
    """(B,) how much of the coverages (B, 1, S, S) is left; 1 where there was none."""
    whole, left = whole.sum((1, 2, 3)), left.sum((1, 2, 3))
    return torch.where(whole > 0.5, left / whole.clamp_min(0.5), torch.ones_like(whole))


def compose(views: Views, backgrounds: Tensor | None, size_px: int = 64,
            cut_off: float = 0.0, most_hidden: float = MOST_HIDDEN) -> Crops:
    """Crops as a detector would cut them from pictures of the views' objects.

    backgrounds: (N, 3, H, W) uint8 clutter, or None for noise alone. cut_off: share of the objects
    that lie partly beyond the picture's edge (see ``framing``). most_hidden: share of an object
    that may be hidden by what stands in front of it.
    """
    batch = views.stacked.shape[0]
    like = views.stacked
    narrow = torch.randn(batch, device=like.device) * math.radians(14.0)
    wide = uniform((batch,), -math.pi, math.pi, like)
    in_plane = torch.where(torch.rand(batch, device=like.device) < 0.85, narrow, wide)

    frame = framed(views.stacked[:, 3:4], in_plane, cut_off)
    t, scale = frame.t, frame.scale

    # Each picture has its own exposure of the object; the generator does not see it.
    exposure = uniform((batch, 1, 1, 1), 0.8, 1.15, like)
    own_light = views.own_light()
    placed = warp_to_crop(torch.cat((own_light, views.stacked[:, 3:4], visible_points(views),
                                     views.front), 1), in_plane, t, scale, size_px)
    opaque, alpha = placed[:, 3:5].clamp(0.0, 1.0).split(1, 1)
    valid = frame.edges.covers(size_px)
    alpha = alpha * valid
    background = with_others(background_of(backgrounds, batch, size_px, like), own_light, scale)
    # A soft dark shape under the object stands for its contact shadow.
    shadow = functional.avg_pool2d(functional.avg_pool2d(opaque, (9, 1), 1, (4, 0)),
                                   (1, 9), 1, (0, 4))
    shadow = functional.pad(shadow, (0, 0, 5, 0))[:, :, :size_px]
    depth_of_shadow = uniform((batch, 1, 1, 1), -0.5, 0.6, like).clamp_min(0.0)
    background = background * (1.0 - depth_of_shadow * shadow)
    image = background * (1.0 - opaque) + (placed[:, :3] * exposure).clamp(0.0, 1.0)
    image = image.clamp(0.0, 1.0)
    cover_colour, cover = occluder_of(backgrounds, own_light, scale, alpha, most_hidden)
    image = shade(image * (1.0 - cover) + cover_colour)
    image = frame.edges.carried_on(photographed(image))
    in_picture = placed[:, 5:] * valid
    left = in_picture * (1.0 - cover)
    told = functional.avg_pool2d(left, 2)
    # What stands in front hides the front part, too, and so does the picture's edge.
    front_visible = (views.front_visible * _share_left(views.front, views.front * frame.inside)
                     * _share_left(in_picture[:, 3:], left[:, 3:]))

    cos, sin = torch.cos(in_plane), torch.sin(in_plane)
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    turn = torch.stack((cos, -sin, zero, sin, cos, zero, zero, zero, one), 1).view(-1, 3, 3)
    return Crops(image=image, mask=alpha * (1.0 - cover), valid=valid,
                 focal=scale / views.perspective, R=turn @ views.R_view, t=t,
                 log_scale=torch.log(scale), front_visible=front_visible, points=told[:, :3],
                 front=told[:, 3:])
