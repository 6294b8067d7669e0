"""Training of a segmentation network as a Lightning module."""

from collections.abc import Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from mimbench.data.annotated import IGNORED
from mimbench.evaluation.finetuning.augmentation import drawn_from
from mimbench.evaluation.segmentation.data import ClassMaps
from mimbench.evaluation.segmentation.heads import pixel_loss

_AUXILIARY = 0.4


class Segmentation(L.LightningModule):
    """Cross-entropy per pixel plus 0.4 times that of the auxiliary head; AdamW, linear warm-up and linear decay to 0.

    Args:
        model: Maps images to logits and the logits of an auxiliary head or None.
        groups: Parameter groups with learning rates and weight decay.
        seed: Determines, with epoch, batch and rank, drop path and dropout.
    """

    def __init__(
        self, model: nn.Module, groups: list[dict[str, Any]], steps: int, warmup: int, betas: Sequence[float], seed: int
    ):
        super().__init__()
        self.model, self.groups, self.seed = model, groups, seed
        self.steps, self.warmup, self.betas = steps, warmup, (betas[0], betas[1])

    def training_step(self, batch: ClassMaps, batch_idx: int) -> Tensor:
        with drawn_from(self.seed, self.current_epoch, batch_idx, self.global_rank, device=self.device):
            logits, auxiliary = self.model(batch.images)
        loss = pixel_loss(logits, batch.classes, IGNORED)
        if auxiliary is not None:
            loss = loss + _AUXILIARY * pixel_loss(auxiliary, batch.classes, IGNORED)
        self.log("train/loss", loss.detach(), batch_size=len(batch.images))
        return loss

    def validation_step(self, batch: ClassMaps, batch_idx: int) -> None:
        logits, _ = self.model(batch.images)
        counted = batch.classes != IGNORED
        correct = (logits.argmax(1) == batch.classes)[counted].float().sum() / counted.sum().clamp(min=1)
        values = {"val/loss": pixel_loss(logits, batch.classes, IGNORED), "val/pixel_accuracy": correct}
        self.log_dict(values, batch_size=len(batch.images), sync_dist=True)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.groups, lr=1e-4, betas=self.betas)  # the groups set their own rates
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: warmup_linear(step, self.steps, self.warmup)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def warmup_linear(step: int, total: int, warmup: int) -> float:
    """Learning rate as a fraction of the peak: linear from 0 to 1, then linear to 0 (MMSegmentation's "poly", power 1).

    Example:
        >>> [warmup_linear(step, 8, 2) for step in (0, 1, 2, 5, 8)]
        [0.0, 0.5, 0.75, 0.375, 0.0]
    """
    return step / warmup if step < warmup else max(0.0, 1 - step / total)
