# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Where the files that are no Python lie: models, the demo's bag, launch and parameter files.

The same code runs from a source checkout, a pip install and a colcon install. All three have the
same folders below one root: the checkout itself, or ``share/ros2_nabs_pose`` of a prefix.
"""

from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path
import sys

from .core.types import PoseError

PACKAGE = 'ros2_nabs_pose'
MODELS_VARIABLE = 'NABS_POSE_MODELS'
REFINER = 'shared/refiner.safetensors'
"""Below the folder of the models; it is no category's."""


def models_dir() -> Path:
    """
    Return the folder of the models; it exists.

    ``NABS_POSE_MODELS`` decides where it is set, else the first root that has ``models``: the
    source checkout that this code runs from, the ament index, the prefix of the installation.
    Raises PoseError where there is none.
    """
    named = os.environ.get(MODELS_VARIABLE)
    if named:
        folder = Path(named).expanduser()
        if not folder.is_dir():
            raise PoseError(f'{MODELS_VARIABLE} names {folder}, which is not a folder: set it to '
                            'the folder of the .safetensors files or unset it.')
        return folder
    return find_resource('models')


def find_model(category: str) -> Path:
    """Return the weights of a category in ``models_dir()``; PoseError names those there are."""
    folder = models_dir()
    path = folder / f'{category}.safetensors'
    if not path.is_file():
        there = ', '.join(sorted(p.stem for p in folder.glob('*.safetensors'))) or 'none'
        raise PoseError(f'There is no model of the category "{category}" in {folder} (there: '
                        f'{there}): train one with "nabs-pose train" or set {MODELS_VARIABLE}.')
    return path


def find_refiner(folder: Path) -> Path | None:
    """
    Return the refiner that all categories share: the folder's own, else the one that is shipped.

    None where there is neither: fits then go without.
    """
    try:
        shipped = find_resource(f'models/{REFINER}')
    except PoseError:
        shipped = None
    return folder / REFINER if (folder / REFINER).is_file() else shipped


def demo_bag() -> Path:
    """Return the bag that is shipped for the demo (a rosbag2 folder); PoseError where missing."""
    return find_resource('demo/mugs')


def find_resource(relative: str) -> Path:
    """Return a file or folder below the first root that has it; PoseError where none has."""
    roots = list(resource_roots())
    for root in roots:
        if (root / relative).exists():
            return root / relative
    looked = ', '.join(str(root) for root in roots) or 'no folder at all'
    raise PoseError(f'"{relative}" of {PACKAGE} is nowhere to be found (looked below {looked}): '
                    'install the package again or run it from its source checkout.')


def resource_roots() -> Iterator[Path]:
    """
    Yield the folders that may hold ``models``, ``launch``, ``config`` and ``demo``, best first.

    The checkout comes first: whoever trains a model there must not get an older installed one.
    """
    package_folder = Path(__file__).resolve().parent
    checkout = package_folder.parent
    if (checkout / 'package.xml').is_file() and (checkout / 'setup.py').is_file():
        yield checkout
    try:
        from ament_index_python.packages import get_package_share_directory, PackageNotFoundError
    except ImportError:
        pass
    else:
        try:
            yield Path(get_package_share_directory(PACKAGE))
        except (PackageNotFoundError, LookupError, OSError):
            pass
    # PREFIX/lib/pythonX.Y/site-packages/ros2_nabs_pose, PREFIX/lib/python3/dist-packages/... and
    # pip's --target and --user layouts all have PREFIX among the next few parents.
    for prefix in (*list(package_folder.parents)[:5], Path(sys.prefix)):
        share = prefix / 'share' / PACKAGE
        if share.is_dir():
            yield share
