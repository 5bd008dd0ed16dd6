# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Pairing by stamp: late detections, slop, depth and mask, bounded memory, jumps of the clock."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from messages import stamped
import pytest

from ros2_nabs_pose.matching import Matcher, Missing, PATIENCE, stamp_ns


def matcher(slop_s=0.01, queue_size=10):
    made = Matcher(slop_s, queue_size)
    made.add_camera_info(stamped(0.0, 'info'))
    return made


def test_equal_stamps_match_without_slop_in_either_order():
    m = matcher(slop_s=0.0)
    assert m.add_image(stamped(1.0, 'a'), 7.5) is None
    match = m.add_detections(stamped(1.0, 'boxes a'))
    assert (match.image.name, match.detections.name) == ('a', 'boxes a')
    assert match.stamp_ns == 1_000_000_000
    assert match.received_s == 7.5
    assert m.add_detections(stamped(2.0, 'boxes b')) is None
    assert m.add_image(stamped(2.0, 'b')).detections.name == 'boxes b'


def test_detections_that_come_late_find_their_own_image():
    m = matcher()
    for i in range(8):
        m.add_image(stamped(i / 30, f'image {i}'))
    assert m.add_detections(stamped(2 / 30)).image.name == 'image 2'
    assert m.add_detections(stamped(5 / 30)).image.name == 'image 5'


@pytest.mark.parametrize('difference_s, meets', [(0.009, True), (-0.009, True), (0.011, False)])
def test_slop_is_the_largest_difference(difference_s, meets):
    m = matcher(slop_s=0.01)
    m.add_image(stamped(1.0))
    assert (m.add_detections(stamped(1.0 + difference_s)) is not None) == meets


def test_nearest_image_within_slop_is_taken():
    m = matcher(slop_s=0.1)
    for stamp_s in (1.0, 1.05, 1.1):
        m.add_image(stamped(stamp_s, f'{stamp_s}'))
    assert m.add_detections(stamped(1.04)).image.name == '1.05'


def test_an_older_image_never_follows_a_newer_one():
    m = matcher()
    m.add_image(stamped(1.0))
    m.add_image(stamped(2.0))
    assert m.add_detections(stamped(2.0)) is not None
    assert m.add_detections(stamped(1.0)) is None


def test_memory_is_bounded_and_the_oldest_go():
    m = matcher(queue_size=3)
    for i in range(10):
        m.add_image(stamped(float(i), f'{i}'))
    assert m.add_detections(stamped(6.0)) is None
    assert m.add_detections(stamped(7.0)).image.name == '7'
    for i in range(20, 30):
        m.add_detections(stamped(float(i)))
    # 6.0 was overtaken by 7.0; of 20 .. 29 the queue of three gave up seven.
    assert m.counts.unmatched_detections == 8


def test_the_nearest_calibration_serves_whatever_its_stamp():
    m = Matcher(0.01, 10)
    m.add_image(stamped(5.0))
    assert m.add_detections(stamped(5.0)) is None
    match = m.add_camera_info(stamped(0.0, 'latched'))
    assert match.camera_info.name == 'latched'
    m.add_camera_info(stamped(6.0, 'zoomed'))
    m.add_image(stamped(6.01))
    assert m.add_detections(stamped(6.01)).camera_info.name == 'zoomed'


def test_offset_says_how_far_the_stamps_are_apart():
    m = matcher()
    m.add_image(stamped(10.35))
    m.add_detections(stamped(10.0))
    assert m.waiting_offset_s() == pytest.approx(0.35)
    assert m.counts.matches == 0


def test_a_bag_that_begins_again_starts_afresh():
    m = matcher()
    for stamp_s in (100.0, 100.1):
        m.add_image(stamped(stamp_s))
        assert m.add_detections(stamped(stamp_s)) is not None
    assert m.add_image(stamped(50.0, 'again')) is None
    assert m.add_detections(stamped(50.0)).image.name == 'again'


class Clock:
    """A clock that the test moves."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def with_extras(clock, *names, slop_s=0.01, wait_s=0.1, **changes):
    made = Matcher(slop_s, 10, wait_s=wait_s, clock=clock, **changes)
    made.add_camera_info(stamped(0.0, 'info'))
    for name in names:
        made.expect(name, True)
    return made


def test_nobody_waits_for_depth_that_nobody_publishes(clock):
    m = with_extras(clock)
    m.add_image(stamped(1.0))
    match = m.add_detections(stamped(1.0))
    assert (match.depth, match.mask, match.missing) == (None, None, ())


@pytest.mark.parametrize('name', ['depth', 'mask'])
def test_what_is_there_before_the_detections_comes_along(clock, name):
    m = with_extras(clock, name)
    add = getattr(m, f'add_{name}')
    for stamp_s in (0.9, 1.0, 1.1):
        add(stamped(stamp_s, f'{name} {stamp_s}'))
    m.add_image(stamped(1.0))
    match = m.add_detections(stamped(1.0))
    assert getattr(match, name).name == f'{name} 1.0'
    assert match.missing == ()


def test_a_frame_waits_for_both_and_goes_with_the_last(clock):
    m = with_extras(clock, 'depth', 'mask')
    m.add_image(stamped(1.0, 'image'), 5.0)
    assert m.add_detections(stamped(1.0)) is None
    clock.now_s += 0.05
    assert m.add_depth(stamped(1.0, 'depth')) is None
    match = m.add_mask(stamped(1.005, 'mask'))
    assert (match.image.name, match.depth.name, match.mask.name) == ('image', 'depth', 'mask')
    assert (match.received_s, match.missing) == (5.0, ())


def test_a_frame_waits_no_longer_than_it_may(clock):
    m = with_extras(clock, 'depth')
    m.add_depth(stamped(0.5))
    m.add_image(stamped(1.0))
    assert m.add_detections(stamped(1.0)) is None
    clock.now_s += 0.09
    assert m.poll() is None
    clock.now_s += 0.02
    match = m.poll()
    assert match.depth is None
    assert match.missing == (Missing('depth', pytest.approx(-0.5)),)
    assert (m.counts.without_depth, m.counts.without_mask) == (1, 0)
    assert m.poll() is None


def test_a_newer_depth_ends_the_waiting(clock):
    m = with_extras(clock, 'depth')
    m.add_image(stamped(1.0))
    m.add_detections(stamped(1.0))
    match = m.add_depth(stamped(1.02))
    assert match.depth is None
    assert match.missing == (Missing('depth', pytest.approx(0.02)),)


def test_silent_depth_is_waited_for_no_more_until_it_speaks(clock):
    def frame(stamp_s):
        m.add_image(stamped(stamp_s))
        return m.add_detections(stamped(stamp_s))

    m = with_extras(clock, 'depth')
    for i in range(PATIENCE):
        assert frame(1.0 + i) is None
        clock.now_s += 0.2
        assert [name for name, _ in m.poll().missing] == ['depth']
    match = frame(30.0)
    assert (match.depth, match.missing) == (None, ())
    assert m.counts.without_depth == PATIENCE
    m.add_depth(stamped(30.0))
    assert frame(31.0) is None
    m.expect('depth', False)
    assert frame(32.0).missing == ()


def test_every_late_depth_finds_its_frame_while_newer_frames_wait(clock):
    m = with_extras(clock, 'depth')
    found = []
    for i in range(8):
        clock.now_s += 0.03
        m.add_image(stamped(i * 0.03, f'{i}'))
        m.add_detections(stamped(i * 0.03))
        if i >= 2:
            found.append(m.add_depth(stamped((i - 2) * 0.03, f'{i - 2}')))
    assert [(f.image.name, f.depth.name) for f in found] == [(f'{i}', f'{i}') for i in range(6)]
    assert m.counts.overtaken == 0


def test_an_older_frame_does_not_follow_the_one_that_went(clock):
    m = with_extras(clock, 'depth')
    for stamp_s in (1.0, 1.03):
        m.add_image(stamped(stamp_s, f'{stamp_s}'))
        m.add_detections(stamped(stamp_s))
    assert m.add_depth(stamped(1.03)).image.name == '1.03'
    assert m.add_depth(stamped(1.0)) is None
    clock.now_s += 1.0
    assert m.poll() is None
    assert m.counts.overtaken == 1


def picture(stamp_s, size):
    message = stamped(stamp_s)
    message.data = bytes(size)
    return message


def test_bytes_are_bounded_and_the_fattest_queue_gives_way(clock):
    m = with_extras(clock, queue_bytes=1000)
    for i in range(4):
        m.add_image(picture(float(i), 300))
        m.add_depth(picture(float(i), 100))
        assert m.waiting_bytes <= 1000
    assert m.add_detections(stamped(1.0)) is None
    match = m.add_detections(stamped(2.0))
    assert (len(match.image.data), len(match.depth.data)) == (300, 100)


def test_a_picture_larger_than_the_bound_is_still_seen(clock):
    m = with_extras(clock, queue_bytes=1000)
    m.add_image(picture(1.0, 5000))
    m.add_image(picture(2.0, 5000))
    assert m.waiting_bytes == 5000
    assert m.add_detections(stamped(2.0)) is not None
    assert m.waiting_bytes == 0


@pytest.mark.parametrize('late_s', [1.0, 2.0])
def test_what_comes_late_or_twice_leads_to_no_older_pose(clock, late_s):
    m = Matcher(0.0, 3, clock=clock)
    m.add_camera_info(stamped(0.0))
    m.add_image(picture(2.0, 1))
    assert m.add_detections(stamped(2.0)).stamp_ns == 2_000_000_000
    assert m.add_image(picture(late_s, 1)) is None
    assert m.add_detections(stamped(late_s)) is None
    assert m.waiting_bytes == 0
    m.add_image(picture(3.0, 1))
    assert m.add_detections(stamped(3.0)).stamp_ns == 3_000_000_000


EVENTS = st.lists(st.tuples(
    st.sampled_from(['image', 'detections', 'depth', 'mask', 'camera_info', 'wait']),
    st.integers(0, 40), st.integers(0, 400)), max_size=120)


@settings(max_examples=150, deadline=None)
@given(EVENTS, st.integers(1, 6), st.integers(300, 2000), st.sampled_from([0.0, 0.02]))
def test_whatever_arrives_memory_is_bounded_and_matches_are_true(events, size, bound, slop_s):
    clock = Clock()
    m = Matcher(slop_s, size, bound, wait_s=0.1, clock=clock)
    matches = []
    largest = Counter()
    for kind, step, data in events:
        message = picture(1.0 + step * 0.01, data)
        if kind == 'wait':
            clock.now_s += step * 0.01
            match = m.poll()
        else:
            largest[kind] = max(largest[kind], data)
            match = getattr(m, f'add_{kind}')(message)
        if match is not None:
            matches.append(match)
        held = [*m._pictures(), m._detections, m._infos, m._pending]
        assert all(len(queue) <= size for queue in held)
        # Over the bound only by what must stay: the newest of each kind and one waiting match.
        spare = largest['image'] + largest['depth'] + largest['mask']
        assert m.waiting_bytes <= max(bound, 2 * spare)
    stamps = [match.stamp_ns for match in matches]
    assert stamps == sorted(set(stamps))
    for match in matches:
        assert match.stamp_ns == stamp_ns(match.image.header)
        for other in (match.detections, match.depth, match.mask):
            assert other is None or abs(stamp_ns(other.header) - match.stamp_ns) <= slop_s * 1e9
    assert len(matches) + m.counts.overtaken + m.waiting_matches == m.counts.matches
    arrived = Counter(kind for kind, _, _ in events)
    assert (m.counts.depths, m.counts.masks) == (arrived['depth'], arrived['mask'])
