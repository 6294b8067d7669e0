"""Plain ViTs."""

import numpy as np
import pytest
import timm
import torch
from timm.models.vision_transformer import VisionTransformer

from mimbench.core import Tap
from mimbench.encoders import ViTEncoder, timm_vit, vit


def test_taps_describe_the_output():
    encoder = vit(64, 8, 48, 5, 4, num_registers=3)
    assert encoder.depth == 5
    assert encoder.taps == (Tap(48, (8, 8), 8, prefix=4),) * 6
    assert encoder.mask_grid == (8, 8)


def test_the_trunk_follows_the_papers():
    trunk = vit(64, 8, 48, 2, 4, mlp_ratio=3.0).trunk
    assert trunk.cls_token is not None
    assert trunk.blocks[0].attn.qkv.bias is not None
    assert {module.eps for module in trunk.modules() if isinstance(module, torch.nn.LayerNorm)} == {1e-6}
    assert trunk.blocks[0].mlp.fc1.out_features == 144


def test_class_token_has_no_position():
    table = vit(32, 8, 16, 1, 2).trunk.pos_embed[0].numpy()
    assert not table[0].any()
    assert len(np.unique(table[1:], axis=0)) == 16


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((30, 8, 16, 1, 2), r"8 px do not divide an image of 30 px; .* \[2, 3, 5, 6, 10, 15\]"),
        ((32, 8, 18, 1, 4), "4 heads do not divide a width of 18"),
    ],
)
def test_incompatible_sizes_are_refused_with_a_remedy(sizes: tuple[int, ...], message: str):
    with pytest.raises(ValueError, match=message):
        vit(*sizes)


def test_a_plain_vit_of_timm_is_built_by_name():
    encoder = timm_vit("vit_tiny_patch16_224", 32, 8)
    images = torch.randn(1, 3, 32, 32)
    assert encoder.depth == 12
    assert torch.equal(encoder(images, [12])[12].sequence, encoder.trunk.forward_features(images))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vit_tinny", "no model 'vit_tinny'"),
        ("resnet18", "'resnet18' is not a plain ViT"),
        ("eva02_tiny_patch14_224", "'eva02_tiny_patch14_224' is not a plain ViT"),
    ],
)
def test_other_models_are_refused(name: str, message: str):
    with pytest.raises(ValueError, match=message):
        timm_vit(name, 28)


def test_trunks_with_their_own_position_embedding_are_refused():
    trunk = timm.create_model("deit_tiny_distilled_patch16_224", img_size=32, depth=1)
    with pytest.raises(ValueError, match="embeds positions in its own way"):
        ViTEncoder(trunk)


def test_several_image_sizes_are_refused():
    with pytest.raises(ValueError, match="dynamic_img_size=False"):
        ViTEncoder(
            VisionTransformer(img_size=32, patch_size=8, embed_dim=16, depth=1, num_heads=2, dynamic_img_size=True)
        )


@pytest.mark.parametrize(
    "name", ["test_vit", "flexivit_small", "deit3_small_patch16_224", "vit_small_patch14_reg4_dinov2"]
)
def test_plain_vits_of_timm_equal_timm(name: str) -> None:
    encoder = timm_vit(name, image_size=112).eval()
    images = torch.randn(1, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = encoder(images, [encoder.depth])[encoder.depth].sequence
        expected = encoder.trunk.forward_features(images)
    torch.testing.assert_close(found, expected)
