"""Format of DeepMIM's released code."""

from mimbench.weights.formats.format import Format


def _decoder(k: int) -> dict[str, str | None]:
    ours, theirs = f"decoders.{k}.", k + 1
    return {
        f"{ours}mask_token": f"mask_token{theirs}",
        f"{ours}positions": "decoder_pos_embed",  # one table for all decoders
        f"{ours}project.": f"decoder_embed{theirs}.",
        f"{ours}blocks.": f"decoder_blocks{theirs}.",
        f"{ours}norm.": f"decoder_norm{theirs}.",
        f"{ours}head.": f"decoder_pred{theirs}.",
    }


DEEPMIM_FORMAT = Format(
    "DeepMIM",
    # The frozen teacher has its own file.
    {"encoder.trunk.": "", "targets.": None} | {n: t for k in range(4) for n, t in _decoder(k).items()},
)
"""Encoder and four decoders of a pre-training checkpoint."""
