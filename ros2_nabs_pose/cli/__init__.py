# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The command ``nabs-pose``: one module a subcommand, imported when it is asked for."""
