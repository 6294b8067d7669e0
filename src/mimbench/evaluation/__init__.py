"""Evaluation protocols, which measure all methods in the same way."""

from mimbench.evaluation.base import FeatureProtocol, FeatureSource, ImageProtocol, Protocol, Subject
from mimbench.evaluation.detection import DetectionRecipe, DetectViTDet
from mimbench.evaluation.features.cache import FeatureCache
from mimbench.evaluation.features.extraction import Features, extract
from mimbench.evaluation.finetuning import FineTune, FineTuneRecipe, PartialFineTune
from mimbench.evaluation.protocols.attentive import Attentive
from mimbench.evaluation.protocols.fewshot import FewShot
from mimbench.evaluation.protocols.knn import KNN, knn_predict
from mimbench.evaluation.protocols.layerwise import Layerwise
from mimbench.evaluation.protocols.linear import Linear, LinearSources
from mimbench.evaluation.protocols.linear_mae import LinearMAE
from mimbench.evaluation.protocols.online import OnlineKNN
from mimbench.evaluation.runner import results, run_protocols
from mimbench.evaluation.segmentation import SegmentLinear, SegmentRecipe, SegmentUPerNet
from mimbench.evaluation.truncation import drop, reinitialize

__all__ = [
    "KNN",
    "Attentive",
    "DetectViTDet",
    "DetectionRecipe",
    "FeatureCache",
    "FeatureProtocol",
    "FeatureSource",
    "Features",
    "FewShot",
    "FineTune",
    "FineTuneRecipe",
    "ImageProtocol",
    "Layerwise",
    "Linear",
    "LinearMAE",
    "LinearSources",
    "OnlineKNN",
    "PartialFineTune",
    "Protocol",
    "SegmentLinear",
    "SegmentRecipe",
    "SegmentUPerNet",
    "Subject",
    "drop",
    "extract",
    "knn_predict",
    "reinitialize",
    "results",
    "run_protocols",
]
