"""Writes the record of a run while it runs and when it ends, also after an error."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

import mimbench
from mimbench.core.files import write_atomic
from mimbench.experiments.plugins import plugins
from mimbench.runs import correctness, records
from mimbench.runs.directory import EVALUATION, LOG, RECORD
from mimbench.runs.manifest import PlannedRun
from mimbench.runs.records import Record
from mimbench.runs.results import find_record, record_lock
from mimbench.runs.state import State
from mimbench.training import Cost, InterruptedRun, Pretraining


class RunRecorder:
    """Context manager that writes `record.json` when a run starts, after each stage, and when it ends or fails."""

    def __init__(self, run: PlannedRun, directory: Path, sweep: str):
        self.directory = directory
        self.record = Record(
            identity=run.identity,
            name=run.name,
            status=State.RUNNING,
            axes=dict(run.axes),
            started=_now(),
            sweep=sweep,
            overrides=list(run.overrides),
            environment=_environment(),
        )

    @staticmethod
    def is_finished(directory: Path) -> bool:
        """Whether the record in a directory says that its run has finished."""
        path = directory / RECORD
        return path.exists() and records.read(path).status == State.FINISHED

    @staticmethod
    def mark_lost(directory: Path, how: int | str) -> None:
        """Marks a run as failed if its process ended without recording why, for instance killed for lack of memory.

        Args:
            how: Exit status of the process, or a sentence that says how it ended.
        """
        path = directory / RECORD
        if path.exists() and (record := records.read(path)).status == State.RUNNING:
            reason = how if isinstance(how, str) else f"The process ended with status {how}"
            message = f"{reason}; see {directory / LOG}."
            ended = replace(record, status=State.FAILED, finished=_now(), error={"type": "Lost", "message": message})
            records.write(ended, directory)

    def __enter__(self) -> "RunRecorder":
        if (earlier := find_record(self.directory, self.record.identity)) is not None:
            self.record = replace(self.record, started=earlier.started)
        self._update()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status = State.FINISHED
        if error is not None:
            stopped = isinstance(error, (KeyboardInterrupt, InterruptedRun))
            status = State.INTERRUPTED if stopped else State.FAILED
            self.record = replace(self.record, error={"type": type(error).__name__, "message": str(error)})
        try:
            self._update(status=status, finished=_now())
        except OSError as cause:  # such as a full disk
            if error is None:
                raise
            print(f"The record of {self.directory} could not be written: {cause}", file=sys.stderr)

    def record_cost(self, cost: Cost, depths: Sequence[int]) -> None:
        """Records the cost per image and the depths that the method reads."""
        flops = {"encoder": cost.encoder_flops, "decoders": cost.decoder_flops, "targets": cost.target_flops}
        self._update_cost(
            parameters={
                "encoder": cost.encoder_parameters,
                "decoders": cost.decoder_parameters,
                "targets": cost.target_parameters,
            },
            tokens_per_image={"encoder": cost.encoder_tokens, "decoders": cost.decoder_tokens},
            flops_per_image=flops | {"total": cost.forward_flops},
            training_flops_per_image=cost.training_flops,
        )
        self._update(depths=list(depths))

    def record_training(self, result: Pretraining) -> None:
        """Records time, steps and last losses of pre-training."""
        self._update_cost(
            training_flops=float(self.record.cost["training_flops_per_image"] * result.images),
            train_steps=result.steps,
            train_seconds=result.seconds,
            device_seconds=result.device_seconds,
            images_seen=result.images,
            images_per_second=result.images_per_second,
        )
        losses = {name: value for name, value in result.metrics.items() if "loss" in name}
        self._update(metrics=self.record.metrics | losses)

    def record_results(self, results: dict[str, dict[str, Any]], seconds: float) -> None:
        """Records the results by protocol, also as one file each."""
        folder = self.directory / EVALUATION
        folder.mkdir(exist_ok=True)
        results = {name: correctness.move_to_file(self.directory, name, result) for name, result in results.items()}
        for protocol, result in results.items():
            write_atomic(folder / f"{protocol}.json", json.dumps(result, indent=2) + "\n")
        self._update_cost(evaluation_seconds=seconds)
        self._update(metrics=self.record.metrics | results)

    def _update_cost(self, **values: Any) -> None:
        self.record = replace(self.record, cost=self.record.cost | values)

    def _update(self, **values: Any) -> None:
        with record_lock(self.directory):
            self.record = replace(self.record, **values)
            earlier = find_record(self.directory, self.record.identity)
            added = {} if earlier is None else earlier.metrics  # `mimbench evaluate` may add results at any time
            records.write(replace(self.record, metrics=added | self.record.metrics), self.directory)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _environment() -> dict[str, Any]:
    packages = {name: version(name) for name in ("torch", "lightning", "timm")}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {os.cpu_count()} cores"
    own = {"python": platform.python_version(), "mimbench": mimbench.__version__, "commit": _commit(), "device": device}
    further = {plugin.name: plugin.version for plugin in plugins() if not plugin.is_folder}
    return packages | own | {"host": platform.node()} | ({"plugins": further} if further else {})


def _commit() -> str | None:
    checkout = Path(mimbench.__file__).parents[2]
    if not (checkout / ".git").exists():
        return None
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
