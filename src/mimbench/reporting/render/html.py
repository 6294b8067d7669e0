"""The report as one self-contained HTML page: conclusions, tables and figures, with filters."""

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment
from plotly.offline import get_plotlyjs

from mimbench.reporting import agreement, claims, curves
from mimbench.reporting.collect import Sweep
from mimbench.reporting.curves import Curve
from mimbench.reporting.figures.payload import payload
from mimbench.reporting.figures.reconstructions import Group
from mimbench.reporting.render import formatting, html_rows, latex, provenance, sentences, tables
from mimbench.reporting.runs import Run
from mimbench.reporting.summary import Summary, num_comparisons

_ASSETS = files("mimbench.reporting").joinpath("assets")
_SCRIPTS = ("state.js", "headline.js", "figures.js", "panels.js", "print.js", "tables.js")
_MAX_FILTER_VALUES = 24
_FIGURES = {
    "accuracy": (
        "Accuracy",
        "One panel per setting and protocol. Bars: 95 % intervals over seeds; hollow: one seed, whose interval is over "
        "test images only and says nothing about other seeds. Dashed: untrained encoder.",
    ),
    "cost": (
        "Accuracy against cost",
        "One point per method, encoder and depth, with its 95 % interval; the symbol shows the depth. Dotted: Pareto "
        "front of points that no point at the same or a lower cost reaches. Dashed: untrained encoder.",
    ),
    "depth": ("Accuracy against depth", "Accuracy against the depth of the encoder. Bars: 95 % intervals."),
    "layerwise": (
        "Features by depth",
        "Features at every depth of one encoder: accuracy and, if the encoder was analyzed, similarity to the last "
        "depth (CKA) and rank. Bands: 95 % intervals.",
    ),
    "loss": (
        "Loss",
        "Thin: training; bold: validation; dotted: unfinished run; one line per seed. "
        "The scales differ because each method has a different loss.",
    ),
    "throughput": ("Throughput", "Images per second during training; one line per seed."),
}
# Sections in the order of the page, and those that may have nothing to show.
_TITLES = {
    "accuracy": _FIGURES["accuracy"][0],
    "cost": _FIGURES["cost"][0],
    "answer": "Which method wins?",
    "claims": "Claims",
    "comparison": "Comparison",
    "agreement": "Published order",
    **{name: title for name, (title, _) in _FIGURES.items() if name not in ("accuracy", "cost")},
    "reconstructions": "Reconstructions",
    "unfinished": "Runs that did not finish",
    "configs": "Differences between two configurations",
    "method": "How the numbers are computed",
}
_OPTIONAL = ("answer", "claims", "agreement", "reconstructions", "unfinished", "configs")


def compose(
    sweep: Sweep,
    summaries: list[Summary],
    logged: list[Curve],
    images: list[Group],
    *,
    warnings: list[str],
    out: Path,
    columns: Sequence[str] = (),
) -> str:
    """The page; links to logs are relative to `out`. `columns` are those of the table that it copies as LaTeX."""
    data = payload(sweep, summaries, logged) | {"tables": _tables(summaries, columns)}
    figures = {figure["id"]: figure for figure in _figures(data)}
    leaders, verdicts, unfinished = html_rows.leaders(summaries), claims.verdicts(sweep), _unfinished(sweep, out)
    agreements = agreement.agreements(summaries)
    comparable = len(data["configs"]["runs"]) > 1
    exists = dict(zip(_OPTIONAL, (leaders, verdicts, agreements, images, unfinished, comparable), strict=True))
    exists |= {name: name in figures for name in _FIGURES}
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_asset("page.html.j2"))
    return template.render(
        name=sweep.name,
        state=sentences.state(sweep),
        latest=provenance.latest(sweep),
        cost=sentences.cost(summaries),
        warnings=warnings,
        filters=_filters(summaries),
        answer=sentences.answer(summaries),
        leaders=leaders,
        claims=verdicts,
        claims_method=claims.METHOD,
        agreements=agreements,
        agreement_method=agreement.METHOD,
        rows=html_rows.rows(summaries),
        columns=html_rows.columns(summaries),
        sources=tables.sources(summaries),
        legend=formatting.LEGEND,
        comparisons=num_comparisons(summaries),
        figures=figures,
        labels=list(data["colors"]),
        titles=_TITLES,
        contents=[(name, title) for name, title in _TITLES.items() if exists.get(name, True)],
        costs=data["costs"],
        images=images,
        unfinished=unfinished,
        comparable=comparable,
        method=provenance.METHOD,
        protocols=provenance.protocols(sweep),
        versions=provenance.versions(sweep),
        style=_asset("style.css"),
        payload=_to_json(data),
        plotly=get_plotlyjs(),
        script="(() => {\n" + "\n".join(map(_asset, _SCRIPTS)) + "})();",
    )


def _asset(name: str) -> str:
    return _ASSETS.joinpath(name).read_text(encoding="utf-8")


def _to_json(values: dict[str, Any]) -> str:
    """JSON that cannot close the script element around it."""
    text = json.dumps(values, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.replace("<", "\\u003c")


def _tables(summaries: list[Summary], columns: Sequence[str]) -> dict[str, Any]:
    """Head, rows and tail of each table, so that copies contain the visible rows only."""
    if not summaries:
        return {}
    paper = latex.table(summaries, columns)
    heading, rule, *rows = tables.markdown(summaries).splitlines(keepends=True)
    names, *values = tables.lines(tables.csv(summaries))
    return {
        "markdown": {"head": heading + rule, "rows": rows, "tail": ""},
        "csv": {"head": names, "rows": values, "tail": ""},
        "latex": {
            "head": paper.head,
            "rows": [[[cell.text, cell.protocol] for cell in row] for row in paper.rows],
            "tail": paper.tail,
        },
    }


def _filters(summaries: list[Summary]) -> dict[str, list[str]]:
    """The values of each axis that has several, but not too many."""
    conditions = [summary.condition for summary in summaries]
    axes = {
        "method": [condition.label for condition in conditions],
        "depth": [str(depth) for depth in sorted(condition.depth for condition in conditions)],
        "data": [condition.data for condition in conditions],
    }
    distinct = {axis: list(dict.fromkeys(values)) for axis, values in axes.items()}
    return {axis: values for axis, values in distinct.items() if 1 < len(values) <= _MAX_FILTER_VALUES}


def _figures(values: dict[str, Any]) -> list[dict[str, str]]:
    metrics = {curve["metric"] for curve in values["curves"]}
    exists = {
        "accuracy": any(c["estimates"] for c in values["conditions"]),
        "cost": any(cost for c in values["conditions"] if c["estimates"] for cost in c["costs"].values()),
        "depth": len({c["depth"] for c in values["conditions"] if c["estimates"]}) > 1,
        "layerwise": bool(values["layerwise"]),
        "loss": bool(metrics & set(curves.LOSSES)),
        "throughput": curves.THROUGHPUT in metrics,
    }
    return [
        {"id": name, "title": title, "caption": caption} for name, (title, caption) in _FIGURES.items() if exists[name]
    ]


def _unfinished(sweep: Sweep, out: Path) -> list[dict[str, Any]]:
    return [
        {
            "name": run.name,
            "status": status,
            "error": error,
            "log": provenance.log(sweep, run, out),
            **_filter_values(run),
        }
        for (status, error), runs in tables.reasons(sweep.runs).items()
        for run in runs
    ]


def _filter_values(run: Run) -> dict[str, Any]:
    condition = run.condition
    return {"data": condition.data, "depth": condition.depth, "label": condition.label} if condition else {}
