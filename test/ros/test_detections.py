# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Boxes as detectors publish them: numbers or names, other pixels, rotated, doubted, nameless."""

import math

from messages import detection, detections
import pytest

from ros2_nabs_pose.core.types import Box
from ros2_nabs_pose.detections import (
    boxes_from_detections,
    class_key,
    DetectorImage,
    mask_numbers,
)
from ros2_nabs_pose.parameters import Parameters

MUG = {'mug': 'mug', 'cup': 'mug', '41': 'mug'}


def read(*items, known=MUG, min_score=0.0, **changes):
    return boxes_from_detections(detections(*items), known, min_score, 640, 480, **changes)


@pytest.mark.parametrize('class_id', ['mug', 'cup', '41', 'Cup', ' cup '])
def test_names_and_numbers_stand_for_a_category(class_id):
    found = read(detection([class_id], (50, 40), (20, 10), track_id='t9'))
    assert found.boxes == (Box(40, 35, 60, 45, 'mug', 't9', 0.9),)
    assert (found.places, found.unknown) == ((0,), ())


@pytest.mark.parametrize('written', ['Wine_Bottle', 'wine bottle', 'WINE-BOTTLE'])
def test_class_names_are_compared_loosely(written):
    assert class_key(written) == 'wine bottle'


# COCO's 80 classes as YOLO numbers them, from 0.
@pytest.mark.parametrize('class_id, category', [
    ('cup', 'mug'), ('41', 'mug'), ('bottle', 'bottle'), ('39', 'bottle'), ('bowl', 'bowl'),
    ('45', 'bowl'), ('laptop', 'laptop'), ('63', 'laptop'), ('40', None), ('wine glass', None)])
def test_coco_is_known_by_default(class_id, category):
    known = Parameters(categories=('mug', 'bottle', 'bowl', 'laptop')).categories_by_class
    found = read(detection([class_id]), known=known)
    assert [box.category for box in found.boxes] == ([category] if category else [])
    assert found.unknown == (() if category else (class_id,))


def test_the_best_hypothesis_of_a_known_class_counts():
    found = read(detection(['bowl', 'mug', 'cup'], scores=[0.9, 0.3, 0.5]))
    assert [box.score for box in found.boxes] == [0.5]


def test_a_score_that_is_no_number_is_the_least():
    found = read(detection(['mug', 'cup'], scores=[math.nan, 0.1]),
                 detection(['mug'], scores=[math.nan]))
    assert [box.score for box in found.boxes] == [0.1, 0.0]


def test_unknown_classes_are_told_and_doubted_ones_passed_over():
    found = read(detection(['dog', '16']), detection([]), detection(['mug'], scores=[0.2]),
                 detection(['mug'], scores=[0.3]), min_score=0.25)
    assert [box.score for box in found.boxes] == [0.3]
    assert found.places == (3,)
    assert found.unknown == ('dog', '16', '')


@pytest.mark.parametrize('class_ids', [[], ['']])
@pytest.mark.parametrize('categories, taken', [(('mug',), True), (('mug', 'bowl'), False)])
def test_a_box_without_class_is_the_only_loaded_category(class_ids, categories, taken):
    found = read(detection(class_ids), known=Parameters(categories=categories).categories_by_class)
    assert [box.category for box in found.boxes] == ['mug'] * taken
    assert found.unknown == (() if taken else ('',))


def test_a_rotated_box_becomes_the_upright_one_around_it():
    upright, diamond = read(detection(['mug'], (50, 40), (20, 10), theta=math.pi / 2),
                            detection(['mug'], (0, 0), (10, 10), theta=-math.pi / 4)).boxes
    assert (upright.x0, upright.y0, upright.x1, upright.y1) == pytest.approx((45, 30, 55, 50))
    assert diamond.x1 == pytest.approx(5 * math.sqrt(2))


@pytest.mark.parametrize('source, box', [
    (DetectorImage(), (40, 35, 60, 45)),
    (DetectorImage(320, 320), (80, 52.5, 120, 67.5)),
    # 640 x 480 in 320 x 320: scaled by a half, with bars of 40 pixels above and below.
    (DetectorImage(320, 320, letterbox=True), (80, -10, 120, 10)),
    # In 1280 x 480: not scaled, with bars of 320 pixels at the sides.
    (DetectorImage(1280, 480, letterbox=True), (-280, 35, -260, 45)),
    (DetectorImage(640, 480, letterbox=True), (40, 35, 60, 45))])
def test_boxes_in_another_images_pixels(source, box):
    [found] = read(detection(['mug'], (50, 40), (20, 10)), source=source).boxes
    assert (found.x0, found.y0, found.x1, found.y1) == pytest.approx(box)


def test_boxes_in_parts_of_the_image():
    [found] = read(detection(['mug'], (0.5, 0.25), (0.1, 0.5)), source=DetectorImage(1, 1)).boxes
    assert (found.x0, found.y0, found.x1, found.y1) == pytest.approx((288, 0, 352, 240))


def test_a_rotated_box_is_turned_before_it_is_scaled():
    [found] = read(detection(['mug'], (100, 100), (40, 20), theta=math.pi / 2),
                   source=DetectorImage(320, 480)).boxes
    assert (found.x0, found.y0, found.x1, found.y1) == pytest.approx((180, 80, 220, 120))


def test_nan_boxes_reach_the_pipeline_which_refuses_them():
    [found] = read(detection(['mug'], size=(math.nan, 5.0))).boxes
    assert math.isnan(found.x0)


def test_numbers_in_a_label_image():
    found = read(detection(['dog']), detection(['mug'], track_id='12'),
                 detection(['mug'], track_id='cup_3'), detection(['mug']))
    assert mask_numbers(found, 'index') == (2, 3, 4)
    assert mask_numbers(found, 'id') == (12, None, None)
