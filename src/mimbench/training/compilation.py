"""torch.compile of single blocks."""

import torch
from torch import nn

# Names of sequences of equal blocks, in timm and in our decoders.
_SEQUENCES = ("blocks",)


def compile_blocks(module: nn.Module) -> int:
    """Compiles all transformer blocks of a module in place; returns their number.

    Equal blocks share their code, so a trunk of 54 blocks compiles as fast as one of two. State dict names do not
    change; shapes are static. Code between the blocks is not compiled.
    """
    # In MIRL, the length of the decoder blocks' context differs by segment, and blocks also run on all tokens.
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
