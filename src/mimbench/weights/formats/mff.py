"""Format of MFF in mmpretrain."""

import re
from collections.abc import Mapping

from torch import Tensor

from mimbench.weights.formats.format import Format

# Parts of a block: timm's names and mmpretrain's.
_PARTS = {"norm1.": "ln1.", "norm2.": "ln2.", "mlp.fc1.": "ffn.layers.0.0.", "mlp.fc2.": "ffn.layers.1."}
_BLOCK = re.compile(r"((?:backbone\.layers|neck\.decoder_blocks)\.\d+\.)(.+)")


class _MFF(Format):
    tolerance = 1e-5  # its position tables are computed in float32

    def rename(self, name: str) -> str | None:
        theirs = super().rename(name)
        if theirs is not None and (found := _BLOCK.fullmatch(theirs)):
            return found[1] + _exchange(found[2], _PARTS)
        return theirs


_PREFIXES = {
    "encoder.trunk.": "backbone.",
    "encoder.trunk.patch_embed.proj.": "backbone.patch_embed.projection.",
    "encoder.trunk.blocks.": "backbone.layers.",
    "encoder.trunk.norm.": "backbone.ln1.",
    "fusion.project.": "backbone.proj_layers.",
    "fusion.logits": "backbone.proj_weights",
    "decoder.mask_token": "neck.mask_token",
    "decoder.positions": "neck.decoder_pos_embed",
    "decoder.project.": "neck.decoder_embed.",
    "decoder.blocks.": "neck.decoder_blocks.",
    "decoder.norm.": "neck.ln1.",
    "decoder.head.": "neck.decoder_pred.",
}
MFF_FORMAT = _MFF("MFF", _PREFIXES)
"""Encoder, fusion and decoder of a pre-training checkpoint."""


def in_our_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames entries to our names; unknown entries keep theirs."""
    return {_ours(name): tensor for name, tensor in state.items()}


def _ours(name: str) -> str:
    if found := _BLOCK.fullmatch(name):
        name = found[1] + _exchange(found[2], {theirs: ours for ours, theirs in _PARTS.items()})
    return _exchange(name, {theirs: ours for ours, theirs in sorted(_PREFIXES.items(), key=lambda pair: -len(pair[1]))})


def _exchange(name: str, starts: Mapping[str, str]) -> str:
    return next((new + name.removeprefix(old) for old, new in starts.items() if name.startswith(old)), name)
