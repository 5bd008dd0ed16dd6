# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The only module that talks to Mitsuba 3: meshes, paints, lights, cameras and one render call.

Convention: our cameras are optical frames (x right, y down, z forward). Mitsuba's camera looks
along +z too, but its x points left and its y up; :func:`sensor` turns one into the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from .looks import GLASS, Paint
from .shapes.surfaces import Mesh

#: Added to the v coordinate of marked meshes: the mean v of a pixel then tells their coverage.
_MARK = 1000.0
_AOVS = 'position:position,uv:uv'


@lru_cache(maxsize=1)
def mitsuba() -> Any:
    """Mitsuba 3 in its scalar variant, on one thread: processes, not threads, fill the cores.

    Where :func:`prefer_vectorised` succeeded before: in its LLVM variant.
    """
    mi, drjit = _imported()
    if mi.variant() is None:
        mi.set_variant('scalar_rgb')
    drjit.set_thread_count(1)
    mi.set_log_level(mi.LogLevel.Error)
    return mi


def _imported() -> tuple[Any, Any]:
    try:
        import drjit
        import mitsuba as mi
    except ImportError as error:
        raise RuntimeError('rendering needs Mitsuba 3: pip install mitsuba') from error
    return mi, drjit


def prefer_vectorised() -> bool:
    """Makes this process render with LLVM, some seven times faster on large pictures.

    False where LLVM 17 or later (older ones cannot compile the path tracer) is not found: the
    environment variable DRJIT_LIBLLVM_PATH names the library where the system's is older. Grain
    differs between the variants, so what must come out equal everywhere uses the scalar one.
    """
    mi, drjit = _imported()
    if mi.variant() is None:
        version = drjit.detail.llvm_version()
        if version and version[0] >= 17:
            mi.set_variant('llvm_ad_rgb')
    return bool((mi.variant() or '').startswith('llvm'))


@dataclass(frozen=True)
class Frame:
    """One rendered picture, linear: rgb (H, W, 3) premultiplied by alpha (H, W): the coverage, less
    what shows through glass.
    """

    rgb: np.ndarray
    alpha: np.ndarray


@dataclass(frozen=True)
class Geometry:
    """What a pixel's rays met, averaged over them, (H, W) float32.

    coverage: share of rays that met anything. z: mean depth along the optical axis of those,
    metres (0 where nothing is). marked: share of rays that met marked meshes.
    """

    coverage: np.ndarray
    z: np.ndarray
    marked: np.ndarray


def texture(image: np.ndarray) -> dict:
    """A linear (H, W, 3) image as a texture whose first row lies at v = 1."""
    mi = mitsuba()
    # Mitsuba puts the first row at v = 0.
    return {'type': 'bitmap', 'raw': True, 'filter_type': 'bilinear',
            'bitmap': mi.Bitmap(np.ascontiguousarray(image[::-1]).astype(np.float32))}


def bsdf(paint: Paint) -> dict:
    """A paint as a BSDF description."""
    if paint.finish == GLASS:
        # Walls are thin: what is seen through them stays in its place, so that a background can be
        # put there later, and rays that go straight through leave their share of alpha empty. Each
        # sheet has both surfaces of a pane; walls of mugs and bowls are two sheets, so each has an
        # index that reflects half of what glass does.
        return {'type': 'thindielectric', 'int_ior': 1.33}
    color: dict = (texture(paint.color) if paint.color.ndim == 3
                   else {'type': 'rgb', 'value': [float(c) for c in paint.color]})
    if paint.finish == 'metal':
        inner = {'type': 'principled', 'base_color': color, 'metallic': 1.0,
                 'roughness': paint.roughness}
    elif paint.finish == 'matte':
        inner = {'type': 'diffuse', 'reflectance': color}
    else:
        inner = {'type': 'principled', 'base_color': color, 'roughness': paint.roughness,
                 'specular': 0.5}
    return {'type': 'twosided', 'bsdf': inner}


def shape(mesh: Mesh, material: dict, marked: bool = False,
          T_world_mesh: np.ndarray | None = None, number: int = 0) -> Any:
    """A mesh with a BSDF description, moved by a (4, 4) transform; ``marked`` as in Geometry.

    ``number`` is what :func:`surfaces` tells it by; many meshes may share one.
    """
    mi = mitsuba()
    vertices, normals = mesh.vertices, mesh.normals
    if T_world_mesh is not None:
        vertices = vertices @ T_world_mesh[:3, :3].T + T_world_mesh[:3, 3]
        normals = normals @ T_world_mesh[:3, :3].T
    properties = mi.Properties()
    properties['bsdf'] = mi.load_dict(material)
    result = mi.Mesh('mesh', len(vertices), len(mesh.faces), properties,
                     has_vertex_normals=True, has_vertex_texcoords=True)
    parameters = mi.traverse(result)
    # Textures repeat, so whole numbers in their coordinates change nothing but what we read back.
    uv = mesh.uv + (number * _MARK, _MARK if marked else 0.0)
    parameters['vertex_positions'] = np.ascontiguousarray(vertices, np.float32).ravel()
    parameters['vertex_normals'] = np.ascontiguousarray(normals, np.float32).ravel()
    parameters['vertex_texcoords'] = np.ascontiguousarray(uv, np.float32).ravel()
    parameters['faces'] = np.ascontiguousarray(mesh.faces, np.uint32).ravel()
    parameters.update()
    return result


def environment(image: np.ndarray) -> dict:
    """A (H, W, 3) linear map whose first row looks along +z, as an emitter."""
    mi = mitsuba()
    upright = mi.ScalarTransform4f().rotate([1, 0, 0], 90)
    return {'type': 'envmap', 'bitmap': mi.Bitmap(np.ascontiguousarray(image, np.float32)),
            'to_world': upright}


def area_light(position_m: np.ndarray, target_m: np.ndarray, size_m: float,
               radiance: np.ndarray) -> dict:
    """A square light of edge ``size_m`` that faces ``target_m``."""
    mi = mitsuba()
    up = [0, 0, 1] if abs(position_m[2] - target_m[2]) < 0.98 * np.linalg.norm(
        position_m - target_m) else [1, 0, 0]
    place = mi.ScalarTransform4f().look_at(origin=[float(v) for v in position_m],
                                           target=[float(v) for v in target_m], up=up)
    return {'type': 'rectangle', 'to_world': place.scale(size_m / 2.0),
            'emitter': {'type': 'area', 'radiance': {'type': 'rgb',
                                                     'value': [float(c) for c in radiance]}}}


def sensor(R_cam_world: np.ndarray, position_m: np.ndarray, half_tan: float, width: int,
           height: int, near_m: float, far_m: float, seed: int = 0,
           sampler: str = 'independent') -> dict:
    """A pinhole camera; ``half_tan`` is the tangent of half its horizontal field of view.

    R_cam_world (3, 3) has the optical frame's axes in its rows. The principal point is the
    image's centre.
    """
    mi = mitsuba()
    to_world = np.eye(4)
    to_world[:3, :3] = R_cam_world.T @ np.diag([-1.0, -1.0, 1.0])
    to_world[:3, 3] = position_m
    return {'type': 'perspective', 'fov': float(np.degrees(2.0 * np.arctan(half_tan))),
            'fov_axis': 'x', 'near_clip': float(near_m), 'far_clip': float(far_m),
            'to_world': mi.ScalarTransform4f(to_world),
            'sampler': {'type': sampler, 'seed': seed},
            'film': {'type': 'hdrfilm', 'width': width, 'height': height,
                     'pixel_format': 'rgba', 'component_format': 'float32',
                     'rfilter': {'type': 'box'}}}


def integrator(max_depth: int, hide_emitters: bool = True) -> dict:
    """Path tracing for pictures; geometry is asked for apart, as it costs more than the light."""
    return {'type': 'path', 'max_depth': max_depth, 'rr_depth': 64,
            'hide_emitters': hide_emitters}


def cropped(camera: dict, window: tuple[int, int, int, int]) -> dict:
    """The camera with only the pixels x0 <= x < x1, y0 <= y < y1 of its picture rendered."""
    x0, y0, x1, y1 = window
    return camera | {'film': camera['film'] | {
        'crop_offset_x': x0, 'crop_offset_y': y0, 'crop_width': x1 - x0, 'crop_height': y1 - y0}}


def render(scene: Any, camera: dict, samples: int, seed: int) -> Frame:
    """Renders a loaded scene through one camera; the same seed gives the same picture."""
    mi = mitsuba()
    image = np.array(mi.render(scene, sensor=mi.load_dict(camera), spp=samples, seed=seed))
    return Frame(image[..., :3], np.clip(image[..., 3], 0.0, 1.0))


def _met(scene: Any, camera: dict, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean over each pixel's rays of position (H, W, 3) and uv (H, W, 2), 0 where they miss."""
    mi = mitsuba()
    integrator_ = mi.load_dict({'type': 'aov', 'aovs': _AOVS})
    image = np.array(mi.render(scene, sensor=mi.load_dict(camera), integrator=integrator_,
                               spp=samples, seed=seed))[..., -5:]
    return image[..., :3], image[..., 3:]


def geometry(scene: Any, camera: dict, R_cam_world: np.ndarray, position_m: np.ndarray,
             samples: int, seed: int) -> Geometry:
    """Casts ``samples`` rays a pixel. Lamps are met like everything else: leave them out.

    Needs every mesh made with ``number=1`` (see :func:`shape`), which tells rays that met one.
    """
    position, uv = _met(scene, camera, samples, seed)
    coverage = np.clip(np.round(uv[..., 0] / _MARK * samples) / samples, 0.0, 1.0)
    covered = coverage > 0.0
    mean = position / np.where(covered, coverage, 1.0)[..., None]
    z = np.where(covered, (mean - position_m) @ R_cam_world[2], 0.0)
    marked = np.clip(np.round(uv[..., 1] / _MARK * samples) / samples, 0.0, 1.0)
    return Geometry(coverage.astype(np.float32), z.astype(np.float32), marked.astype(np.float32))


@dataclass(frozen=True)
class Surfaces:
    """What single rays through a picture met, (H, W): one ray a pixel, nothing averaged.

    number: as given to :func:`shape`; 0 also where nothing is. marked: bool. z: depth along the
    optical axis, metres (0 where nothing is).
    """

    number: np.ndarray
    marked: np.ndarray
    z: np.ndarray


def surfaces(scene: Any, camera: dict, R_cam_world: np.ndarray, position_m: np.ndarray,
             seed: int) -> Surfaces:
    """Casts one ray a pixel; for several a pixel, give a camera of a larger picture."""
    position, uv = _met(scene, camera, 1, seed)
    z = (position - position_m) @ R_cam_world[2]
    met = (position != 0.0).any(-1)
    return Surfaces(np.round(uv[..., 0] / _MARK).astype(int) * met, (uv[..., 1] > _MARK / 2) & met,
                    np.where(met, z, 0.0).astype(np.float32))
