# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What a track remembers of an object's looks: the code that its frames tell together.

One picture does not tell all of a code, and what it does not tell, an encoder leaves at what is
usual, for that is the best guess there is. So the mean of many frames' codes leans towards the
usual as each of them does, however many they are: a high mug stays too low, and is taken to lean
away. But sides of an object that were seen from different directions are evidence each. With
Gaussian posteriors of one frame (mean m_k, variance v_k) and what is usual (m, s^2), the posterior
of n independent ones has the precision 1 / s^2 + sum(1 / v_k - 1 / s^2), and its mean lies
sum((m_k - m) / v_k) over that precision away from m: their lean is taken back.

Frames that look from the same side err alike: together they count as one. So n is the effective
number of the sides that are remembered, and falls again while only one of them is seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
import math
from typing import TypeVar

import numpy as np
from torch import Tensor

Array = TypeVar('Array', np.ndarray, Tensor)

CODE_MEMORY = 40
"""Frames over which a track's code is averaged: the object stays what it is, and as the camera
moves, other frames tell what this one cannot, such as how high a mug is that is seen from above."""
APART_RAD = math.radians(15.0)
"""Directions further apart than this show different sides."""
MOST_SIDES = 4
"""More sides than these are no more evidence: they share what is wrong with the encoder."""
SIDES_KEPT = 12
"""Sides that are remembered; of more, the least seen one joins the one that was seen most."""
TELLING = 1.5
"""With less evidence than this a code is what pictures like the present one tell."""
LEAST_TOLD = 1.5
"""A look knows at least a third of what sets an object apart, however unsure it says it is: what
knew nothing would be multiplied by the number of looks."""


@dataclass(frozen=True)
class CodePrior:
    """What is usual for a category's codes: mean and spread of each of their D numbers."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def together(mean: Array, told: Array, evidence: float | Array, usual: Array,
             spread: Array) -> Array:
    """The code that several looks at an object tell together, see above.

    mean: (..., D) of their codes. told: (..., D) one over the variance that one of them has.
    evidence: how many of them count. usual, spread: (D,) mean and standard deviation of the
    category's codes.
    """
    told = told.clip(min=LEAST_TOLD * spread ** -2.0)
    return usual + evidence * told * (mean - usual) / told_together(told, evidence, spread)


def told_together(told: Array, evidence: float | Array, spread: Array) -> Array:
    """(..., D) one over the variance of ``together``, of the same arguments."""
    precision = spread ** -2.0
    return precision + evidence * (told.clip(min=LEAST_TOLD * precision) - precision)


@dataclass(frozen=True)
class CodeMemory:
    """Codes of an object's frames, the older the less.

    mean: (D,) of what they told, surer readings counting more. sureness: (D,) the sum of what they
    counted, one over their variances. sides: directions (3,) of unit length, in the object's frame,
    that it was seen along, and how many frames each; the one seen last comes last. usual: what the
    category's codes are; None: the mean is all there is.
    """

    mean: np.ndarray
    sureness: np.ndarray
    sides: tuple[tuple[np.ndarray, float], ...]
    usual: CodePrior | None = None

    @classmethod
    def begun(cls, code: np.ndarray, sureness: np.ndarray, along: np.ndarray,
              usual: CodePrior | None) -> CodeMemory:
        """Of a first frame; see ``joined``."""
        return cls(code, sureness, ((along, 1.0),), usual)

    def joined(self, code: np.ndarray, sureness: np.ndarray, along: np.ndarray) -> CodeMemory:
        """The memory after one more frame.

        code, sureness: (D,) what that frame tells, and one over its variance. along: (3,) unit
        length, the direction of sight in the object's frame.
        """
        kept = 1.0 - 1.0 / CODE_MEMORY
        total = kept * self.sureness + sureness
        return CodeMemory(self.mean + sureness / total * (code - self.mean), total,
                          _with_side([(side, kept * count) for side, count in self.sides], along),
                          self.usual)

    def seen_from_one_side(self) -> CodeMemory:
        """The same memory where the track's pose turned out wrong, and with it its sides."""
        return replace(self, sides=((self.sides[-1][0], self.frames),))

    @property
    def frames(self) -> float:
        """How many frames are remembered, the older the less."""
        return sum(count for _, count in self.sides)

    @property
    def evidence(self) -> float:
        """How many sides count: of n that were seen as often n, of one beside glimpses one."""
        alone = sum(count ** 2 for _, count in self.sides)
        return min(self.frames ** 2 / alone, float(MOST_SIDES))

    @property
    def told(self) -> np.ndarray:
        """(D,) float32, one over the variance of ``code``'s numbers."""
        one = self.sureness / self.frames
        if self.usual is None:
            return one.astype(np.float32)
        return told_together(one, self.evidence, np.array(self.usual.std)).astype(np.float32)

    @property
    def code(self) -> np.ndarray:
        """(D,) float32, what all frames tell together."""
        if self.usual is None:
            return self.mean.astype(np.float32)
        return together(self.mean, self.sureness / self.frames, self.evidence,
                        np.array(self.usual.mean), np.array(self.usual.std)).astype(np.float32)


def _with_side(sides: list[tuple[np.ndarray, float]],
               along: np.ndarray) -> tuple[tuple[np.ndarray, float], ...]:
    """Sides after one more frame, seen ``along``: the nearest one's, or a new one."""
    near = [float(along @ side) for side, _ in sides]
    best = int(np.argmax(near))
    if near[best] >= math.cos(APART_RAD):
        side, count = sides.pop(best)
        sides.append((side, count + 1.0))
    else:
        if len(sides) == SIDES_KEPT:  # its frames still weigh in the mean
            _, count = sides.pop(int(np.argmin([count for _, count in sides])))
            side, most = sides.pop(int(np.argmax([count for _, count in sides])))
            sides.append((side, most + count))
        sides.append((along, 1.0))
    return tuple(sides)


def seen_along(R: np.ndarray, free_about_z: bool) -> np.ndarray:
    """(3,) the direction of sight in the frame of an object with rotation R (3, 3) in its crop.

    free_about_z: of round bodies it is that of the half plane x > 0, for their sides are alike.
    """
    x, y, z = R[2]
    return np.array((math.hypot(x, y), 0.0, z) if free_about_z else (x, y, z))
