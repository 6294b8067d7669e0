"""Images of a method's predictions during training."""

import json
from pathlib import Path

import lightning as L
import torch
import torch.nn.functional as F
from torchvision.utils import make_grid, save_image

from mimbench.core import denormalize
from mimbench.core.files import replacing, write_atomic
from mimbench.methods import Method
from mimbench.methods.hidden import composite
from mimbench.runs.directory import FIGURES, RECONSTRUCTIONS, RECONSTRUCTIONS_LEGEND

_GAP = 2  # pixels between images


class Reconstructions(L.Callback):
    """Saves `figures/reconstructions.png` in the run directory: images, their visible part, and every prediction.

    Saves nothing for targets other than pixels.
    """

    def __init__(self, every_n_epochs: int = 50, num_images: int = 8):
        self.every_n_epochs = every_n_epochs
        self.num_images = num_images

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if (trainer.current_epoch + 1) % self.every_n_epochs == 0:
            self._save(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._save(trainer, pl_module)

    @torch.no_grad()
    def _save(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not isinstance(pl_module, Method):
            return
        batch = next(iter(trainer.datamodule.plain("val")))  # pyright: ignore[reportAttributeAccessIssue]
        images, index = (part[: self.num_images].to(pl_module.device) for part in (batch.images, batch.index))
        mask = pl_module.draw_mask(index, epoch=-2)
        predicted = pl_module.to_images(images, pl_module(images, mask).predictions)
        if not predicted or not trainer.is_global_zero:  # all ranks take part in the forward pass of sharded weights
            return
        panels = composite(images, predicted, mask)
        rows = denormalize(torch.cat(list(panels.values()))).clamp(0, 1)
        rows = F.interpolate(rows, scale_factor=max(1, 96 // rows.shape[-1]))  # enlarges small images
        path = Path(trainer.default_root_dir) / FIGURES / RECONSTRUCTIONS
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            save_image(make_grid(rows, nrow=len(images), padding=_GAP), file, format="png")
        # Reports need the legend to cut the figure into single images.
        legend = {"rows": list(panels), "side": rows.shape[-1], "gap": _GAP}
        write_atomic(path.with_name(RECONSTRUCTIONS_LEGEND), json.dumps(legend) + "\n")
