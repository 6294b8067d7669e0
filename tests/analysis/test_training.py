"""The callback inside a real training."""

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from mimbench.analysis import GradientNorms, gradients, read_gradient_norms
from mimbench.data import ImageDataModule, MemorySplit, Source
from mimbench.data.source import SplitName
from mimbench.encoders import vit
from mimbench.maskers import RandomMasker
from mimbench.methods import MAE
from mimbench.optim import Recipe
from mimbench.targets import PixelTarget
from mimbench.training import pretrain


class Noise(Source):
    image_size = 16

    @property
    def classes(self) -> tuple[str, ...]:
        return ("a",)

    def split(self, name: SplitName) -> MemorySplit:
        images = torch.randint(0, 256, (24, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
        return MemorySplit(images, torch.zeros(24, dtype=torch.long))


def train(directory: Path, clip: float | None = None, every: int = 2, beside: L.Callback | None = None) -> MAE:
    torch.manual_seed(0)
    method = MAE(vit(16, 4, 16, 2, 2), RandomMasker(), PixelTarget, 16, 1, 2)
    method.recipe = Recipe(base_lr=1e-2, warmup_epochs=1)
    options = {"accelerator": "cpu", "gradient_clip_val": clip}
    data = ImageDataModule(Noise(), batch_size=8, eval_batch_size=8)
    callbacks = [*([GradientNorms(every)] if every else []), *([beside] if beside else [])]
    pretrain(method, data, directory, epochs=2, trainer_options=options, callbacks=callbacks)
    return method


class Norms(L.Callback):
    """The same by another way, at every step."""

    def __init__(self) -> None:
        self.steps: list[float] = []

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        gradients = [p.grad.flatten() for p in pl_module.encoder.trunk.blocks[0].parameters()]
        self.steps.append(float(torch.cat(gradients).norm()))


def weights(method: MAE) -> list[Tensor]:
    return list(method.state_dict().values())


def test_every_nth_step_is_logged_before_clipping(tmp_path: Path):
    beside = Norms()
    train(tmp_path, clip=1e-3, beside=beside)
    curves = read_gradient_norms(tmp_path / "metrics.csv")
    assert {k: [step for step, _ in points] for k, points in curves.items()} == {k: [0, 2, 4] for k in range(3)}
    assert [norm for _, norm in curves[1]] == pytest.approx(beside.steps[::2], rel=1e-5)
    assert min(beside.steps) > 1e-3


def test_logging_changes_nothing_and_the_steps_between_cost_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls: list[int] = []
    monkeypatch.setattr(gradients, "get_total_norm", lambda g: (calls.append(1), get_total_norm(g))[1])
    logged, silent = train(tmp_path / "logged", every=3), train(tmp_path / "silent", every=0)
    assert len(calls) == 2 * 3  # steps 0 and 3 of six, three depths
    assert all(torch.equal(a, b) for a, b in zip(weights(logged), weights(silent), strict=True))
