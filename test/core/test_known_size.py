# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Told sizes: as text, and what radius they say."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from ros2_nabs_pose.core import PoseError
from ros2_nabs_pose.core.known_size import (
    check_likely,
    check_size,
    of_round,
    radius_of,
    read_size,
)

LENGTHS = st.floats(0.01, 2.0)
MUG = (0.12, 0.08, 0.1)


@pytest.mark.parametrize(('text', 'sides'), [
    ('0.12', (0.12,)), (' 0.123 ', (0.123,)), ('0.12x0.08x0.1', MUG)])
def test_a_size_is_read_from_text(text, sides):
    assert read_size(text) == sides


@pytest.mark.parametrize('text', ['', 'x', 'tall', '0.1x', '0.1x0.1', '0.1x0.1x0.1x0.1', '0',
                                  '-0.1', 'nan', 'inf', '0.1x0.1x0'])
def test_text_that_is_no_size_is_refused(text):
    with pytest.raises(PoseError, match=f"'{text}' is no size of a mug: give"):
        read_size(text, 'mug')


def test_a_number_is_the_longest_side_and_three_are_all():
    assert check_size(0.2) == (0.2,)
    assert check_size([0.1, 0.2, 0.3]) == (0.1, 0.2, 0.3) == check_size(np.array([0.1, 0.2, 0.3]))


@pytest.mark.parametrize('size', [0.0, -0.1, float('nan'), (), (0.1, 0.1), [[0.1, 0.1, 0.1]],
                                  '0.1x0.1x0.1', None, {}])
def test_what_is_no_size_is_refused(size):
    with pytest.raises(PoseError, match='no size of a mug: give the longest side, or three sides'):
        check_size(size, 'mug')


def test_a_size_in_other_units_is_refused():
    check_likely((0.3,), MUG, 'mug')
    check_likely((0.05, 0.03, 0.04), MUG, 'mug')
    with pytest.raises(PoseError, match='A mug of 120 m is 1e.03 times as large as usual'):
        check_likely((120.0, 80.0, 100.0), MUG, 'mug')
    with pytest.raises(PoseError, match='0.01 times as large'):
        check_likely((0.0012,), MUG, 'mug')


def test_which_side_of_a_round_object_is_told_first_says_nothing():
    assert of_round((0.1, 0.07, 0.2)) == of_round((0.07, 0.1, 0.2)) == (0.07, 0.1, 0.2)
    assert of_round((0.2,)) == (0.2,)


@given(st.tuples(LENGTHS, LENGTHS, LENGTHS), LENGTHS)
def test_a_box_of_the_drawn_proportions_gives_its_scale(drawn, scale):
    drawn = np.array(drawn)
    assert radius_of(tuple(scale * drawn), drawn) == pytest.approx(scale)
    assert radius_of((scale * drawn.max(),), drawn) == pytest.approx(scale)


@given(st.tuples(LENGTHS, LENGTHS, LENGTHS), st.tuples(LENGTHS, LENGTHS, LENGTHS))
def test_no_other_radius_agrees_better_with_three_sides(sides, drawn):
    drawn = np.array(drawn)
    found = radius_of(sides, drawn)

    def off(radius):
        return np.sum((radius * drawn - sides) ** 2)

    assert off(found) <= min(off(0.99 * found), off(1.01 * found)) * (1.0 + 1e-9)


def test_sizes_are_read_without_torch():
    asked = "import ros2_nabs_pose.parameters, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, '-c', asked], capture_output=True, text=True, check=True)
    assert done.stdout == 'False\n'
