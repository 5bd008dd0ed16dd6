# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""``nabs-pose render``: training views, backgrounds and evaluation sets, with Mitsuba 3."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
import shutil
import sys

from .arguments import positive

EXAMPLES = """examples:
  nabs-pose render mug --preview mugs.png            a contact sheet first: are the axes right?
  nabs-pose render mug --instances 260 --views 60 --out data/mug
  nabs-pose render mug --instances 2000 --out data/mug --shard 3/16    one of 16 machines
  nabs-pose render backgrounds --count 400 --size 160 --out data/backgrounds
  nabs-pose render teapot --meshes my_teapots --preview teapots.png      meshes of your own, and
  nabs-pose render teapot --meshes my_teapots --out data/teapot          a category of your own
  nabs-pose render camera --strangers --instances 40 --views 16 --out data/strangers/camera
  nabs-pose render scenes --category mug --count 60 --seed 5 --out data/eval-mug
  nabs-pose render scenes --category mug can bowl --count 60 --out data/eval-mixed
  nabs-pose render sequence --category mug --frames 100 --rate 10 --seed 7 --out data/demo-sequence
  nabs-pose render climb --category mug --seed 31 --out data/climb-mug
Stopped or killed, the same command goes on: files that are there are complete and are kept.
docs/custom_category.md tells what my_teapots/manifest.yaml says.
Scenes render some ten times faster where LLVM 17 or later is found; DRJIT_LIBLLVM_PATH names the
library (Debian and Ubuntu: apt install libllvm19, /usr/lib/x86_64-linux-gnu/libLLVM.so.19.1).
"""
BACKGROUNDS = 'backgrounds'
SCENES = ('scenes', 'sequence', 'climb')
_DEFAULT_COUNT = {'scenes': 60, 'sequence': 100, 'climb': 40}
_DEFAULT_SIZE = {BACKGROUNDS: 160, 'scenes': 480, 'sequence': 480, 'climb': 480}
#: Compressed bytes a pixel, measured: of a view with its depth and part; of a background; of a
#: scene with its depth and masks.
VIEW_BYTES, _BACKGROUND_BYTES, _SCENE_BYTES = 1.9, 1.8, 4.5


def _shard(text: str) -> tuple[int, int]:
    """'3/16' -> (2, 16): shards count from 1 on the command line."""
    try:
        index, count = (int(part) for part in text.split('/'))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no shard: write i/n, as in 3/16") from None
    if not 1 <= index <= count:
        raise argparse.ArgumentTypeError(f"'{text}' is no shard: i runs from 1 to n")
    return index - 1, count


def _positive_rate(text: str) -> float:
    value = float(text)
    if not 0.0 < value < 1e4:
        raise argparse.ArgumentTypeError(f'{text} is no rate in Hz')
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f'{text} is no share: give one from 0 to 1')
    return value


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Declare the subcommand."""
    parser = subparsers.add_parser(
        'render', help='render training data', epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('what', help=f"a category, '{BACKGROUNDS}', or an evaluation set: "
                        "'scenes' (single pictures), 'sequence' (an orbit) or 'climb' (an orbit "
                        'whose camera climbs until it looks down steeply; mugs may wear lids)')
    parser.add_argument('--meshes', type=Path, metavar='DIR',
                        help='folder of .obj, .ply, .glb, .gltf or .stl files to render in place '
                        'of procedural shapes; its manifest.yaml tells axes and units')
    parser.add_argument('--copies', type=positive, metavar='N',
                        help='of each mesh, in other sizes, colours and light (default: 24)')
    parser.add_argument('--category', nargs='+', default=['mug'], metavar='C',
                        help='of the objects in scenes; several take turns (default: mug)')
    parser.add_argument('--out', type=Path, help='folder to write (default: data/WHAT)')
    parser.add_argument('--instances', '--count', '--frames', type=positive, metavar='N',
                        help='objects, or pictures (default: 260; scenes: 60; sequence: 100; '
                        'climb: 40)')
    parser.add_argument('--rate', type=_positive_rate, default=10.0, metavar='HZ',
                        help="of a sequence's pictures (default: %(default)s)")
    parser.add_argument('--views', type=positive, default=60, help='of each object')
    parser.add_argument('--size', type=positive, metavar='PX',
                        help="a picture's width (default: 64; backgrounds: 160; scenes: 480, 4:3)")
    parser.add_argument('--samples', '--spp', type=positive, default=20, metavar='N',
                        help='light paths a pixel of a view (default: %(default)s)')
    parser.add_argument('--lights', type=positive, default=3, metavar='N',
                        help='light set-ups of each object (default: %(default)s)')
    parser.add_argument('--unusual', type=_share, default=0.0, metavar='SHARE',
                        help='of the objects (of meshes: copies) that are of rarer kinds, get '
                        'measures no shop sells, are bent out of shape and get further parts, so '
                        'that a model learns to read other kinds, too: 0.4, for example '
                        '(default: 0)')
    parser.add_argument('--strangers', action='store_true',
                        help='kinds that no training set has, to measure on with "nabs-pose '
                        'benchmark models --strangers"; nothing can be trained on them')
    parser.add_argument('--seed', type=int, default=1,
                        help='the same seed gives the same data, however many workers')
    parser.add_argument('--workers', type=positive, help='processes (default: one per core)')
    parser.add_argument('--shard', type=_shard, default=(0, 1), metavar='I/N',
                        help='render only every N-th object, from the I-th')
    parser.add_argument('--preview', type=Path, metavar='PNG',
                        help='write a contact sheet with the axes drawn in, and nothing else')


def announce(folder: Path, missing: int, present: int, bytes_each: float) -> None:
    """Says what will be written, and refuses where it cannot fit."""
    from ..data.dataset import DatasetError

    need, free = missing * bytes_each, shutil.disk_usage(folder).free
    print(f'{folder}: {missing} to render, {present} there already; about {need / 1e6:.0f} MB '
          f'of {free / 1e9:.1f} GB free', flush=True)
    if need > 0.95 * free:
        raise DatasetError(f"'{folder}' has {free / 1e6:.0f} MB free and about {need / 1e6:.0f} "
                           'MB are needed: choose another --out, or fewer objects')


def _check(args: argparse.Namespace, families: Collection[str]) -> None:
    """DatasetError where what is asked for does not exist, or not together."""
    from ..data.dataset import DatasetError
    from ..data.strangers import STRANGERS

    if args.strangers and (args.what not in STRANGERS or args.unusual or args.meshes):
        raise DatasetError('--strangers stands alone, with one of '
                           f"{', '.join(sorted(STRANGERS))}")
    if args.unusual and args.what in (BACKGROUNDS, *SCENES):
        raise DatasetError(f"--unusual is for what is learned from, not for '{args.what}'")
    if args.meshes is not None:
        if args.what in (BACKGROUNDS, *SCENES):
            raise DatasetError(f"--meshes are of a category: name one in place of '{args.what}'")
        if args.instances:
            raise DatasetError('--instances is for procedural shapes: say with --copies how many '
                               'objects to make of each mesh')
        return
    if args.copies:
        raise DatasetError('--copies is for --meshes: say with --instances how many objects to '
                           'render')
    for category in args.category if args.what in SCENES else [args.what]:
        if category == BACKGROUNDS and args.what not in SCENES or category in families:
            continue
        raise DatasetError(f"nothing to render called '{category}': choose one of "
                           f"{', '.join((*sorted(families), BACKGROUNDS, *SCENES))}, or give "
                           '--meshes')


def run(args: argparse.Namespace) -> int:
    """Render; returns 0, or 1 when some jobs failed."""
    from . import render_meshes
    from ..data.dataset import DatasetError
    from ..data.mitsuba_scene import mitsuba
    from ..data.shapes import FAMILIES

    _check(args, FAMILIES)
    args.instances = args.instances or _DEFAULT_COUNT.get(args.what, 260)
    try:
        if args.what not in SCENES:  # those choose a variant of Mitsuba of their own
            mitsuba()
    except RuntimeError as error:
        raise DatasetError(str(error)) from error
    if args.preview:
        return _preview(args)
    folder = args.out or Path('data/strangers' if args.strangers else 'data') / args.what
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(f"cannot write to '{folder}' ({error.strerror}): choose another "
                           '--out') from error
    route = _render_scenes if args.what in SCENES else _render_data
    failures = (route if args.meshes is None else render_meshes.render)(args, folder)
    for arguments, trace in failures[:3]:
        print(f'{args.what} {arguments[-1]} failed:\n{trace}', file=sys.stderr)
    if failures:
        print(f'{len(failures)} failed; the same command tries them again', file=sys.stderr)
    return 1 if failures else 0


def _preview(args: argparse.Namespace) -> int:
    from . import render_meshes
    from ..data.dataset import DatasetError
    from ..data.preview import write_preview

    if args.what in (BACKGROUNDS, *SCENES):
        raise DatasetError(f"--preview is for categories, not for '{args.what}': render a few "
                           'and look at them')
    if args.meshes is not None:
        return render_meshes.preview(args)
    write_preview(args.preview, args.what, args.seed, unusual=args.unusual,
                  stream='strangers' if args.strangers else 'training')
    print(f'wrote {args.preview}')
    return 0


def workers(args: argparse.Namespace) -> int:
    """Processes to render with."""
    from ..data.jobs import default_workers

    return args.workers or default_workers()


def _render_data(args: argparse.Namespace, folder: Path) -> list[tuple[tuple, str]]:
    """Views of a category, or backgrounds; returns the failed jobs."""
    from ..data.backgrounds import background_path, render_and_store
    from ..data.dataset import instance_path, later_entries, read_recipe, write_recipe
    from ..data.glass import SHARES
    from ..data.jobs import run_jobs, shard
    from ..data.rendering import render_and_store_instance, RenderSettings
    from ..data.shapes.bottle import KIND_WEIGHTS, KINDS
    from ..data.shapes.mug import LID_SHARE

    size = args.size or _DEFAULT_SIZE.get(args.what, 64)
    recipe = {'what': args.what, 'seed': args.seed, 'size_px': size, 'count': args.instances}
    path_of: Callable[[Path, int], Path]
    if args.what == BACKGROUNDS:
        path_of, bytes_each = background_path, _BACKGROUND_BYTES * size * size
        job = partial(render_and_store, folder, args.seed, size)
    else:
        path_of, bytes_each = instance_path, VIEW_BYTES * size * size * args.views
        recipe |= {'views': args.views, 'samples': args.samples, 'lights': args.lights}
        job = partial(render_and_store_instance, folder, args.what, args.seed, RenderSettings(
            args.views, size, args.samples, args.lights, args.unusual),
            'strangers' if args.strangers else 'training')
    # What came to families later: its note, its share by category, and what is said of it.
    later = (('clear_share', SHARES, 'some were made clear'),
             ('lid_share', {'mug': LID_SHARE},
              'some got wide lids, drinks and rims of another material'),
             ('jug_share', {'bottle': KIND_WEIGHTS[KINDS.index('jug')]},
              'some were jugs and some stood on their caps'))
    notes = {note: shares[args.what] for note, shares, _ in later
             if args.what in shares and not args.strangers}
    known = read_recipe(folder)
    recipe |= later_entries(known, unusual=args.unusual, strangers=args.strangers)
    for note, _, news in later:
        if note in notes and note not in known and any(folder.glob('instance-*.npz')):
            print(f'The objects in {folder} were rendered before {news}, and are kept: for what a '
                  'new folder gets, choose another --out.', file=sys.stderr)
    write_recipe(folder, recipe, notes)
    mine = shard(range(args.instances), *args.shard)
    missing = [k for k in mine if not path_of(folder, k).exists()]
    announce(folder, len(missing), len(mine) - len(missing), bytes_each)
    return run_jobs(job, [(k,) for k in missing], workers(args),
                    'picture' if args.what == BACKGROUNDS else 'object')


def _render_scenes(args: argparse.Namespace, folder: Path) -> list[tuple[tuple, str]]:
    """An evaluation set; returns the failed jobs."""
    from ..data.scene_files import missing_frames, render_set, SceneSettings

    width = args.size or _DEFAULT_SIZE[args.what]
    settings = SceneSettings(args.what, tuple(args.category), args.instances, args.seed, width,
                             width * 3 // 4, args.samples, args.rate)
    missing = len(missing_frames(folder, args.instances))
    announce(folder, missing, args.instances - missing, _SCENE_BYTES * width * width * 3 / 4)
    return render_set(folder, settings, workers(args))
