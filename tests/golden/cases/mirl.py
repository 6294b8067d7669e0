"""MIRL's released pre-training model, from Paddle."""

from functools import partial
from typing import Any, ClassVar

from torch import Tensor

from cases.base import NORM, VIT, Case, Run, count
from mimbench.methods import MIRL
from mimbench.targets import PixelTarget
from mimbench.weights import MIRL_FORMAT


class MIRLCase(Case):
    """`MIRLViT` of russellllaputa/MIRL; its target is always standardized, and `norm_pix_loss` has no effect."""

    source = ("russellllaputa/MIRL", "models_mirl.py")
    format = MIRL_FORMAT
    linear_in_out = True
    reads = VIT | {"decoder_embed_dims", "decoder_depth", "decoder_num_heads", "out_indices", "weight_norm_pred"}
    assumes: ClassVar = {"norm_layer": NORM, "norm_pix_loss": None, "queue_size": None, "temperature": None}

    def infer(self) -> dict[str, Any]:
        facts = self.document
        return self.vit_sizes() | {
            "num_heads": facts["num_heads"],
            "out_indices": facts["out_indices"],
            "decoder_embed_dims": [self.shapes[f"mask_token{k}"][2] for k in range(6)],
            "decoder_depth": count(self.shapes, "decoder_blocks0."),
            "decoder_num_heads": facts["decoder_num_heads"],
            "weight_norm_pred": "decoder_pred0.weight_g" in self.shapes,
        }

    def build(self) -> MIRL:
        c = self.config
        (dim,) = set(c["decoder_embed_dims"][:6])
        # Features are in the order of the blocks; a sixth one is ignored.
        inner = sorted({index + 1 for index in c["out_indices"]})[:5]
        return MIRL(
            self.vit(),
            self.masker(),
            partial(PixelTarget, channels=c["in_chans"]),
            depths=(*inner, c["depth"]),
            dim=dim,
            num_blocks=c["decoder_depth"],
            num_heads=c["decoder_num_heads"],
            unit_head=c["weight_norm_pred"],
            mlp_ratio=c["mlp_ratio"],
        )

    def observe(self, run: Run) -> dict[str, Tensor | list[Any]]:
        method, features = run.method, run.features
        observed: dict[str, Tensor | list[Any]] = {f"pred{k}": p for k, p in enumerate(run.output.predictions)}
        for k, (depth, decoder) in enumerate(zip(method.segments, method.decoders, strict=True)):
            observed[f"feat{k}"] = decoder.norm_input(self.shuffled(features[depth]))
            observed[f"effective_decoder_pred{k}_weight_in_out"] = decoder.head.weight.T
        observed["latent"] = self.shuffled(features[method.encoder.depth])
        observed["low_feat"] = method.stem[0](self.shuffled(features[0]))
        return observed


CASE = MIRLCase
