"""Encoders on images of other sizes."""

from collections.abc import Callable
from functools import partial
from typing import cast

import pytest
import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from mimbench.core import generator
from mimbench.encoders import Encoder, SwinEncoder, swin, vit
from mimbench.evaluation.dense.resizing import AnySize


@pytest.fixture
def draw() -> Callable[..., Tensor]:
    draws = generator(0)
    return lambda *shape: torch.randn(*shape, generator=draws)


def a_vit(registers: int = 0) -> Encoder:
    torch.manual_seed(0)
    return vit(image_size=32, patch_size=8, width=24, depth=3, num_heads=2, num_registers=registers).eval()


def a_swin() -> SwinEncoder:
    torch.manual_seed(0)
    return swin(image_size=32, width=8, depths=[2, 2, 2], num_heads=[1, 2, 4], window=4, patch_size=2).eval()


def rows(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)


@pytest.mark.parametrize("registers", [0, 2])
def test_at_its_own_size_a_vit_gives_what_it_gives_a_classifier_bit_for_bit(
    registers: int, draw: Callable[..., Tensor]
) -> None:
    encoder, images = a_vit(registers), draw(2, 3, 32, 32)
    depths = range(encoder.depth + 1)
    found, expected = AnySize(encoder)(images, depths), encoder(images, depths)
    for depth in depths:
        assert torch.equal(rows(found[depth]), expected[depth].patches)


def test_at_its_own_size_a_swin_gives_what_it_gives_a_classifier_bit_for_bit(draw: Callable[..., Tensor]) -> None:
    encoder, images = a_swin(), draw(2, 3, 32, 32)
    dense = AnySize(encoder)
    found, expected = dense(images, range(4)), encoder(images, range(4))
    assert torch.equal(rows(found[0]), expected[0].patches)
    for depth in (1, 2):  # the encoder counts the merging to the stage before it
        merged = encoder.stages[depth].downsample(found[depth].permute(0, 2, 3, 1))
        assert torch.equal(merged.flatten(1, 2), expected[depth].patches)
    assert torch.equal(rows(found[3]), expected[3].patches)
    assert [dense.cells[d] for d in range(4)] == [2, 2, 4, 8]


def test_positions_are_interpolated_as_in_timm(draw: Callable[..., Tensor]) -> None:
    encoder, images = a_vit(), draw(2, 3, 40, 56)
    trunk = cast("VisionTransformer", encoder.trunk)
    theirs = timm.models.vision_transformer.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=24, depth=3, num_heads=2, num_classes=0, dynamic_img_size=True
    ).eval()
    theirs.load_state_dict(trunk.state_dict())
    expected = theirs.forward_features(images)[:, 1:]
    torch.testing.assert_close(rows(AnySize(encoder)(images, [3])[3]), expected)


def test_a_swins_windows_are_timms_on_grids_that_they_divide(draw: Callable[..., Tensor]) -> None:
    encoder, images = a_swin(), draw(1, 3, 32, 64)
    theirs = timm.models.swin_transformer.SwinTransformer(
        img_size=(32, 64), patch_size=2, embed_dim=8, depths=(2, 2, 2), num_heads=(1, 2, 4), window_size=4,
        num_classes=0, norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
    ).eval()  # fmt: skip
    theirs.load_state_dict(encoder.trunk.state_dict())
    # The last stage had a window in either direction; at 8 columns both shift along the columns.
    torch.testing.assert_close(AnySize(encoder)(images, [3])[3].permute(0, 2, 3, 1), theirs.forward_features(images))


@pytest.mark.parametrize("make", [a_vit, a_swin])
def test_what_lies_in_padding_cannot_reach_the_image(make: Callable[[], Encoder], draw: Callable[..., Tensor]) -> None:
    dense, images = AnySize(make()), draw(2, 3, 56, 72)
    sizes = torch.tensor([[40, 64], [56, 72]])
    depth, cell = dense.depth, dense.cells[dense.depth]
    found = dense(images, [1, depth], sizes)
    changed = images.clone()
    changed[0, :, 40:], changed[0, :, :, 64:] = 7.0, -7.0
    again = dense(changed, [1, depth], sizes)
    for at in (1, depth):
        torch.testing.assert_close(found[at], again[at])
    assert not found[depth][0, :, 40 // cell :].any()
    assert found[depth][0, :, : 40 // cell, : 64 // cell].all()


@pytest.mark.parametrize("make", [a_vit, a_swin])
def test_a_padded_image_has_the_features_it_has_alone(make: Callable[[], Encoder], draw: Callable[..., Tensor]) -> None:
    encoder, images = make(), draw(1, 3, 40, 40)
    dense, padded = AnySize(encoder), torch.nn.functional.pad(images, (0, 24, 0, 16))
    sizes = torch.tensor([[40, 40]])
    alone, among = dense(images, [1], sizes)[1], dense(padded, [1], sizes)[1]
    if isinstance(encoder, SwinEncoder):
        torch.testing.assert_close(among[..., :20, :20], alone)
    else:  # positions of the larger grid are others
        assert among.shape[-2:] == (7, 8)
        assert not torch.allclose(among[..., :5, :5], alone)


def test_sides_that_patches_do_not_divide_are_padded(draw: Callable[..., Tensor]) -> None:
    dense, images = AnySize(a_vit()), draw(2, 3, 35, 41)
    found = dense(images, [3])[3]
    assert found.shape == (2, 24, 5, 6)
    assert found.abs().sum(1).all()


def test_a_block_can_be_run_in_another_way(draw: Callable[..., Tensor]) -> None:
    seen = []

    def run(number: int, block: torch.nn.Module, sequence: Tensor, grid: tuple[int, int], hidden: object) -> Tensor:
        seen.append((number, tuple(sequence.shape), grid, hidden))
        return sequence

    AnySize(a_vit(), run)(draw(1, 3, 16, 32), [2])
    assert seen == [(0, (1, 9, 24), (2, 4), None), (1, (1, 9, 24), (2, 4), None)]
    with pytest.raises(ValueError, match="its own windows"):
        AnySize(a_swin(), run)


def test_checkpointing_changes_no_gradient(draw: Callable[..., Tensor]) -> None:
    images, grads = draw(1, 3, 40, 32), []
    for checkpointing in (False, True):
        dense = AnySize(a_vit(), checkpointing=checkpointing).train()
        dense(images, [3])[3].square().sum().backward()
        grads.append([p.grad for p in dense.parameters() if p.grad is not None])
    assert len(grads[0]) > 10
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other)
