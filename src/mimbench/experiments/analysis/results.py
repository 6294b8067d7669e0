"""Runs analyses and writes their results: numbers, figures, and a summary in the record."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mimbench.core.files import write_atomic
from mimbench.core.json_files import read_json
from mimbench.experiments.analysis.analyses import ANALYSES, AnalysisResult
from mimbench.experiments.analysis.context import AnalysisContext, NotApplicable
from mimbench.reporting.figures.palette import encode
from mimbench.runs import records
from mimbench.runs.directory import ANALYSIS, FIGURES, RECORD
from mimbench.runs.results import record_lock

_SUMMARY = "analysis-v1"
_ROWS = {
    "rank": "effective rank",
    "cka_to_last": "CKA to last",
    "attention_distance": "distance (px)",
    "attention_entropy": "entropy (nats)",
    "head_diversity": "diversity (nats)",
    "gradient_norm": "gradient norm",
    "gradient_norm_at_end": "... at the end",
}


def analyze(context: AnalysisContext, chosen: Sequence[str]) -> dict[str, AnalysisResult]:
    """Runs the chosen analyses on one encoder and writes their results; returns them by name."""
    print(f"{context.source.name} ({len(context.sample)} images of {context.sample.split})", flush=True)
    results: dict[str, AnalysisResult] = {}
    for name in chosen:
        try:
            results[name] = ANALYSES[name](context)
        except NotApplicable as reason:
            print(f"  {name} is left out: {reason}", file=sys.stderr, flush=True)
    sample = {"num_images": len(context.sample), "split": context.sample.split, "data": context.sample.data["name"]}
    for name, result in results.items():
        write_numbers(context.directory / ANALYSIS / f"{name}{context.suffix}.json", sample | result.numbers)
        for title, figure in result.figures.items():
            write_figure(context.directory / FIGURES / f"analysis-{title}{context.suffix}", figure)
    summary = merge_summaries(results)
    if summary:
        _store_summary(context, {"depths": list(range(context.encoder.depth + 1))} | sample | summary)
        _print_summary(summary, context.encoder.depth)
    return results


def merge_summaries(results: Mapping[str, AnalysisResult]) -> dict[str, Any]:
    """The summary for the record: for each quantity, one value per depth."""
    return {key: value for result in results.values() for key, value in result.summary.items()}


def _store_summary(context: AnalysisContext, summary: dict[str, Any]) -> None:
    """Merges the summary into its file and the run's record; earlier numbers from other images are dropped."""
    path = context.directory / ANALYSIS / f"{_SUMMARY}{context.suffix}.json"
    before = _read_numbers(path)
    same = all(before.get(key) == summary[key] for key in ("num_images", "split", "data", "depths"))
    merged = (before if same else {}) | summary
    write_numbers(path, merged)
    if not context.suffix and (context.directory / RECORD).is_file():
        with record_lock(context.directory):
            record = records.read(context.directory / RECORD)
            records.write(replace(record, metrics={**record.metrics, _SUMMARY: merged}), context.directory)


def _read_numbers(path: Path) -> dict[str, Any]:
    """Earlier numbers; empty if the file is missing or unreadable."""
    try:
        return read_json(path)
    except (OSError, ValueError):
        return {}


def write_figure(path: Path, figure: Any) -> None:
    """Writes a figure: images as PNG, everything else as SVG."""
    kind = "png" if "reconstructions" in path.name else "svg"
    write_atomic(path.with_name(f"{path.name}.{kind}"), encode(figure, kind))


def write_numbers(path: Path, numbers: Mapping[str, Any]) -> None:
    """Writes numbers as JSON."""
    write_atomic(path, json.dumps(numbers, allow_nan=False) + "\n")


def _print_summary(summary: dict[str, Any], depth: int) -> None:
    print(f"  {'depth':<18}" + "".join(f"{k:>9}" for k in range(depth + 1)))
    for key, title in _ROWS.items():
        if key in summary:
            columns = ("" if value is None else f"{value:.3g}" for value in summary[key])
            print(f"  {title:<18}" + "".join(f"{column:>9}" for column in columns), flush=True)
