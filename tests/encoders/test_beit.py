"""ViTs with a shared relative position bias: they equal timm's Beit, and train, truncate and classify."""

import copy

import pytest
import timm
import torch
from timm.models.beit import Beit
from torch import Tensor

from mimbench.analysis.attention import check_attention
from mimbench.core import Mask
from mimbench.encoders import BeitEncoder, beit
from mimbench.evaluation.dense.resizing import AnySize
from mimbench.evaluation.finetuning.classifier import classifier
from mimbench.evaluation.finetuning.groups import layer_groups
from mimbench.evaluation.truncation import drop, reinitialize
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE, Method, SimMIM
from mimbench.targets import PixelTarget


@pytest.fixture
def encoder() -> BeitEncoder:
    torch.manual_seed(0)
    encoder = beit(32, 8, 24, 3, 2)
    torch.nn.init.normal_(encoder.trunk.rel_pos_bias.relative_position_bias_table)
    return encoder.double()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture
def mask() -> Mask:
    return RandomMasker()(3, (4, 4), generator=torch.Generator().manual_seed(2))


def test_without_a_mask_it_equals_timm(encoder: BeitEncoder, images: Tensor):
    assert torch.equal(encoder(images, [3])[3].sequence, encoder.trunk.forward_features(images))


def test_an_empty_mask_equals_no_mask(encoder: BeitEncoder, images: Tensor):
    nothing = Mask(torch.zeros(3, 4, 4, dtype=torch.bool), 16)
    found, dense = encoder(images, [3], nothing)[3], encoder(images, [3])[3]
    torch.testing.assert_close(found.sequence, dense.sequence, rtol=0, atol=1e-12)


def test_visible_tokens_keep_the_biases_of_their_positions(encoder: BeitEncoder, images: Tensor, mask: Mask):
    """Masking out the hidden keys of a dense pass gives the same visible tokens."""
    found = encoder(images, [1], mask)[1]
    bias = encoder.trunk.rel_pos_bias().expand(3, -1, -1, -1).clone()
    hidden = torch.cat([torch.zeros(3, 1, dtype=torch.bool), mask.hidden.flatten(1)], 1)
    bias.masked_fill_(hidden[:, None, None, :], float("-inf"))
    dense = encoder.trunk.blocks[0](encoder(images, [0])[0].sequence, shared_rel_pos_bias=bias)
    for image in range(3):
        seen = [0, *(mask.visible[image] + 1).tolist()]
        torch.testing.assert_close(found.sequence[image], dense[image, seen], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["mae", "simmim"])
def test_every_trainable_parameter_gets_a_gradient_and_nothing_leaks(
    kind: str, encoder: BeitEncoder, images: Tensor, mask: Mask
):
    method: Method = SimMIM(encoder, RandomMasker(), PixelTarget)
    if kind == "mae":
        method = MAE(encoder, RandomMasker(), PixelTarget, 16, 1, 2)
    method.double()
    method(images, mask).loss.backward()
    moved = {name for name, p in method.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved == {name for name, p in method.named_parameters() if p.requires_grad}
    cells = mask.hides((32, 32)).reshape(3, 1, 32, 32)
    other = torch.where(cells, 7 - 2 * images, images)
    assert torch.equal(method(images, mask).predictions[0], method(other, mask).predictions[0])


def test_checkpointing_changes_no_gradient(encoder: BeitEncoder, images: Tensor, mask: Mask):
    saving = copy.deepcopy(encoder)
    saving.set_grad_checkpointing()
    for one in (encoder, saving):
        one.train()(images, [3], mask)[3].sequence.square().sum().backward()
    for p, q in zip(encoder.parameters(), saving.parameters(), strict=True):
        assert p.grad is q.grad is None or torch.equal(p.grad, q.grad)


def test_weights_start_as_in_the_released_code():
    trunk = beit(32, 8, 96, 2, 2).trunk
    # Cut at one deviation of 0.02; the output layers of block 2 are divided by 2.
    assert 0.019 < trunk.blocks[1].attn.qkv.weight.abs().max() <= 0.02
    assert pytest.approx(trunk.blocks[1].attn.qkv.weight.std().item(), rel=0.03) == 0.0108
    assert 0.0095 < trunk.blocks[1].mlp.fc2.weight.abs().max() <= 0.01
    assert trunk.rel_pos_bias.relative_position_bias_table.eq(0).all()
    assert trunk.blocks[0].gamma_1.tolist() == pytest.approx([0.1] * 96)


def test_truncated_and_reinitialized_encoders_keep_their_kind(encoder: BeitEncoder, images: Tensor):
    shorter = drop(encoder, 1)
    assert isinstance(shorter, BeitEncoder)
    assert shorter.depth == 2
    assert torch.equal(shorter(images, [1])[1].sequence, encoder(images, [1])[1].sequence)
    again = reinitialize(encoder, 1)
    assert torch.equal(again(images, [2])[2].sequence, encoder(images, [2])[2].sequence)


def test_a_classifier_has_a_copy_of_the_bias_in_every_block_and_computes_the_same(encoder: BeitEncoder, images: Tensor):
    before = encoder(images, [2])[2].sequence
    trunk = classifier(encoder, 5)
    assert isinstance(trunk, Beit)
    assert trunk.rel_pos_bias is None
    tables = [block.attn.relative_position_bias_table for block in trunk.blocks]
    assert len({id(table) for table in tables}) == 3
    after = trunk.pos_drop(torch.cat([trunk.cls_token.expand(3, -1, -1), trunk.patch_embed(images)], 1))
    for block in trunk.blocks[:2]:
        after = block(after)
    torch.testing.assert_close(after, before, rtol=0, atol=1e-12)
    trunk.double()(images).sum().backward()
    assert all(p.grad is not None for p in trunk.parameters() if p.requires_grad)
    groups = layer_groups(trunk, 1e-3, 0.05, 0.5)
    assert all(
        group["weight_decay"] == 0 for group in groups if "blocks.0.attn.relative_position_bias_table" in group["names"]
    )


def test_what_it_cannot_do_is_refused_with_the_remedy(encoder: BeitEncoder):
    with pytest.raises(ValueError, match="without a relative position bias; use another encoder"):
        check_attention(encoder)
    with pytest.raises(ValueError, match="not BeitEncoder; use another encoder or other protocols"):
        AnySize(encoder)
    with pytest.raises(ValueError, match="runs timm's Beit with a shared relative position bias"):
        BeitEncoder(timm.create_model("beit_base_patch16_224", num_classes=0))
    with pytest.raises(ValueError, match="5 heads do not divide a width of 24"):
        beit(32, 8, 24, 3, 5)
