# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Training and evaluation data: categories, procedural shapes, looks, Mitsuba renders, formats."""
