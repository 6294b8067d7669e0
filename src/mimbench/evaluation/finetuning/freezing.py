"""Partial fine-tuning: only the end of a trunk trains."""

import math

from torch import nn

from mimbench.evaluation.finetuning.classifier import named_blocks


def train_last(trunk: nn.Module, num_blocks: float) -> None:
    """Freezes a classifier but for its last blocks, the head and what stands between them (MAE, Figure 9).

    0 leaves the head, and the fresh norm before it if there is one; a half counts the MLP of a block with its norm;
    all blocks leave nothing frozen. Blocks that are frozen are not skipped by drop path either.

    Args:
        trunk: What `classifier` has made.
        num_blocks: In halves.

    Raises:
        ValueError: The number is not one of halves from 0 to the number of blocks.
    """
    blocks = named_blocks(trunk)
    if num_blocks * 2 % 1 or not 0 <= num_blocks <= len(blocks):
        raise ValueError(f"This encoder has {len(blocks)} blocks to train the last of, in halves; got {num_blocks}.")
    if num_blocks == len(blocks):
        return
    wanted = {name: parameter.requires_grad for name, parameter in trunk.named_parameters()}
    trunk.requires_grad_(False)
    first = len(blocks) - math.floor(num_blocks)
    for _, block in blocks[:first]:
        _never_skip(block)
    free = [name for name, _ in blocks[first:]] + _after(blocks, first, num_blocks)
    for name, parameter in trunk.named_parameters():
        parameter.requires_grad_(wanted[name] and name.startswith(tuple(f"{prefix}." for prefix in free)))


def _after(blocks: list[tuple[str, nn.Module]], first: int, num_blocks: float) -> list[str]:
    """Parts beside whole blocks that train."""
    free = ["head", "fc_norm"]
    if num_blocks:
        free.append("norm")
    if num_blocks % 1:
        half = blocks[first - 1][0]
        free += [f"{half}.{part}" for part in ("norm2", "mlp", "ls2")]
    # The merging before a Swin's stage follows the last block of the stage before.
    trained = blocks[first - math.ceil(num_blocks % 1) :]
    stages = [name.split(".")[1] for name, _ in trained if name.startswith("layers.")]
    free += [f"layers.{stage}.downsample" for stage in stages if stage != stages[0]]
    return free


def _never_skip(block: nn.Module) -> None:
    for name in [name for name, _ in block.named_children() if name.startswith("drop_path")]:
        setattr(block, name, nn.Identity())
