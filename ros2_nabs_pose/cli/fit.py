# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""``nabs-pose fit``: the pose of one object in one image."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
import sys
from typing import Any, TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from ..core.types import PoseEstimate

OPEN_DEG = 60.0
"""Spread of the turn about z from which on it is called unknown."""

EXAMPLES = """examples:
  nabs-pose fit kitchen.jpg --category mug --box 210 150 330 270
  nabs-pose fit 0001.png --category mug --box 210 150 330 270 \\
      --intrinsics 615 615 320 240 --mask mug.png --json --overlay pose.png
  nabs-pose fit 0001.png --category can --box 40 60 90 160 --depth 0001-depth.png
  nabs-pose fit 0001.png --category mug --box 210 150 330 270 --known-size 0.12x0.08x0.10

Without --intrinsics the focal length is taken as 1.2 times the longer side of the image, as of a
phone; distances then are rough. Exit status: 0 a pose, 1 no pose is believed in, 2 bad input.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Declare the subcommand."""
    parser = subparsers.add_parser(
        'fit', help='pose of one object in one image', epilog=EXAMPLES,
        description='Fit a category model to the object in a box and print its pose.',
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('image', type=Path, metavar='IMAGE', help='image file, colour')
    parser.add_argument('--category', required=True, help='what the box holds; names a model')
    parser.add_argument('--box', required=True, nargs=4, type=float,
                        metavar=('X0', 'Y0', 'X1', 'Y1'), help='corners of the box, pixels')
    parser.add_argument('--intrinsics', nargs=4, type=float, metavar=('FX', 'FY', 'CX', 'CY'),
                        help='of this image, pixels (default: guessed)')
    parser.add_argument('--distortion', nargs='+', type=float, default=[], metavar='K',
                        help='k1 k2 p1 p2 [k3 [k4 k5 k6]] of the lens, as OpenCV counts them')
    parser.add_argument('--mask', type=Path, metavar='PNG',
                        help="mask of the object, of the image's size, black elsewhere")
    parser.add_argument('--depth', type=Path, metavar='PNG',
                        help="16-bit depth of the image's size; gives the metric scale")
    parser.add_argument('--depth-unit', type=float, default=0.001, metavar='M',
                        help='metres of one step of the depth image (default: 0.001)')
    parser.add_argument('--known-size', metavar='M',
                        help="longest side of the object's box, metres, where it is known, or all "
                        'three as 0.12x0.08x0.10, towards the front, across and up; gives the '
                        'metric scale')
    parser.add_argument('--preset', default='cold', help='effort of the fit (default: cold)')
    parser.add_argument('--device', default='cpu', help='cpu or cuda')
    parser.add_argument('--models', type=Path, metavar='DIR', help='folder of the model files')
    parser.add_argument('--seed', type=int, default=0,
                        help="of the paper presets' starts (default: 0)")
    parser.add_argument('--json', action='store_true', help='print one JSON object')
    parser.add_argument('--overlay', type=Path, metavar='OUT.png',
                        help='draw pose and synthesis over the image')


def run(args: argparse.Namespace) -> int:
    """Fit and print; returns the exit status."""
    import numpy as np

    from ..core.camera import from_camera_info_values, guess_intrinsics
    from ..core.crop import check_box
    from ..core.known_size import read_size
    from ..core.types import Box, PoseError
    from ..evaluation.sets import load_depth, load_image, load_mask

    image = load_image(args.image)
    height, width = image.shape[:2]
    intrinsics = guess_intrinsics(width, height)
    if args.intrinsics is not None:
        fx, fy, cx, cy = args.intrinsics
        intrinsics = from_camera_info_values(
            [fx, 0, cx, 0, fy, cy, 0, 0, 1], width, height, args.distortion,
            distortion_model='rational_polynomial' if len(args.distortion) == 8 else 'plumb_bob')
    elif args.distortion:
        raise PoseError('--distortion needs --intrinsics: both come from one calibration')
    x0, y0, x1, y1 = args.box
    box = Box(x0, y0, x1, y1, category=args.category)
    check_box(box, intrinsics)
    mask = None if args.mask is None else load_mask(args.mask)
    depth_m = None if args.depth is None else load_depth(args.depth, args.depth_unit)
    for path, pixels in ((args.mask, mask), (args.depth, depth_m)):
        if pixels is not None and pixels.shape != (height, width):
            raise PoseError(f'{path} is {pixels.shape[1]} x {pixels.shape[0]}, but the image is '
                            f'{width} x {height}')
    known = None
    if args.known_size is not None:
        known = {args.category: read_size(args.known_size, args.category)}
    if depth_m is not None and not np.any(depth_m > 0):
        raise PoseError(f'{args.depth} has no measured pixel')

    from ..core import PosePipeline

    pipeline = PosePipeline.load([args.category], device=args.device, preset=args.preset,
                                 models_dir=args.models, seed=args.seed,
                                 known_size_m=known)
    result = pipeline.estimate_frame(image, intrinsics, [box], depth_m=depth_m, masks=[mask])
    if not result.estimates:
        reason = result.failures[0].reason if result.failures else 'no pose is believed in'
        print(f'nabs-pose fit: no pose: {reason}', file=sys.stderr)
        return 1
    estimate = result.estimates[0]
    if args.json:
        round_about = pipeline.models[args.category].card.symmetry == 'free_z'
        print(json.dumps(as_json(estimate,
                                 None if round_about else pipeline.front_m(estimate))))
    else:
        print(as_text(estimate, args))
    if args.overlay is not None:
        from ..evaluation.pictures import write_image
        from ..visualization import overlay_with_panel

        write_image(args.overlay, overlay_with_panel(image, intrinsics, estimate))
    return 0


def as_json(estimate: PoseEstimate, front_m: np.ndarray | None) -> dict[str, Any]:
    """What ``--json`` prints, plain numbers: poses in metres, covariance in m and rad.

    front_m: (3,) where the object's front ends (see ``PosePipeline.front_m``), None where it has
    none.
    """
    return {
        'category': estimate.category,
        'T_cam_obj': estimate.T_cam_obj.tolist(),
        'size_m': estimate.size_m.tolist(),
        'box_center_m': estimate.box_center_m.tolist(),
        'front_m': None if front_m is None else front_m.tolist(),
        'confidence': float(estimate.confidence),
        'covariance': estimate.covariance.tolist(),
        'scale_source': estimate.scale_source,
        'loss': float(estimate.loss),
        'iterations': int(estimate.iterations),
        'seconds': float(estimate.seconds),
    }


def as_text(estimate: PoseEstimate, args: argparse.Namespace) -> str:
    """The same for people."""
    import numpy as np

    from ..core.quaternions import quaternion_values

    def row(values: Any, digits: int) -> str:
        return ' '.join(f'{float(v):.{digits}f}' for v in values)

    T = estimate.T_cam_obj
    quaternion = quaternion_values(T[:3, :3].tolist())
    spread = np.sqrt(np.diag(estimate.covariance))
    turns = np.degrees(np.sqrt(np.diag(T[:3, :3].T @ estimate.covariance[3:, 3:] @ T[:3, :3])))
    about_z = f'+- {turns[2]:.1f} deg' if turns[2] < OPEN_DEG else 'not known'
    source = estimate.scale_source + ('' if args.intrinsics else ', guessed focal length')
    return '\n'.join([
        f'{estimate.category}, confidence {estimate.confidence:.2f}, {estimate.seconds:.2f} s',
        f'  position      {row(T[:3, 3], 4)} m  (+- {row(spread[:3], 4)}; scale: {source})',
        f'  quaternion    {row(quaternion, 4)} xyzw  '
        f'(tilt +- {turns[0]:.1f} deg, about z {about_z})',
        f'  z axis        {row(T[:3, 2], 3)}',
        f'  x axis        {row(T[:3, 0], 3)}',
        f'  size          {row(estimate.size_m, 4)} m'])
