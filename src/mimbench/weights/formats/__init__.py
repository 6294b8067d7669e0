"""Names and layouts of the weights of released code, by the name that a user gives."""

from mimbench.weights.formats.crossmae import CROSSMAE_FORMAT
from mimbench.weights.formats.deepmim import DEEPMIM_FORMAT
from mimbench.weights.formats.format import COMPUTED, Format
from mimbench.weights.formats.ijepa import IJEPA_FORMAT
from mimbench.weights.formats.localmim_swin import (
    LOCALMIM_SWIN_FINETUNE_FORMAT,
    LOCALMIM_SWIN_FORMAT,
    LOCALMIM_SWIN_QUIRKS_FORMAT,
)
from mimbench.weights.formats.localmim_vit import LOCALMIM_VIT_FORMAT
from mimbench.weights.formats.mae import MAE_FINETUNE_FORMAT, MAE_FORMAT
from mimbench.weights.formats.mff import MFF_FORMAT
from mimbench.weights.formats.mirl import MIRL_FINETUNE_FORMAT, MIRL_FORMAT
from mimbench.weights.formats.simmim import SIMMIM_FORMAT


class _Timm(Format):
    """The names of timm for encoders and classifiers."""

    def rename(self, name: str) -> str | None:
        return None if name.endswith(COMPUTED) else super().rename(name)


TIMM_FORMAT = _Timm("timm", {"encoder.trunk.": "", "": ""})
"""An encoder or a classifier in timm's format."""

FORMATS: dict[str, Format] = {
    "mae": MAE_FORMAT,
    "mae-finetune": MAE_FINETUNE_FORMAT,
    "deepmim": DEEPMIM_FORMAT,
    "localmim-vit": LOCALMIM_VIT_FORMAT,
    "localmim-swin": LOCALMIM_SWIN_FORMAT,
    "localmim-swin-finetune": LOCALMIM_SWIN_FINETUNE_FORMAT,
    "mirl": MIRL_FORMAT,
    "mirl-finetune": MIRL_FINETUNE_FORMAT,
    "crossmae": CROSSMAE_FORMAT,
    "mff": MFF_FORMAT,
    "simmim": SIMMIM_FORMAT,
    "ijepa": IJEPA_FORMAT,
    "timm": TIMM_FORMAT,
    # After `from_transformers`, which converts to the names of MAE.
    "transformers-vitmae": MAE_FORMAT,
}


def format_named(name: str, released_quirks: bool = False) -> Format:
    """The format with a name.

    Args:
        released_quirks: Whether the Swin computes the same as in LocalMIM's released code.

    Raises:
        ValueError: There is no such format, or `released_quirks` is set for another one than LocalMIM on Swin.
    """
    if name not in FORMATS:
        raise ValueError(f"There is no format '{name}' to import; choose from {', '.join(FORMATS)}.")
    if released_quirks and name != "localmim-swin":
        raise ValueError(f"Only localmim-swin has released quirks, not {name}.")
    return LOCALMIM_SWIN_QUIRKS_FORMAT if released_quirks else FORMATS[name]
