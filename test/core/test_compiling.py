# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Compiled networks say what they said before."""

import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters
from torch._inductor import config

from ros2_nabs_pose.core import Box, compiling, Intrinsics, PosePipeline
from ros2_nabs_pose.core.compiling import compile_networks, compiled
from ros2_nabs_pose.core.types import PoseError


def graphs():
    return counters['stats']['unique_graphs']


def test_a_function_is_compiled_for_one_row_and_for_any_other_number():
    def function(x, y=None):
        return torch.sin(x) if y is None else torch.sin(x) + y

    fast = compiled(function)
    before = graphs()
    with torch.no_grad():
        for rows in (1, 2, 5, 3, 1):
            x = torch.randn(rows, 4)
            torch.testing.assert_close(fast(x), torch.sin(x))
        assert graphs() - before == 2
        x, y = torch.randn(2, 3, 4)
        torch.testing.assert_close(fast(x, y), torch.sin(x) + y)
        torch.testing.assert_close(fast(x, None), torch.sin(x))
    assert graphs() - before == 3


def test_gradients_go_through_the_function_as_it_was_written():
    fast = compiled(torch.sin)
    before = graphs()
    x = torch.tensor([0.3, 0.7], requires_grad=True)
    fast(x).sum().backward()
    torch.testing.assert_close(x.grad, torch.cos(x.detach()))
    assert graphs() == before


def test_without_a_compiler_one_sentence_says_so(monkeypatch):
    monkeypatch.setattr(config.cpp, 'cxx', ('/nowhere/c++',))
    monkeypatch.setattr(config, 'force_disable_caches', True)
    # Another function than the probe of before, which this process may have compiled.
    monkeypatch.setattr(compiling, '_probe', lambda x: torch.cos(x) * 3.0)
    with pytest.raises(PoseError, match=r'^The networks cannot be compiled here: .*\)\.$'):
        compile_networks([], None, 'cpu')


@pytest.mark.slow
def test_a_compiled_pipeline_finds_the_same_poses():
    plain, fast = (PosePipeline.load(['mug'], compiled=c) for c in (False, True))
    drawing = plain.drawn_mean('mug')
    image = np.kron(np.tile(drawing, (1, 2, 1)), np.ones((2, 2, 1), np.uint8))
    intrinsics = Intrinsics(fx=400.0, fy=400.0, cx=127.5, cy=63.5, width=256, height=128)
    boxes = [Box(8.0 + left, 8.0, 120.0 + left, 120.0, 'mug', str(left)) for left in (0.0, 128.0)]
    before = graphs()
    for stamp_s, some in enumerate((boxes[:1], boxes, boxes)):
        expected, found = (p.estimate_frame(image, intrinsics, some, float(stamp_s)).estimates
                           for p in (plain, fast))
        assert len(found) == len(expected) == len(some)
        for one, other in zip(expected, found, strict=True):
            np.testing.assert_allclose(other.T_cam_obj, one.T_cam_obj, atol=2e-3)
            assert other.confidence == pytest.approx(one.confidence, abs=0.01)
    assert graphs() > before
