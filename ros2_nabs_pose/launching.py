# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What the launch files have in common: arguments left empty, programs that may be missing."""

from __future__ import annotations

from collections.abc import Iterable
import os
from typing import Any

from ament_index_python.packages import get_package_prefix, PackageNotFoundError
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitution import Substitution
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare
import yaml

PACKAGE = 'ros2_nabs_pose'
BOOLEAN = ('true', 'false')


def shared_file(*parts: str) -> PathJoinSubstitution:
    """A file that this package installs below its share folder."""
    return PathJoinSubstitution([FindPackageShare(PACKAGE), *parts])


def switch(name: str, default: str, description: str) -> DeclareLaunchArgument:
    """An argument that is either true or false."""
    return DeclareLaunchArgument(name, default_value=default, choices=list(BOOLEAN),
                                 description=description)


def is_on(context: Any, name: str) -> bool:
    """Whether a ``switch`` is on; 'True', as another launch file may pass it, is on too."""
    return LaunchConfiguration(name).perform(context).lower() == 'true'


class Namespace(Substitution):
    """The argument ``namespace`` without a slash behind it, which ROS refuses."""

    def perform(self, context: Any) -> str:
        """What the nodes get; '/' is the root, as an empty one is."""
        return LaunchConfiguration('namespace').perform(context).rstrip('/')


def given_parameters(context: Any, names: Iterable[str]) -> dict[str, Any]:
    """ROS parameters of the arguments that are not empty, read as YAML ('0.5' is a number).

    An argument that was left empty leaves the parameter file alone. Raises RuntimeError with one
    sentence where a value is no YAML.
    """
    values = {name: LaunchConfiguration(name).perform(context) for name in names}
    given = {}
    for name, text in values.items():
        if not text.strip():
            continue
        try:
            given[name] = yaml.safe_load(text)
        except yaml.MarkedYAMLError as error:
            raise RuntimeError(f'{name}:={text} is no YAML value: {error.problem}.') from error
    return given


def require_package(package: str, argument: str, source: str = '') -> None:
    """Raise RuntimeError that says how to get a package which an argument asks for.

    source: of packages that are not released, the address of their repository.
    """
    try:
        get_package_prefix(package)
    except PackageNotFoundError as error:
        distro = os.environ.get('ROS_DISTRO', '<distro>')
        mend = (f'build {source} in your workspace' if source else
                f'run "sudo apt install ros-{distro}-{package.replace("_", "-")}"')
        raise RuntimeError(f'{argument} needs the package {package}: {mend} or choose another '
                           'value.') from error


def pose_node() -> IncludeLaunchDescription:
    """Include nabs_pose.launch.py; its arguments are those set before, or the command line's."""
    return IncludeLaunchDescription(
        PythonLaunchDescriptionSource(shared_file('launch', 'nabs_pose.launch.py')))
