"""Semantic segmentation: a linear head on frozen features, and fine-tuning of UPerNet with published recipes."""

from mimbench.evaluation.segmentation.linear import SegmentLinear
from mimbench.evaluation.segmentation.recipe import SegmentRecipe
from mimbench.evaluation.segmentation.upernet import SegmentUPerNet

__all__ = ["SegmentLinear", "SegmentRecipe", "SegmentUPerNet"]
