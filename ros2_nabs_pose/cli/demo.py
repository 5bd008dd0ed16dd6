# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""``nabs-pose demo``: the shipped bag through the real node over DDS, judged by a third process."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any, IO

from ..bags import CAMERA_INFO_TOPIC, DETECTIONS_TOPIC, IMAGE_TOPIC
from ..core.types import PoseError
from ..demo.report import boxed_stamps, summarise, table, write_pictures
from ..resources import demo_bag

END_TIMEOUT_S = 60.0


def add_parser(subparsers: Any) -> None:
    """Add the ``demo`` command."""
    parser = subparsers.add_parser(
        'demo', help='play the shipped bag through the node and show the poses',
        description='Plays a bag over DDS from one process, runs the node in a second and listens '
                    'in a third; writes summary.json, overlay.mp4 and contact_sheet.png.')
    parser.add_argument('--out', type=Path, default=Path('demo_out'), help='folder to write into')
    parser.add_argument('--seconds', type=float, help='play only the first seconds')
    parser.add_argument('--bag', type=Path,
                        help='another bag, as scripts/make_bag writes it')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Play, listen, report; 0 only if poses came out."""
    bag = args.bag or demo_bag()
    boxed = boxed_stamps(bag)
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='nabs_pose_demo_') as scratch:
        folder = Path(scratch)
        published = _play(bag, args.seconds, folder, args.out / 'node.log')
        heard = json.loads((folder / 'heard.json').read_text())
        summary = summarise(heard, published, boxed)
        (args.out / 'summary.json').write_text(json.dumps(summary, indent=2) + '\n')
        print(f'\n{table(summary)}\n')
        written = write_pictures(bag, heard, folder, args.out)
    for path in [args.out / 'summary.json', *written]:
        print(f'  {path}')
    if summary['poses'] == 0:
        print(f'demo: no poses came out; the node says: {summary["node"].get("reason", "nothing")}'
              f' (see {args.out / "node.log"})', file=sys.stderr)
        return 1
    return 0


def _play(bag: Path, seconds: float | None, folder: Path, node_log: Path) -> dict[int, float]:
    """Run node, listener and player; returns when each image was published, by stamp."""
    # A domain of its own on this machine alone: two demos on one network must not mix.
    domain = random.SystemRandom().randint(1, 100)
    environment = {**os.environ, 'ROS_DOMAIN_ID': str(domain),
                   'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
    if environment.get('ROS_DISTRO') == 'humble':
        environment['ROS_LOCALHOST_ONLY'] = '1'
    remap = [f'image:={IMAGE_TOPIC.removesuffix("/compressed")}',
             f'camera_info:={CAMERA_INFO_TOPIC}', f'detections:={DETECTIONS_TOPIC}']
    arguments = [part for rule in remap for part in ('-r', rule)]
    started: list[subprocess.Popen[str]] = []

    def start(module: str, *argv: str, output: IO[str] | int | None = None,
              ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, '-m', f'ros2_nabs_pose.{module}', *argv], env=environment, text=True,
            stdout=output, stderr=subprocess.STDOUT if output is not None else None,
            start_new_session=True)  # Ctrl-C is for this process, which then ends the others
        started.append(process)
        return process

    print(f'Starting node, listener and player (ROS_DOMAIN_ID={domain}, this machine only) ...',
          flush=True)
    with node_log.open('w') as log:
        try:
            node = start('node', '--ros-args', *arguments, output=log)
            listener = start('demo.listener', str(folder), output=subprocess.PIPE)
            assert listener.stdout is not None
            threading.Thread(target=_show_progress, args=(listener.stdout,), daemon=True).start()
            player = start('demo.player', str(bag), '--log', str(folder / 'published.json'),
                           *([] if seconds is None else ['--seconds', str(seconds)]))
            while player.poll() is None:
                if node.poll() is not None:
                    raise PoseError(f'the node ended: {node_log.read_text().strip()}')
                time.sleep(0.1)
            if player.returncode:
                raise PoseError(f'the bag was not played; the node said: '
                                f'{node_log.read_text().strip() or "nothing"}')
            listener.send_signal(signal.SIGINT)
            try:
                listener.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired as error:
                raise PoseError('the listener did not end in time: is the machine overloaded?'
                                ) from error
        finally:
            for process in started:
                if process.poll() is None:
                    process.terminate()
                    try:
                        process.wait(5.0)
                    except subprocess.TimeoutExpired:
                        process.kill()
    values = json.loads((folder / 'published.json').read_text())
    return {int(stamp): when_s for stamp, when_s in values.items()}


def _show_progress(lines: IO[str]) -> None:
    """Copy the listener's progress: over one line on a terminal, line by line elsewhere."""
    start, end = ('\r  ', '\x1b[K') if sys.stdout.isatty() else ('  ', '\n')
    for line in lines:
        print(f'{start}{line.rstrip()}{end}', end='', flush=True)
