"""Training of a detector as a Lightning module."""

from typing import Any

import lightning as L
import torch
from jaxtyping import Float
from torch import Tensor

from mimbench.evaluation.dense.groups import dense_groups
from mimbench.evaluation.detection.data import DetectionBatch
from mimbench.evaluation.detection.detector import Detector
from mimbench.evaluation.detection.recipe import DetectionRecipe
from mimbench.evaluation.finetuning.augmentation import drawn_from


class DetectionTraining(L.LightningModule):
    """Trains a detector with a recipe; logs the training losses, and the validation loss after every epoch.

    Args:
        seed: Determines, with epoch, batch and rank, the sampled boxes and the blocks skipped by drop path.
    """

    def __init__(self, model: Detector, recipe: DetectionRecipe, seed: int = 0):
        super().__init__()
        self.model, self.recipe, self.seed = model, recipe, seed

    def training_step(self, batch: DetectionBatch, batch_idx: int) -> Tensor:
        with drawn_from(self.seed, self.current_epoch, batch_idx, self.global_rank, device=self.device):
            losses = self.model.losses(batch.images, batch.sizes, batch.targets)
        loss = total(losses)
        self.log("train/loss", loss.detach(), batch_size=len(batch.images))
        parts = {f"train/{name}": value.detach() for name, value in losses.items()}
        self.log_dict(parts, batch_size=len(batch.images))
        return loss

    def validation_step(self, batch: DetectionBatch, batch_idx: int) -> None:
        # torchvision computes losses only in training mode; the encoder stays in evaluation mode.
        self.model.rpn.train()
        self.model.heads.train()
        with drawn_from(self.seed, batch_idx, device=self.device):
            loss = total(self.model.losses(batch.images, batch.sizes, batch.targets))
        self.log("val/loss", loss, batch_size=len(batch.images), sync_dist=True)

    def configure_optimizers(self) -> Any:
        """AdamW with layer-wise rates for the encoder and the full rate for new parameters; scheduled by steps."""
        data, recipe = self.trainer.datamodule, self.recipe  # pyright: ignore[reportAttributeAccessIssue]
        betas = (recipe.betas[0], recipe.betas[1])
        optimizer = torch.optim.AdamW(groups(self.model, recipe), lr=recipe.lr, betas=betas, fused=True)
        steps = recipe.epochs * data.steps_per_epoch
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: recipe.rate(step, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def groups(model: Detector, recipe: DetectionRecipe) -> list[dict[str, Any]]:
    """Parameter groups of a detector; see `dense_groups`."""
    trunk = model.backbone.encoder.trunk
    return dense_groups(model, trunk, recipe.lr, recipe.weight_decay, recipe.layer_decay)


def total(losses: dict[str, Float[Tensor, ""]]) -> Float[Tensor, ""]:
    """Unweighted sum of the losses."""
    return torch.stack(list(losses.values())).sum()
