# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Mesh files in the object frame: axes, units, origins, colours, and every way to be unusable."""

from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest
from toy_meshes import BLUE, RED, SIZE, TIP, trimesh, turned, write_arrow, write_plate

from ros2_nabs_pose.data.dataset import DatasetError
from ros2_nabs_pose.data.looks import srgb_to_linear
from ros2_nabs_pose.data.manifest import CategoryEntry, MeshSettings, read_manifest, Variation
from ros2_nabs_pose.data.mesh_paint import baked, wrapped
from ros2_nabs_pose.data.mesh_variants import color_change, vary
from ros2_nabs_pose.data.meshes import check_size, crease_normals, find_meshes, load_mesh, MeshError

TOY = CategoryEntry('none', 'box_center')
AS_IS = MeshSettings()


def load(path, settings=AS_IS, category=TOY):
    return load_mesh(path.parent, path.name, 'toy', category, settings)


@pytest.mark.parametrize('ending', ['.obj', '.ply', '.glb', '.gltf', '.stl'])
@pytest.mark.parametrize('settings', [
    MeshSettings(), MeshSettings(up='+z'), MeshSettings(up='-y', front='+x', unit='mm'),
    MeshSettings(up='x', front='-z', unit='cm'), MeshSettings(up='z', front='-y', unit=0.5)])
def test_any_axes_and_unit_of_any_format_come_out_in_the_object_frame(tmp_path, ending, settings):
    R = settings.R_obj_file
    assert R @ R.T == pytest.approx(np.eye(3)) and np.linalg.det(R) == pytest.approx(1.0)
    path = write_arrow(tmp_path / f'toy{ending}', turned(R, settings.metres))
    shape = load(path, settings).shape
    assert shape.size_m == pytest.approx(SIZE, rel=1e-4)
    assert shape.box_center_m == pytest.approx((0, 0, 0), abs=1e-6)
    points = shape.vertices
    # Only the tip reaches the front, and only the fin the top, behind the middle.
    assert np.ptp(points[points[:, 0] > SIZE[0] / 2 - 1e-4][:, 1]) < 0.01
    fin = points[points[:, 2] > SIZE[2] / 2 - 1e-4]
    assert (fin[:, 0].min(), fin[:, 0].max()) == pytest.approx(
        (-0.05 - TIP / 2, -0.01 - TIP / 2), abs=1e-4)
    for part in shape.parts.values():
        mesh = part.mesh
        assert np.linalg.norm(mesh.normals, axis=1) == pytest.approx(1.0)
        assert np.isfinite(mesh.uv).all() and np.abs(mesh.uv).max() < 2.0


def test_colours_of_parts_vertices_and_pictures_are_linear(tmp_path):
    mesh = load(write_arrow(tmp_path / 'toy.glb'))
    assert sorted(mesh.coats) == ['body', 'fin', 'tip']
    # The format's factors are linear, colours of vertices are not.
    assert mesh.coats['fin'].color == pytest.approx(np.array(BLUE[:3]) / 255.0, abs=0.01)
    ply = load(write_arrow(tmp_path / 'toy.ply'))
    (name, coat), = ply.coats.items()
    mesh = ply.shape.parts[name].mesh
    texture = coat.color
    corner = int(np.argmin(mesh.vertices[:, 0]))  # of the body
    assert sampled(texture, mesh.uv[corner]) == pytest.approx(
        srgb_to_linear(np.array(RED[:3]) / 255.0), abs=0.01)
    assert load(write_arrow(tmp_path / 'toy.stl')).coats['toy_stl'].color is None


def sampled(texture, uv):
    """Bilinear filter with the first row at v = 1, as the renderer's; texels' centres inside."""
    height, width = texture.shape[:2]
    x, y = uv[0] * width - 0.5, (1.0 - uv[1]) * height - 0.5
    x0, y0 = min(int(x), width - 2), min(int(y), height - 2)
    a, b = x - x0, y - y0
    return ((1 - a) * (1 - b) * texture[y0, x0] + a * (1 - b) * texture[y0, x0 + 1]
            + (1 - a) * b * texture[y0 + 1, x0] + a * b * texture[y0 + 1, x0 + 1])


def test_baked_colours_are_linear_within_every_triangle():
    rng = np.random.default_rng(0)
    colors = rng.random((7, 3, 3))
    texture, uv = baked(colors)
    weights = rng.dirichlet(np.ones(3), 20)
    for k in range(7):
        for w in weights:
            assert sampled(texture, w @ uv[k]) == pytest.approx(w @ colors[k], abs=1e-5)


def test_coordinates_that_repeat_start_in_the_first_tile():
    uv = np.array([[[70.2, -3.9], [70.7, -3.1], [71.1, -2.8]]])
    assert wrapped(uv)[0, 0] == pytest.approx((0.2, 0.1))
    assert wrapped(uv) - uv == pytest.approx(np.broadcast_to((-70.0, 4.0), (1, 3, 2)))


def test_normals_are_smooth_on_a_ball_and_sharp_on_a_box():
    ball = trimesh.creation.icosphere(3, 0.1)
    corners = ball.vertices[ball.faces]
    assert np.einsum('ijk,ijk->ij', crease_normals(corners), corners).min() > 0.0999
    box = trimesh.creation.box((1.0, 2.0, 3.0))
    flat = crease_normals(box.vertices[box.faces])
    assert flat == pytest.approx(np.repeat(box.face_normals[:, None], 3, axis=1), abs=1e-9)
    # A triangle that is wound the wrong way does not spoil its neighbours.
    corners[0] = corners[0, ::-1]
    rest = crease_normals(corners)[1:]
    assert np.einsum('ijk,ijk->ij', rest, corners[1:]).min() > 0.099


def cup(handle=True):
    """A cylinder of radius 4 cm, its axis at x = 1, with a handle towards +x, 3 cm long, z up."""
    body = trimesh.creation.cylinder(radius=0.04, height=0.1, sections=64)
    grip = trimesh.creation.box((0.03, 0.01, 0.06))
    grip.apply_translation((0.055, 0.0, 0.01))
    parts = {'body': body, 'Handle_mesh': grip} if handle else {'body': body}
    for part in parts.values():
        part.apply_translation((1.0, 0.5, 2.0))
    return parts


def test_the_axis_is_the_body_s_with_or_without_a_handle_of_its_own(tmp_path):
    category = CategoryEntry('none', 'axis_half_height', 'handle')
    settings = MeshSettings(up='+z', front='+x')
    two = tmp_path / 'two.glb'
    trimesh.Scene(cup()).export(str(two))
    one = tmp_path / 'one.stl'
    trimesh.util.concatenate(list(cup().values())).export(str(one))
    for path, front in ((two, 'Handle_mesh'), (one, None)):
        mesh = load(path, settings, category)
        low, high = mesh.shape.vertices.min(0), mesh.shape.vertices.max(0)
        assert low == pytest.approx((-0.04, -0.04, -0.05), abs=2e-4)
        assert high == pytest.approx((0.07, 0.04, 0.05), abs=2e-4)
        assert mesh.shape.front_part == front
    assert mesh.warnings[0].startswith("has no submesh named 'handle' (there are one_stl)")
    assert load(two, settings, category).shape.front_point_m == pytest.approx(
        (0.07, 0.0, 0.01), abs=1e-4)
    # A share of the way from the axis: 0.6 x 7 cm is outside the body.
    split = load(one, MeshSettings(up='+z', front='+x', front_beyond=0.6), category)
    assert split.shape.front_part == 'handle' and not split.warnings
    grip = split.shape.parts['handle'].mesh.vertices
    assert grip[:, 0].max() == pytest.approx(0.07, abs=1e-4)
    assert np.ptp(grip[:, 1]) == pytest.approx(0.01, abs=1e-4)
    told = load(one, MeshSettings(up='+z', front='+x', axis=(1.01, 0.5, 0.0)), category)
    assert told.shape.vertices[:, 0].min() == pytest.approx(-0.05, abs=2e-4)
    round_ = CategoryEntry('free_z', 'axis_half_height')
    assert load(one, settings, round_).shape.box_center_m == pytest.approx((0, 0, 0), abs=1e-6)


def test_picture_on_a_plate_lies_as_the_file_says_and_windows_paths_are_found(tmp_path):
    image = np.full((64, 64, 3), 255, np.uint8)
    image[:32, :32] = (255, 0, 0)  # top left
    path = write_plate(tmp_path / 'plate.obj', 'plate.png', image)
    (tmp_path / 'plate.mtl').write_text('newmtl paper\nmap_Kd C:\\art\\plate.png\n')
    mesh = load(path)
    assert mesh.warnings == ()
    part = mesh.shape.parts['plate'].mesh
    texture = mesh.coats['plate'].color
    # Seen from the front, y of the object frame runs to the right and z up.
    left_top = np.argmin(part.vertices[:, 1] - part.vertices[:, 2])
    right_top = np.argmax(part.vertices[:, 1] + part.vertices[:, 2])
    assert sampled(texture, np.clip(part.uv[left_top], 0.1, 0.9)) == pytest.approx(
        (0.95, 0.01, 0.01), abs=1e-6)
    assert sampled(texture, np.clip(part.uv[right_top], 0.1, 0.9)) == pytest.approx(
        (0.95, 0.95, 0.95), abs=1e-6)


def test_missing_and_damaged_textures_are_named_and_the_flat_colour_is_used(tmp_path):
    path = write_plate(tmp_path / 'plate.obj', 'gone.png')
    mesh = load(path)
    flat = srgb_to_linear(np.array((0.2, 0.6, 0.4)))
    assert mesh.warnings == (
        "texture or material file 'gone.png' is not there, so its flat colour is used",)
    assert mesh.coats['plate'].color == pytest.approx(flat, abs=0.01)
    (tmp_path / 'gone.png').write_bytes(b'\x89PNG no more')
    mesh = load(path)
    assert mesh.warnings == ("texture 'gone.png' is damaged, so its flat colour is used",)
    assert mesh.coats['plate'].color == pytest.approx(flat, abs=0.01)
    (tmp_path / 'plate.mtl').unlink()
    mesh = load(path, MeshSettings(color='#ffffff'))
    assert "material file 'plate.mtl' is not there" in mesh.warnings[0]
    assert mesh.coats['plate'].color == pytest.approx((1.0, 1.0, 1.0))


def test_files_outside_the_folder_are_not_read(tmp_path):
    cv2.imwrite(str(tmp_path / 'secret.png'), np.zeros((4, 4, 3), np.uint8))
    path = write_plate(tmp_path / 'meshes' / 'plate.obj', '../secret.png')
    assert "'../secret.png' is not there" in load(path).warnings[0]


def no_faces(folder):
    path = folder / 'points.ply'
    trimesh.PointCloud(np.random.default_rng(0).random((9, 3))).export(str(path))
    return path


def flat_faces(folder):
    path = folder / 'needle.obj'
    path.write_text('v 0 0 0\nv 0 0 1\nv 0 0 2\nf 1 2 3\n')
    return path


def not_numbers(folder):
    path = folder / 'nan.obj'
    path.write_text('v 0 0 nan\nv 0 1 0\nv 1 0 0\nf 1 2 3\n')
    return path


def cut_short(folder):
    path = write_arrow(folder / 'cut.glb')
    path.write_bytes(path.read_bytes()[:700])
    return path


def no_buffer(folder):
    path = write_arrow(folder / 'alone.gltf')
    for other in folder.glob('*.bin'):
        other.unlink()
    return path


def no_mesh(folder):
    path = folder / 'readme.stl'
    path.write_text('this is no mesh at all')
    return path


def beyond_the_end(folder):
    path = folder / 'index.ply'
    path.write_text('ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\n'
                    'property float z\nelement face 1\nproperty list uchar int vertex_indices\n'
                    'end_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 7\n')
    return path


@pytest.mark.parametrize('write, reason', [
    (no_faces, 'has no faces'), (flat_faces, 'has no faces'), (not_numbers, 'not numbers'),
    (cut_short, 'cannot be read'), (no_buffer, "cannot be read .it needs '.*[.]bin'"),
    (no_mesh, 'has no faces|cannot be read'), (beyond_the_end, 'vertices do not exist')])
def test_unusable_files_get_one_sentence(tmp_path, write, reason):
    with pytest.raises(MeshError, match=reason) as caught:
        load(write(tmp_path))
    assert len(str(caught.value)) > 20 and '\n' not in str(caught.value)


def test_too_many_triangles_are_refused(tmp_path, monkeypatch):
    from ros2_nabs_pose.data import meshes
    monkeypatch.setattr(meshes, 'MAX_FACES', 20)
    with pytest.raises(MeshError, match='simplify it to 20'):
        load(write_arrow(tmp_path / 'toy.glb'))


@pytest.mark.parametrize('size, unit, usual, says', [
    ((100.0, 80.0, 90.0), 'm', None, "is 157 m across: with 'unit: mm' it would be 0.157 m"),
    ((1e-4, 1e-4, 1e-4), 'mm', None, "is 0.173 mm across: with 'unit: m' it would be 0.173 m"),
    ((1.0, 0.8, 0.9), 'm', (0.12, 0.08, 0.09), "where 0.17 m is usual: with 'unit: in'"),
    ((9.0, 8.0, 9.0), 'm', (10.0, 8.0, 9.0), "give its 'unit' in the manifest")])
def test_a_wrong_scale_is_named_with_a_hint(size, unit, usual, says):
    with pytest.raises(MeshError) as caught:
        check_size(np.array(size), MeshSettings(unit=unit), None if usual is None else
                   np.array(usual))
    assert says in str(caught.value)
    check_size(np.array((0.1, 0.08, 0.09)), MeshSettings(), np.array((0.12, 0.08, 0.09)))


def test_folders_without_meshes_are_named_and_others_searched_in_order(tmp_path):
    with pytest.raises(DatasetError, match='is not a folder'):
        find_meshes(tmp_path / 'nowhere')
    with pytest.raises(DatasetError, match='has no .obj'):
        find_meshes(tmp_path)
    for name in ('b.STL', 'a/model.obj', 'a/model.mtl', 'c.txt'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_meshes(tmp_path) == ['a/model.obj', 'b.STL']


def manifest(tmp_path, text):
    (tmp_path / 'manifest.yaml').write_text(text)
    return read_manifest(tmp_path)


def test_a_manifest_s_entries_override_its_defaults(tmp_path):
    found = manifest(tmp_path, """
category: {symmetry: free_z, size_m: [0.1, 0.1, 0.2]}
defaults: {up: +Z, licence: CC0-1.0}
variation: {recolour: 0}
meshes:
  'scans/*.ply': {unit: mm, color: '#ff0000'}
  scans/two.ply: {skip: true, front:}
""")
    assert found.category == CategoryEntry('free_z', 'axis_half_height', None, (0.1, 0.1, 0.2))
    assert found.variation == Variation(recolour=0.0)
    two = found.settings('scans/two.ply')
    assert (two.up, two.front, two.metres, two.skip, two.licence) == (
        '+z', '', 0.001, True, 'CC0-1.0')
    assert two.linear_color == pytest.approx((1.0, 0.0, 0.0))
    assert found.settings('one.ply') == MeshSettings(up='+z', licence='CC0-1.0')
    assert found.unused(['scans/one.ply']) == ['scans/two.ply']
    assert read_manifest(tmp_path / 'none') == read_manifest(tmp_path / 'other')


@pytest.mark.parametrize('text, says', [
    ('defaults: {upp: +y}', "defaults has an unknown key 'upp': did you mean 'up'"),
    ('defaults: {up: +w}', 'up is .+w., but must be an axis'),
    ('defaults: {up: +y, front: -y}', 'lie along the same axis'),
    ('meshes: {a.obj: {unit: furlong}}', 'a.obj: unit is .furlong., but must be one of m, cm'),
    ('meshes: {a.obj: {unit: 0}}', 'unit is 0'),
    ('meshes: {a.obj: {skip: 3}}', 'skip is 3, but must be true or false'),
    ('meshes: {a.obj: {axis: [1, 2]}}', 'axis is .1, 2., but must be three numbers'),
    ('meshes: [a.obj]', "'meshes' maps file names"),
    ('defaults: {color: red}', 'color is .red.'),
    ('defaults: {finish: shiny}', 'finish is .shiny., but must be one of matte'),
    ('category: {origin: box_center}', 'symmetry is None, but must be one of none, free_z'),
    ('category: {symmetry: free_z, front_part: lid}', 'contradict'),
    ('category: {symmetry: none, size_m: 3}', 'size_m is 3'),
    ('category: {symmetry: none, origin: foot}', 'origin is .foot.'),
    ('variation: {stretch: 2}', 'stretch is 2, but must be between 0 and 0.3'),
    ('- 3', 'the file must be a mapping'), ('a: [', 'cannot be read as YAML')])
def test_mistakes_in_a_manifest_get_one_sentence(tmp_path, text, says):
    with pytest.raises(DatasetError, match=says) as caught:
        manifest(tmp_path, text)
    assert 'manifest.yaml' in str(caught.value) and '\n' not in str(caught.value)


def test_axes_that_clash_only_together_are_named_with_their_file(tmp_path):
    found = manifest(tmp_path, 'defaults: {front: +x}\nmeshes: {a.obj: {up: -x}}')
    with pytest.raises(ValueError, match='a.obj: up -x and front .x'):
        found.settings('a.obj')


def test_copies_differ_by_a_few_percent_and_the_first_is_the_mesh_itself(tmp_path):
    mesh = load(write_arrow(tmp_path / 'toy.glb'))
    shape, look = vary(mesh, 0, np.random.default_rng(1), 'none', Variation())
    assert shape.vertices == pytest.approx(mesh.shape.vertices)
    assert look.paints['body'].color == pytest.approx(mesh.coats['body'].color)
    factors, recoloured = [], 0
    for copy in range(1, 300):
        shape, look = vary(mesh, copy, np.random.default_rng(copy), 'none', Variation())
        factors.append(shape.size_m / mesh.shape.size_m)
        recoloured += not np.allclose(look.paints['body'].color, mesh.coats['body'].color)
    logs = np.log(factors)
    assert logs.std(0) == pytest.approx(np.hypot(0.05, 0.039), rel=0.2)
    assert (logs - logs.mean(1, keepdims=True)).std() == pytest.approx(
        0.039 * np.sqrt(2.0 / 3.0), rel=0.2)
    assert 0.4 < recoloured / 299 < 0.6
    round_, _ = vary(mesh, 3, np.random.default_rng(3), 'free_z', Variation())
    ratio = round_.size_m / mesh.shape.size_m
    assert ratio[0] == pytest.approx(ratio[1]) and ratio[2] != pytest.approx(ratio[0], abs=1e-4)
    again, _ = vary(mesh, 3, np.random.default_rng(3), 'free_z', Variation())
    assert (again.vertices == round_.vertices).all()


def test_stretched_normals_stay_upright_on_their_surface(tmp_path):
    from ros2_nabs_pose.data.mesh_variants import stretched

    mesh = load(write_arrow(tmp_path / 'toy.glb', trimesh.transformations.rotation_matrix(
        0.5, (1.0, 2.0, 3.0))))
    body = stretched(mesh.shape, np.array((1.5, 1.0, 0.5))).parts['body'].mesh
    assert np.linalg.norm(body.normals, axis=1) == pytest.approx(1.0)
    corners = body.vertices[body.faces]
    for k in range(3):  # all faces of a box are flat
        edge = corners[:, (k + 1) % 3] - corners[:, k]
        assert np.abs(np.einsum('ij,ij->i', edge, body.normals[body.faces][:, k])).max() < 1e-7


def test_other_colours_leave_greys_grey():
    for k in range(20):
        matrix = color_change(np.random.default_rng(k))
        grey = matrix @ np.ones(3)
        assert np.ptp(grey) < 1e-9 and 0.7 <= grey[0] <= 1.15


def test_every_key_is_documented_and_the_tutorial_s_manifest_is_understood(tmp_path):
    text = (Path(__file__).resolve().parents[2] / 'docs' / 'custom_category.md').read_text()
    for kind in (MeshSettings, CategoryEntry, Variation):
        for field in fields(kind):
            assert f'`{field.name}`' in text, field.name
    example = text.split('```yaml\n')[1].split('```')[0]
    found = manifest(tmp_path, example)
    assert found.category == TOY and found.settings('block_scan.ply').unit == 'mm'
    values = Variation()
    for name in ('scale', 'stretch', 'recolour'):
        assert f'`{name}` ({getattr(values, name)})' in ' '.join(text.split())
