"""Object detection: Mask R-CNN on a pre-trained encoder with published recipes."""

from mimbench.evaluation.detection.detector import Detector
from mimbench.evaluation.detection.module import DetectionTraining
from mimbench.evaluation.detection.precision import AveragePrecision
from mimbench.evaluation.detection.protocol import DetectViTDet
from mimbench.evaluation.detection.recipe import DetectionRecipe

__all__ = ["AveragePrecision", "DetectViTDet", "DetectionRecipe", "DetectionTraining", "Detector"]
