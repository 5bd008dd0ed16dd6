# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Category-level 6D object poses by neural analysis by synthesis, as a ROS 2 node and a library."""

from importlib import metadata as _metadata

try:
    __version__ = _metadata.version('ros2_nabs_pose')  # package.xml's, through setup.py
except _metadata.PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = '0+unknown'
