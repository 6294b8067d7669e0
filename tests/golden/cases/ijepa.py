"""I-JEPA's released pre-training model."""

from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from cases.base import Case, Run, count
from mimbench.core import Regions
from mimbench.encoders import ViTEncoder, vit
from mimbench.maskers import MultiBlockMasker
from mimbench.methods import IJEPA
from mimbench.targets import LatentTarget
from mimbench.weights import IJEPA_FORMAT

READ = {"crop_size", "patch_size", "encoder", "pred_depth", "pred_emb_dim", "img_size", "mlp_ratio", "ema"}
# Read by test_ijepa.py.
STEPS = {"batch", "ipe_scale", "epochs", "warmup", "start_lr", "lr", "final_lr", "weight_decay", "final_weight_decay"}
STEPS |= {"iterations_per_epoch", "optimizer"}


class IJEPACase(Case):
    """`VisionTransformer` and `VisionTransformerPredictor` of facebookresearch/ijepa, with `init_model`'s options."""

    source = (
        "facebookresearch/ijepa",
        "src/train.py (main), src/models/vision_transformer.py, src/helper.py, src/masks/utils.py",
    )
    format = IJEPA_FORMAT
    assumes: ClassVar = {"norm_layer": ("partial(nn.LayerNorm, eps=1e-6)",), "qkv_bias": (True,)}

    def _check_options(self) -> None:
        c = self.config
        for name, value in c.items():
            if name not in READ | STEPS and value not in self.assumes.get(name, ()):
                raise ValueError(f"IJEPACase cannot rebuild {name}={value!r}.")
        c |= c["encoder"] | {"decoder_depth": c["pred_depth"], "decoder_num_heads": c["encoder"]["num_heads"]}

    def infer(self) -> dict[str, Any]:
        width, _, patch, _ = self.shapes["encoder.patch_embed.proj.weight"]
        size = patch * round(self.shapes["encoder.pos_embed"][1] ** 0.5)
        encoder = {"embed_dim": width, "depth": count(self.shapes, "encoder.blocks.")}
        return {
            "img_size": size,
            "crop_size": size,
            "patch_size": patch,
            "encoder": encoder | {"num_heads": {768: 12, 1024: 16, 1280: 16, 1408: 16}[width]},
            "pred_depth": count(self.shapes, "predictor.predictor_blocks."),
            "pred_emb_dim": self.shapes["predictor.mask_token"][2],
            "mlp_ratio": self.shapes["encoder.blocks.0.mlp.fc1.bias"][0] / width,
            "ema": [0.996, 1.0],
        }

    def vit(self) -> ViTEncoder:
        c = self.config
        sizes = (c["img_size"], c["patch_size"], c["embed_dim"], c["depth"], c["num_heads"], c["mlp_ratio"])
        return vit(*sizes, class_token=False)

    def build(self) -> IJEPA:
        c = self.config
        masker, sizes = MultiBlockMasker(), {"dim": c["pred_emb_dim"], "num_blocks": c["pred_depth"]}
        # The predictor's ratio is 4 whatever the encoder's is.
        return IJEPA(self.vit(), masker, LatentTarget, **sizes, mlp_ratio=4.0, momentum=c["ema"])

    def regions(self) -> Regions:
        inputs, side = self.document["inputs"], self.config["img_size"] // self.config["patch_size"]
        return Regions(torch.tensor(inputs["masks_enc"]), torch.tensor(inputs["masks_pred"]), (side, side))

    def draw(self, method: Any, images: Tensor) -> Regions:
        return self.regions()

    def observe(self, run: Run) -> dict[str, Tensor | list[Any]]:
        method = cast("IJEPA", run.method)
        regions = self.regions()
        with torch.no_grad():
            full = method.target.prepare(run.images)
        value = method.target.values(full)
        # For every target block, repeated for every context.
        targets = [
            value.gather(1, index[..., None].expand(-1, -1, value.shape[2]))
            for index in regions.targets
            for _ in regions.contexts
        ]
        return {
            "context": run.features[method.encoder.depth].patches,
            "target_full": full,
            "pred": run.output.predictions[0],
            "target": torch.cat(targets),
        }


CASE = IJEPACase
