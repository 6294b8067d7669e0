"""Costs agree with a count by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mimbench.encoders import swin, vit
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE
from mimbench.targets import HOGTarget, PixelTarget, Teacher, TeacherTarget
from mimbench.training import measure_cost, stored_bytes
from mimbench.weights.store import write_state_dict

Make = Callable[..., Any]

NUM_PATCHES, NUM_VISIBLE, PIXELS = 16, 4, 3 * 8 * 8  # 32 px, patches of 8, three quarters hidden


def block_flops(tokens: int, width: int, mlp_ratio: int = 4, left: int | None = None) -> int:
    """Forward operations of a block; a multiply-add is 2.

    k and v take 2 d^2 per token. For each of the `left` output tokens, q and the projection take d^2 each, the MLP
    2 r d^2, and attention two products over all tokens.
    """
    left = tokens if left is None else left
    linear = (2 * tokens + (1 + 1 + 2 * mlp_ratio) * left) * width**2
    attention = 2 * tokens * left * width
    return 2 * (linear + attention)


def test_flops_of_mae_equal_a_count_by_hand(method: Make) -> None:
    cost = measure_cost(method(), 32)
    embedding = 2 * NUM_VISIBLE * PIXELS * 16
    assert cost.encoder_flops == embedding + 2 * block_flops(NUM_VISIBLE + 1, 16)
    num_hidden = NUM_PATCHES - NUM_VISIBLE  # the last block and the head skip the visible ones
    project, head = 2 * (NUM_VISIBLE + 1) * 16 * 16, 2 * num_hidden * 16 * PIXELS
    assert cost.decoder_flops == project + block_flops(NUM_PATCHES + 1, 16, left=num_hidden) + head
    assert cost.target_flops == 0
    assert cost.forward_flops == cost.encoder_flops + cost.decoder_flops
    assert cost.training_flops == 3 * cost.forward_flops


def test_targets_count_once_since_they_have_no_backward_pass(method: Make) -> None:
    cost = measure_cost(method(lambda cell: TeacherTarget(cell, ConvTeacher())), 32)
    assert cost.target_flops > 0
    assert cost.training_flops == 3 * (cost.encoder_flops + cost.decoder_flops) + cost.target_flops


@pytest.mark.parametrize("depth_and_width", [(2, 16)])
def test_parameters_of_encoder_and_decoder_are_counted_separately(
    method: Make, depth_and_width: tuple[int, int]
) -> None:
    depth, width = depth_and_width
    cost, mae = measure_cost(method(), 32), method()
    block = 12 * width**2 + 13 * width
    fixed = (NUM_PATCHES + 1) * width
    assert cost.encoder_parameters == depth * block + PIXELS * width + width + width + 2 * width + fixed
    assert cost.decoder_parameters == sum(p.numel() for p in mae.decoders.parameters())


def test_tokens_are_the_visible_ones_and_the_decoders_grids(method: Make) -> None:
    cost = measure_cost(method(), 32)
    assert (cost.encoder_tokens, cost.decoder_tokens) == (NUM_VISIBLE + 1, NUM_PATCHES + 1)


class ConvTeacher(Teacher):
    """A teacher with weights."""

    cell, dim = 8, 6

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Conv2d(3, 6, 8, 8)

    def forward(self, images: Tensor) -> Tensor:
        return self.project(images).permute(0, 2, 3, 1)


def test_a_teacher_counts_as_target_once(method: Make) -> None:
    teacher = ConvTeacher()
    student = method(lambda cell: TeacherTarget(cell, teacher))
    cost = measure_cost(student, 32)
    assert cost.target_parameters == sum(p.numel() for p in teacher.parameters())
    assert cost.target_flops == 2 * NUM_PATCHES * PIXELS * 6
    assert cost.decoder_parameters == sum(p.numel() for p in student.decoders.parameters())


@pytest.mark.parametrize("cells", [0, 7])
def test_windows_cost_the_same_on_the_meta_device(cells: int) -> None:
    """Packing of sparse windows depends on the mask, which has no values on the meta device."""

    def build() -> MAE:
        encoder = swin(64, 16, [1, 1, 2], [1, 2, 4], window=4, patch_size=2)
        return MAE(encoder, RandomMasker(shared=True), PixelTarget, dim=16, num_blocks=1, num_heads=2)

    with torch.device("meta"):
        planned = build()
    torch.rand(cells)  # the result must not depend on PyTorch's generator
    assert measure_cost(planned, 64) == measure_cost(build(), 64)


@pytest.mark.parametrize("average", [False, True])
def test_stored_bytes_agree_with_a_real_run(new_run: Make, method: Make, tmp_path: Path, average: bool) -> None:
    run, mae = new_run(epochs=1, ema=0.9 if average else None), method()
    planned = stored_bytes(mae.encoder, mae, average)
    run.train(method=mae)
    write_state_dict(mae.encoder.trunk.state_dict(), tmp_path / "encoder.safetensors")
    found = run.checkpoint.stat().st_size + (tmp_path / "encoder.safetensors").stat().st_size
    assert found == pytest.approx(planned, rel=0.5)  # in such a small model, a third of the file is names
    assert found > planned


def test_an_encoder_that_is_never_trained_has_no_checkpoint(method: Make) -> None:
    encoder = method().encoder
    assert stored_bytes(encoder, None) == 4 * sum(p.numel() for p in encoder.trunk.parameters())


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


@pytest.mark.parametrize("depths", [(1, 3), (2, 5)])
def test_every_block_counts_though_equal_ones_run_once(depths: tuple[int, int]) -> None:
    methods = (MAE(vit(32, 8, 16, depth, 2), RandomMasker(), PixelTarget, 16, 1, 2) for depth in depths)
    shallow, deep = (measure_cost(method, 32) for method in methods)
    blocks = depths[1] - depths[0]
    assert deep.encoder_flops - shallow.encoder_flops == blocks * block_flops(NUM_VISIBLE + 1, 16)
    assert deep.decoder_flops == shallow.decoder_flops


def test_measuring_leaves_the_method_as_it_was(method: Make) -> None:
    mae = method()
    images = torch.rand(2, 3, 32, 32)
    mask = mae.draw_any(2, "cpu", seed=0)
    before = mae(images, mask).loss
    measure_cost(mae, 32)
    assert torch.equal(mae(images, mask).loss, before)
    assert not any("forward" in vars(module) for module in mae.modules())
