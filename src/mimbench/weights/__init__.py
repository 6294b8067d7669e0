"""The released codes' weights, in and out."""

from mimbench.weights.deepmim import DEEPMIM_FORMAT
from mimbench.weights.format import Format
from mimbench.weights.localmim_swin import LOCALMIM_SWIN_FORMAT, LOCALMIM_SWIN_QUIRKS_FORMAT
from mimbench.weights.localmim_vit import LOCALMIM_VIT_FORMAT
from mimbench.weights.mae import MAE_FINETUNE_FORMAT, MAE_FORMAT
from mimbench.weights.mirl import MIRL_FORMAT

__all__ = [
    "DEEPMIM_FORMAT",
    "LOCALMIM_SWIN_FORMAT",
    "LOCALMIM_SWIN_QUIRKS_FORMAT",
    "LOCALMIM_VIT_FORMAT",
    "MAE_FINETUNE_FORMAT",
    "MAE_FORMAT",
    "MIRL_FORMAT",
    "Format",
]
