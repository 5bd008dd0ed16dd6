# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from ros2_nabs_pose.cli import main as cli
from ros2_nabs_pose.data import dataset
from ros2_nabs_pose.data.dataset import (
    DatasetError,
    instance_path,
    load_instances,
    read_instance,
    split_instances,
    write_instance,
)
from ros2_nabs_pose.data.jobs import run_jobs, shard


def _instance(number: int) -> dict:
    arrays = {'rgba': np.full((2, 4, 4, 4), number, np.uint8),
              'depth': np.zeros((2, 4, 4), np.float16), 'part': np.zeros((2, 4, 4), np.uint8),
              'R_cam_obj': np.tile(np.eye(3, dtype=np.float32), (2, 1, 1)),
              'kappa': np.full(2, 0.1, np.float32), 'front_visible': np.ones(2, np.float32),
              'light': np.zeros(2, np.uint8)}
    return arrays | {'meta': {'instance': number, 'size_m': [0.1, 0.08, 0.09], 'radius_m': 0.07}}


def test_what_is_written_is_read_and_the_last_are_for_validation(tmp_path):
    for k in range(25):
        write_instance(tmp_path, k, _instance(k))
    train, held_out = load_instances(tmp_path, 'train'), load_instances(tmp_path, 'validation')
    assert len(train) == 23 and len(held_out) == 2
    assert [m['instance'] for m in held_out.meta] == [23, 24]
    assert held_out.rgba[1, 0, 0, 0].tolist() == [24, 24, 24, 24]
    assert held_out.size_m[0] == pytest.approx((0.1, 0.08, 0.09))
    assert train.radius_m == pytest.approx(np.full(23, 0.07))
    assert split_instances([tmp_path], 'train') == [tmp_path]


def test_bad_folders_and_files_are_named(tmp_path):
    with pytest.raises(DatasetError, match='no instance-.* render some first'):
        load_instances(tmp_path)
    with pytest.raises(DatasetError, match="unknown split 'test'"):
        split_instances([tmp_path], 'test')
    path = write_instance(tmp_path, 1, _instance(1))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DatasetError, match='instance-00001.npz.* damaged'):
        read_instance(path)


def test_a_write_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    def broken(stream, **arrays):
        stream.write(b'half')
        raise OSError('disk full')

    monkeypatch.setattr(dataset.np, 'savez_compressed', broken)
    with pytest.raises(OSError, match='disk full'):
        write_instance(tmp_path, 0, _instance(0))
    assert list(tmp_path.iterdir()) == []


def test_another_recipe_is_refused_and_more_of_the_same_is_not(tmp_path):
    dataset.write_recipe(tmp_path, {'seed': 1, 'count': 5})
    dataset.write_recipe(tmp_path, {'seed': 1, 'count': 9})
    assert json.loads((tmp_path / 'dataset.json').read_text())['count'] == 9
    with pytest.raises(DatasetError, match='another recipe .seed differ'):
        dataset.write_recipe(tmp_path, {'seed': 2, 'count': 9})


def test_shards_are_all_items_once():
    items = list(range(17))
    parts = [shard(items, k, 4) for k in range(4)]
    assert sorted(sum(parts, [])) == items and max(map(len, parts)) == 5


def _half_broken(number: int) -> None:
    if number % 2:
        raise ValueError(f'no {number}')


def test_a_broken_job_is_reported_and_the_others_are_done():
    failures = run_jobs(_half_broken, [(k,) for k in range(4)], 1, 'job')
    assert [arguments for arguments, _ in failures] == [(1,), (3,)]
    assert 'ValueError: no 3' in failures[1][1]


RENDER = ('render', 'mug', '--instances', '6', '--views', '3', '--size', '24', '--samples', '2',
          '--lights', '1', '--seed', '9')


def test_killed_rendering_goes_on_and_gives_the_same_data(tmp_path):
    pytest.importorskip('mitsuba')
    killed, whole = tmp_path / 'killed', tmp_path / 'whole'
    command = [sys.executable, '-m', 'ros2_nabs_pose.cli.main', *RENDER, '--workers', '1', '--out',
               str(killed)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120.0
    while not instance_path(killed, 0).exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = {p: p.stat().st_mtime_ns for p in killed.glob('instance-*.npz')}
    assert 1 <= len(before) < 6, 'the kill came too late to test anything'
    for path in before:
        read_instance(path)
    for shard_ in ('1/2', '2/2'):
        assert cli.main([*RENDER, '--workers', '1', '--out', str(killed), '--shard', shard_]) == 0
    assert all(p.stat().st_mtime_ns == t for p, t in before.items())
    assert cli.main([*RENDER, '--workers', '1', '--out', str(whole)]) == 0
    a, b = load_instances(killed), load_instances(whole)
    assert len(a) == 6 and np.array_equal(a.rgba, b.rgba) and np.array_equal(a.depth, b.depth)


def test_folders_from_before_clear_vessels_go_on_and_say_so_once(tmp_path, capsys):
    pytest.importorskip('mitsuba')
    out = tmp_path / 'mug'
    few = [*RENDER, '--workers', '1', '--out', str(out)]
    assert cli.main(few) == 0
    assert 'before some were made clear' not in capsys.readouterr().err
    recipe = json.loads((out / 'dataset.json').read_text())
    assert recipe.pop('clear_share') == 0.1
    (out / 'dataset.json').write_text(json.dumps(recipe))  # as the version before wrote it
    lost = sorted(out.glob('instance-*.npz'))[-1]
    lost.unlink()
    for said in (1, 0):
        assert cli.main(few) == 0
        assert capsys.readouterr().err.count('before some were made clear, and are kept') == said
    assert lost.exists()


@pytest.mark.parametrize('arguments, sentence', [
    (('render', 'cup'), "nothing to render called 'cup'"),
    (('render', 'backgrounds', '--preview', 'x.png'), '--preview is for categories'),
    (('render', 'mug', '--out', '/proc/nowhere'), "cannot write to '/proc/nowhere'")])
def test_mistakes_get_one_sentence(arguments, sentence, capsys):
    pytest.importorskip('mitsuba')
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count('\n') == 1


@pytest.mark.parametrize('text', ['3', '0/4', '5/4', 'a/b'])
def test_bad_shards_are_refused(text, capsys):
    with pytest.raises(SystemExit):
        cli.main(['render', 'mug', '--shard', text])
    assert 'is no shard' in capsys.readouterr().err


def test_preview_draws_the_axes(tmp_path):
    pytest.importorskip('mitsuba')
    import cv2

    from ros2_nabs_pose.data import preview
    from ros2_nabs_pose.data.rendering import look_at_origin

    image = np.full((101, 101, 3), 128, np.uint8)
    preview.draw_axes(image, look_at_origin(0.0, np.pi / 2), 0.1, 1.0)
    # Seen from +y: x runs to the left, z up, y towards the camera.
    image = image.astype(int)
    assert image[50, 25] == pytest.approx((220, 40, 40), abs=15)
    assert image[25, 50] == pytest.approx((50, 80, 230), abs=15)
    assert (image[50, 76] == 128).all()
    preview.write_preview(tmp_path / 'new' / 'sheet.png', 'mug', 1, instances=2, views=2,
                          size_px=32, samples=2)
    sheets = [cv2.imread(str(tmp_path / 'new' / 'sheet.png'))]
    assert sheets[0].shape == (64, 64, 3)
    for what in ({'unusual': 1.0}, {'stream': 'strangers'}):
        preview.write_preview(tmp_path / 'other.png', 'mug', 1, instances=2, views=2, size_px=32,
                              samples=2, **what)
        sheets.append(cv2.imread(str(tmp_path / 'other.png')))
    # Three sheets that differ in every row.
    for a, b in ((0, 1), (0, 2), (1, 2)):
        apart = np.abs(sheets[a].astype(int) - sheets[b]).reshape(2, -1)
        assert (apart.mean(1) > 2.0).all()
