# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
from types import SimpleNamespace

import pytest
import torch

from ros2_nabs_pose.core import PosePipeline
from ros2_nabs_pose.core.checkpoint import load_model
from ros2_nabs_pose.core.front import front_point
from ros2_nabs_pose.core.types import FRAME_MARGIN
from ros2_nabs_pose.resources import find_model

SIZE = 64


class Drawing:
    """Draws a body with a bow on its right, as high as each code says; notes how it was seen."""

    def __call__(self, latent, R, perspective):
        self.R, self.perspective = R, perspective
        alpha = torch.zeros(len(latent), 1, SIZE, SIZE)
        for i, row in enumerate(latent[:, 0].long().tolist()):
            if row >= 0:
                alpha[i, 0, 12:52, 16:40] = 1.0
                alpha[i, 0, row - 4:row + 4, 40:56] = 1.0  # the bow
                alpha[i, 0, row - 4:row - 2, 54:56] = 0.0  # its outer edge is round
        return SimpleNamespace(alpha=alpha)


def radii(pixel):
    return (pixel / SIZE * 2.0 - 1.0) * FRAME_MARGIN


def test_the_front_ends_at_the_middle_of_the_outer_edge():
    drawing = Drawing()
    points = front_point(SimpleNamespace(generator=drawing), torch.tensor([[20.0], [40.0]]))
    # The edge's rows are row - 2 to row + 4, whose middle is one below the bow's; z points up.
    expected = [[radii(55.5), 0.0, -radii(row + 1.0)] for row in (20.0, 40.0)]
    torch.testing.assert_close(points, torch.tensor(expected))
    # Seen along y: x to the right, z up, from far away.
    torch.testing.assert_close(drawing.R[0], torch.tensor(
        [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]))
    assert float(drawing.perspective.max()) <= 0.02


def test_where_nothing_is_drawn_the_front_is_the_origin():
    points = front_point(SimpleNamespace(generator=Drawing()), torch.tensor([[-1.0]]))
    assert points.tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize(('category', 'low', 'high'), [
    ('mug', -0.15, 0.25),      # handles sit at about half the height, rather above it
    ('laptop', -0.55, -0.3)])  # the edge towards the user is the base's, far below the middle
def test_real_models_draw_their_fronts_where_such_objects_have_them(category, low, high):
    model = load_model(find_model(category))
    code = torch.zeros(1, model.generator.config.latent_dim)
    x, y, z = front_point(model, code)[0].tolist()
    read = model.generator.proportions(model.generator.style(code))
    box_reach = float(read.center[0, 0] + 0.5 * read.size[0, 0])
    assert x == pytest.approx(box_reach, abs=0.08)
    assert y == 0.0 and low < z < high


def test_the_pipeline_tells_it_in_metres():
    pipeline = PosePipeline.load(['mug'])
    model = pipeline.models['mug']
    code = torch.full((1, model.generator.config.latent_dim), 0.2)
    estimate = SimpleNamespace(category='mug', latent=code[0].numpy(), radius_m=0.07)
    told = pipeline.front_m(estimate)
    assert told.tolist() == pytest.approx((0.07 * front_point(model, code)[0]).tolist())
