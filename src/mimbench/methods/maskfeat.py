"""MaskFeat: gradient histograms instead of pixels (Wei et al., 2021, arXiv 2112.09133)."""

from mimbench.encoders import Encoder
from mimbench.maskers import Masker
from mimbench.methods.simmim import SimMIM
from mimbench.targets import TargetAt


class MaskFeat(SimMIM):
    """Each token predicts the histograms of its four quarters; all else is as in SimMIM.

    Args:
        target: The paper's is HOG with 9 bins.
        cell: Side of the predicted cells in pixels; by default half a patch (8 of 16 px).
    """

    def __init__(self, encoder: Encoder, masker: Masker, target: TargetAt, cell: int | None = None):
        super().__init__(encoder, masker, target, cell or max(1, encoder.taps[-1].cell // 2))
