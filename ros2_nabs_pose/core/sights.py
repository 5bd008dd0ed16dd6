# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Cuts of boxes and all that fits made of them, and which of them leave doubt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from torch import Tensor

from .answers import Fitted
from .checkpoint import CategoryModel
from .cuts import Cut
from .follow import Told
from .presets import PaperPreset, Preset

MOST_DOUBTED = 2
"""Of a stream's image, so many boxes of a category are cut otherwise at most, those that leave most
doubt: tracks must outlast their first frame (``tracks.MAX_AGE_S``), and the others' next frame will
tell more."""


@dataclass(frozen=True)
class Sight:
    """A cut, the fit to it, and what there is to know of the object's code."""

    cut: Cut
    fitted: Fitted
    told: Told

    @property
    def worth(self) -> float:
        """See ``Fitted.worth``."""
        return self.fitted.worth

    @property
    def explains(self) -> bool:
        """Whether the drawing is believed to be what the cut shows."""
        return self.fitted.explains(self.cut.valid)

    @property
    def R_crop(self) -> Tensor:
        """(3, 3) float64, the rotation in the crop as it was cut."""
        return self.fitted.R.double().cpu()

    @property
    def kept(self) -> bool:
        """Whether the track's own start won."""
        return bool(self.fitted.result.best.previous[self.fitted.row])


class Judged(Protocol):
    """An answer: its worth, NaN where no refiner was asked; whether it explains what is seen."""

    @property
    def worth(self) -> float: ...

    @property
    def explains(self) -> bool: ...


Answer = TypeVar('Answer', bound=Judged)


def likelier(first: Answer, other: Answer) -> Answer:
    """The one of two answers for an object that the refiner believes more; ``first`` if in doubt.

    Never one that explains nothing.
    """
    return other if other.worth > first.worth and other.explains else first


@dataclass
class Group:
    """Objects of one category that are fitted together: all tracked, or all new.

    sights: the likeliest of each object so far. seconds: what they took.
    """

    model: CategoryModel
    preset: Preset | PaperPreset
    sights: list[Sight]
    seconds: float


def doubted(sights: Sequence[Judged], below: float) -> list[int]:
    """Places of the answers that are worth less than ``below``, the least worth first.

    What is refused stays refused: to look at an empty box until something is seen there would find
    it.
    """
    found = [k for k, s in enumerate(sights) if s.worth < below and s.explains]
    return sorted(found, key=lambda k: sights[k].worth)
