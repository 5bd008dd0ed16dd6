# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
import math
from types import SimpleNamespace

import cv2
import pytest
import torch

from ros2_nabs_pose.core.generator import UprightViews
from ros2_nabs_pose.training.compose import Views
from ros2_nabs_pose.training.validate_drawing import drawing_sheet, validate_drawing


class GreyViews:
    """Full pictures of nothing but a grey, each view of an instance brighter than the last."""

    rgba = torch.zeros(1)

    def batch(self, instances, views):
        grey = (0.1 * torch.arange(views)).repeat(instances)
        grey = grey + 0.01 * torch.rand(())  # of the sequence that a seed gives
        stacked = grey.view(-1, 1, 1, 1).expand(-1, 5, 64, 64).clone()
        stacked[:, 3] = 1.0
        stacked[:, 4] = 0.0
        count = len(grey)
        flat = torch.zeros(count, 1, 64, 64)
        return None, Views(stacked=stacked, front=flat, clear=flat,
                           R_view=torch.eye(3).repeat(count, 1, 1),
                           perspective=torch.zeros(count), front_visible=torch.ones(count))


def teacher(seen):
    """Reads the grey; all views are as sure."""
    grey = seen[:, :1].mean((2, 3))
    return grey, torch.zeros_like(grey)


def teacher_sure_of_dark_views(seen):
    """Reads the grey; the darker, the surer by far."""
    grey = seen[:, :1].mean((2, 3))
    return grey, 300.0 * grey


def grey_model(symmetry):
    """Draws the grey that a code says, 0.02 radii too far away."""
    def generator(code, R_view, perspective):
        flat = torch.ones(len(code), 1, 64, 64)
        return UprightViews(rgb=code.view(-1, 1, 1, 1).expand(-1, 3, 64, 64), alpha=flat,
                            depth=0.02 * flat)

    return SimpleNamespace(eval=lambda: None, generator=generator,
                           card=SimpleNamespace(symmetry=symmetry))


def test_drawings_are_judged_from_what_an_instances_views_agree_on_and_from_a_views_own():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    figures = validate_drawing(grey_model('none'), teacher, GreyViews())
    assert torch.equal(torch.get_rng_state(), before)
    assert figures == validate_drawing(grey_model('none'), teacher, GreyViews())
    assert figures['clean_own_psnr_db_median'] == pytest.approx(80.0, abs=0.1)
    # The mean is 0.15 or 0.05 off, each in every other view; of two in the middle torch's median
    # is the lower one.
    assert figures['clean_psnr_db_median'] == pytest.approx(-20.0 * math.log10(0.15), abs=1e-3)
    for code in ('clean', 'clean_own'):
        assert figures[f'{code}_alpha_iou_median'] == 1.0
        assert figures[f'{code}_depth_error_median'] == pytest.approx(0.01, abs=1e-6)


def test_the_surest_view_of_an_instance_has_the_say():
    figures = validate_drawing(grey_model('none'), teacher_sure_of_dark_views, GreyViews())
    # The first counts, from which the others are 0.1, 0.2 and 0.3 off: see above for the median.
    assert figures['clean_psnr_db_median'] == pytest.approx(-20.0 * math.log10(0.2), abs=1e-3)


def test_every_view_of_a_round_body_has_its_own_code_alone():
    figures = validate_drawing(grey_model('free_z'), teacher, GreyViews())
    assert figures['clean_psnr_db_median'] == pytest.approx(80.0, abs=0.1)
    assert not any(name.startswith('clean_own') for name in figures)


@pytest.mark.parametrize('symmetry, columns', [('none', 4), ('free_z', 3)])
def test_a_sheet_shows_views_beside_what_is_drawn_of_them(tmp_path, symmetry, columns):
    drawing_sheet(grey_model(symmetry), teacher, GreyViews(), tmp_path / 's/1.png')
    sheet = cv2.imread(str(tmp_path / 's/1.png'))
    assert sheet.shape == (8 * 128, 3 * columns * 128, 3)
    view, drawn = sheet[64, 128 + 64 - 128], sheet[64, 128 + 64]
    assert abs(int(view[0]) - 1) <= 1  # 0 to 0.01, the first view
    assert abs(int(drawn[0]) - int(view[0]) - (0.15 * 255 if symmetry == 'none' else 0)) <= 1
    own = sheet[64, (columns - 2) * 128 + 64]
    assert abs(int(own[0]) - int(view[0])) <= 1
