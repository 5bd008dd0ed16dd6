# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The training set's format: a folder of ``instance-00012.npz`` files and a ``dataset.json``.

Per instance, with V views of S x S pixels (see rendering.py for the view convention):
rgba (V, S, S, 4) uint8 sRGB, straight alpha = coverage; depth (V, S, S) float16 =
(z - distance) / radius_m where covered, else 0; part (V, S, S) uint8 coverage of the visible
front part; R_cam_obj (V, 3, 3) float32; kappa (V,) float32 = radius_m / distance; front_visible
(V,) float32 share of the front part that nothing hides; light (V,) uint8 light set-up; meta: JSON.
Of clear objects (glass.py) also clear (V, S, S) uint8: share of the backdrop that shows through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import json
from pathlib import Path
import zipfile

import numpy as np

from ..core.files import write_text_whole, written_whole
from ..core.types import PoseError

FORMAT_VERSION = 1
VALIDATION_SHARE = 0.08
ARRAYS = ('rgba', 'depth', 'part', 'R_cam_obj', 'kappa', 'front_visible', 'light')
CLEAR = 'clear'
"""The array that only clear objects have."""


class DatasetError(PoseError):
    """A data folder that cannot be used; its text is one sentence that names it and the mend."""


@dataclass(frozen=True)
class InstanceSet:
    """N instances with V views each: the arrays of the format, stacked, and each one's meta.

    clear is 0 for what is not clear.
    """

    rgba: np.ndarray
    depth: np.ndarray
    part: np.ndarray
    R_cam_obj: np.ndarray
    kappa: np.ndarray
    front_visible: np.ndarray
    light: np.ndarray
    clear: np.ndarray
    meta: tuple[dict, ...]

    def __len__(self) -> int:
        return len(self.rgba)

    def chosen(self, keep: np.ndarray) -> InstanceSet:
        """Those whose ``keep`` (N,) is set."""
        arrays = {k: getattr(self, k)[keep] for k in (*ARRAYS, CLEAR)}
        return InstanceSet(**arrays, meta=tuple(m for m, k in zip(self.meta, keep, strict=True)
                                                if k))

    @property
    def size_m(self) -> np.ndarray:
        """(N, 3) extents of the bounding boxes."""
        return np.array([m['size_m'] for m in self.meta])

    @property
    def radius_m(self) -> np.ndarray:
        """(N,) largest distance of a vertex from the origin."""
        return np.array([m['radius_m'] for m in self.meta])


def instance_path(folder: Path, instance: int) -> Path:
    """Where an instance of that number is stored."""
    return folder / f'instance-{instance:05d}.npz'


def write_atomically(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes an .npz so that a file of that name is always a complete one."""
    with written_whole(path) as partial, open(partial, 'wb') as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


def write_instance(folder: Path, instance: int, data: dict) -> Path:
    """Stores what ``render_instance`` returned."""
    path = instance_path(folder, instance)
    arrays = (*ARRAYS, CLEAR) if CLEAR in data else ARRAYS
    write_atomically(path, {**{k: data[k] for k in arrays}, 'meta': np.array(
        json.dumps(data['meta']))})
    return path


def write_recipe(folder: Path, recipe: dict, notes: dict | None = None) -> None:
    """Writes ``dataset.json``; DatasetError when the folder holds data of another recipe.

    notes: what is written beside the recipe and may change from call to call.
    """
    path = folder / 'dataset.json'
    recipe = {'format_version': FORMAT_VERSION, **recipe}
    if path.exists():
        old = json.loads(path.read_text())
        changed = sorted(k for k in recipe if k != 'count' and old.get(k) != recipe[k])
        if changed:
            raise DatasetError(f"{folder} holds data of another recipe ({', '.join(changed)} "
                               'differ): choose another --out or remove that folder')
        if 'count' in recipe:
            recipe['count'] = max(recipe['count'], old.get('count', 0))
    write_text_whole(path, json.dumps({**recipe, **(notes or {})}, indent=2) + '\n')


def later_entries(known: dict, **values: object) -> dict:
    """What a recipe says of options that came to recipes later, by what is ``known`` of the folder.

    Nothing where an option is off and the folder never said anything of it, as older ones do not.
    """
    return {name: value for name, value in values.items() if value or name in known}


def read_recipe(folder: Path | str) -> dict:
    """What ``write_recipe`` wrote, or nothing where there is no (readable) ``dataset.json``."""
    try:
        return dict(json.loads((Path(folder) / 'dataset.json').read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def list_instances(folder: Path | str) -> list[Path]:
    """The folder's complete instances in order; DatasetError when there is none."""
    found = sorted(Path(folder).glob('instance-*.npz'))
    if not found:
        raise DatasetError(f"no instance-*.npz in '{folder}': render some first with "
                           f"'nabs-pose render CATEGORY --out {folder}'")
    return found


def instance_number(path: Path) -> int:
    """The number of a stored instance."""
    return int(path.stem.rsplit('-', 1)[-1])


def split_instances(paths: Sequence[Path], split: str,
                    validation_share: float = VALIDATION_SHARE, copies: int = 1) -> list[Path]:
    """The paths of 'train', 'validation' (the last ones, at least one) or 'all'.

    copies: so many instances in a row are copies of one object (rendered meshes). They stay
    together, so that validation sees other objects, unless there is but one.
    """
    if split not in ('train', 'validation', 'all'):
        raise DatasetError(f"unknown split '{split}': use train, validation or all")
    if split == 'all':
        return list(paths)
    objects = sorted({instance_number(p) // copies for p in paths}) if copies > 1 else []
    if len(objects) > 1:
        held = set(objects[-max(1, round(validation_share * len(objects))):])
        return [p for p in paths
                if (instance_number(p) // copies in held) == (split == 'validation')]
    held_out = max(1, round(validation_share * len(paths))) if len(paths) > 1 else 0
    first = len(paths) - held_out
    return list(paths[:first] if split == 'train' else paths[first:])


def read_instance(path: Path) -> dict:
    """One instance's arrays and its meta (dict); DatasetError when the file is damaged."""
    try:
        with np.load(path) as stored:
            data = {k: stored[k] for k in ARRAYS}
            data[CLEAR] = (stored[CLEAR] if CLEAR in stored
                           else np.zeros(data['depth'].shape, np.uint8))
            data['meta'] = json.loads(str(stored['meta']))
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetError(f"'{path}' is damaged or of another format ({error}): delete it and "
                           'run the same render command again') from error
    return data


def read_meta(path: Path) -> dict:
    """One instance's meta alone, which is quick; DatasetError when the file is damaged."""
    try:
        with np.load(path) as stored:
            return dict(json.loads(str(stored['meta'])))
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetError(f"'{path}' is damaged or of another format ({error}): delete it and "
                           'run the same render command again') from error


def load_instances(folder: Path | str, split: str = 'all',
                   validation_share: float = VALIDATION_SHARE) -> InstanceSet:
    """All instances of a split in memory; the last ones of the folder are for validation."""
    copies = int(read_recipe(folder).get('copies', 1))
    chosen = split_instances(list_instances(folder), split, validation_share, copies)
    if not chosen:
        raise DatasetError(f"split '{split}' of '{folder}' is empty: render more instances")
    loaded = [read_instance(path) for path in chosen]
    return InstanceSet(**{k: np.stack([d[k] for d in loaded]) for k in (*ARRAYS, CLEAR)},
                       meta=tuple(d['meta'] for d in loaded))
