"""Protocols: what frozen features are worth, measured the same way for every method."""

from mimbench.evaluation.base import FeatureSource, Protocol, run_protocols
from mimbench.evaluation.cache import FeatureCache
from mimbench.evaluation.features import Features, extract
from mimbench.evaluation.knn import KNN, knn_predict
from mimbench.evaluation.layerwise import Layerwise
from mimbench.evaluation.linear import Linear
from mimbench.evaluation.online import OnlineKNN

__all__ = [
    "KNN",
    "FeatureCache",
    "FeatureSource",
    "Features",
    "Layerwise",
    "Linear",
    "OnlineKNN",
    "Protocol",
    "extract",
    "knn_predict",
    "run_protocols",
]
