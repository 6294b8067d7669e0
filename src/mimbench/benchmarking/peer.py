"""The same training step in Hugging Face transformers, which is not needed for anything else."""

import multiprocessing
from importlib.util import find_spec
from multiprocessing.connection import Connection
from typing import Any, cast

import torch

from mimbench.benchmarking.step import Setting
from mimbench.benchmarking.stopwatch import Stopwatch
from mimbench.decoders import TokenDecoder
from mimbench.encoders import ViTEncoder
from mimbench.methods import MAE
from mimbench.optim import Recipe
from mimbench.training.allocation import keep_freed_memory


class TransformersStep:
    """A step of `ViTMAEForPreTraining`, on the images of a `MethodStep` and with its fused AdamW.

    Its attention is PyTorch's scaled dot product too, and its loss has the patch-wise normalisation.

    Args:
        sizes: What `peer_sizes` says of one of our MAEs.
    """

    def __init__(self, sizes: dict[str, Any], recipe: Recipe, setting: Setting):
        from transformers import ViTMAEConfig, ViTMAEForPreTraining

        self.model = cast("Any", ViTMAEForPreTraining(ViTMAEConfig(**sizes))).to(setting.device).train()
        self.setting, self.images = setting, setting.images(sizes["image_size"])
        self.optimizer = recipe.optimizer(self.model, setting.batch)

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


class TransformersProcess:
    """A `TransformersStep` in a process of its own, whose memory is managed as that process likes.

    Args:
        keep_memory: Whether it keeps freed memory, as our training does on a CPU; transformers' own trainer does not.

    Raises:
        RuntimeError: On a call, where the process has ended, for instance for want of memory.
    """

    def __init__(self, sizes: dict[str, Any], recipe: Recipe, setting: Setting, keep_memory: bool):
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        arguments = (theirs, keep_memory, torch.get_num_threads(), sizes, recipe, setting)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def __call__(self) -> dict[str, float]:
        try:
            self._ours.send("step")
            return self._ours.recv()
        except (EOFError, OSError) as error:
            self._process.join()
            raise RuntimeError(f"transformers' process ended with status {self._process.exitcode}.") from error


def _serve(
    asked: Connection, keep_memory: bool, num_threads: int, sizes: dict[str, Any], recipe: Recipe, setting: Setting
) -> None:
    if keep_memory:
        keep_freed_memory()
    torch.set_num_threads(num_threads)
    step = TransformersStep(sizes, recipe, setting)
    while True:
        try:
            asked.recv()
        except EOFError:
            return
        asked.send(step())


def peer_sizes(method: MAE, image_size: int) -> dict[str, Any]:
    """What gives transformers' MAE the sizes of ours.

    Raises:
        ValueError: transformers is not installed, or the method is not MAE on a ViT.
    """
    if find_spec("transformers") is None:
        raise ValueError("transformers is not installed: python -m pip install transformers")
    if not isinstance(method, MAE) or not isinstance(method.encoder, ViTEncoder):
        raise ValueError("transformers has MAE on a plain ViT only; put such a run first.")
    encoder, decoder = method.encoder, cast("TokenDecoder", method.decoders[0])
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
