# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The demo's parts: a player and a listener, each its own process, and the report."""
