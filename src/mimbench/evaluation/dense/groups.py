"""Parameter groups of an encoder with a dense head."""

from typing import Any

from torch import nn

from mimbench.evaluation.finetuning.groups import layer_groups


def dense_groups(
    model: nn.Module, trunk: nn.Module, lr: float, weight_decay: float, layer_decay: float
) -> list[dict[str, Any]]:
    """Returns the trunk's parameters by layer with decayed rates, and all others with the rate `lr`.

    Vectors, such as biases, have no weight decay.
    """
    pretrained = {id(parameter) for parameter in trunk.parameters()}
    fresh = [p for p in model.parameters() if p.requires_grad and id(p) not in pretrained]
    return [
        *layer_groups(trunk, lr, weight_decay, layer_decay),
        {"params": [p for p in fresh if p.ndim > 1], "lr": lr, "weight_decay": weight_decay},
        {"params": [p for p in fresh if p.ndim <= 1], "lr": lr, "weight_decay": 0.0},
    ]
