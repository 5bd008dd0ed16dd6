# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Parameters: the file says what the code says, and wrong values give the reason."""

from dataclasses import fields, FrozenInstanceError
from pathlib import Path

import pytest
import yaml

from ros2_nabs_pose.parameter_file import yaml_text
from ros2_nabs_pose.parameters import changed_at_configure, Parameters

CONFIG = Path(__file__).parents[2] / 'config' / 'nabs_pose.yaml'


def test_file_is_what_the_code_writes_and_means_the_defaults():
    text = CONFIG.read_text()
    assert text == yaml_text(), 'run: python -m ros2_nabs_pose.parameter_file'
    values = yaml.safe_load(text)['/**']['ros__parameters']
    assert list(values) == [f.name for f in fields(Parameters)]
    assert Parameters.from_values(values) == Parameters()
    said = ' '.join(text.replace('#', ' ').split())
    for spec in fields(Parameters):
        assert ' '.join(spec.metadata['description'].split()) in said, spec.name
        # Live or not stands behind each, and so does its range.
        after = said.split(' '.join(spec.metadata['description'].split()))[1]
        assert after.partition(f' {spec.name}:')[0].endswith('(live)') == spec.metadata['live']


@pytest.mark.parametrize('name, value, reason', [
    ('slop_s', -0.1, 'at least 0'), ('slop_s', float('nan'), 'finite'),
    ('queue_size', 0, 'at least 1'), ('min_score', 1.5, 'at most 1'),
    ('target_class', 'bottle', 'categories has mug'), ('target_mode', 'best', 'most_confident'),
    ('marker_lifetime_s', -1.0, 'at least 0'),
    ('image_transport', 'theora', 'choose one of auto, raw, compressed'),
    ('class_map', ['cup'], "write 'class_id:category'"), ('categories', [], 'at least one'),
    ('detection_image_size', [640], 'width and height'),
    ('detection_image_size', [640, 0], 'width and height'),
    ('detection_image_size', [640, -480], 'at least 0'),
    ('known_sizes', ['mug'], "write 'category:metres'"),
    ('known_sizes', ['mug:tall'], "write 'category:metres'"),
    ('known_sizes', ['mug:-0.1'], 'sizes above 0'), ('known_sizes', ['mug:nan'], 'above 0'),
    ('known_sizes', ['mug:0.1x0.1'], "'category:XxYxZ'"),
    ('known_sizes', ['bowl:0.2'], 'one of mug'),
    ('preset', 'paper', 'choose one of warm, cold, accurate'),
    ('mask_labels', 'colour', 'choose one of index, id, any')])
def test_wrong_values_are_refused_with_the_reason(name, value, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        Parameters.from_values({name: value})
    assert name in str(caught.value)


def test_a_ground_that_would_not_count_is_refused():
    for name in ('up_frame', 'ground_frame'):
        with pytest.raises(ValueError, match='count only with common_ground, which is false'):
            Parameters.from_values({'common_ground': False, name: 'map'})
    with pytest.raises(ValueError, match="up_frame is 'map' and ground_frame is 'table': give one"):
        Parameters.from_values({'up_frame': 'map', 'ground_frame': 'table'})
    assert Parameters.from_values({'up_frame': 'map'}).up_frame == 'map'


def test_classes_of_loaded_categories_only():
    parameters = Parameters.from_values(
        {'categories': ['mug'], 'class_map': ['cup:mug', 'ns:cup:mug', '45:bowl']})
    assert parameters.categories_by_class == {
        '': 'mug', 'mug': 'mug', 'cup': 'mug', 'ns:cup': 'mug'}


def test_boxes_without_a_class_can_be_given_to_one_of_several_categories():
    parameters = Parameters.from_values(
        {'categories': ['mug', 'Soup_Bowl'], 'class_map': [':Soup_Bowl']})
    assert parameters.categories_by_class == {
        'mug': 'mug', 'soup bowl': 'Soup_Bowl', '': 'Soup_Bowl'}


def test_known_sizes_are_read_by_category():
    parameters = Parameters.from_values(
        {'categories': ['mug', 'can'], 'known_sizes': ['mug:0.12x0.08x0.1', 'can: 0.123']})
    assert parameters.known_sizes_m == {'mug': (0.12, 0.08, 0.1), 'can': (0.123,)}
    assert Parameters().known_sizes_m == {} == Parameters.from_values(
        {'known_sizes': []}).known_sizes_m


def test_a_snapshot_does_not_change():
    with pytest.raises(FrozenInstanceError):
        Parameters().slop_s = 1.0


def test_what_cannot_change_while_configured():
    changed = Parameters(device='cuda', slop_s=0.5, target_mode='nearest', queue_size=3)
    assert changed_at_configure(Parameters(), changed) == ['device', 'queue_size']
