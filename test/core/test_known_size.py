# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Told sizes: as text, and what radius they say."""

import copy

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
import torch

from ros2_nabs_pose.core import PoseError
from ros2_nabs_pose.core.checkpoint import load_model
from ros2_nabs_pose.core.known_size import (
    check_size,
    code_of_size,
    DOUBT,
    radius_of,
    RADIUS_SPREAD,
    read_size,
    SIDE_SPREAD,
    with_known_sides,
)
from ros2_nabs_pose.resources import find_model

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


@pytest.fixture(scope='module')
def generator():
    return load_model(find_model('mug')).generator.requires_grad_(False)


def codes(generator, seed, count=4):
    made = torch.Generator().manual_seed(seed)
    return 0.7 * torch.randn(count, generator.config.latent_dim, generator=made)


def sides(generator, code):
    made = generator.proportions(generator.style(code))
    return made.size * made.log_radius_m.exp()[:, None]


def test_a_code_that_draws_the_told_sides_stays(generator):
    code = codes(generator, 1)
    moved = code_of_size(generator, code, torch.full_like(code, 4.0), sides(generator, code))
    torch.testing.assert_close(moved, code, atol=1e-4, rtol=0.0)


def test_a_sure_code_stays_and_an_unsure_one_draws_what_is_told(generator):
    code = codes(generator, 1)
    told = sides(generator, code) * torch.tensor([1.0, 1.0, 1.1])
    sure = code_of_size(generator, code, torch.full_like(code, 1e9), told)
    torch.testing.assert_close(sure, code, atol=1e-4, rtol=0.0)
    moved = sides(generator, code_of_size(generator, code, torch.full_like(code, 1.0), told))
    drawn = sides(generator, code)
    higher = moved[:, 2] / moved[:, 1] / (drawn[:, 2] / drawn[:, 1])
    assert bool(((higher > 1.08) & (higher < 1.11)).all())


def test_only_codes_of_objects_with_three_known_sides_are_moved(generator):
    code, sureness = codes(generator, 1, 3), torch.ones(3, generator.config.latent_dim)
    told = [None, (0.1, 0.1, 0.14), (0.14,)]
    moved = with_known_sides(generator, code, sureness, told)
    torch.testing.assert_close(moved[1:2], code_of_size(generator, code[1:2], sureness[1:2],
                                                        torch.tensor([told[1]])))
    assert torch.equal(moved[[0, 2]], code[[0, 2]]) and not torch.allclose(moved[1], code[1])
    assert with_known_sides(generator, code, sureness, [None, None, (0.1,)]) is code


def test_one_row_is_moved_as_all_are(generator):
    code, sureness = codes(generator, 1), torch.full((4, 1), 3.0).expand_as(codes(generator, 1))
    told = sides(generator, codes(generator, 2))
    torch.testing.assert_close(code_of_size(generator, code, sureness, told)[2:3],
                               code_of_size(generator, code[2:3], sureness[2:3], told[2:3]),
                               atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize('far', [0.1, 1.0])
def test_it_is_a_likelier_code_than_those_around_it(generator, far):
    exact = copy.deepcopy(generator).double()
    code = codes(generator, 1).double()
    told = sides(exact, code + far * codes(generator, 2))
    sureness = 1.0 + codes(generator, 4).double() ** 2
    moved = code_of_size(exact, code, sureness, told)

    def unlikely(some):
        logs = (sides(exact, some) / told).log()
        noise = SIDE_SPREAD ** 2 * torch.eye(3).double() + RADIUS_SPREAD ** 2
        return (sureness / DOUBT ** 2 * (some - code) ** 2).sum(1) + (
            logs[:, None] @ torch.linalg.solve(noise, logs[:, :, None]))[:, 0, 0]

    assert bool((unlikely(moved) < 0.9 * unlikely(code)).all())
    assert unlikely(moved).median() < 0.5 * unlikely(code).median()
    for seed in range(20) if far < 1.0 else ():  # far away it needs more steps than there are
        aside = codes(generator, 10 + seed).double()
        for size in (0.1, 0.3):
            assert bool((unlikely(moved) < unlikely(moved + size * aside)).all())
