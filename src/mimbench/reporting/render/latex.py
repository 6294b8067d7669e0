"""The comparison table as LaTeX for a paper: one number per protocol, the best in bold, booktabs rules."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mimbench.core.errors import nearest
from mimbench.reporting.cost import device_hours
from mimbench.reporting.notices import MIXED
from mimbench.reporting.protocol_names import parse
from mimbench.reporting.render import formatting, tables
from mimbench.reporting.runs import Setting
from mimbench.reporting.statistics import Estimate
from mimbench.reporting.summary import Summary, protocols

_SYMBOLS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "–": "--",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "≈": r"$\approx$",
    "…": r"\ldots{}",
} | {character: f"\\{character}" for character in "&%$#_{}"}


# Columns beside those of protocols, with their headings.
_FURTHER = {"published": "published", "flops": "FLOPs", "minutes": "minutes", "hours": "hours"}


@dataclass(frozen=True)
class Cell:
    """Escaped text. The best of a setting under `protocol` is set in bold."""

    text: str
    protocol: str = ""


@dataclass(frozen=True)
class Table:
    """The parts of the table, so that a page can leave out rows.

    rows: One per condition, in the order of the summaries.
    best: Protocols by row under which the row is the best of its setting.
    """

    head: str
    rows: tuple[tuple[Cell, ...], ...]
    best: tuple[frozenset[str], ...]
    tail: str


def latex(summaries: list[Summary], columns: Sequence[str] = ()) -> str:
    """A `table` environment; ends with a newline. For `columns` see `check_columns`."""
    parts = table(summaries, columns)
    lines = []
    for summary, before, cells, best in zip(summaries, [None, *summaries], parts.rows, parts.best, strict=False):
        if before is not None and before.condition.setting != summary.condition.setting:
            lines.append(r"\addlinespace")
        shown = (rf"\textbf{{{cell.text}}}" if cell.protocol in best else cell.text for cell in cells)
        lines.append(" & ".join(shown) + r" \\")
    return parts.head + "\n".join(lines) + "\n" + parts.tail


def check_columns(summaries: list[Summary], columns: Sequence[str]) -> list[str]:
    """The keys of columns: protocols by name, title or family (`linear-v1`, `kNN`, `linear`), and those of `_FURTHER`.

    Raises:
        ValueError: There is no such column.
    """
    titles = protocols(summaries)
    keys = {key: key for key in _FURTHER}
    keys |= {name.casefold(): name for name in titles}
    keys |= {parse(name).family.casefold(): name for name in reversed(titles)}
    keys |= {title.casefold(): name for name, title in titles.items()}
    if unknown := [column for column in columns if column.casefold() not in keys]:
        hint = nearest(unknown[0], keys)
        raise ValueError(f"There is no column '{unknown[0]}'.{hint} Choose from {', '.join([*titles, *_FURTHER])}.")
    return list(dict.fromkeys(keys[column.casefold()] for column in columns))


def table(summaries: list[Summary], columns: Sequence[str] = ()) -> Table:
    """Those of data, encoder and depth that differ, the method, and the columns that are asked for.

    By default these are mean ± standard deviation by protocol, published numbers and FLOPs. What all rows share is in
    the caption. Intervals, differences and further costs are in the other tables.
    """
    titles, marks = protocols(summaries), tables.sources(summaries)
    chosen = check_columns(summaries, columns) or [*titles, *(["published"] if marks else []), "flops"]
    axes = [axis for axis in Setting._fields if len({getattr(s.condition, axis) for s in summaries}) > 1]
    counts = {s.estimates[name].n for s in summaries for name in chosen if name in s.estimates}
    heading = {**titles, **_FURTHER, "hours": device_hours(summaries)}
    headings = [*axes, "method", *(heading[key] for key in chosen)]
    alignment = "l" * (len(axes) + 1) + "".join("l" if key == "published" else "r" for key in chosen)
    caption = _caption(summaries, counts, marks if "published" in chosen else {})
    head = (
        "% Needs \\usepackage{booktabs}.\n\\begin{table}[t]\n\\centering\n"
        f"\\caption{{{caption}}}\n\\label{{tab:{_label(summaries)}}}\n"
        f"\\begin{{tabular}}{{{alignment}}}\n\\toprule\n{' & '.join(map(escape, headings))} \\\\\n\\midrule\n"
    )
    rows = [
        (
            *(Cell(escape(str(getattr(summary.condition, axis)))) for axis in axes),
            Cell(escape(f"{summary.condition.label}{tables.mark(summary)}")),
            *(_cell(summary, key, counts, marks) for key in chosen),
        )
        for summary in summaries
    ]
    best = [
        frozenset(p for p in summary.leads | summary.ties if not tables.below_untrained(summary, p))
        for summary in summaries
    ]
    return Table(head, tuple(rows), tuple(best), "\\bottomrule\n\\end{tabular}\n\\end{table}\n")


def _cell(summary: Summary, key: str, counts: set[int], marks: dict[str, str]) -> Cell:
    if key == "published":
        return Cell(_published(summary, marks))
    if key == "flops":
        return Cell(_flops(summary.training_flops))
    if key in _FURTHER:
        text = formatting.minutes(summary.train_seconds) if key == "minutes" else formatting.hours(summary.device_hours)
        return Cell(escape(text))
    return Cell(_accuracy(summary.estimates.get(key), summary.planned, counts), key)


def escape(text: str) -> str:
    """The text on one line without commands of LaTeX."""
    return "".join(_SYMBOLS.get(character, character) for character in " ".join(text.split()))


def _caption(summaries: list[Summary], counts: set[int], marks: dict[str, str]) -> str:
    first, *_ = summaries
    shared = [
        f"depth {value}" if axis == "depth" else str(value)
        for axis, value in first.condition.setting._asdict().items()
        if all(getattr(summary.condition, axis) == value for summary in summaries)
    ]
    of = f" ({', '.join(shared)})" if shared else ""
    number = counts.copy().pop() if len(counts) == 1 else 0
    over = f"{number} seeds" if number > 1 else "$n$ seeds" if not number else "one seed"
    value = f"mean ± standard deviation over {over}" if number != 1 else "one seed"
    parts = [
        f"Accuracy in percent{of}: {value}. The best method of each setting in bold, unless it is below untrained."
    ]
    if any(tables.mark(summary) for summary in summaries):
        parts.append(f"{MIXED} seeds of different versions of mimbench.")
    if marks:
        parts.append("Published: " + " ".join(f"{mark} {origin}." for origin, mark in marks.items()))
    return escape(" ".join(parts)).replace(escape("$n$"), "$n$")


def _label(summaries: list[Summary]) -> str:
    sweeps = {run.record.sweep for summary in summaries for run in summary.runs if run.record and run.record.sweep}
    name = sweeps.pop() if len(sweeps) == 1 else "mimbench"
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "mimbench"


def _accuracy(estimate: Estimate | None, planned: int, counts: set[int]) -> str:
    """`39.5 ± 0.5`, with `(n=2)` where the number of seeds differs between rows."""
    if estimate is None:
        return escape(formatting.NOTHING)
    text = formatting.accuracy(estimate, planned)
    uniform = len(counts) == 1 and estimate.n == planned
    return escape(text.rpartition(" (n=")[0] if uniform else text)


def _published(summary: Summary, marks: dict[str, str]) -> str:
    return escape("; ".join(f"{row.text} {marks[row.origin]}" for row in summary.published))


def _flops(value: float) -> str:
    """`$1.1 \\times 10^{13}$`."""
    text = formatting.flops(value)
    digits, _, power = text.partition("e")
    return rf"${digits} \times 10^{{{power}}}$" if power else escape(text)
