"""The W&B workspace and report, both built from `wandb_panels`."""

import json
import re
from typing import Any

import wandb
import wandb.errors
import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws
from wandb_workspaces.workspaces import internal

from mimbench.trackers.wandb_panels import COLUMNS, SECTIONS, Panel

TITLE = "mimbench: comparison of methods"
_NAME = "nw-mimbench000-v"  # in the form that W&B requires; with a fixed name a second call updates the workspace
_GROUP_BY = "axes/method"


def workspace(entity: str, project: str) -> ws.Workspace:
    """The workspace, with runs grouped by method; not saved."""
    sections = [
        ws.Section(name=section.name, panels=[_plot(panel) for panel in section.panels], is_open=True)
        for section in SECTIONS
    ]
    columns = ["run:displayName", *(f"summary:{name}" for name in COLUMNS)]
    runs = ws.RunsetSettings(groupby=[ws.Config(_GROUP_BY)], pinned_columns=columns)
    settings = ws.WorkspaceSettings(max_runs=100)
    return ws.Workspace(
        entity=entity, project=project, name=TITLE, sections=sections, settings=settings, runset_settings=runs
    )


def report(entity: str, project: str) -> wr.Report:
    """The report: the same plots, with the question that each section answers; not saved."""
    blocks: list[Any] = [wr.TableOfContents()]
    for section in SECTIONS:
        runs = wr.Runset(groupby=[f"config.{_GROUP_BY}"])  # of the report's own project
        grid = wr.PanelGrid(runsets=[runs], panels=_arrange([_plot(panel) for panel in section.panels]))
        blocks += [wr.H2(section.name), wr.P(section.question), grid]
    return wr.Report(project=project, entity=entity, title=TITLE, blocks=blocks, width="fluid")


def save(entity: str, project: str) -> dict[str, str]:
    """Creates workspace and report, or updates those of an earlier call; returns their addresses.

    Raises:
        ValueError: The server rejects them.
    """
    try:
        new_report = report(entity, project)
        new_report.id = _report_id(entity, project)
        address = new_report.save().url  # first, because it also creates the project
        new_workspace = workspace(entity, project)
        new_workspace._internal_name, new_workspace._internal_id = _NAME, _workspace_id(entity, project)
        return {"workspace": new_workspace.save().url, "report": address}
    except (wandb.errors.Error, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"W&B refused {entity}/{project} ({reason}). Check the key and both names.") from error


def as_specs(entity: str, project: str) -> dict[str, Any]:
    """What `save` would save, in the form that W&B stores; needs no network."""
    specs = {
        "workspace": workspace(entity, project)._to_model().spec,
        "report": report(entity, project)._to_model().spec,
    }
    return {name: json.loads(spec.model_dump_json(by_alias=True, exclude_none=True)) for name, spec in specs.items()}


def _report_id(entity: str, project: str) -> str:
    """Id of the report that an earlier call has saved; empty if there is none."""
    try:
        found = [known.id for known in wandb.Api().reports(f"{entity}/{project}") if known.display_name == TITLE]
    except ValueError:  # no such project yet
        return ""
    return found[0] if found else ""


def _workspace_id(entity: str, project: str) -> str:
    """Id of the workspace that an earlier call has saved; empty if there is none."""
    try:
        return internal.View.from_name(entity, project, _NAME).id
    except ValueError:  # none yet
        return ""


def _plot(panel: Panel) -> Any:
    layout = wr.Layout(w=8, h=6)
    if panel.kind == "media":
        return wr.MediaBrowser(title=panel.title, media_keys=list(panel.metrics), num_columns=1, layout=layout)
    if panel.kind == "bar":
        return wr.BarPlot(title=panel.title, metrics=list(panel.metrics), groupby=wr.Config(_GROUP_BY), layout=layout)
    if panel.kind == "scatter":
        x, y = wr.SummaryMetric(panel.x), wr.SummaryMetric(panel.metrics[0])
        return wr.ScatterPlot(title=panel.title, x=x, y=y, log_x=panel.log_x, layout=layout)
    metrics: list[Any] = list(panel.metrics)
    pattern = "|".join(f"{re.escape(prefix)}.*" for prefix in panel.prefixes) or None
    return wr.LinePlot(title=panel.title, x=panel.x, y=metrics, metric_regex=pattern, log_x=panel.log_x, layout=layout)


def _arrange(plots: list[Any], columns: int = 3) -> list[Any]:
    """The plots in rows of three on the 24 columns of a report."""
    for position, plot in enumerate(plots):
        plot.layout.x, plot.layout.y = position % columns * 8, position // columns * 6
    return plots
