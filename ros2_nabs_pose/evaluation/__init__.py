# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""How good the poses are: metrics, evaluation sets, and benchmarks over them."""

TRUTHS = ('mask', 'start', 'size', 'code', 'up', 'ground')
"""Parts of the truth that ``evaluation.truth`` can put into an estimate."""
APART = 'apart'
"""In their place: nothing is put in, and what the objects of a picture tell each other is left out.
"""
ROUNDS = 4
"""Of validation (``training.validate``), for figures that are published."""
