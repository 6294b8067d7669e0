"""Initial weights follow the papers."""

import math

import pytest
import torch
from torch import nn

from mimbench.core import initialize
from mimbench.encoders import vit
from mimbench.maskers import RandomMasker
from mimbench.methods import MIRL
from mimbench.targets import PixelTarget


@pytest.fixture(scope="module")
def method() -> MIRL:
    torch.manual_seed(0)
    return MIRL(vit(32, 8, 96, 4, 4), RandomMasker(), PixelTarget, dim=64, num_blocks=1, num_heads=4)


def test_linear_weights_are_xavier_uniform_and_biases_zero(method: MIRL):
    for name, module in method.named_modules():
        if isinstance(module, nn.Linear) and not name.endswith("head"):
            bound = math.sqrt(6 / (module.in_features + module.out_features))
            assert 0.98 * bound < module.weight.abs().max() <= bound, name
            assert module.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05), name
            assert not module.bias.any(), name


def test_weight_normalized_heads_have_xavier_directions_unit_norms_and_zero_bias(method: MIRL):
    for decoder in method.decoders:
        bound = math.sqrt(6 / (64 + 192))
        direction = decoder.head.parametrizations.weight.original1
        assert 0.98 * bound < direction.abs().max() <= bound
        torch.testing.assert_close(decoder.head.weight.norm(dim=0), torch.ones(64))
        assert not decoder.head.parametrizations.weight.original0.requires_grad
        assert not decoder.head.bias.any()


def test_patch_projection_is_xavier_uniform_as_a_linear_layer(method: MIRL):
    weight = method.encoder.trunk.patch_embed.proj.weight
    bound = math.sqrt(6 / (96 + 3 * 8 * 8))
    assert 0.98 * bound < weight.abs().max() <= bound


def test_tokens_are_normal_with_standard_deviation_0_02(method: MIRL):
    tokens = [method.encoder.trunk.cls_token, *(decoder.mask_token for decoder in method.decoders)]
    values = torch.cat([token.flatten() for token in tokens])
    assert values.std().item() == pytest.approx(0.02, rel=0.1)
    assert abs(values.mean()) < 0.005
    assert all(token.any() for token in tokens)


def test_norms_start_as_identity_with_eps_1e_6(method: MIRL):
    norms = [module for module in method.modules() if isinstance(module, nn.LayerNorm)]
    assert norms
    for norm in norms:
        assert norm.weight.eq(1).all()
        assert not norm.bias.any()
        assert norm.eps == 1e-6


def test_positions_are_frozen(method: MIRL):
    assert not method.encoder.trunk.pos_embed.requires_grad
    assert "decoders.0.positions" not in method.state_dict()
    assert "decoders.0.positions" not in dict(method.named_parameters())


def test_the_generator_determines_all_weights():
    first, second = nn.Linear(8, 8), nn.Linear(8, 8)
    for module in (first, second):
        initialize(module, torch.Generator().manual_seed(3))
    assert torch.equal(first.weight, second.weight)
