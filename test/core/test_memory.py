# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What a track's frames tell of a code together."""

from dataclasses import replace
import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch

from ros2_nabs_pose.core.memory import (
    APART_RAD,
    CODE_MEMORY,
    CodeMemory,
    CodePrior,
    LEAST_TOLD,
    MOST_SIDES,
    seen_along,
    SIDES_KEPT,
    together,
)
from ros2_nabs_pose.core.rotations import exp_so3, rotation_z

USUAL = CodePrior((1.0, -2.0), (0.5, 2.0))
AHEAD = np.array([0.0, 0.0, 1.0])


def direction(degrees):
    angle = math.radians(degrees)
    return np.array([math.sin(angle), 0.0, math.cos(angle)])


def memory_of(frames, usual=USUAL):
    """Codes (D,) with their spreads, each seen along a direction in degrees."""
    first, *later = [(np.array(code), np.array(std) ** -2.0, direction(at))
                     for code, std, at in frames]
    memory = CodeMemory.begun(*first, usual)
    for frame in later:
        memory = memory.joined(*frame)
    return memory


def test_surer_and_later_frames_count_more():
    memory = memory_of([((2.0, 1.0), (1.0, 0.5), 0.0), ((4.0, 3.0), (0.5, 0.5), 0.0)])
    keeps = 1.0 - 1.0 / CODE_MEMORY
    assert memory.mean.tolist() == pytest.approx(
        [(keeps * 2.0 + 4.0 * 4.0) / (keeps + 4.0), (keeps * 1.0 + 3.0) / (keeps + 1.0)])
    assert memory.sureness.tolist() == pytest.approx([keeps + 4.0, 4.0 * (keeps + 1.0)])
    assert memory.frames == pytest.approx(keeps + 1.0)


def test_each_number_of_a_code_has_a_weight_of_its_own():
    keeps = 1.0 - 1.0 / CODE_MEMORY
    begun = CodeMemory.begun(np.full(3, 1.0), np.full(3, 2.0), AHEAD, None)
    mixed = begun.joined(np.full(3, 4.0), np.array((0.0, 2.0 * keeps, 1e9)), AHEAD)
    assert mixed.code.tolist() == pytest.approx([1.0, 2.5, 4.0])


def test_a_few_unsure_frames_hardly_move_a_code_and_many_sure_ones_take_it_over():
    def after(memory, count, sureness):
        for _ in range(count):
            memory = memory.joined(np.ones(1), np.full(1, sureness), AHEAD)
        return float(memory.code[0])

    known = CodeMemory.begun(np.zeros(1), np.ones(1), AHEAD, None)
    for _ in range(30):
        known = known.joined(np.zeros(1), np.ones(1), AHEAD)
    assert 0.02 < after(known, 10, 0.1) < 0.06
    assert after(known, 3 * CODE_MEMORY, 1.0) > 0.95


@pytest.mark.parametrize('usual', [None, USUAL])
def test_one_side_tells_the_mean_of_its_frames(usual):
    frames = [((2.0, 1.0), (0.3, 0.5), 0.0), ((4.0, 3.0), (0.2, 0.5), 5.0)]
    memory = memory_of(frames, usual)
    assert memory.evidence == pytest.approx(1.0) and len(memory.sides) == 1
    np.testing.assert_allclose(memory.code, memory.mean, rtol=1e-6)
    assert memory.code.dtype == np.float32


def test_without_what_is_usual_the_mean_is_all_there_is():
    memory = memory_of([((2.0, 1.0), (0.3, 0.5), x) for x in (0.0, 40.0, 80.0)], None)
    assert len(memory.sides) == 3
    np.testing.assert_allclose(memory.code, [2.0, 1.0])


def looking(memory, degrees, frames):
    for k in range(frames):
        at = degrees[k % len(degrees)]
        memory = memory.joined(np.zeros(2), np.ones(2), direction(at))
    return memory


FLAT = CodeMemory.begun(np.zeros(2), np.ones(2), direction(0.0), USUAL)


def test_sides_are_directions_that_are_apart():
    apart = math.degrees(APART_RAD)
    assert len(looking(FLAT, [0.9 * apart, -0.9 * apart], 20).sides) == 1
    two = looking(FLAT, [1.1 * apart], 1)
    # One and a little less than one frame.
    kept = 1.0 - 1.0 / CODE_MEMORY
    assert two.evidence == pytest.approx((kept + 1.0) ** 2 / (kept ** 2 + 1.0))
    assert len(two.sides) == 2 and 1.999 < two.evidence < 2.0
    # What lies between two sides is the nearer one's.
    between = looking(two, [0.6 * apart], 1)
    assert [count for _, count in between.sides] == pytest.approx([kept ** 2, kept + 1.0])


def test_as_many_sides_count_as_were_seen_alike_and_four_at_most():
    assert looking(FLAT, [0.0, 40.0, 80.0], 300).evidence == pytest.approx(3.0, abs=0.01)
    assert looking(FLAT, list(range(0, 360, 30)), 300).evidence == MOST_SIDES


def test_what_was_seen_long_ago_and_glimpses_count_little():
    around = looking(FLAT, list(range(0, 360, 30)), 120)
    assert around.evidence == MOST_SIDES
    still = looking(around, [0.0], 4 * CODE_MEMORY)
    assert 1.0 <= still.evidence < 1.05
    assert looking(still, [50.0], 1).evidence < 1.1  # one of forty
    # A still object whose pose trembles by 4 degrees is seen from one side.
    draw = np.random.default_rng(2)
    trembling = looking(FLAT, list(4.0 * draw.normal(size=600)), 600)
    assert trembling.evidence < 1.1


def test_no_more_sides_are_kept_than_needed_and_no_frame_is_lost():
    memory = FLAT
    for k in range(200):
        along = np.array([math.cos(k), math.sin(k), 0.3 * math.sin(7 * k)])
        memory = memory.joined(np.zeros(2), np.ones(2), along / np.linalg.norm(along))
        assert len(memory.sides) <= SIDES_KEPT
    frames = (1.0 - (1.0 - 1.0 / CODE_MEMORY) ** 201) * CODE_MEMORY
    assert memory.frames == pytest.approx(frames) == pytest.approx(float(memory.sureness[0]))


def test_a_pose_that_was_wrong_takes_its_sides_with_it():
    memory = looking(FLAT, [0.0, 40.0, 80.0], 60)
    corrected = memory.seen_from_one_side()
    assert corrected.evidence == 1.0 and corrected.frames == pytest.approx(memory.frames)
    np.testing.assert_array_equal(corrected.sides[0][0], memory.sides[-1][0])
    np.testing.assert_array_equal(corrected.mean, memory.mean)


@given(st.integers(1, 8), st.floats(-3.0, 3.0), st.floats(0.2, 3.0), st.floats(0.05, 1.4),
       st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_looks_together_are_the_posterior_of_their_likelihoods(count, usual, spread, unsure, seed):
    """Gaussian looks at a number: what each alone tells, put together, is what all tell at once."""
    noise = unsure * spread  # looks that know at least a third
    draw = np.random.default_rng(seed)
    truth = usual + spread * draw.normal()
    looks = truth + noise * draw.normal(size=count)
    precision = spread ** -2.0 + noise ** -2.0
    alone = (usual * spread ** -2.0 + looks * noise ** -2.0) / precision
    found = together(np.array([alone.mean()]), np.array([precision]), float(count),
                     np.array([usual]), np.array([spread]))
    wanted = (usual * spread ** -2.0 + looks.sum() * noise ** -2.0) / (
        spread ** -2.0 + count * noise ** -2.0)
    assert float(found[0]) == pytest.approx(wanted, rel=1e-6, abs=1e-6)
    again = together(torch.tensor([alone.mean()]), torch.tensor([precision]),
                     torch.tensor([float(count)]), torch.tensor([usual], dtype=torch.float64),
                     torch.tensor([spread], dtype=torch.float64))
    assert float(again[0]) == pytest.approx(wanted, rel=1e-6, abs=1e-6)


def test_the_lean_of_many_looks_towards_the_usual_is_taken_back():
    """Sixteen sides of each of 2000 objects: their mean keeps two thirds of what sets it apart."""
    draw = np.random.default_rng(3)
    spread, noise = 1.0, 0.7
    truth = draw.normal(size=2000)
    precision = 1.0 + noise ** -2.0
    alone = (truth[:, None] + noise * draw.normal(size=(2000, 16))) * noise ** -2.0 / precision
    mean = alone.mean(1)
    whole = together(mean, np.full(2000, precision), 16.0, np.zeros(2000), np.full(2000, spread))
    assert np.polyfit(truth, mean, 1)[0] == pytest.approx(noise ** -2.0 / precision, abs=0.02)
    assert np.polyfit(truth, whole, 1)[0] == pytest.approx(1.0, abs=0.04)
    assert np.std(whole - truth) < 0.6 * np.std(mean - truth)


@given(st.floats(0.05, 20.0), st.floats(1.0, 4.0))
def test_one_look_is_its_own_word_and_more_are_never_multiplied_by_more_than_they_know(told, count):
    """Usual 1 +- 0.5; what a look says lies 2 above."""
    def whole(evidence):
        return float(together(np.array([3.0]), np.array([told * 4.0]), evidence, np.array([1.0]),
                              np.array([0.5]))[0])

    assert whole(1.0) == pytest.approx(3.0)
    grown = (whole(count) - 1.0) / 2.0
    assert 1.0 - 1e-9 <= grown <= count * LEAST_TOLD / (1.0 + count * (LEAST_TOLD - 1.0)) + 1e-9
    assert grown <= 2.0 + 1e-9


def test_sides_are_told_in_the_objects_frame_and_of_round_bodies_by_their_tilt():
    R = exp_so3(torch.tensor([0.8, 0.3, -0.4], dtype=torch.float64)).numpy()
    spun = R @ rotation_z(torch.tensor(2.0, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(R @ seen_along(R, False), [0.0, 0.0, 1.0], atol=1e-12)
    assert float(seen_along(R, False) @ seen_along(spun, False)) < 0.9
    np.testing.assert_allclose(seen_along(R, True), seen_along(spun, True), atol=1e-12)
    assert np.linalg.norm(seen_along(R, True)) == pytest.approx(1.0)
    assert seen_along(R, True)[2] == pytest.approx(R[2, 2])


def test_how_sure_a_memory_is_grows_with_the_sides_it_has_seen():
    usual = CodePrior((0.0,) * 2, (0.5,) * 2)
    sureness = np.array([20.0, 0.1])  # one look's; of the second number it says next to nothing
    memory = CodeMemory.begun(np.ones(2), sureness, np.array([0.0, 0.0, 1.0]), usual)
    np.testing.assert_allclose(memory.told, [20.0, LEAST_TOLD * 4.0])
    for side in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]):
        memory = memory.joined(np.ones(2), sureness, np.array(side))
    assert memory.evidence == pytest.approx(3.0, abs=0.01)
    np.testing.assert_allclose(memory.told, [4.0 + 3.0 * 16.0, 4.0 + 3.0 * 2.0], rtol=0.01)
    np.testing.assert_allclose(replace(memory, usual=None).told, sureness, rtol=1e-6)
