"""torch.compile block by block."""

import torch
from torch import nn

# timm's names and ours for a sequence of equal blocks.
_SEQUENCES = ("blocks",)


def compile_blocks(module: nn.Module) -> int:
    """Compiles every transformer block below a module in place; returns how many there are.

    Equal blocks share their code, so that a trunk of 54 blocks is compiled as fast as one of two. Names in state
    dicts stay; shapes are static. What lies between the blocks is not compiled.
    """
    # A MIRL's decoder blocks have a context of another length in every segment, and are also called on all tokens.
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 64)
    count = 0
    for parent in module.modules():
        for name in _SEQUENCES:
            blocks = getattr(parent, name, None)
            if isinstance(blocks, nn.Sequential | nn.ModuleList):
                for block in blocks:
                    block.compile(dynamic=False)
                    count += 1
    return count
