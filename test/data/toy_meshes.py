# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Writes mesh files of a toy, the arrow block: a body, a tip towards its front, a fin on its back.

In the toy's own frame z is up and x the front, as in the package; files may have any other.
"""

import numpy as np
import pytest

trimesh = pytest.importorskip('trimesh')

RED, YELLOW, BLUE = (200, 40, 30, 255), (240, 200, 40, 255), (30, 60, 220, 255)
LENGTH, WIDTH, HEIGHT, TIP, FIN = 0.12, 0.05, 0.04, 0.05, 0.03
#: Extents along x, y and z.
SIZE = (LENGTH + TIP, WIDTH, HEIGHT + FIN)


def turned(R_obj_file, unit_m=1.0):
    """(4, 4) transform from the toy's frame to that of a file which R (3, 3) maps back."""
    T = np.eye(4)
    T[:3, :3] = np.asarray(R_obj_file).T / unit_m
    return T


def arrow_parts(stretch=1.0):
    """The toy's meshes by name, in its own frame, metres."""
    body = trimesh.creation.box((LENGTH, WIDTH, HEIGHT))
    tip = trimesh.creation.cone(radius=HEIGHT * 0.45, height=TIP, sections=12)
    tip.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, (0, 1, 0)))
    tip.apply_translation((LENGTH / 2, 0, 0))
    fin = trimesh.creation.box((0.04, 0.01, FIN))
    fin.apply_translation((-0.03, 0, HEIGHT / 2 + FIN / 2))
    parts = {'body': body, 'tip': tip, 'fin': fin}
    for mesh in parts.values():
        mesh.apply_scale((stretch, 1.0, 1.0))
    return parts


def write_arrow(path, T_file_obj=None, stretch=1.0, colors=(RED, YELLOW, BLUE)):
    """Writes the toy; one flat colour a part in .glb and .gltf, colours of vertices in .ply."""
    parts = arrow_parts(stretch)
    for mesh, color in zip(parts.values(), colors):
        mesh.apply_transform(np.eye(4) if T_file_obj is None else T_file_obj)
        if path.suffix in ('.glb', '.gltf'):
            mesh.visual = trimesh.visual.TextureVisuals(
                material=trimesh.visual.material.PBRMaterial(baseColorFactor=color))
        else:
            mesh.visual.vertex_colors = np.tile(np.array(color, np.uint8), (len(mesh.vertices), 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in ('.glb', '.gltf', '.obj'):
        trimesh.Scene(parts).export(str(path))
    else:
        trimesh.util.concatenate(list(parts.values())).export(str(path))
    return path


OBJ_WITH_TEXTURE = """mtllib plate.mtl
o plate
v 0 0 0
v 0.1 0 0
v 0.1 0.1 0
v 0 0.1 0
vt 0 0
vt 1 0
vt 1 1
vt 0 1
usemtl paper
f 1/1 2/2 3/3
f 1/1 3/3 4/4
"""
MTL = 'newmtl paper\nKd 0.2 0.6 0.4\nmap_Kd {}\n'


def write_plate(path, texture='plate.png', image=None):
    """Writes an .obj of a square of 10 cm that faces +z, y up, with a picture on it."""
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(OBJ_WITH_TEXTURE)
    (path.parent / 'plate.mtl').write_text(MTL.format(texture))
    if image is not None:
        cv2.imwrite(str(path.parent / texture), image[..., ::-1])
    return path
