# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What goes into the node, over DDS: encodings, depth and mask raw and compressed, detectors,
and the transforms that tell what objects stand on.
"""

from contextlib import contextmanager
import copy
import struct

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')

from demo_data import check_poses, demo_frames, rotation_matrix
from geometry_msgs.msg import TransformStamped
from node_harness import Client, FRAME, LATCHED, NodeProcess
from rclpy.qos import QoSProfile, ReliabilityPolicy
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

pytestmark = pytest.mark.ros


@pytest.fixture(scope='module')
def frames():
    return demo_frames(2)


@pytest.fixture(scope='module')
def processes(tmp_path_factory):
    """Two nodes that load beside each other, in namespaces of one domain."""
    raw = NodeProcess(tmp_path_factory.mktemp('raw'), '-r', '__ns:=/raw', '-p', 'depth_wait_s:=2.0')
    packed = NodeProcess(tmp_path_factory.mktemp('packed'), '-r', '__ns:=/packed',
                         '-p', 'depth_wait_s:=2.0', '-p', 'mask_labels:=any',
                         '-p', 'detection_image_size:=[320, 320]',
                         '-p', 'detection_letterbox:=true', domain=raw.domain)
    yield raw, packed
    for process in (raw, packed):
        assert process.process.poll() is None, process.log
        process.stop()


@pytest.fixture(scope='module')
def raw(processes):
    """Reliable publishers of raw images; those of depth and mask come later."""
    client = Client(processes[0].domain, '/raw')
    assert client.wait_until_ready(), processes[0].log
    yield client
    client.close()


@pytest.fixture(scope='module')
def depth(raw):
    """The same with a publisher of depth that joined while the node ran."""
    with joined(raw, 'depth') as client:
        yield client


@pytest.fixture(scope='module')
def packed(processes, frames):
    """Best-effort publishers of compressed images, depth and masks, and a latched calibration."""
    client = Client(processes[1].domain, '/packed', compressed=True, reliable=False,
                    latched_info=frames[0]['info'])
    qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    for key, topic in (('depth', 'depth/compressedDepth'), ('mask', 'mask/compressed')):
        client.publishers[key] = client.node.create_publisher(
            CompressedImage, f'/packed/{topic}', qos)
    assert client.wait_until_ready(), processes[1].log
    yield client
    client.close()


@contextmanager
def joined(client, key):
    """A publisher of a raw input that comes, is heard, and goes."""
    publisher = client.node.create_publisher(Image, f'/raw/{key}', 10)
    client.publishers[key] = publisher

    def heard():
        # The stamp is of a frame that has been.
        publisher.publish(client.header(Image(), client.stamp))
        client.spin_for(0.2)
        return int(client.diagnostics()[f'{key}s']) > 0

    assert client.spin_until(heard)
    yield client
    client.node.destroy_publisher(client.publishers.pop(key))
    client.spin_for(0.5)


def forget(client):
    assert client.call(Trigger, 'reset', Trigger.Request()).success


def image(pixels, encoding, pad=0):
    """sensor_msgs/Image of (H, W) or (H, W, C), with ``pad`` bytes after each row."""
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(len(pixels), -1)
    rows = np.pad(rows, ((0, 0), (0, pad)))
    return Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding,
                 step=rows.shape[1], data=rows.tobytes())


def answered(client, frame, extras=None, late=None, without=(), **changes):
    """The poses of a frame sent with ``extras`` before its boxes and ``late`` ones after them.

    Cameras go on sending, and with each message DDS brings what it lost before; here old empty
    ones do that.
    """
    stamp = client.next_stamp()
    for key, message in (extras or {}).items():
        client.publishers[key].publish(client.header(message, stamp))
    if late:
        client.send(frame, stamp, without=(*without, 'boxes'), **changes)
        client.spin_for(0.1)  # what is late comes after the boxes, whatever DDS does
        client.send(frame, stamp, without=('info', 'image'), **changes)
        client.spin_for(0.1)
        for key, message in late.items():
            client.publishers[key].publish(client.header(message, stamp))
    else:
        client.send(frame, stamp, without=without, **changes)
    for _ in range(40):
        poses = client.answer('poses', stamp, 0.5)
        if poses is not None:
            return poses
        for key in {**(extras or {}), **(late or {})}:
            publisher = client.publishers[key]
            publisher.publish(client.header(publisher.msg_type(), stamp - 10**10))
    return None


def told(client, frame, words, extras=None):
    """The reason in diagnostics while such frames come, once it holds ``words``."""
    for _ in range(8):
        answered(client, frame, extras)
        if words in client.reason(words, timeout_s=1.5):
            break
    return client.diagnostics()['reason']


def without_depth(client):
    """How many frames went without depth, by a report that is newer than the last answer."""
    for _ in range(2):  # the first may have been written before
        client.received['diagnostics'].clear()
        assert client.spin_until(lambda: client.diagnostics())
    return int(client.diagnostics()['frames_without_depth'])


def distances(poses):
    return {d.id: d.results[0].pose.pose.position.z for d in poses.detections}


def plane(frame, metres, dtype=np.float32):
    """Depth of a wall in front of the camera."""
    return np.full(frame['rgb'].shape[:2], metres, dtype)


def yuy2(rgb):
    """(H, W, 2) from RGB by BT.601, video range."""
    r, g, b = (rgb[..., i].astype(float) for i in range(3))
    y = 16 + 0.257 * r + 0.504 * g + 0.098 * b
    u, v = 128 - 0.148 * r - 0.291 * g + 0.439 * b, 128 + 0.439 * r - 0.368 * g - 0.071 * b
    chroma = np.where(np.arange(rgb.shape[1]) % 2 == 0, u, v)
    return np.stack([y, chroma], -1).round().clip(0, 255).astype(np.uint8)


@pytest.fixture(scope='module')
def plain(raw, frames):
    """The poses of the first frame, when it is the first."""
    forget(raw)
    poses = answered(raw, frames[0])
    check_poses(poses, frames[0]['truth'])
    return poses


@pytest.mark.parametrize('encoding, convert', [
    ('bgr8', lambda rgb: rgb[..., ::-1]),
    ('bgra8', lambda rgb: np.dstack([rgb[..., ::-1], rgb[..., :1]])),
    ('rgb16', lambda rgb: rgb.astype(np.uint16) * 257), ('yuv422_yuy2', yuy2)])
def test_encodings_give_the_same_poses(raw, frames, plain, encoding, convert):
    forget(raw)
    stamp = raw.next_stamp()
    message = image(convert(frames[0]['rgb']), encoding, pad=8)
    raw.publishers['image'].publish(raw.header(message, stamp))
    raw.send(frames[0], stamp, without='image')
    got = raw.answer('poses', stamp)
    assert distances(got) == pytest.approx(distances(plain), rel=0.01)
    check_poses(got, frames[0]['truth'])


def silhouettes(frame):
    """Labels (H, W) uint8: the detections' numbers, on ellipses as large as their boxes."""
    labels = np.zeros(frame['rgb'].shape[:2], np.uint8)
    for number, box in enumerate(frame['boxes'], 1):
        center = box.bbox.center.position
        cv2.ellipse(labels, ((center.x, center.y), (box.bbox.size_x, box.bbox.size_y), 0.0),
                    number, -1)
    return labels


def test_masks_say_where_the_objects_are(raw, frames):
    labels = silhouettes(frames[0])
    with joined(raw, 'mask'):
        forget(raw)
        poses = answered(raw, frames[0], {'mask': image(labels, 'mono8')})
        assert {d.id for d in poses.detections} == set(frames[0]['truth'])
        # A mask of next to nothing explains no object.
        small = np.where(cv2.erode(labels, np.ones((3, 3)), iterations=25) > 0, labels, 0)
        assert set(np.unique(small)) == set(np.unique(labels))
        forget(raw)
        assert 'explains the crop' in told(raw, frames[0], 'outline overlap',
                                           {'mask': image(small.astype(np.uint8), 'mono8')})
        assert len(raw.received['poses'][-1].detections) == 0
        # Numbers of no detection leave it to the picture.
        strange = np.where(labels > 0, 200, 0).astype(np.uint16)
        assert "mask_labels is 'index'" in told(raw, frames[0], 'no pixel with the number 1',
                                                {'mask': image(strange, '16UC1')})
        assert len(raw.received['poses'][-1].detections) == len(frames[0]['boxes'])


@pytest.mark.parametrize('form', ['32FC1', '16UC1', 'half as large'])
def test_depth_gives_the_scale(depth, frames, form):
    def answer(metres):
        if form == '16UC1':
            pixels = plane(frames[0], round(1000 * metres), np.uint16)
        else:
            pixels = plane(frames[0], metres)
        if form == 'half as large':
            pixels = pixels[::2, ::2]
        message = image(pixels, form if form in ('32FC1', '16UC1') else '32FC1', 4)
        # On a busy machine DDS may lose a large message at first and bring it with its next
        # heartbeat, which it sends every three seconds: a frame that went without tells nothing.
        for _ in range(8):
            before = without_depth(depth)
            poses = answered(depth, frames[0], {'depth': message})
            if without_depth(depth) == before:
                break
        return distances(poses), {d.id: d.bbox.size.z for d in poses.detections}

    forget(depth)
    near, small = answer(0.4)
    far, large = answer(0.8)
    assert set(near) == set(frames[0]['truth'])
    for name in near:
        # The wall stands for the surface; the origin lies behind it, inside the object.
        assert 0.4 < near[name] < 0.46
        assert far[name] == pytest.approx(2 * near[name], rel=0.02)
        assert large[name] == pytest.approx(2 * small[name], rel=0.05)


def test_depth_that_comes_after_the_boxes_is_waited_for(depth, frames):
    forget(depth)
    for _ in range(8):
        before = without_depth(depth)
        poses = answered(depth, frames[0], late={'depth': image(plane(frames[0], 0.4), '32FC1')})
        if without_depth(depth) == before:
            break
    assert all(0.4 < z < 0.46 for z in distances(poses).values())


def test_a_frame_whose_depth_does_not_come_goes_without_and_says_so(depth, frames):
    forget(depth)  # a track keeps the size that depth gave it
    depth.publishers['depth'].publish(  # so that it is expected
        depth.header(image(plane(frames[0], 0.4), '32FC1'), depth.stamp))
    before = int(depth.diagnostics()['frames_without_depth'])
    poses = answered(depth, frames[0])
    check_poses(poses, frames[0]['truth'])
    assert depth.spin_until(
        lambda: int(depth.diagnostics()['frames_without_depth']) == before + 1)
    assert 'depth_wait_s' in told(depth, frames[0], 'went without depth')


def test_depth_of_another_size_is_refused_with_the_mend(depth, frames):
    forget(depth)
    message = image(plane(frames[0], 0.4)[:100], '32FC1')
    check_poses(answered(depth, frames[0], {'depth': message}), frames[0]['truth'])
    assert 'in its size' in told(depth, frames[0], 'register the depth to the image',
                                 {'depth': message})


def compressed_depth(metres):
    """What compressed_depth_image_transport publishes for (H, W) float32, by its defaults."""
    a = 100.0 * 101.0
    b = 1.0 - a / 10.0
    body = cv2.imencode('.png', (a / metres + b).astype(np.uint16))[1].tobytes()
    return CompressedImage(format='32FC1; compressedDepth png',
                           data=struct.pack('<iff', 0, a, b) + body)


def in_the_networks_pixels(frame, **changes):
    """Boxes of a 320 x 320 letterbox around the frame, as a detector without classes has them."""
    height, width = frame['rgb'].shape[:2]
    scale = 320 / max(width, height)
    boxes = copy.deepcopy(frame['boxes'])
    for box in boxes:
        center = box.bbox.center.position
        center.x = center.x * scale + 0.5 * (320 - width * scale)
        center.y = center.y * scale + 0.5 * (320 - height * scale)
        box.bbox.size_x *= scale
        box.bbox.size_y *= scale
        for name, value in changes.items():
            setattr(box, name, value)
    return {'boxes': boxes}


def test_packed_best_effort_inputs_and_boxes_in_the_networks_pixels(packed, frames):
    png = cv2.imencode('.png', 255 * (silhouettes(frames[0]) > 0).astype(np.uint8))[1].tobytes()

    def answer():
        return answered(packed, frames[0], {
            'depth': compressed_depth(plane(frames[0], 0.5)),
            'mask': CompressedImage(format='mono8; png compressed ', data=png)},
            without=('info',), **in_the_networks_pixels(frames[0], results=[]))

    poses = answer()
    assert {d.id for d in poses.detections} == set(frames[0]['truth'])
    assert all(0.5 < z < 0.56 for z in distances(poses).values())
    said = packed.diagnostics()
    assert packed.spin_until(lambda: packed.diagnostics().get('masks') not in ('0', None)), said
    assert packed.diagnostics()['image_topic'] == '/packed/image/compressed'


def test_empty_ids_are_given_names_that_stay(packed, frames):
    nameless = in_the_networks_pixels(frames[0], id='')
    first, second = (answered(packed, frames[0], without=('info',), **nameless)
                     for _ in range(2))
    names = [d.id for d in first.detections]
    assert len(set(names)) == len(frames[0]['boxes'])
    assert '' not in names
    assert [d.id for d in second.detections] == names


def test_what_objects_stand_on_is_told_by_the_robots_frames(frames, tmp_path):
    """Over DDS: a table that never moves, an arm that does, and frames before either is known."""
    process = NodeProcess(tmp_path, '-p', 'ground_frame:=table')
    client = Client(process.domain)
    try:
        assert client.wait_until_ready(), process.log
        before = client.answer('poses', client.send(frames[0]))
        assert 'no transform leads from table to the camera' in client.reason('ground_frame')
        static, moving = (client.node.create_publisher(TFMessage, topic, qos) for topic, qos in (
            ('/tf_static', LATCHED), ('/tf', 10)))
        assert client.spin_until(
            lambda: static.get_subscription_count() and moving.get_subscription_count() > 1)
        truth = next(iter(frames[0]['truth'].values()))
        true = truth.results[0].pose.pose
        R_cam_up = Rotation.from_matrix(rotation_matrix(true))
        # The arm stands askew, and so does the camera on it.
        askew = Rotation.from_euler('xyz', (40.0, -70.0, 110.0), degrees=True)
        static.publish(TFMessage(transforms=[transform('table', 'arm', askew, (0.0, 0.0, 0.0))]))
        for beside_deg, higher in ((-8.0, 0.93), (8.0, 1.1)):
            # The table's frame lies where the mug stands, its z axis beside the mug's; farther off.
            up = R_cam_up * Rotation.from_euler('x', beside_deg, degrees=True)
            foot = place(true) - 0.5 * truth.bbox.size.z * R_cam_up.as_matrix()[:, 2]
            camera = up.inv().apply(-higher * foot)
            stamp = client.next_stamp(2.0)
            message = transform('arm', FRAME, (up * askew).inv(), askew.inv().apply(camera))
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
            moving.publish(TFMessage(transforms=[message]))
            client.spin_for(0.5)
            poses = client.answer('poses', client.send(frames[0], stamp))
            far, near = (np.degrees(np.arccos(axes(these) @ up.as_matrix()[:, 2]))
                         for these in (before, poses))
            assert len(near) == 2 and (far > 4.0).all() and (near < 0.6 * far).all(), (far, near)
            stood = next(d for d in poses.detections if d.id == truth.id)
            assert np.linalg.norm(place(stood.results[0].pose.pose)) == pytest.approx(
                higher * np.linalg.norm(place(true)), rel=0.05)
    finally:
        client.close()
        process.end()


def place(pose):
    """(3,) of a geometry_msgs/Pose."""
    return np.array([pose.position.x, pose.position.y, pose.position.z])


def axes(poses):
    """(N, 3) of a Detection3DArray."""
    return np.stack([rotation_matrix(d.results[0].pose.pose)[:, 2] for d in poses.detections])


def transform(parent, child, rotation, moved):
    """A geometry_msgs/TransformStamped."""
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    turn = message.transform.rotation
    turn.x, turn.y, turn.z, turn.w = rotation.as_quat().tolist()
    place_of = message.transform.translation
    place_of.x, place_of.y, place_of.z = map(float, moved)
    return message
