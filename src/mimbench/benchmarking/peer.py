"""The same training step in Hugging Face transformers, which is not needed for anything else."""

from importlib.util import find_spec
from typing import Any, cast

import torch

from mimbench.benchmarking.step import Setting
from mimbench.benchmarking.stopwatch import Stopwatch
from mimbench.decoders import TokenDecoder
from mimbench.encoders import ViTEncoder
from mimbench.methods import MAE

NAME = "transformers ViTMAEForPreTraining"


class TransformersStep:
    """`ViTMAEForPreTraining` with the sizes of one of our MAEs, the same images and the same fused AdamW.

    Its attention is PyTorch's scaled dot product too, and its loss has the patch-wise normalisation.

    Raises:
        ValueError: transformers is not installed, or the method is not MAE on a ViT.
    """

    def __init__(self, method: MAE, image_size: int, setting: Setting):
        if find_spec("transformers") is None:
            raise ValueError("transformers is not installed: python -m pip install transformers")
        if not isinstance(method, MAE) or not isinstance(method.encoder, ViTEncoder):
            raise ValueError("transformers has MAE on a plain ViT only; put such a run first.")
        from transformers import ViTMAEConfig, ViTMAEForPreTraining

        config = ViTMAEConfig(**_sizes(method, image_size))
        self.model = cast("Any", ViTMAEForPreTraining(config)).to(setting.device).train()
        self.setting, self.images = setting, setting.images(image_size)
        self.optimizer = method.recipe.optimizer(self.model, setting.batch)

    def __call__(self) -> dict[str, float]:
        watch = Stopwatch(self.setting.device)
        with self.setting.autocast():
            loss: torch.Tensor = self.model(pixel_values=self.images).loss
        watch.mark("forward")
        loss.backward()
        watch.mark("backward")
        self.optimizer.step()
        self.optimizer.zero_grad()
        watch.mark("optimizer")
        return watch.seconds()


def _sizes(method: MAE, image_size: int) -> dict[str, Any]:
    encoder, decoder = method.encoder, cast("TokenDecoder", method.decoders[0])
    assert isinstance(encoder, ViTEncoder)
    first, own = cast("Any", encoder.trunk.blocks[0]), cast("Any", decoder.blocks[0])
    return {
        "norm_pix_loss": True,
        "attn_implementation": "sdpa",
        "image_size": image_size,
        "patch_size": encoder.taps[0].cell,
        "mask_ratio": method.masker.ratio,
        "hidden_size": encoder.taps[0].width,
        "num_hidden_layers": encoder.depth,
        "num_attention_heads": first.attn.num_heads,
        "intermediate_size": first.mlp.fc1.out_features,
        "decoder_hidden_size": decoder.project.out_features,
        "decoder_num_hidden_layers": len(decoder.blocks),
        "decoder_num_attention_heads": own.attn.num_heads,
        "decoder_intermediate_size": own.mlp.fc1.out_features,
    }
