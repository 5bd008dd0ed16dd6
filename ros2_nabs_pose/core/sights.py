# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""One cut of a box and all that a fit made of it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .answers import Fitted
from .cuts import Cut
from .follow import Told


@dataclass(frozen=True)
class Sight:
    """A cut, the fit to it, and what there is to know of the object's code."""

    cut: Cut
    fitted: Fitted
    told: Told

    @property
    def worth(self) -> float:
        """What the refiner says of the answer (``Comparison.worth``); NaN where none was asked."""
        return float(self.fitted.result.worth[self.fitted.row])

    @property
    def explains(self) -> bool:
        """Whether the drawing is believed to be what the cut shows."""
        return self.fitted.explains(self.cut.valid)

    @property
    def R_crop(self) -> Tensor:
        """(3, 3) float64, the rotation in the crop as it was cut."""
        return self.fitted.result.best.R[self.fitted.row].double().cpu()

    @property
    def kept(self) -> bool:
        """Whether the track's own start won."""
        return bool(self.fitted.result.best.previous[self.fitted.row])


def likelier(first: Sight, other: Sight) -> Sight:
    """The one of two sights of an object that the refiner believes more; ``first`` if in doubt.

    Never one that explains nothing.
    """
    return other if other.worth > first.worth and other.explains else first
