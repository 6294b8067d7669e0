"""The report in Markdown: findings first, then the table, figures, what did not finish, how numbers were made."""

import os
from collections import defaultdict
from pathlib import Path
from urllib.parse import quote

from mimbench.reporting import claims, numbers, prose, tables
from mimbench.reporting.collect import Sweep, frame, groups
from mimbench.reporting.runs import Run
from mimbench.reporting.summary import Summary, num_comparisons

_COST = "Bars: 95 % intervals; thin line: Pareto front; dashed: untrained encoder."
_CAPTIONS = {
    "layerwise": "What the features at every depth of the encoder are worth. Bands: 95 % intervals.",
    "depth": "Accuracy against the depth of the encoder. Bars: 95 % intervals.",
    "flops": f"Accuracy against the operations of pre-training. {_COST}",
    "hours": f"Accuracy against the device-hours of pre-training. {_COST}",
    "time": f"Accuracy against the wall time of pre-training. {_COST}",
    "loss": "Loss during pre-training. Scales differ: each method has a loss of its own.",
    "throughput": "Images per second during pre-training, a line per seed.",
}
METHOD = (
    "Only finished runs count. Every number is the result of the last weights; none is a maximum over epochs.",
    "Mean, standard deviation (n - 1) and 95 % interval over seeds: Student t, given the same test images. With one "
    "seed, or seeds that agree exactly, the interval (†) is Wilson's over the test images: it knows nothing of other "
    "seeds.",
    "Difference to the untrained encoder of the same data, encoder and depth, and to the best method there: paired t "
    "over shared seeds; Welch's t where fewer than two seeds are shared.",
    "Where runs kept which test images they got right, the same images are compared: a bootstrap over them (2,000 "
    "resamples, percentiles) stands beside the seeds, and both tests must tell two methods apart. With one seed (†) it "
    "stands alone, or Newcombe's interval of two proportions where single images are not known.",
    "≈ within noise: not different at 5 % after Holm's correction over all comparisons of the table: of every method "
    "with the untrained encoder, and of all pairs of methods, since the best one is picked by what shows its lead. "
    "Intervals are not corrected.",
    "FLOPs, images per second, minutes and device-hours are means over the finished runs; minutes are training time "
    "alone, device-hours are minutes times devices. A device is a GPU, or the processor where there is none.",
    "Published numbers are the papers': other code, other data unless it says so; they enter no number of ours.",
)


def compose(sweep: Sweep, summaries: list[Summary], *, figures: list[str], warnings: list[str], out: Path) -> str:
    """The page as Markdown; links are relative to `out`."""
    parts = [
        f"# {sweep.name}",
        f"**{prose.state(sweep)}**{latest_sentence(sweep)}",
        *[f"> **Warning:** {_inline(warning)}" for warning in warnings],
        *_conclusions(summaries),
        *_claims(sweep),
        "## Comparison",
        *([tables.markdown(summaries).rstrip()] if summaries else ["No run can be placed in a table."]),
        f"{numbers.LEGEND} {num_comparisons(summaries)} comparisons. As data: [table.csv](table.csv); "
        "for a paper: [table.tex](table.tex).",
        *_published(summaries),
        *_figures(figures),
        *_unfinished(sweep, out),
        "## How the numbers were made",
        "\n".join(f"- {sentence}" for sentence in METHOD),
        *_listed("### Protocols", protocols(sweep)),
        *_listed("### Versions", [f"{name}: {value}" for name, value in versions(sweep).items()]),
    ]
    return "\n\n".join(parts) + "\n"


def latest(sweep: Sweep) -> str:
    """When the last run finished; empty where none did."""
    times = [run.record.finished for run in sweep.finished if run.record and run.record.finished]
    return max(times, default="")


def latest_sentence(sweep: Sweep) -> str:
    return f" Last result: {latest(sweep)}." if latest(sweep) else ""


def _published(summaries: list[Summary]) -> list[str]:
    marks = tables.sources(summaries)
    listed = "; ".join(f"{mark} {origin}" for origin, mark in marks.items())
    return [f"Published numbers are the papers', not ours: {listed}."] if marks else []


def _conclusions(summaries: list[Summary]) -> list[str]:
    found = prose.conclusions(summaries)
    parts = ["## Findings", *(f"**{sentence}**" for sentence in prose.answer(summaries))] if found else []
    for setting, sentences in found.items():
        parts.append("\n".join([f"**{setting}**", "", *(f"- {sentence}" for sentence in sentences)]))
    return parts


def _claims(sweep: Sweep) -> list[str]:
    listed: dict[str, list[str]] = {}
    for verdict in claims.verdicts(sweep):
        listed.setdefault(verdict.claim, []).append(f"- {verdict.text}")
    parts = ["## Claims", claims.METHOD] if listed else []
    return parts + [f"**{claim}**\n\n" + "\n".join(lines) for claim, lines in listed.items()]


def _figures(names: list[str]) -> list[str]:
    parts = ["## Figures"] if names else []
    for name in names:
        parts.append(f"![{_CAPTIONS[name]}](figures/{name}.png)")
        parts.append(f"{_CAPTIONS[name]} [SVG](figures/{name}.svg)")
    return parts


def _unfinished(sweep: Sweep, out: Path) -> list[str]:
    rows = [
        {"run": run.name, "status": status, "error": error, "log": _link(*log(run, out))}
        for (status, error), runs in tables.reasons(sweep.runs).items()
        for run in runs
    ]
    return ["## Runs that did not finish", tables.grid(rows).rstrip()] if rows else []


def log(run: Run, out: Path) -> tuple[str, str]:
    """Name of and link to the run's log, or its directory where it has none; empty for a run that has neither."""
    if run.directory is None:
        return "", ""
    file = run.directory / "log.txt"
    path = file if file.is_file() else run.directory
    return path.name, quote(Path(os.path.relpath(path, out)).as_posix())


def _link(name: str, address: str) -> str:
    return f"[{name}]({address})" if name else ""


def protocols(sweep: Sweep, mark: str = "`") -> list[str]:
    """Each protocol, between marks, with its number of test images."""
    lines = []
    for (protocol,), rows in groups(frame(sweep.finished), ["protocol"]):
        images = sorted({f"{count:.0f}" for count in rows["num_test"].dropna()}, key=len)
        lines.append(f"{mark}{protocol}{mark}" + (f": {' or '.join(images)} test images" if images else ""))
    return lines


def versions(sweep: Sweep) -> dict[str, str]:
    """What the finished runs ran on, by name; counts only where runs differ, which is what a reader must notice."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for run in sweep.finished:
        for name, value in (run.record.environment if run.record else {}).items():
            found[name]["unknown" if value is None else str(value)] += 1
    return {
        name: ", ".join(value if len(counts) == 1 else f"{value} ({n} runs)" for value, n in sorted(counts.items()))
        for name, counts in sorted(found.items())
    }


def _listed(title: str, lines: list[str]) -> list[str]:
    return [title, "\n".join(f"- {line}" for line in lines)] if lines else []


def _inline(text: str) -> str:
    return " ".join(text.split())
