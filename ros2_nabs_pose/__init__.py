# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Category-level 6D object poses by neural analysis by synthesis, as a ROS 2 node and a library."""
