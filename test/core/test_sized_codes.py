# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Codes of objects whose size is known, on the shipped mug."""

import copy

import pytest
import torch

from ros2_nabs_pose.core.checkpoint import load_model
from ros2_nabs_pose.core.sized_codes import (
    code_of_size,
    DOUBT,
    RADIUS_SPREAD,
    SIDE_SPREAD,
    with_known_sides,
)
from ros2_nabs_pose.resources import find_model


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


def test_colours_are_seen_and_stay(generator):
    code = codes(generator, 1)
    told = sides(generator, codes(generator, 2))
    moved = code_of_size(generator, code, torch.full_like(code, 1.0), told)
    config = generator.config
    same = (moved == code).all(0)
    held = torch.zeros_like(same)
    held[:config.colour_dims] = held[config.latent_dim - 3 * config.palette:] = True
    assert torch.equal(same, held)


def test_it_is_the_likeliest_code(generator):
    exact = copy.deepcopy(generator).double()
    code = codes(generator, 1).double()
    told = sides(exact, code + 0.1 * codes(generator, 2))
    sureness = 1.0 + codes(generator, 4).double() ** 2
    shape = torch.zeros_like(code[0])
    config = generator.config
    shape[config.colour_dims:config.latent_dim - 3 * config.palette] = 1.0

    def slope(some):
        """Of how unlikely a code is, where it may move."""
        some = some.detach().requires_grad_()
        logs = (sides(exact, some) / told).log()
        noise = SIDE_SPREAD ** 2 * torch.eye(3).double() + RADIUS_SPREAD ** 2
        unlikely = (sureness / DOUBT ** 2 * (some - code) ** 2).sum() + (
            logs[:, None] @ torch.linalg.solve(noise, logs[:, :, None])).sum()
        return (torch.autograd.grad(unlikely, some)[0] * shape).norm(dim=1)

    moved = code_of_size(exact, code, sureness, told)
    assert bool((slope(moved) < 0.02 * slope(code)).all())


def test_far_from_what_was_read_it_is_likelier_than_that(generator):
    code = codes(generator, 1)
    told = sides(generator, codes(generator, 2))
    moved = code_of_size(generator, code, torch.full_like(code, 2.0), told)

    def off(some):
        """Of the proportions: all sides may be off alike (RADIUS_SPREAD)."""
        logs = (sides(generator, some) / told).log()
        return (logs - logs.mean(1, keepdim=True)).abs().mean()

    assert off(moved) < 0.6 * off(code)


def test_a_code_that_is_no_number_does_not_hide_behind_the_size(generator):
    code = codes(generator, 1)
    code[0, 5] = torch.nan
    told = sides(generator, codes(generator, 2))
    moved = code_of_size(generator, code, torch.ones_like(code), told)
    assert torch.isnan(moved[0, 5]) and bool(torch.isfinite(moved[1:]).all())
