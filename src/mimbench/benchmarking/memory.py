"""What a training step holds at its largest."""

from typing import Any

import torch
from torch import Tensor

from mimbench.benchmarking.step import MethodStep, Setting
from mimbench.methods import Method


def held_bytes(step: MethodStep) -> tuple[int, str]:
    """Bytes of memory in a step, and how that is known: the allocator's peak on a GPU, else a sum.

    The sum is that of weights, buffers, gradients, AdamW's moments and every tensor that the forward pass keeps for
    the backward pass, each once; temporary tensors come on top.
    """
    if step.setting.device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        step()
        return torch.cuda.max_memory_allocated(), "peak"
    kept: dict[int, int] = {}

    def keep(x: Tensor) -> Tensor:
        kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x), step.setting.autocast():
        mask = step.method.draw_mask(step.index, 0)
        loss = step.method(step.images, mask, hidden_only=True).loss
    for x in (*step.method.parameters(), *step.method.buffers()):
        kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
    del loss
    trained = sum(p.nbytes for p in step.method.parameters() if p.requires_grad)
    return sum(kept.values()) + 3 * trained, "sum"


def compare_memory(method: Method, image_size: int, setting: Setting) -> dict[str, Any]:
    """Peak bytes and seconds of a step, with gradient checkpointing in the encoder and without."""
    rows: dict[str, Any] = {}
    step = MethodStep(method, image_size, setting)
    for name, enable in (("plain", False), ("checkpointed", True)):
        method.encoder.set_grad_checkpointing(enable)
        step()  # the first one also makes AdamW's moments
        rows[f"{name}_bytes"], _ = held_bytes(step)
        rows[f"{name}_seconds"] = min(sum(step().values()) for _ in range(3))
    return rows
