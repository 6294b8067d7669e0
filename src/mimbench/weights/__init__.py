"""Import and export of the weights of released code, timm and Hugging Face."""

from mimbench.weights.architecture import Architecture, Branches
from mimbench.weights.exporting import export_weights
from mimbench.weights.files import WeightFile, read_file, read_state_dict
from mimbench.weights.formats import FORMATS
from mimbench.weights.formats.crossmae import CROSSMAE_FORMAT
from mimbench.weights.formats.deepmim import DEEPMIM_FORMAT
from mimbench.weights.formats.format import Format
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
from mimbench.weights.importing import Imported, import_weights
from mimbench.weights.recognize import Recognized, recognize
from mimbench.weights.store import load_classifier, load_encoder, load_method, write_import

__all__ = [
    "CROSSMAE_FORMAT",
    "DEEPMIM_FORMAT",
    "FORMATS",
    "IJEPA_FORMAT",
    "LOCALMIM_SWIN_FINETUNE_FORMAT",
    "LOCALMIM_SWIN_FORMAT",
    "LOCALMIM_SWIN_QUIRKS_FORMAT",
    "LOCALMIM_VIT_FORMAT",
    "MAE_FINETUNE_FORMAT",
    "MAE_FORMAT",
    "MFF_FORMAT",
    "MIRL_FINETUNE_FORMAT",
    "MIRL_FORMAT",
    "SIMMIM_FORMAT",
    "Architecture",
    "Branches",
    "Format",
    "Imported",
    "Recognized",
    "WeightFile",
    "export_weights",
    "import_weights",
    "load_classifier",
    "load_encoder",
    "load_method",
    "read_file",
    "read_state_dict",
    "recognize",
    "write_import",
]
