# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Speed: presets take turns on the same frames; only the tracked one keeps its tracks."""

from functools import partial
import time

import pytest
from tiny_set import annotation, KnownErrors, write_annotations
import torch

from ros2_nabs_pose.core.types import PoseError
from ros2_nabs_pose.evaluation import speed
from ros2_nabs_pose.evaluation.sets import read_set


class Slow(KnownErrors):
    def __init__(self, seconds, **errors):
        super().__init__(**errors)
        self.seconds = seconds

    def estimate_frame(self, *args, **kwargs):
        time.sleep(self.seconds)
        return super().estimate_frame(*args, **kwargs)


def test_presets_side_by_side(tmp_path):
    write_annotations(tmp_path, [[annotation()]] * 3, sequence='s')
    pipelines = {'warm': Slow(0.0, spin_deg=12.0), 'cold': Slow(0.02, spin_deg=4.0)}
    got = speed.measure(read_set(tmp_path), list(pipelines), speed.Setup(), limit=3,
                        load=lambda preset, _: pipelines[preset],
                        memory=lambda preset, *_: {'warm': 1.0, 'cold': 2.0}[preset],
                        generators=partial(speed.measure_generators, turns=1, in_a_row=1))
    drawn = got['generators_ms']
    assert drawn['compact']['one'] < drawn['compact']['eight'] < drawn['paper']['eight']
    warm, cold = got['presets']['warm'], got['presets']['cold']
    assert got['frames'] == 3
    assert got['device'].endswith(
        f', {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads')
    assert cold['seconds']['median'] == pytest.approx(0.02, abs=0.01)
    assert cold['seconds']['median'] - warm['seconds']['median'] > 0.01
    assert (warm['rotation_median_deg'], cold['rotation_median_deg']) == pytest.approx((12, 4))
    assert (warm['within_10_deg'], cold['within_10_deg']) == (0.0, 1.0)
    assert (warm['peak_memory_mb'], cold['peak_memory_mb']) == (1.0, 2.0)
    # After one uncounted call: cold forgets before each frame, warm before a sequence only, and
    # the frame with which a sequence begins is not counted for it.
    assert pipelines['cold'].calls.count('reset') == 4
    assert pipelines['warm'].calls.count('reset') == 2
    assert (warm['frames'], cold['frames']) == (2, 3)


def test_time_by_the_number_of_objects_in_a_frame(tmp_path):
    write_annotations(tmp_path, [[annotation()], [annotation(), annotation(id='other')],
                                 [annotation()]])

    class SlowByObjects(KnownErrors):
        def estimate_frame(self, image, intrinsics, boxes, stamp_s=None):
            time.sleep(0.04 * (len(boxes) - 1))
            return super().estimate_frame(image, intrinsics, boxes, stamp_s)

    got = speed.measure(read_set(tmp_path), ['cold'], speed.Setup(),
                        load=lambda *_: SlowByObjects(), memory=lambda *_: 1.0,
                        generators=lambda *_: {})
    by_objects = got['presets']['cold']['seconds_by_objects']
    assert set(by_objects) == {'1', '2'}
    assert by_objects['2'] - by_objects['1'] == pytest.approx(0.04, abs=0.02)


def test_of_single_pictures_the_tracked_preset_sees_each_twice(tmp_path):
    write_annotations(tmp_path, [[annotation()]] * 2)

    class Faster(KnownErrors):
        """Each object takes long at first sight."""

        def estimate_frame(self, *args, **kwargs):
            time.sleep(0.05 if self.calls[-1] == 'reset' else 0.0)
            return super().estimate_frame(*args, **kwargs)

    pipelines = {'warm': Faster(), 'cold': Faster()}
    for pipeline in pipelines.values():
        pipeline.reset()
    got = speed.measure(read_set(tmp_path), list(pipelines), speed.Setup(),
                        load=lambda preset, _: pipelines[preset], memory=lambda *_: 1.0,
                        generators=lambda *_: {})['presets']
    assert (got['warm']['frames'], got['cold']['frames']) == (2, 2)
    assert got['warm']['seconds']['median'] < 0.03 < got['cold']['seconds']['median']
    assert pipelines['warm'].calls.count(None) == 5 and pipelines['cold'].calls.count(None) == 3


def test_a_compiled_preset_is_tracked_as_the_other_is(tmp_path):
    write_annotations(tmp_path, [[annotation()]] * 3, sequence='s')
    names = ['warm', f'warm{speed.COMPILED}']
    pipelines = {name: KnownErrors() for name in names}
    got = speed.measure(read_set(tmp_path), names, speed.Setup(),
                        load=lambda preset, _: pipelines[preset], memory=lambda *_: 1.0,
                        generators=lambda *_: {})['presets']
    assert [p.calls.count('reset') for p in pipelines.values()] == [2, 2]
    assert [got[name]['frames'] for name in names] == [2, 2]


def test_a_name_says_whether_networks_are_compiled(monkeypatch):
    asked = []
    monkeypatch.setattr('ros2_nabs_pose.core.PosePipeline.load',
                        lambda *_, preset, compiled, **__: asked.append((preset, compiled)))
    for name in ('cold', 'cold, compiled'):
        speed.load_pipeline(name, speed.Setup())
    assert asked == [('cold', False), ('cold', True)]


def test_a_set_without_known_categories_is_refused(tmp_path):
    write_annotations(tmp_path, [[annotation(category='can')]])
    with pytest.raises(PoseError, match='mug'):
        speed.measure(read_set(tmp_path), ['cold'], speed.Setup(),
                      load=lambda *_: KnownErrors())
