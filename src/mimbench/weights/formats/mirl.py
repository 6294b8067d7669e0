"""Formats of MIRL's released code."""

from torch import Tensor

from mimbench.weights.formats.format import Format

_MAGNITUDE = "parametrizations.weight.original0"
_DIRECTION = "parametrizations.weight.original1"


class _Paddle(Format):
    """A format of Paddle, which stores the weight of a linear layer as [in, out] and its magnitude as a vector."""

    def read(self, name: str, tensor: Tensor) -> Tensor:
        if name.endswith(_MAGNITUDE):
            return tensor[None]
        return tensor.T if tensor.ndim == 2 else tensor

    def write(self, name: str, tensor: Tensor) -> Tensor:
        if name.endswith(_MAGNITUDE):
            return tensor[0]
        return tensor.T if tensor.ndim == 2 else tensor


def _segment(k: int) -> dict[str, str | None]:
    ours = f"decoders.{k}."
    return {
        f"{ours}norm_input.": f"norm{k}.",
        f"{ours}mask_token": f"mask_token{k}",
        f"{ours}positions": f"decoder_pos_embed{k}",
        f"{ours}project.": f"decoder_embed{k}.",
        f"{ours}blocks.": f"decoder_blocks{k}.",
        f"{ours}norm.": f"decoder_norm{k}.",
        f"{ours}head.": f"decoder_pred{k}.",
        f"{ours}head.{_DIRECTION}": f"decoder_pred{k}.weight_v",
        f"{ours}head.{_MAGNITUDE}": f"decoder_pred{k}.weight_g",
    }


MIRL_FORMAT = _Paddle(
    "MIRL",
    {"encoder.trunk.": "", "stem.0.": "norm_low.", "stem.1.": "decoder_embed0_1."}
    | {n: t for k in range(6) for n, t in _segment(k).items()},
)
"""Encoder and six decoders of a pre-training checkpoint, in Paddle's layout."""

MIRL_FINETUNE_FORMAT = _Paddle("MIRL fine-tuning", {"": ""})
"""A fine-tuned classifier in Paddle's layout with the names of MAE."""
