"""LocalMIM's released pre-training model on a ViT."""

from functools import partial
from typing import Any, ClassVar

from torch import Tensor

from cases.base import NORM, VIT, Case, Run, count
from mimbench.methods import LocalMIM
from mimbench.targets import HOGTarget
from mimbench.weights import LOCALMIM_VIT_FORMAT


class LocalMIMViTCase(Case):
    """`MaskedAutoencoderViT` of Haoqing-Wang/LocalMIM, with its hard-wired taps and pool sizes."""

    source = ("Haoqing-Wang/LocalMIM", "ViT/models_mim.py")
    format = LOCALMIM_VIT_FORMAT
    reads = VIT | {"decoder_embed_dim", "decoder_depth", "decoder_num_heads", "hog_nbins", "hog_bias"}
    assumes: ClassVar = {"norm_layer": NORM, "ID (hard-wired)": None, "scale (hard-wired)": ([4.0, 2.0, 1.0, 0.5],)}

    def infer(self) -> dict[str, Any]:
        dim = self.shapes["decoder.0.mask_token"][2]
        sizes = self.vit_sizes()
        return sizes | {
            "decoder_embed_dim": dim,
            "decoder_depth": count(self.shapes, "decoder.0.blocks."),
            "decoder_num_heads": dim // 32,
            "hog_nbins": self.shapes["decoder.2.pred.0.bias"][0] // sizes["in_chans"],
            "hog_bias": "hog_enc.0.conv.bias" in self.shapes,
        }

    def build(self) -> LocalMIM:
        c = self.config
        if c["depth"] < 7:
            raise ValueError(
                f"Of {c['depth']} blocks the released model's taps {[2, 4, c['depth'] - 2, c['depth']]} coincide or "
                "change places, and it trains fewer decoders or others' norms; no method here computes that."
            )
        return LocalMIM(
            self.vit(),
            self.masker(),
            partial(HOGTarget, bins=c["hog_nbins"], bias=c["hog_bias"], channels=c["in_chans"]),
            depths=(2, 4, c["depth"] - 2, c["depth"]),
            cells=(4, 8, 16, 32),
            dim=c["decoder_embed_dim"],
            num_blocks=c["decoder_depth"],
            num_heads=c["decoder_num_heads"],
            mlp_ratio=c["mlp_ratio"],
        )

    def observe(self, run: Run) -> dict[str, Tensor | list[Any]]:
        observed: dict[str, Tensor | list[Any]] = {}
        weights = []
        for k, (depth, decoder) in enumerate(zip(run.method.depths, run.method.decoders, strict=True)):
            target = run.method.targets[k]
            observed[f"pred{k}"] = run.output.predictions[k]
            observed[f"target{k}"] = target(run.images)
            observed[f"latent{k}"] = decoder.norm_input(self.shuffled(run.features[depth]))
            weights.append(run.output.mask.weights(target.grid(run.images)))
        sample = self.document["float64"].get("recal_mask3_sample", [[]])
        observed["recal_mask_sums"] = [w.sum().item() for w in weights]
        observed["recal_mask3_sample"] = weights[3][: len(sample), : len(sample[0])]
        return observed


CASE = LocalMIMViTCase
