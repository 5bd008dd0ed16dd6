# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What a frame says beside its poses: which target, which transforms, and why not more."""

from types import SimpleNamespace

from messages import camera_info, detection, detections, header
import numpy as np
import pytest

from ros2_nabs_pose.bag_types import BagTypes
from ros2_nabs_pose.frames import header_of, read_frame, write_frame
from ros2_nabs_pose.matching import Match
from ros2_nabs_pose.parameters import Parameters

MAKE = BagTypes().make


def match(*items, image_frame='camera', info_frame='camera'):
    image = SimpleNamespace(header=header(2.5, image_frame), height=480, width=640, step=1920,
                            encoding='rgb8', is_bigendian=0, data=bytes(640 * 480 * 3))
    info = camera_info(header=header(0.0, info_frame))
    return Match(image, info, detections(*items), stamp_ns=2_500_000_000, received_s=0.0)


def test_other_classes_beside_an_object_are_no_fault():
    frame = read_frame(match(detection(['person']), detection(['cup'])), Parameters())
    assert [box.category for box in frame.boxes] == ['mug']
    assert frame.problems == ()
    assert frame.stamp_s == 2.5


def test_nothing_but_other_classes_is_told_with_those_seen():
    frame = read_frame(match(detection(['person']), detection(['45'])), Parameters())
    assert frame.boxes == ()
    [problem] = frame.problems
    assert "'45', 'person'" in problem
    assert "'cup'" in problem


@pytest.mark.parametrize('image_frame, info_frame, expected', [
    ('camera', 'other', 'camera'), ('', 'info', 'info'), ('', '', '')])
def test_frame_and_stamp_are_the_images(image_frame, info_frame, expected):
    made = header_of(MAKE, match(image_frame=image_frame, info_frame=info_frame))
    assert (made.frame_id, made.stamp.sec, made.stamp.nanosec) == (expected, 2, 500_000_000)


def several(estimate, *named):
    return tuple(SimpleNamespace(**{**vars(estimate), 'category': category, 'track_id': track_id,
                                    'confidence': confidence})
                 for category, track_id, confidence in named)


@pytest.mark.parametrize('wanted, x', [
    ({}, 0.3), ({'target_class': 'mug'}, 0.2), ({'target_id': '1'}, 0.1),
    ({'target_class': 'mug', 'target_id': '3'}, None)])
def test_target(estimate, wanted, x):
    found = several(estimate, ('mug', '1', 0.5), ('mug', '2', 0.7), ('bowl', '3', 0.9))
    for i, item in enumerate(found):
        item.T_cam_obj = np.array(estimate.T_cam_obj)
        item.T_cam_obj[0, 3] = 0.1 * (i + 1)
    output = write_frame(MAKE, header_of(MAKE, match()), found, Parameters(**wanted), '/')
    assert len(output.poses.detections) == 3
    if x is None:
        assert output.pose is None
    else:
        assert output.pose.pose.position.x == pytest.approx(x)


def test_no_transform_without_a_frame_or_a_wish(estimate):
    def transforms(parameters, **frames):
        return write_frame(MAKE, header_of(MAKE, match(**frames)), [estimate], parameters,
                           '/').transforms
    assert len(transforms(Parameters()).transforms) == 1
    assert transforms(Parameters(), image_frame='', info_frame='') is None
    assert transforms(Parameters(publish_tf=False)) is None
