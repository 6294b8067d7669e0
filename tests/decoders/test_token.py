"""The shared decoder."""

import pytest
import torch
from torch import nn

from mimbench.core import Tap, Tokens
from mimbench.decoders import CrossBlock, TokenDecoder

TAP = Tap(24, (2, 4), 8, prefix=1)


@pytest.fixture
def tokens() -> Tokens:
    generator = torch.Generator().manual_seed(0)
    patches, prefix = torch.randn(2, 3, 24, generator=generator), torch.randn(2, 1, 24, generator=generator)
    return Tokens(patches, prefix, torch.tensor([[0, 3, 5], [1, 2, 7]]), (2, 4))


def decoder(**changes) -> TokenDecoder:
    return TokenDecoder(TAP, 16, 2, 4, nn.Linear(16, 5), **changes)


def test_all_cells_are_predicted(tokens: Tokens):
    one = decoder()
    assert one(one.embed(tokens)).shape == (2, 8, 5)


def test_order_of_the_visible_tokens_does_not_matter(tokens: Tokens):
    one = decoder().double()
    order = [2, 0, 1]
    tokens = Tokens(tokens.patches.double(), tokens.prefix.double(), tokens.index, tokens.grid)
    shuffled = Tokens(tokens.patches[:, order], tokens.prefix, tokens.index[:, order], tokens.grid)
    torch.testing.assert_close(one(one.embed(tokens)), one(one.embed(shuffled)), rtol=0, atol=1e-12)


def test_predictions_depend_on_the_class_token(tokens: Tokens):
    one = decoder()
    other = Tokens(tokens.patches, -tokens.prefix, tokens.index, tokens.grid)
    assert not torch.equal(one(one.embed(tokens)), one(one.embed(other)))


def test_without_blocks_hidden_cells_are_mask_token_plus_position(tokens: Tokens):
    one = TokenDecoder(TAP, 16, 0, 4, nn.Identity())
    predicted = one(one.embed(tokens))
    expected = one.norm(one.mask_token[0, 0] + one.positions[0, 1 + 6])
    torch.testing.assert_close(predicted[0, 6], expected)
    expected = one.norm(one.project(tokens.patches[0, 1]) + one.positions[0, 1 + 3])
    torch.testing.assert_close(predicted[0, 3], expected)


def test_the_input_norm_is_optional(tokens: Tokens):
    assert isinstance(decoder().norm_input, nn.Identity)
    normed = decoder(norm_input=True)
    scaled = Tokens(3 * tokens.patches, 3 * tokens.prefix, tokens.index, tokens.grid)
    torch.testing.assert_close(normed.embed(scaled).sequence, normed.embed(tokens).sequence, rtol=0, atol=1e-5)


def test_cross_decoders_depend_on_their_context(tokens: Tokens):
    one = decoder(cross=True)
    context = torch.randn(2, 6, 16)
    predictions = [one(one.embed(tokens), c) for c in (context, -context)]
    assert isinstance(one.blocks[0], CrossBlock)
    assert not torch.equal(*predictions)


@pytest.mark.parametrize("cross", [False, True])
def test_mlp_ratio_sets_the_hidden_width(cross: bool):
    assert decoder(cross=cross, mlp_ratio=2.5).blocks[0].mlp.fc1.out_features == 40


def test_positions_follow_the_models_precision_and_are_not_saved():
    one = decoder().double()
    assert one.positions.dtype == torch.float64
    assert not one.positions[0, 0].any()
    assert "positions" not in one.state_dict()


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="3 heads do not divide a decoder width of 16; change num_heads or dim"):
        TokenDecoder(TAP, 16, 1, 3, nn.Identity())
