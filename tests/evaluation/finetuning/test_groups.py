"""Parameter groups, against MAE's formula written out and against timm's own."""

from collections import Counter

import pytest
import torch
from timm.optim import param_groups_layer_decay
from torch import nn

from mimbench.encoders import ViTEncoder, swin, timm_vit, vit
from mimbench.evaluation.finetuning import classifier
from mimbench.evaluation.finetuning.groups import layer_groups, layer_ids

DECAY, LR, WEIGHT_DECAY = 0.65, 2e-3, 0.05


def make_vit(pooling: str = "avg", **options: int) -> nn.Module:
    return classifier(vit(32, 8, 48, 4, 4, **options), 7, pooling)


def make_swin() -> nn.Module:
    return classifier(swin(64, 16, (2, 2, 4, 2), (2, 2, 4, 4), window=2), 7)


def by_name(groups: list[dict], model: nn.Module) -> dict[str, tuple[float, float]]:
    """Rate over the head's and weight decay of every parameter."""
    names = {id(p): name for name, p in model.named_parameters()}
    fastest = max(group.get("lr_scale", group.get("lr")) for group in groups)
    return {
        names[id(p)]: (group.get("lr_scale", group.get("lr")) / fastest, group["weight_decay"])
        for group in groups
        for p in group["params"]
    }


def published_scale(name: str, num_blocks: int) -> float:
    """MAE's released layer decay, by hand."""
    if name in ("cls_token", "pos_embed") or name.startswith("patch_embed"):
        layer = 0
    elif name.startswith("blocks."):
        layer = int(name.split(".")[1]) + 1
    else:
        layer = num_blocks + 1
    return DECAY ** (num_blocks + 1 - layer)


@pytest.mark.parametrize("pooling", ["avg", "token"])
def test_groups_follow_the_published_formula(pooling: str) -> None:
    model = make_vit(pooling)
    found = by_name(layer_groups(model, LR, WEIGHT_DECAY, DECAY), model)
    assert found.keys() == dict(model.named_parameters()).keys()
    for name, parameter in model.named_parameters():
        scale, decay = found[name]
        assert scale == pytest.approx(published_scale(name, 4), rel=1e-12), name
        undecayed = parameter.ndim == 1 or name in ("pos_embed", "cls_token")
        assert decay == (0.0 if undecayed else WEIGHT_DECAY), name


@pytest.mark.parametrize(
    "make",
    [
        make_vit,
        lambda: make_vit("token"),
        lambda: make_vit(num_registers=3),
        make_swin,
        lambda: classifier(timm_vit("deit3_small_patch16_224", 32), 7),
    ],
    ids=["avg", "token", "registers", "swin", "deit3"],
)
def test_groups_equal_those_of_timm_but_for_a_norm_before_the_pooling(make) -> None:
    model = make()
    ours = by_name(layer_groups(model, LR, WEIGHT_DECAY, DECAY), model)
    exempt = model.no_weight_decay()
    theirs = by_name(param_groups_layer_decay(model, WEIGHT_DECAY, exempt, layer_decay=DECAY), model)
    assert ours.keys() == theirs.keys()
    for name in ours:
        # timm counts it as part of the last block, MAE's release as what follows.
        scale = theirs[name][0] / (DECAY if name.startswith("norm.") else 1)
        assert ours[name] == (pytest.approx(scale, rel=1e-12), theirs[name][1]), name


@pytest.mark.parametrize("make", [make_vit, make_swin])
def test_every_trainable_parameter_is_in_exactly_one_group(make) -> None:
    model = make()
    frozen = [p for name, p in model.named_parameters() if "norm1" in name]
    for parameter in frozen:
        parameter.requires_grad_(False)
    count = Counter(id(p) for group in layer_groups(model, LR, WEIGHT_DECAY, DECAY) for p in group["params"])
    assert set(count.values()) == {1}
    assert count.keys() == {id(p) for p in model.parameters() if p.requires_grad}


def test_the_first_group_has_the_rate_of_the_head() -> None:
    """It is the one that is logged."""
    groups = layer_groups(make_vit(), LR, WEIGHT_DECAY, DECAY)
    assert "head.weight" in groups[0]["names"]
    assert groups[0]["lr"] == LR


def test_a_swins_relative_positions_are_not_decayed() -> None:
    model = make_swin()
    found = by_name(layer_groups(model, LR, WEIGHT_DECAY, DECAY), model)
    tables = [name for name in found if name.endswith("relative_position_bias_table")]
    assert tables
    assert {found[name][1] for name in tables} == {0.0}


def test_layers_of_a_swin_go_through_all_stages() -> None:
    ids = layer_ids(make_swin())
    assert ids["patch_embed.proj.weight"] == 0
    assert [ids[f"layers.{s}.blocks.0.norm1.weight"] for s in range(4)] == [1, 3, 5, 9]
    assert [ids[f"layers.{s}.downsample.norm.weight"] for s in (1, 2, 3)] == [3, 5, 9]
    assert ids["norm.weight"] == ids["head.fc.weight"] == 11


def test_no_layer_decay_is_one_rate() -> None:
    groups = layer_groups(make_vit(), LR, WEIGHT_DECAY, 1.0)
    assert {group["lr"] for group in groups} == {LR}


def test_weight_decay_reaches_matrices_alone() -> None:
    model = make_vit()
    decayed = {n for g in layer_groups(model, LR, 0.3, DECAY) if g["weight_decay"] for n in g["names"]}
    assert all(g["weight_decay"] in (0.0, 0.3) for g in layer_groups(model, LR, 0.3, DECAY))
    matrices = {n for n, p in model.named_parameters() if p.ndim > 1 and n not in ("cls_token", "pos_embed")}
    assert decayed == matrices


def test_groups_work_in_an_optimizer() -> None:
    encoder: ViTEncoder = vit(32, 8, 48, 2, 4)
    optimizer = torch.optim.AdamW(layer_groups(classifier(encoder, 7), LR, WEIGHT_DECAY, DECAY), lr=LR)
    rates = sorted({group["lr"] for group in optimizer.param_groups})
    assert rates == pytest.approx([LR * DECAY**3, LR * DECAY**2, LR * DECAY, LR])
