"""Partial fine-tuning: trains only the last blocks of a trunk."""

import math

from torch import nn

from mimbench.evaluation.finetuning.classifier import named_blocks


def train_last(trunk: nn.Module, num_blocks: float) -> None:
    """Freezes a classifier except its last blocks and the layers after them (MAE, Figure 9).

    With 0 only the head, and a new norm before it, are trained. Half a block is its MLP with the norm before it. With
    all blocks nothing is frozen. Frozen blocks have no drop path.

    Args:
        trunk: A classifier made by `classifier`.
        num_blocks: Number of last blocks to train, a multiple of 0.5.

    Raises:
        ValueError: `num_blocks` is not a multiple of 0.5 between 0 and the number of blocks.
    """
    blocks = named_blocks(trunk)
    if num_blocks * 2 % 1 or not 0 <= num_blocks <= len(blocks):
        raise ValueError(
            f"The number of trained blocks must be a multiple of 0.5 between 0 and {len(blocks)}, got {num_blocks}."
        )
    if num_blocks == len(blocks):
        return
    trained_before = {name: parameter.requires_grad for name, parameter in trunk.named_parameters()}
    trunk.requires_grad_(False)
    first = len(blocks) - math.floor(num_blocks)
    for _, block in blocks[:first]:
        _remove_drop_path(block)
    trained = [name for name, _ in blocks[first:]] + _other_parts(blocks, first, num_blocks)
    for name, parameter in trunk.named_parameters():
        parameter.requires_grad_(trained_before[name] and name.startswith(tuple(f"{prefix}." for prefix in trained)))


def _other_parts(blocks: list[tuple[str, nn.Module]], first: int, num_blocks: float) -> list[str]:
    """Names of the trained parts that are not whole blocks."""
    parts = ["head", "fc_norm"]
    if num_blocks:
        parts.append("norm")
    if num_blocks % 1:
        half = blocks[first - 1][0]
        parts += [f"{half}.{part}" for part in ("norm2", "mlp", "ls2")]
    # The patch merging at the beginning of a Swin stage follows the last block of the previous stage.
    trained = blocks[first - math.ceil(num_blocks % 1) :]
    stages = [name.split(".")[1] for name, _ in trained if name.startswith("layers.")]
    parts += [f"layers.{stage}.downsample" for stage in stages if stage != stages[0]]
    return parts


def _remove_drop_path(block: nn.Module) -> None:
    for name in [name for name, _ in block.named_children() if name.startswith("drop_path")]:
        setattr(block, name, nn.Identity())
