"""MaskFeat: gradient histograms as targets (Wei et al., 2021, arXiv 2112.09133)."""

from mimbench.encoders import Encoder
from mimbench.maskers import Masker
from mimbench.methods.simmim import SimMIM
from mimbench.targets import TargetAt


class MaskFeat(SimMIM):
    """SimMIM in which each token predicts the targets of the four quarters of its patch.

    Args:
        target: HOG with 9 bins in the paper.
        cell: Side of the predicted cells in pixels; by default half a patch (8 of 16 px).
    """

    def __init__(
        self,
        encoder: Encoder,
        masker: Masker,
        target: TargetAt,
        cell: int | None = None,
        mask_cell: int | None = None,
    ):
        super().__init__(encoder, masker, target, cell or max(1, encoder.taps[-1].cell // 2), mask_cell)
