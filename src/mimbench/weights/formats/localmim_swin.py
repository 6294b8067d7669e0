"""Formats of LocalMIM's released Swin code."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mimbench.weights.formats.format import COMPUTED, Format, entries
from mimbench.weights.formats.localmim_vit import level


class LocalMIMSwinFormat(Format):
    """Released Swin weights, where patch merging belongs to the stage before it; in timm it belongs to the next stage.

    Args:
        swap: Whether to exchange the two middle channel blocks of each patch merging, which the released pre-training
            concatenates row by row and timm column by column. An encoder with `released_quirks` uses them unchanged.
    """

    def __init__(self, name: str, swap: bool):
        stages = {f"encoder.trunk.layers.{i + 1}.downsample.": f"encoder.layers.{i}.downsample." for i in range(3)}
        names = [level(k, norm="encoder.norm.", head="head.layers.0.") for k in range(4)]
        levels = {ours: theirs for part in names for ours, theirs in part.items()}
        # The last of the four released norms is that of the encoder.
        super().__init__(
            name, {"encoder.trunk.": "encoder.", "encoder.trunk.norm.": "encoder.norm.3."} | stages | levels
        )
        self.swap = swap

    def rename(self, name: str) -> str | None:
        # The masks of shifted windows are buffers in timm and missing in the released code.
        return None if name.endswith(".attn_mask") else super().rename(name)

    def read(self, name: str, tensor: Tensor) -> Tensor:
        if name.endswith("head.layers.0.weight"):
            return tensor[:, :, None, None]
        return self._merging(name, tensor)

    def write(self, name: str, tensor: Tensor) -> Tensor:
        if name.endswith("head.layers.0.weight"):
            return tensor[:, :, 0, 0]
        return self._merging(name, tensor)

    def _merging(self, name: str, tensor: Tensor) -> Tensor:
        return swap_neighbors(tensor) if self.swap and ".downsample." in name else tensor


class SwinFinetuneFormat(Format):
    """A Swin with the names of its authors, which LocalMIM fine-tunes; patch merging is column by column as in timm.

    Window indices and attention masks, which follow from the sizes, are missing in some files.
    """

    def __init__(self, name: str):
        ours, theirs = ("encoder.trunk.", ""), ("", "")
        stages = {f"{a}layers.{i + 1}.downsample.": f"layers.{i}.downsample." for a in ours for i in range(8)}
        super().__init__(name, dict(zip(ours, theirs, strict=True)) | stages | {"head.fc.": "head."})

    def convert(self, released: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
        own = entries(module)
        computed = {theirs: own[name] for name, theirs in self.names(module).items() if theirs.endswith(COMPUTED)}
        return super().convert(computed | dict(released), module)


def swap_neighbors(tensor: Tensor) -> Tensor:
    """Exchanges the second and third of the four channel blocks of patch merging; its own inverse."""
    blocks = tensor.chunk(4, dim=-1)
    return torch.cat([blocks[i] for i in (0, 2, 1, 3)], dim=-1)


LOCALMIM_SWIN_FORMAT = LocalMIMSwinFormat("LocalMIM Swin", swap=True)
"""Encoder, four decoders and the frozen HOG convolutions of a checkpoint, for an encoder without released quirks."""

LOCALMIM_SWIN_QUIRKS_FORMAT = LocalMIMSwinFormat("LocalMIM Swin with released quirks", swap=False)
"""The same checkpoint for an encoder with `released_quirks`."""

LOCALMIM_SWIN_FINETUNE_FORMAT = SwinFinetuneFormat("LocalMIM Swin fine-tuning")
"""A fine-tuned Swin, with or without its head."""
