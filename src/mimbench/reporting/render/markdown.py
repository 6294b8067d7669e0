"""The report in Markdown: conclusions, table, figures, unfinished runs, provenance of the numbers."""

from pathlib import Path

from mimbench.reporting import agreement, claims
from mimbench.reporting.collect import Sweep
from mimbench.reporting.render import formatting, provenance, sentences, tables
from mimbench.reporting.summary import Summary, num_comparisons

LEAD = "accuracy"  # the figure above the sentences
_NO_TABLE = "No run states data, encoder, depth and method, so there is no table."
_COST = "Bars: 95 % intervals; thin line: Pareto front; dashed: untrained encoder."
_CAPTIONS = {
    "accuracy": "Accuracy of the methods in each setting. Bars: 95 % intervals; hollow: one seed, over test images; "
    "dashed: untrained encoder.",
    "layerwise": "Features at every depth of the encoder: accuracy, and results of analyses. Bands: 95 % intervals.",
    "depth": "Accuracy against the depth of the encoder. Bars: 95 % intervals.",
    "flops": f"Accuracy against the FLOPs of pre-training. {_COST}",
    "hours": f"Accuracy against the device hours of pre-training. {_COST}",
    "time": f"Accuracy against the wall time of pre-training. {_COST}",
    "loss": "Loss during pre-training. The scales differ because each method has a different loss.",
    "throughput": "Images per second during pre-training, one line per seed.",
}


def compose(sweep: Sweep, summaries: list[Summary], *, figures: list[str], warnings: list[str], out: Path) -> str:
    """The page as Markdown; links are relative to `out`."""
    parts = [
        f"# {_inline(sweep.name)}",
        f"**{sentences.state(sweep)}**{_latest(sweep)} {sentences.cost(summaries)}".rstrip(),
        *[f"> **Warning:** {_inline(warning)}" for warning in warnings],
        *[part for name in figures if name == LEAD for part in _figure(name)],
        *_conclusions(summaries),
        *_claims(sweep),
        "## Comparison",
        tables.markdown(summaries).rstrip() if summaries else _NO_TABLE,
        f"{formatting.LEGEND} {num_comparisons(summaries)} comparisons. As data: [table.csv](table.csv); "
        "for a paper: [table.tex](table.tex).",
        *_published(summaries),
        *_agreements(summaries),
        *_figures([name for name in figures if name != LEAD]),
        *_unfinished(sweep, out),
        "## How the numbers are computed",
        "\n".join(f"- {sentence}" for sentence in provenance.METHOD),
        *_list("### Protocols", _protocols(sweep)),
        *_list("### Versions", [f"{name}: {value}" for name, value in provenance.versions(sweep).items()]),
    ]
    return "\n\n".join(parts) + "\n"


def _latest(sweep: Sweep) -> str:
    time = provenance.latest(sweep)
    return f" Last result: {time}." if time else ""


def _published(summaries: list[Summary]) -> list[str]:
    marks = tables.sources(summaries)
    listed = "; ".join(f"{mark} {origin}" for origin, mark in marks.items())
    return [f"Published numbers are from the papers: {listed}."] if marks else []


def _conclusions(summaries: list[Summary]) -> list[str]:
    conclusions = sentences.conclusions(summaries)
    answer = [f"**{_inline(sentence)}**" for sentence in sentences.answer(summaries)]
    parts = ["## Conclusions", *answer] if conclusions else []
    for setting, lines in conclusions.items():
        parts.append("\n".join([f"**{_inline(str(setting))}**", "", *(f"- {_inline(sentence)}" for sentence in lines)]))
    return parts


def _claims(sweep: Sweep) -> list[str]:
    listed: dict[str, list[str]] = {}
    for verdict in claims.verdicts(sweep):
        listed.setdefault(verdict.claim, []).append(f"- {_inline(verdict.text)}")
    parts = ["## Claims", claims.METHOD] if listed else []
    return parts + [f"**{_inline(claim)}**\n\n" + "\n".join(lines) for claim, lines in listed.items()]


def _agreements(summaries: list[Summary]) -> list[str]:
    lines = [f"- {_inline(found.text)}" for found in agreement.agreements(summaries)]
    return ["## Published order", agreement.METHOD, "\n".join(lines)] if lines else []


def _figures(names: list[str]) -> list[str]:
    parts = ["## Figures"] if names else []
    return parts + [part for name in names for part in _figure(name)]


def _figure(name: str) -> list[str]:
    caption = _CAPTIONS[name]
    return [f"![{caption}](figures/{name}.png)", f"{caption} [SVG](figures/{name}.svg)"]


def _unfinished(sweep: Sweep, out: Path) -> list[str]:
    rows = [
        {"run": run.name, "status": status, "error": error, "log": _link(provenance.log(sweep, run, out))}
        for (status, error), runs in tables.reasons(sweep.runs).items()
        for run in runs
    ]
    return ["## Runs that did not finish", tables.grid(rows, links=["log"]).rstrip()] if rows else []


def _link(link: provenance.Link | None) -> str:
    return f"[{link.name}]({link.address})" if link else ""


def _protocols(sweep: Sweep) -> list[str]:
    images = provenance.protocols(sweep)
    return [f"`{name}`: {text}" if text else f"`{name}`" for name, text in images.items()]


def _list(title: str, lines: list[str]) -> list[str]:
    return [title, "\n".join(f"- {_inline(line)}" for line in lines)] if lines else []


def _inline(text: str) -> str:
    return tables.escape(text)
