"""Methods: combinations of encoder depths, decoders, targets and losses."""

from mimbench.methods.base import Method, Output
from mimbench.methods.branched import BranchedMethod
from mimbench.methods.crossmae import CrossMAE
from mimbench.methods.deepmim import DeepMIM
from mimbench.methods.ijepa import IJEPA
from mimbench.methods.localmim import LocalMIM
from mimbench.methods.mae import MAE
from mimbench.methods.maskfeat import MaskFeat
from mimbench.methods.mff import MFF
from mimbench.methods.mirl import MIRL
from mimbench.methods.simmim import SimMIM
from mimbench.methods.single import SinglePrediction

__all__ = [
    "IJEPA",
    "MAE",
    "MFF",
    "MIRL",
    "BranchedMethod",
    "CrossMAE",
    "DeepMIM",
    "LocalMIM",
    "MaskFeat",
    "Method",
    "Output",
    "SimMIM",
    "SinglePrediction",
]
