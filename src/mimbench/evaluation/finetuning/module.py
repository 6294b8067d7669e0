"""Training of a classifier as a Lightning module."""

from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from jaxtyping import Float
from timm.data import Mixup
from timm.loss import LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from mimbench.data import Batch
from mimbench.evaluation.finetuning.augmentation import drawn_from
from mimbench.evaluation.finetuning.groups import layer_groups
from mimbench.evaluation.finetuning.recipe import FineTuneRecipe
from mimbench.optim import warmup_cosine


class FineTuning(L.LightningModule):
    """Trains a classifier with a recipe; logs loss and accuracy on the validation split after every epoch.

    Args:
        model: A classifier made by `classifier`.
        seed: Determines, with epoch, batch and rank, mixup, cutmix and drop path.
    """

    def __init__(self, model: nn.Module, recipe: FineTuneRecipe, num_classes: int, seed: int = 0):
        super().__init__()
        self.model, self.recipe, self.seed = model, recipe, seed
        self.average = None if recipe.ema is None else ModelEmaV3(model, decay=recipe.ema).requires_grad_(False)
        self.mix = mixing(recipe, num_classes)
        self.criterion = criterion(recipe)

    @property
    def evaluated(self) -> nn.Module:
        """The model that is evaluated: the moving average if the recipe has one."""
        return self.model if self.average is None else self.average.module

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits of the evaluated model."""
        return self.evaluated(images)

    def on_fit_start(self) -> None:
        """Raises ValueError for an odd number of images per device and accumulated batch, which mixup cannot pair."""
        share = self.recipe.batch_size // (self.trainer.world_size * self.trainer.accumulate_grad_batches)
        if self.mix is not None and share % 2:
            raise ValueError(
                f"Mixing needs an even number of images per device and accumulated batch, here {share}; "
                "change finetune.batch_size or trainer.accumulate_grad_batches, or set finetune.mixup and cutmix to 0."
            )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        images, labels = batch.images, batch.labels
        with drawn_from(self.seed, self.current_epoch, batch_idx, self.global_rank, device=self.device):
            if self.mix is not None:
                images, labels = self.mix(images, labels)
            loss = self.criterion(self.model(images), labels)
        self.log("train/loss", loss.detach(), batch_size=len(images))
        return loss

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        if self.average is not None:
            self.average.update(self.model)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        logits = self(batch.images)
        hits = (logits.argmax(1) == batch.labels).float().mean()
        values = {"val/loss": F.cross_entropy(logits, batch.labels), "val/accuracy": hits}
        self.log_dict(values, batch_size=len(batch.labels), sync_dist=True)

    def configure_optimizers(self) -> Any:
        """AdamW with rates by layer; warm-up and cosine schedule over all epochs, updated at every optimizer step."""
        data, recipe = self.trainer.datamodule, self.recipe  # pyright: ignore[reportAttributeAccessIssue]
        groups = layer_groups(self.model, recipe.peak_lr, recipe.weight_decay, recipe.layer_decay)
        betas = (recipe.betas[0], recipe.betas[1])
        optimizer = torch.optim.AdamW(groups, lr=recipe.peak_lr, betas=betas, fused=True)
        total = recipe.epochs * data.steps_per_epoch
        warmup = min(recipe.warmup_epochs * data.steps_per_epoch, total)
        floor = min(1.0, recipe.min_lr / recipe.peak_lr) if recipe.peak_lr else 0.0
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warmup_cosine(step, total, warmup, floor))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def mixing(recipe: FineTuneRecipe, num_classes: int) -> Mixup | None:
    """timm's mixup and cutmix: each batch uses one of them and one mixing weight, with smoothed labels."""
    if not recipe.mixes:
        return None
    return Mixup(
        mixup_alpha=recipe.mixup,
        cutmix_alpha=recipe.cutmix,
        label_smoothing=recipe.label_smoothing,
        num_classes=num_classes,
    )


def criterion(recipe: FineTuneRecipe) -> nn.Module:
    """Cross-entropy with the label smoothing of the recipe, which mixup and cutmix already apply."""
    if recipe.mixes:
        return SoftTargetCrossEntropy()
    return LabelSmoothingCrossEntropy(recipe.label_smoothing) if recipe.label_smoothing else nn.CrossEntropyLoss()
