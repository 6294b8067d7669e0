"""`python -m benchmarks.gpu STAGE`."""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from benchmarks.gpu.checks import Check, Setting
from benchmarks.gpu.machine import about, describe
from benchmarks.gpu.process import execute
from benchmarks.gpu.stage import Results, run_stage
from benchmarks.gpu.table import table
from mimbench.core.errors import UserError
from mimbench.core.files import write_atomic

STAGES = ("correct", "fast", "science")
BUDGET = 500.0  # seconds; with the start and the table below nine minutes
FAILED, UNFINISHED = 1, 3


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a stage. Exit status 0: all checks are done and all goals met; 1: not so; 3: call again; 2: a wrong call."""
    deadline = time.monotonic()
    arguments = _parser().parse_args(argv)
    deadline += arguments.budget
    try:
        return _run(arguments, deadline)
    except UserError as error:
        print(f"benchmarks.gpu: {error}", file=sys.stderr)
        return 2


def _run(arguments: argparse.Namespace, deadline: float) -> int:
    rehearsal = arguments.rehearsal
    setting = Setting(
        "cpu" if rehearsal else "cuda",
        rehearsal,
        arguments.output.absolute(),
        arguments.work.absolute(),
        arguments.kit.absolute(),
    )
    checks: list[Check] = import_module(f"benchmarks.gpu.{arguments.stage}").checks(setting)
    _resume(arguments.previous, setting.output)
    machine = execute(Check("machine", describe, 0), setting, limit=120)
    if "values" not in machine:
        raise UserError(f"{machine['error']} Without a GPU, `make gpu-rehearsal` shows what would run.")
    results = Results(setting.output / f"{arguments.stage}.json", about(machine["values"]))
    if arguments.only:
        checks = _chosen(checks, arguments.only.split(","))
    run_stage(checks, setting, results, deadline)
    text = table(arguments.stage, checks, results, rehearsal)
    write_atomic(setting.output / f"{arguments.stage}.md", text)
    print(text)
    statuses = {results.status(check) for check in checks}
    if statuses & {"open", "begun", "paused", "timed out"}:
        return UNFINISHED
    return 0 if statuses <= {"passed", "skipped"} else FAILED


def _resume(previous: Path | None, output: Path) -> None:
    """Copies the results of an earlier call that were moved elsewhere."""
    output.mkdir(parents=True, exist_ok=True)
    for path in sorted(previous.iterdir()) if previous else []:
        if path.is_file() and not (output / path.name).exists():
            shutil.copyfile(path, output / path.name)


def _chosen(checks: Sequence[Check], names: Sequence[str]) -> list[Check]:
    if unknown := set(names) - {check.name for check in checks}:
        known = ", ".join(check.name for check in checks)
        raise UserError(f"--only: there is no check {', '.join(sorted(unknown))}; there are {known}.")
    return [check for check in checks if check.name in names]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", allow_abbrev=False)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--output", type=Path, default=Path("build/gpu"), help="folder of the results")
    parser.add_argument("--previous", type=Path, help="folder with results of an earlier call, which are continued")
    parser.add_argument("--work", type=Path, default=Path("build/gpu-work"), help="folder of runs, data and caches")
    parser.add_argument("--kit", type=Path, default=Path("build/gpu-kit"), help="folder made by make gpu-wheels")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds (default: %(default)s)")
    parser.add_argument("--only", metavar="NAME,...", help="these checks of the stage")
    parser.add_argument("--rehearsal", action="store_true", help="tiny sizes on the CPU")
    return parser


if __name__ == "__main__":
    sys.exit(main())
