"""Sharded training (FSDP2): every device stores a part of each weight and gathers a block when it is needed."""

from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard


def shard(method: nn.Module, encoder: nn.Module, mesh: DeviceMesh) -> None:
    """Shards a method in place: every block, then the rest of the encoder, then everything else.

    The encoder is a separate unit, since callbacks also run it alone.
    """
    for module in list(method.modules()):
        blocks = getattr(module, "blocks", None)  # the name of a sequence of blocks in timm and in our decoders
        for block in blocks if isinstance(blocks, nn.Sequential | nn.ModuleList) else ():
            fully_shard(block, mesh=mesh)
    fully_shard(encoder, mesh=mesh, reshard_after_forward=False)  # small, and the backward pass needs it first
    fully_shard(method, mesh=mesh)
