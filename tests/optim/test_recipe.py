"""Parameter groups and optimizer."""

from collections import Counter
from functools import partial

import pytest
import timm
import torch
from torch import nn

from mimbench.encoders.vit import vit
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE, MIRL, DeepMIM, LocalMIM, Method
from mimbench.optim import Recipe
from mimbench.optim.recipe import parameter_groups
from mimbench.targets import PixelTarget

SMALL = {"masker": RandomMasker(), "target": PixelTarget, "dim": 16, "num_heads": 2}


def methods() -> list[Method]:
    makers = [partial(kind, **SMALL, num_blocks=1) for kind in (MAE, DeepMIM, LocalMIM, MIRL)]
    return [make(encoder=vit(32, 8, 16, 4, 2)) for make in makers]


@pytest.mark.parametrize("method", methods(), ids=lambda method: type(method).__name__)
def test_the_groups_contain_every_trainable_parameter_once_and_no_frozen_one(method: Method) -> None:
    groups = parameter_groups(method, 0.05)
    members = Counter(id(p) for group in groups for p in group["params"])
    assert members == {id(p): 1 for p in method.parameters() if p.requires_grad}


@pytest.mark.parametrize("method", methods(), ids=lambda method: type(method).__name__)
def test_matrices_and_tokens_have_weight_decay_and_vectors_have_none(method: Method) -> None:
    decayed, undecayed = parameter_groups(method, 0.05)
    assert (decayed["weight_decay"], undecayed["weight_decay"]) == (0.05, 0.0)
    names = {id(p): name for name, p in method.named_parameters()}
    with_decay = {names[id(p)] for p in decayed["params"]}
    without = {names[id(p)] for p in undecayed["params"]}
    assert {"encoder.trunk.cls_token", "decoders.0.mask_token", "encoder.trunk.patch_embed.proj.weight"} <= with_decay
    assert {"encoder.trunk.norm.weight", "encoder.trunk.blocks.0.attn.qkv.bias", "decoders.0.project.bias"} <= without
    assert "encoder.trunk.pos_embed" not in with_decay | without
    assert not any(name.endswith("bias") or ".norm" in name for name in with_decay)


def test_relative_position_biases_have_no_weight_decay() -> None:
    swin = timm.create_model(
        "swin_tiny_patch4_window7_224", img_size=64, window_size=2, embed_dim=12, num_heads=(1,) * 4
    )
    decayed = {id(p) for p in parameter_groups(swin, 0.05)[0]["params"]}
    tables = [p for name, p in swin.named_parameters() if name.endswith("relative_position_bias_table")]
    assert tables
    assert not any(id(table) in decayed for table in tables)


def test_relative_position_biases_can_have_weight_decay_after_all() -> None:
    swin = timm.create_model(
        "swin_tiny_patch4_window7_224", img_size=64, window_size=2, embed_dim=12, num_heads=(1,) * 4
    )
    decayed = {id(p) for p in parameter_groups(swin, 0.05, decayed=["relative_position_bias_table"])[0]["params"]}
    tables = [p for name, p in swin.named_parameters() if name.endswith("relative_position_bias_table")]
    assert {id(table) for table in tables} <= decayed


def test_weight_decay_shrinks_only_one_group() -> None:
    layer = nn.Linear(3, 3)
    nn.init.ones_(layer.weight)
    nn.init.ones_(layer.bias)
    optimizer = Recipe(base_lr=0.1, weight_decay=0.5).optimizer(layer, 256)
    layer.weight.grad, layer.bias.grad = torch.zeros(3, 3), torch.zeros(3)
    optimizer.step()
    assert torch.allclose(layer.weight, torch.full((3, 3), 0.95))
    assert torch.equal(layer.bias, torch.ones(3))


def test_fused_and_unfused_take_the_same_steps() -> None:
    def trained(fused: bool) -> torch.Tensor:
        draws = torch.Generator().manual_seed(0)
        layer = nn.Linear(8, 8)
        layer.weight.data = torch.randn(8, 8, generator=draws)
        layer.bias.data.zero_()
        optimizer = Recipe(base_lr=1e-2, fused=fused).optimizer(layer, 256)
        assert optimizer.defaults["fused"] is fused
        for _ in range(10):
            layer(torch.randn(4, 8, generator=draws)).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        return layer.weight.detach()

    # The kernels round differently.
    torch.testing.assert_close(trained(True), trained(False), rtol=1e-5, atol=1e-6)


def test_the_optimizer_has_the_recipes_betas() -> None:
    assert Recipe(betas=(0.8, 0.9)).optimizer(nn.Linear(1, 1), 256).defaults["betas"] == (0.8, 0.9)


def test_further_parameters_can_be_excluded_from_decay() -> None:
    method = methods()[0]
    groups = [parameter_groups(method, 0.05, names)[0]["params"] for names in ((), ("mask_token", "cls_token"))]
    names = {id(p): name for name, p in method.named_parameters()}
    before, after = ({names[id(p)] for p in group} for group in groups)
    assert before - after == {"encoder.trunk.cls_token", "decoders.0.mask_token"}
    assert after < before
