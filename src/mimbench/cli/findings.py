"""What analyses say, written down: numbers, figures, and a summary in the record."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mimbench.cli.analyses import ANALYSES, Finding
from mimbench.cli.examined import Examined, NotApplicable
from mimbench.cli.ledger import record_lock
from mimbench.reporting import records
from mimbench.reporting.files import write_whole
from mimbench.reporting.palette import encode

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


def examine(subject: Examined, chosen: Sequence[str]) -> dict[str, Finding]:
    """Runs the chosen analyses on one encoder and writes what they say."""
    print(f"{subject.candidate.name} ({len(subject.sample)} images of {subject.sample.split})", flush=True)
    found: dict[str, Finding] = {}
    for name in chosen:
        try:
            found[name] = ANALYSES[name](subject)
        except NotApplicable as reason:
            print(f"  {name} is left out: {reason}", file=sys.stderr, flush=True)
    sample = {"num_images": len(subject.sample), "split": subject.sample.split, "data": subject.sample.data["name"]}
    for name, finding in found.items():
        write(subject.directory / "analysis" / f"{name}{subject.suffix}.json", sample | finding.numbers)
        for title, figure in finding.figures.items():
            draw(subject.directory / "figures" / f"analysis-{title}{subject.suffix}", figure)
    summary = summary_of(found)
    if summary:
        _keep(subject, {"depths": list(range(subject.encoder.depth + 1))} | sample | summary)
        _show(summary, subject.encoder.depth)
    return found


def summary_of(found: Mapping[str, Finding]) -> dict[str, Any]:
    """What goes into the record: one list per quantity, over the depths."""
    return {key: value for finding in found.values() for key, value in finding.summary.items()}


def _keep(subject: Examined, summary: dict[str, Any]) -> None:
    """Merges the summary into its file and the run's record; numbers of other images are dropped."""
    path = subject.directory / "analysis" / f"{_SUMMARY}{subject.suffix}.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    same = all(before.get(key) == summary[key] for key in ("num_images", "split", "data", "depths"))
    merged = (before if same else {}) | summary
    write(path, merged)
    if not subject.suffix and (subject.directory / records.FILE).is_file():
        with record_lock(subject.directory):
            record = records.read(subject.directory / records.FILE)
            records.write(replace(record, metrics={**record.metrics, _SUMMARY: merged}), subject.directory)


def draw(path: Path, figure: Any) -> None:
    """Writes a figure: pictures as PNG, everything else as SVG."""
    kind = "png" if "reconstructions" in path.name else "svg"
    write_whole(path.with_name(f"{path.name}.{kind}"), encode(figure, kind))


def write(path: Path, numbers: Mapping[str, Any]) -> None:
    """Writes numbers as JSON."""
    write_whole(path, json.dumps(numbers, allow_nan=False) + "\n")


def _show(summary: dict[str, Any], depth: int) -> None:
    print(f"  {'depth':<18}" + "".join(f"{k:>9}" for k in range(depth + 1)))
    for key, title in _ROWS.items():
        if key in summary:
            cells = ("" if value is None else f"{value:.3g}" for value in summary[key])
            print(f"  {title:<18}" + "".join(f"{cell:>9}" for cell in cells), flush=True)
