"""Parameter groups with learning rates that decay from the last layer to the first."""

import re
from typing import Any

from torch import nn

from mimbench.evaluation.finetuning.classifier import named_blocks

_EMBEDDING = ("cls_token", "reg_token", "pos_embed", "patch_embed", "norm_pre")


def layer_ids(trunk: nn.Module) -> dict[str, int]:
    """Layer of each parameter by name.

    The embedding is layer 0, block i (from 1) layer i, and all that follows the blocks one layer more. This is the
    numbering of MAE's released code. In timm a final norm before the pooling belongs to the last block. Patch merging
    of a Swin belongs to the block after it, as in timm.
    """
    blocks = {name: number for number, (name, _) in enumerate(named_blocks(trunk), start=1)}
    ids: dict[str, int] = {}
    for name, _ in trunk.named_parameters():
        block = re.match(r"(blocks|layers\.\d+\.blocks)\.\d+", re.sub(r"\.downsample\..*", ".blocks.0", name))
        if name.split(".")[0] in _EMBEDDING:
            ids[name] = 0
        else:
            ids[name] = len(blocks) + 1 if block is None else blocks[block[0]]
    return ids


def layer_groups(trunk: nn.Module, lr: float, weight_decay: float, layer_decay: float) -> list[dict[str, Any]]:
    """Parameter groups of the trainable parameters, those with the highest learning rate first.

    The rate of a layer is lr * layer_decay^(last layer - layer) (released code of MAE, after BEiT). Vectors, biases and
    the parameters that the trunk exempts have no weight decay: tokens, positions, relative position biases of Swin.

    Args:
        lr: Learning rate of the last layer, the head.
    """
    ids, exempt = layer_ids(trunk), trunk.no_weight_decay()  # pyright: ignore[reportCallIssue]
    last = max(ids.values())
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in trunk.named_parameters():
        if not parameter.requires_grad:
            continue
        no_decay = parameter.ndim <= 1 or name in exempt
        group = groups.setdefault(
            (last - ids[name], no_decay),
            {
                "params": [],
                "names": [],
                "lr": lr * layer_decay ** (last - ids[name]),
                "weight_decay": 0.0 if no_decay else weight_decay,
            },
        )
        group["params"].append(parameter)
        group["names"].append(name)
    return [groups[key] for key in sorted(groups)]
