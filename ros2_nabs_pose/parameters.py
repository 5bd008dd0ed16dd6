# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Every parameter of the node, once: name, type, default, range and description.

The fields of ``Parameters`` are the parameters; ``declare`` offers them to ROS and
``from_values`` makes the immutable snapshot that the node reads. Nothing here imports ROS until
``declare`` is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, Field, field, fields
import math
from typing import Any

from .core.known_size import read_size
from .core.types import PoseError
from .detections import class_key

DEFAULT_CLASS_MAP = (
    'cup:mug', '41:mug', 'coffee cup:mug', 'coffee mug:mug', '39:bottle', 'wine bottle:bottle',
    '45:bowl', '63:laptop', 'tin can:can', 'soda can:can', 'beer can:can')
"""Names of COCO, Open Images and LVIS, and COCO's 0-based numbers (as YOLO counts them), for the
categories; same names need none.
"""


NONE = ('',)
"""Default of a list that is empty."""


def _parameter(default: Any, description: str, *, live: bool = False, read_only: bool = False,
               low: float | None = None, high: float | None = None,
               choices: tuple[str, ...] = ()) -> Any:
    """A dataclass field that is a ROS parameter.

    ``live`` ones may change while frames flow, ``read_only`` ones never; the others count when
    the node is configured and may change before.
    """
    return field(default=default, metadata={
        'description': description, 'live': live, 'read_only': read_only, 'low': low,
        'high': high, 'choices': choices})


@dataclass(frozen=True)
class Parameters:
    """One consistent state of all parameters; lists are tuples here."""

    autostart: bool = _parameter(
        True, 'Load the models and become active by itself; otherwise the lifecycle services do '
        'that.', read_only=True)
    categories: tuple[str, ...] = _parameter(
        ('mug',), 'Object categories to load; each needs a file <category>.safetensors.')
    models_dir: str = _parameter(
        '', 'Folder with the weights; empty: the models that come with the package.')
    device: str = _parameter('cpu', "Where torch computes: 'cpu', 'cuda' or 'cuda:1'.")
    compile_networks: bool = _parameter(
        False, 'Compile the networks with torch.compile, which takes a minute or two at the start '
        'and a C++ compiler: meant for GPUs, on CPUs it gains next to nothing.')
    preset: str = _parameter(
        'cold', "Effort of the fit: 'warm', 'cold' (tracked objects get warm) or 'accurate'.",
        choices=('warm', 'cold', 'accurate'))
    known_sizes: tuple[str, ...] = _parameter(
        NONE, "Categories whose objects' size is known, as 'category:metres' of the longest side "
        "of the box around one, such as 'mug:0.12', or better of all three, towards the front, "
        "across and up, such as 'mug:0.12x0.08x0.10'; distances then are no guess, also without "
        'depth.')
    common_ground: bool = _parameter(
        True, 'Objects of one image whose axes agree, as far as they are known, are taken to stand '
        'on one ground: they are told upright together, and so are sizes that are guessed. The '
        'camera has to be held somehow upright, or up_frame to say how it is. false: each as it is '
        'seen, which is better for objects that hands or grippers hold.')
    up_frame: str = _parameter(
        '', 'Frame of /tf whose z axis is up, such as map: what stands is told upright in it, also '
        'where it stands alone. Empty: not known.')
    ground_frame: str = _parameter(
        '', 'Frame of /tf with z up whose origin lies on what the objects stand on, such as table, '
        'or base_link of an arm that is mounted on one: in place of up_frame, and the height of '
        'the camera over it tells how far away objects are, so that no size is guessed.')
    num_threads: int = _parameter(
        0, 'CPU threads of the fit; 0: one for each core, at most 4.', low=0, high=256)
    fit_niceness: int = _parameter(
        5, "Niceness (Linux) of the fit's threads beside the process's own: callbacks, the "
        'camera and the detector get a core first. 0 where the fit should not stand back.',
        low=0, high=19)
    max_latency_ms: float = _parameter(
        0.0, 'Milliseconds that a frame may take once the worker has it; the fits then end with '
        'the best poses so far. 0: as long as they need.', live=True, low=0.0, high=60000.0)
    image_transport: str = _parameter(
        'auto', "Subscribe 'raw' images, 'compressed' ones (topic image/compressed), or 'auto': "
        'whichever is published, raw before compressed.', choices=('auto', 'raw', 'compressed'))
    image_is_rectified: bool = _parameter(
        False, 'The image has had its lens distortion taken out: use P of camera_info, not K and '
        'D.', live=True)
    queue_size: int = _parameter(
        30, 'Images, and detections, kept at most while they wait for each other. Late detectors '
        'need latency times frame rate.', low=1, high=1000)
    slop_s: float = _parameter(
        0.01, 'Largest difference of the stamps of an image and its detections, depth and mask, '
        'seconds.', live=True, low=0.0, high=10.0)
    queue_mb: int = _parameter(
        256, 'Megabytes of images, depth and masks kept at most while they wait; the oldest go '
        'first.', low=1, high=65536)
    depth_wait_s: float = _parameter(
        0.1, 'Longest time that a frame with detections waits for its depth and its mask, where '
        'somebody publishes them; then it goes without.', low=0.0, high=10.0)
    mask_labels: str = _parameter(
        'index', "What the numbers in the mask's pixels mean: 'index' 1 for the first detection of "
        "the array, 2 for the second ..., 'id' the detection's id, 'any' whatever is not 0 belongs "
        'to whichever box it lies in.', live=True, choices=('index', 'id', 'any'))
    class_map: tuple[str, ...] = _parameter(
        DEFAULT_CLASS_MAP, "The detector's class ids (names or numbers as text) for categories, "
        "as 'id:category', in any case; a category's own name needs no entry. ':category' stands "
        'for boxes without a class, which the only loaded category takes by itself.', live=True)
    detection_image_size: tuple[int, ...] = _parameter(
        (0, 0), 'Width and height of the picture whose pixels the boxes are in, such as the '
        "network's input; 0, 0: the image itself; 1, 1: boxes in parts of the image.", live=True,
        low=0, high=100000)
    detection_letterbox: bool = _parameter(
        False, 'The image was fitted into detection_image_size between bars, not stretched.',
        live=True)
    min_score: float = _parameter(
        0.0, 'Detections that the detector scores below this are passed over.', live=True,
        low=0.0, high=1.0)
    min_confidence: float = _parameter(
        0.0, 'Poses less confident than this are not published.', live=True, low=0.0, high=1.0)
    target_class: str = _parameter(
        '', 'Category that ~/pose follows; empty: any.', live=True)
    target_id: str = _parameter('', 'Track id that ~/pose follows; empty: any.', live=True)
    target_mode: str = _parameter(
        'most_confident', 'Which of the objects that target_class and target_id leave ~/pose '
        "follows: the 'most_confident' one, the 'nearest' to the camera or the 'most_central' in "
        'its view.', live=True, choices=('most_confident', 'nearest', 'most_central'))
    publish_tf: bool = _parameter(
        True, 'Publish a transform for each object, from the camera to <class>_<id>.', live=True)
    publish_markers: bool = _parameter(
        True, 'Publish ~/markers: box, axes, uncertainty and name of each object.', live=True)
    marker_lifetime_s: float = _parameter(
        2.0, 'Seconds after which markers vanish when no new frame replaces them; 0: never.',
        live=True, low=0.0, high=3600.0)
    publish_object_poses: bool = _parameter(
        False, 'Publish ~/objects/<class>_<id>/pose for each object, too.', live=True)
    debug_image_rate_hz: float = _parameter(
        0.0, 'Most debug images a second; 0: one for each frame. None is made without a '
        'subscriber.', live=True, low=0.0, high=1000.0)

    @property
    def categories_by_class(self) -> dict[str, str]:
        """Loaded categories by ``class_key`` of the detector's class ids; '' is no class at all."""
        entries = (entry.rpartition(':') for entry in self.class_map)
        sole = {'': self.categories[0]} if len(self.categories) == 1 else {}
        return {**sole, **{class_key(name): name for name in self.categories},
                **{class_key(class_id): category for class_id, _, category in entries
                   if category in self.categories}}

    @property
    def standing_frame(self) -> str:
        """The frame of /tf that tells what objects stand on; '' where none is set."""
        return self.ground_frame or self.up_frame

    @property
    def known_sizes_m(self) -> dict[str, tuple[float, ...]]:
        """Longest side or three sides (m) by category; ValueError where an entry is neither."""
        sizes: dict[str, tuple[float, ...]] = {}
        for entry in filter(None, self.known_sizes):
            category, _, metres = entry.rpartition(':')
            try:
                sides = read_size(metres)
            except PoseError:
                sides = ()
            if not sides or category not in self.categories:
                raise ValueError(
                    f"known_sizes has {entry!r}: write 'category:metres' or 'category:XxYxZ' "
                    f'with sizes above 0 and one of {", ".join(self.categories)}')
            sizes[category] = sides
        return sizes

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Parameters:
        """Snapshot from parameter values by name; defaults where a name is missing.

        Raises ValueError with one sentence for a value out of range; types are ROS' business.
        """
        checked = {f.name: _checked(f, values[f.name]) for f in fields(cls) if f.name in values}
        snapshot = cls(**checked)
        if not snapshot.categories:
            raise ValueError('categories is empty: name at least one, such as mug')
        if snapshot.target_class not in ('', *snapshot.categories):
            raise ValueError(f'target_class is {snapshot.target_class!r}: categories has '
                             f'{", ".join(snapshot.categories)}')
        for entry in snapshot.class_map:
            if not all(entry.rpartition(':')[1:]):
                raise ValueError(f"class_map has {entry!r}: write 'class_id:category'")
        if snapshot.up_frame and snapshot.ground_frame:
            raise ValueError(f'up_frame is {snapshot.up_frame!r} and ground_frame is '
                             f'{snapshot.ground_frame!r}: give one of them')
        if snapshot.standing_frame and not snapshot.common_ground:
            raise ValueError('up_frame and ground_frame count only with common_ground, which is '
                             'false')
        _ = snapshot.known_sizes_m
        size = snapshot.detection_image_size
        if len(size) != 2 or (0 in size) != (size == (0, 0)):
            raise ValueError(f'detection_image_size is {list(size)}: give width and height, or '
                             '0, 0 for the size of the image')
        return snapshot


def _checked(spec: Field[Any], value: Any) -> Any:
    if isinstance(spec.default, tuple):
        kind = type(spec.default[0])
        # An empty YAML list arrives as [''] from some launch files; it means the same. ROS has no
        # type for an empty list, so [''] is also how a parameter's default says that.
        given = tuple(_in_range(spec, kind(item)) for item in value if item != '')
        return given or (NONE if spec.default == NONE else ())
    return _in_range(spec, value)


def _in_range(spec: Field[Any], value: Any) -> Any:
    low, high, choices = (spec.metadata[key] for key in ('low', 'high', 'choices'))
    if choices and value not in choices:
        raise ValueError(f'{spec.name} is {value!r}: choose one of {", ".join(choices)}')
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f'{spec.name} is {value}: give a finite number')
    if low is not None and value < low:
        raise ValueError(f'{spec.name} is {value}: it must be at least {low:g}')
    if high is not None and value > high:
        raise ValueError(f'{spec.name} is {value}: it must be at most {high:g}')
    return value


def constraints(spec: Field[Any]) -> str:
    """What else holds for a parameter, in words: its choices, and when it may change."""
    choices, live, read_only = (spec.metadata[key] for key in ('choices', 'live', 'read_only'))
    changes = 'live' if live else (
        'read at the start' if read_only else 'read when the node is configured')
    return '; '.join((*((f'one of {", ".join(choices)}',) if choices else ()), changes))


def changed_at_configure(old: Parameters, new: Parameters) -> list[str]:
    """Names of the parameters that differ and are read only when the node is configured."""
    return [f.name for f in fields(Parameters)
            if not f.metadata['live'] and getattr(old, f.name) != getattr(new, f.name)]


def declare(node: Any) -> Parameters:
    """Declare every parameter on a node and return the snapshot of their start values.

    Raises ValueError with one sentence for a value out of range.
    """
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

    values = {}
    for spec in fields(Parameters):
        info = spec.metadata
        descriptor = ParameterDescriptor(
            description=info['description'], read_only=info['read_only'],
            additional_constraints=constraints(spec))
        # ROS knows no ranges of lists; from_values does.
        if info['low'] is not None and not isinstance(spec.default, tuple):
            if isinstance(spec.default, float):
                high = math.inf if info['high'] is None else info['high']
                descriptor.floating_point_range = [FloatingPointRange(
                    from_value=float(info['low']), to_value=float(high))]
            else:
                high = 2**31 - 1 if info['high'] is None else info['high']
                descriptor.integer_range = [IntegerRange(
                    from_value=int(info['low']), to_value=int(high), step=1)]
        default = list(spec.default) if isinstance(spec.default, tuple) else spec.default
        values[spec.name] = node.declare_parameter(spec.name, default, descriptor).value
    return Parameters.from_values(values)
