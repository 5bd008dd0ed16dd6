# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Compiled networks say what they said before."""

from dataclasses import fields
import re

import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters
from torch._inductor import config

from ros2_nabs_pose.core import Box, Intrinsics, PosePipeline
from ros2_nabs_pose.core.compiling import _reason, compile_networks, compiled, ROWS
from ros2_nabs_pose.core.refiner import CHANNELS_IN, Refiner, RefinerConfig
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


def refiner():
    return Refiner(RefinerConfig(channels=(4, 4, 4, 4), hidden=4, resolution=16)).eval()


def test_without_a_compiler_one_sentence_says_so():
    nowhere = config.patch({'cpp.cxx': ('/nowhere/c++',), 'force_disable_caches': True})
    with nowhere, pytest.raises(PoseError) as told:
        compile_networks([], refiner(), 'cpu')
    assert re.fullmatch(r'The networks cannot be compiled here, .* \(.*C\+\+ compiler.*\)\.',
                        str(told.value))


def test_the_reason_is_the_line_that_names_the_error():
    assert _reason(RuntimeError('a\nx.cpp:1: fatal error: Python.h: not found\nb')) == (
        'x.cpp:1: fatal error: Python.h: not found')
    assert _reason(RuntimeError("backend='inductor' raised:\n\nNo compiler\n\nSet X=1")) == (
        'No compiler')
    assert _reason(RuntimeError('')) == 'RuntimeError'


def test_a_compiled_refiner_says_the_same_of_any_number():
    torch.manual_seed(2)
    plain = refiner()
    torch.nn.init.normal_(plain.head.weight)
    shown = torch.randn(5, CHANNELS_IN, 16, 16)
    with torch.no_grad():
        expected = [plain(shown[:n]) for n in (1, 3, 5)]
        before = graphs()
        compile_networks([], plain, 'cpu')
        assert graphs() - before == 3
        for n, told in zip((1, 3, 5), expected, strict=True):
            said = plain(shown[:n])
            for f in fields(said):
                torch.testing.assert_close(getattr(said, f.name), getattr(told, f.name))
        assert graphs() - before == 3


@pytest.mark.slow
def test_a_compiled_pipeline_finds_the_same_poses_and_compiles_nothing_later():
    before = graphs()
    plain, fast = (PosePipeline.load(['mug', 'bottle'], compiled=c) for c in (False, True))
    ready = graphs()
    # Encoders and views of both, whose sizes differ, and the refiner.
    assert ready - before >= len(ROWS) * (2 * 2 + 1)
    assert not counters['graph_break']
    intrinsics = Intrinsics(fx=400.0, fy=400.0, cx=127.5, cy=63.5, width=256, height=128)
    for category in ('mug', 'bottle'):
        drawing = plain.drawn_mean(category)
        image = np.kron(np.tile(drawing, (1, 2, 1)), np.ones((2, 2, 1), np.uint8))
        boxes = [Box(8.0 + left, 8.0, 120.0 + left, 120.0, category, f'{category} {left}')
                 for left in (0.0, 128.0)]
        for stamp_s, some in enumerate((boxes[:1], boxes, boxes)):
            expected, found = (p.estimate_frame(image, intrinsics, some, float(stamp_s)).estimates
                               for p in (plain, fast))
            assert len(found) == len(expected) == len(some)
            for one, other in zip(expected, found, strict=True):
                np.testing.assert_allclose(other.T_cam_obj, one.T_cam_obj, atol=2e-3)
                assert other.confidence == pytest.approx(one.confidence, abs=0.01)
        encoder = fast.models[category].encoder
        crops, focal = torch.rand(3, 3, 64, 64), torch.full((3,), 3.0)
        codes = torch.zeros(3, encoder.config.latent_dim)
        with torch.no_grad():
            told, untold = encoder(crops, focal, codes), encoder(crops, focal)
            expected = plain.models[category].encoder(crops, focal)
        torch.testing.assert_close(untold.axis, expected.axis, atol=1e-4, rtol=1e-3)
        assert not torch.allclose(told.axis, untold.axis, atol=1e-4)
    assert graphs() == ready
