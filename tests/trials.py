"""Tiny trainings in processes of their own, to be killed."""

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import processes
import torch
from signalling import INTERRUPTED, Fault, plant
from tiny_runs import Do, Run, make_method, make_newer
from torch import Tensor

from mimbench.training import InterruptedRun


class Beat(L.Callback):
    """Makes a file one byte longer with every batch of rank 0."""

    def __init__(self, path: Path):
        self.path = path

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.is_global_zero:
            with self.path.open("ab") as file:
                file.write(b".")


def train(
    directory: Path,
    faults: Sequence[Fault] = (),
    double: bool = False,
    shared: bool = False,
    newer: str | None = None,
    **options: Any,
) -> None:
    """Trains in a directory, and writes `weights.pt` there at the end.

    Args:
        double: Whether the weights are fp64.
        shared: Whether all images of a step hide the same cells.
        newer: A method of `make_newer` instead of MAE.
    """
    torch.set_num_threads(1)
    rank = int(os.environ.get("LOCAL_RANK", "0"))
    own = [fault for fault in faults if fault.rank == rank]
    hooks = [Do(fault.where, fault.times, fault.send) for fault in own if fault.is_hook]
    plant([fault for fault in own if not fault.is_hook])
    arguments = {name: options.pop(name) for name in ("num_workers", "batch_size") if name in options}
    method = make_newer(newer) if newer else make_method()
    run, method = Run(directory, options, **arguments), method.to(torch.float64 if double else torch.float32)
    if shared:
        method.masker.shared = True
    try:
        run.train([Beat(directory.with_suffix(".beats")), *hooks], method)
    except InterruptedRun as interruption:
        print(interruption)
        sys.exit(INTERRUPTED)
    if rank == 0:
        torch.save(run.weights, directory / "weights.pt")


class Trial:
    """A tiny training in processes of its own, and what it has left in its directory."""

    def __init__(self, directory: Path, ranks: int = 1, **options: Any):
        self.directory = directory
        self.log = directory.with_suffix(".log")
        self.ranks = ranks
        self.options = options
        if ranks > 1:
            more = {"devices": ranks, "strategy": "ddp"} | options.get("trainer_options", {})
            self.options = options | {"trainer_options": more}

    def target(self, *faults: Fault) -> partial[None]:
        """What a process does."""
        return partial(train, self.directory, faults, **self.options)

    def run(self, *faults: Fault) -> list[int]:
        """Trains until the end or a fault; the exit status of every rank."""
        if self.ranks > 1:
            return processes.run_ranks(self.ranks, self.target(*faults), self.log)
        return [processes.run(self.target(*faults), self.log)]

    @property
    def output(self) -> str:
        """What all ranks have said."""
        return "".join(path.read_text() for path in sorted(self.log.parent.glob(f"{self.log.name}*")))

    @property
    def batches(self) -> int:
        """How many batches rank 0 has trained on, repeated ones included."""
        path = self.directory.with_suffix(".beats")
        return path.stat().st_size if path.exists() else 0

    @property
    def weights(self) -> dict[str, Tensor]:
        return torch.load(self.directory / "weights.pt", weights_only=True)

    @property
    def rows(self) -> list[str]:
        """What was logged, without what depends on the clock."""
        lines = (self.directory / "metrics.csv").read_text().splitlines()
        return [line for line in lines if "throughput" not in line]

    def same(self, other: "Trial") -> bool:
        """Whether weights are bit-identical and all rows equal."""
        mine, theirs = self.weights, other.weights
        return all(torch.equal(mine[name], theirs[name]) for name in mine) and self.rows == other.rows
