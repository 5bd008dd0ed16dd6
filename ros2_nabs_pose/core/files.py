# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Files that are whole or not there, whenever the process that writes them is killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; becomes ``path`` at the end, is removed on an error.

    Several processes may write the same file at once: the last one's stays. Raises OSError.
    """
    partial = path.with_name(f'.{path.name}.{os.getpid()}.partial')
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text_whole(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 so that a file of that name is always a complete one."""
    with written_whole(path) as partial:
        partial.write_text(text, encoding='utf-8')
