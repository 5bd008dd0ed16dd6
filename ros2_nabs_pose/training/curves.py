# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Curves and sample sheets for TensorBoard, beside the run's CSV files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2

from ..core.types import PoseError


class Curves:
    """Writes a run's figures for TensorBoard; PoseError where that is not installed."""

    def __init__(self, folder: Path, step: int = 0) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise PoseError('--tensorboard needs a package: pip install tensorboard; the same '
                            'figures are in log.csv and validation.csv without it.') from error
        # What a killed run wrote after its last state is drawn anew.
        self._writer: Any = SummaryWriter(str(folder), purge_step=step + 1)

    def scalars(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """One point of each curve."""
        for name, value in values.items():
            self._writer.add_scalar(f'{group}/{name}', value, step)

    def picture(self, name: str, step: int, path: Path) -> None:
        """A sheet that is on disk already."""
        image = cv2.imread(str(path))
        if image is not None:
            self._writer.add_image(name, image[..., ::-1].copy(), step, dataformats='HWC')

    def close(self) -> None:
        """Write what is held back."""
        self._writer.close()
