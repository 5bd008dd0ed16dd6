# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Pairing by stamp: late detections, slop, bounded memory, jumps of the clock."""

from messages import stamped
import pytest

from ros2_nabs_pose.matching import Matcher


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
