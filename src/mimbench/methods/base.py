"""Masked image modelling as a composition of exchangeable parts."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import lightning as L
import torch
from jaxtyping import Float
from torch import Tensor

from mimbench.core import Mask, Tokens, generator
from mimbench.data import Batch
from mimbench.encoders import Encoder
from mimbench.maskers import Masker
from mimbench.optim import Recipe
from mimbench.targets import Target


@dataclass(frozen=True)
class Output:
    """What one pre-training step computes.

    Attributes:
        loss: What is minimised.
        terms: The loss by branch, before they are combined.
        predictions: Target vectors of every cell, one tensor "b n d" per branch.
        mask: What was hidden.
    """

    loss: Float[Tensor, ""]
    terms: dict[str, Float[Tensor, ""]]
    predictions: list[Tensor]
    mask: Mask


class Method(L.LightningModule, ABC):
    """Draws a mask, encodes what is visible, predicts what is hidden.

    A subclass names the `depths` it reads, turns their tokens into predictions and compares these with targets.
    Training is the same for all: `Trainer().fit(MAE(...), datamodule)`.

    Attributes:
        depths: The encoder's depths that the method reads, ascending.
        recipe: How to optimise.
        seed: Seeds the masks, together with epoch, batch and rank.
    """

    depths: tuple[int, ...]
    recipe: Recipe = Recipe()
    seed: int = 0

    def __init__(self, encoder: Encoder, masker: Masker):
        super().__init__()
        masker.num_visible(encoder.mask_grid)  # refuses a ratio the grid is too small for
        self.encoder = encoder
        self.masker = masker

    @abstractmethod
    def predict(self, features: dict[int, Tokens]) -> list[Tensor]:
        """Predictions for every cell, one tensor "b n d" per branch."""

    @abstractmethod
    def losses(
        self, images: Float[Tensor, "b c h w"], predictions: list[Tensor], mask: Mask
    ) -> dict[str, Float[Tensor, ""]]:
        """The loss by branch."""

    def paint(self, images: Float[Tensor, "b c h w"], predictions: list[Tensor]) -> dict[str, Tensor]:
        """Predictions as images "b c h w" by name, for those that are pixels; none unless overridden."""
        return {}

    def combine(self, terms: Sequence[Float[Tensor, ""]]) -> Float[Tensor, ""]:
        """The objective; the plain sum unless overridden."""
        return torch.stack(list(terms)).sum()

    def forward(self, images: Float[Tensor, "b c h w"], mask: Mask | None = None) -> Output:
        """One forward pass; without a mask one is drawn from PyTorch's default generator."""
        if mask is None:
            mask = self.masker(len(images), self.encoder.mask_grid, images.device)
        predictions = self.predict(self.encoder(images, self.depths, mask))
        terms = self.losses(images, predictions, mask)
        return Output(self.combine(list(terms.values())), terms, predictions, mask)

    @torch.no_grad()
    def reconstruct(self, images: Float[Tensor, "b c h w"], mask: Mask) -> dict[str, Float[Tensor, "b c h w"]]:
        """The image, what was visible of it, and every prediction put where it was hidden; empty without pixels."""
        painted = self.paint(images, self.predict(self.encoder(images, self.depths, mask)))
        hidden = mask.weights((images.shape[2], images.shape[3])).reshape(len(images), 1, *images.shape[2:]) > 0
        pictures = {name: torch.where(hidden, picture, images) for name, picture in painted.items()}
        return {"image": images, "visible": images * ~hidden} | pictures if pictures else {}

    def draw_mask(self, images: Float[Tensor, "b c h w"], *key: int) -> Mask:
        """A mask that depends on the seed and `key` alone."""
        draws = generator(self.seed, *key, device=images.device)
        return self.masker(len(images), self.encoder.mask_grid, images.device, draws)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        mask = self.draw_mask(batch.images, self.current_epoch, batch_idx, self.global_rank)
        output = self(batch.images, mask)
        self._log("train", output, len(batch.images))
        return output.loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        mask = self.draw_mask(batch.images, -1, batch_idx, self.global_rank)  # the same in every epoch
        self._log("val", self(batch.images, mask), len(batch.images))

    def _log(self, stage: str, output: Output, batch_size: int) -> None:
        values = {f"{stage}/loss": output.loss.detach()}
        if len(output.terms) > 1:
            values |= {f"{stage}/loss_{name}": term.detach() for name, term in output.terms.items()}
        self.log_dict(values, batch_size=batch_size, sync_dist=stage == "val")

    def configure_optimizers(self) -> Any:
        """The recipe's optimiser, and its schedule to the end of the trainer's steps.

        Raises:
            ValueError: The trainer has no datamodule to tell the effective batch.
        """
        data = getattr(self.trainer, "datamodule", None)
        if data is None:
            raise ValueError("Fit a method with an ImageDataModule; its batch_size scales the learning rate.")
        trainer = self.trainer
        total = trainer.max_steps if trainer.max_steps > 0 else (trainer.max_epochs or 0) * data.steps_per_epoch
        optimizer = self.recipe.optimizer(self, data.batch_size)
        scheduler = self.recipe.scheduler(optimizer, total, data.steps_per_epoch)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def hidden_mean(
    target: Target,
    images: Float[Tensor, "b c h w"],
    value: Float[Tensor, "b n d"],
    prediction: Float[Tensor, "b n d"],
    mask: Mask,
) -> Float[Tensor, ""]:
    """Error of a prediction, averaged over what was hidden."""
    weights = mask.weights(target.grid(images))
    return (target.error(prediction, value) * weights).sum() / weights.sum()


def check_depths(depths: Sequence[int], encoder: Encoder) -> tuple[int, ...]:
    """Depths as a tuple, ascending and within the encoder.

    Raises:
        ValueError: A depth is out of range, repeated or out of order.
    """
    if list(depths) != sorted(set(depths)) or not depths or not 1 <= depths[0] <= depths[-1] <= encoder.depth:
        raise ValueError(f"Depths must ascend from 1 to {encoder.depth} without repeats, got {list(depths)}.")
    return tuple(depths)
