"""DeepMIM's released pre-training model."""

from functools import partial
from typing import Any, ClassVar

import formulas
import numpy as np
import torch
from torch import Tensor

from cases.base import NORM, VIT, Case, Run, count
from mimbench.methods import DeepMIM
from mimbench.targets import Teacher, TeacherTarget
from mimbench.weights import DEEPMIM_FORMAT


class StoredTeacher(Teacher):
    """Returns the features of the formula for any images."""

    def __init__(self, cell: int, features: Tensor):
        super().__init__()
        self.cell = cell
        self.dim = features.shape[-1]
        self.register_buffer("features", features)

    def forward(self, images: Tensor) -> Tensor:
        return self.features


class DeepMIMCase(Case):
    """`MaskedAutoencoderViT` of OliverRensu/DeepMIM, with its hard-wired taps after blocks 6, 8, 10 and the last."""

    source = ("OliverRensu/DeepMIM", "models_mae.py")
    format = DEEPMIM_FORMAT
    reads = VIT | {"decoder_embed_dim", "decoder_depth", "decoder_num_heads"}
    assumes: ClassVar = {"norm_layer": NORM, "norm_pix_loss": None}

    def infer(self) -> dict[str, Any]:
        dim = self.shapes["mask_token1"][2]
        decoder = {"decoder_embed_dim": dim, "decoder_depth": count(self.shapes, "decoder_blocks1.")}
        return self.vit_sizes() | decoder | {"decoder_num_heads": dim // 32}

    def teacher_output(self) -> np.ndarray:
        """The recorded teacher's output, class token first."""
        side = self.config["img_size"] // self.config["patch_size"]
        return formulas.teacher(1 + side * side, dim=512)  # hard-wired, CLIP ViT-B/16

    def build(self) -> DeepMIM:
        c, side = self.config, self.config["img_size"] // self.config["patch_size"]
        if c["depth"] <= 10:
            raise ValueError(
                f"Of {c['depth']} blocks the released model reads the last one twice, once without a norm, or fails; "
                "no method here computes that."
            )
        features = torch.from_numpy(self.teacher_output())[:, 1:].unflatten(1, (side, side))
        return DeepMIM(
            self.vit(),
            self.masker(),
            partial(TeacherTarget, teacher=StoredTeacher(c["patch_size"], features)),
            depths=(6, 8, 10, c["depth"]),
            dim=c["decoder_embed_dim"],
            num_blocks=c["decoder_depth"],
            num_heads=c["decoder_num_heads"],
            mlp_ratio=c["mlp_ratio"],
        )

    def observe(self, run: Run) -> dict[str, Tensor | list[Any]]:
        observed = {"latent": self.shuffled(run.features[run.method.encoder.depth])}
        for depth in (6, 8, 10):
            observed[f"feature_after_block_{depth}_unnormed"] = self.shuffled(run.features[depth])
        for k, (depth, decoder) in enumerate(zip(run.method.depths, run.method.decoders, strict=True), start=1):
            normed: list[Tensor] = []
            hook = decoder.norm.register_forward_hook(lambda _, __, out, normed=normed: normed.append(out))
            prediction = decoder(decoder.embed(run.features[depth]))
            hook.remove()
            assert torch.equal(prediction, run.output.predictions[k - 1])
            observed[f"pred{k}_with_cls"] = decoder.head(normed[0])
        return observed


CASE = DeepMIMCase
