# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""``nabs-pose``: finds the subcommand, runs it, and says in one sentence what is wrong with input.

A subcommand is a module of this package with ``add_parser(subparsers)`` and ``run(args) -> int``.
Those modules import what is heavy (torch, Mitsuba) inside ``run``, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import importlib
import importlib.util
import sys

SUBCOMMANDS = ('fit', 'benchmark', 'bag', 'render', 'train', 'train-refiner', 'demo')
EXIT_BAD_INPUT = 2
PACKAGES = {'cv2': 'opencv-python', 'PIL': 'pillow', 'yaml': 'pyyaml'}
"""What modules are called where they are installed from, if otherwise."""

EXAMPLES = """examples:
  nabs-pose fit kitchen.jpg --category mug --box 210 150 330 270
  nabs-pose benchmark accuracy --set my_set --json accuracy.json
  nabs-pose COMMAND --help
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line (default: the process' own) and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog='nabs-pose', description='6D poses of objects by neural analysis by synthesis.',
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    subparsers = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    # Of a named subcommand only that module is needed; help and mistakes need them all.
    named = [w for w in words[:1] if w in SUBCOMMANDS]
    modules = {}
    for name in named or SUBCOMMANDS:
        module = f'{__package__}.{name.replace("-", "_")}'
        if importlib.util.find_spec(module) is None:
            continue
        try:
            modules[name] = importlib.import_module(module)
        except ImportError as error:
            if named:
                print(f'nabs-pose {name}: cannot start: {error}', file=sys.stderr)
                return EXIT_BAD_INPUT
            subparsers.add_parser(name, help=f'cannot start: {error}')
        else:
            modules[name].add_parser(subparsers)
    args = parser.parse_args(words)

    from ..core.types import PoseError

    try:
        return int(modules[args.command].run(args))
    except PoseError as error:
        print(f'nabs-pose {args.command}: {error}', file=sys.stderr)
        return EXIT_BAD_INPUT
    except ModuleNotFoundError as error:
        module = (error.name or '').partition('.')[0]
        if module in ('', __package__.partition('.')[0]):
            raise
        package = PACKAGES.get(module, module)
        print(f'nabs-pose {args.command}: needs the Python package "{package}", which is '
              f'not installed: pip install {package}', file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print(f'nabs-pose {args.command}: stopped', file=sys.stderr)
        return 130


if __name__ == '__main__':
    sys.exit(main())
