"""Composes the configurations of a sweep's runs with Hydra, without running any."""

import copy
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import hydra
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

from mimbench.core.errors import UserError
from mimbench.experiments.composition.errors import CAUSED_BY_USERS, explain
from mimbench.experiments.composition.overrides import prepare
from mimbench.experiments.config import config_directories, config_directory, config_keys


def run_command(command: str, overrides: Sequence[str], action: Callable[[], int]) -> int:
    """Runs a command and returns its exit status; errors that users can correct are printed as one line.

    Args:
        overrides: The command's overrides of `mimbench run`, for hints.
    """
    try:
        return action()
    except UserError as error:
        message = str(error)
    except CAUSED_BY_USERS as error:
        message = explain(error, config_keys(overrides))
    print(f"mimbench {command}: {message}", file=sys.stderr)
    return 2


class Composer:
    """Hydra with the overrides of a sweep; made by `composer`."""

    def __init__(self, engine: Hydra, overrides: Sequence[str]):
        self.loader = engine.config_loader
        self.engine = engine
        self.master = engine.compose_config(
            config_name="run", overrides=list(overrides), run_mode=RunMode.MULTIRUN, with_log_configuration=False
        )

    def launcher(self) -> Launcher:
        """The launcher chosen by the overrides."""
        return Plugins.instance().instantiate_launcher(
            hydra_context=self._context(), task_function=_do_nothing, config=self.master
        )

    def jobs(self) -> list[list[str]]:
        """The overrides of every job, in the order of the sweeper."""
        sweeper: Any = Plugins.instance().instantiate_sweeper(
            config=self.master, hydra_context=self._context(), task_function=_do_nothing
        )
        sweeper.launcher = collector = _Collector()
        sweeper.validate_batch_is_legal = lambda batch: None  # `configs` composes every job
        sweeper.sweep(arguments=list(self.master.hydra.overrides.task))
        return collector.jobs

    def configs(self, jobs: Sequence[Sequence[str]]) -> list[DictConfig]:
        """The configuration of every job.

        Hydra composes once per choice of files; scalar values are set afterwards, as Hydra does. Composing every job
        separately takes 0.1 s per job, nearly all of it for choosing files: 80 configurations take 6.7 s of CPU instead
        of 1.1 s.
        """
        parser = OverridesParser.create(config_loader=self.loader)
        bases: dict[tuple[str, ...], DictConfig] = {}
        configs: list[DictConfig] = []
        for job in jobs:
            parsed = parser.parse_overrides(list(job))
            values = [override for override in parsed if self._is_value(override)]
            choices = tuple(str(o.input_line) for o in parsed if o not in values)
            if choices not in bases:
                base = self.loader.load_sweep_config(self.master, list(choices))
                bases[choices] = OmegaConf.create({key: node for key, node in base.items_ex(False) if key != "hydra"})
                OmegaConf.set_struct(bases[choices], True)
            config = copy.deepcopy(bases[choices])
            try:
                for override in values:
                    OmegaConf.update(config, override.key_or_group, override.value())
            except CAUSED_BY_USERS:
                self.loader.load_sweep_config(self.master, list(job))  # raises Hydra's error for this override
                raise
            configs.append(config)
        return configs

    def _is_value(self, override: Override) -> bool:
        """Whether an override only changes one existing scalar."""
        plain = override.type.name == "CHANGE" and override.package is None
        scalar = isinstance(value := override.value(), str | int | float) and "${" not in str(value)
        return plain and scalar and not override.is_hydra_override() and not self._is_group(override.key_or_group)

    def _is_group(self, key: str) -> bool:
        return any((directory / key).is_dir() for directory in config_directories())

    def _context(self) -> HydraContext:
        from hydra._internal.callbacks import Callbacks

        return HydraContext(config_loader=self.loader, callbacks=Callbacks())


@contextmanager
def composer(overrides: Sequence[str]) -> Iterator[Composer]:
    """Yields a `Composer` for overrides of `mimbench run`.

    Raises:
        UserError: An override is a flag, or chooses a sweeper whose runs depend on earlier results.
    """
    if flags := [override for override in overrides if override.startswith("-")]:
        raise UserError(f"There is no option {flags[0]}; expected overrides as for mimbench run.")
    sweepers = [override for override in overrides if override.startswith("hydra/sweeper=")]
    if searches := [override for override in sweepers if override != "hydra/sweeper=basic"]:
        raise UserError(
            f"{searches[0]} chooses runs by earlier results; only a grid is known in advance. Leave it out."
        )
    overrides = prepare(overrides)
    os.environ["HYDRA_FULL_ERROR"] = "1"
    GlobalHydra.instance().clear()
    with tempfile.TemporaryDirectory() as scratch:  # Hydra writes here
        os.environ["MIMBENCH_SCRATCH"] = scratch
        with hydra.initialize_config_dir(str(config_directory()), job_name="run", version_base="1.3"):
            engine = GlobalHydra.instance().hydra
            assert engine is not None
            yield Composer(engine, overrides)


class _Collector(Launcher):
    """A launcher that keeps the jobs and runs none."""

    def __init__(self) -> None:
        self.jobs: list[list[str]] = []

    def setup(self, **_: Any) -> None:
        """Does nothing."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        self.jobs += [list(overrides) for overrides in job_overrides]
        return []


def _do_nothing(config: DictConfig) -> None:
    """The task function of jobs that are composed only."""
