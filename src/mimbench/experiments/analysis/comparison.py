"""Comparisons of several encoders."""

import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mimbench.analysis import cka_matrix, figures
from mimbench.core.dotted import flatten
from mimbench.experiments.analysis.analyses import AnalysisResult, as_rows
from mimbench.experiments.analysis.context import AnalysisContext
from mimbench.experiments.evaluation.evaluate import data_suffix

MAX_PANELS = 12
_CURVES = {
    "rank": "effective rank (RankMe)",
    "cka_to_last": "linear CKA to the last depth",
    "attention_distance": "attention distance (px)",
    "attention_entropy": "attention entropy (nats)",
    "head_diversity": "KL between heads (nats)",
    "gradient_norm": "norm of the gradient, mean over training",
}


def common_parent(contexts: Sequence[AnalysisContext]) -> Path:
    """The deepest directory that contains all of them."""
    return Path(os.path.commonpath([context.directory.resolve().parent for context in contexts]))


def short_labels(contexts: Sequence[AnalysisContext]) -> list[str]:
    """Short unique names: the axes (method, encoder, depth, data, seed) that differ, otherwise directory names."""
    axes = [_axes(context) for context in contexts]
    differing = [key for key in axes[0] if len({str(own.get(key)) for own in axes}) > 1]
    short = [" ".join(f"{_PREFIX[key]}{own[key]}" for key in differing if key in own) for own in axes]
    if len(set(short)) == len(short) and all(short):
        return short
    return [f"{context.name}{context.suffix}" for context in contexts]


_PREFIX = {"method": "", "encoder": "", "depth": "d", "data": "", "seed": "s"}


def _axes(context: AnalysisContext) -> dict[str, Any]:
    config = context.source.config
    if config is None:
        return {"method": context.name}
    flat = flatten(config)
    names = {"method": "method.name", "encoder": "encoder.name", "depth": "encoder.depth", "data": "data.name"}
    return {key: flat[name] for key, name in (names | {"seed": "seed"}).items() if flat.get(name) is not None}


def have_same_images(contexts: Sequence[AnalysisContext]) -> bool:
    """Whether all encoders are analyzed on the same images."""
    first = contexts[0].sample
    return all(
        data_suffix(context.sample.data, first.data) == ""
        and (context.sample.split, len(context.sample)) == (first.split, len(first))
        for context in contexts[1:]
    )


def compare_cka(contexts: Sequence[AnalysisContext]) -> AnalysisResult:
    """CKA between all depths of every pair of encoders."""
    names = short_labels(contexts)
    spans = list(itertools.accumulate([len(context.features) for context in contexts], initial=0))
    matrix = cka_matrix([rows for context in contexts for rows in context.features.values()])
    blocks: dict[tuple[int, int], Tensor] = {
        (i, j): matrix[spans[i] : spans[i + 1], spans[j] : spans[j + 1]]
        for i, j in itertools.combinations(range(len(contexts)), 2)
    }
    last = matrix[[end - 1 for end in spans[1:]]][:, [end - 1 for end in spans[1:]]]
    numbers = {
        "estimator": "unbiased",
        "num_images": len(contexts[0].sample),
        "split": contexts[0].sample.split,
        "runs": [str(context.directory) for context in contexts],
        "labels": names,
        "last_depths": np.round(last.numpy(), 6).tolist(),
        "pairs": [
            {"rows": names[i], "columns": names[j], "cka": np.round(block.numpy(), 6).tolist()}
            for (i, j), block in blocks.items()
        ],
    }
    blocks_by_title = {f"{names[i]} (up)\n{names[j]} (right)": block.numpy() for (i, j), block in blocks.items()}
    plots = {"cka_last_depths": figures.cka({"last depths": last.numpy()}, "encoder", "encoder")}
    plots["cka"] = figures.cka(dict(itertools.islice(blocks_by_title.items(), MAX_PANELS)))
    return AnalysisResult(numbers, figures=plots)


def draw_curves(contexts: Sequence[AnalysisContext], summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One figure for each quantity that at least two encoders have."""
    plots: dict[str, Any] = {}
    for key, title in _CURVES.items():
        own = {
            name: {depth: value for depth, value in enumerate(summary[key]) if value is not None}
            for name, summary in zip(short_labels(contexts), summaries, strict=True)
            if key in summary
        }
        if len(own) > 1:
            plots[key] = figures.by_depth(own, title, log=key == "gradient_norm")
    return plots


def draw_panels(contexts: Sequence[AnalysisContext], reconstructions: Sequence[dict[str, Tensor]]) -> Any:
    """One figure of all reconstructions, without repeated images and masks; None for fewer than two encoders."""
    rows: dict[str, Tensor] = {}
    for name, own in zip(short_labels(contexts), reconstructions, strict=True):
        for row, image in own.items():
            shared = row in ("image", "visible") and any(
                image.shape == other.shape and bool((image == other).all()) for other in rows.values()
            )
            if not shared:
                rows[row if row in ("image", "visible") and row not in rows else f"{name}: {row}"] = image
    sides = {image.shape for image in rows.values()}
    return figures.panels(as_rows(rows)) if sum(map(bool, reconstructions)) > 1 and len(sides) == 1 else None
