# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Runs launch files for real, with stand-ins for the programs that they start.

Each stand-in notes how it was called and ends, so that what is checked is what ``launch`` hands to
a process: names, remappings, the contents of parameter files.
"""

import json
import os
from pathlib import Path
import stat
import sys

from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
LAUNCH_FILES = CHECKOUT / 'launch'

STAND_IN = f"""#!{sys.executable}
import json, os, sys
calls = {{folder!r}}
texts = {{{{a: open(a).read() for a in sys.argv if os.path.isfile(a)}}}}
path = os.path.join(calls, '%d.json' % os.getpid())
with open(path + '.part', 'w') as file:
    json.dump({{{{'argv': sys.argv, 'texts': texts}}}}, file)
os.rename(path + '.part', path)
"""


class Loader(yaml.SafeLoader):
    """As rcl's parser reads it, which is blind to the tag that launch_ros gives a list."""


Loader.add_constructor('tag:yaml.org,2002:python/tuple', Loader.construct_sequence)


class Prefix:
    """An ament prefix with this package's files, and stand-ins for programs."""

    def __init__(self, folder):
        self.folder = folder
        self.calls = folder / 'calls'
        self.calls.mkdir(parents=True)
        self.add_package('ros2_nabs_pose')
        share = folder / 'share' / 'ros2_nabs_pose'
        share.rmdir()
        share.symlink_to(CHECKOUT)

    def add_package(self, name):
        marker = self.folder / 'share/ament_index/resource_index/packages' / name
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        (self.folder / 'share' / name).mkdir(parents=True, exist_ok=True)

    def add_stand_in(self, package, executable):
        if package != 'ros2_nabs_pose':
            self.add_package(package)
        self._write(self.folder / 'lib' / package / executable)

    def add_command(self, name):
        """A stand-in below bin, for PATH."""
        self._write(self.folder / 'bin' / name)

    def _write(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STAND_IN.format(folder=str(self.calls)))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def launch(self, name, **arguments):
        """Run a launch file to its end; what was called, by the program's name."""
        exit_status = run(LAUNCH_FILES / f'{name}.launch.py', arguments)
        assert exit_status == 0
        calls = {}
        for path in sorted(self.calls.iterdir()):
            call = Call(json.loads(path.read_text()))
            assert call.program not in calls, f'{call.program} was called twice'
            calls[call.program] = call
            path.unlink()
        return calls


class Call:
    """How a program was called, its ROS arguments taken apart."""

    def __init__(self, record):
        self.program = os.path.basename(record['argv'][0])
        self.words = record['argv'][1:]
        self.parameters, self.remaps, self.name, self.namespace = {}, {}, None, '/'
        for flag, value in zip(self.words, self.words[1:]):
            if flag == '-r':
                left, _, right = value.partition(':=')
                if left == '__node':
                    self.name = right
                elif left == '__ns':
                    self.namespace = right
                else:
                    self.remaps[left] = right
            elif flag == '--params-file':
                for node in yaml.load(record['texts'][value], Loader).values():
                    self.parameters.update(node['ros__parameters'])

    def after(self, flag):
        """The word behind another one."""
        return self.words[self.words.index(flag) + 1]


def run(path, arguments):
    """Exit status of a launch file that ended by itself."""
    service = LaunchService()
    service.include_launch_description(LaunchDescription([IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(path)), launch_arguments=arguments.items())]))
    return service.run(shutdown_when_idle=True)
