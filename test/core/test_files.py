# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
import pytest

from ros2_nabs_pose.core.files import write_text_whole, written_whole


def test_what_is_written_takes_the_old_ones_place(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text('old', encoding='utf-8')
    write_text_whole(path, 'Größe')
    assert path.read_text(encoding='utf-8') == 'Größe'
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text('old', encoding='utf-8')
    with pytest.raises(RuntimeError), written_whole(path) as partial:
        partial.write_text('half of', encoding='utf-8')
        assert path.read_text(encoding='utf-8') == 'old'
        raise RuntimeError
    assert path.read_text(encoding='utf-8') == 'old'
    assert list(tmp_path.iterdir()) == [path]
