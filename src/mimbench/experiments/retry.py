"""Starts runs of a sweep again with their stored overrides, which are checked before anything is composed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from mimbench.core.errors import UserError
from mimbench.experiments.build import check_parts
from mimbench.experiments.composition.compose import Composer, composer
from mimbench.experiments.config import config_directories, describe, resolve, sweep_directory
from mimbench.experiments.evaluation.existing import use_existing
from mimbench.experiments.launch.slurm import SlurmBackend
from mimbench.experiments.launch.slurm_jobs import HIDDEN
from mimbench.experiments.status import RunStatus
from mimbench.experiments.stored import find_targets, is_allowed

# Launcher options that reach a shell or sbatch as they are.
SHELL_OPTIONS = ("setup", "sbatch")


@dataclass(frozen=True)
class Trust:
    """Which contents of a sweep's files may be used, besides values.

    Attributes:
        setup: Shell lines and sbatch options of the last submission.
        code: Classes and functions outside mimbench that overrides name as `_target_`.
    """

    setup: bool = False
    code: bool = False


def retry(sweep: Path, runs: Sequence[RunStatus], overrides: Sequence[str], trust: Trust) -> None:
    """Starts runs again, each with its stored overrides.

    Args:
        overrides: The launcher and its options. By default the last launcher is used.

    Raises:
        UserError: The sweep's files contain options of Hydra, or shell lines or code that `trust` does not include;
            or the overrides of a run now compose another configuration.
        SweepFailed: Some runs failed again.
    """
    _check_overrides(sweep, runs)
    chosen = any(override.startswith("hydra/launcher=") for override in overrides)
    last = [] if chosen else _last_launcher(runs, overrides, trust)
    with composer([*_common(runs), *last, *overrides]) as hydra:
        jobs = [_overrides(hydra, sweep, run, trust) for run in runs]
        hydra.launcher().launch(jobs, 0)


def _overrides(hydra: Composer, sweep: Path, run: RunStatus, trust: Trust) -> list[str]:
    """A run's overrides, with its directory if they would choose another one."""
    overrides = list(run.overrides)
    config = resolve(hydra.configs([overrides])[0])
    if not trust.code:
        _check_targets(sweep / run.name, config)
    if sweep_directory(config).resolve() != sweep.resolve():
        path = sweep.resolve()
        overrides += [f"paths.runs={_quote(str(path.parent))}", f"sweep={_quote(path.name)}"]
    described = use_existing(config, describe(config, overrides, *check_parts(config)), sweep)
    if described.identity != run.identity:
        raise UserError(
            f"The overrides of {run.name} now compose another run ({described.identity}), since the configuration has "
            "changed. Call the command of the sweep again."
        )
    return overrides


def _common(runs: Sequence[RunStatus]) -> list[str]:
    """The overrides that all runs share, such as an experiment that sets launcher options."""
    return [override for override in runs[0].overrides if all(override in run.overrides for run in runs)]


def _check_overrides(sweep: Path, runs: Sequence[RunStatus]) -> None:
    """Rejects stored overrides of Hydra's own options; mimbench never stores any."""
    for run in runs:
        for override in run.overrides:
            if override.lstrip("+~").startswith(("hydra", "-")):
                raise UserError(
                    f"{sweep / run.name}: the stored override {override!r} sets an option of Hydra, not of the run. "
                    "Start this run with `mimbench run` and overrides of your own."
                )


def _check_targets(run: Path, config: dict[str, Any]) -> None:
    for target in find_targets(config):
        if not is_allowed(target) and target not in _shipped_targets():
            raise UserError(
                f"{run}: the stored overrides name {target}, which is no part of mimbench or of an enabled plugin. Add "
                "--use-stored-code if you trust it, or start this run with `mimbench run`."
            )


def _shipped_targets() -> set[str]:
    """All `_target_` values in the configurations of mimbench and of plugins, including callbacks and trackers."""
    files = (path for conf in config_directories() for path in conf.rglob("*.yaml") if "hydra" not in path.parts)
    return {target for path in files for target in find_targets(yaml.safe_load(path.read_text(encoding="utf-8")))}


def _last_launcher(runs: Iterable[RunStatus], overrides: Sequence[str], trust: Trust) -> list[str]:
    """The launcher options of the last submission, as overrides."""
    options = next((dict(run.launcher) for run in runs if run.launcher is not None), None)
    if options is None:
        return []
    known = {field.name for field in fields(SlurmBackend)}
    if unknown := sorted(options.keys() - known):
        raise UserError(
            f"The sweep's files set hydra.launcher.{unknown[0]}, which does not exist. Choose a launcher with "
            "hydra/launcher=."
        )
    for key in list(options):
        if options[key] and any(own.lstrip("+~").startswith(f"hydra.launcher.{key}") for own in overrides):
            del options[key]  # replaced by the command's own
    if (stored := {key: options[key] for key in SHELL_OPTIONS if options.get(key)}) and not trust.setup:
        shown = " ".join(f"hydra.launcher.{key}={format_override_value(value)}" for key, value in stored.items())
        raise UserError(
            f"The sweep's files contain shell commands or sbatch options: {shown}. Add --use-stored-setup if you trust "
            "them, or give your own."
        )
    for key, value in options.items():
        if HIDDEN in str(value):
            raise UserError(
                f"hydra.launcher.{key} contained a secret, which the sweep's files do not keep. Give the option again: "
                f"hydra.launcher.{key}=..."
            )
    # ++, since mappings may contain additional keys.
    chosen = [f"++hydra.launcher.{key}={format_override_value(value)}" for key, value in options.items()]
    return ["hydra/launcher=slurm", *chosen]


def format_override_value(value: Any) -> str:
    """A value in Hydra's override grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(format_override_value(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_key(key)}:{format_override_value(item)}" for key, item in value.items()) + "}"
    return _quote(value) if isinstance(value, str) else str(value)


def _key(key: Any) -> str:
    if not str(key).replace("-", "_").isidentifier():
        raise UserError(f"The sweep's files have an sbatch option named {key!r}; expected letters, digits, - and _.")
    return str(key)


def _quote(text: str) -> str:
    """The text in quotes, with interpolations escaped."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${")
    return f"'{escaped}'"
