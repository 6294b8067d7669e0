"""Format of SimMIM's released code."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mimbench.encoders import BeitEncoder
from mimbench.weights.formats.format import Format

_HEAD = "decoder.project."
_COLORS = 3
# In timm a plain ViT has one bias for queries, keys and values; the released one has no bias for keys.
_PLAIN = re.compile(r"(.+\.attn\.)(q|v)_bias")


class _SimMIM(Format):
    """A ViT with a shared relative position bias, a plain ViT, or a Swin.

    Patch merging belongs to the previous stage. Predicted pixels have the order color, row, column in the file, and
    row, column, color here.
    """

    def __init__(self) -> None:
        stages = {f"encoder.trunk.layers.{i + 1}.downsample.": f"encoder.layers.{i}.downsample." for i in range(8)}
        names = {"mask_token": "encoder.mask_token", "encoder.trunk.": "encoder.", _HEAD: "decoder.0."}
        super().__init__("SimMIM", names | stages)

    def rename(self, name: str) -> str | None:
        if name.endswith(".k_bias"):
            return None  # a buffer of zeros
        for ours, theirs in (("ls1.gamma", "gamma_1"), ("ls2.gamma", "gamma_2")):
            if name.endswith(ours):
                name = name.removesuffix(ours) + theirs
        return super().rename(name)

    def read(self, name: str, tensor: Tensor) -> Tensor:
        if not name.startswith(_HEAD):
            return tensor
        flat = tensor.flatten(1) if tensor.ndim > 1 else tensor
        return flat[_order(len(flat))]

    def write(self, name: str, tensor: Tensor) -> Tensor:
        if not name.startswith(_HEAD):
            return tensor
        restored = tensor[_order(len(tensor)).argsort()]
        return restored[:, :, None, None] if tensor.ndim > 1 else restored

    def convert(self, released: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
        return super().convert(released if _is_beit(module) else _joined(released), module)

    def export(self, module: nn.Module) -> dict[str, Tensor]:
        exported = super().export(module)
        return exported if _is_beit(module) else self.separated(exported)

    def own_entry(self, entry: str, module: nn.Module) -> str:
        found = _PLAIN.fullmatch(entry)
        return entry if found is None or _is_beit(module) else f"{found[1]}qkv.bias"

    def separated(self, entries: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Splits the bias of queries, keys and values of a plain ViT into those of queries and values."""
        out: dict[str, Tensor] = {}
        for name, tensor in entries.items():
            if re.fullmatch(r"encoder\.blocks\..+\.qkv\.bias", name):
                q, _, v = tensor.chunk(3)
                stem = name.removesuffix("qkv.bias")
                out |= {f"{stem}q_bias": q, f"{stem}v_bias": v}
            else:
                out[name] = tensor
        return out


def _is_beit(module: nn.Module) -> bool:
    return any(isinstance(part, BeitEncoder) for part in module.modules())


def _joined(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    out = {name: tensor for name, tensor in state.items() if not _PLAIN.fullmatch(name)}
    for name, q in state.items():
        if (found := _PLAIN.fullmatch(name)) and found[2] == "q" and f"{found[1]}v_bias" in state:
            out[f"{found[1]}qkv.bias"] = torch.cat([q, torch.zeros_like(q), state[f"{found[1]}v_bias"]])
    return out


def _order(count: int) -> Tensor:
    """Position in the file of each predicted value."""
    side = round((count / _COLORS) ** 0.5)
    return torch.arange(count).reshape(_COLORS, side, side).permute(1, 2, 0).flatten()


SIMMIM_FORMAT = _SimMIM()
"""Encoder, mask token and linear decoder of a pre-training checkpoint."""
