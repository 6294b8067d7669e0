"""The comparison table as Markdown and as CSV."""

from collections.abc import Iterable

import pandas as pd

from mimbench.reporting import numbers
from mimbench.reporting.runs import Run
from mimbench.reporting.statistics import Difference, Estimate
from mimbench.reporting.summary import Summary, protocols

UNFINISHED = ("failed", "interrupted", "running", "missing", "broken", "refused")


def markdown(summaries: list[Summary]) -> str:
    """One row per data, encoder, depth and method; ends with a newline."""
    labels = protocols(summaries)
    return grid([_cells(summary, labels) for summary in summaries])


def grid(rows: list[dict[str, str]]) -> str:
    """Rows as a Markdown table, whatever characters they hold; ends with a newline."""
    table = pd.DataFrame(rows).map(lambda text: " ".join(text.split()).replace("|", "\\|"))
    return table.to_markdown(index=False, disable_numparse=True) + "\n"


def csv(summaries: list[Summary]) -> str:
    """Fractions, FLOPs and seconds in full precision; one row per data, encoder, depth, method and variant."""
    labels = protocols(summaries)
    table = pd.DataFrame([_values(summary, labels) for summary in summaries])
    counts = [column for column in table if column.endswith("_n")]
    return table.astype(dict.fromkeys(counts, "Int64")).to_csv(index=False, lineterminator="\n")


def unfinished(runs: Iterable[Run]) -> str:
    """How many runs ended otherwise and why: `1 failed: ValueError: no images; 2 missing`."""
    groups = reasons(runs)
    return "; ".join(
        f"{len(group)} {status}" + (f": {error}" if error else "") for (status, error), group in groups.items()
    )


def reasons(runs: Iterable[Run]) -> dict[tuple[str, str], list[Run]]:
    """The unfinished runs by status and error, in the order of `UNFINISHED`."""
    groups: dict[tuple[str, str], list[Run]] = {}
    rest = [run for run in runs if run.status != "finished"]
    for run in sorted(rest, key=lambda run: (UNFINISHED.index(run.status), run.error)):
        groups.setdefault((run.status, " ".join(run.error.split())), []).append(run)
    return groups


def _cells(summary: Summary, labels: dict[str, str]) -> dict[str, str]:
    condition = summary.condition
    cells = {"data": condition.data, "encoder": condition.encoder, "depth": str(condition.depth)}
    cells["method"] = condition.label
    for protocol, label in labels.items():
        estimate, gain = summary.estimates.get(protocol), summary.differences.get(protocol)
        cells[f"{label} %"] = f"{numbers.accuracy(estimate)} {numbers.accuracy_interval(estimate)}".strip()
        cells[f"{label} vs untrained"] = f"{numbers.gain(gain)} {numbers.gain_interval(gain)}".strip()
    cells["training FLOPs"] = numbers.flops(summary.training_flops)
    cells["images/s"] = numbers.rate(summary.images_per_second)
    cells["minutes"] = numbers.minutes(summary.train_seconds)
    cells["runs"] = f"{summary.counts['finished']}/{summary.planned}"
    cells["not finished"] = unfinished(summary.runs)
    return cells


def _values(summary: Summary, labels: dict[str, str]) -> dict[str, object]:
    values: dict[str, object] = dict(summary.condition._asdict())
    for protocol in labels:
        estimate, gain = summary.estimates.get(protocol), summary.differences.get(protocol)
        for field in Estimate._fields:
            values[f"{protocol}_{field}"] = getattr(estimate, field, None)
        for field in (*Difference._fields, "verdict"):
            values[f"{protocol}_difference_{field}"] = getattr(gain, field, None)
    values["training_flops"] = summary.training_flops
    values["images_per_second"] = summary.images_per_second
    values["train_seconds"] = summary.train_seconds
    values["planned"] = summary.planned
    counts = summary.counts
    values |= {status: counts[status] for status in ("finished", *UNFINISHED)}
    values["errors"] = unfinished(summary.runs)
    return values
