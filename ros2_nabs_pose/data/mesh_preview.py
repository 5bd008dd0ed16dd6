# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Contact sheets of a user's meshes: the same views of every one, so that a wrong axis stands out.

A row is a mesh: its name, its extents, and what it looks like from the places in ``VIEWS``.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from .mesh_dataset import Inspection, MeshSource, render_copy
from .preview import contact_row, write_sheet
from .rendering import look_at_origin, RenderSettings

#: What stands above a column, and the camera's elevation and azimuth in degrees.
VIEWS = (('half from the front', 25, 35), ('from the front (+x)', 4, 0),
         ('from its left (+y)', 4, 90), ('from behind (-x)', 4, 180),
         ('from above, front down', 89, 0))
SIZE_PX, SAMPLES = 160, 16
ROWS = 10
_LABEL_PX, _HEAD_PX = 190, 24


def _write(image: np.ndarray, text: str, x: int, y: int, scale: float = 0.4) -> None:
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, (20, 20, 20), 1, cv2.LINE_AA)


def _label(name: str, size_m: np.ndarray) -> np.ndarray:
    """What stands left of a row: the name, broken where it is long, and the extents."""
    image = np.full((SIZE_PX, _LABEL_PX, 3), 235, np.uint8)
    lines = [name[k:k + 26] for k in range(0, min(len(name), 78), 26)]
    lines += ['', *(f'{axis} {100.0 * v:.3g} cm' for axis, v in zip('xyz', size_m, strict=True))]
    for k, line in enumerate(lines):
        _write(image, line, 6, 22 + 18 * k)
    return image


def row(source: MeshSource, name: str, seed: int, unusual: bool = False) -> np.ndarray:
    """(SIZE_PX, W, 3) uint8: one mesh from every side, as it is or its first copy made unusual."""
    rotations = np.stack([look_at_origin(*np.radians(v[1:])) for v in VIEWS])
    settings = RenderSettings(len(VIEWS), SIZE_PX, SAMPLES, lights=1, unusual=float(unusual))
    data = render_copy(source, name, seed, settings, 2, int(unusual), rotations)
    label = f'{name[:60]} (unusual)' if unusual else name
    return np.concatenate([_label(label, data['meta']['size_m']), contact_row(data)], axis=1)


def write_mesh_preview(path: Path, source: MeshSource, inspection: Inspection, seed: int,
                       unusual: bool = False) -> list[Path]:
    """Writes contact sheets of all usable meshes, some rows each; returns where they are.

    unusual: below each mesh, a copy of it made unusual.
    """
    head = np.full((_HEAD_PX, _LABEL_PX + SIZE_PX * len(VIEWS), 3), 235, np.uint8)
    for k, (text, _, _) in enumerate(VIEWS):
        _write(head, text, _LABEL_PX + k * SIZE_PX + 5, 16, 0.36)
    names = list(inspection.sizes_m)
    rows = [row(source, name, seed + k * odd, odd)  # each bent in another way
            for k, name in enumerate(tqdm(names, 'drawing', unit='mesh', disable=None))
            for odd in ((False, True) if unusual else (False,))]
    written = []
    for page, first in enumerate(range(0, len(rows), ROWS)):
        target = path if page == 0 else path.with_stem(f'{path.stem}-{page + 1}')
        write_sheet(target, np.concatenate([head, *rows[first:first + ROWS]]))
        written.append(target)
    return written
