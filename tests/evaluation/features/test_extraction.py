import pytest
import timm
import torch
from torch import nn
from torch.utils.data import DataLoader

from mimbench.core.errors import UserError
from mimbench.encoders import timm_vit, vit
from mimbench.evaluation import extract


def images_of(datamodule, split="val"):
    return torch.cat([batch.images for batch in datamodule.plain(split)])


def test_features_are_means_of_timms_own_patch_tokens(datamodule):
    encoder = timm_vit("vit_tiny_patch16_224", image_size=16, patch_size=8).eval()
    features = extract(encoder, datamodule.plain("val"), range(13))
    images = images_of(datamodule)
    with torch.no_grad():
        output = encoder.trunk.forward_features(images)
        inner = encoder.trunk.forward_intermediates(images, indices=[5], output_fmt="NLC", intermediates_only=True)[0]
    # fp32 in batches of 16 against one of 20.
    torch.testing.assert_close(features.patches[12], output[:, 1:].mean(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(features.token[12], output[:, 0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(features.patches[6], inner.mean(1), rtol=1e-4, atol=1e-5)


def test_registers_are_neither_class_token_nor_patches(datamodule):
    encoder = vit(16, 8, 32, 1, 2, num_registers=2).eval()
    features = extract(encoder, datamodule.plain("val"), [1])
    with torch.no_grad():
        output = encoder.trunk.forward_features(images_of(datamodule))
    torch.testing.assert_close(features.token[1], output[:, 0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(features.patches[1], output[:, 3:].mean(1), rtol=1e-4, atol=1e-5)


def test_a_trunk_without_class_token_has_no_token_features(datamodule):
    from mimbench.encoders import ViTEncoder

    trunk = timm.models.VisionTransformer(
        img_size=16,
        patch_size=8,
        embed_dim=32,
        depth=1,
        num_heads=2,
        class_token=False,
        global_pool="avg",
        fc_norm=False,
    )
    features = extract(ViTEncoder(trunk), datamodule.plain("val"), [0, 1])
    assert features.token == {}
    assert set(features.patches) == {0, 1}


def test_labels_keep_the_order_of_the_split(encoder, datamodule):
    features = extract(encoder, datamodule.plain("val"), [0])
    assert torch.equal(features.labels, datamodule.split("val").labels)


def test_training_flags_are_put_back_and_dropout_is_off_meanwhile(datamodule):
    encoder = vit(16, 8, 32, 2, 2)
    encoder.trunk.pos_drop = nn.Dropout(0.5)
    encoder.train()
    encoder.trunk.blocks[0].eval()
    before = [module.training for module in encoder.modules()]
    first, second = (extract(encoder, datamodule.plain("val"), [2]).patches[2] for _ in range(2))
    assert torch.equal(first, second)
    assert [module.training for module in encoder.modules()] == before


def test_training_flags_are_put_back_after_a_failure(encoder, datamodule):
    encoder.train()
    with pytest.raises(IndexError), torch.no_grad():
        extract(encoder, datamodule.plain("val"), [99])
    assert encoder.training


def test_features_can_be_trained_on(encoder, datamodule):
    features = extract(encoder, datamodule.plain("val"), [3])
    head = nn.Linear(32, 4)
    head(features.at(3)).sum().backward()
    assert head.weight.grad is not None


def test_features_are_single_precision_for_a_half_precision_encoder(encoder, datamodule):
    reference = extract(encoder, datamodule.plain("val"), [3]).patches[3]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(extract(encoder, datamodule.plain("val"), [3]).patches[3], reference)
    assert extract(encoder.to(torch.bfloat16), datamodule.plain("val"), [3]).patches[3].dtype == torch.float32


def test_a_loader_that_drops_images_is_refused(encoder, datamodule):
    plain = datamodule.plain("val")
    loader = DataLoader(plain.dataset, batch_size=16, collate_fn=plain.collate_fn, drop_last=True)
    with pytest.raises(ValueError, match="16 of 20 images"):
        extract(encoder, loader, [0])


def test_features_that_are_not_finite_are_refused(encoder, datamodule):
    nn.init.constant_(encoder.trunk.norm.weight, float("nan"))
    with pytest.raises(UserError, match=r"patches-3.*not finite"):
        extract(encoder, datamodule.plain("val"), [0, 3])
