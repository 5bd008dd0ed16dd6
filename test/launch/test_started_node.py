# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The real node under launch: parameters, namespace, remapping, services, and how it ends."""

import os
from pathlib import Path
import random
import shutil
import subprocess
import sys

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
pytest.importorskip('launch.actions')
pytest.importorskip('launch_ros.actions')
pytest.importorskip('launch_testing.actions')

pytestmark = pytest.mark.ros


def test_the_node_lives_under_launch(prefix):
    # Where colcon puts it; beside the interpreter in a virtual environment.
    program = prefix.folder / 'lib/ros2_nabs_pose/nabs_pose_node'
    found = shutil.which('nabs_pose_node', path=str(Path(sys.executable).parent))
    if found is None:
        program.write_text(f'#!{sys.executable}\nimport sys\n'
                           'from ros2_nabs_pose.node import main\nsys.exit(main())\n')
    else:
        program.unlink()
        program.symlink_to(found)
    done = subprocess.run(
        [sys.executable, '-c', 'from launch_testing.launch_test import main; main()',
         str(Path(__file__).with_name('started_node.py'))],
        env={**os.environ, 'ROS_DOMAIN_ID': str(random.SystemRandom().randint(1, 100)),
             'AMENT_PREFIX_PATH': f'{prefix.folder}:{prefix.before}'},
        capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'Ran 3 tests' in done.stderr
