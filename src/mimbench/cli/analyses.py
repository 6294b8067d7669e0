"""The analyses of one encoder: numbers for its files, a summary for its record, figures."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mimbench.analysis import (
    attention_statistics,
    cka_matrix,
    figures,
    gradient_norms,
    rankme,
    read_gradient_norms,
    reconstruct,
    singular_values,
)
from mimbench.analysis.distance import uniform_distance
from mimbench.analysis.reconstruction import common_mask
from mimbench.cli.examined import Examined, NotApplicable

NUM_ATTENTION, NUM_GRADIENT, NUM_PICTURES = 128, 64, 8  # images; 128 are those of the ViT's paper
_MAX_POINTS = 200


@dataclass(frozen=True)
class Finding:
    """What one analysis says.

    Attributes:
        numbers: All of it, as JSON.
        summary: Its part of the record's `analysis-v1`; lists go over depths 0 to L.
        figures: By file name without ending.
        pictures: Rows of pictures "n 3 s s" by name; they make one figure.
    """

    numbers: dict[str, Any]
    summary: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, Tensor] = field(default_factory=dict)


def cka(examined: Examined) -> Finding:
    """Similarity of every depth to every other."""
    _need(examined, 4)
    matrix = cka_matrix(list(examined.features.values()))
    numbers = {"estimator": "unbiased", "depths": list(examined.features), "cka": _rounded(matrix)}
    figure = figures.cka({examined.name: matrix.numpy()})
    return Finding(numbers, {"cka_to_last": _rounded(matrix[-1])}, {"cka": figure})


def rank(examined: Examined) -> Finding:
    """Effective rank and singular values of every depth."""
    spectra = {depth: singular_values(rows) for depth, rows in examined.features.items()}
    ranks = {depth: rankme(values) for depth, values in spectra.items()}
    places = {depth: _some_places(len(values)) for depth, values in spectra.items()}
    numbers = {
        "depths": list(ranks),
        "rank": _rounded(list(ranks.values())),
        "largest_possible": [len(values) for values in spectra.values()],
        "spectrum": {
            str(depth): {"place": (places[depth] + 1).tolist(), "value": _rounded(values[places[depth]] / values[0])}
            for depth, values in spectra.items()
        },
    }
    drawn = {"rank": figures.by_depth({examined.name: ranks}, "effective rank (RankMe)")}
    drawn["spectrum"] = figures.spectrum({depth: values.numpy() for depth, values in spectra.items()})
    return Finding(numbers, {"rank": numbers["rank"]}, drawn)


def attention(examined: Examined) -> Finding:
    """Distance, entropy and diversity of the heads of every block."""
    tap = examined.encoder.taps[0]
    try:
        found = attention_statistics(examined.encoder, examined.sample.batches(NUM_ATTENTION))
    except ValueError as error:
        raise NotApplicable(str(error)) from error
    entropy = float(np.log(tap.grid[0] * tap.grid[1]))
    distance = uniform_distance(tap.grid, tap.cell)
    named = {"attention_distance": "distance", "attention_entropy": "entropy", "head_diversity": "diversity"}
    by_head = {name: [_rounded(getattr(heads, own)) for heads in found.values()] for name, own in named.items()}
    numbers = {
        "num_images": min(NUM_ATTENTION, len(examined.sample)),
        "depths": list(found),
        "units": {"attention_distance": "px", "attention_entropy": "nats", "head_diversity": "nats"},
        "uniform": {"attention_distance": distance, "attention_entropy": entropy},
        **by_head,
    }
    # Depth 0 is the embedding and attends to nothing.
    summary = {name: [None, *(_rounded(float(np.mean(row))) for row in rows)] for name, rows in by_head.items()}
    return Finding(numbers, summary, {"attention": figures.heads(found, distance, entropy)})


def gradients(examined: Examined) -> Finding:
    """Norm of the gradient at every depth, during training and on one batch at the end."""
    curves = {} if examined.suffix else read_gradient_norms(examined.directory / "metrics.csv")
    numbers: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    drawn: dict[str, Any] = {}
    if curves:
        numbers["training"] = {str(depth): _thinned(points) for depth, points in curves.items()}
        summary["gradient_norm"] = [_rounded(float(np.mean([v for _, v in points]))) for points in curves.values()]
        drawn["gradient_norm"] = figures.gradients(curves)
    try:
        images = examined.sample.images(NUM_GRADIENT)
        found = gradient_norms(examined.method, images, common_mask(examined.method, images))
        numbers["one_batch"] = {str(depth): _rounded(value) for depth, value in found.items()}
        summary["gradient_norm_at_end"] = _rounded(list(found.values()))
    except (NotApplicable, ValueError) as error:
        if not curves:
            raise NotApplicable(str(error)) from error
    return Finding(numbers, summary, drawn)


def reconstructions(examined: Examined) -> Finding:
    """Pictures of what the method predicts."""
    images = examined.sample.images(NUM_PICTURES)
    pictures = reconstruct(examined.method, images, common_mask(examined.method, images))
    if not pictures:
        raise NotApplicable("its targets have no picture (a teacher's features, or weights that do not tell).")
    rows = {name: row.cpu() for name, row in pictures.items()}
    figure = figures.pictures(as_rows(rows))
    return Finding({"num_images": len(images), "rows": list(rows)}, figures={"reconstructions": figure}, pictures=rows)


ANALYSES: dict[str, Callable[[Examined], Finding]] = {
    "cka": cka,
    "rank": rank,
    "attention": attention,
    "gradients": gradients,
    "reconstructions": reconstructions,
}


def as_rows(pictures: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Pictures as `figures.pictures` takes them."""
    return {name: row.permute(0, 2, 3, 1).numpy() for name, row in pictures.items()}


def _need(examined: Examined, least: int) -> None:
    if len(examined.sample) < least:
        raise NotApplicable(f"it needs at least {least} images; raise --images.")


def _rounded(values: Any) -> Any:
    """Six significant digits, NaN as None."""
    if isinstance(values, torch.Tensor):
        values = values.tolist()
    if isinstance(values, list):
        return [_rounded(value) for value in values]
    return None if values != values else float(f"{values:.6g}")


def _some_places(length: int) -> np.ndarray:
    """All places of a spectrum, or some that are even on a logarithmic scale."""
    return np.unique(np.geomspace(1, length, min(length, _MAX_POINTS)).round().astype(int)) - 1


def _thinned(points: list[tuple[int, float]]) -> list[list[Any]]:
    step = -(-len(points) // _MAX_POINTS)
    return [[place, _rounded(value)] for place, value in points[::step]]
