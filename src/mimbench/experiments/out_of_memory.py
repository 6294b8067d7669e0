"""What to do when a GPU's memory does not suffice for a training or evaluation step."""

from collections.abc import Mapping
from typing import Any

import torch


def explain_out_of_memory(config: Mapping[str, Any]) -> str:
    """One sentence each on the batch, the memory and the remedies that the configuration has not used yet."""
    trainer = config["trainer"]
    accumulate, batch = trainer["accumulate_grad_batches"], config["optim"]["batch_size"]
    devices = trainer["devices"] if type(trainer["devices"]) is int and trainer["devices"] > 0 else 1
    images = -(-batch // (devices * trainer["num_nodes"] * accumulate))
    remedies = [f"trainer.accumulate_grad_batches={2 * accumulate}, which keeps the effective batch"]
    if not trainer["grad_checkpointing"]:
        remedies.append("trainer.grad_checkpointing=true")
    if trainer["precision"] == "32-true":
        remedies.append("trainer.precision=bf16-mixed, which is another run")
    return (
        f"The GPU's memory{_size()} does not suffice for {images} images at a time (optim.batch_size={batch}). Use "
        f"{', or '.join(remedies)}; or end other programs on the GPU."
    )


def _size() -> str:
    if not torch.cuda.is_available():
        return ""
    free, total = torch.cuda.mem_get_info()
    others = total - free - torch.cuda.memory_reserved()
    return f" of {total / 2**30:.1f} GiB, {max(0, others) / 2**30:.1f} GiB of it used by others,"
