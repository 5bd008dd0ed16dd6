# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What is known about a category before any picture: symmetry, sizes, where its origin lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SYMMETRY_NONE = 'none'
SYMMETRY_FREE_Z = 'free_z'

ORIGIN_AXIS = 'axis_half_height'
ORIGIN_BOX = 'box_center'


def about_axis(symmetry: str, origin: str) -> bool:
    """Whether objects are bodies about their own z, as mugs and bottles are."""
    return symmetry == SYMMETRY_FREE_Z or origin == ORIGIN_AXIS


@dataclass(frozen=True)
class Category:
    """One category.

    symmetry: 'free_z' when any spin about z looks the same, else 'none'.
    front_part: name of the part that alone tells the yaw (mug: 'handle'); when it is hidden, the
    yaw is not defined. None when the whole shape tells it.
    size_mean_m, size_std_m: extents of the bounding box along the object's x, y, z.
    origin: 'axis_half_height' (on the symmetry axis, half way up) or 'box_center'.
    """

    name: str
    symmetry: str
    size_mean_m: tuple[float, float, float]
    size_std_m: tuple[float, float, float]
    origin: str
    front_part: str | None = None

    @property
    def size_mean(self) -> float:
        """Mean diagonal of the bounding box, metres."""
        return sum(s * s for s in self.size_mean_m) ** 0.5


# The figures are those of the procedural families; the tests of each hold them together.
CATEGORIES: dict[str, Category] = {
    c.name: c for c in (
        Category('bottle', SYMMETRY_FREE_Z, (0.072, 0.080, 0.238), (0.012, 0.017, 0.050),
                 ORIGIN_AXIS),
        Category('bowl', SYMMETRY_FREE_Z, (0.167, 0.167, 0.073), (0.038, 0.038, 0.021),
                 ORIGIN_AXIS),
        Category('camera', SYMMETRY_NONE, (0.094, 0.122, 0.089), (0.039, 0.018, 0.018),
                 ORIGIN_BOX),
        Category('can', SYMMETRY_FREE_Z, (0.075, 0.075, 0.113), (0.014, 0.014, 0.037),
                 ORIGIN_AXIS),
        Category('laptop', SYMMETRY_NONE, (0.297, 0.340, 0.230), (0.053, 0.030, 0.032),
                 ORIGIN_BOX),
        Category('mug', SYMMETRY_NONE, (0.115, 0.084, 0.096), (0.011, 0.0095, 0.014),
                 ORIGIN_AXIS, front_part='handle'),
    )
}


def get_category(name: str) -> Category:
    """The category called ``name``; KeyError with one sentence when there is none."""
    if name not in CATEGORIES:
        raise KeyError(f"unknown category '{name}': known are {', '.join(sorted(CATEGORIES))}")
    return CATEGORIES[name]


def category_of(name: str, recipe: Mapping[str, Any]) -> Category:
    """The category ``name`` as the data says that were rendered of it (their ``dataset.json``).

    A user's own category is described there in full; for a built-in one see ``get_category``.
    KeyError with one sentence when neither knows it, or the data are of another category.
    """
    said = recipe.get('what', name)
    if said != name:
        raise KeyError(f"the data are of '{said}', not of '{name}'")
    entry = recipe.get('category')
    if name in CATEGORIES or not isinstance(entry, Mapping):
        return get_category(name)
    mean, std = recipe['size_mean_m'], recipe['size_std_m']
    return Category(name, entry['symmetry'], (mean[0], mean[1], mean[2]), (std[0], std[1], std[2]),
                    entry['origin'], entry.get('front_part'))
