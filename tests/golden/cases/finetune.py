"""MAE's released fine-tuning model."""

import re
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar

import formulas
import numpy as np
import torch
import torch.nn.functional as F
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from cases.base import VIT, Case, Run
from mimbench.encoders import ViTEncoder
from mimbench.evaluation.finetuning import classifier
from mimbench.weights import MAE_FINETUNE_FORMAT

LOGITS = {"logits", "logit", "output", "outputs", "out", "pred", "head", "prediction", "predictions", "scores"}
FEATURES = {"features", "feature", "forward_features", "pooled", "outcome", "pre_logits", "embedding", "latent"}


@dataclass(frozen=True)
class Pass:
    """One forward pass of our classifier with the released weights.

    tokens: After the last block, class token first, before and after the norm.
    features: What the head reads.
    """

    model: nn.Module
    images: Tensor
    tokens: Tensor
    normed: Tensor
    features: Tensor
    logits: Tensor


class MAEFinetuneCase(Case):
    """`VisionTransformer` of facebookresearch/mae, which is timm's with a norm after the mean of the patches."""

    source = ("facebookresearch/mae", "models_vit.py")
    format = MAE_FINETUNE_FORMAT
    reads = VIT | {"num_classes", "global_pool", "qkv_bias"}
    assumes: ClassVar = {
        "norm_layer": None,  # its eps is read separately
        "drop_path_rate": None,  # has no effect in evaluation
        "drop_rate": (0, 0.0),
        "attn_drop_rate": (0, 0.0),
        "qk_scale": (None,),
        "representation_size": (None,),
        "hybrid_backbone": (None,),
    }

    def infer(self) -> dict[str, Any]:
        bias = not self.shapes or "blocks.0.attn.qkv.bias" in self.shapes
        if not self.shapes:
            return {"qkv_bias": bias}
        head = {"num_classes": self.shapes["head.bias"][0], "global_pool": "fc_norm.bias" in self.shapes}
        return self.vit_sizes() | head | {"qkv_bias": bias}

    def _check_options(self) -> None:
        self.config = self.infer() | self.config  # files need not list default arguments
        super()._check_options()

    def build(self) -> nn.Module:
        c = self.config
        eps = re.search(r"eps\w*\s*=\s*([\d.e-]+)", str(c.get("norm_layer", "")))
        norm: Any = partial(nn.LayerNorm, eps=float(eps[1]) if eps else 1e-6)
        trunk = VisionTransformer(
            img_size=c["img_size"],
            patch_size=c["patch_size"],
            in_chans=c["in_chans"],
            embed_dim=c["embed_dim"],
            depth=c["depth"],
            num_heads=c["num_heads"],
            mlp_ratio=c["mlp_ratio"],
            qkv_bias=c["qkv_bias"],
            norm_layer=norm,
            num_classes=0,
            weight_init="skip",
        )
        return classifier(ViTEncoder(trunk), c["num_classes"], "avg" if c["global_pool"] else "token")

    def fixed(self, name: str) -> np.ndarray:
        """Positions are parameters in the released class; the recorded norm shows how they were filled."""
        shape = self.shapes[name]
        table, drawn = formulas.sincos(shape[1], shape[2]), formulas.uniform(int(np.prod(shape)), name).reshape(shape)
        scales = (0.0, 0.02, 0.1, 0.5, 1.0, np.sqrt(3 / np.prod(shape[1:])))
        candidates = [table, *((scale * drawn).astype(np.float32) for scale in scales)]
        norms = [l2 for entry, _, _, *rest in self.document.get("state_dict", []) if entry == name for l2 in rest]
        if not norms:
            return table
        return min(candidates, key=lambda c: abs(np.linalg.norm(c.astype(np.float64)) - norms[0]))

    @cached_property
    def filled(self) -> list[np.ndarray]:
        """Entries that follow a formula, in the file's order; also positions, unless they are a sine-cosine table."""
        return [v for name, v in self.released.items() if not formulas.is_fixed(name) or not self._is_table(name)]

    def _is_table(self, name: str) -> bool:
        shape = self.shapes[name]
        return np.array_equal(self.released[name], formulas.sincos(shape[1], shape[2]))

    def forward(self, precision: str) -> Pass:
        """Loads the released weights and runs the recorded images."""
        dtype = getattr(torch, precision)
        model = self.build()
        self.format.load({name: torch.from_numpy(value) for name, value in self.released.items()}, model)
        model.to(dtype).eval()
        images = torch.from_numpy(formulas.image(self.config["img_size"])).to(dtype)
        seen: list[Tensor] = []
        hook = model.blocks.register_forward_hook(lambda _, __, out: seen.append(out))
        normed = model.forward_features(images)
        hook.remove()
        return Pass(model, images, seen[0], normed, model.forward_head(normed, pre_logits=True), model(images))

    def match(self, name: str, record: dict[str, Any], found: Pass) -> Tensor:
        """Our counterpart of a recorded tensor, by its name, or by its shape if only one tensor has it.

        Raises:
            ValueError: There is none, or several.
        """
        if name in LOGITS:
            return found.logits
        if name in FEATURES and len(record["shape"]) == 2:
            return found.features
        fits = [x for x in (found.logits, found.features, found.tokens) if list(x.shape) == record["shape"]]
        if len(fits) == 1 and not (fits[0] is found.tokens and "norm" in name):
            return fits[0]
        if list(found.normed.shape) == record["shape"] and not self.config["global_pool"]:
            return found.normed
        raise ValueError(f"'{name}' {record['shape']} is no output of a classifier that is known here.")

    def objectives(self, logits: Tensor) -> dict[str, Tensor]:
        """Losses that a file may use: cross-entropy with its labels, or a simple function of the logits."""
        given = [v for k, v in self.document.get("inputs", {}).items() if "label" in k or "target" in k]
        if given:
            labels = torch.tensor(given[0])
            labels = labels.to(logits.dtype) if labels.is_floating_point() else labels
            return {"cross-entropy": F.cross_entropy(logits, labels)}
        weights = torch.from_numpy(formulas.uniform(logits.numel(), "checksum")).to(logits).view_as(logits)
        return {
            "sum": logits.sum(),
            "mean": logits.mean(),
            "mean square": logits.square().mean(),
            "dot": (logits * weights).sum(),
        }

    def observe(self, run: Run) -> dict[str, Tensor | list[Any]]:
        raise NotImplementedError("A classifier is no method; see tests/golden/test_classifier.py.")


CASE = MAEFinetuneCase
