#!/usr/bin/env python3
# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Make the sheets of ``nabs-pose benchmark models`` small enough for docs.

scripts/env python scripts/shrink_sheets.py FROM TO
"""

from __future__ import annotations

from pathlib import Path
import sys

import cv2

WIDTH_PX = 960
#: A sheet has three columns of rows; these many pixels of its height show enough.
HEIGHT_PX = 512
MAX_BYTES = 150_000


def shrink(source: Path, target: Path) -> None:
    """Write the sheet's upper part as a JPEG under MAX_BYTES; ValueError where unreadable."""
    image = cv2.imread(str(source))
    if image is None:
        raise ValueError(f'cannot read {source}')
    scale = WIDTH_PX / image.shape[1]
    target.parent.mkdir(parents=True, exist_ok=True)
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:HEIGHT_PX]
    for quality in (88, 75, 60, 45):
        data = cv2.imencode('.jpg', small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(data) < MAX_BYTES:
            break
    target.write_bytes(data)


if __name__ == '__main__':
    for path in sorted(Path(sys.argv[1]).glob('*.png')):
        shrink(path, Path(sys.argv[2]) / f'{path.stem}.jpg')
