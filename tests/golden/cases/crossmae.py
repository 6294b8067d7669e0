"""CrossMAE's released pre-training model."""

from functools import partial
from typing import Any, ClassVar, cast

import formulas
import numpy as np
import torch
from torch import Tensor, nn

from cases.base import NORM, VIT, Case, Run, count
from mimbench.core import Mask
from mimbench.methods import CrossMAE
from mimbench.targets import PixelTarget
from mimbench.targets.pixel import patchify
from mimbench.weights import CROSSMAE_FORMAT


class CrossMAECase(Case):
    """`MaskedAutoencoderViT` of TonyLianLong/CrossMAE; without `weight_fm` with the norm that it lacks."""

    source = ("TonyLianLong/CrossMAE", "models_cross.py")
    format = CROSSMAE_FORMAT
    reads = (
        VIT
        | {"decoder_embed_dim", "decoder_depth", "decoder_num_heads", "norm_pix_loss"}
        | {
            "weight_fm",
            "use_fm",
            "use_input",
            "self_attn",
        }
    )
    assumes: ClassVar = {"norm_layer": NORM}

    def infer(self) -> dict[str, Any]:
        dim, sizes = self.shapes["mask_token"][2], self.vit_sizes()
        maps = self.shapes.get("wfm.linear.weight", (0, 0))[1]
        return sizes | {
            "decoder_embed_dim": dim,
            "decoder_depth": count(self.shapes, "decoder_blocks."),
            "decoder_num_heads": dim // 32,
            "norm_pix_loss": True,
            "weight_fm": maps > 0,
            "use_fm": [-1],
            "use_input": maps > sizes["depth"],
            "self_attn": "decoder_blocks.0.norm0.weight" in self.shapes,
        }

    @property
    def depths(self) -> list[int] | None:
        """Depths that are mixed; one entry of -1 means all blocks in the released code."""
        c = self.config
        if not c["weight_fm"]:
            return None
        used = range(c["depth"]) if c["use_fm"] == [-1] else [i if i >= 0 else c["depth"] + i for i in c["use_fm"]]
        return [0] * c["use_input"] + sorted({i + 1 for i in used})

    def build(self) -> CrossMAE:
        c = self.config
        ratio = self.document["inputs"]["kept_mask_ratio"] if "inputs" in self.document else 0.25
        return CrossMAE(
            self.vit(),
            self.masker(),
            partial(PixelTarget, normalize=c["norm_pix_loss"], channels=c["in_chans"]),
            self.depths,
            dim=c["decoder_embed_dim"],
            num_blocks=c["decoder_depth"],
            num_heads=c["decoder_num_heads"],
            mlp_ratio=c["mlp_ratio"],
            predicted_ratio=ratio,
            mixture=c["weight_fm"],
            self_attention=c["self_attn"],
        )

    def fixed(self, name: str) -> np.ndarray:
        axes = self.document.get("position_axis", {})
        if name in axes and self.shapes[name][1] == len(axes[name]) ** 2 + 1:
            return formulas.from_axis(axes[name], row_first=False)
        return super().fixed(name)

    def prepare(self, method: nn.Module) -> None:
        cast("CrossMAE", method).decoder.positions.copy_(torch.from_numpy(self.fixed("decoder_pos_embed")))

    def mask_values(self, mask: Mask) -> list[Any]:
        predicted = mask.hidden if mask.ignored is None else mask.hidden & ~mask.ignored
        return predicted.flatten(1).int().tolist()

    def observe(self, run: Run) -> dict[str, Tensor | list[Any]]:
        method, mask = cast("CrossMAE", run.method), run.output.mask
        cells = mask.cells(mask.hidden.shape[1:])
        target = method.target(run.images)
        observed: dict[str, Tensor | list[Any]] = {
            # Our method predicts all patches here; each prediction is independent of the others.
            "pred": take_rows(run.output.predictions[0], cells),
            "target": take_rows(target, cells),
            "visible": (~mask.hidden).flatten(1).int().tolist(),
            "patchified_image": patchify(run.images, self.config["patch_size"]),
        }
        if method.mixture is None:
            return observed | {"latent": self.shuffled(run.features[method.encoder.depth])}
        maps = [self.shuffled(run.features[depth]) for depth in method.depths]
        observed |= {f"feature{k}": one for k, one in enumerate(maps)}
        return observed | {f"memory{j}": one for j, one in enumerate(method.mixture(maps))}


def take_rows(x: Tensor, index: Tensor) -> Tensor:
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))


CASE = CrossMAECase
