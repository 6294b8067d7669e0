"""Costs the runs of a sweep on the meta device."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hydra.utils import get_class
from omegaconf import DictConfig

from mimbench.cli.build import cost_of, outline
from mimbench.cli.config import describe, plain, run_directory, sweep_directory
from mimbench.cli.limits import budget_of
from mimbench.cli.mistakes import Mistake
from mimbench.data.sizes import training_size
from mimbench.sweeps import PlannedRun
from mimbench.sweeps.pace import Measured, Pace, assumed, finished_runs, measured
from mimbench.sweeps.plan import PlannedCell, PlannedCost
from mimbench.sweeps.status import RunStatus, read_sweep
from mimbench.training import Cost, stored_bytes

_MODEL = ("encoder", "method", "masker", "target")  # what shapes depend on, with the data's sizes

Pacer = Callable[[Mapping[str, Any], PlannedRun, float], Pace]
"""The pace of a run, told its configuration, its plan and its training FLOPs per image."""


def plan_cells(configs: Sequence[DictConfig], words: Sequence[Sequence[str]], pacer: Pacer) -> list[PlannedCell]:
    """Every run once, in order. Models that differ only in seed or recipe are measured once."""
    planner = _Planner(pacer)
    cells = [planner.cell(plain(config), list(own)) for config, own in zip(configs, words, strict=True)]
    return list({cell.name: cell for cell in cells}.values())


def make_pacer(given: float | None, gpu: str | None, mfu: float, runs: Path) -> Pacer:
    """From what was given, else the named GPU, else finished runs, else an H100.

    Raises:
        Mistake: A number cannot be.
    """
    if given is not None and not given > 0:
        raise Mistake(f"--images-per-second is a positive number, got {given}.")
    try:
        assumed(gpu or "h100", mfu, 1.0, "32")
    except ValueError as error:
        raise Mistake(str(error)) from error
    known: list[Measured] = [] if given or gpu else finished_runs(runs)

    def pace(config: Mapping[str, Any], run: PlannedRun, flops: float) -> Pace:
        precision = str(config["trainer"]["precision"])
        if given is not None:
            return Pace(given, "given")
        key = (str(run.axes["method"]), str(run.axes["encoder"]), precision)
        return measured(known, key, flops) or assumed(gpu or "h100", mfu, flops, precision)

    return pace


class _Planner:
    """Keeps what several runs share: shapes, data sizes, statuses."""

    def __init__(self, pacer: Pacer):
        self.pacer = pacer
        self._costs: dict[str, Cost] = {}
        self._outlines: dict[str, tuple[int, Cost | None, PlannedCost | None, str | None]] = {}
        self._size = cache(_training_size)
        self._statuses = cache(_statuses)

    def cell(self, config: dict[str, Any], words: list[str]) -> PlannedCell:
        depth, cost, fixed, refused = self._outline(config)
        run = describe(config, words, depth, refused)
        status = self._statuses(sweep_directory(config)).get(run_directory(config, run).name)
        facts = {"identity": run.identity, "name": run.name, "axes": run.axes, "overrides": run.overrides}
        try:
            if fixed is None:
                raise Mistake(refused or "")
            whole = fixed if cost is None else self._whole(config, run, cost, fixed)
        except (Mistake, ValueError) as mistake:
            return PlannedCell(**facts, state="refused", reason=str(mistake))
        state, reason, done = _standing(status)
        return PlannedCell(**facts, state=state, reason=reason, done=done, cost=whole)

    def _outline(self, config: Mapping[str, Any]) -> tuple[int, Cost | None, PlannedCost | None, str | None]:
        """Depth, cost of an image, what of the plan follows from it, and why the run cannot exist."""
        key = json.dumps({k: v for k, v in config.items() if k not in ("seed", "sweep", "paths")}, sort_keys=True)
        key = key.replace(f'"seed": {config["seed"]}', "")
        if key not in self._outlines:
            self._outlines[key] = self._measure(config)
        return self._outlines[key]

    def _measure(self, config: Mapping[str, Any]) -> tuple[int, Cost | None, PlannedCost | None, str | None]:
        depth = config["encoder"].get("depth")
        try:
            encoder, method = outline(config)
        except Mistake as mistake:
            return (depth if isinstance(depth, int) else 0), None, None, str(mistake)
        disk = stored_bytes(encoder, method, average=bool(config["optim"]["ema"]))
        if method is None:
            trunk = sum(p.numel() for p in encoder.parameters())
            return encoder.depth, None, PlannedCost(parameters={"encoder": trunk}, disk=disk), None
        size = config["data"]["image_size"]
        model = json.dumps([{key: config[key] for key in _MODEL}, size], sort_keys=True)
        if model not in self._costs:
            try:
                self._costs[model] = cost_of(method, size)
            except Mistake as mistake:
                return encoder.depth, None, None, str(mistake)
        return encoder.depth, self._costs[model], PlannedCost(disk=disk), None

    def _whole(self, config: Mapping[str, Any], run: PlannedRun, cost: Cost, fixed: PlannedCost) -> PlannedCost:
        budget, batch = budget_of(config), config["data"]["batch_size"]
        size = self._size(json.dumps(config["data"]["source"], sort_keys=True))
        if size is not None and size < batch:
            raise Mistake(f"The effective batch of {batch} is larger than the training set of {size} images.")
        pace = self.pacer(config, run, cost.training_flops)
        if budget.seconds is not None:
            steps = int(budget.seconds * pace.images_per_second / batch)
        elif budget.epochs is not None and size is None:
            steps = None
        else:
            steps = budget.total_steps((size or 0) // batch, cost.training_flops * batch)
        images = None if steps is None else steps * batch
        hours = None if images is None else images / pace.images_per_second / 3600
        return PlannedCost(
            parameters={
                "encoder": cost.encoder_parameters,
                "decoders": cost.decoder_parameters,
                "targets": cost.target_parameters,
            },
            tokens={"encoder": cost.encoder_tokens, "decoders": cost.decoder_tokens},
            flops={"encoder": cost.encoder_flops, "decoders": cost.decoder_flops, "targets": cost.target_flops},
            training_flops_per_image=cost.training_flops,
            steps=steps,
            images=images,
            disk=fixed.disk,
            images_per_second=pace.images_per_second,
            pace=pace.source,
            gpu_hours=hours if budget.seconds is None else budget.seconds / 3600,
        )


def _training_size(source: str) -> int | None:
    arguments = json.loads(source)
    return training_size(get_class(arguments.pop("_target_")), **arguments)


def _statuses(sweep: Path) -> dict[str, RunStatus]:
    return {run.name: run for run in read_sweep(sweep)} if sweep.is_dir() else {}


def _standing(status: RunStatus | None) -> tuple[str, str, float]:
    """State in a plan, its reason, and the share that is done for good."""
    if status is None or status.state in ("planned", "refused"):
        return "new", "", 0.0
    if status.state == "finished":
        return "finished", "", 1.0
    kept = status.state in ("interrupted", "running", "queued")
    done = min(1.0, status.step / status.total) if kept and status.step and status.total else 0.0
    return status.state, status.error, done
