"""Tokens and their positions in the image."""

import torch

from mimbench.core import Tokens


def test_fill_places_patches_on_the_grid_and_mask_tokens_elsewhere():
    index = torch.tensor([[0, 2], [1, 5]])
    patches = torch.arange(1.0, 5).reshape(2, 2, 1)
    tokens = Tokens(patches, torch.zeros(2, 1, 1), index, (2, 3))
    filled = tokens.fill(torch.full((1, 1, 1), -1.0))[..., 0]
    assert filled.tolist() == [[1, -1, 2, -1, -1, -1], [-1, 3, -1, -1, -1, 4]]


def test_with_sequence_separates_prefix_and_patches():
    tokens = Tokens(torch.randn(2, 3, 4), torch.randn(2, 2, 4), torch.zeros(2, 3, dtype=torch.long), (2, 2))
    assert torch.equal(tokens.with_sequence(tokens.sequence).prefix, tokens.prefix)
    assert torch.equal(tokens.with_sequence(tokens.sequence).patches, tokens.patches)
    assert tokens.with_sequence(torch.randn(2, 5, 7)).patches.shape == (2, 3, 7)
