"""Format of I-JEPA's released code."""

from mimbench.weights.formats.format import Format

IJEPA_FORMAT = Format(
    "I-JEPA",
    {
        "encoder.trunk.": "encoder.",
        "target.encoder.trunk.": "target_encoder.",
        "predictor.project.": "predictor.predictor_embed.",
        "predictor.mask_token": "predictor.mask_token",
        "predictor.positions": "predictor.predictor_pos_embed",
        "predictor.blocks.": "predictor.predictor_blocks.",
        "predictor.norm.": "predictor.predictor_norm.",
        "predictor.head.": "predictor.predictor_proj.",
    },
)
"""Encoder, predictor and target encoder of a pre-training checkpoint."""
