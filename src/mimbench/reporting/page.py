"""The page of a report: findings first, then the table, figures, what did not finish, how numbers were made."""

import os
from collections import defaultdict
from pathlib import Path
from urllib.parse import quote

from mimbench.reporting import numbers, prose, tables
from mimbench.reporting.collect import Sweep, frame, groups
from mimbench.reporting.runs import Run
from mimbench.reporting.summary import Summary

_CAPTIONS = {
    "layerwise": "Accuracy of the features at every depth of the encoder. Bands: 95 % intervals.",
    "depth": "Accuracy against the depth of the encoder. Bars: 95 % intervals.",
    "flops": "Accuracy against what pre-training cost. Bars: 95 % intervals; dashed: untrained encoder.",
    "loss": "Loss during pre-training. Scales differ: each method has a loss of its own.",
}
_METHOD = """\
- Only finished runs count. Every number is the result of the last weights; none is a maximum over epochs.
- Mean, standard deviation (n - 1) and 95 % interval over seeds: Student t, given the same test images. With one seed,
  or seeds that agree exactly, the interval (†) is Wilson's over the test images: it knows nothing of other seeds.
- Difference to the untrained encoder of the same data, encoder and depth: paired t over shared seeds; Welch's t where
  fewer than two seeds are shared; with one seed (†) Newcombe's interval of two proportions over the test images.
- ≈ within noise: the 95 % interval of the difference contains zero. Intervals are not adjusted for the number of
  comparisons, and the leader was picked by the same numbers that show its lead.
- Training FLOPs, images per second and minutes are means over the finished runs; minutes are training time alone."""


def compose(sweep: Sweep, summaries: list[Summary], *, figures: list[str], warnings: list[str], out: Path) -> str:
    """The page as Markdown; links are relative to `out`."""
    parts = [
        f"# {sweep.name}",
        f"**{prose.state(sweep)}**{_latest(sweep)}",
        *[f"> **Warning:** {_inline(warning)}" for warning in warnings],
        *_conclusions(summaries),
        "## Comparison",
        *([tables.markdown(summaries).rstrip()] if summaries else ["No run can be placed in a table."]),
        f"{numbers.LEGEND} As data: [table.csv](table.csv).",
        *_figures(figures),
        *_unfinished(sweep, out),
        "## How the numbers were made",
        _METHOD,
        *_protocols(sweep),
        *_versions(sweep),
    ]
    return "\n\n".join(parts) + "\n"


def _latest(sweep: Sweep) -> str:
    times = [run.record.finished for run in sweep.finished if run.record and run.record.finished]
    return f" Last result: {max(times)}." if times else ""


def _conclusions(summaries: list[Summary]) -> list[str]:
    found = prose.conclusions(summaries)
    parts = ["## Findings"] if found else []
    for setting, sentences in found.items():
        parts.append("\n".join([f"**{setting}**", "", *(f"- {sentence}" for sentence in sentences)]))
    return parts


def _figures(names: list[str]) -> list[str]:
    parts = ["## Figures"] if names else []
    for name in names:
        parts.append(f"![{_CAPTIONS[name]}](figures/{name}.png)")
        parts.append(f"{_CAPTIONS[name]} [SVG](figures/{name}.svg)")
    return parts


def _unfinished(sweep: Sweep, out: Path) -> list[str]:
    rows = [
        {"run": run.name, "status": status, "error": error, "log": _log(run, out)}
        for (status, error), runs in tables.reasons(sweep.runs).items()
        for run in runs
    ]
    return ["## Runs that did not finish", tables.grid(rows).rstrip()] if rows else []


def _log(run: Run, out: Path) -> str:
    """A link to the run's log, or to its directory where it has none."""
    if run.directory is None:
        return ""
    log = run.directory / "log.txt"
    path = log if log.is_file() else run.directory
    return f"[{path.name}]({quote(Path(os.path.relpath(path, out)).as_posix())})"


def _protocols(sweep: Sweep) -> list[str]:
    lines = []
    for (protocol,), rows in groups(frame(sweep.finished), ["protocol"]):
        images = sorted({f"{count:.0f}" for count in rows["num_test"]}, key=len)
        lines.append(f"- `{protocol}`: {' or '.join(images)} test images")
    return ["### Protocols", "\n".join(lines)] if lines else []


def _versions(sweep: Sweep) -> list[str]:
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for run in sweep.finished:
        for name, value in (run.record.environment if run.record else {}).items():
            found[name]["unknown" if value is None else str(value)] += 1
    lines = []
    for name, values in sorted(found.items()):
        # Counts only where runs differ, which is what a reader must notice.
        each = [value if len(values) == 1 else f"{value} ({count} runs)" for value, count in sorted(values.items())]
        lines.append(f"- {name}: {', '.join(each)}")
    return ["### Versions", "\n".join(lines)] if lines else []


def _inline(text: str) -> str:
    return " ".join(text.split())
