# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""A training set from a folder of meshes: which instance is which copy of which file.

Instance k is copy k % copies of mesh k // copies. The meshes' numbers are kept in ``meshes.json``
beside the instances: files that come later get later numbers, so nothing is ever renumbered, and
every shard that starts from the same folder counts alike.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from .categories import Category
from .dataset import DatasetError, instance_path, read_meta, write_instance
from .manifest import CategoryEntry, FILE_NAME, Manifest, Variation
from .mesh_variants import vary
from .meshes import check_size, find_meshes, load_mesh, MeshError
from .rendering import instance_rng, render_object, RenderSettings
from .unusual import made_unusual, STREAM
from ..core.files import write_text_whole

NUMBERS = 'meshes.json'


@dataclass(frozen=True)
class MeshSource:
    """The folder, what it is said to hold, and how copies differ; all that a worker needs."""

    folder: Path
    name: str
    category: CategoryEntry
    manifest: Manifest

    @property
    def variation(self) -> Variation:
        """How copies differ."""
        return self.manifest.variation


@dataclass(frozen=True)
class Inspection:
    """What the folder holds, by file name.

    sizes_m: (3,) extents of every usable mesh; digests: of the same. problems: why the others are
    skipped; warnings: what is to be said of usable ones. left_out: skipped as the manifest wants.
    """

    sizes_m: dict[str, np.ndarray]
    digests: dict[str, str]
    problems: dict[str, str]
    warnings: dict[str, tuple[str, ...]]
    left_out: tuple[str, ...]

    def category(self, source: MeshSource) -> Category:
        """The category with its sizes: those of the meshes, one like the other."""
        sizes = np.array(list(self.sizes_m.values()))
        mean, std = sizes.mean(0), sizes.std(0)
        return Category(source.name, source.category.symmetry, _three(mean), _three(std),
                        source.category.origin, source.category.front_part)


def _three(values: np.ndarray) -> tuple[float, float, float]:
    a, b, c = (round(float(v), 5) for v in values)
    return a, b, c


def inspect(source: MeshSource) -> Inspection:
    """Read every file once and sort out what cannot be used; DatasetError where nothing is left."""
    names = find_meshes(source.folder)
    sizes, digests, problems, said, left_out = {}, {}, {}, {}, []
    for name in tqdm(names, 'reading', unit='mesh', disable=None, leave=False):
        try:
            settings = source.manifest.settings(name)
        except ValueError as error:
            raise DatasetError(f"'{source.folder / FILE_NAME}': {error}") from error
        if settings.skip:
            left_out.append(name)
            continue
        try:
            mesh = load_mesh(source.folder, name, source.name, source.category, settings)
            usual = source.category.size_m
            check_size(mesh.shape.size_m, settings, None if usual is None else np.array(usual))
        except MeshError as error:
            problems[name] = str(error)
            continue
        sizes[name], digests[name] = mesh.shape.size_m, mesh.digest
        if mesh.warnings:
            said[name] = mesh.warnings
    if source.category.size_m is None and len(sizes) > 2:
        # With nothing else to go by, the others tell what is usual.
        usual = np.median(np.array(list(sizes.values())), axis=0)
        for name in list(sizes):
            try:
                check_size(sizes[name], source.manifest.settings(name), usual)
            except MeshError as error:
                problems[name] = str(error)
                del sizes[name], digests[name]
    for pattern in source.manifest.unused(names):
        said[FILE_NAME] = (*said.get(FILE_NAME, ()),
                           f"its entry '{pattern}' fits none of the files")
    if not sizes:
        reasons = '; '.join(f"'{name}' {why}" for name, why in list(problems.items())[:3])
        raise DatasetError(f"none of the {len(names)} meshes in '{source.folder}' can be used"
                           + (f': {reasons}' if reasons else ''))
    return Inspection(sizes, digests, problems, said, tuple(left_out))


def numbered(folder: Path, source: MeshSource) -> dict[str, int]:
    """Numbers of the source's meshes, usable or not, in the dataset folder; remembers new ones."""
    path = folder / NUMBERS
    try:
        known = [str(name) for name in json.loads(path.read_text())] if path.exists() else []
    except (OSError, ValueError) as error:
        raise DatasetError(f"'{path}' is damaged: choose another --out or remove that "
                           'folder') from error
    names = find_meshes(source.folder)
    order = known + [name for name in names if name not in known]
    if order != known:
        write_text_whole(path, json.dumps(order, indent=1) + '\n')
    return {name: k for k, name in enumerate(order)}


def is_current(folder: Path, instance: int, digest: str) -> bool:
    """Whether the instance is there and made of this very mesh, read in this very way."""
    path = instance_path(folder, instance)
    if not path.exists():
        return False
    try:
        return bool(read_meta(path).get('mesh', {}).get('digest') == digest)
    except DatasetError:
        return False


#: Copies of a mesh follow each other, so a worker keeps the one it read last.
_loaded = lru_cache(maxsize=1)(load_mesh)


def render_copy(source: MeshSource, name: str, seed: int, settings: RenderSettings, copies: int,
                instance: int, rotations: np.ndarray | None = None) -> dict:
    """Renders an instance, a copy of the mesh called ``name``, as ``rendering.render_object``.

    Copy 0, the mesh as it is, is never made unusual.
    """
    reading = source.manifest.settings(name)
    mesh = _loaded(source.folder, name, source.name, source.category, reading)
    rng = instance_rng(seed, instance)
    copy, entry = instance % copies, source.category
    shape, look = vary(mesh, copy, rng, entry.symmetry, source.variation)
    beside = instance_rng(seed, instance, 'training', STREAM)
    if copy > 0 and beside.random() < settings.unusual:
        shape, look = made_unusual(shape, look, entry.symmetry, entry.origin, beside)
    origin = {'category': source.name, 'seed': seed, 'stream': 'training', 'instance': instance,
              'mesh': {'file': name, 'digest': mesh.digest, 'licence': reading.licence}}
    return render_object(shape, look, rng, settings, origin, rotations)


def render_and_store_copy(folder: Path, source: MeshSource, seed: int, settings: RenderSettings,
                          copies: int, name: str, instance: int) -> None:
    """One job of ``nabs-pose render NAME --meshes DIR``."""
    write_instance(folder, instance, render_copy(source, name, seed, settings, copies, instance))


def recipe_entries(source: MeshSource) -> dict:
    """What of the source belongs to a dataset's recipe: data of another one do not mix with it."""
    category = {k: v for k, v in asdict(source.category).items() if k != 'size_m'}
    return {'category': category, 'variation': asdict(source.variation)}
