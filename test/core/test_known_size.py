# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Told sizes: as text, and what radius they say."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from ros2_nabs_pose.core import PoseError
from ros2_nabs_pose.core.known_size import check_size, radius_of, read_size

LENGTHS = st.floats(0.01, 2.0)


@pytest.mark.parametrize(('text', 'sides'), [
    ('0.12', (0.12,)), (' 0.123 ', (0.123,)), ('0.12x0.08x0.1', (0.12, 0.08, 0.1))])
def test_a_size_is_read_from_text(text, sides):
    assert read_size(text) == sides


@pytest.mark.parametrize('text', ['', 'x', 'tall', '0.1x', '0.1x0.1', '0.1x0.1x0.1x0.1', '0',
                                  '-0.1', 'nan', 'inf', '0.1x0.1x0'])
def test_text_that_is_no_size_is_refused(text):
    with pytest.raises(PoseError):
        read_size(text)


def test_a_number_is_the_longest_side_and_three_are_all():
    assert check_size(0.2) == (0.2,)
    assert check_size([0.1, 0.2, 0.3]) == (0.1, 0.2, 0.3) == check_size(np.array([0.1, 0.2, 0.3]))


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
