"""The analyses of one encoder. Each returns numbers, a summary for the record, and figures."""

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
from mimbench.experiments.analysis import NAMES
from mimbench.experiments.analysis.context import AnalysisContext, NotApplicable
from mimbench.runs.directory import METRICS

NUM_ATTENTION, NUM_GRADIENT, NUM_PANELS = 128, 64, 8  # images; 128 as in the ViT paper
_MAX_POINTS = 200


@dataclass(frozen=True)
class AnalysisResult:
    """The result of one analysis.

    Attributes:
        numbers: All numbers, as JSON values.
        summary: Entries of the record's `analysis-v1`; lists have one value per depth from 0 to L.
        figures: Figures by file name without extension.
        panels: Rows of images "n 3 s s" by name, which form one figure.
    """

    numbers: dict[str, Any]
    summary: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    panels: dict[str, Tensor] = field(default_factory=dict)


def cka(context: AnalysisContext) -> AnalysisResult:
    """CKA between all pairs of depths."""
    _require_images(context, 4)
    matrix = cka_matrix(list(context.features.values()))
    numbers = {"estimator": "unbiased", "depths": list(context.features), "cka": _round(matrix)}
    figure = figures.cka({context.name: matrix.numpy()})
    return AnalysisResult(numbers, {"cka_to_last": _round(matrix[-1])}, {"cka": figure})


def rank(context: AnalysisContext) -> AnalysisResult:
    """Effective rank and singular values of every depth."""
    spectra = {depth: singular_values(rows) for depth, rows in context.features.items()}
    ranks = {depth: rankme(values) for depth, values in spectra.items()}
    places = {depth: _sample_places(len(values)) for depth, values in spectra.items()}
    numbers = {
        "depths": list(ranks),
        "rank": _round(list(ranks.values())),
        "largest_possible": [len(values) for values in spectra.values()],
        "spectrum": {
            str(depth): {"place": (places[depth] + 1).tolist(), "value": _round(values[places[depth]] / values[0])}
            for depth, values in spectra.items()
        },
    }
    plots = {"rank": figures.by_depth({context.name: ranks}, "effective rank (RankMe)")}
    plots["spectrum"] = figures.spectrum({depth: values.numpy() for depth, values in spectra.items()})
    return AnalysisResult(numbers, {"rank": numbers["rank"]}, plots)


def attention(context: AnalysisContext) -> AnalysisResult:
    """Attention distance, entropy and diversity of the heads of every block."""
    tap = context.encoder.taps[0]
    try:
        statistics = attention_statistics(context.encoder, context.sample.batches(NUM_ATTENTION))
    except ValueError as error:
        raise NotApplicable(str(error)) from error
    entropy = float(np.log(tap.grid[0] * tap.grid[1]))
    distance = uniform_distance(tap.grid, tap.cell)
    attributes = {"attention_distance": "distance", "attention_entropy": "entropy", "head_diversity": "diversity"}
    by_head = {name: [_round(getattr(heads, own)) for heads in statistics.values()] for name, own in attributes.items()}
    numbers = {
        "num_images": min(NUM_ATTENTION, len(context.sample)),
        "depths": list(statistics),
        "units": {"attention_distance": "px", "attention_entropy": "nats", "head_diversity": "nats"},
        "uniform": {"attention_distance": distance, "attention_entropy": entropy},
        **by_head,
    }
    # Depth 0 is the patch embedding, which has no attention.
    summary = {name: [None, *(_round(float(np.mean(row))) for row in rows)] for name, rows in by_head.items()}
    return AnalysisResult(numbers, summary, {"attention": figures.heads(statistics, distance, entropy)})


def gradients(context: AnalysisContext) -> AnalysisResult:
    """Norm of the gradient at every depth, during training and on one batch at the end."""
    curves = {} if context.suffix else read_gradient_norms(context.directory / METRICS)
    numbers: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    plots: dict[str, Any] = {}
    if curves:
        numbers["training"] = {str(depth): _subsample(points) for depth, points in curves.items()}
        summary["gradient_norm"] = [_round(float(np.mean([v for _, v in points]))) for points in curves.values()]
        plots["gradient_norm"] = figures.gradients(curves)
    try:
        images = context.sample.images(NUM_GRADIENT)
        norms = gradient_norms(context.method, images, common_mask(context.method, images))
        numbers["one_batch"] = {str(depth): _round(value) for depth, value in norms.items()}
        summary["gradient_norm_at_end"] = _round(list(norms.values()))
    except (NotApplicable, ValueError) as error:
        if not curves:
            raise NotApplicable(str(error)) from error
    return AnalysisResult(numbers, summary, plots)


def reconstructions(context: AnalysisContext) -> AnalysisResult:
    """Images of the predictions of the method."""
    images = context.sample.images(NUM_PANELS)
    panels = reconstruct(context.method, images, common_mask(context.method, images))
    if not panels:
        raise NotApplicable("its targets have no image (features, or weights that do not tell).")
    rows = {name: row.cpu() for name, row in panels.items()}
    figure = figures.panels(as_rows(rows))
    return AnalysisResult(
        {"num_images": len(images), "rows": list(rows)}, figures={"reconstructions": figure}, panels=rows
    )


ANALYSES: dict[str, Callable[[AnalysisContext], AnalysisResult]] = dict(
    zip(NAMES, (cka, rank, attention, gradients, reconstructions), strict=True)
)


def as_rows(panels: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Rows of images "n 3 s s" in the layout of `figures.panels`, "n s s 3"."""
    return {name: row.permute(0, 2, 3, 1).numpy() for name, row in panels.items()}


def _require_images(context: AnalysisContext, minimum: int) -> None:
    if len(context.sample) < minimum:
        raise NotApplicable(f"it needs at least {minimum} images; increase --images.")


def _round(values: Any) -> Any:
    """Values with six significant digits; NaN becomes None."""
    if isinstance(values, torch.Tensor):
        values = values.tolist()
    if isinstance(values, list):
        return [_round(value) for value in values]
    return None if values != values else float(f"{values:.6g}")


def _sample_places(length: int) -> np.ndarray:
    """All indices of a spectrum, or at most 200 that are evenly spaced on a logarithmic scale."""
    return np.unique(np.geomspace(1, length, min(length, _MAX_POINTS)).round().astype(int)) - 1


def _subsample(points: list[tuple[int, float]]) -> list[list[Any]]:
    step = -(-len(points) // _MAX_POINTS)
    return [[place, _round(value)] for place, value in points[::step]]
