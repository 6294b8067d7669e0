"""Protocols: what frozen features are worth, measured the same way for every method."""

from mimbench.evaluation.attentive import Attentive
from mimbench.evaluation.base import FeatureProtocol, FeatureSource, ImageProtocol, Protocol, Subject
from mimbench.evaluation.cache import FeatureCache
from mimbench.evaluation.detection import DetectionRecipe, DetectViTDet
from mimbench.evaluation.features import Features, extract
from mimbench.evaluation.fewshot import FewShot
from mimbench.evaluation.finetuning import FineTune, FineTuneRecipe, PartialFineTune
from mimbench.evaluation.knn import KNN, knn_predict
from mimbench.evaluation.layerwise import Layerwise
from mimbench.evaluation.linear import Linear, LinearSources
from mimbench.evaluation.linear_mae import LinearMAE
from mimbench.evaluation.online import OnlineKNN
from mimbench.evaluation.running import results, run_protocols
from mimbench.evaluation.segmentation import SegmentLinear, SegmentRecipe, SegmentUPerNet
from mimbench.evaluation.truncation import drop, reinitialise

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
    "reinitialise",
    "results",
    "run_protocols",
]
