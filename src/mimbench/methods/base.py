"""Masked image modeling as a composition of exchangeable parts."""

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import lightning as L
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from mimbench.core import Grid, Mask, Regions, Tokens, generator, keys
from mimbench.data import Batch
from mimbench.encoders import Encoder
from mimbench.maskers import Masker, MultiBlockMasker
from mimbench.methods.sharding import shard
from mimbench.optim import Recipe
from mimbench.targets import Target


@dataclass(frozen=True)
class Output:
    """Results of one forward pass.

    Attributes:
        loss: The objective.
        terms: The loss of every branch, before combination.
        predictions: Predictions of all cells, or of the hidden ones; one tensor "b n d" per branch.
        mask: The mask that was applied, or the regions.
    """

    loss: Float[Tensor, ""]
    terms: dict[str, Float[Tensor, ""]]
    predictions: list[Tensor]
    mask: Any


class Method(L.LightningModule, ABC):
    """Draws a mask, encodes the visible patches and predicts the hidden ones.

    A subclass defines the `depths` it reads, turns their tokens into predictions and compares these with targets.
    Training is the same for all methods: `Trainer().fit(MAE(...), datamodule)`.

    Attributes:
        depths: The encoder's depths that the method reads, ascending.
        recipe: The optimizer and its schedule.
        seed: Seed of the masks, which also depend on the epoch and on the image's index in its split.
        mask_token: Replaces hidden patches in the encoder; None if the encoder receives only the visible patches.
        predicted_ratio: Fraction of all cells that are predicted; None if all hidden cells are.
        normed: Whether the encoder's final norm is applied to the last depth.
        keeps_average: Whether a moving average of the encoder is part of the method.
        draws_regions: Whether the masker draws regions instead of masks; the arguments called `mask` then are regions.
    """

    depths: tuple[int, ...]
    draws_regions: bool = False
    keeps_average: bool = False
    predicted_ratio: float | None = None
    normed: bool = True
    recipe: Recipe = Recipe()
    seed: int = 0

    def __init__(self, encoder: Encoder, masker: Masker, encode_hidden: bool = False):
        super().__init__()
        if isinstance(masker, MultiBlockMasker) is not self.draws_regions:
            wanted = "masker=multiblock" if self.draws_regions else "another masker, such as masker=random"
            name = f"{type(self).__name__} and {type(masker).__name__}"
            raise ValueError(f"{name} do not work together; use {wanted}.")
        if not self.draws_regions:
            masker.num_visible(encoder.mask_grid)  # raises ValueError if the grid is too small for the ratio
        self.encoder = encoder
        self.masker = masker
        self.mask_token: nn.Parameter | None = None
        if encode_hidden:
            self.mask_token = nn.Parameter(nn.init.normal_(torch.empty(1, 1, encoder.taps[0].width), std=0.02))

    @property
    def mask_grid(self) -> Grid:
        """The grid on which masks are drawn; the encoder's unless overridden."""
        return self.encoder.mask_grid

    def encode(
        self, images: Float[Tensor, "b c h w"], mask: Any, depths: Collection[int] | None = None
    ) -> dict[int, Tokens]:
        """The encoder's tokens, by default at the method's depths."""
        return self.encoder(images, self.depths if depths is None else depths, mask, self.mask_token, self.normed)

    @abstractmethod
    def predict(self, features: dict[int, Tokens], mask: Mask | None = None) -> list[Tensor]:
        """Predictions for every cell, one tensor "b n d" per branch.

        Args:
            mask: With a mask, a branch may predict only the hidden cells, "b m d" in the order of `Mask.cells`.
        """

    @abstractmethod
    def losses(
        self, images: Float[Tensor, "b c h w"], predictions: list[Tensor], mask: Mask
    ) -> dict[str, Float[Tensor, ""]]:
        """The loss of every branch; accepts predictions of all cells or of the hidden ones."""

    @property
    def branches(self) -> Sequence[tuple[int, Target]]:
        """Depth and target of every prediction, for figures; empty if predictions are not of targets."""
        return ()

    def to_images(self, images: Float[Tensor, "b c h w"], predictions: list[Tensor]) -> dict[str, Tensor]:
        """Predictions of pixels as normalized images "b c h w" by name; empty unless overridden."""
        return {}

    def combine(self, terms: Sequence[Float[Tensor, ""]]) -> Float[Tensor, ""]:
        """The objective; the plain sum unless overridden."""
        return torch.stack(list(terms)).sum()

    def forward(
        self, images: Float[Tensor, "b c h w"], mask: Mask | Regions | None = None, hidden_only: bool = False
    ) -> Output:
        """One forward pass.

        Args:
            mask: By default drawn from PyTorch's global generator.
            hidden_only: Whether to skip predictions that the loss does not use; the loss is the same.
        """
        drawn: Any = self.draw_any(len(images), images.device) if mask is None else mask
        features = self.encode(images, drawn)
        predictions = self.predict(features, drawn if hidden_only or self.draws_regions else None)
        terms = self.losses(images, predictions, drawn)
        return Output(self.combine(list(terms.values())), terms, predictions, drawn)

    def draw_any(self, batch: int, device: Any, seed: int | None = None) -> Any:
        """Masks for `batch` images, by default from PyTorch's global generator."""
        draws = None if seed is None else generator(seed)
        return self.masker(batch, self.mask_grid, device, draws, self.predicted_ratio)

    @property
    def exported(self) -> Encoder:
        """The encoder that is exported and evaluated."""
        return self.encoder

    def start_from_encoder(self) -> None:
        """Is called after weights were loaded into the encoder alone."""

    def draw_mask(self, index: Int64[Tensor, " b"], epoch: int, step: int = 0) -> Any:
        """The masks of images in an epoch, independent of batch and device.

        A shared mask depends on the step instead of the image, so that all devices and accumulated batches share it.

        Args:
            index: Indices of the images in their split.
        """
        index = torch.full_like(index, step) if self.masker.shared else index
        return self.masker.from_keys(keys(index, self.seed, epoch), self.mask_grid, self.predicted_ratio)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        output = self(batch.images, self.draw_mask(batch.index, self.current_epoch, self.global_step), hidden_only=True)
        self._log_training(_values("train", output), batch_idx)
        return output.loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        mask = self.draw_mask(batch.index, -1, batch_idx)  # the same in every epoch
        output = self(batch.images, mask, hidden_only=True)
        self.log_dict(_values("val", output), batch_size=len(batch.images), sync_dist=True)

    def _log_training(self, values: dict[str, Tensor], batch_idx: int) -> None:
        """Logs once per optimizer step: means over all devices and accumulated batches."""
        accumulate = self.trainer.accumulate_grad_batches
        new = torch.stack(list(values.values()))
        self._sums = new if batch_idx % accumulate == 0 else self._sums + new
        if (batch_idx + 1) % accumulate == 0:
            strategy: Any = self.trainer.strategy
            means: Tensor = strategy.reduce(self._sums / accumulate, reduce_op="mean")
            self.log_dict(dict(zip(values, means, strict=True)))

    def configure_model(self) -> None:
        """Shards the method if the trainer's strategy is FSDP2."""
        if self.device_mesh is not None and not isinstance(self, FSDPModule):
            shard(self, self.encoder, self.device_mesh["data_parallel"])

    def configure_optimizers(self) -> Any:
        """The recipe's optimizer, and its schedule over the trainer's steps.

        Raises:
            ValueError: The trainer has no datamodule, which defines the effective batch size.
        """
        data = getattr(self.trainer, "datamodule", None)
        if data is None:
            raise ValueError("Pass an ImageDataModule to Trainer.fit; its batch_size scales the learning rate.")
        trainer = self.trainer

        def total_steps() -> float:  # called at every step, since a budget of seconds sets it during training
            epochs = math.inf if trainer.max_epochs in (None, -1) else trainer.max_epochs
            return trainer.max_steps if trainer.max_steps > 0 else epochs * data.steps_per_epoch

        self.total_steps = total_steps
        optimizer = self.recipe.optimizer(self, data.batch_size)
        scheduler = self.recipe.scheduler(optimizer, total_steps, data.steps_per_epoch)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips the gradients as the recipe says; without a limit in the recipe, as the trainer says."""
        if self.recipe.clip_norm is not None:
            gradient_clip_val, gradient_clip_algorithm = self.recipe.clip_norm, "norm"
        super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)


def _values(stage: str, output: Output) -> dict[str, Tensor]:
    """The loss, and its terms if there are several, by the names under which they are logged."""
    terms = output.terms if len(output.terms) > 1 else {}
    values = {"loss": output.loss} | {f"loss_{name}": term for name, term in terms.items()}
    return {f"{stage}/{name}": value.detach() for name, value in values.items()}


def check_depths(depths: Sequence[int], encoder: Encoder, first: int = 1) -> tuple[int, ...]:
    """Validates depths and returns them as a tuple.

    Args:
        first: The smallest depth that the method can read.

    Raises:
        ValueError: A depth is out of range, repeated or out of order.
    """
    if list(depths) != sorted(set(depths)) or not depths or not first <= depths[0] <= depths[-1] <= encoder.depth:
        raise ValueError(f"Depths must ascend from {first} to {encoder.depth} without repeats, got {list(depths)}.")
    return tuple(depths)


def check_output(depths: Sequence[int], encoder: Encoder) -> None:
    """Raises ValueError if the depths end before the encoder's output, so that deeper units would not be trained."""
    if depths[-1] != encoder.depth:
        raise ValueError(
            f"Units above depth {depths[-1]} would not be trained; let method.depths end with {encoder.depth}."
        )


def check_one_grid(what: str, depths: Sequence[int], encoder: Encoder) -> None:
    """Raises ValueError if the depths have tokens of different grids or widths.

    Args:
        what: Method and verb.
    """
    if len({(encoder.taps[depth].grid, encoder.taps[depth].width) for depth in depths}) > 1:
        same = [depth for depth, tap in enumerate(encoder.taps) if tap == encoder.taps[-1]]
        raise ValueError(
            f"{what} depths with equal grids, but depths {list(depths)} have grids of different sizes; use a ViT, or "
            f"method.depths={same}."
        )
