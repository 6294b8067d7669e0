"""Estimates the cost of the runs of a sweep, on the meta device."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from hydra.utils import get_class
from omegaconf import DictConfig

from mimbench.core.errors import UserError
from mimbench.data.sizes import imagenet_size, training_size
from mimbench.experiments.budget import read_budget
from mimbench.experiments.build import build_on_meta, measure_step_cost, sentence
from mimbench.experiments.config import describe, resolve, run_directory, sweep_directory
from mimbench.experiments.evaluation.existing import missing_protocols, use_existing
from mimbench.experiments.planning.pace import (
    SHORTEST,
    MeasuredRun,
    Pace,
    assume_pace,
    measured_pace,
    read_finished_runs,
)
from mimbench.experiments.planning.plan import EstimatedCost, EstimatedRun
from mimbench.experiments.status import RunStatus, read_sweep
from mimbench.runs.manifest import PlannedRun
from mimbench.runs.state import State
from mimbench.training import Cost, stored_bytes

_MODEL = ("encoder", "method", "masker", "target")  # shapes depend on these and on the image size

PaceEstimator = Callable[[Mapping[str, Any], PlannedRun, float], Pace]
"""Returns the pace of a run from its configuration, its plan and its training FLOPs per image."""


def estimate_runs(
    configs: Sequence[DictConfig],
    overrides: Sequence[Sequence[str]],
    estimate_pace: PaceEstimator,
    images: int | None = None,
) -> list[EstimatedRun]:
    """Estimates every run once, in order. The cost of a model is measured once, whatever seeds and recipes it has.

    Args:
        images: Number of training images of data that are not available.

    Raises:
        UserError: `images` is not positive.
    """
    if images is not None and images < 1:
        raise UserError(f"--images is {images}; it must be a positive number of training images.")
    planner = _Planner(estimate_pace, images)
    runs = [planner.estimate(resolve(config), list(own)) for config, own in zip(configs, overrides, strict=True)]
    return list({run.name: run for run in runs}.values())


def make_pace_estimator(given: float | None, gpu: str | None, mfu: float, runs: Path) -> PaceEstimator:
    """Estimates from, in this order: images per second if given, the GPU if named, finished runs, an H100.

    Args:
        given: Images per second.
        gpu: A key of `PEAKS`.
        mfu: Share of the GPU's peak that is used.
        runs: Directory of sweeps with finished runs.

    Raises:
        UserError: An argument is not valid.
    """
    if given is not None and not given > 0:
        raise UserError(f"--images-per-second is {given}; it must be a positive number.")
    try:
        assume_pace(gpu or "h100", mfu, 1.0, "32")
    except ValueError as error:
        raise UserError(str(error)) from error
    known: list[MeasuredRun] = [] if given or gpu else read_finished_runs(runs)

    def pace(config: Mapping[str, Any], run: PlannedRun, flops: float) -> Pace:
        precision = str(config["trainer"]["precision"])
        if given is not None:
            return Pace(given, "given")
        key = (str(run.axes["method"]), str(run.axes["encoder"]), precision)
        if (measured := measured_pace(known, key, flops)) is not None:
            return measured
        assumed = assume_pace(gpu or "h100", mfu, flops, precision)
        if not any(run.key == key for run in known):
            return assumed
        return replace(assumed, source=f"{assumed.source}; finished runs took less than {SHORTEST:.0f} s")

    return pace


class _Planner:
    """Estimates runs; caches model costs, dataset sizes and statuses, which several runs share."""

    def __init__(self, estimate_pace: PaceEstimator, images: int | None):
        self.estimate_pace, self.images = estimate_pace, images
        self._costs: dict[str, Cost] = {}
        self._models: dict[str, tuple[int, Cost | None, EstimatedCost | None, str | None]] = {}
        self._training_size = cache(_training_size)
        self._read_statuses = cache(_read_statuses)

    def estimate(self, config: dict[str, Any], overrides: list[str]) -> EstimatedRun:
        depth, cost, fixed, refused = self._measure_model(config)
        run = use_existing(config, describe(config, overrides, depth, refused))
        directory = run_directory(config, run)
        status = self._read_statuses(sweep_directory(config)).get(directory.name)
        facts = {"identity": run.identity, "name": run.name, "axes": run.axes, "overrides": run.overrides}
        try:
            if fixed is None:
                raise UserError(refused or "")
            estimated = fixed if cost is None else self._estimate_training(config, run, cost, fixed)
        except (UserError, ValueError) as error:
            return EstimatedRun(**facts, state=State.REFUSED, reason=str(error))
        state, reason, done = _plan_state(status)
        if state == State.FINISHED and (missing := missing_protocols(config, directory)):
            reason = f"to be evaluated: {', '.join(protocol.label for protocol in missing.values())}"
        return EstimatedRun(**facts, state=state, reason=reason, done=done, cost=estimated)

    def _measure_model(self, config: Mapping[str, Any]) -> tuple[int, Cost | None, EstimatedCost | None, str | None]:
        """Encoder depth, cost per image, the costs that do not depend on training, and why the run cannot work."""
        data = {k: v for k, v in config["data"].items() if k != "seed"}
        shared = {k: v for k, v in config.items() if k not in ("seed", "sweep", "paths")} | {"data": data}
        key = json.dumps([type(config["seed"]).__name__, shared], sort_keys=True)
        if key not in self._models:
            self._models[key] = self._measure(config)
        return self._models[key]

    def _measure(self, config: Mapping[str, Any]) -> tuple[int, Cost | None, EstimatedCost | None, str | None]:
        depth = config["encoder"].get("depth")
        try:
            encoder, method = build_on_meta(config)
        except UserError as error:
            return (depth if isinstance(depth, int) else 0), None, None, str(error)
        disk = stored_bytes(encoder, method, average=bool(config["optim"]["ema"]))
        if method is None:
            trunk = sum(p.numel() for p in encoder.parameters())
            return encoder.depth, None, EstimatedCost(parameters={"encoder": trunk}, disk=disk), None
        size = config["data"]["image_size"]
        model = json.dumps([{key: config[key] for key in _MODEL}, size], sort_keys=True)
        if model not in self._costs:
            try:
                self._costs[model] = measure_step_cost(method, size)
            except UserError as error:
                return encoder.depth, None, None, str(error)
        return encoder.depth, self._costs[model], EstimatedCost(disk=disk), None

    def _estimate_training(
        self, config: Mapping[str, Any], run: PlannedRun, cost: Cost, fixed: EstimatedCost
    ) -> EstimatedCost:
        budget, batch = read_budget(config), config["data"]["batch_size"]
        size, assumption = self._training_size(json.dumps(config["data"]["source"], sort_keys=True), self.images)
        if size is not None and size < batch:
            raise UserError(f"The effective batch of {batch} is larger than the training set of {size} images.")
        pace = self.estimate_pace(config, run, cost.training_flops)
        if budget.seconds is not None:
            steps = int(budget.seconds * pace.images_per_second / batch)
        elif budget.epochs is not None and size is None:
            steps = None
        else:
            steps = budget.total_steps((size or 0) // batch, cost.training_flops * batch)
        images = None if steps is None else steps * batch
        hours = None if images is None else images / pace.images_per_second / 3600
        hours = hours if budget.seconds is None else budget.seconds / 3600
        return EstimatedCost(
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
            gpu_hours=hours if pace.kind == "GPU" or hours is None else 0.0,
            cpu_hours=hours or 0.0 if pace.kind == "CPU" else 0.0,
            data=assumption if budget.epochs is not None else "",
        )


def _training_size(source: str, images: int | None) -> tuple[int | None, str]:
    """Number of training images, and what is assumed about it if the data are not available."""
    arguments = json.loads(source)
    kind = get_class(arguments.pop("_target_"))
    try:
        known = training_size(kind, **arguments)
    except TypeError as error:  # an argument that the source does not have
        raise UserError(f"data.source: {sentence(error)}") from error
    if known is not None:
        return known, ""
    if images is not None:
        return images, f"not available: {images:,} training images given"
    if (published := imagenet_size(kind, **arguments)) is not None:
        there = f"there is no {arguments['root']}"
        return published, f"{there}: {published:,} training images of ImageNet-1k assumed; --images N gives others"
    return None, ""


def _read_statuses(sweep: Path) -> dict[str, RunStatus]:
    return {run.name: run for run in read_sweep(sweep)} if sweep.is_dir() else {}


def _plan_state(status: RunStatus | None) -> tuple[State, str, float]:
    """State in a plan, its reason, and the share of pre-training that is already done."""
    if status is None or status.state in (State.PLANNED, State.REFUSED):
        return State.PLANNED, "", 0.0
    if status.state == State.FINISHED:
        return State.FINISHED, "", 1.0
    resumable = status.state in (State.INTERRUPTED, State.RUNNING, State.QUEUED)
    step, total = status.progress.step, status.progress.total
    done = min(1.0, step / total) if resumable and step and total else 0.0
    return status.state, status.error, done
