# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The reason why nothing comes out, named with its mend."""

import math
import time

import pytest

from ros2_nabs_pose.matching import MatchCounts
from ros2_nabs_pose.status import (
    CallbackTimes,
    Explainer,
    FrameStatistics,
    FrameTimes,
    LEAST_FRAMES,
    LogThrottle,
    Situation,
    Topics,
)

TOPICS = Topics('/cam/image', '/cam/camera_info', '/boxes')
BUSY = {'images': 30, 'camera_infos': 30, 'detections': 30, 'matches': 30}


def situation(counts, offset_s=None, publishers=1, frames=30, reasons=(), unheard=()):
    return Situation(counts, offset_s, publishers, frames, reasons, unheard)


def explain(offset_s=None, publishers=1, frames=30, reasons=(), unheard=(), **counts):
    return Explainer(TOPICS).explain(situation(
        MatchCounts(**{**BUSY, **counts}), offset_s, publishers, frames, reasons, unheard), 0.01)


@pytest.mark.parametrize('case, words', [
    ({'images': 0, 'publishers': 0}, ['/cam/image', 'nobody']),
    ({'images': 0, 'publishers': 2}, ['/cam/image', '2 publisher']),
    ({'camera_infos': 0}, ['/cam/camera_info', 'calibration']),
    ({'detections': 0}, ['no detections', '/boxes']),
    ({'matches': 0, 'offset_s': 0.35}, ['never meet', '0.350 s later', 'slop_s is 0.01']),
    ({'matches': 0, 'offset_s': -2.0}, ['never meet', '2.000 s earlier']),
    ({'frames': 0}, ['busy']),
    ({'images': 0, 'unheard': ('QoS of /cam/image',)}, ['QoS of /cam/image']),
    ({'camera_infos': 0, 'unheard': ('wrong type',)}, ['wrong type']),
    ({'detections': 0, 'unheard': ('a', 'b')}, ['a; b']),
    ({'reasons': ('small box', 'small box', 'flat crop')}, ['small box; flat crop'])])
def test_reasons(case, words):
    sentence = explain(**case)
    assert all(word in sentence for word in words), sentence


def test_no_reason_while_poses_come_and_a_new_one_when_they_stop():
    explainer = Explainer(TOPICS)
    counts = MatchCounts(**BUSY)
    # One publisher of several that cannot be heard is no reason while poses come.
    assert explainer.explain(situation(counts, unheard=('QoS',)), 0.01) == ''
    sentences = []
    for _ in range(3):
        counts.images += 30
        sentences.append(explainer.explain(situation(counts), 0.01))
    assert sentences[:2] == ['', '']
    assert 'no detections' in sentences[2]


def test_statistics_count_and_time():
    statistics = FrameStatistics()
    assert math.isnan(statistics.summary(0.0).times_ms['latency'][0])
    for i, latency_s in enumerate((0.1, 0.2, 0.3)):
        statistics.add_frame(2, ('why',), FrameTimes(
            latency_s, 2 * latency_s, 0.01, 0.02, 0.03, 0.04), float(i))
    summary = statistics.summary(2.5)
    assert (summary.frames, summary.poses, summary.reasons) == (3, 6, ('why',))
    assert summary.times_ms['latency'] == pytest.approx((200.0, 290.0))
    assert summary.times_ms['stamp_to_publish'] == pytest.approx((400.0, 580.0))
    assert [summary.times_ms[name][0] for name in ('wait', 'decode', 'fit', 'publish')] == (
        pytest.approx([10.0, 20.0, 30.0, 40.0]))
    assert summary.rate_hz == pytest.approx(3 / 5)
    later = statistics.summary(6.5)
    assert later.rate_hz == pytest.approx(1 / 5)
    assert later.times_ms['latency'] == summary.times_ms['latency']
    for i in range(LEAST_FRAMES):
        statistics.add_frame(0, (), FrameTimes(0.4, 0, 0, 0, 0, 0), 10.0 + i)
    assert statistics.summary(100.0).times_ms['latency'] == pytest.approx((400.0, 400.0))


def test_callbacks_are_timed_and_still_answer():
    times = CallbackTimes()
    assert math.isnan(times.p99_and_max_ms()[0])
    slow = times.timed(lambda seconds: time.sleep(seconds) or 'done')
    assert [slow(s) for s in [0.0] * 300 + [0.05]] == ['done'] * 301
    p99_ms, max_ms = times.p99_and_max_ms()
    assert p99_ms < 40.0
    assert 50.0 <= max_ms < 500.0


def test_a_repeated_sentence_waits_and_changing_numbers_do_not_flood():
    throttle = LogThrottle(period_s=10.0, shortest_s=1.0)
    asked = [('a', 0.0), ('a', 5.0), ('b', 5.1), ('c', 5.5), ('c', 6.2), ('c', 16.0), ('c', 16.3)]
    assert [throttle.allows(*item) for item in asked] == [
        True, False, True, False, True, False, True]
