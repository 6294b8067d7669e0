"""Keeps a run's record true while the run goes on, ends or breaks."""

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
from mimbench.cli.ledger import foreign_results, record_lock
from mimbench.reporting import correctness, records
from mimbench.reporting.files import write_whole
from mimbench.reporting.records import Record
from mimbench.sweeps import PlannedRun
from mimbench.training import Cost, InterruptedRun, Pretraining


class Bookkeeping:
    """A context that writes `record.json` when a run starts, after each of its parts, and however it ends."""

    def __init__(self, run: PlannedRun, directory: Path, sweep: str):
        self.directory = directory
        self.record = Record(
            identity=run.identity,
            name=run.name,
            status="running",
            axes=dict(run.axes),
            started=_now(),
            sweep=sweep,
            overrides=list(run.overrides),
            environment=_environment(),
        )

    @staticmethod
    def finished(directory: Path) -> bool:
        """Whether a run's directory tells that it has finished."""
        path = directory / records.FILE
        return path.exists() and records.read(path).status == "finished"

    @staticmethod
    def lost(directory: Path, how: int | str) -> None:
        """Marks a run whose process ended without a word, such as one killed for memory, as failed.

        Args:
            how: The status it ended with, or what somebody else says about it.
        """
        path = directory / records.FILE
        if path.exists() and (record := records.read(path)).status == "running":
            told = how if isinstance(how, str) else f"The process ended with status {how}"
            message = f"{told}; see {directory / 'log.txt'}."
            ended = replace(record, status="failed", finished=_now(), error={"type": "Lost", "message": message})
            records.write(ended, directory)

    def __enter__(self) -> "Bookkeeping":
        self._update()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status = "finished"
        if error is not None:
            status = "interrupted" if isinstance(error, (KeyboardInterrupt, InterruptedRun)) else "failed"
            self.record = replace(self.record, error={"type": type(error).__name__, "message": str(error)})
        try:
            self._update(status=status, finished=_now())
        except OSError as full:
            if error is None:
                raise
            print(f"The record of {self.directory} could not be written: {full}", file=sys.stderr)

    def costs(self, cost: Cost, depths: Sequence[int]) -> None:
        """What an image costs, and where the method looks."""
        flops = {"encoder": cost.encoder_flops, "decoders": cost.decoder_flops, "targets": cost.target_flops}
        self._cost(
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

    def pretrained(self, result: Pretraining) -> None:
        """What pre-training took and where its losses ended."""
        self._cost(
            training_flops=float(self.record.cost["training_flops_per_image"] * result.images),
            train_steps=result.steps,
            train_seconds=result.seconds,
            device_seconds=result.device_seconds,
            images_seen=result.images,
            images_per_second=result.images_per_second,
        )
        losses = {name: value for name, value in result.metrics.items() if "loss" in name}
        self._update(metrics=self.record.metrics | losses)

    def evaluated(self, results: dict[str, dict[str, Any]], seconds: float) -> None:
        """Results by protocol, also as one file each."""
        folder = self.directory / "evaluation"
        folder.mkdir(exist_ok=True)
        results = {name: correctness.kept(self.directory, name, result) for name, result in results.items()}
        for protocol, result in results.items():
            write_whole(folder / f"{protocol}.json", json.dumps(result, indent=2) + "\n")
        self._cost(evaluation_seconds=seconds)
        self._update(metrics=self.record.metrics | results)

    def _cost(self, **values: Any) -> None:
        self.record = replace(self.record, cost=self.record.cost | values)

    def _update(self, **values: Any) -> None:
        with record_lock(self.directory):
            theirs = foreign_results(self.directory)  # of `mimbench evaluate`, meanwhile
            self.record = replace(self.record, **values)
            self.record = replace(self.record, metrics=theirs | self.record.metrics)
            records.write(self.record, self.directory)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _environment() -> dict[str, Any]:
    packages = {name: version(name) for name in ("torch", "lightning", "timm")}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {os.cpu_count()} cores"
    own = {"python": platform.python_version(), "mimbench": mimbench.__version__, "commit": _commit(), "device": device}
    return packages | own | {"host": platform.node()}


def _commit() -> str | None:
    checkout = Path(mimbench.__file__).parents[2]
    if not (checkout / ".git").exists():
        return None
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
