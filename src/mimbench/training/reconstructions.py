"""Pictures of what a method predicts."""

import json
from pathlib import Path

import lightning as L
import torch
import torch.nn.functional as F
from jaxtyping import Float
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor
from torchvision.utils import make_grid, save_image

from mimbench.methods import Method

_GAP = 2  # pixels between pictures


class Reconstructions(L.Callback):
    """Saves `figures/reconstructions.png` in the run directory: image, what was visible, and every prediction.

    Targets that are no pixels have no picture; then nothing is saved.
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
        pictures = pl_module.reconstruct(images, pl_module.draw_mask(index, epoch=-2))
        if not pictures or not trainer.is_global_zero:  # all ranks computed them, since weights may be sharded
            return
        rows = denormalize(torch.cat(list(pictures.values()))).clamp(0, 1)
        rows = F.interpolate(rows, scale_factor=max(1, 96 // rows.shape[-1]))  # small pictures, large enough to see
        path = Path(trainer.default_root_dir) / "figures" / "reconstructions.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}")  # a killed run leaves no half picture
        save_image(make_grid(rows, nrow=len(images), padding=_GAP), part, format="png")
        part.replace(path)
        legend = {"rows": list(pictures), "side": rows.shape[-1], "gap": _GAP}  # for who cuts it apart again
        path.with_suffix(".json").write_text(json.dumps(legend) + "\n")


def denormalize(images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Undoes ImageNet's normalisation."""
    mean, std = (images.new_tensor(s).view(3, 1, 1) for s in (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD))
    return images * std + mean
