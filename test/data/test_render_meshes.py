# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""``nabs-pose render NAME --meshes DIR``: bad meshes, kills, shards, changes, the contact sheet."""

import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from toy_meshes import trimesh, write_arrow, write_plate

from ros2_nabs_pose.cli import main as cli
from ros2_nabs_pose.data.categories import category_of
from ros2_nabs_pose.data.dataset import (
    instance_path,
    list_instances,
    load_instances,
    read_instance,
    read_recipe,
)

pytest.importorskip('mitsuba')

FEW = ('--views', '2', '--size', '20', '--samples', '2', '--lights', '1', '--workers', '1')


def folder_of_toys(folder, count=3, manifest='category: {symmetry: none}\ndefaults: {up: +z}\n'):
    for k in range(count):
        write_arrow(folder / f'toy_{k}.glb', stretch=1.0 + 0.1 * k)
    (folder / 'manifest.yaml').write_text(manifest)
    return folder


def render(meshes, out, *more):
    return cli.main(['render', 'toy', '--meshes', str(meshes), '--out', str(out), *FEW, *more])


def arrays(folder):
    return {p.name: {k: v for k, v in read_instance(p).items() if k != 'meta'}
            for p in list_instances(folder)}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        for key in a[name]:
            assert np.array_equal(a[name][key], b[name][key]), (name, key)


def test_bad_meshes_are_named_and_skipped_and_the_others_are_rendered(tmp_path, capsys):
    meshes = folder_of_toys(tmp_path / 'meshes', 2)
    trimesh.PointCloud(np.eye(3)).export(str(meshes / 'a_cloud.ply'))
    write_arrow(meshes / 'b_huge.stl', 1000.0 * np.eye(4))
    cut = write_arrow(meshes / 'c_cut.glb')
    cut.write_bytes(cut.read_bytes()[:600])
    write_arrow(meshes / 'd_unwanted.stl')
    write_plate(meshes / 'e_plate.obj', 'gone.png')
    (meshes / 'manifest.yaml').write_text(
        'category: {symmetry: none}\ndefaults: {up: +z, licence: CC0-1.0}\n'
        'meshes: {d_unwanted.stl: {skip: true}, e_plate.obj: {up: +y, licence: MIT}, x.obj: {}}\n')
    out = tmp_path / 'out'
    assert render(meshes, out, '--copies', '2') == 0
    said = capsys.readouterr()
    assert "skipped 'a_cloud.ply': it has no faces" in said.err
    assert ("skipped 'b_huge.stl': it is 191 m across: with 'unit: mm' it would be 0.191 m"
            in said.err)
    assert "skipped 'c_cut.glb': it cannot be read" in said.err
    assert "warning: 'e_plate.obj': texture or material file 'gone.png' is not there" in said.err
    assert "warning: 'manifest.yaml': its entry 'x.obj' fits none of the files" in said.err
    assert '3 of 6 meshes rendered, 1 left out by the manifest' in said.out
    assert said.out.count('skipped') == 3 and 'Traceback' not in said.err
    # Numbers count all files, so a mended one finds its place.
    numbers = [int(p.stem[-5:]) for p in list_instances(out)]
    assert numbers == [8, 9, 10, 11, 12, 13]
    meta = read_instance(instance_path(out, 8))['meta']
    assert meta['mesh']['file'] == 'e_plate.obj' and meta['mesh']['licence'] == 'MIT'
    assert meta['shape']['copy'] == 0
    recipe = read_recipe(out)
    assert recipe['licences'] == {'CC0-1.0': 2, 'MIT': 1} and recipe['meshes'] == 3

    write_arrow(meshes / 'c_cut.glb')
    write_arrow(meshes / 'a_new.glb')  # later files get later numbers
    assert render(meshes, out, '--copies', '2') == 0
    names = {int(p.stem[-5:]): read_instance(p)['meta']['mesh']['file']
             for p in list_instances(out)}
    assert names[4] == names[5] == 'c_cut.glb' and names[14] == names[15] == 'a_new.glb'
    assert len(names) == 10


def test_meshes_of_glass_show_what_is_behind_them_whatever_their_file_says(tmp_path):
    meshes = folder_of_toys(
        tmp_path / 'meshes', 2, 'category: {symmetry: none}\ndefaults: {up: +z}\n'
        'meshes: {toy_1.glb: {finish: glass}}\n')
    assert render(meshes, tmp_path / 'out', '--copies', '1') == 0
    opaque, clear = (read_instance(path) for path in list_instances(tmp_path / 'out'))
    assert not opaque['clear'].any() and opaque['meta']['finish'] != ['glass']
    assert clear['meta']['finish'] == ['glass']
    covered = clear['rgba'][..., 3] > 250
    assert 0.2 < np.median(clear['clear'][covered]) / 255.0 < 0.95
    assert not clear['clear'][clear['rgba'][..., 3] == 0].any()


def test_nothing_usable_is_an_error_and_so_are_unknown_categories(tmp_path, capsys):
    meshes = tmp_path / 'meshes'
    write_arrow(meshes / 'toy.stl', 1000.0 * np.eye(4))
    assert render(meshes, tmp_path / 'out') == 2
    error = capsys.readouterr().err
    assert "'toy' is no built-in category: say in" in error and error.count('\n') == 1
    (meshes / 'manifest.yaml').write_text('category: {symmetry: none}')
    assert render(meshes, tmp_path / 'out') == 2
    assert 'none of the 1 meshes in' in capsys.readouterr().err
    for words, says in ((['render', 'mug', '--meshes', str(meshes)], "'mug' is built in"),
                        (['render', 'My Toy', '--meshes', str(meshes)], 'cannot name a category'),
                        (['render', 'scenes', '--meshes', str(meshes)], '--meshes are of a cat'),
                        (['render', 'toy', '--meshes', str(meshes), '--count', '3'], '--copies'),
                        (['render', 'mug', '--copies', '3'], '--instances')):
        assert cli.main([*words, '--out', str(tmp_path / 'out')]) == 2
        error = capsys.readouterr().err
        assert says in error and error.count('\n') == 1


def test_a_file_far_from_the_others_size_is_skipped(tmp_path, capsys):
    meshes = folder_of_toys(tmp_path / 'meshes')
    write_arrow(meshes / 'big.glb', 10.0 * np.eye(4))
    assert render(meshes, tmp_path / 'out', '--copies', '1') == 0
    error = capsys.readouterr().err
    assert "skipped 'big.glb': it is 1.91 m across, where 0.2" in error
    assert len(list_instances(tmp_path / 'out')) == 3


def test_shards_together_are_the_whole(tmp_path):
    meshes = folder_of_toys(tmp_path / 'meshes', 2)
    for part in ('1/2', '2/2'):
        assert render(meshes, tmp_path / 'parts', '--copies', '3', '--shard', part) == 0
        assert len(list_instances(tmp_path / 'parts')) == (3 if part == '1/2' else 6)
    assert render(meshes, tmp_path / 'whole', '--copies', '3') == 0
    assert_same(arrays(tmp_path / 'parts'), arrays(tmp_path / 'whole'))
    for name in ('dataset.json', 'meshes.json'):
        assert (tmp_path / 'parts' / name).read_text() == (tmp_path / 'whole' / name).read_text()


def test_killed_rendering_goes_on_and_gives_the_same_data(tmp_path):
    meshes = folder_of_toys(tmp_path / 'meshes', 2)
    killed = tmp_path / 'killed'
    slower = ('--copies', '6', '--size', '48', '--samples', '12')
    command = [sys.executable, '-m', 'ros2_nabs_pose.cli.main', 'render', 'toy', '--meshes',
               str(meshes), '--out', str(killed), *FEW, *slower]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120.0
    while not instance_path(killed, 1).exists() and time.monotonic() < deadline:
        time.sleep(0.003)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = {p: p.stat().st_mtime_ns for p in killed.glob('instance-*.npz')}
    assert 2 <= len(before) < 12, 'the kill came too late to test anything'
    for path in before:
        read_instance(path)
    assert render(meshes, killed, *slower) == 0
    assert all(p.stat().st_mtime_ns == t for p, t in before.items())
    assert render(meshes, tmp_path / 'whole', *slower) == 0
    assert_same(arrays(killed), arrays(tmp_path / 'whole'))


def test_changed_meshes_are_rendered_anew_and_lost_ones_are_named(tmp_path, capsys):
    meshes, out = folder_of_toys(tmp_path / 'meshes', 2), tmp_path / 'out'
    assert render(meshes, out, '--copies', '2') == 0
    before = arrays(out)
    manifest = meshes / 'manifest.yaml'
    manifest.write_text(manifest.read_text() + 'meshes: {toy_1.glb: {front: -x}}\n')
    capsys.readouterr()
    assert render(meshes, out, '--copies', '2') == 0
    said = capsys.readouterr().out
    assert "'toy_1.glb' or its entry in the manifest has changed" in said
    assert '2 to render, 2 there already' in said
    after = arrays(out)
    assert np.array_equal(before['instance-00001.npz']['rgba'], after['instance-00001.npz']['rgba'])
    assert not np.array_equal(before['instance-00003.npz']['rgba'],
                              after['instance-00003.npz']['rgba'])
    (meshes / 'toy_1.glb').unlink()
    assert render(meshes, out, '--copies', '2') == 0
    assert '2 instances of toy_1.glb were rendered before' in capsys.readouterr().err
    manifest.write_text('category: {symmetry: free_z}\n')
    assert render(meshes, out, '--copies', '2') == 2
    assert 'data of another recipe (category differ)' in capsys.readouterr().err


def test_validation_sees_other_meshes_than_training(tmp_path):
    meshes, out = folder_of_toys(tmp_path / 'meshes', 3), tmp_path / 'out'
    assert render(meshes, out, '--copies', '3') == 0

    def files(split):
        return [m['mesh']['file'] for m in load_instances(out, split).meta]

    assert files('validation') == ['toy_2.glb'] * 3
    assert files('train') == ['toy_0.glb'] * 3 + ['toy_1.glb'] * 3
    known = category_of('toy', read_recipe(out))
    assert (known.symmetry, known.origin, known.front_part) == ('none', 'box_center', None)
    assert known.size_mean_m == pytest.approx((0.17 * 1.1, 0.05, 0.07), abs=1e-4)
    with pytest.raises(KeyError, match="the data are of 'toy', not of 'mug'"):
        category_of('mug', read_recipe(out))


def test_the_contact_sheet_shows_what_lies_at_the_front(tmp_path):
    """The tip is yellow and the fin blue: where they are seen tells every axis."""
    meshes = folder_of_toys(tmp_path / 'meshes', 1)
    sheet = tmp_path / 'new' / 'sheet.png'
    assert cli.main(['render', 'toy', '--meshes', str(meshes), '--preview', str(sheet)]) == 0
    image = cv2.imread(str(sheet))[..., ::-1].astype(int)
    size, label, head = 160, 190, 24
    assert image.shape == (head + size, label + 5 * size, 3)
    views = [image[head:, label + k * size:label + (k + 1) * size] for k in range(5)]

    def middle(view, kind):
        r, g, b = np.moveaxis(view, -1, 0)
        mask = {'tip': (r > 150) & (g > 130) & (b < 0.75 * g),
                'fin': (b > 1.35 * r) & (b > 1.2 * g) & (b - g < 110)}[kind]
        rows, columns = np.nonzero(mask)
        return (columns.mean(), rows.mean(), mask.sum()) if mask.sum() > 20 else None

    assert middle(views[1], 'tip')[2] > 3 * (middle(views[3], 'tip') or (0, 0, 1))[2]
    assert middle(views[2], 'tip')[0] < 50  # from its left, the front points to the left
    assert middle(views[2], 'fin')[1] < 80 < middle(views[2], 'fin')[0]
    assert middle(views[4], 'tip')[1] > 110  # from above, downwards
    assert [p.name for p in sheet.parent.iterdir()] == ['sheet.png']


def test_the_contact_sheet_has_a_row_for_an_unusual_copy(tmp_path):
    meshes = folder_of_toys(tmp_path / 'meshes', 1)
    sheets = []
    for name, more in (('plain.png', []), ('both.png', ['--unusual', '0.4'])):
        assert cli.main(['render', 'toy', '--meshes', str(meshes), '--preview',
                         str(tmp_path / name), *more]) == 0
        sheets.append(cv2.imread(str(tmp_path / name)).astype(int))
    plain, both = sheets
    assert both.shape == (24 + 2 * 160, *plain.shape[1:])
    assert np.array_equal(both[:24 + 160], plain)
    drawn = np.abs(both[24 + 160:, 190:] - plain[24:, 190:]).max(-1) > 30
    assert 0.02 < drawn.mean() < 0.6
