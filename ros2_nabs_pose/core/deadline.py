# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Whether the time for a frame is up."""

from __future__ import annotations

import time


def late(deadline_s: float | None) -> bool:
    """Whether ``time.perf_counter`` has reached ``deadline_s``; never where there is none."""
    return deadline_s is not None and time.perf_counter() >= deadline_s
