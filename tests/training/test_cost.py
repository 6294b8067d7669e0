"""FLOPs against a count by hand."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from mimbench.targets import HOGTarget
from mimbench.training import measure_cost

Make = Callable[..., Any]

NUM_PATCHES, NUM_VISIBLE, PIXELS = 16, 4, 3 * 8 * 8  # 32 px, patches of 8, three quarters hidden


def block_flops(tokens: int, width: int, mlp_ratio: int = 4) -> int:
    """A multiply-add is 2: qkv 3 d^2, projection d^2 and MLP 2 r d^2 per token; q k^T and its product with v."""
    linear = tokens * (3 + 1 + 2 * mlp_ratio) * width**2
    attention = 2 * tokens**2 * width
    return 2 * (linear + attention)


def test_flops_of_mae_are_those_counted_by_hand(method: Make) -> None:
    cost = measure_cost(method(), 32)
    embedding = 2 * NUM_PATCHES * PIXELS * 16
    assert cost.encoder_flops == embedding + 2 * block_flops(NUM_VISIBLE + 1, 16)
    project, head = 2 * (NUM_VISIBLE + 1) * 16 * 16, 2 * NUM_PATCHES * 16 * PIXELS
    assert cost.decoder_flops == project + block_flops(NUM_PATCHES + 1, 16) + head
    assert cost.target_flops == 0
    assert cost.forward_flops == cost.encoder_flops + cost.decoder_flops
    assert cost.training_flops == 3 * cost.forward_flops


def test_targets_cost_once_since_they_have_no_backward_pass(method: Make) -> None:
    cost = measure_cost(method(HOGTarget), 32)
    assert cost.target_flops == 2 * 3 * 2 * 9 * 32 * 32  # two 3 x 3 filters on three colours
    assert cost.training_flops == 3 * (cost.encoder_flops + cost.decoder_flops) + cost.target_flops


@pytest.mark.parametrize("depth_and_width", [(2, 16)])
def test_parameters_are_counted_once_and_apart(method: Make, depth_and_width: tuple[int, int]) -> None:
    depth, width = depth_and_width
    cost, mae = measure_cost(method(), 32), method()
    block = 12 * width**2 + 13 * width
    fixed = (NUM_PATCHES + 1) * width
    assert cost.encoder_parameters == depth * block + PIXELS * width + width + width + 2 * width + fixed
    assert cost.decoder_parameters == sum(p.numel() for p in mae.decoders.parameters())


@pytest.mark.parametrize("target", [None, HOGTarget])
def test_the_meta_device_counts_the_same(method: Make, target: Any) -> None:
    given = () if target is None else (target,)
    with torch.device("meta"):
        planned = method(*given)
    assert next(planned.parameters()).is_meta
    assert measure_cost(planned, 32) == measure_cost(method(*given), 32)


def test_measuring_changes_neither_gradients_nor_random_numbers(method: Make) -> None:
    mae, state = method(), torch.get_rng_state()
    measure_cost(mae, 32)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in mae.parameters())
