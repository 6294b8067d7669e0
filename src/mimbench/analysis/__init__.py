"""Analyses of trained encoders: similarity, rank, attention, gradients and reconstructions.

`mimbench.analysis.figures` is not imported here, since training needs only the callback.
"""

from mimbench.analysis.attention import Heads, attention_maps, attention_statistics
from mimbench.analysis.cka import cka_matrix, linear_cka
from mimbench.analysis.distance import attention_distance
from mimbench.analysis.diversity import head_diversity
from mimbench.analysis.entropy import attention_entropy
from mimbench.analysis.gradients import GradientNorms, gradient_norms, read_gradient_norms
from mimbench.analysis.reconstruction import reconstruct
from mimbench.analysis.spectrum import rankme, singular_values

__all__ = [
    "GradientNorms",
    "Heads",
    "attention_distance",
    "attention_entropy",
    "attention_maps",
    "attention_statistics",
    "cka_matrix",
    "gradient_norms",
    "head_diversity",
    "linear_cka",
    "rankme",
    "read_gradient_norms",
    "reconstruct",
    "singular_values",
]
