"""MAE's released pre-training model."""

from functools import partial
from typing import Any, ClassVar

from torch import Tensor

from cases.base import NORM, VIT, Case, Run, count
from mimbench.methods import MAE
from mimbench.targets import PixelTarget
from mimbench.targets.pixel import patchify
from mimbench.weights import MAE_FORMAT


class MAECase(Case):
    """`MaskedAutoencoderViT` of facebookresearch/mae."""

    source = ("facebookresearch/mae", "models_mae.py")
    format = MAE_FORMAT
    reads = VIT | {"decoder_embed_dim", "decoder_depth", "decoder_num_heads", "norm_pix_loss"}
    assumes: ClassVar = {"norm_layer": NORM}

    def infer(self) -> dict[str, Any]:
        dim = self.shapes["mask_token"][2]
        decoder = {"decoder_embed_dim": dim, "decoder_depth": count(self.shapes, "decoder_blocks.")}
        return self.vit_sizes() | decoder | {"decoder_num_heads": dim // 32, "norm_pix_loss": True}

    def build(self) -> MAE:
        c = self.config
        return MAE(
            self.vit(),
            self.masker(),
            partial(PixelTarget, normalize=c["norm_pix_loss"], channels=c["in_chans"]),
            dim=c["decoder_embed_dim"],
            num_blocks=c["decoder_depth"],
            num_heads=c["decoder_num_heads"],
            mlp_ratio=c["mlp_ratio"],
        )

    def observe(self, run: Run) -> dict[str, Tensor | list[Any]]:
        return {
            "pred": run.output.predictions[0],
            "latent": self.shuffled(run.features[run.method.encoder.depth]),
            "patchified_image": patchify(run.images, self.config["patch_size"]),
        }


CASE = MAECase
