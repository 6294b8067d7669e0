"""Our full-size models have as many parameters as the released ones."""

from typing import Any

import torch
from architectures import architecture
from census import census, differences
from torch import nn

from mimbench.core import initialize
from mimbench.methods.mirl import fix_weight_norm

COMMENTS = {"note", "versions", "recipes_and_calls_that_fail"}


def test_parameter_counts(counts: dict[str, Any]):
    wrong = {}
    for name, recorded in counts["counts"].items():
        case = architecture(name)
        with torch.device("meta"):
            module = case.build()
        if difference := differences(recorded, census(case, module)):
            wrong[name] = difference
    assert not wrong


def test_everything_in_the_file_is_compared_or_a_comment(counts: dict[str, Any]):
    assert not counts.keys() - COMMENTS - {"counts", "initial_state_of_decoder_pred0"}


def test_weight_normalized_heads_start_as_recorded(counts: dict[str, Any]):
    for name, recorded in counts.items():
        if name != "initial_state_of_decoder_pred0":
            continue
        dim, out = recorded["weight_v_shape"]
        head = fix_weight_norm(nn.Linear(dim, out))
        initialize(head, torch.Generator().manual_seed(0))
        direction, magnitude = (head.parametrizations.weight.original1, head.parametrizations.weight.original0)
        assert magnitude.eq(1).all().item() is recorded["weight_g_all_ones"]
        assert (not magnitude.requires_grad) is recorded["weight_g_frozen"]
        bound = recorded["xavier_uniform_bound_for_this_shape"]
        assert 0.99 * bound < direction.abs().max() <= bound
        assert abs(direction.std().item() / recorded["weight_v_std"] - 1) < 0.01
        assert head.bias.eq(0).all()
