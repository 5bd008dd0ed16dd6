# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A user's mesh files, turned into the object frame: metres, z up, x towards the front."""

from __future__ import annotations

from dataclasses import dataclass, replace
import hashlib
import logging
from pathlib import Path
import re
from typing import Any
from urllib.parse import unquote
import warnings

import numpy as np

from .categories import ORIGIN_AXIS, SYMMETRY_FREE_Z
from .dataset import DatasetError
from .looks import GLASS
from .manifest import CategoryEntry, MeshSettings, UNITS
from .mesh_paint import Coat, coat_and_uv
from .shapes import Part, Shape
from .shapes.surfaces import Mesh

ENDINGS = ('.obj', '.ply', '.glb', '.gltf', '.stl')
#: Diagonals outside these bounds are taken for a wrong unit, metres.
SMALLEST_M, LARGEST_M = 0.001, 5.0
#: So many times larger or smaller than is usual in the category is a wrong unit as well.
UNUSUAL = 4.0
MAX_FACES = 1_000_000
#: Edges sharper than this stay edges; softer ones are shaded smooth.
CREASE_RAD = np.radians(40.0)
_PICTURES = ('.png', '.jpg', '.jpeg', '.bmp', '.tga', '.tif', '.tiff', '.webp', '.gif')


class MeshError(DatasetError):
    """A mesh that cannot be used; its text says why and the mend, without the file's name."""


@dataclass(frozen=True)
class LoadedMesh:
    """A mesh in the object frame. coats: by part name, what the file says of its colours.

    digest: of everything that was read, and of how. warnings: what is not as the file wants it.
    """

    shape: Shape
    coats: dict[str, Coat]
    digest: str
    warnings: tuple[str, ...]


def find_meshes(folder: Path) -> list[str]:
    """Names of the mesh files below a folder, relative to it, in order; DatasetError if none."""
    if not folder.is_dir():
        raise DatasetError(f"'{folder}' is not a folder: --meshes names a folder of "
                           f"{', '.join(ENDINGS)} files")
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob('*')
                   if p.suffix.lower() in ENDINGS and p.is_file())
    if not names:
        raise DatasetError(f"'{folder}' has no {', '.join(ENDINGS)} files")
    return names


class _Files:
    """Gives a loader the files that a mesh refers to, and remembers what was read and missed.

    A file may lie anywhere below ``root`` and be named with the separators of other systems.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self.parent, self.root = path.parent, root.resolve()
        self.file_name = path.name
        self.missing: list[str] = []
        self.damaged: list[str] = []
        self.digest = hashlib.sha256(path.read_bytes())

    def get(self, name: str) -> bytes:
        plain = unquote(name.strip().strip('"')).replace('\\', '/')
        for candidate in (plain, plain.rsplit('/', 1)[-1], plain.rsplit(' ', 1)[-1]):
            path = (self.parent / candidate).resolve()
            if path.is_relative_to(self.root) and path.is_file():
                data = path.read_bytes()
                self.digest.update(data)
                if path.suffix.lower() in _PICTURES and not _is_picture(data):
                    self.damaged.append(name.strip())
                return data
        self.missing.append(name.strip())
        raise FileNotFoundError(name)

    __getitem__ = get


def _is_picture(data: bytes) -> bool:
    import io

    from PIL import Image

    try:
        Image.open(io.BytesIO(data)).load()
    except (OSError, ValueError, SyntaxError):
        return False
    return True


def _read(path: Path, root: Path) -> tuple[Any, _Files]:
    """The file as a trimesh scene, and what it refers to."""
    try:
        import trimesh
    except ImportError as error:
        raise DatasetError('meshes need trimesh: pip install trimesh pillow') from error
    files = _Files(path, root)
    more = {'split_objects': True} if path.suffix.lower() == '.obj' else {}
    load: Any = trimesh.load_scene
    logging.getLogger('trimesh').setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            scene = load(str(path), resolver=files, process=False, **more)
    # The loaders meet broken files with whatever exception comes first.
    except Exception as error:
        lost = f"it needs '{files.missing[0]}', which is not there" if files.missing else (
            ' '.join(str(error).split())[:120] or type(error).__name__)
        raise MeshError(f'cannot be read ({lost}): export it again') from error
    return scene, files


def crease_normals(corners: np.ndarray) -> np.ndarray:
    """(M, 3, 3) unit normals at the corners (M, 3, 3) of triangles, smooth but across creases.

    A corner's normal is the mean, by area, of those triangles around its point that lean less than
    CREASE_RAD against its own; so neither doubled vertices nor turned windings leave seams.
    """
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    own = area / np.maximum(np.linalg.norm(area, axis=1, keepdims=True), 1e-30)
    grain = 1e-6 * max(float(np.ptp(corners.reshape(-1, 3), axis=0).max()), 1e-9)
    _, point = np.unique(np.round(corners.reshape(-1, 3) / grain).astype(np.int64), axis=0,
                         return_inverse=True)
    order = np.argsort(point.ravel(), kind='stable')
    counts = np.bincount(point.ravel())
    starts = np.cumsum(counts) - counts
    result = np.empty((3 * len(corners), 3))
    for valence in np.unique(counts):
        members = order[starts[counts == valence][:, None] + np.arange(valence)]
        face = members // 3
        near = np.einsum('gic,gjc->gij', own[face], own[face]) > np.cos(CREASE_RAD)
        result[members] = np.einsum('gij,gjc->gic', near.astype(float), area[face])
    length = np.linalg.norm(result, axis=1, keepdims=True)
    flat = np.repeat(own, 3, axis=0)
    return np.where(length > 1e-30, result / np.maximum(length, 1e-30), flat).reshape(-1, 3, 3)


@dataclass(frozen=True)
class _Piece:
    """A submesh: corners (M, 3, 3) in the file's frame, coordinates (M, 3, 2), coat."""

    corners: np.ndarray
    uv: np.ndarray
    coat: Coat


def _pieces(scene: Any, files: _Files) -> tuple[dict[str, _Piece], list[str]]:
    """Submeshes by name with the file's transforms applied, and warnings."""
    found: dict[str, _Piece] = {}
    said = [f"texture or material file '{name}' is not there, so its flat colour is used"
            for name in files.missing]
    said += [f"texture '{name}' is damaged, so its flat colour is used" for name in files.damaged]
    for node in scene.graph.nodes_geometry:
        T, geometry = scene.graph[node]
        mesh = scene.geometry[geometry]
        faces = np.asarray(getattr(mesh, 'faces', ()))
        if faces.size == 0:
            continue
        vertices = np.asarray(mesh.vertices, np.float64)
        if faces.min() < 0 or faces.max() >= len(vertices):
            raise MeshError('has faces whose vertices do not exist: export it again')
        points = vertices @ T[:3, :3].T + T[:3, 3]
        if not np.isfinite(points[faces]).all():
            raise MeshError('has coordinates that are not numbers: export it again')
        coat, uv, wrong = coat_and_uv(mesh.visual, faces, bool(files.missing or files.damaged))
        if wrong and not files.damaged:
            said.append(f'{wrong}, so its flat colour is used')
        corners = points[faces]
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0],
                                       corners[:, 2] - corners[:, 0]), axis=1)
        solid = area > 0.0
        if solid.any():
            # The renderer takes dots in names for paths.
            plain = re.sub('[^0-9A-Za-z_-]+', '_', str(node)).strip('_') or 'part'
            name, number = plain, 2
            while name in found:
                name, number = f'{plain}_{number}', number + 1
            found[name] = _Piece(corners[solid], uv[solid], coat)
    if not found:
        raise MeshError('has no faces: only triangles can be rendered')
    count = sum(len(p.corners) for p in found.values())
    if count > MAX_FACES:
        raise MeshError(f'has {count / 1e6:.1f} million triangles: simplify it to {MAX_FACES:,} '
                        'at most, pictures of it show no more')
    return found, list(dict.fromkeys(said))


def _front_name(parts: dict[str, Any], front_part: str | None) -> str | None:
    """The largest part whose name holds the front part's, in any case."""
    named = [n for n in parts if front_part and front_part.lower() in n.lower()]
    return max(named, key=lambda n: len(parts[n].corners), default=None)


def _origin(pieces: dict[str, _Piece], front: str | None, category: CategoryEntry,
            axis: np.ndarray | None) -> np.ndarray:
    """(3,) where the object frame's origin lies, the pieces being turned and scaled already."""
    every = np.concatenate([p.corners.reshape(-1, 3) for p in pieces.values()])
    low, high = every.min(0), every.max(0)
    origin = 0.5 * (low + high)
    if category.origin != ORIGIN_AXIS:
        return origin
    if axis is not None:
        return np.array([axis[0], axis[1], origin[2]])
    body = [p.corners.reshape(-1, 3) for name, p in pieces.items() if name != front]
    if front is not None and body:
        rest = np.concatenate(body)
        origin[:2] = 0.5 * (rest.min(0) + rest.max(0))[:2]
    elif category.symmetry != SYMMETRY_FREE_Z:
        # A round body as deep as it is wide, from which the front sticks out.
        origin[0] = low[0] + 0.5 * (high[1] - low[1])
    return origin


def _split_front(pieces: dict[str, _Piece], beyond: float, name: str) -> dict[str, _Piece]:
    """The pieces with all triangles beyond that share of the largest x as a piece of their own.

    One coat must do for it: that of the piece with most of those triangles; others keep theirs
    and stay where they are.
    """
    limit = beyond * max(p.corners[..., 0].max() for p in pieces.values())
    outer = {n: p.corners[..., 0].mean(1) > limit for n, p in pieces.items()}
    most = max(outer, key=lambda n: int(outer[n].sum()))
    piece, chosen = pieces[most], outer[most]
    if not chosen.any() or chosen.all():
        return pieces
    rest = {n: p for n, p in pieces.items() if n != most}
    return rest | {most: _Piece(piece.corners[~chosen], piece.uv[~chosen], piece.coat),
                   name: _Piece(piece.corners[chosen], piece.uv[chosen], piece.coat)}


def check_size(size_m: np.ndarray, settings: MeshSettings,
               usual_m: np.ndarray | None = None) -> None:
    """MeshError where an object's extents can only be those of another unit.

    usual_m: (3,) extents that are typical of the category, where they are known.
    """
    def text(metres: float) -> str:
        return f'{metres:.3g} m' if metres >= 0.1 else f'{1000.0 * metres:.3g} mm'

    across = float(np.linalg.norm(size_m))
    usual = None if usual_m is None else float(np.linalg.norm(usual_m))
    unusual = usual is not None and abs(np.log(across / usual)) > np.log(UNUSUAL)
    if SMALLEST_M <= across <= LARGEST_M and not unusual:
        return
    goal = usual or 0.2
    best = min(UNITS, key=lambda unit: abs(np.log(across / settings.metres * UNITS[unit] / goal)))
    then = across / settings.metres * UNITS[best]
    than = f', where {text(usual)} is usual' if usual is not None and unusual else ''
    if best != settings.unit and abs(np.log(then / goal)) < abs(np.log(across / goal)):
        hint = f"with 'unit: {best}' it would be {text(then)}"
    else:
        hint = "give its 'unit' in the manifest, or leave it out with 'skip: true'"
    raise MeshError(f'is {text(across)} across{than}: {hint}')


def load_mesh(folder: Path, name: str, category_name: str, category: CategoryEntry,
              settings: MeshSettings) -> LoadedMesh:
    """Read one file of the folder; MeshError says why it cannot be used (its size is not checked).

    Vertices are not shared between triangles, so that textures and creases come out exact.
    """
    scene, files = _read(folder / name, folder)
    pieces, said = _pieces(scene, files)
    R = settings.R_obj_file
    pieces = {n: replace(p, corners=settings.metres * p.corners @ R.T) for n, p in pieces.items()}
    front = _front_name(pieces, category.front_part)
    axis = None if settings.axis is None else settings.metres * R @ np.array(settings.axis)
    origin = _origin(pieces, front, category, axis)
    pieces = {n: replace(p, corners=p.corners - origin) for n, p in pieces.items()}
    if category.front_part is not None and front is None:
        if settings.front_beyond is not None:
            pieces = _split_front(pieces, settings.front_beyond, category.front_part)
            front = category.front_part if category.front_part in pieces else None
        if front is None:
            said.append(f"has no submesh named '{category.front_part}' (there are "
                        f"{', '.join(list(pieces)[:4])}), so its front counts as always in sight: "
                        "rename one or give 'front_beyond'")
    if not settings.color and all(p.coat.color is None for p in pieces.values()) and (
            files.missing or files.damaged):
        said.append("names no flat colour either, so each copy gets one by chance: give 'color'")
    normals = crease_normals(np.concatenate([p.corners for p in pieces.values()]))
    parts, coats, start = {}, {}, 0
    for n, p in pieces.items():
        count = len(p.corners)
        parts[n] = Part(Mesh(p.corners.reshape(-1, 3), np.arange(3 * count).reshape(-1, 3),
                             normals[start:start + count].reshape(-1, 3), p.uv.reshape(-1, 2)), n)
        coats[n] = replace(
            p.coat, color=settings.linear_color if p.coat.color is None else p.coat.color,
            finish=settings.finish if settings.finish == GLASS
            else p.coat.finish or settings.finish or None)
        start += count
    files.digest.update(repr(replace(settings, licence='')).encode())
    every = np.concatenate([p.corners.reshape(-1, 3) for p in (
        [pieces[front]] if front else list(pieces.values()))])
    outermost = every[every[:, 0] > every[:, 0].max() - 0.01 * max(np.ptp(every[:, 0]), 1e-9)]
    shape = Shape(category_name, parts, front,
                  np.array([every[:, 0].max(), 0.0, outermost[:, 2].mean()]), {})
    return LoadedMesh(shape, coats, files.digest.hexdigest()[:16], tuple(said))
