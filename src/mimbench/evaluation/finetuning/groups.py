"""Which parameters learn how fast."""

import re
from typing import Any

from torch import nn

from mimbench.evaluation.finetuning.classifier import named_blocks

_EMBEDDING = ("cls_token", "reg_token", "pos_embed", "patch_embed", "norm_pre")


def layer_ids(trunk: nn.Module) -> dict[str, int]:
    """Layer of every parameter: embedding 0, block i (from 1) i, what follows them one more than the last block.

    That is MAE's released numbering, which differs from timm's in one point: there a final norm that stands before
    the pooling belongs to the last block. A Swin's merging belongs to the block behind it, as in timm.
    """
    blocks = {name: number for number, (name, _) in enumerate(named_blocks(trunk), start=1)}
    ids: dict[str, int] = {}
    for name, _ in trunk.named_parameters():
        place = re.match(r"(blocks|layers\.\d+\.blocks)\.\d+", re.sub(r"\.downsample\..*", ".blocks.0", name))
        if name.split(".")[0] in _EMBEDDING:
            ids[name] = 0
        else:
            ids[name] = len(blocks) + 1 if place is None else blocks[place[0]]
    return ids


def layer_groups(trunk: nn.Module, lr: float, weight_decay: float, layer_decay: float) -> list[dict[str, Any]]:
    """Groups of the trainable parameters for an optimizer, the fastest first.

    A layer's rate is lr * layer_decay^(last layer - layer) (MAE, released code; after BEiT). Vectors and biases are
    not decayed, nor what the trunk itself exempts: tokens, positions, a Swin's relative-position biases.

    Args:
        lr: Rate of the last layer, the head.
    """
    ids, exempt = layer_ids(trunk), trunk.no_weight_decay()  # pyright: ignore[reportCallIssue]
    last = max(ids.values())
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in trunk.named_parameters():
        if not parameter.requires_grad:
            continue
        plain = parameter.ndim <= 1 or name in exempt
        group = groups.setdefault(
            (last - ids[name], plain),
            {
                "params": [],
                "names": [],
                "lr": lr * layer_decay ** (last - ids[name]),
                "weight_decay": 0.0 if plain else weight_decay,
            },
        )
        group["params"].append(parameter)
        group["names"].append(name)
    return [groups[key] for key in sorted(groups)]
