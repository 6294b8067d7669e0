"""Format of CrossMAE's released code."""

from collections.abc import Mapping

from torch import Tensor, nn

from mimbench.weights.formats.format import Format, entries

_NORM = "encoder.trunk.norm."


class _CrossMAE(Format):
    """CrossMAE's format; models with a mixture of depths have no final norm, ours is new as in released fine-tuning."""

    tolerance = 1e-5  # its position tables are computed in float32

    def names(self, module: nn.Module) -> dict[str, str]:
        without = getattr(module, "mixture", None) is not None
        return {ours: theirs for ours, theirs in super().names(module).items() if not (without and _NORM in ours)}

    def convert(self, released: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
        if not any(entry.startswith("norm.") for entry in released):
            own = entries(module)
            released = dict(released) | {
                theirs: own[ours] for ours, theirs in self.names(module).items() if _NORM in ours
            }
        return super().convert(released, module)


CROSSMAE_FORMAT = _CrossMAE(
    "CrossMAE",
    {
        "encoder.trunk.": "",
        "mixture.linear.": "wfm.linear.",
        "mixture.norms.": "dec_norms.",
        "decoder.mask_token": "mask_token",
        "decoder.positions": "decoder_pos_embed",
        "decoder.blocks.": "decoder_blocks.",
        "decoder.norm.": "decoder_norm.",
        "decoder.head.": "decoder_pred.",
    },
)
"""Encoder, mixture and decoder of a pre-training checkpoint."""
