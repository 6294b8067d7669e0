"""Format of LocalMIM's released ViT code."""

from mimbench.weights.formats.format import Format


def _level(k: int) -> dict[str, str | None]:
    ours, theirs = f"decoders.{k}.", f"decoder.{k}."
    return {
        f"{ours}norm_input.": f"norm.{k}.",
        f"{ours}mask_token": f"{theirs}mask_token",
        f"{ours}positions": f"{theirs}pos_embed",
        f"{ours}project.": f"{theirs}embed.",
        f"{ours}blocks.": f"{theirs}blocks.",
        f"{ours}norm.": f"{theirs}norm.",
        f"{ours}head.layers.": f"{theirs}pred.",
        f"targets.{k}.sobel": f"hog_enc.{k}.conv.weight",
        f"targets.{k}.offset": f"hog_enc.{k}.conv.bias",
    }


LOCALMIM_VIT_FORMAT = Format(
    "LocalMIM ViT",
    # The last of the four released norms is that of the encoder.
    {"encoder.trunk.": "", "encoder.trunk.norm.": "norm.3."} | {n: t for k in range(4) for n, t in _level(k).items()},
)
"""Encoder, four decoders and the frozen HOG convolutions of a pre-training checkpoint."""
