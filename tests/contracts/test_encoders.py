"""Properties of all ViT encoders."""

import copy

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from mimbench.core import Mask
from mimbench.encoders import ViTEncoder
from mimbench.maskers import RandomMasker


@pytest.fixture
def mask(encoder: ViTEncoder, images: Tensor) -> Mask:
    return RandomMasker(0.75)(len(images), encoder.mask_grid, generator=torch.Generator().manual_seed(2))


def with_other_hidden_pixels(images: Tensor, mask: Mask) -> Tensor:
    cell = images.shape[-1] // mask.hidden.shape[-1]
    hidden = mask.hidden.repeat_interleave(cell, 1).repeat_interleave(cell, 2)[:, None]
    return torch.where(hidden, 7 - 2 * images, images)


def test_hidden_pixels_cannot_reach_visible_tokens(encoder: ViTEncoder, images: Tensor, mask: Mask):
    depths = range(encoder.depth + 1)
    before, after = encoder(images, depths, mask), encoder(with_other_hidden_pixels(images, mask), depths, mask)
    for depth in depths:
        assert torch.equal(before[depth].sequence, after[depth].sequence)


def test_visible_pixels_reach_visible_tokens(encoder: ViTEncoder, images: Tensor, mask: Mask):
    last = encoder.depth
    assert not torch.equal(encoder(images, [last], mask)[last].patches, encoder(-images, [last], mask)[last].patches)


def test_tokens_have_the_positions_of_the_visible_patches(encoder: ViTEncoder, images: Tensor, mask: Mask):
    for depth, tokens in encoder(images, range(encoder.depth + 1), mask).items():
        tap = encoder.taps[depth]
        assert torch.equal(tokens.index, mask.visible)
        assert tokens.grid == tap.grid
        assert tokens.patches.shape == (len(images), mask.num_visible, tap.width)
        assert tokens.prefix.shape == (len(images), tap.prefix, tap.width)


def test_embedding_of_visible_patches_equals_the_dense_one(encoder: ViTEncoder, images: Tensor, mask: Mask):
    encoder, images = encoder.double(), images.double()  # a matrix product replaces the convolution
    sparse, dense = encoder(images, [0], mask)[0], encoder(images, [0])[0]
    for image in range(len(images)):
        visible = dense.patches[image, mask.visible[image]]
        torch.testing.assert_close(sparse.patches[image], visible, rtol=0, atol=1e-13)
    assert torch.equal(sparse.prefix, dense.prefix)


@pytest.mark.parametrize("training", [False, True])
def test_without_a_mask_the_encoder_equals_timm(encoder: ViTEncoder, images: Tensor, training: bool):
    encoder.train(training)
    trunk, last = encoder.trunk, encoder.depth
    ours = encoder(images, range(last + 1))
    assert torch.equal(ours[last].sequence, trunk.forward_features(images))
    theirs = trunk.forward_intermediates(
        images, range(last), return_prefix_tokens=True, output_fmt="NLC", intermediates_only=True
    )
    for depth, found in enumerate(theirs[:-1], start=1):
        patches, prefix = found if encoder.taps[depth].prefix else (found, ours[depth].prefix)
        assert torch.equal(ours[depth].patches, patches)
        assert torch.equal(ours[depth].prefix, prefix)


def test_an_empty_mask_equals_no_mask(encoder: ViTEncoder, images: Tensor):
    encoder, images = encoder.double(), images.double()  # a matrix product replaces the convolution
    rows, columns = encoder.mask_grid
    nothing = Mask(torch.zeros(len(images), rows, columns, dtype=torch.bool), rows * columns)
    last = encoder.depth
    masked, dense = encoder(images, [last], nothing)[last], encoder(images, [last])[last]
    torch.testing.assert_close(masked.sequence, dense.sequence, rtol=0, atol=1e-12)


def test_images_of_a_batch_do_not_see_each_other(encoder: ViTEncoder, images: Tensor, mask: Mask):
    encoder.double()
    depths = range(encoder.depth + 1)
    batch = encoder(images.double(), depths, mask)
    for image in range(len(images)):
        one = slice(image, image + 1)
        alone = encoder(images[one].double(), depths, Mask(mask.hidden[one], mask.num_visible))
        for depth in depths:
            torch.testing.assert_close(alone[depth].sequence, batch[depth].sequence[one], rtol=0, atol=1e-12)


def test_the_output_of_a_depth_does_not_depend_on_the_other_depths(encoder: ViTEncoder, images: Tensor, mask: Mask):
    every = encoder(images, range(encoder.depth + 1), mask)
    assert list(every) == list(range(encoder.depth + 1))
    for depth in every:
        (found,) = encoder(images, [depth], mask).items()
        assert found[0] == depth
        assert torch.equal(found[1].sequence, every[depth].sequence)


def test_checkpointing_changes_no_gradient(encoder: ViTEncoder, images: Tensor, mask: Mask):
    saving = copy.deepcopy(encoder)
    saving.set_grad_checkpointing()
    for one in (encoder, saving):
        one.train()
        one(images, [one.depth], mask)[one.depth].sequence.square().sum().backward()
    for (name, p), q in zip(encoder.named_parameters(), saving.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None), name
        assert p.grad is None or torch.equal(p.grad, q.grad), name


def test_the_trunk_loads_strictly_into_timm(trunk: VisionTransformer, encoder: ViTEncoder, images: Tensor):
    bare = copy.deepcopy(trunk)
    for parameter in bare.parameters():
        torch.nn.init.zeros_(parameter)
    bare.load_state_dict(encoder.trunk.state_dict(), strict=True)
    assert torch.equal(bare.forward_features(images), encoder(images, [4])[4].sequence)
