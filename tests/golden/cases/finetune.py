"""MAE's released fine-tuning model, known by its names and its size."""

from typing import Any

from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from cases.base import Case, Run
from mimbench.weights import MAE_FINETUNE_FORMAT


class MAEFinetuneCase(Case):
    """`VisionTransformer` of facebookresearch/mae, which is timm's with a norm behind the mean of the patches."""

    source = ("facebookresearch/mae", "models_vit.py")
    format = MAE_FINETUNE_FORMAT

    def infer(self) -> dict[str, Any]:
        head = {"num_classes": self.shapes["head.bias"][0], "global_pool": "fc_norm.bias" in self.shapes}
        return self.vit_sizes() | head

    def build(self) -> VisionTransformer:
        c = self.config
        return VisionTransformer(
            img_size=c["img_size"],
            patch_size=c["patch_size"],
            embed_dim=c["embed_dim"],
            depth=c["depth"],
            num_heads=c["num_heads"],
            mlp_ratio=c["mlp_ratio"],
            num_classes=c["num_classes"],
            global_pool="avg" if c["global_pool"] else "token",
            weight_init="skip",
        )

    def observe(self, run: Run) -> dict[str, Tensor | list[Any]]:
        return {}


CASE = MAEFinetuneCase
