"""A training step that returns its times."""

import contextlib
from dataclasses import dataclass

import torch
from torch import Tensor

from mimbench.benchmarking.counting import make_targets
from mimbench.benchmarking.stopwatch import Stopwatch
from mimbench.methods import Method

DTYPES = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16}
PARTS = ("mask", "forward", "backward", "optimizer")


@dataclass(frozen=True)
class Setting:
    """Device, batch size and precision of a measurement.

    Attributes:
        batch: Images per step.
        precision: "32-true" or "bf16-mixed", as in the trainer.
    """

    device: torch.device
    batch: int
    precision: str = "32-true"

    @property
    def dtype(self) -> torch.dtype:
        """The type in which matrix products are computed."""
        return DTYPES[self.precision]

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """The context of the forward pass."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def images(self, side: int) -> Tensor:
        """A batch of noise; the content of an image does not change times."""
        return torch.randn(self.batch, 3, side, side, generator=torch.Generator().manual_seed(0)).to(self.device)


class MethodStep:
    """Mask, forward pass, backward pass and optimizer, always on the same images.

    Each call runs one step and returns the seconds of its parts.
    """

    def __init__(self, method: Method, image_size: int, setting: Setting):
        self.setting = setting
        self.method = method.to(setting.device).train()
        self.images = setting.images(image_size)
        self.index = torch.arange(setting.batch, device=setting.device)
        self.optimizer = method.recipe.optimizer(method, setting.batch)
        self.epoch = 0

    def __call__(self) -> dict[str, float]:
        watch, self.epoch = Stopwatch(self.setting.device), self.epoch + 1
        with self.setting.autocast():
            mask = self.method.draw_mask(self.index, self.epoch, self.epoch)
            watch.mark("mask")
            loss = self.method(self.images, mask, hidden_only=True).loss
        watch.mark("forward")
        loss.backward()
        watch.mark("backward")
        self.optimizer.step()
        self.optimizer.zero_grad()
        watch.mark("optimizer")
        return watch.seconds()

    def targets(self) -> dict[str, float]:
        """The seconds of computing the targets alone; in a step they are part of the forward pass."""
        mask = self.method.draw_mask(self.index, self.epoch)
        watch = Stopwatch(self.setting.device)
        make_targets(self.method, self.images, mask)
        watch.mark("targets")
        return watch.seconds()
