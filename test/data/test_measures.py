# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
import numpy as np
import pytest

from ros2_nabs_pose.data.shapes import on_axis
from ros2_nabs_pose.data.shapes.measures import about
from ros2_nabs_pose.data.shapes.solids import cylinder


def test_measures_are_log_normal_about_their_middle_and_never_far_off():
    rng = np.random.default_rng(3)
    logs = np.log([about(rng, 0.05, 0.2, most=1.5) for _ in range(4000)]) - np.log(0.05)
    assert np.abs(logs).max() == pytest.approx(0.3)
    assert np.median(logs) == pytest.approx(0.0, abs=0.012)
    # Between the quartiles lie 1.349 standard deviations of a normal one.
    assert np.ptp(np.quantile(logs, (0.25, 0.75))) == pytest.approx(1.349 * 0.2, rel=0.07)


def test_what_is_on_an_axis_is_moved_along_it_alone():
    cap = cylinder(0.01, 0.2, 0.23, 0.001).moved(np.array((0.002, 0.0, 0.0)))
    shape = on_axis('bottle', {'body': (cylinder(0.03, 0.01, 0.2, 0.002), 'body'),
                               'cap': (cap, 'cap')}, {'material': 'steel'})
    z = shape.vertices[:, 2]
    assert (z.min(), z.max()) == pytest.approx((-0.11, 0.11))
    assert shape.parts['cap'].mesh.vertices[:, :2] == pytest.approx(cap.vertices[:, :2])
    assert shape.front_point_m == pytest.approx((0.03, 0.0, 0.0))
    assert shape.parameters == {'material': 'steel'} and shape.front_part is None
