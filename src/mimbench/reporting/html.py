"""The report as one page of HTML that needs nothing else: answer first, then tables and figures with filters."""

import json
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment
from plotly.offline import get_plotlyjs

from mimbench.reporting import cards, claims, curves, latex, numbers, page, prose, tables
from mimbench.reporting.collect import Sweep
from mimbench.reporting.cost import COSTS
from mimbench.reporting.curves import Curve
from mimbench.reporting.payload import payload
from mimbench.reporting.pictures import Group
from mimbench.reporting.runs import Run
from mimbench.reporting.summary import Summary, num_comparisons, protocols

_ASSETS = files("mimbench.reporting").joinpath("assets")
_SCRIPTS = ("state.js", "figures.js", "panels.js", "tables.js")
_MOST_CHIPS = 24
_FIGURES = {
    "cost": (
        "Accuracy against cost",
        "A point per method, encoder and depth, with its 95 % interval; symbols tell depths apart. Dotted: the Pareto "
        "front, what nothing cheaper reaches. Dashed: untrained encoder.",
    ),
    "depth": ("Accuracy against depth", "Does accuracy keep rising as the encoder gets deeper? Bars: 95 % intervals."),
    "layerwise": (
        "Layer by layer",
        "What the features at every depth of one encoder are worth: accuracy, and where it was analysed, similarity "
        "to the last depth (CKA) and rank. Bands: 95 % intervals.",
    ),
    "loss": (
        "Loss",
        "Thin: training, bold: validation, dotted: not finished; a line per seed. "
        "Scales differ: each method has a loss of its own.",
    ),
    "throughput": ("Throughput", "Images per second during training; a line per seed."),
}


def compose(
    sweep: Sweep,
    summaries: list[Summary],
    logged: list[Curve],
    pictures: list[Group],
    *,
    warnings: list[str],
    out: Path,
) -> str:
    """The page; links to logs are relative to `out`."""
    labels = list(protocols(summaries).values())
    numbers_of = payload(sweep, summaries, logged)
    numbers_of["tables"] = _files(summaries)
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_asset("page.html.j2"))
    return template.render(
        name=sweep.name,
        state=prose.state(sweep),
        latest=page.latest(sweep),
        warnings=warnings,
        filters=_filters(summaries),
        answer=prose.answer(summaries),
        cards=cards.findings_by_setting(summaries),
        claims=claims.verdicts(sweep),
        claims_method=claims.METHOD,
        rows=cards.rows(summaries),
        labels=labels,
        gains=_present(summaries, "differences"),
        margins=_present(summaries, "behind"),
        sources=tables.sources(summaries),
        legend=numbers.LEGEND,
        comparisons=num_comparisons(summaries),
        figures=_figures(numbers_of),
        costs={name: cost.title for name, cost in COSTS.items()},
        pictures=pictures,
        unfinished=[_unfinished(run, status, error, out) for status, error, run in _not_finished(sweep)],
        comparable=len(numbers_of["configs"]["runs"]) > 1,
        method=page.METHOD,
        protocols=page.protocols(sweep, mark=""),
        versions=page.versions(sweep),
        style=_asset("style.css"),
        payload=_embedded(numbers_of),
        plotly=get_plotlyjs(),
        script="(() => {\n" + "\n".join(map(_asset, _SCRIPTS)) + "})();",
    )


def _asset(name: str) -> str:
    return _ASSETS.joinpath(name).read_text(encoding="utf-8")


def _embedded(values: dict[str, Any]) -> str:
    """JSON that cannot end the script element that holds it."""
    text = json.dumps(values, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.replace("<", "\\u003c")


def _files(summaries: list[Summary]) -> dict[str, str]:
    if not summaries:
        return {}
    kinds = {"markdown": tables.markdown, "latex": latex.latex, "csv": tables.csv}
    return {kind: write(summaries) for kind, write in kinds.items()}


def _filters(summaries: list[Summary]) -> dict[str, list[str]]:
    """The values of an axis that there is a choice of."""
    conditions = [summary.condition for summary in summaries]
    axes = {
        "method": Counter(condition.label for condition in conditions),
        "depth": Counter(str(depth) for depth in sorted(condition.depth for condition in conditions)),
        "data": Counter(condition.data for condition in conditions),
    }
    return {axis: list(values) for axis, values in axes.items() if 1 < len(values) <= _MOST_CHIPS}


def _present(summaries: list[Summary], field: str) -> dict[str, bool]:
    titles = protocols(summaries).items()
    return {title: any(protocol in getattr(summary, field) for summary in summaries) for protocol, title in titles}


def _figures(values: dict[str, Any]) -> list[dict[str, str]]:
    metrics = {curve["metric"] for curve in values["curves"]}
    there = {
        "cost": any(cost for c in values["conditions"] if c["estimates"] for cost in c["costs"].values()),
        "depth": len({c["depth"] for c in values["conditions"] if c["estimates"]}) > 1,
        "layerwise": bool(values["layerwise"]),
        "loss": bool(metrics & set(curves.LOSSES)),
        "throughput": curves.THROUGHPUT in metrics,
    }
    return [
        {"id": name, "title": title, "caption": caption} for name, (title, caption) in _FIGURES.items() if there[name]
    ]


def _not_finished(sweep: Sweep) -> list[tuple[str, str, Run]]:
    return [(status, error, run) for (status, error), runs in tables.reasons(sweep.runs).items() for run in runs]


def _unfinished(run: Run, status: str, error: str, out: Path) -> dict[str, Any]:
    condition = run.condition
    file, link = page.log(run, out)
    place = {"data": condition.data, "depth": condition.depth, "label": condition.label} if condition else {}
    return {"name": run.name, "status": status, "error": error, "file": file, "link": link, **place}
