# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Folders of rendered scenes: jobs that write one frame each, and the set's annotations.json.

A frame's record (``records/000012.json``) is written last, so a frame that has one is complete and
a second run goes on where the first one stopped.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
import json
from pathlib import Path

import cv2
import numpy as np

from . import mitsuba_scene as ms
from . import scenes
from .dataset import write_recipe
from .jobs import run_jobs
from .scene_layout import climbing_view, demo_scene, demo_view, random_scene, stretch, View
from ..core.files import write_text_whole

LICENCE = 'CC0-1.0, rendered by ros2_nabs_pose'
SEQUENCES = {'sequence': ('orbit', demo_view), 'climb': ('climb', climbing_view)}
"""By kind, what a folder's one sequence is called and the camera's path; 'scenes' has none."""


@dataclass(frozen=True)
class SceneSettings:
    """What a folder is made from.

    kind: 'scenes', or of SEQUENCES. categories: of its objects, taking turns. rate_hz: of a
    sequence's stamps.

    ``vectorised`` renders with LLVM where it can (mitsuba_scene.prefer_vectorised): the same
    scenes and poses, other grain.
    """

    kind: str
    categories: tuple[str, ...]
    count: int
    seed: int
    width: int = 480
    height: int = 360
    samples: int = 16
    rate_hz: float = 10.0
    vectorised: bool = True


def record_path(folder: Path, index: int) -> Path:
    """Where a frame's record is kept."""
    return folder / 'records' / f'{index:06d}.json'


def _write_png(path: Path, image: np.ndarray) -> None:
    if not cv2.imwrite(str(path), image, [cv2.IMWRITE_PNG_COMPRESSION, 6]):
        raise OSError(f'cannot write {path}')


@lru_cache(maxsize=1)
def _loaded_sequence(settings: SceneSettings) -> tuple:
    """Layout, Mitsuba scene, gains and how far the camera is: loaded once a process, only the
    camera moves.
    """
    layout = demo_scene(settings.categories, settings.seed, calm=settings.kind != 'climb')
    scene = scenes.load(layout)
    far = max(stretch(placed.shape) for placed in layout.objects)
    return layout, scene, scenes.expose(layout, scene, SEQUENCES[settings.kind][1](
        settings.count // 2, settings.count, settings.width, settings.height, far)), far


def render_frame(folder: Path, settings: SceneSettings, index: int) -> None:
    """One job: skipped where the frame is complete."""
    if record_path(folder, index).exists():
        return
    if settings.vectorised:
        ms.prefer_vectorised()
    if settings.kind in SEQUENCES:
        layout, scene, gains, far = _loaded_sequence(settings)
        path = SEQUENCES[settings.kind][1]
        view = path(index, settings.count, settings.width, settings.height, far)
    else:
        layout, view = random_scene(settings.categories, settings.seed, index, settings.width,
                                    settings.height)
        scene = scenes.load(layout)
        gains = scenes.expose(layout, scene, view)
    picture = scenes.shoot(layout, scene, view, gains, settings.samples, index)
    write_frame(folder, settings, index, view, picture)


def write_frame(folder: Path, settings: SceneSettings, index: int, view: View,
                picture: scenes.Picture) -> None:
    """Stores pictures, masks and depth of a frame, then its record."""
    name = f'{index:06d}'
    _write_png(folder / f'{name}.png', cv2.cvtColor(picture.rgb, cv2.COLOR_RGB2BGR))
    depth = np.round(picture.depth_m / scenes.DEPTH_UNIT_M)
    # Beyond 6.5 m a 16-bit picture of this unit has no numbers: unknown.
    _write_png(folder / f'{name}-depth.png', np.where(depth < 65535, depth, 0).astype(np.uint16))
    objects = []
    for seen in picture.objects:
        mask = f'{name}-mask-{seen.id}.png'
        _write_png(folder / mask, np.where(seen.mask, 255, 0).astype(np.uint8))
        objects.append({
            'id': seen.id, 'category': seen.category, 'box_px': list(seen.box_px), 'mask': mask,
            'T_cam_obj': np.round(seen.T_cam_obj, 9).tolist(),
            'size_m': np.round(seen.size_m, 6).tolist(),
            'box_center_m': np.round(seen.box_center_m, 6).tolist(),
            'yaw_visible': seen.yaw_visible, 'visible_share': round(seen.visible_share, 3)})
    k = view.intrinsics
    sequence = settings.kind in SEQUENCES
    record = {'image': f'{name}.png', 'depth': f'{name}-depth.png',
              'depth_unit_m': scenes.DEPTH_UNIT_M, 'intrinsics': [k.fx, k.fy, k.cx, k.cy],
              'sequence': SEQUENCES[settings.kind][0] if sequence else None,
              'stamp_s': index / settings.rate_hz if sequence else None, 'objects': objects}
    write_text_whole(record_path(folder, index), json.dumps(record))


def missing_frames(folder: Path, count: int) -> list[int]:
    """Frames still to do, every other one first: a run that is stopped early is of use at half
    the rate.
    """
    todo = [i for i in range(count) if not record_path(folder, i).exists()]
    return [i for i in todo if i % 2 == 0] + [i for i in todo if i % 2 == 1]


def write_annotations(folder: Path, settings: SceneSettings) -> int:
    """Collects the complete frames into annotations.json; returns their number.

    Single pictures in which no object can be seen well enough are left out.
    """
    frames = [json.loads(record_path(folder, i).read_text(encoding='utf-8'))
              for i in range(settings.count) if record_path(folder, i).exists()]
    if settings.kind == 'scenes':
        frames = [f for f in frames if f['objects']]
    if frames:
        write_text_whole(folder / 'annotations.json', json.dumps(
            {'name': folder.name, 'licence': LICENCE, 'frames': frames}, indent=1))
    return len(frames)


def render_set(folder: Path, settings: SceneSettings, workers: int) -> list[tuple[tuple, str]]:
    """Renders what is missing and writes the annotations; returns failed jobs (see run_jobs).

    DatasetError when the folder holds another set.
    """
    (folder / 'records').mkdir(parents=True, exist_ok=True)
    recipe = asdict(settings)
    recipe['category'] = ' '.join(recipe.pop('categories'))
    if settings.kind == 'scenes':
        # More single pictures may be added; a sequence's path depends on their number.
        recipe.pop('rate_hz')
        write_recipe(folder, recipe)
    else:
        write_recipe(folder, recipe | {'frames': recipe['count']})
    try:
        return run_jobs(render_frame, [(folder, settings, i) for i in missing_frames(
            folder, settings.count)], workers, 'frame')
    finally:
        write_annotations(folder, settings)
