"""Several encoders side by side."""

import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mimbench.analysis import cka_matrix, figures
from mimbench.cli.analyses import Finding, as_rows
from mimbench.cli.evaluation import data_suffix
from mimbench.cli.examined import Examined
from mimbench.dotted import flatten

MAX_PANELS = 12
_CURVES = {
    "rank": "effective rank (RankMe)",
    "cka_to_last": "linear CKA to the last depth",
    "attention_distance": "attention distance (px)",
    "attention_entropy": "attention entropy (nats)",
    "head_diversity": "KL between heads (nats)",
    "gradient_norm": "norm of the gradient, mean over training",
}


def common_parent(subjects: Sequence[Examined]) -> Path:
    """The deepest directory that holds them all."""
    return Path(os.path.commonpath([subject.directory.resolve().parent for subject in subjects]))


def labels(subjects: Sequence[Examined]) -> list[str]:
    """Short names: what differs of method, encoder, depth, data and seed, else the directories'."""
    axes = [_axes(subject) for subject in subjects]
    differing = [key for key in axes[0] if len({str(own.get(key)) for own in axes}) > 1]
    short = [" ".join(f"{_PREFIX[key]}{own[key]}" for key in differing if key in own) for own in axes]
    whole = [f"{subject.name}{subject.suffix}" for subject in subjects]
    return short if len(set(short)) == len(short) and all(short) else whole


_PREFIX = {"method": "", "encoder": "", "depth": "d", "data": "", "seed": "s"}


def _axes(subject: Examined) -> dict[str, Any]:
    config = subject.candidate.config
    if config is None:
        return {"method": subject.name}
    flat = flatten(config)
    names = {"method": "method.name", "encoder": "encoder.name", "depth": "encoder.depth", "data": "data.name"}
    return {key: flat[name] for key, name in (names | {"seed": "seed"}).items() if flat.get(name) is not None}


def comparable(subjects: Sequence[Examined]) -> bool:
    """Whether all were shown the same images."""
    first = subjects[0].sample
    return all(
        data_suffix(subject.sample.data, first.data) == ""
        and (subject.sample.split, len(subject.sample)) == (first.split, len(first))
        for subject in subjects[1:]
    )


def similarity(subjects: Sequence[Examined]) -> Finding:
    """CKA of every depth of every encoder with every depth of every other."""
    names = labels(subjects)
    spans = list(itertools.accumulate([len(subject.features) for subject in subjects], initial=0))
    whole = cka_matrix([rows for subject in subjects for rows in subject.features.values()])
    blocks: dict[tuple[int, int], Tensor] = {
        (i, j): whole[spans[i] : spans[i + 1], spans[j] : spans[j + 1]]
        for i, j in itertools.combinations(range(len(subjects)), 2)
    }
    last = whole[[end - 1 for end in spans[1:]]][:, [end - 1 for end in spans[1:]]]
    numbers = {
        "estimator": "unbiased",
        "num_images": len(subjects[0].sample),
        "split": subjects[0].sample.split,
        "runs": [str(subject.directory) for subject in subjects],
        "labels": names,
        "last_depths": np.round(last.numpy(), 6).tolist(),
        "pairs": [
            {"rows": names[i], "columns": names[j], "cka": np.round(block.numpy(), 6).tolist()}
            for (i, j), block in blocks.items()
        ],
    }
    shown = {f"{names[i]} (up)\n{names[j]} (right)": block.numpy() for (i, j), block in blocks.items()}
    drawn = {"cka_last_depths": figures.cka({"last depths": last.numpy()}, "encoder", "encoder")}
    drawn["cka"] = figures.cka(dict(itertools.islice(shown.items(), MAX_PANELS)))
    return Finding(numbers, figures=drawn)


def curves(subjects: Sequence[Examined], summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A figure per quantity that at least two encoders have."""
    drawn: dict[str, Any] = {}
    for key, title in _CURVES.items():
        own = {
            name: {depth: value for depth, value in enumerate(summary[key]) if value is not None}
            for name, summary in zip(labels(subjects), summaries, strict=True)
            if key in summary
        }
        if len(own) > 1:
            drawn[key] = figures.by_depth(own, title, log=key == "gradient_norm")
    return drawn


def pictures(subjects: Sequence[Examined], found: Sequence[dict[str, Tensor]]) -> Any:
    """One figure of all reconstructions; image and mask once where they are the same. None with fewer than two."""
    rows: dict[str, Tensor] = {}
    for name, own in zip(labels(subjects), found, strict=True):
        for row, picture in own.items():
            shared = row in ("image", "visible") and any(
                picture.shape == other.shape and bool((picture == other).all()) for other in rows.values()
            )
            if not shared:
                rows[row if row in ("image", "visible") and row not in rows else f"{name}: {row}"] = picture
    sides = {picture.shape for picture in rows.values()}
    return figures.pictures(as_rows(rows)) if sum(map(bool, found)) > 1 and len(sides) == 1 else None
