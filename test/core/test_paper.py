# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
from dataclasses import replace
import math

import pytest
from tiny_models import tiny_model
import torch

from ros2_nabs_pose.core.encoder import Encoder, EncoderConfig
from ros2_nabs_pose.core.losses import build_terms, Observed
from ros2_nabs_pose.core.paper import choose, fit_paper, on_white, rotation_from_angles
from ros2_nabs_pose.core.presets import PRESETS
from ros2_nabs_pose.core.rotations import rotation_z
from ros2_nabs_pose.core.types import PoseError


def angles(*values):
    return rotation_from_angles(*(torch.tensor([v], dtype=torch.float64) for v in values))[0]


def test_at_zero_the_front_looks_at_the_camera_and_up_is_up():
    R = angles(0.0, 0.0, 0.0)
    assert R[:, 0].tolist() == pytest.approx([0.0, 0.0, -1.0])
    assert R[:, 2].tolist() == pytest.approx([0.0, -1.0, 0.0])
    assert torch.linalg.det(R) == pytest.approx(1.0)


def test_angles_are_half_turns():
    assert angles(0.5, 0.0, 0.0)[:, 1].tolist() == pytest.approx([0.0, 0.0, 1.0], abs=1e-9)
    # From straight above the object's axis points at the camera.
    assert angles(0.3, 0.5, 0.0)[:, 2].tolist() == pytest.approx([0.0, 0.0, -1.0], abs=1e-9)
    turned = rotation_z(torch.tensor(math.pi / 4, dtype=torch.float64)) @ angles(0.2, 0.1, 0.0)
    assert torch.allclose(angles(0.2, 0.1, 0.25), turned)


def test_the_largest_cluster_wins_by_its_lowest_member():
    yaw = torch.tensor([0.0, 90.0, 94.0, 97.0, 180.0, 91.0])
    R = rotation_z(torch.deg2rad(yaw))
    loss = torch.tensor([0.1, 0.3, 0.2, 0.4, 0.5, 9.0])
    assert choose(loss, R, 5, math.radians(10.0)) == 2
    assert choose(loss, R, 1, math.radians(10.0)) == 0


def test_the_background_is_white():
    rgb = torch.full((1, 3, 2, 2), 0.4)
    mask = torch.tensor([[[[1.0, 0.0], [0.5, 1.0]]]])
    seen = on_white(Observed.unread(rgb, mask))
    assert seen.rgb[0, 0].flatten().tolist() == pytest.approx([0.4, 1.0, 0.7, 0.4])


def test_the_protocol_is_the_published_one():
    paper = PRESETS['paper']
    assert (paper.starts, paper.iterations, paper.among, paper.within_deg) == (32, 50, 5, 10.0)
    assert dict(paper.rates) == {'latent': 0.3, 'elevation': 0.01, 'azimuth': 0.03, 't': 0.03,
                                 'scale': 0.03, 'in_plane': 0.01}
    assert paper.latent_prior == 1.0 and dict(paper.losses) == {'vgg': 1.0}


def test_a_short_run_lowers_the_loss_and_is_the_same_for_a_seed():
    model = tiny_model().requires_grad_(False)
    rgb = torch.rand(2, 3, 64, 64)
    mask = torch.zeros(2, 1, 64, 64)
    mask[:, :, 16:48, 16:48] = 1.0
    crops, focal = Observed.unread(rgb, mask), torch.tensor([4.0, 4.0])
    said = model.encoder(rgb)
    short = replace(PRESETS['paper_offline'], starts=4, iterations=6, losses={'silhouette': 1.0})
    results = [fit_paper(model, said, crops, focal, preset, 3)
               for preset in (replace(short, iterations=0), short, short)]
    assert (results[1].loss < results[0].loss).all()
    assert torch.equal(results[1].best.R, results[2].best.R)
    assert results[1].iterations == 6 and results[1].best.owner.tolist() == [0, 1]


def test_unknown_losses_are_named():
    with pytest.raises(PoseError, match='no loss "warmth"'):
        build_terms({'warmth': 1.0}, Encoder(EncoderConfig(channels=(4, 4, 8, 8), hidden=8)))
