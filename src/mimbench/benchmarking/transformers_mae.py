"""The training step of MAE in Hugging Face transformers, which only this module needs."""

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
    """A step of `ViTMAEForPreTraining` with the images and the fused AdamW of a `MethodStep`.

    As in mimbench, attention is PyTorch's scaled dot product, and the loss normalizes each patch.

    Args:
        sizes: Of `transformers_sizes`.
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
    """A `TransformersStep` in a separate process with its own management of memory.

    Args:
        keep_memory: Whether it keeps freed memory, as mimbench does on a CPU; the trainer of transformers does not.

    Raises:
        RuntimeError: On a call, if the process has ended, for instance because memory did not suffice.
    """

    def __init__(self, sizes: dict[str, Any], recipe: Recipe, setting: Setting, keep_memory: bool):
        context = multiprocessing.get_context("spawn")
        self._connection, remote = context.Pipe()
        arguments = (remote, keep_memory, torch.get_num_threads(), sizes, recipe, setting)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        remote.close()

    def __call__(self) -> dict[str, float]:
        try:
            self._connection.send("step")
            return self._connection.recv()
        except (EOFError, OSError) as error:
            self._process.join()
            raise RuntimeError(f"The process of transformers ended with status {self._process.exitcode}.") from error


def _serve(
    connection: Connection, keep_memory: bool, num_threads: int, sizes: dict[str, Any], recipe: Recipe, setting: Setting
) -> None:
    if keep_memory:
        keep_freed_memory()
    torch.set_num_threads(num_threads)
    step = TransformersStep(sizes, recipe, setting)
    while True:
        try:
            connection.recv()
        except EOFError:
            return
        connection.send(step())


def transformers_sizes(method: MAE, image_size: int) -> dict[str, Any]:
    """The configuration that gives the MAE of transformers the sizes of `method`.

    Raises:
        ValueError: transformers is not installed, or the method is not MAE on a ViT.
    """
    if find_spec("transformers") is None:
        raise ValueError("transformers is not installed. Install it: python -m pip install transformers")
    if not isinstance(method, MAE) or not isinstance(method.encoder, ViTEncoder):
        raise ValueError("transformers has only MAE on a plain ViT; name such a run first.")
    encoder, decoder = method.encoder, cast("TokenDecoder", method.decoders[0])
    encoder_block, decoder_block = cast("Any", encoder.trunk.blocks[0]), cast("Any", decoder.blocks[0])
    return {
        "norm_pix_loss": True,
        "attn_implementation": "sdpa",
        "image_size": image_size,
        "patch_size": encoder.taps[0].cell,
        "mask_ratio": method.masker.ratio,
        "hidden_size": encoder.taps[0].width,
        "num_hidden_layers": encoder.depth,
        "num_attention_heads": encoder_block.attn.num_heads,
        "intermediate_size": encoder_block.mlp.fc1.out_features,
        "decoder_hidden_size": decoder.project.out_features,
        "decoder_num_hidden_layers": len(decoder.blocks),
        "decoder_num_attention_heads": decoder_block.attn.num_heads,
        "decoder_intermediate_size": decoder_block.mlp.fc1.out_features,
    }
