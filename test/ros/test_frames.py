# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What a frame says beside its poses: which target, which transforms, and why not more."""

from dataclasses import replace
import math
from types import SimpleNamespace

from messages import camera_info, detection, detections, header
import numpy as np
import pytest

from ros2_nabs_pose.bag_types import BagTypes
from ros2_nabs_pose.core import PosePipeline
from ros2_nabs_pose.core.types import Box, Intrinsics
from ros2_nabs_pose.frame_tree import FrameTree
from ros2_nabs_pose.frames import (
    debug_picture,
    FrameInput,
    ground_of,
    header_of,
    PANEL_HEIGHT_PX,
    read_frame,
    RULE_PX,
    solve_frame,
    warm_up,
    write_frame,
)
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


def test_the_warm_up_fits_every_category_cold_and_tracked_and_leaves_no_track():
    pipeline = PosePipeline.load(['bowl', 'laptop'])
    fitted, fit_frame = [], pipeline.estimate_frame

    preset, doubted = pipeline.preset, []

    def noted(*args, **kwargs):
        doubted.append(pipeline.preset.cuts_below > 1.0)
        found = fit_frame(*args, **{**kwargs, 'max_latency_s': None})
        fitted.append([(e.category, e.warm) for e in found.estimates])
        return found

    pipeline.estimate_frame = noted
    warm_up(pipeline, ['bowl', 'laptop'])
    assert fitted == [[('bowl', False)] * 2, [('bowl', True)] * 2, [('bowl', False)],
                      [('bowl', True)], [('bowl', False)], [('laptop', False)], [('laptop', True)]]
    # Once as if there were doubt, for the sizes of batches that other cuts have.
    assert doubted == [False] * 4 + [True] + [False] * 2 and pipeline.preset is preset
    assert not pipeline._tracks.match([Box(8.0, 8.0, 120.0, 120.0, 'laptop', '0.0')], None)[0]
    drawing = pipeline.drawn_mean('bowl')
    assert drawing.shape == (64, 64, 3)
    assert drawing[0, 0].tolist() == pytest.approx([128] * 3, abs=3)


def several(estimate, *named):
    return tuple(SimpleNamespace(**{**vars(estimate), 'category': category, 'track_id': track_id,
                                    'confidence': confidence})
                 for category, track_id, confidence in named)


@pytest.mark.parametrize('wanted, x', [
    ({}, 0.3), ({'target_class': 'mug'}, 0.2), ({'target_id': '1'}, 0.1),
    ({'target_class': 'mug', 'target_id': '3'}, None), ({'target_mode': 'nearest'}, 0.2),
    ({'target_mode': 'most_central'}, 0.1),
    ({'target_mode': 'most_central', 'target_class': 'bowl'}, 0.3)])
def test_target(estimate, wanted, x):
    found = several(estimate, ('mug', '1', 0.5), ('mug', '2', 0.7), ('bowl', '3', 0.9))
    for i, item in enumerate(found):
        item.T_cam_obj = np.array(estimate.T_cam_obj)
        item.T_cam_obj[:3, 3] = 0.1 * (i + 1), 0.0, (0.9, 0.5, 0.6)[i]
    parameters = Parameters(categories=('mug', 'bowl'), **wanted)
    output = write_frame(MAKE, header_of(MAKE, match()), found, parameters, '/')
    assert len(output.poses.detections) == 3
    if x is None:
        assert output.pose is None
        assert output.pose_with_covariance is None
    else:
        assert output.pose.pose.position.x == pytest.approx(x)
        assert output.pose_with_covariance.pose.pose == output.pose.pose
        np.testing.assert_array_equal(output.pose_with_covariance.pose.covariance,
                                      estimate.covariance.reshape(36))


def test_no_transform_without_a_frame_or_a_wish(estimate):
    def transforms(parameters, **frames):
        return write_frame(MAKE, header_of(MAKE, match(**frames)), [estimate], parameters,
                           '/').transforms
    assert len(transforms(Parameters()).transforms) == 1
    assert transforms(Parameters(), image_frame='', info_frame='') is None
    assert transforms(Parameters(publish_tf=False)) is None


@pytest.mark.parametrize('count', [1, 2, 5])
def test_every_object_has_its_whole_panel_under_the_picture(estimate, count):
    colours = np.linspace(0.2, 0.8, count)
    found = [replace(estimate, crop_rgb=np.full((64, 64, 3), c, np.float32)) for c in colours]
    frame = FrameInput(np.zeros((480, 640, 3), np.uint8),
                       Intrinsics(500.0, 500.0, 320.0, 240.0, 640, 480), (), 0.0, ())
    picture = debug_picture(frame, found)
    assert picture.shape == (480 + PANEL_HEIGHT_PX, 640, 3)
    room = 640 // count
    side = min(PANEL_HEIGHT_PX - RULE_PX, room // 3)
    for i, c in enumerate(colours):
        panel = picture[480 + RULE_PX:480 + RULE_PX + side, i * room:(i + 1) * room]
        crop, synthesis = panel[:, :side], panel[:, side:2 * side]
        np.testing.assert_allclose(crop, round(c * 255), atol=1)
        # Nothing was synthesised: grey ground, and the crop again in the third picture.
        np.testing.assert_allclose(synthesis, 128, atol=1)
        np.testing.assert_allclose(panel[:, 2 * side:3 * side], round(c * 255), atol=1)


def test_the_ground_is_asked_for_in_the_frame_that_is_set():
    frames, frame = FrameTree(), match(detection(['mug']))
    camera = frame.image.header.frame_id
    # A table 0.4 m below a camera that looks at it at 45 degrees.
    slope = math.sqrt(0.5)
    transform = SimpleNamespace(
        translation=SimpleNamespace(x=0.0, y=0.4 * slope, z=0.4 * slope),
        rotation=SimpleNamespace(x=math.sin(math.radians(67.5)), y=0.0, z=0.0,
                                 w=math.cos(math.radians(67.5))))
    frames.add(SimpleNamespace(transforms=[SimpleNamespace(
        child_frame_id='table', header=frame.image.header, transform=transform)]), static=True)

    def ground(**values):
        return ground_of(frame, Parameters(**values), frames)

    assert ground() == (None, ())
    found, lost = ground(ground_frame='table')
    np.testing.assert_allclose(found.up, [0.0, -slope, -slope], atol=1e-9)
    assert found.height_m == pytest.approx(0.4) and lost == ()
    found, lost = ground(up_frame='table')
    assert found.height_m is None and lost == ()
    assert ground(up_frame='map') == (None, (
        f'a frame went without up_frame: no transform leads from map to the camera, {camera}, at '
        f'the time of the image: /tf has {", ".join(sorted((camera, "table")))}',))
    transform.translation.z = transform.translation.y = -0.3 * slope
    frames.add(SimpleNamespace(transforms=[SimpleNamespace(
        child_frame_id='table', header=frame.image.header, transform=transform)]), static=True)
    assert ground(ground_frame='table') == (None, (
        'a frame went without ground_frame: the camera is 0.300 m below the ground of table',))


@pytest.mark.parametrize('limit_ms, least_s, most_s', [(80.0, 0.0, 0.08), (1e-3, 0.0, 0.0)])
def test_the_fits_get_what_reading_leaves_of_the_time(limit_ms, least_s, most_s):
    asked = []

    def estimate_frame(*args, **kwargs):
        asked.append(kwargs['max_latency_s'])
        return SimpleNamespace(estimates=(), failures=())

    pipeline = SimpleNamespace(estimate_frame=estimate_frame)
    frame = match(detection(['mug']))
    solved = solve_frame(pipeline, frame, Parameters(max_latency_ms=limit_ms), FrameTree())
    assert least_s <= asked[0] <= most_s
    assert asked[0] == pytest.approx(max(0.0, limit_ms * 1e-3 - solved.decode_s))
    solve_frame(pipeline, frame, Parameters(), FrameTree())
    assert asked[1] is None
