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

from .looks import Paint
from .shapes.surfaces import Mesh

#: Added to the v coordinate of marked meshes: the mean v of a pixel then tells their coverage.
_MARK = 1000.0
_AOVS = 'position:position,uv:uv'


@lru_cache(maxsize=1)
def mitsuba() -> Any:
    """Mitsuba 3 in its scalar variant, on one thread: processes, not threads, fill the cores."""
    try:
        import drjit
        import mitsuba as mi
    except ImportError as error:
        raise RuntimeError("rendering needs Mitsuba 3: pip install 'ros2_nabs_pose[render]' "
                           'or pip install mitsuba') from error
    mi.set_variant('scalar_rgb')
    drjit.set_thread_count(1)
    mi.set_log_level(mi.LogLevel.Error)
    return mi


@dataclass(frozen=True)
class Frame:
    """One rendered picture, linear, (H, W) or (H, W, 3) float32.

    rgb: premultiplied by alpha. alpha: coverage. z: mean depth along the optical axis of the
    covered samples, metres (0 where nothing is). marked: coverage of marked meshes.
    """

    rgb: np.ndarray
    alpha: np.ndarray
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
          T_world_mesh: np.ndarray | None = None) -> Any:
    """A mesh with a BSDF description, moved by a (4, 4) transform; ``marked`` as in Frame."""
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
    uv = mesh.uv + (0.0, _MARK) if marked else mesh.uv
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
           height: int, near_m: float, far_m: float, seed: int = 0) -> dict:
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
            'sampler': {'type': 'independent', 'seed': seed},
            'film': {'type': 'hdrfilm', 'width': width, 'height': height,
                     'pixel_format': 'rgba', 'component_format': 'float32',
                     'rfilter': {'type': 'box'}}}


def integrator(max_depth: int, hide_emitters: bool = True) -> dict:
    """Path tracing with the geometry that :func:`render` reads, in one pass."""
    return {'type': 'aov', 'aovs': _AOVS,
            'image': {'type': 'path', 'max_depth': max_depth, 'rr_depth': 64,
                      'hide_emitters': hide_emitters}}


def render(scene: Any, camera: dict, R_cam_world: np.ndarray, position_m: np.ndarray,
           samples: int, seed: int) -> Frame:
    """Renders a loaded scene through one camera; the same seed gives the same picture."""
    mi = mitsuba()
    image = np.array(mi.render(scene, sensor=mi.load_dict(camera), spp=samples, seed=seed))
    alpha = np.clip(image[..., 3], 0.0, 1.0)
    covered = alpha > 1e-4
    safe = np.where(covered, image[..., 3], 1.0)
    position = image[..., 4:7] / safe[..., None]
    z = np.where(covered, (position - position_m) @ R_cam_world[2], 0.0)
    marked = np.clip(np.round(image[..., 8] / _MARK, 2), 0.0, 1.0)
    return Frame(image[..., :3], alpha.astype(np.float32), z.astype(np.float32),
                 marked.astype(np.float32))
