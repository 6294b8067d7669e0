"""LocalMIM's released pre-training model on Swin."""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from cases.base import NORM, Case, Run
from mimbench.core import Grid, Mask, Tokens
from mimbench.encoders import SwinEncoder, swin
from mimbench.maskers import Masker
from mimbench.methods import LocalMIM
from mimbench.targets import HOGTarget, PixelTarget
from mimbench.weights.formats.localmim_swin import LOCALMIM_SWIN_QUIRKS_FORMAT


class StoredPermutation(Masker):
    """The released mask: cells whose position in a permutation is at most int(ratio * cells) are hidden."""

    def __init__(self, ratio: float, permutation: Sequence[int]):
        super().__init__(ratio, shared=True)
        self.permutation = permutation

    def num_visible(self, grid: Grid) -> int:
        return sum(place > int(self.ratio * grid[0] * grid[1]) for place in self.permutation)

    def order(self, keys: Tensor, grid: Grid) -> Tensor:
        return len(self.permutation) - 1 - torch.tensor([self.permutation], device=keys.device)


class LocalMIMSwinCase(Case):
    """`MaskedAutoencoderSwin` of Haoqing-Wang/LocalMIM, with its wrong coordinates and its order of patch merging."""

    source = ("Haoqing-Wang/LocalMIM", "Swin/models_mim.py")
    format = LOCALMIM_SWIN_QUIRKS_FORMAT
    quirks = True
    reads = frozenset(
        {"img_size", "patch_size", "in_chans", "embed_dim", "depths", "num_heads", "window_size", "mlp_ratio"}
        | {"decoder_embed_dim", "decoder_depth", "decoder_num_heads", "target", "hog_nbins", "hog_bias"}
        | {"norm_pix_loss"}
    )
    assumes: ClassVar = {
        "norm_layer": NORM,
        "qkv_bias": (True,),
        "qk_scale": (None,),
        "drop_rate": (0.0,),
        "drop_path_rate": (0.0,),
        "ape": (False,),
        "patch_norm": (True,),
        "use_checkpoint": None,
    }

    def infer(self) -> dict[str, Any]:
        width, channels, patch, _ = self.shapes["encoder.patch_embed.proj.weight"]
        tables = [self.shapes[f"encoder.layers.{i}.blocks.0.attn.relative_position_bias_table"] for i in range(4)]
        blocks = [
            name.split(".") for name in self.shapes if name.startswith("encoder.layers.") and "norm1.bias" in name
        ]
        hog = "hog_enc.0.conv.weight" in self.shapes
        return {
            "img_size": round(self.shapes["decoder.0.pos_embed"][1] ** 0.5) * 2 * patch,
            "patch_size": patch,
            "in_chans": channels,
            "embed_dim": width,
            "depths": [sum(part[2] == str(i) for part in blocks) for i in range(4)],
            "num_heads": [heads for _, heads in tables],
            "window_size": (round(tables[0][0] ** 0.5) + 1) // 2,
            "mlp_ratio": self.shapes["decoder.0.blocks.0.mlp.fc1.bias"][0] / self.shapes["decoder.0.norm.bias"][0],
            "decoder_embed_dim": self.shapes["decoder.3.norm.bias"][0],
            "decoder_depth": len({n.split(".")[3] for n in self.shapes if n.startswith("decoder.0.blocks.")}),
            "decoder_num_heads": 4,
            "target": "HOG" if hog else "Pixel",
            "hog_nbins": self.shapes["decoder.0.pred.bias"][0] // channels,
            "hog_bias": "hog_enc.0.conv.bias" in self.shapes,
            "norm_pix_loss": True,
        }

    def encoder(self) -> SwinEncoder:
        # The released model passes its mlp_ratio only to the decoders.
        c = self.config
        return swin(
            c["img_size"],
            c["embed_dim"],
            c["depths"],
            c["num_heads"],
            c["window_size"],
            c["patch_size"],
            in_channels=c["in_chans"],
            released_quirks=self.quirks,
        )

    def build(self) -> LocalMIM:
        c = self.config
        if c["target"] not in ("HOG", "Pixel"):
            raise ValueError(f"LocalMIM's Swin has the targets HOG and Pixel, not {c['target']!r}.")
        if c["target"] == "HOG":
            target = partial(HOGTarget, bins=c["hog_nbins"], bias=c["hog_bias"], channels=c["in_chans"])
        else:
            target = partial(PixelTarget, normalize=c["norm_pix_loss"], channels=c["in_chans"])
        return LocalMIM(
            self.encoder(),
            self.masker(),
            target,
            dim=c["decoder_embed_dim"],
            num_blocks=c["decoder_depth"],
            num_heads=c["decoder_num_heads"],
            mlp_ratio=float(c["mlp_ratio"]),
        )

    def fixed(self, name: str) -> np.ndarray:
        if not name.endswith("relative_position_index"):
            return super().fixed(name)
        side = round(self.shapes[name][0] ** 0.5)
        row, column = np.divmod(np.arange(side * side), side)
        down, right = (axis[:, None] - axis + side - 1 for axis in (row, column))
        return down * (2 * side - 1) + right

    def masker(self) -> Masker:
        inputs = self.document.get("inputs", {"mask_ratio": 0.75, "randperm49": list(range(49))})
        (permutation,) = (values for name, values in inputs.items() if name.startswith("randperm"))
        return StoredPermutation(inputs["mask_ratio"], permutation)

    def mask_values(self, mask: Mask) -> list[Any]:
        return mask.hidden[0].flatten().int().tolist()

    def observe(self, run: Run) -> dict[str, Tensor | list[Any]]:
        observed: dict[str, Tensor | list[Any]] = {"recal_mask_sums": []}
        encoder, hidden = run.method.encoder, run.output.mask.hidden
        for k, (depth, decoder) in enumerate(zip(run.method.depths, run.method.decoders, strict=True)):
            target, tokens = run.method.targets[k], run.features[depth]
            order = by_cell(tokens.grid, encoder.mask_grid)
            observed[f"pred{k}"] = run.output.predictions[k]
            observed[f"target{k}"] = target(run.images)
            observed[f"latent{k}"] = decoder.norm_input(sorted_by(order, tokens))
            observed["recal_mask_sums"].append(run.output.mask.weights(target.grid(run.images)).sum().item())
            restore = restoring(hidden[0], order, tokens.grid)
            observed[f"ids_restore{k}_first"] = restore[:16].tolist()
            observed[f"ids_restore{k}_dot"] = int((restore * torch.arange(1, len(restore) + 1)).sum())
        return observed


def by_cell(grid: Grid, mask_grid: Grid) -> Tensor:
    """Raster positions of a grid, grouped by mask cell."""
    side = grid[0] // mask_grid[0]
    return torch.arange(grid[0] * grid[1]).reshape(mask_grid[0], side, mask_grid[1], side).transpose(1, 2).flatten()


def sorted_by(order: Tensor, tokens: Tokens) -> Tensor:
    """Tokens in the order of the released code."""
    places = order.argsort()[tokens.index[0]].argsort()
    return tokens.patches[:, places]


def restoring(hidden: Tensor, order: Tensor, grid: Grid) -> Tensor:
    """The released `ids_restore`: rank of every token, grouped by mask cell, with visible tokens before hidden ones."""
    side = grid[0] // hidden.shape[0]
    fine = hidden.repeat_interleave(side, 0).repeat_interleave(side, 1).flatten()[order]
    return fine.byte().argsort(stable=True).argsort()


CASE = LocalMIMSwinCase
