"""Mean tokens by depth."""

import torch
from torch import Tensor

from mimbench.analysis.tokens import mean_tokens
from mimbench.encoders import ViTEncoder, swin


def test_every_depth_has_the_mean_of_its_patch_tokens(encoder: ViTEncoder, images: Tensor):
    found = mean_tokens(encoder, images.split(2))
    assert list(found) == [0, 1, 2, 3, 4]
    with torch.no_grad():
        expected = encoder.trunk.forward_features(images)[:, 1:].mean(1)
    torch.testing.assert_close(found[4], expected, rtol=1e-5, atol=1e-6)


def test_a_swins_depths_have_widths_of_their_own():
    found = mean_tokens(swin(32, 8, (1, 1), (2, 2), window=4).eval(), [torch.randn(2, 3, 32, 32)])
    assert [tuple(rows.shape) for rows in found.values()] == [(2, 8), (2, 16), (2, 16)]
