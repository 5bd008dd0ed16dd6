# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""``nabs-pose render NAME --meshes DIR``: training views of a user's own meshes."""

from __future__ import annotations

import argparse
from collections import Counter
from functools import partial
from pathlib import Path
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..data.mesh_dataset import Inspection, MeshSource

#: Copies of each mesh where the user gives no number.
DEFAULT_COPIES = 24


def open_source(name: str, folder: Path) -> MeshSource:
    """The folder with its manifest; DatasetError where the manifest or the name is no good."""
    from ..data.manifest import category_entry, read_manifest
    from ..data.mesh_dataset import MeshSource

    manifest = read_manifest(folder)
    return MeshSource(folder, name, category_entry(name, manifest, folder), manifest)


def report(inspection: Inspection) -> None:
    """Says of every file that is skipped, or is not as it wants to be, why."""
    for name, why in inspection.problems.items():
        print(f"skipped '{name}': it {why}", file=sys.stderr)
    for name, said in inspection.warnings.items():
        for warning in said:
            print(f"warning: '{name}': {warning}", file=sys.stderr)


def summary(inspection: Inspection) -> str:
    """One line (and a list) of what was used and what was not."""
    used, skipped = len(inspection.sizes_m), len(inspection.problems)
    text = f'{used} of {used + skipped} meshes rendered'
    if inspection.left_out:
        text += f', {len(inspection.left_out)} left out by the manifest'
    return text + ''.join(f"\n  skipped '{name}': it {why}"
                          for name, why in inspection.problems.items())


def preview(args: argparse.Namespace) -> int:
    """Write contact sheets; returns the exit status."""
    from ..data.mesh_dataset import inspect
    from ..data.mesh_preview import write_mesh_preview

    source = open_source(args.what, args.meshes)
    inspection = inspect(source)
    report(inspection)
    for path in write_mesh_preview(args.preview, source, inspection, args.seed,
                                   args.unusual > 0.0):
        print(f'wrote {path}')
    return 0


def render(args: argparse.Namespace, folder: Path) -> list[tuple[tuple, str]]:
    """Render what is missing; returns the failed jobs."""
    from .render import announce, VIEW_BYTES, workers
    from ..data.jobs import run_jobs, shard
    from ..data.mesh_dataset import inspect, render_and_store_copy
    from ..data.rendering import RenderSettings

    source = open_source(args.what, args.meshes)
    inspection = inspect(source)
    report(inspection)
    size, copies = args.size or 64, args.copies or DEFAULT_COPIES
    jobs = _prepare(args, folder, source, inspection, size, copies)
    mine = shard(jobs, *args.shard)
    missing = _missing(folder, inspection, mine)
    announce(folder, len(missing), len(mine) - len(missing), VIEW_BYTES * size * size * args.views)
    settings = RenderSettings(args.views, size, args.samples, args.lights, args.unusual)
    failures = run_jobs(partial(render_and_store_copy, folder, source, args.seed, settings, copies),
                        missing, workers(args), 'object')
    print(summary(inspection))
    return failures


def _prepare(args: argparse.Namespace, folder: Path, source: MeshSource, inspection: Inspection,
             size: int, copies: int) -> list[tuple[str, int]]:
    """Number the meshes and write the recipe; returns (file, instance) of every copy."""
    from ..data.dataset import instance_number, later_entries, read_recipe, write_recipe
    from ..data.mesh_dataset import numbered, recipe_entries

    known = inspection.category(source)
    licences = Counter(source.manifest.settings(name).licence or 'not stated'
                       for name in inspection.sizes_m)
    write_recipe(folder, {
        'what': args.what, 'seed': args.seed, 'size_px': size, 'views': args.views,
        'samples': args.samples, 'lights': args.lights, 'copies': copies,
        **recipe_entries(source),
        **later_entries(read_recipe(folder), unusual=args.unusual)}, notes={
            'meshes': len(inspection.sizes_m), 'licences': dict(sorted(licences.items())),
            'size_mean_m': known.size_mean_m, 'size_std_m': known.size_std_m})
    numbers = numbered(folder, source)
    gone = {number: name for name, number in numbers.items() if name not in inspection.sizes_m}
    left = [p for p in folder.glob('instance-*.npz') if instance_number(p) // copies in gone]
    if left:
        names = sorted({gone[instance_number(p) // copies] for p in left})
        print(f"warning: {len(left)} instances of {', '.join(names)} were rendered before and "
              'would be trained on: remove '
              f"{', '.join(sorted(p.name for p in left)[:3])}{' ...' if len(left) > 3 else ''} "
              f"from '{folder}' to leave them out", file=sys.stderr)
    return [(name, numbers[name] * copies + copy)
            for name in inspection.sizes_m for copy in range(copies)]


def _missing(folder: Path, inspection: Inspection,
             jobs: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """The jobs whose instance is not there, or is of an earlier state of its mesh."""
    from ..data.dataset import instance_path
    from ..data.mesh_dataset import is_current

    missing = [(name, k) for name, k in jobs if not is_current(folder, k, inspection.digests[name])]
    changed = sorted({name for name, k in missing if instance_path(folder, k).exists()})
    for name in changed:
        print(f"'{name}' or its entry in the manifest has changed: it is rendered anew")
    return missing
