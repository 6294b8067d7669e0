"""Stratified hold-out of labeled samples."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from mimbench.core.counter_rng import permutation

_FEW = 200  # a standard error of 3.5 points at an accuracy of 50 %


class HoldOut(NamedTuple):
    """Sorted indices of the remaining samples and of those held out."""

    kept: Int64[Tensor, " k"]
    held: Int64[Tensor, " m"]


def describe_tiny(num_held: int, where: str) -> str | None:
    """Returns a warning for a validation split too small to choose by; None if it has `_FEW` images or more."""
    if num_held >= _FEW:
        return None
    error = 100 * 0.5 / num_held**0.5
    return (
        f"{where}: the validation split has {num_held} images, so an accuracy on it has a standard error of up to "
        f"{error:.0f} points. Hold out more of train/ (data.source.holdout=0.2), or choose nothing by it."
    )


def stratified_holdout(labels: Int64[Tensor, " n"], fraction: float, seed: int, classes: Sequence[str] = ()) -> HoldOut:
    """Holds out the same fraction of every class (rounded, at least one sample).

    Args:
        classes: Names of the labels, for messages.

    Raises:
        ValueError: The fraction is outside (0, 1), or a class has too few samples.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"The hold-out fraction is {fraction}; it must lie strictly between 0 and 1.")
    values = labels.numpy()
    order = permutation(len(values), seed, "holdout")
    order = order[np.argsort(values[order], kind="stable")]
    _, starts, counts = np.unique(values[order], return_index=True, return_counts=True)
    num_held = np.maximum(1, np.floor(counts * fraction + 0.5).astype(np.int64))
    if (num_held >= counts).any():
        place = np.argmax(num_held >= counts)
        short, count = int(values[order][starts[place]]), int(counts[place])
        name = repr(classes[short]) if short in range(len(classes)) else short
        subject = f"Class {name} has" if short >= 0 else "There are"
        raise ValueError(
            f"{subject} too few samples, {count}, to hold out {fraction:g} of them; add samples"
            f"{', remove the class' if short >= 0 else ''} or lower the fraction (holdout)."
        )
    rank = np.arange(len(values)) - np.repeat(starts, counts)
    is_held = rank < np.repeat(num_held, counts)
    return HoldOut(torch.from_numpy(np.sort(order[~is_held])), torch.from_numpy(np.sort(order[is_held])))
