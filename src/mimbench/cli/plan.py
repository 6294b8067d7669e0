"""`mimbench plan`: the runs of a sweep and their cost, before it is started."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mimbench.runs.state import State


def main(argv: list[str]) -> int:
    """Prints the plan; exit status 2 if every run is refused. Writes only the file of --json."""
    arguments, words = _parser().parse_known_args(argv)
    words = [word for word in words if word not in ("-m", "--multirun")]
    # Importing PyTorch takes seconds; --help does not need it.
    from mimbench.experiments.composition.compose import run_command

    return run_command("plan", words, lambda: _plan(arguments, words))


def _plan(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    from mimbench.cli.console import Console
    from mimbench.cli.plan_table import WIDTH, show
    from mimbench.core.errors import UserError
    from mimbench.core.files import write_atomic
    from mimbench.experiments.composition.compose import composer
    from mimbench.experiments.config import resolve
    from mimbench.experiments.planning.costs import estimate_runs, make_pace_estimator
    from mimbench.experiments.planning.plan import totals

    if arguments.json is not None and arguments.json.is_dir():
        raise UserError(f"--json expects a file, but {arguments.json} is a directory.")
    with composer(words) as hydra:
        jobs = hydra.jobs()
        configs = hydra.configs(jobs)
        runs = Path(resolve(configs[0])["paths"]["runs"])
        pacer = make_pace_estimator(arguments.images_per_second, arguments.gpu, arguments.mfu, runs)
        runs = estimate_runs(configs, jobs, pacer, arguments.images)
    if all(run.state == State.REFUSED for run in runs):
        raise UserError(" ".join(dict.fromkeys(run.reason for run in runs)))
    width = Console().width if sys.stdout.isatty() else WIDTH
    show(runs, Console(width=max(width, 100), highlight=False))
    if arguments.json is not None:
        values: dict[str, Any] = {"runs": [_row(run) for run in runs], "totals": asdict(totals(runs))}
        try:
            write_atomic(arguments.json, json.dumps(values, indent=2) + "\n")
        except OSError as error:
            raise UserError(f"--json {arguments.json} cannot be written ({error}).") from error
    return 0


def _row(run: Any) -> dict[str, Any]:
    cost = run.cost
    if cost is None:
        return asdict(run)
    hours = {"gpu_hours_left": run.gpu_hours_left, "cpu_hours_left": run.cpu_hours_left}
    return asdict(run) | {"training_flops": cost.training_flops} | hours


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mimbench plan",
        usage="mimbench plan [options] [arguments of mimbench run ...]",
        description=(
            "Prints identity, state, parameters, tokens, FLOPs, disk space and estimated hours on a GPU (or on the "
            "CPU of finished runs) of every run. Models are built without allocating memory; nothing is downloaded or "
            "written. Hours cover pre-training, not evaluation."
        ),
        allow_abbrev=False,
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the plan to this file")
    parser.add_argument(
        "--images-per-second", metavar="X", type=float, help="assume this rate per device for every run"
    )
    parser.add_argument(
        "--images", metavar="N", type=int, help="number of training images of data that are not available"
    )
    parser.add_argument(
        "--gpu",
        metavar="NAME",
        help="assume this GPU (h100, a100, ...); by default estimate from finished runs, otherwise assume h100",
    )
    parser.add_argument(
        "--mfu", metavar="X", type=float, default=0.4, help="assumed fraction of the GPU's peak (default: 0.4)"
    )
    return parser
