"""Lightning's W&B logger, with what a run of ours has to say."""

import json
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

from mimbench.reporting.dashboard_facts import Facts
from mimbench.reporting.dashboard_key import has_key, silence
from mimbench.reporting.dashboard_panels import STEP

_LAST = ("train/loss", "val/loss", "lr", "knn")  # W&B keeps the last value in its summary, never a best one


def wandb_logger(
    facts: Facts,
    project: str = "mimbench",
    entity: str | None = None,
    offline: bool | None = None,
    log_model: bool = False,
    timeout: float = 20.0,
) -> "RunLogger":
    """Begins a W&B run, or goes on with the one of the same identity.

    Args:
        offline: None is offline where there is no key, or no server answers in time.
        log_model: Whether the weights become an artifact at the end; offline they are uploaded by `mimbench sync`.
        timeout: Seconds to wait for the server.

    Raises:
        ValueError: Online was demanded and there is no key.
    """
    mode, reason = _mode(offline, timeout)
    if reason:
        _tell(reason, facts)
    options: dict[str, Any] = {
        "project": project,
        "entity": entity,
        "id": facts.identity,
        "name": facts.name,
        "group": facts.group,
        "job_type": facts.job,
        "tags": facts.tags,
        "config": facts.settings,
        "dir": str(facts.directory),
        "resume": "allow",
        "reinit": "finish_previous",
        "settings": wandb.Settings(init_timeout=timeout, quiet=True),
    }
    try:
        run = wandb.init(mode=mode, **options)
    except wandb.errors.Error as error:
        if offline is not None or mode != "online":
            raise
        _tell(_first_line(error), facts)
        wandb.teardown()  # the client holds the name of the run that it could not begin
        run = wandb.init(mode="offline", **options)
    if not run.offline and run.url:
        print(f"W&B: {run.url}", file=sys.stderr, flush=True)
    return RunLogger(run, facts, log_model)


class RunLogger(WandbLogger):
    """A W&B run whose step is the trainer's, so that a requeued run goes on where it was."""

    def __init__(self, run: Any, facts: Facts, log_model: bool = False):
        super().__init__(experiment=run, project=run.project, save_dir=facts.directory)
        self.run, self.facts, self.keeps_weights = run, facts, log_model
        run.define_metric(STEP)
        run.define_metric("*", step_metric=STEP, step_sync=True)
        for name in _LAST:
            run.define_metric(name, step_metric=STEP, step_sync=True)
        run.define_metric("throughput", step_metric=STEP, step_sync=True, summary="mean,last")

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Logs numbers; W&B drops those of steps that it has from before an interruption."""
        if step is None:
            self.run.log(dict(metrics))
        else:
            self.run.log({**metrics, STEP: step}, step=step)

    @rank_zero_only
    def log_summary(self, values: Mapping[str, Any]) -> None:
        """Numbers that belong to no step."""
        self.run.summary.update(dict(values))

    @rank_zero_only
    def log_curves(self, name: str, depths: Sequence[int], curves: Mapping[str, Sequence[float]]) -> None:
        """Lists by depth: as `name/curve` over `name/depth`, and as one picture of them all."""
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
        """The picture that `Reconstructions` has written."""
        legend = path.with_suffix(".json")
        rows = json.loads(legend.read_text())["rows"] if legend.is_file() else []
        picture = wandb.Image(str(path), caption=" | ".join(rows))
        self.log_metrics({"reconstructions": picture}, step)

    @rank_zero_only
    def log_weights(self, files: Sequence[Path], parent: tuple[str, Sequence[Path]] | None = None) -> None:
        """Keeps files as the artifact `model-IDENTITY`, if that was asked for.

        Args:
            parent: Identity and files of the run whose weights this one started from; W&B links them when online.
        """
        if not self.keeps_weights:
            return
        if parent is not None and not self.run.offline:
            self.run.use_artifact(_artifact(*parent, {}))
        self.run.log_artifact(_artifact(self.facts.identity, files, dict(self.facts.axes)), aliases=["latest"])

    @rank_zero_only
    def finish(self, failed: bool) -> None:
        """Ends the run at W&B; the exit code is 1 on failure."""
        self.run.finish(exit_code=int(failed))


def _mode(offline: bool | None, timeout: float) -> tuple[Any, str]:
    """How to begin, and why that is offline where it was not asked for."""
    chosen = os.environ.get("WANDB_MODE", "")
    if offline is None and chosen:
        return "offline" if chosen == "dryrun" else chosen, ""
    if offline:
        return "offline", ""
    if not has_key():
        if offline is False:
            raise ValueError("logger.wandb.offline=false needs a key: set WANDB_API_KEY or run `wandb login`.")
        return "offline", "there is no API key"
    reason = silence(timeout) if offline is None else ""
    return ("offline", reason) if reason else ("online", "")


def _artifact(identity: str, files: Sequence[Path], metadata: dict[str, Any]) -> Any:
    artifact = wandb.Artifact(f"model-{identity}", type="model", metadata=metadata)
    for path in files:
        artifact.add_file(str(path), name=path.name)
    return artifact


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__


def _tell(reason: str, facts: Facts) -> None:
    kept = f"the run stays offline in {facts.directory / 'wandb'}; `mimbench sync` uploads it"
    print(f"W&B: {reason}: {kept}.", file=sys.stderr, flush=True)
