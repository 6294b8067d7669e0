"""A W&B workspace and a report, both drawn from `dashboard_panels`."""

import json
import re
from typing import Any

import wandb
import wandb.errors
import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws
from wandb_workspaces.workspaces import internal

from mimbench.reporting.dashboard_panels import SECTIONS, Panel

TITLE = "mimbench: comparison of methods"
_NAME = "nw-mimbench000-v"  # W&B's own form of names; a fixed one makes the next call an update
_BY = "axes/method"
_COLUMNS = ("linear-v1/accuracy", "knn-v1/accuracy", "val/loss", "cost/training_flops")


def workspace(entity: str, project: str) -> ws.Workspace:
    """The workspace, not saved: runs grouped by method."""
    sections = [
        ws.Section(name=section.name, panels=[_plot(panel) for panel in section.panels], is_open=True)
        for section in SECTIONS
    ]
    columns = ["run:displayName", *(f"summary:{name}" for name in _COLUMNS)]
    runs = ws.RunsetSettings(groupby=[ws.Config(_BY)], pinned_columns=columns)
    settings = ws.WorkspaceSettings(max_runs=100)
    return ws.Workspace(
        entity=entity, project=project, name=TITLE, sections=sections, settings=settings, runset_settings=runs
    )


def report(entity: str, project: str) -> wr.Report:
    """The report, not saved: the same plots, with the question that each section answers."""
    blocks: list[Any] = [wr.TableOfContents()]
    for section in SECTIONS:
        runs = wr.Runset(groupby=[f"config.{_BY}"])  # of the report's own project
        grid = wr.PanelGrid(runsets=[runs], panels=_placed([_plot(panel) for panel in section.panels]))
        blocks += [wr.H2(section.name), wr.P(section.question), grid]
    return wr.Report(project=project, entity=entity, title=TITLE, blocks=blocks, width="fluid")


def save(entity: str, project: str) -> dict[str, str]:
    """Creates both, or renews those of an earlier call; their addresses.

    Raises:
        ValueError: The server refuses.
    """
    try:
        told = report(entity, project)
        told.id = _report_id(entity, project)
        address = told.save().url  # first, since it also creates the project
        shown = workspace(entity, project)
        shown._internal_name, shown._internal_id = _NAME, _workspace_id(entity, project)
        return {"workspace": shown.save().url, "report": address}
    except (wandb.errors.Error, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"W&B refused {entity}/{project} ({reason}). Check the key and both names.") from error


def as_specs(entity: str, project: str) -> dict[str, Any]:
    """What would be saved, as W&B stores it; needs no network."""
    specs = {
        "workspace": workspace(entity, project)._to_model().spec,
        "report": report(entity, project)._to_model().spec,
    }
    return {name: json.loads(spec.model_dump_json(by_alias=True, exclude_none=True)) for name, spec in specs.items()}


def _report_id(entity: str, project: str) -> str:
    """Of the report that an earlier call has saved, else nothing."""
    try:
        found = [known.id for known in wandb.Api().reports(f"{entity}/{project}") if known.display_name == TITLE]
    except ValueError:  # no such project yet
        return ""
    return found[0] if found else ""


def _workspace_id(entity: str, project: str) -> str:
    try:
        return internal.View.from_name(entity, project, _NAME).id
    except ValueError:  # none yet
        return ""


def _plot(panel: Panel) -> Any:
    layout = wr.Layout(w=8, h=6)
    if panel.kind == "media":
        return wr.MediaBrowser(title=panel.title, media_keys=list(panel.metrics), num_columns=1, layout=layout)
    if panel.kind == "bar":
        return wr.BarPlot(title=panel.title, metrics=list(panel.metrics), groupby=wr.Config(_BY), layout=layout)
    if panel.kind == "scatter":
        x, y = wr.SummaryMetric(panel.x), wr.SummaryMetric(panel.metrics[0])
        return wr.ScatterPlot(title=panel.title, x=x, y=y, log_x=panel.log_x, layout=layout)
    plain: list[Any] = [name for name in panel.metrics if not name.endswith("*")]
    patterns = [f"{re.escape(name[:-1])}.*" for name in panel.metrics if name.endswith("*")]
    return wr.LinePlot(
        title=panel.title, x=panel.x, y=plain, metric_regex="|".join(patterns) or None, log_x=panel.log_x, layout=layout
    )


def _placed(plots: list[Any], columns: int = 3) -> list[Any]:
    """Beside and below each other on the report's 24 columns."""
    for position, plot in enumerate(plots):
        plot.layout.x, plot.layout.y = position % columns * 8, position // columns * 6
    return plots
