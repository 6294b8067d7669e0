"""The comparison table as rows of text, as Markdown and as CSV."""

from collections.abc import Iterable

import pandas as pd

from mimbench.reporting import numbers
from mimbench.reporting.runs import Run
from mimbench.reporting.statistics import Difference, Estimate
from mimbench.reporting.summary import Summary, protocols

BEST = "best"
_SILENT = ("", numbers.NOTHING, BEST)
UNFINISHED = ("failed", "interrupted", "running", "missing", "broken", "refused")


def rows(summaries: list[Summary]) -> list[dict[str, str]]:
    """One row per data, encoder, depth and method, without the optional columns that say nothing."""
    labels = protocols(summaries)
    marks = sources(summaries)
    table = [_cells(summary, labels, marks) for summary in summaries]
    optional = [f"{label} vs {other}" for label in labels.values() for other in ("untrained", "best")]
    silent = {name for name in (*optional, "published", "not finished") if all(row[name] in _SILENT for row in table)}
    return [{name: text for name, text in row.items() if name not in silent} for row in table]


def markdown(summaries: list[Summary]) -> str:
    """`rows` as a table; ends with a newline."""
    return grid(rows(summaries))


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


def sources(summaries: Iterable[Summary]) -> dict[str, str]:
    """Where the published numbers are from, by the mark that stands behind them in the table."""
    origins = dict.fromkeys(row.origin for summary in summaries for row in summary.published)
    return {origin: f"[{place}]" for place, origin in enumerate(origins, start=1)}


def _cells(summary: Summary, labels: dict[str, str], marks: dict[str, str]) -> dict[str, str]:
    condition = summary.condition
    cells = {"data": condition.data, "encoder": condition.encoder, "depth": str(condition.depth)}
    cells["method"] = condition.label
    for protocol, label in labels.items():
        estimate = summary.estimates.get(protocol)
        accuracy = numbers.accuracy(estimate, summary.planned)
        cells[f"{label} %"] = f"{accuracy} {numbers.accuracy_interval(estimate)}".strip()
        cells[f"{label} vs untrained"] = difference(summary.differences.get(protocol))
        cells[f"{label} vs best"] = BEST if protocol in summary.leads else difference(summary.behind.get(protocol))
    cells["published"] = "; ".join(f"{row.text} {marks[row.origin]}" for row in summary.published)
    cells["training FLOPs"] = numbers.flops(summary.training_flops)
    cells["images/s"] = numbers.rate(summary.images_per_second)
    cells["minutes"] = numbers.minutes(summary.train_seconds)
    cells["device-hours"] = numbers.hours(summary.device_hours)
    cells["runs"] = f"{summary.counts['finished']}/{summary.planned}"
    cells["not finished"] = unfinished(summary.runs)
    return cells


def difference(gain: Difference | None) -> str:
    """`+9.9 ▲ [+7.1, +12.8]`."""
    return f"{numbers.gain(gain)} {numbers.gain_interval(gain)}".strip()


def _values(summary: Summary, labels: dict[str, str]) -> dict[str, object]:
    values: dict[str, object] = dict(summary.condition._asdict())
    for protocol in labels:
        estimate, gain = summary.estimates.get(protocol), summary.differences.get(protocol)
        for field in Estimate._fields:
            values[f"{protocol}_{field}"] = getattr(estimate, field, None)
        for name, compared in (("difference", gain), ("behind", summary.behind.get(protocol))):
            for field in (*Difference._fields, "verdict"):
                values[f"{protocol}_{name}_{field}"] = getattr(compared, field, None)
    values["published"] = "; ".join(f"{row.text} ({row.origin})" for row in summary.published)
    values["training_flops"] = summary.training_flops
    values["images_per_second"] = summary.images_per_second
    values["train_seconds"] = summary.train_seconds
    values["device_hours"] = summary.device_hours
    values["planned"] = summary.planned
    counts = summary.counts
    values |= {status: counts[status] for status in ("finished", *UNFINISHED)}
    values["errors"] = unfinished(summary.runs)
    return values
