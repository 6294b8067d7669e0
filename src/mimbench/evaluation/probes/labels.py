"""Checks that images have labels."""

from jaxtyping import Int64
from torch import Tensor


def check_labels(labels: Int64[Tensor, " n"], split: str) -> None:
    """Raises ValueError if a split is empty or has images without a label."""
    if not len(labels):
        raise ValueError(f"The {split} split is empty; kNN and probes need labeled images in train, val and test.")
    if labels.min() < 0:
        raise ValueError(
            f"{int((labels < 0).sum())} of {len(labels)} images in {split} have no label, and kNN and probes need "
            "labels; choose another data source, or leave out these protocols and callbacks."
        )
