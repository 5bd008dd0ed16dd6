# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""
Lets ``import torchvision`` (and so ``lpips``) work beside a torch of another build.

torchvision's wheel on PyPI is built for CUDA. Beside a CPU-only torch its compiled operators do
not load, and the import then stops at registering shapes for operators nobody declared. Its
networks, all that lpips wants of it, need none of them. Set-up puts this module into the
environment (with a .pth file that imports it at start) only where torchvision does not import
by itself; until torchvision is asked for, it costs nothing and imports no torch.
"""

import sys


class _DeclareOperatorsFirst:
    """An import hook that acts once, in front of torchvision's own import, and finds nothing."""

    def find_spec(self, name, path=None, target=None):
        if name == 'torchvision':
            sys.meta_path.remove(self)
            import torch

            library = torch.library.Library('torchvision', 'DEF')
            for operator in ('nms', 'qnms'):
                library.define(f'{operator}(Tensor dets, Tensor scores, float iou) -> Tensor')
            torch.library._torchvision_operators = library  # held: they go when it is collected
        return None


sys.meta_path.insert(0, _DeclareOperatorsFirst())
