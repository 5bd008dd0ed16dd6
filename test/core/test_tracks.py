# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
import cv2
import numpy as np
import pytest

from ros2_nabs_pose.core.memory import CodeMemory
from ros2_nabs_pose.core.tracks import (
    MAX_AGE_S,
    MAX_MISSES,
    MAX_PREDICTED_RAD,
    overlap,
    Track,
    Tracks,
)
from ros2_nabs_pose.core.types import Box

MEMORY = CodeMemory.begun(np.zeros(4), np.ones(4), np.array([0.0, 0.0, 1.0]), None)


def box(x0, track_id='', category='mug'):
    return Box(x0, 0.0, x0 + 100.0, 100.0, category, track_id)


def track(at, stamp_s=0.0, name=None):
    return Track(name or at.track_id, at, np.eye(3), MEMORY, stamp_s)


def test_overlap_of_boxes():
    assert overlap(box(0.0), box(50.0)) == pytest.approx(50 / 150)
    assert overlap(box(0.0), box(100.0)) == 0.0
    assert overlap(box(0.0), box(float('nan'))) == 0.0


def test_the_detectors_id_wins_over_overlap():
    tracks = Tracks()
    tracks.update([track(box(0.0, 'a')), track(box(300.0, 'b'))])
    found = tracks.match([box(300.0, 'a'), box(0.0, 'b')], 0.1)
    assert [t.track_id for t in found] == ['a', 'b']


def test_an_id_that_comes_late_is_the_tracks_from_then_on():
    tracks = Tracks()
    tracks.update([track(box(0.0), name='#1')])
    found = tracks.match([box(5.0, 'a')], 0.1)[0]
    tracks.update([found.followed_by(box(5.0, 'a'), np.eye(3), np.eye(3), MEMORY, 0.1)])
    far = tracks.match([box(300.0, 'a')], 0.2)[0]
    assert far is not None and far.track_id == 'a'
    assert tracks.match([box(5.0), box(300.0, 'a')], 0.2)[0] is None


def test_equal_ids_of_two_classes_are_two_objects():
    tracks = Tracks()
    tracks.update([track(box(0.0, '1', 'mug')), track(box(300.0, '1', 'bowl'))])
    tracks.update([track(box(0.0, '1', 'mug'))])
    found = tracks.match([box(300.0, '1', 'bowl')], 0.1)
    assert found[0] is not None and found[0].box.category == 'bowl'


def test_without_ids_the_best_overlap_is_the_same_object_and_serves_once():
    tracks = Tracks()
    tracks.update([track(box(0.0), name='#1')])
    found = tracks.match([box(40.0), box(10.0)], 0.1)
    assert found[0] is None
    assert found[1].track_id == '#1'


def test_a_box_with_a_new_detector_id_is_a_new_object():
    tracks = Tracks()
    tracks.update([track(box(0.0, 'a'))])
    assert tracks.match([box(0.0, 'b')], 0.1) == [None]


def test_another_category_is_another_object():
    tracks = Tracks()
    tracks.update([track(box(0.0), name='#1')])
    assert tracks.match([box(0.0, category='can')], 0.1) == [None]


@pytest.mark.parametrize(('stamp_s', 'kept'), [
    (MAX_AGE_S - 0.01, True), (MAX_AGE_S + 0.01, False), (-0.5, False)])
def test_old_tracks_and_tracks_of_the_future_are_forgotten(stamp_s, kept):
    tracks = Tracks()
    tracks.update([track(box(0.0, 'a'))])
    assert (tracks.match([box(0.0, 'a')], stamp_s)[0] is not None) is kept


def test_a_track_survives_some_missed_frames_only():
    tracks = Tracks()
    tracks.update([track(box(0.0, 'a'))])
    for _ in range(MAX_MISSES):
        tracks.update([])
    assert tracks.match([box(0.0, 'a')], 0.1)[0] is not None
    tracks.update([])
    assert tracks.match([box(0.0, 'a')], 0.1)[0] is None


def test_reset_forgets_and_own_ids_do_not_repeat():
    tracks = Tracks()
    tracks.update([track(box(0.0, 'a'))])
    tracks.reset()
    assert tracks.match([box(0.0, 'a')], 0.0) == [None]
    assert tracks.new_id() != tracks.new_id()


def turned(degrees):
    return cv2.Rodrigues(np.array([0.0, np.radians(degrees), 0.0]))[0]


def test_a_turning_object_is_expected_where_it_is_going():
    seen = Track('a', box(0.0), np.eye(3), MEMORY, 0.0)
    for k in range(1, 12):
        seen = seen.followed_by(box(0.0), turned(5.0 * k), np.eye(3), MEMORY, 0.1 * k)
    ahead = cv2.Rodrigues(seen.predicted(1.2))[0][1, 0]
    assert np.degrees(ahead) == pytest.approx(60.0, abs=0.2)
    # However long it was not seen, it is not expected more than MAX_PREDICTED_RAD farther.
    late = cv2.Rodrigues(seen.predicted(9.0))[0][1, 0]
    assert late == pytest.approx(np.radians(55.0) + MAX_PREDICTED_RAD, abs=1e-6)


def test_a_jump_to_another_hypothesis_is_no_motion():
    seen = Track('a', box(0.0), np.eye(3), MEMORY, 0.0)
    seen = seen.followed_by(box(0.0), turned(90.0), np.eye(3), MEMORY, 0.1)
    assert seen.turn_rad_s.tolist() == [0.0, 0.0, 0.0]
