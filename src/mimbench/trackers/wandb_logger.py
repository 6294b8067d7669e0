"""Lightning's W&B logger, extended by curves, reconstructions and weights."""

import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb
import wandb.errors
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from wandb.sdk.data_types._private import MEDIA_TMP

from mimbench.core.json_files import read_json
from mimbench.runs.directory import RECONSTRUCTIONS_LEGEND
from mimbench.trackers.run_info import RunInfo
from mimbench.trackers.wandb_access import connection_error, has_key
from mimbench.trackers.wandb_panels import STEP

_LAST = ("train/loss", "val/loss", "lr", "knn")  # metrics whose summary is the last value, never the best one


def wandb_logger(
    info: RunInfo,
    project: str = "mimbench",
    entity: str | None = None,
    offline: bool | None = None,
    log_model: bool = False,
    timeout: float = 20.0,
) -> "RunLogger":
    """Starts a W&B run, or continues the one with the same identity.

    Args:
        offline: With None the run is offline if there is no key or the server does not respond in time.
        log_model: Whether to log the weights as an artifact at the end; offline, `mimbench sync` uploads them.
        timeout: Seconds to wait for the server.

    Raises:
        ValueError: `offline` is False and there is no key.
    """
    mode, reason = _mode(offline, timeout)
    if reason:
        _report_offline(reason, info)
    _renew_media_folder()
    options: dict[str, Any] = {
        "project": project,
        "entity": entity,
        "id": info.identity,
        "name": info.name,
        "group": info.group,
        "job_type": info.job,
        "tags": info.tags,
        "config": info.settings,
        "dir": str(info.directory),
        "resume": "allow",
        "reinit": "finish_previous",
        "settings": wandb.Settings(init_timeout=timeout, quiet=True),
    }
    try:
        run = wandb.init(mode=mode, **options)
    except wandb.errors.Error as error:
        if offline is not None or mode != "online":
            raise
        _report_offline(_first_line(error), info)
        wandb.teardown()  # the client still holds the name of the run that it could not start
        run = wandb.init(mode="offline", **options)
    if not run.offline and run.url:
        print(f"W&B: {run.url}", file=sys.stderr, flush=True)
    return RunLogger(run, info, log_model)


class RunLogger(WandbLogger):
    """A W&B run with the steps of the trainer, so that a requeued run continues at its last step."""

    def __init__(self, run: Any, info: RunInfo, log_model: bool = False):
        super().__init__(experiment=run, project=run.project, save_dir=info.directory)
        self.run, self.info, self.log_model = run, info, log_model
        run.define_metric(STEP)
        run.define_metric("*", step_metric=STEP, step_sync=True)
        for name in _LAST:
            run.define_metric(name, step_metric=STEP, step_sync=True)
        run.define_metric("throughput", step_metric=STEP, step_sync=True, summary="mean,last")

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Logs numbers; W&B ignores steps that were logged before an interruption."""
        if step is None:
            self.run.log(dict(metrics))
        else:
            self.run.log({**metrics, STEP: step}, step=step)

    @rank_zero_only
    def log_summary(self, values: Mapping[str, Any]) -> None:
        """Logs numbers of the whole run."""
        self.run.summary.update(dict(values))

    @rank_zero_only
    def log_curves(self, name: str, depths: Sequence[int], curves: Mapping[str, Sequence[float]]) -> None:
        """Logs lists by depth: as `name/curve` over `name/depth`, and all of them as one plot."""
        axis = f"{name}/depth"
        self.run.define_metric(axis)
        for key in curves:
            self.run.define_metric(f"{name}/{key}", step_metric=axis, step_sync=False)
        for position, depth in enumerate(depths):
            row = {f"{name}/{key}": values[position] for key, values in curves.items()}
            self.run.log({axis: depth} | {key: value for key, value in row.items() if math.isfinite(value)})
        lines = [list(values) for values in curves.values()]
        plot = wandb.plot.line_series(list(depths), lines, keys=list(curves), title=name, xname="depth")
        self.run.log({f"{name}/curves": plot})

    @rank_zero_only
    def log_reconstructions(self, path: Path, step: int | None = None) -> None:
        """Logs the figure of `Reconstructions`, with the names of its rows as caption."""
        legend = path.with_name(RECONSTRUCTIONS_LEGEND)
        rows = read_json(legend)["rows"] if legend.is_file() else []
        image = wandb.Image(str(path), caption=" | ".join(rows))
        self.log_metrics({"reconstructions": image}, step)

    @rank_zero_only
    def log_weights(self, files: Sequence[Path], parent: tuple[str, Sequence[Path]] | None = None) -> None:
        """Logs files as the artifact `model-IDENTITY-SWEEP` if `log_model` is set.

        Args:
            parent: Identity and files of the run from whose weights this run started; linked if the run is online.
        """
        if not self.log_model:
            return
        if parent is not None and not self.run.offline:
            self.run.use_artifact(_artifact(*parent, {}))
        self.run.log_artifact(_artifact(self.info.identity, files, dict(self.info.axes)), aliases=["latest"])

    @rank_zero_only
    def finish(self, failed: bool) -> None:
        """Ends the W&B run, with exit code 1 if it failed."""
        self.run.finish(exit_code=int(failed))


def _mode(offline: bool | None, timeout: float) -> tuple[Any, str]:
    """W&B's mode, and the reason if it is offline without being requested; else an empty reason."""
    chosen = os.environ.get("WANDB_MODE", "")
    if offline is None and chosen:
        return "offline" if chosen == "dryrun" else chosen, ""
    if offline:
        return "offline", ""
    if not has_key():
        if offline is False:
            raise ValueError("logger.wandb.offline=false needs a key: set WANDB_API_KEY or run `wandb login`.")
        return "offline", "there is no API key"
    reason = connection_error(timeout) if offline is None else ""
    return ("offline", reason) if reason else ("online", "")


def _renew_media_folder() -> None:
    """Gives this process its own folder for temporary media.

    W&B creates the folder when it is imported, so processes that are forked afterwards share it, and the first one that
    ends deletes it.
    """
    MEDIA_TMP.__init__("wandb-media")


def _artifact(identity: str, files: Sequence[Path], metadata: dict[str, Any]) -> Any:
    artifact = wandb.Artifact(f"model-{identity}", type="model", metadata=metadata)
    for path in files:
        artifact.add_file(str(path), name=path.name)
    return artifact


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__


def _report_offline(reason: str, info: RunInfo) -> None:
    folder = info.directory / "wandb"
    message = f"W&B: {reason}: the run stays offline in {folder}; `mimbench sync` uploads it."
    print(message, file=sys.stderr, flush=True)
