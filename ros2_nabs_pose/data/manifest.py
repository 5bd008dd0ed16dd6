# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""``manifest.yaml`` of a folder of meshes: how the files are turned and scaled, and what they are.

    category:            # of a category of your own; left out for the built-in ones
      symmetry: none     # none | free_z: any spin about z looks the same
      front_part: ~      # name of the submesh that alone tells the front (mug: handle)
      origin: box_center # box_center | axis_half_height (the default with free_z)
      size_m: ~          # typical extents [x, y, z] in metres; default: from the meshes
    variation: {scale: 0.05, stretch: 0.04, recolour: 0.5}
    defaults: {up: +y, front: +z, unit: m}
    meshes:              # settings of single files, by name or pattern
      'scans/*.ply': {unit: mm, up: +z}

Every key may be left out, but ``symmetry`` in ``category``; docs/custom_category.md says more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
import math
from pathlib import Path
import re
from typing import Any

import numpy as np
import yaml

from .categories import CATEGORIES, ORIGIN_AXIS, ORIGIN_BOX, SYMMETRY_FREE_Z, SYMMETRY_NONE
from .dataset import DatasetError
from .looks import FINISHES, GLASS, srgb_to_linear

FILE_NAME = 'manifest.yaml'
UNITS = {'m': 1.0, 'cm': 0.01, 'mm': 0.001, 'in': 0.0254}
_AXES = {sign + letter: (-1.0 if sign == '-' else 1.0) * np.eye(3)[k]
         for k, letter in enumerate('xyz') for sign in ('+', '-', '')}


@dataclass(frozen=True)
class MeshSettings:
    """How one file is to be read.

    up, front: axes of the file, such as '+y', that become z and x of the object frame; front is
    '+z' unless given, or '+x' where up lies along z. unit: name in UNITS or metres per unit of the
    file. axis: a point on the symmetry axis in the file's own coordinates, where it is not the
    middle. front_beyond: faces that lie beyond this share of the way from the axis to the frontmost
    point are the front part, where it is no submesh. color: '#rrggbb' where the file has none.
    finish: of FINISHES, where the file does not tell, or GLASS whatever it tells. licence: for the
    record. skip: leave out.
    """

    up: str = '+y'
    front: str = ''
    unit: str | float = 'm'
    axis: tuple[float, float, float] | None = None
    front_beyond: float | None = None
    color: str = ''
    finish: str = ''
    licence: str = ''
    skip: bool = False

    @property
    def metres(self) -> float:
        """Metres in one unit of the file."""
        return UNITS[self.unit] if isinstance(self.unit, str) else self.unit

    @property
    def R_obj_file(self) -> np.ndarray:
        """(3, 3) rotation from the file's axes to the object frame's."""
        up = _AXES[self.up]
        front = _AXES[self.front or ('+x' if self.up[-1] == 'z' else '+z')]
        return np.stack([front, np.cross(up, front), up])

    @property
    def linear_color(self) -> np.ndarray | None:
        """(3,) linear reflectance of ``color``, or None."""
        if not self.color:
            return None
        return srgb_to_linear(np.array([int(self.color[k:k + 2], 16) for k in (1, 3, 5)]) / 255.0)


@dataclass(frozen=True)
class CategoryEntry:
    """A category as the user describes it; ``size_m`` None: taken from the meshes."""

    symmetry: str
    origin: str
    front_part: str | None = None
    size_m: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Variation:
    """How the copies of one mesh differ: spread of the whole size and of each axis (standard
    deviation of the logarithm), share of copies with other colours.
    """

    scale: float = 0.05
    stretch: float = 0.04
    recolour: float = 0.5


@dataclass(frozen=True)
class Manifest:
    """A folder's manifest; ``settings(name)`` gives those of one file."""

    category: CategoryEntry | None = None
    variation: Variation = Variation()
    defaults: MeshSettings = MeshSettings()
    meshes: tuple[tuple[str, Mapping[str, Any]], ...] = ()

    def settings(self, name: str) -> MeshSettings:
        """Defaults with every entry whose name or pattern fits the file, the later ones first."""
        result = self.defaults
        for pattern, changes in self.meshes:
            if name == pattern or fnmatchcase(name, pattern):
                result = replace(result, **changes)
        _check_axes(result, name)
        return result

    def unused(self, names: list[str]) -> list[str]:
        """Entries that fit none of the files."""
        return [pattern for pattern, _ in self.meshes
                if not any(name == pattern or fnmatchcase(name, pattern) for name in names)]


def read_manifest(folder: Path) -> Manifest:
    """``manifest.yaml`` of a folder, or the defaults where there is none.

    Raises DatasetError, in one sentence, at the first thing that is not understood.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return Manifest()
    try:
        found = yaml.safe_load(path.read_text(encoding='utf-8')) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = ' '.join(str(error).split())
        raise DatasetError(f"'{path}' cannot be read as YAML: {reason}") from error
    try:
        return _manifest(found)
    except ValueError as error:
        raise DatasetError(f"'{path}': {error}") from error


def _manifest(found: Any) -> Manifest:
    found = _keys(found, 'the file', ('category', 'variation', 'defaults', 'meshes'))
    category = found.get('category')
    meshes = found.get('meshes') or {}
    if not isinstance(meshes, Mapping):
        raise ValueError("'meshes' maps file names to their settings, as in 'a.obj: {unit: mm}'")
    manifest = Manifest(
        category=None if category is None else _category(category),
        variation=_variation(found.get('variation') or {}),
        defaults=MeshSettings(**_settings(found.get('defaults') or {}, 'defaults')),
        meshes=tuple((str(name), _settings(values or {}, str(name)))
                     for name, values in meshes.items()))
    _check_axes(manifest.defaults, 'defaults')
    return manifest


def _keys(values: Any, where: str, known: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise ValueError(f'{where} must be a mapping of {", ".join(known)}')
    for key in values:
        if key not in known:
            close = get_close_matches(str(key), known, 1)
            hint = f'did you mean {close[0]!r}?' if close else f'known are {", ".join(known)}'
            raise ValueError(f'{where} has an unknown key {key!r}: {hint}')
    return dict(values)


def _check_axes(settings: MeshSettings, where: str) -> None:
    if settings.front and settings.up[-1] == settings.front[-1]:
        raise ValueError(f'{where}: up {settings.up} and front {settings.front} lie along the '
                         'same axis')


def _number(value: Any, low: float, high: float) -> float | None:
    """The value as a number within bounds, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) and low <= value <= high else None


def _triple(value: Any, low: float, high: float) -> tuple[float, float, float] | None:
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        return None
    a, b, c = (_number(v, low, high) for v in value)
    return None if a is None or b is None or c is None else (a, b, c)


def _settings(values: Any, where: str) -> dict[str, Any]:
    """Checked settings of a file; ValueError in one sentence."""
    values = _keys(values, where, tuple(f.name for f in fields(MeshSettings)))
    result: dict[str, Any] = {}
    for key, value in values.items():
        good: Any = None
        if value is None:  # 'front:' with nothing behind it
            continue
        if key in ('up', 'front'):
            # YAML reads a bare y as text, but some write axes in capitals.
            good = str(value).lower() if str(value).lower() in _AXES else None
            says = 'an axis such as +y or -z'
        elif key == 'unit':
            good = value if isinstance(value, str) and value in UNITS else _number(value, 1e-9, 1e9)
            says = f'one of {", ".join(UNITS)} or the metres in one unit of the file'
        elif key == 'axis':
            good, says = _triple(value, -1e9, 1e9), 'three numbers, a point in the file'
        elif key == 'front_beyond':
            good, says = _number(value, 0.0, 1.0), 'a share between 0 and 1'
        elif key == 'color':
            text = str(value)
            good = text if re.fullmatch('#[0-9a-fA-F]{6}', text) else None
            says = "a colour such as '#c04030', in quotes"
        elif key == 'finish':
            known = (*FINISHES, GLASS)
            good, says = value if value in known else None, f'one of {", ".join(known)}'
        elif key == 'skip':
            good, says = value if isinstance(value, bool) else None, 'true or false'
        else:
            good, says = str(value), ''
        if good is None:
            raise ValueError(f'{where}: {key} is {value!r}, but must be {says}')
        result[key] = good
    return result


def _category(values: Any) -> CategoryEntry:
    values = _keys(values, 'category', ('symmetry', 'front_part', 'origin', 'size_m'))
    symmetries, origins = (SYMMETRY_NONE, SYMMETRY_FREE_Z), (ORIGIN_BOX, ORIGIN_AXIS)
    # YAML 1.1 has several words for nothing; 'none' is not one of them, but ~ and null are.
    symmetry = values.get('symmetry')
    if symmetry not in symmetries:
        raise ValueError(f'category: symmetry is {symmetry!r}, but must be one of '
                         f'{", ".join(symmetries)}')
    origin = values.get('origin') or (ORIGIN_AXIS if symmetry == SYMMETRY_FREE_Z else ORIGIN_BOX)
    if origin not in origins:
        raise ValueError(f'category: origin is {origin!r}, but must be one of {", ".join(origins)}')
    front = values.get('front_part')
    if front and symmetry == SYMMETRY_FREE_Z:
        raise ValueError('category: a front_part and symmetry free_z contradict each other')
    size = values.get('size_m')
    if size is not None and (size := _triple(size, 1e-4, 10.0)) is None:
        raise ValueError(f'category: size_m is {values["size_m"]!r}, but must be three extents in '
                         'metres')
    return CategoryEntry(symmetry, origin, str(front) if front else None, size)


def _variation(values: Any) -> Variation:
    values = _keys(values, 'variation', tuple(f.name for f in fields(Variation)))
    for key, value in values.items():
        high = 1.0 if key == 'recolour' else 0.3
        if (good := _number(value, 0.0, high)) is None:
            raise ValueError(f'variation: {key} is {value!r}, but must be between 0 and {high}')
        values[key] = good
    return Variation(**values)


def category_entry(name: str, manifest: Manifest, folder: Path) -> CategoryEntry:
    """What is known of the category ``name``: the manifest's word, or the built-in one's.

    Raises DatasetError where neither says anything, or both do.
    """
    if not re.fullmatch('[a-z][a-z0-9_-]*', name):
        raise DatasetError(f"'{name}' cannot name a category: use small letters, digits, _ and -")
    known, own = CATEGORIES.get(name), manifest.category
    if known is not None:
        if own is not None:
            raise DatasetError(f"'{name}' is built in, with a symmetry and an origin of its own: "
                               f"leave 'category' out of '{folder / FILE_NAME}' or choose another "
                               'name')
        return CategoryEntry(known.symmetry, known.origin, known.front_part, known.size_mean_m)
    if own is None:
        raise DatasetError(
            f"'{name}' is no built-in category: say in '{folder / FILE_NAME}' what it is, at least "
            "'category: {symmetry: none}' (or free_z: any spin about its z axis looks the same)")
    return own
