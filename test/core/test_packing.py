# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Weights in 8 bits a number."""

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
import torch

from ros2_nabs_pose.core.packing import LARGE, packed, SCALE, unpacked
from ros2_nabs_pose.core.types import PoseError


def large(seed: int, size: float = 1.0) -> torch.Tensor:
    torch.manual_seed(seed)
    rows = LARGE // 9 // 10 + 1
    return size * torch.randn(rows, 10, 3, 3) * torch.logspace(-3.0, 3.0, rows).view(-1, 1, 1, 1)


@given(st.integers(0, 1000), st.sampled_from((1e-3, 1.0, 1e3)))
@settings(max_examples=10, deadline=None)
def test_numbers_are_off_by_half_a_step_of_their_own_row(seed, size):
    value = large(seed, size)
    stored = packed({'w': value})
    assert stored['w'].dtype == torch.int8
    assert stored['w'].shape == value.shape
    step = value.flatten(1).abs().amax(1) / 127.0
    torch.testing.assert_close(stored['w' + SCALE], step)
    apart = (unpacked(stored)['w'] - value).flatten(1).abs().amax(1)
    assert (apart <= 0.5001 * step).all()
    assert (apart > 0.3 * step).float().mean() > 0.9  # they are rounded at all


def test_what_was_stored_once_is_stored_the_same_again():
    stored = packed({'w': large(3)})
    again = packed(unpacked(stored))
    assert torch.equal(again['w'], stored['w'])
    torch.testing.assert_close(again['w' + SCALE], stored['w' + SCALE], rtol=1e-6, atol=0.0)


def test_small_ones_counts_and_rows_of_zeros_keep_what_they_are():
    value = large(0)
    value[2] = 0.0
    small, count = torch.randn(8, 8), torch.tensor(70_000)
    stored = packed({'w': value, 's': small, 'n': count, 'b': torch.ones(2 * LARGE)})
    back = unpacked(stored)
    assert (back['w'][2] == 0.0).all()
    assert torch.equal(back['s'], small.half().float())
    assert torch.equal(back['n'], count)
    assert stored['b'].dtype == torch.float16
    assert set(back) == {'w', 's', 'n', 'b'}


def test_channels_last_weights_come_back_in_their_places():
    value = large(1)
    stored = packed({'w': value.contiguous(memory_format=torch.channels_last)})
    torch.testing.assert_close(unpacked(stored)['w'], unpacked(packed({'w': value}))['w'])


def test_numbers_that_are_none_are_not_hidden():
    value = large(0)
    value[0, 0, 0, 0] = float('nan')
    assert not torch.isfinite(unpacked(packed({'w': value}))['w']).all()


def test_scales_and_weights_go_together():
    stored = packed({'w': large(0)})
    with pytest.raises(PoseError, match='no scales of "w"'):
        unpacked({'w': stored['w']})
    with pytest.raises(PoseError, match='scales of "w", which is missing'):
        unpacked({'w' + SCALE: stored['w' + SCALE]})
    with pytest.raises(PoseError, match='no scales of "w"'):
        unpacked({'w': stored['w'], 'w' + SCALE: stored['w' + SCALE][1:]})
