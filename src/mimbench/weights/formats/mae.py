"""Formats of MAE's released code."""

from mimbench.weights.formats.format import Format

MAE_FORMAT = Format(
    "MAE",
    {
        "encoder.trunk.": "",
        "decoders.0.mask_token": "mask_token",
        "decoders.0.positions": "decoder_pos_embed",
        "decoders.0.project.": "decoder_embed.",
        "decoders.0.blocks.": "decoder_blocks.",
        "decoders.0.norm.": "decoder_norm.",
        "decoders.0.head.": "decoder_pred.",
    },
)
"""Encoder and decoder of a pre-training checkpoint; targets have no weights."""

MAE_FINETUNE_FORMAT = Format("MAE fine-tuning", {"": ""})
"""A fine-tuned classifier; timm's ViT with `global_pool` "avg" or "token" has the same names."""
