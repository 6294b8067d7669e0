"""The training of a detector."""

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
    """Trains a detector by a recipe; logs the losses, on the validation split every epoch.

    Args:
        seed: Of the sampling of boxes and of drop path, together with epoch, batch and rank.
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
        # torchvision computes losses in training mode alone; the encoder stays in evaluation.
        self.model.rpn.train()
        self.model.heads.train()
        with drawn_from(self.seed, batch_idx, device=self.device):
            loss = total(self.model.losses(batch.images, batch.sizes, batch.targets))
        self.log("val/loss", loss, batch_size=len(batch.images), sync_dist=True)

    def configure_optimizers(self) -> Any:
        """AdamW: the encoder by layer, what is new at the full rate; the schedule by optimizer steps."""
        data, recipe = self.trainer.datamodule, self.recipe  # pyright: ignore[reportAttributeAccessIssue]
        betas = (recipe.betas[0], recipe.betas[1])
        optimizer = torch.optim.AdamW(groups(self.model, recipe), lr=recipe.lr, betas=betas, fused=True)
        steps = recipe.epochs * data.steps_per_epoch
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: recipe.rate(step, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def groups(model: Detector, recipe: DetectionRecipe) -> list[dict[str, Any]]:
    """Groups for an optimizer, see `dense_groups`."""
    trunk = model.backbone.encoder.trunk
    return dense_groups(model, trunk, recipe.lr, recipe.weight_decay, recipe.layer_decay)


def total(losses: dict[str, Float[Tensor, ""]]) -> Float[Tensor, ""]:
    """Their sum, unweighted."""
    return torch.stack(list(losses.values())).sum()
