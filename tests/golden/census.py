"""Parameter counts of a model, as in the golden files."""

from typing import Any

import torch
from cases.base import Case
from torch import nn

ENCODER = {"cls_token", "pos_embed", "patch_embed", "blocks", "norm", "encoder"}
NORMS = {"norm_low", "norm0", "norm1", "norm2", "norm3", "norm4"}
HEAD = {"head"}
HEAD_NORM = {"fc_norm"}


def census(case: Case, module: nn.Module) -> dict[str, int]:
    """All counts that a golden file may contain, over the entries of the released model.

    In the released code, derived weights of weight-normalized layers and window indices are buffers, and fixed tables,
    which are buffers here, are frozen parameters.
    """
    named = case.format.names(module)
    trainable = {name for name, p in module.named_parameters() if p.requires_grad}
    own = _sizes(module)
    sizes = {theirs: own[ours] for ours, theirs in named.items()}
    free = {theirs: own[ours] for ours, theirs in named.items() if ours in trainable}
    everything = sum(sizes.values())
    return {
        "all_parameters": everything,
        "trainable": sum(free.values()),
        "frozen": everything - sum(free.values()),
        "buffers": _buffers(module),
        "encoder_only": _of(sizes, ENCODER),
        "encoder_only_trainable": _of(free, ENCODER),
        "encoder_with_all_7_norms": _of(sizes, ENCODER | NORMS),
        "without_head": everything - _of(sizes, HEAD),
    }


def _sizes(module: nn.Module) -> dict[str, int]:
    tensors = dict(module.named_parameters(remove_duplicate=False)) | dict(module.named_buffers(remove_duplicate=False))
    counted = {name for name, x in tensors.items() if x.is_floating_point() and not name.endswith("attn_mask")}
    return {name: tensor.numel() if name in counted else 0 for name, tensor in tensors.items()}


def _buffers(module: nn.Module) -> int:
    indices = sum(b.numel() for _, b in module.named_buffers() if b.dtype == torch.int64)
    derived = sum(m.weight.numel() for m in module.modules() if isinstance(m, nn.Linear) and _normed(m))
    return indices + derived


def _normed(linear: nn.Linear) -> bool:
    return hasattr(linear, "parametrizations")


def _of(sizes: dict[str, int], parts: set[str]) -> int:
    return sum(size for name, size in sizes.items() if name.split(".")[0] in parts)


def differences(recorded: dict[str, Any], counted: dict[str, int]) -> dict[str, Any]:
    """Recorded counts that differ or are not computed, without comments."""
    numbers = {key: value for key, value in recorded.items() if isinstance(value, int)}
    return {key: (value, counted.get(key)) for key, value in numbers.items() if counted.get(key) != value}
