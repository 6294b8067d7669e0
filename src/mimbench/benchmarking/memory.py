"""Peak memory of a training step."""

from typing import Any

import torch
from torch import Tensor

from mimbench.benchmarking.step import MethodStep, Setting
from mimbench.methods import Method


def memory_bytes(step: MethodStep) -> tuple[int, str]:
    """Bytes that a step needs, and how they were determined: "peak" of the allocator on a GPU, else "sum".

    The sum contains weights, buffers, gradients, AdamW's moments and the tensors that the forward pass saves for the
    backward pass, each once. It does not contain temporary tensors.
    """
    if step.setting.device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        step()
        return torch.cuda.max_memory_allocated(), "peak"
    sizes: dict[int, int] = {}  # by address

    def add(x: Tensor) -> Tensor:
        sizes[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(add, lambda x: x), step.setting.autocast():
        mask = step.method.draw_mask(step.index, 0)
        loss = step.method(step.images, mask, hidden_only=True).loss
    for x in (*step.method.parameters(), *step.method.buffers()):
        add(x)
    del loss
    trained = sum(p.nbytes for p in step.method.parameters() if p.requires_grad)
    return sum(sizes.values()) + 3 * trained, "sum"


def compare_memory(method: Method, image_size: int, setting: Setting) -> dict[str, Any]:
    """Peak bytes and seconds of a step without and with gradient checkpointing in the encoder."""
    rows: dict[str, Any] = {}
    step = MethodStep(method, image_size, setting)
    for name, enable in (("plain", False), ("checkpointed", True)):
        method.encoder.set_grad_checkpointing(enable)
        step()  # the first step allocates AdamW's moments
        rows[f"{name}_bytes"], _ = memory_bytes(step)
        rows[f"{name}_seconds"] = min(sum(step().values()) for _ in range(3))
    return rows
