"""MFF's released pre-training model, of mmpretrain."""

from functools import partial
from typing import Any, cast

import formulas
import numpy as np
import torch
from torch import Tensor, nn

from cases.base import Case, Run, count
from mimbench.methods import MFF
from mimbench.targets import PixelTarget
from mimbench.weights import MFF_FORMAT

NORM_CFG = "LN eps 1e-6 everywhere"
KEYS = {"img_size", "patch_size", "embed_dims", "num_layers", "num_heads", "out_indices", "mask_ratio"}
KEYS |= {"decoder_embed_dim", "decoder_depth", "decoder_num_heads", "norm_pix", "feedforward_channels"}
KEYS |= {"norm_cfg", "in_channels"}


class MFFCase(Case):
    """`MFF` of open-mmlab/mmpretrain; its positions encode the row first."""

    source = (
        "open-mmlab/mmpretrain",
        "mmpretrain/models/selfsup/mff.py (MFF, MFFViT), selfsup/mae.py, necks/mae_neck.py, heads/mae_head.py, "
        "losses/reconstruction_loss.py",
    )
    format = MFF_FORMAT

    def _check_options(self) -> None:
        c = self.config
        if c.keys() != KEYS or c["norm_cfg"] != NORM_CFG:
            raise ValueError(f"MFFCase cannot rebuild {c}; it knows {sorted(KEYS)}, and norm_cfg '{NORM_CFG}'.")
        c["mlp_ratio"] = c["feedforward_channels"] / c["embed_dims"]
        c |= {"embed_dim": c["embed_dims"], "depth": c["num_layers"], "in_chans": c["in_channels"]}

    def infer(self) -> dict[str, Any]:
        width, channels, patch, _ = self.shapes["backbone.patch_embed.projection.weight"]
        dim, depth = self.shapes["neck.mask_token"][2], count(self.shapes, "backbone.layers.")
        if (self.shapes["backbone.proj_weights"][0], depth) != (6, 12):
            raise ValueError("Shapes do not tell which blocks MFF reads, but for the recipe's six of twelve.")
        return {
            "img_size": patch * round((self.shapes["backbone.pos_embed"][1] - 1) ** 0.5),
            "patch_size": patch,
            "embed_dims": width,
            "num_layers": depth,
            "num_heads": width // 64,
            "out_indices": [0, 2, 4, 6, 8, 11],
            "mask_ratio": 0.75,
            "decoder_embed_dim": dim,
            "decoder_depth": count(self.shapes, "neck.decoder_blocks."),
            "decoder_num_heads": dim // 32,
            "norm_pix": True,
            "feedforward_channels": self.shapes["backbone.layers.0.ffn.layers.0.0.bias"][0],
            "norm_cfg": NORM_CFG,
            "in_channels": channels,
        }

    @property
    def depths(self) -> list[int]:
        return [index + 1 for index in self.config["out_indices"]]

    def build(self) -> MFF:
        c = self.config
        return MFF(
            self.vit(),
            self.masker(),
            partial(PixelTarget, normalize=c["norm_pix"], channels=c["in_chans"]),
            self.depths,
            dim=c["decoder_embed_dim"],
            num_blocks=c["decoder_depth"],
            num_heads=c["decoder_num_heads"],
            mlp_ratio=c["mlp_ratio"],
        )

    def fixed(self, name: str) -> np.ndarray:
        axes = self.document.get("position_axis", {})
        if name in axes and self.shapes[name][1] == len(axes[name]) ** 2 + 1:
            return formulas.from_axis(axes[name], row_first=True)
        _, tokens, dim = self.shapes[name]
        half = formulas.sincos(tokens, dim)
        return np.concatenate([half[..., dim // 2 :], half[..., : dim // 2]], axis=2)

    def prepare(self, method: nn.Module) -> None:
        cast("MFF", method).decoder.positions.copy_(torch.from_numpy(self.fixed("neck.decoder_pos_embed")))

    def observe(self, run: Run) -> dict[str, Tensor | list[Any]]:
        method = cast("MFF", run.method)
        maps = [self.shuffled(run.features[depth]) for depth in method.depths]
        fused = method.fusion(maps)
        observed: dict[str, Tensor | list[Any]] = {
            "fusion_weights": method.fusion.weights,
            "pred": run.output.predictions[0],
            "target": method.target(run.images),
            "fused": fused,
            "latent": method.encoder.final_norm(fused),
        }
        observed |= {f"block{depth}": one for depth, one in zip(method.depths, maps, strict=True)}
        projected = zip(method.fusion.project, maps, strict=False)
        return observed | {f"projected{k}": project(one) for k, (project, one) in enumerate(projected)}


CASE = MFFCase
