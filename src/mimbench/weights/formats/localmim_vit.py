"""Format of LocalMIM's released ViT code."""

from mimbench.weights.formats.format import Format


def level(k: int, norm: str = "norm.", head: str = "head.layers.") -> dict[str, str | None]:
    """Names of level k: decoder, its input norm, and the frozen HOG convolution.

    Args:
        norm: Start of the released names of the norms.
        head: Start of our names of the prediction head's layers.
    """
    ours, theirs = f"decoders.{k}.", f"decoder.{k}."
    return {
        f"{ours}norm_input.": f"{norm}{k}.",
        f"{ours}mask_token": f"{theirs}mask_token",
        f"{ours}positions": f"{theirs}pos_embed",
        f"{ours}project.": f"{theirs}embed.",
        f"{ours}blocks.": f"{theirs}blocks.",
        f"{ours}norm.": f"{theirs}norm.",
        f"{ours}{head}": f"{theirs}pred.",
        f"targets.{k}.sobel": f"hog_enc.{k}.conv.weight",
        f"targets.{k}.offset": f"hog_enc.{k}.conv.bias",
    }


LOCALMIM_VIT_FORMAT = Format(
    "LocalMIM ViT",
    # The last of the four released norms is that of the encoder.
    {"encoder.trunk.": "", "encoder.trunk.norm.": "norm.3."} | {n: t for k in range(4) for n, t in level(k).items()},
)
"""Encoder, four decoders and the frozen HOG convolutions of a pre-training checkpoint."""
