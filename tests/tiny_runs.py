"""Something tiny to train: noise for images, a ViT of width 16."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from mimbench.data import ImageDataModule, MemorySplit, Source
from mimbench.encoders.vit import vit
from mimbench.maskers import MultiBlockMasker, RandomMasker
from mimbench.methods import IJEPA, MAE, MFF, CrossMAE, Method, SimMIM
from mimbench.optim import Recipe
from mimbench.targets import LatentTarget, PixelTarget
from mimbench.training import Pretraining, pretrain

NUM_TRAIN, BATCH = 48, 16  # three steps per epoch
RECIPE = Recipe(base_lr=2e-2, warmup_epochs=1)


class Noise(Source):
    """Random images."""

    image_size = 32

    @property
    def classes(self) -> tuple[str, ...]:
        return ("a", "b")

    def split(self, name: str) -> MemorySplit:
        size = {"train": NUM_TRAIN, "val": 8, "test": 4}[name]
        draws = torch.Generator().manual_seed(size)
        images = torch.randint(0, 256, (size, 3, 32, 32), dtype=torch.uint8, generator=draws)
        return MemorySplit(images, torch.arange(size) % 2)


def make_method(target: Callable[[int], Any] = PixelTarget, recipe: Recipe = RECIPE) -> MAE:
    """The same weights every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        method = MAE(vit(32, 8, 16, 2, 2), RandomMasker(), target, dim=16, num_blocks=1, num_heads=2)
    method.recipe = recipe
    return method


def make_newer(name: str, recipe: Recipe = RECIPE) -> Method:
    """A method beyond the four papers with the same weights every time: "mff", "crossmae", "simmim" or "ijepa"."""
    sizes: dict[str, Any] = {"dim": 16, "num_blocks": 1, "num_heads": 2}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder, masker = vit(32, 8, 16, 2, 2), RandomMasker()
        if name == "ijepa":
            method = IJEPA(vit(32, 4, 16, 2, 2, class_token=False), MultiBlockMasker(), LatentTarget, **sizes)
        elif name == "simmim":
            method = SimMIM(encoder, masker, PixelTarget)
        else:
            method = {"mff": MFF, "crossmae": CrossMAE}[name](encoder, masker, PixelTarget, **sizes)
    method.recipe = recipe
    return method


def make_data(num_workers: int = 0, batch_size: int = BATCH) -> ImageDataModule:
    return ImageDataModule(Noise(), batch_size=batch_size, eval_batch_size=8, num_workers=num_workers)


@dataclass
class Run:
    """A run directory that can be trained in, and what is in it."""

    directory: Path
    options: dict[str, Any] = field(default_factory=dict)
    num_workers: int = 0
    batch_size: int = BATCH

    def train(self, callbacks: Iterable[L.Callback] = (), method: Method | None = None, **more: Any) -> Pretraining:
        options = {"checkpoint_every_n_epochs": 1} | self.options | more
        options |= {} if options.keys() & {"steps", "epochs", "seconds"} else {"epochs": 2}
        trainer_options = {"accelerator": "cpu"} | options.pop("trainer_options", {})
        self.method = method or make_method()
        data = make_data(self.num_workers, self.batch_size)
        chosen = list(callbacks)
        return pretrain(self.method, data, self.directory, trainer_options=trainer_options, callbacks=chosen, **options)

    @property
    def weights(self) -> dict[str, Tensor]:
        return self.method.state_dict()

    @property
    def rows(self) -> list[str]:
        """What was logged, without what depends on the clock."""
        lines = (self.directory / "metrics.csv").read_text().splitlines()
        return [line for line in lines if "throughput" not in line]

    def values(self, metric: str) -> list[tuple[int, float]]:
        split = [row.split(",") for row in self.rows[1:]]
        return [(int(step), float(value)) for step, name, value in split if name == metric]

    @property
    def checkpoint(self) -> Path:
        return self.directory / "checkpoints" / "last.ckpt"

    def same(self, other: "Run") -> bool:
        """Whether weights are bit-identical and all rows equal."""
        mine, theirs = self.weights, other.weights
        return all(torch.equal(mine[name], theirs[name]) for name in mine) and self.rows == other.rows


class Do(L.Callback):
    """Calls a function the n-th time that a hook is called."""

    def __init__(self, hook: str, times: int, action: Callable[..., None]):
        self.left, self.action = times, action
        setattr(self, hook, self._called)

    def _called(self, *args: Any, **kwargs: Any) -> None:
        self.left -= 1
        if self.left == 0:
            self.action(*args[:2])
