# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The reason why nothing comes out, named with its mend."""

import math

import pytest

from ros2_nabs_pose.matching import MatchCounts
from ros2_nabs_pose.status import Explainer, FrameStatistics, LogThrottle, Topics

TOPICS = Topics('/cam/image', '/cam/camera_info', '/boxes')
BUSY = {'images': 30, 'camera_infos': 30, 'detections': 30, 'matches': 30}


def explain(offset_s=None, publishers=1, frames=30, reasons=(), **counts):
    return Explainer(TOPICS, 0.01).explain(
        MatchCounts(**{**BUSY, **counts}), offset_s, publishers, frames, reasons)


@pytest.mark.parametrize('case, words', [
    ({'images': 0, 'publishers': 0}, ['/cam/image', 'nobody']),
    ({'images': 0, 'publishers': 2}, ['/cam/image', '2 publisher']),
    ({'camera_infos': 0}, ['/cam/camera_info', 'calibration']),
    ({'detections': 0}, ['no detections', '/boxes']),
    ({'matches': 0, 'offset_s': 0.35}, ['never meet', '0.350 s later', 'slop_s is 0.01']),
    ({'matches': 0, 'offset_s': -2.0}, ['never meet', '2.000 s earlier']),
    ({'frames': 0}, ['busy']),
    ({'reasons': ('small box', 'small box', 'flat crop')}, ['small box; flat crop'])])
def test_reasons(case, words):
    sentence = explain(**case)
    assert all(word in sentence for word in words), sentence


def test_no_reason_while_poses_come_and_a_new_one_when_they_stop():
    explainer = Explainer(TOPICS, 0.01)
    counts = MatchCounts(**BUSY)
    assert explainer.explain(counts, None, 1, 30, ()) == ''
    sentences = []
    for _ in range(3):
        counts.images += 30
        sentences.append(explainer.explain(counts, None, 1, 30, ()))
    assert sentences[:2] == ['', '']
    assert 'no detections' in sentences[2]


def test_statistics_count_and_time():
    statistics = FrameStatistics()
    assert math.isnan(statistics.snapshot()[3][0])
    for latency_s in (0.1, 0.2, 0.3):
        statistics.add_frame(2, ('why',), latency_s)
    frames, poses, reasons, (median_ms, p95_ms) = statistics.snapshot()
    assert (frames, poses, reasons) == (3, 6, ('why',))
    assert median_ms == pytest.approx(200.0)
    assert p95_ms == pytest.approx(290.0)


def test_a_repeated_sentence_waits_and_changing_numbers_do_not_flood():
    throttle = LogThrottle(period_s=10.0, shortest_s=1.0)
    asked = [('a', 0.0), ('a', 5.0), ('b', 5.1), ('c', 5.5), ('c', 6.2), ('c', 16.0), ('c', 16.3)]
    assert [throttle.allows(*item) for item in asked] == [
        True, False, True, False, True, False, True]
