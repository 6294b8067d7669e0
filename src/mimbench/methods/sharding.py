"""Sharded training (FSDP2): every device keeps a part of each weight and gathers a block when it is its turn."""

from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method


def shard(method: nn.Module, encoder: nn.Module, mesh: DeviceMesh) -> None:
    """Shards a method in place: block by block, then the rest of the encoder, then the rest.

    The encoder is a part of its own, since callbacks also run it alone.
    """
    for module in list(method.modules()):
        blocks = getattr(module, "blocks", None)  # timm's name and ours for a sequence of blocks
        for block in blocks if isinstance(blocks, nn.Sequential | nn.ModuleList) else ():
            fully_shard(block, mesh=mesh)
    fully_shard(encoder, mesh=mesh, reshard_after_forward=False)  # little is left of it, and the end needs it first
    fully_shard(method, mesh=mesh)
    register_fsdp_forward_method(method, "reconstruct")
