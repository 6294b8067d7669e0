"""Blocks on windows: the plain forward where one window covers the image, and blind beyond the window elsewhere."""

import pytest
import torch
from torch import Tensor, nn

from mimbench.encoders import ViTEncoder, vit
from mimbench.evaluation.dense.resizing import AnySize
from mimbench.evaluation.dense.windows import Windows, partition, unpartition

GRID = (5, 7)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def encoder() -> ViTEncoder:
    torch.manual_seed(0)
    return vit(image_size=32, patch_size=8, width=32, depth=4, num_heads=2, num_registers=1).eval()


@pytest.fixture
def block(encoder: ViTEncoder) -> nn.Module:
    return encoder.trunk.blocks[0]


@torch.no_grad()
def test_a_window_that_covers_the_image_is_the_plain_forward(encoder: ViTEncoder) -> None:
    images = draw(2, 3, 32, 32)
    plain = encoder(images, [4])[4].patches.transpose(1, 2).unflatten(2, (4, 4))
    for side in (4, 14):
        ours = AnySize(encoder, Windows(4, 2, side, num_global=0))(images, [4])[4]
        assert torch.equal(ours, plain)


@torch.no_grad()
@pytest.mark.parametrize("side", [7, 9])
def test_one_window_filled_up_is_the_plain_block_on_patches_and_prefix(block: nn.Module, side: int) -> None:
    sequence = draw(2, 2 + 35, 32)
    ours = Windows(4, 2, side).run_windows(block, sequence, GRID, None)
    torch.testing.assert_close(ours, block(sequence))


@torch.no_grad()
def test_windows_are_the_block_on_each_of_them_and_the_prefix_their_mean(block: nn.Module) -> None:
    sequence = draw(1, 2 + 16, 32)
    ours = Windows(4, 2, 2).run_windows(block, sequence, (4, 4), None)
    places = torch.arange(16).view(4, 4)
    prefixes = []
    for rows in (slice(0, 2), slice(2, 4)):
        for columns in (slice(0, 2), slice(2, 4)):
            here = 2 + places[rows, columns].flatten()
            alone = block(torch.cat([sequence[:, :2], sequence[:, here]], dim=1))
            torch.testing.assert_close(ours[:, here], alone[:, 2:])
            prefixes.append(alone[:, :2])
    torch.testing.assert_close(ours[:, :2], torch.stack(prefixes).mean(0))


@torch.no_grad()
def test_nobody_attends_to_hidden_tokens_not_even_through_the_prefix(block: nn.Module) -> None:
    sequence, hidden = draw(2, 2 + 35, 32), torch.zeros(2, 2 + 35, dtype=torch.bool)
    hidden[0, 2:].unflatten(0, GRID)[3:] = True  # whole windows, too
    hidden[1, 2:].unflatten(0, GRID)[:, 6:] = True
    other = torch.where(hidden[..., None], 9.0, sequence)
    for run in (Windows(4, 2, 3).run_windows, lambda *args: Windows(4, 2, 3)(3, *args)):
        one, two = (run(block, x, GRID, hidden) for x in (sequence, other))
        assert torch.equal(one[~hidden], two[~hidden])
        assert one.isfinite().all()


@torch.no_grad()
def test_a_global_block_mixes_windows_and_the_others_do_not(encoder: ViTEncoder) -> None:
    images, changed = draw(1, 3, 64, 64), draw(1, 3, 64, 64)
    changed[:, :, -8:, -8:] += 1
    for num_global, reaches in ((0, False), (1, True)):
        run = AnySize(vit(32, 8, 32, 4, 2).eval(), Windows(4, 1, 4, num_global))
        run.trunk.cls_token.requires_grad_(False)
        before, after = (run(x, [4])[4][:, :, :4, :4] for x in (images, changed))
        # The class token carries a little from window to window; without it nothing does.
        assert not reaches or not torch.equal(before, after)
    bare = Windows(4, 0, 4)
    block, tokens = encoder.trunk.blocks[0], draw(1, 64, 32)
    moved = tokens.clone()
    moved[:, -1] += 1
    before, after = (bare.run_windows(block, x, (8, 8), None).unflatten(1, (8, 8)) for x in (tokens, moved))
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.equal(before[:, 4:, 4:], after[:, 4:, 4:])


def test_global_blocks_are_evenly_spaced_and_the_last_is_one() -> None:
    assert Windows(12, 1).global_blocks == {2, 5, 8, 11}
    assert Windows(24, 1).global_blocks == {5, 11, 17, 23}
    assert Windows(4, 1, num_global=0).global_blocks == set()


def test_partition_is_undone() -> None:
    x = draw(2, 5, 7, 3)
    windows = partition(x, 3)
    assert windows.shape == (2 * 2 * 3, 9, 3)
    assert torch.equal(windows[1].view(3, 3, 3), x[0, :3, 3:6])
    assert torch.equal(unpartition(windows, 3, GRID), x)


@pytest.mark.parametrize(("side", "num_global"), [(0, 1), (4, 5), (4, -1)])
def test_impossible_windows_are_refused(side: int, num_global: int) -> None:
    with pytest.raises(ValueError, match="do not fit 4 blocks"):
        Windows(4, 1, side, num_global)
