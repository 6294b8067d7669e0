"""Norm of the gradient at each depth, during training or on one batch."""

import csv
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from mimbench.core import Mask
from mimbench.encoders import Encoder
from mimbench.methods import Method

_METRIC = "gradient_norm/depth"
_UNIT = re.compile(r"(?:blocks|layers)\.(\d+)\.(downsample\.)?")


class GradientNorms(L.Callback):
    """Logs `gradient_norm/depth<k>` of the encoder every few steps, before gradients are clipped.

    A logged step waits for the device once; other steps cost nothing.
    """

    def __init__(self, every_n_steps: int = 50):
        if every_n_steps < 1:
            raise ValueError(f"every_n_steps must be at least 1, got {every_n_steps}.")
        self.every_n_steps = every_n_steps

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Any) -> None:
        if trainer.global_step % self.every_n_steps or not isinstance(pl_module, Method):
            return
        units = unit_parameters(pl_module.encoder)
        gradients = {k: [p.grad for p in own if p.grad is not None] for k, own in units.items()}
        # Directly to the loggers, since Lightning drops values of steps that it does not log.
        values = _by_depth(gradients)
        for logger in trainer.loggers:
            logger.log_metrics({f"{_METRIC}{k}": value for k, value in values.items()}, step=trainer.global_step)


def gradient_norms(method: Method, images: Float[Tensor, "b c h w"], mask: Mask) -> dict[int, float]:
    """Norm of the gradient of the loss by encoder depth on one batch; the `.grad` of parameters is not changed."""
    units = unit_parameters(method.encoder)
    parameters = [parameter for own in units.values() for parameter in own]
    with torch.enable_grad():
        found = iter(torch.autograd.grad(method(images, mask).loss, parameters, allow_unused=True))
    gradients = {k: [g for g in (next(found) for _ in own) if g is not None] for k, own in units.items()}
    return _by_depth(gradients)


def unit_parameters(encoder: Encoder) -> dict[int, list[nn.Parameter]]:
    """Trained parameters of the trunk by depth; 0 is the embedding, and L includes the final norm.

    Patch merging of a Swin belongs to the stage before it, as in the encoder.
    """
    units: dict[int, list[nn.Parameter]] = {depth: [] for depth in range(encoder.depth + 1)}
    for name, parameter in encoder.trunk.named_parameters():
        if parameter.requires_grad:
            units[_depth_of(name, encoder.depth)].append(parameter)
    return units


def read_gradient_norms(path: Path) -> dict[int, list[tuple[int, float]]]:
    """(step, norm) by depth from the `metrics.csv` of a run; empty if none were logged.

    Incomplete rows of a killed run are skipped.
    """
    curves: dict[int, list[tuple[int, float]]] = {}
    if not path.is_file():
        return curves
    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            depth = (row.get("metric") or "").removeprefix(_METRIC)
            try:
                point = int(row["step"]), float(row["value"])
                if depth != row["metric"] and math.isfinite(point[1]):
                    curves.setdefault(int(depth), []).append(point)
            except (KeyError, TypeError, ValueError):
                continue
    return dict(sorted(curves.items()))


def _by_depth(gradients: dict[int, list[Tensor]]) -> dict[int, float]:
    """L2 norms, with a single wait for the device."""
    known = {k: _whole(get_total_norm(own)) for k, own in gradients.items() if own}
    if not known:
        return dict.fromkeys(gradients, 0.0)
    return dict.fromkeys(gradients, 0.0) | dict(zip(known, torch.stack(list(known.values())).tolist(), strict=True))


def _whole(norm: Tensor) -> Tensor:
    """Sums over all devices if the weights are sharded (FSDP)."""
    gather: Callable[[], Tensor] | None = getattr(norm, "full_tensor", None)
    return norm if gather is None else gather()


def _depth_of(name: str, last: int) -> int:
    if name.startswith("norm."):
        return last
    found = _UNIT.match(name)
    return 0 if found is None else int(found[1]) + (found[2] is None)
