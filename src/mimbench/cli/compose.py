"""The runs of a sweep as Hydra composes them, without running any."""

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

from mimbench.cli.config import check_words, config_directory, config_keys
from mimbench.cli.mistakes import CAUSED_BY_USERS, Mistake, explain


def answer(command: str, words: Sequence[str], action: Callable[[], int]) -> int:
    """The exit status of a command; what the user can put right is told in one line.

    Args:
        words: Those of a sweep that the command was given, for hints.
    """
    try:
        return action()
    except Mistake as mistake:
        message = str(mistake)
    except CAUSED_BY_USERS as error:
        message = explain(error, config_keys(words))
    print(f"mimbench {command}: {message}", file=sys.stderr)
    return 2


class Composer:
    """Hydra, for the time of a `with`, with the words of a sweep; use `composer(words)`."""

    def __init__(self, engine: Hydra, words: Sequence[str]):
        self.loader = engine.config_loader
        self.engine = engine
        self.master = engine.compose_config(
            config_name="run", overrides=list(words), run_mode=RunMode.MULTIRUN, with_log_configuration=False
        )

    def launcher(self) -> Launcher:
        """The launcher that the words choose."""
        return Plugins.instance().instantiate_launcher(
            hydra_context=self._context(), task_function=_nothing, config=self.master
        )

    def jobs(self) -> list[list[str]]:
        """The words of every job, as the sweeper makes them."""
        sweeper: Any = Plugins.instance().instantiate_sweeper(
            config=self.master, hydra_context=self._context(), task_function=_nothing
        )
        sweeper.launcher = collector = _Collector()
        sweeper.validate_batch_is_legal = lambda batch: None  # `configs` composes every job
        sweeper.sweep(arguments=list(self.master.hydra.overrides.task))
        return collector.jobs

    def configs(self, jobs: Sequence[Sequence[str]]) -> list[DictConfig]:
        """The configuration of every job.

        Hydra takes a tenth of a second for each, nearly all of it to choose files. So it is asked once per choice of
        files, and plain values are put in afterwards, as it does itself.
        """
        parser = OverridesParser.create(config_loader=self.loader)
        bases: dict[tuple[str, ...], DictConfig] = {}
        configs: list[DictConfig] = []
        for job in jobs:
            parsed = parser.parse_overrides(list(job))
            values = [override for override in parsed if self._is_value(override)]
            choices = tuple(str(o.input_line) for o in parsed if o not in values)
            if choices not in bases:
                whole = self.loader.load_sweep_config(self.master, list(choices))
                bases[choices] = OmegaConf.create({key: node for key, node in whole.items_ex(False) if key != "hydra"})
                OmegaConf.set_struct(bases[choices], True)
            config = copy.deepcopy(bases[choices])
            try:
                for override in values:
                    OmegaConf.update(config, override.key_or_group, override.value())
            except CAUSED_BY_USERS:
                self.loader.load_sweep_config(self.master, list(job))  # says it as Hydra does
                raise
            configs.append(config)
        return configs

    def _is_value(self, override: Override) -> bool:
        """Whether an override sets one existing value and chooses nothing."""
        plain = override.type.name == "CHANGE" and override.package is None
        scalar = isinstance(value := override.value(), str | int | float) and "${" not in str(value)
        return plain and scalar and not override.is_hydra_override() and not self._is_group(override.key_or_group)

    def _is_group(self, key: str) -> bool:
        return (config_directory() / key).is_dir()

    def _context(self) -> HydraContext:
        from hydra._internal.callbacks import Callbacks

        return HydraContext(config_loader=self.loader, callbacks=Callbacks())


@contextmanager
def composer(words: Sequence[str]) -> Iterator[Composer]:
    """Composes with the command-line words of `mimbench run`, without its flags.

    Raises:
        Mistake: A word is a flag that only a run understands, or chooses a sweeper that goes from result to result.
    """
    if flags := [word for word in words if word.startswith("-")]:
        raise Mistake(f"There is no option {flags[0]}; everything else is written as for mimbench run.")
    if searches := [word for word in words if word.startswith("hydra/sweeper=") and word != "hydra/sweeper=basic"]:
        raise Mistake(f"{searches[0]} goes from result to result; only a grid is known before it runs.")
    check_words(words)
    os.environ["HYDRA_FULL_ERROR"] = "1"
    GlobalHydra.instance().clear()
    with tempfile.TemporaryDirectory() as scratch:  # where Hydra notes the sweep
        os.environ["MIMBENCH_SCRATCH"] = scratch
        with hydra.initialize_config_dir(str(config_directory()), job_name="run", version_base="1.3"):
            engine = GlobalHydra.instance().hydra
            assert engine is not None
            yield Composer(engine, words)


class _Collector(Launcher):
    """Takes the jobs and does nothing."""

    def __init__(self) -> None:
        self.jobs: list[list[str]] = []

    def setup(self, **_: Any) -> None:
        """Nothing to set up."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        self.jobs += [list(words) for words in job_overrides]
        return []


def _nothing(config: DictConfig) -> None:
    """What is done with a job here."""
