# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""The demo's summary counts and measures rightly; the demo itself runs over DDS."""

import json
import os
import subprocess
import sys

import pytest

from ros2_nabs_pose.demo.report import summarise, table

S = 10**9


def pose(name, rotation_deg, axis_deg, translation_m, visible=True):
    return {'id': name, 'front_visible': visible, 'rotation_deg': rotation_deg,
            'axis_deg': axis_deg, 'translation_m': translation_m}


@pytest.fixture
def heard():
    """Of five frames with boxes: three answered, one answered by nothing, one never."""
    def frame(second, received_s, *objects):
        return {'stamp_ns': second * S, 'received_s': received_s, 'frame_id': 'c',
                'objects': list(objects)}
    return {'frames': [frame(1, 10.2, pose('mug_1', 4.0, 2.0, 0.01)),
                       frame(2, 11.4, pose('mug_1', 8.0, 4.0, 0.03),
                             pose('mug_2', 3.0, 3.0, 0.02, visible=False)),
                       frame(3, 12.1),
                       frame(4, 14.2, pose('mug_1', 6.0, 3.0, 0.02))],
            'diagnostics': {'dropped_stale': '1', 'reason': ''}, 'truth': {}}


def test_summary_of_what_was_heard(heard):
    published = {i * S: 9.0 + i for i in range(1, 7)}
    summary = summarise(heard, published, boxed={i * S for i in range(1, 6)})
    assert (summary['frames'], summary['poses'], summary['frames_answered']) == (5, 4, 3)
    assert summary['skipped_stale'] == 1
    assert summary['answered_or_skipped'] == pytest.approx(0.8)
    assert (summary['stamps_matched'], summary['stamps_unknown']) == (4, 0)
    assert summary['rotation_error_deg'] == {
        'median': 6.0, 'p90': pytest.approx(7.6), 'worst': 8.0}
    assert summary['translation_error_m']['median'] == pytest.approx(0.02)
    # 0.2, 0.4, 0.1 and 1.2 s after the images left.
    assert summary['latency_ms']['median'] == pytest.approx(300.0)
    assert summary['rate_hz'] == pytest.approx(2 / 4.0)
    assert (summary['front_visible']['n'], summary['front_hidden']['n']) == (3, 1)
    assert summary['all']['axis_within_5_deg'] == 1.0 and summary['all']['n'] == 4
    assert summary['front_visible']['within_10_deg'] == 1.0
    assert summary['objects']['mug_2']['axis_error_deg']['median'] == 3.0
    assert 'median 6.0 deg' in table(summary)


def test_summary_of_silence(heard):
    summary = summarise({**heard, 'frames': []}, {S: 10.0}, {S})
    assert (summary['frames'], summary['poses']) == (1, 0)
    assert summary['rotation_error_deg']['median'] is None
    assert summary['rate_hz'] is None
    json.dumps(summary, allow_nan=False)
    assert 'frames with boxes' in table(summary)


@pytest.mark.slow
@pytest.mark.ros
def test_two_seconds_of_the_demo(tmp_path):
    pytest.importorskip('rclpy')
    done = subprocess.run(
        [sys.executable, '-m', 'ros2_nabs_pose.cli.main', 'demo', '--seconds', '2', '--out',
         str(tmp_path)], capture_output=True, text=True, timeout=180, env=dict(os.environ))
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / 'summary.json').read_text())
    assert summary['stamps_unknown'] == 0
    assert summary['answered_or_skipped'] >= 0.9
    assert summary['poses'] > 0
    assert (tmp_path / 'contact_sheet.png').stat().st_size > 10_000
