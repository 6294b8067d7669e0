"""The comparison table as rows of text, Markdown and CSV."""

from collections.abc import Iterable, Sequence

import pandas as pd

from mimbench.reporting.cost import device_hours
from mimbench.reporting.notices import MIXED, versions
from mimbench.reporting.render import formatting
from mimbench.reporting.runs import Run
from mimbench.reporting.statistics import Difference, Estimate
from mimbench.reporting.summary import Compared, Summary, compared_protocols, protocols
from mimbench.runs.state import State

# Headings of columns that are left out if they are empty, or in LaTeX.
PUBLISHED, IMAGES_PER_SECOND, NOT_FINISHED = "published", "images/s", "not finished"
UNFINISHED = (State.FAILED, State.LOST, State.INTERRUPTED, State.RUNNING, State.PLANNED, State.REFUSED)


def rows(summaries: list[Summary]) -> list[dict[str, str]]:
    """Cells by heading, one row per condition; without columns that would be empty in every row."""
    labels, compared, marks = protocols(summaries), compared_protocols(summaries), sources(summaries)
    hours = device_hours(summaries)
    table = [_cells(summary, labels, compared, marks, hours) for summary in summaries]
    empty = set() if marks else {PUBLISHED}
    empty |= set() if any(summary.unfinished for summary in summaries) else {NOT_FINISHED}
    return [{heading: text for heading, text in row.items() if heading not in empty} for row in table]


def markdown(summaries: list[Summary]) -> str:
    """`rows` as a table; ends with a newline."""
    return grid(rows(summaries))


def grid(rows: list[dict[str, str]], links: Sequence[str] = ()) -> str:
    """Rows as a Markdown table with escaped text; ends with a newline.

    Args:
        links: Columns that already contain Markdown.
    """
    shown = [{name: text if name in links else escape(text) for name, text in row.items()} for row in rows]
    table = pd.DataFrame(shown).map(lambda text: " ".join(text.split()).replace("|", "\\|"))
    return table.to_markdown(index=False, disable_numparse=True) + "\n"


def escape(text: str) -> str:
    """One line of Markdown without HTML, links and images."""
    return " ".join(text.split()).replace("<", "&lt;").replace("](", "]\\(").replace("![", "!\\[")


def lines(text: str) -> list[str]:
    """The lines of a table, each with its end; line breaks within quotes do not count."""
    found: list[str] = []
    for line in text.splitlines(keepends=True):
        if found and found[-1].count('"') % 2:
            found[-1] += line
        else:
            found.append(line)
    return found


def csv(summaries: list[Summary]) -> str:
    """Fractions, FLOPs and seconds in full precision; one row per condition."""
    names = list(protocols(summaries))
    table = pd.DataFrame([_values(summary, names) for summary in summaries])
    table = table.map(lambda value: _as_text(value) if isinstance(value, str) else value)
    counts = [f"{name}_{column}" for name in names for column in ("n", "difference_n", "behind_n")]
    return table.astype(dict.fromkeys(counts, "Int64")).to_csv(index=False, lineterminator="\n")


def _as_text(value: str) -> str:
    """A cell that spreadsheets read as text, not as a formula."""
    return f"'{value}" if value.lstrip().startswith(("=", "+", "-", "@")) else value


def unfinished(runs: Iterable[Run]) -> str:
    """Number of unfinished runs by status and error: `1 failed: ValueError: no images; 2 planned`."""
    groups = reasons(runs)
    return "; ".join(
        f"{len(group)} {status}" + (f": {error}" if error else "") for (status, error), group in groups.items()
    )


def reasons(runs: Iterable[Run]) -> dict[tuple[str, str], list[Run]]:
    """The unfinished runs by status and error, in the order of `UNFINISHED`."""
    groups: dict[tuple[str, str], list[Run]] = {}
    rest = [run for run in runs if run.status != State.FINISHED]
    for run in sorted(rest, key=lambda run: (UNFINISHED.index(run.status), run.error)):
        groups.setdefault((run.status, " ".join(run.error.split())), []).append(run)
    return groups


def sources(summaries: Iterable[Summary]) -> dict[str, str]:
    """Origins of the published numbers, each with the mark that refers to it in the table, such as `[1]`."""
    origins = dict.fromkeys(row.origin for summary in summaries for row in summary.published)
    return {origin: f"[{number}]" for number, origin in enumerate(origins, start=1)}


def _cells(
    summary: Summary, labels: dict[str, str], compared: Compared, marks: dict[str, str], hours: str
) -> dict[str, str]:
    condition = summary.condition
    cells = {"data": condition.data, "encoder": condition.encoder, "depth": str(condition.depth)}
    cells["method"] = condition.label
    for protocol, label in labels.items():
        estimate = summary.estimates.get(protocol)
        accuracy = formatting.accuracy(estimate, summary.planned)
        cells[f"{label} %"] = f"{accuracy} {formatting.accuracy_interval(estimate)}".strip()
        if protocol in compared.with_untrained:
            cells[f"{label} vs untrained"] = difference(summary.differences.get(protocol))
        if protocol in compared.with_leader:
            cells[f"{label} vs best"] = best(summary, protocol) or difference(summary.behind.get(protocol))
    cells[PUBLISHED] = "; ".join(f"{row.text} {marks[row.origin]}" for row in summary.published)
    cells["training FLOPs"] = formatting.flops(summary.training_flops)
    cells[IMAGES_PER_SECOND] = formatting.rate(summary.images_per_second)
    cells["minutes"] = formatting.minutes(summary.train_seconds)
    cells[hours] = formatting.hours(summary.device_hours)
    cells["runs"] = f"{summary.counts[State.FINISHED]}/{summary.planned}{mark(summary)}"
    cells[NOT_FINISHED] = unfinished(summary.runs)
    return cells


def best(summary: Summary, protocol: str) -> str:
    """`best` or `tied best`, and whether it is below the untrained encoder; empty for all others."""
    if protocol not in summary.leads | summary.ties:
        return ""
    text = "tied best" if protocol in summary.ties else "best"
    return f"{text}, below untrained" if below_untrained(summary, protocol) else text


def below_untrained(summary: Summary, protocol: str) -> bool:
    """Whether the mean is below the one of the untrained encoder in the digits shown, within noise or not."""
    gain = summary.differences.get(protocol)
    return gain is not None and round(100 * gain.mean, 1) < 0


def mark(summary: Summary) -> str:
    """Marks a row whose seeds were run by different versions."""
    return f" {MIXED}" if len(versions(summary.runs)) > 1 else ""


def difference(gain: Difference | None) -> str:
    """Percentage points, verdict and interval: `+9.9 ▲ [+7.1, +12.8]`."""
    return f"{formatting.gain(gain)} {formatting.gain_interval(gain)}".strip()


def _values(summary: Summary, names: list[str]) -> dict[str, object]:
    values: dict[str, object] = dict(summary.condition._asdict())
    for name in names:
        for field in Estimate._fields:
            values[f"{name}_{field}"] = getattr(summary.estimates.get(name), field, None)
        for column, gains in (("difference", summary.differences), ("behind", summary.behind)):
            for field in (*Difference._fields, "verdict"):
                values[f"{name}_{column}_{field}"] = getattr(gains.get(name), field, None)
    values["published"] = "; ".join(f"{row.text} ({row.origin})" for row in summary.published)
    values["training_flops"] = summary.training_flops
    values["images_per_second"] = summary.images_per_second
    values["train_seconds"] = summary.train_seconds
    values["device_hours"] = summary.device_hours
    values["versions"] = " ".join(versions(summary.runs))
    values["runs"] = summary.planned
    counts = summary.counts
    values |= {status: counts[status] for status in (State.FINISHED, *UNFINISHED)}
    values["errors"] = unfinished(summary.runs)
    return values
