# Copyright 2026 ros2_nabs_pose authors
# Licensed under the Apache License, Version 2.0; see LICENSE.
"""Colours of a code: read where they are looked for, mixed where they are painted."""

import torch

from ros2_nabs_pose.core.palette import looked_for, mixed


def test_a_palette_holds_the_colours_of_what_is_looked_for():
    colour = torch.zeros(1, 3, 2, 4)
    colour[..., :2], colour[..., 2:] = 0.25, 0.75
    colour[:, 0] = 1.0
    logits = torch.zeros(1, 2, 2, 4)
    logits[:, 1, :, :2] = 30.0
    share = torch.ones(1, 1, 2, 4)
    # Everywhere alike: the mean; on the left: what is there. As 4 c - 2.
    torch.testing.assert_close(looked_for(logits, colour, share),
                               torch.tensor([[2.0, 0.0, 0.0, 2.0, -1.0, -1.0]]))
    share[..., :2] = 0.0  # the object is not there, however hard it is looked for elsewhere
    torch.testing.assert_close(looked_for(logits / 30.0, colour, share),
                               torch.tensor([[2.0, 1.0, 1.0] * 2]), atol=2e-3, rtol=0.0)


def test_a_mixture_is_of_mean_and_palette_by_their_shares():
    colours = torch.tensor([[0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 3.0, 3.0, 3.0]])
    logits = torch.zeros(1, 2, 1, 3)
    logits[0, :, 0, 1] = torch.tensor([40.0, 0.0])
    logits[0, :, 0, 2] = torch.tensor([-40.0, -40.0])
    found = mixed(logits, colours)[0, :, 0].T
    torch.testing.assert_close(found, torch.tensor([
        [4.0 / 3.0, 1.0, 2.0 / 3.0], [1.0, 0.0, -1.0], [0.0, 0.0, 0.0]]))
