"""A trunk becomes timm's classifier: same names, same numbers."""

from collections.abc import Callable

import pytest
import timm
import torch
from timm.layers import DropPath
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from mimbench.encoders import ViTEncoder, swin, vit
from mimbench.evaluation.finetuning import classifier
from mimbench.evaluation.finetuning.classifier import named_blocks

IMAGES = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def make_vit(depth: int = 4, num_registers: int = 0) -> ViTEncoder:
    torch.manual_seed(0)
    return vit(32, 8, 48, depth, 4, num_registers=num_registers)


def make_swin() -> nn.Module:
    torch.manual_seed(0)
    return swin(64, 16, (2, 2, 4, 2), (2, 2, 4, 4), window=2, patch_size=4)


def timm_vit(**options: object) -> VisionTransformer:
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 4, "num_heads": 4, "num_classes": 7}
    return VisionTransformer(**sizes | options)


@pytest.mark.parametrize("pooling", ["avg", "token"])
def test_names_and_logits_are_those_of_timm(pooling: str) -> None:
    model = classifier(make_vit(), 7, pooling).eval()
    nn.init.normal_(model.head.weight)  # else all logits are near 0
    theirs = timm_vit(global_pool=pooling).eval()
    theirs.load_state_dict(model.state_dict(), strict=True)
    torch.testing.assert_close(model(IMAGES), theirs(IMAGES), rtol=0, atol=0)
    assert ("fc_norm.weight" in model.state_dict()) == (pooling == "avg")
    assert ("norm.weight" in model.state_dict()) == (pooling == "token")


def test_average_pooling_takes_patches_of_the_last_block_without_its_norm() -> None:
    encoder = make_vit(num_registers=2)
    nn.init.normal_(encoder.trunk.norm.weight)  # what pre-training left here must not matter
    seen: list[torch.Tensor] = []
    encoder.trunk.blocks.register_forward_hook(lambda _, __, out: seen.append(out))
    model = classifier(encoder, 7, "avg").eval()
    logits = model(IMAGES)
    features = nn.functional.layer_norm(seen[0][:, 3:].mean(1), (48,), eps=1e-6)
    torch.testing.assert_close(logits, model.head(features))


def test_token_pooling_takes_the_class_token_after_the_pretrained_norm() -> None:
    encoder = make_vit()
    nn.init.normal_(encoder.trunk.norm.weight)
    tokens = encoder.eval()(IMAGES, [4])[4].prefix[:, 0]
    model = classifier(encoder, 7, "token").eval()
    torch.testing.assert_close(model(IMAGES), model.head(tokens))


def test_swin_keeps_its_norm_and_averages() -> None:
    encoder = make_swin()
    images = torch.randn(2, 3, 64, 64)
    patches = encoder.eval()(images, [4])[4].patches.mean(1)
    model = classifier(encoder, 7, "avg").eval()
    torch.testing.assert_close(model(images), model.head.fc(patches))
    theirs = SwinTransformer(
        64, 4, embed_dim=16, depths=(2, 2, 4, 2), num_heads=(2, 2, 4, 4), window_size=2, num_classes=7
    )
    theirs.load_state_dict(model.state_dict(), strict=True)


def test_the_head_starts_near_zero_and_from_its_generator() -> None:
    def head(seed: int) -> torch.Tensor:
        return classifier(make_vit(), 500, generator=torch.Generator().manual_seed(seed)).head.weight

    assert head(0).std().item() == pytest.approx(2e-5, rel=0.02)
    assert torch.equal(head(0), head(0))
    assert not torch.equal(head(0), head(1))
    assert classifier(make_vit(), 500).head.bias.eq(0).all()


@pytest.mark.parametrize(
    ("encoder", "reference"),
    [
        (make_vit, lambda rate: timm_vit(drop_path_rate=rate)),
        (
            make_swin,
            lambda rate: SwinTransformer(
                64,
                4,
                embed_dim=16,
                depths=(2, 2, 4, 2),
                num_heads=(2, 2, 4, 4),
                window_size=2,
                drop_path_rate=rate,
            ),
        ),
    ],
    ids=["vit", "swin"],
)
def test_drop_path_has_the_rates_of_timm(
    encoder: Callable[[], nn.Module], reference: Callable[[float], nn.Module]
) -> None:
    def rates(model: nn.Module) -> dict[str, float]:
        return {name: part.drop_prob for name, part in model.named_modules() if isinstance(part, DropPath)}

    dropped = classifier(encoder(), 7, "avg", drop_path=0.3)
    assert rates(dropped) == rates(reference(0.3))
    assert max(rates(dropped).values()) == pytest.approx(0.3)
    assert rates(classifier(encoder(), 7, "avg", drop_path=0.0)) == {}


def test_drop_path_changes_training_and_not_evaluation() -> None:
    model = classifier(make_vit(), 7, drop_path=0.5)
    nn.init.normal_(model.head.weight)
    assert not torch.equal(model.train()(IMAGES), model(IMAGES))
    assert torch.equal(model.eval()(IMAGES), model(IMAGES))


def test_everything_trains_and_positions_if_asked() -> None:
    free = classifier(make_vit(), 7)
    assert all(p.requires_grad for p in free.parameters())
    fixed = classifier(make_vit(), 7, train_positions=False)
    assert [name for name, p in fixed.named_parameters() if not p.requires_grad] == ["pos_embed"]


def test_every_parameter_gets_a_gradient() -> None:
    """What gets none stops distributed training."""
    for pooling in ("avg", "token"):
        model = classifier(make_vit(num_registers=2), 7, pooling)
        nn.init.normal_(model.head.weight)
        model(IMAGES).square().sum().backward()
        assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_blocks_are_named_in_order_over_stages() -> None:
    assert [name for name, _ in named_blocks(make_vit().trunk)] == [f"blocks.{i}" for i in range(4)]
    names = [name for name, _ in named_blocks(make_swin().trunk)]
    assert names == [f"layers.{s}.blocks.{i}" for s, n in enumerate((2, 2, 4, 2)) for i in range(n)]


def test_trunks_without_a_class_token_are_refused_for_token_pooling() -> None:
    plain = timm.create_model("vit_base_patch16_siglip_224", img_size=32, num_classes=0, depth=1)
    with pytest.raises(ValueError, match="no class token"):
        classifier(ViTEncoder(plain), 7, "token")
    with pytest.raises(ValueError, match="Swin has no class token"):
        classifier(make_swin(), 7, "token")


def test_attention_pooling_of_a_timm_model_is_replaced() -> None:
    trunk = timm.create_model("vit_base_patch16_siglip_224", img_size=32, num_classes=0, depth=1)
    model = classifier(ViTEncoder(trunk), 7, "avg")
    assert model(IMAGES).shape == (3, 7)
    assert not [name for name, _ in model.named_parameters() if "attn_pool" in name]
