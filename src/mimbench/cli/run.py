"""`mimbench run`: one run, or with -m a sweep of runs."""

import errno
import logging
import os
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from importlib import import_module

import hydra
import yaml
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from omegaconf import DictConfig

from mimbench.core.errors import UserError
from mimbench.experiments.composition.errors import CAUSED_BY_USERS, explain
from mimbench.experiments.composition.hints import similar
from mimbench.experiments.composition.options import addition, describe_group, options, public_groups
from mimbench.experiments.composition.overrides import prepare
from mimbench.experiments.config import compose_run, config_directory, config_keys, describe, resolve, run_directory
from mimbench.experiments.launch.pool import SweepFailed

_NO_ACCESS = (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EEXIST)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main(argv: Sequence[str]) -> int:
    """Runs Hydra with the arguments of the command; see `mimbench.cli.main` for the exit status."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises errors instead of printing them
    call = sys.argv
    raised: list[BaseException] = []  # errors of the run; Hydra would print them

    def task(config: DictConfig) -> None:
        sys.argv = call  # Lightning starts further ranks with this command line
        try:
            _run(config)
        except (UserError, SweepFailed, KeyboardInterrupt) as error:
            raised.append(error)

    application = hydra.main(version_base="1.3", config_path=str(config_directory()), config_name="run")(task)
    try:
        if "-h" in argv or "--help" in argv:
            return _help([word for word in argv if not word.startswith("-")])
        given, overrides = _split(argv)
        words = [*given, *prepare(overrides)]
        _check_flags(words)
        with tempfile.TemporaryDirectory() as scratch:  # Hydra's output; a run writes its own directory
            os.environ["MIMBENCH_SCRATCH"] = scratch
            sys.argv = ["mimbench run", *words]
            application()
        if raised:
            raise raised[0]
    except UserError as error:
        return _say(str(error), 2)
    except CAUSED_BY_USERS as error:
        return _say(explain(error, config_keys(argv)), 2)
    except SweepFailed as failure:
        return _say(str(failure), 1)
    except KeyboardInterrupt:
        return _say("Interrupted; the same command continues.", 130)
    finally:
        sys.argv = call
    return 0


def _help(overrides: Sequence[str]) -> int:
    """Prints the config groups with their options, and the configuration that the overrides choose."""
    rows = []
    for group in public_groups():
        names = textwrap.fill(", ".join(options(group)), 100, initial_indent="    ", subsequent_indent="    ")
        rows.append(f"  {addition(group)}{group}: {describe_group(group)}\n{names}\n")
    print(
        "usage: mimbench run [-m] [GROUP=OPTION ...] [KEY=VALUE ...]\n\n"
        "Pre-trains one method on one dataset and evaluates it; with -m, a sweep over all lists (seed=0,1,2).\n\n"
        "== Configuration groups ==\nGROUP=OPTION chooses a file; `mimbench list` says what the options are.\n\n"
        + "\n".join(rows)
        + "\n== Config ==\nKEY=VALUE overrides a value (optim.base_lr=1e-3)\n\n"
        + yaml.safe_dump(compose_run(prepare(overrides)), sort_keys=False)
    )
    return 0


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Options with their values, such as -m and --cfg job, and overrides, which Hydra wants together."""
    actions = {flag: action for action in get_args_parser()._actions for flag in action.option_strings}
    options: list[str] = []
    overrides: list[str] = []
    takes_value = False
    for word in words:
        (options if takes_value or word.startswith("-") else overrides).append(word)
        takes_value = not takes_value and word in actions and actions[word].nargs != 0
    return options, overrides


def _check_flags(words: Sequence[str]) -> None:
    """Rejects options that neither mimbench nor Hydra has, such as --epochs."""
    known = [flag for action in get_args_parser()._actions for flag in action.option_strings]
    for word in words:
        flag, _, value = word.partition("=")
        if flag.startswith("--") and not any(option.startswith(flag) for option in known):
            key = flag.lstrip("-").replace("-", "_")
            keys = config_keys([])
            hint = f" Write {key}={value or 'VALUE'}." if not keys.is_unknown(key) else similar(key, keys.names)
            raise UserError(f"There is no option {flag}; values are given as KEY=VALUE.{hint}")


def _run(config: DictConfig) -> None:
    _check_mode(HydraConfig.get().overrides.hydra)
    overrides = list(HydraConfig.get().overrides.task)
    resolved = resolve(config)
    # Heavy imports are deferred so that --help and errors are fast.
    from mimbench.experiments.build import check_parts

    depth, refused = check_parts(resolved)
    if refused:
        raise UserError(refused)
    from torch import OutOfMemoryError

    from mimbench.experiments.evaluation.existing import use_existing
    from mimbench.experiments.out_of_memory import explain_out_of_memory
    from mimbench.experiments.pipeline import execute
    from mimbench.training import InterruptedRun, NonFiniteLossError, StopSignals

    run = use_existing(resolved, describe(resolved, overrides, depth))
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    try:
        with StopSignals():
            execute(resolved, run, run_directory(resolved, run))
    except InterruptedRun as interruption:
        print(interruption, file=sys.stderr)
        raise KeyboardInterrupt from None
    except NonFiniteLossError as error:
        raise SweepFailed(str(error)) from None
    except OutOfMemoryError:
        raise UserError(explain_out_of_memory(resolved)) from None
    except OSError as error:
        if error.errno in _NO_ACCESS and error.filename:
            advice = "Choose writable folders with paths.runs and paths.cache."
            raise UserError(f"{error.strerror}: {error.filename}. {advice}") from None
        if error.errno not in _NO_ROOM:
            raise
        raise SweepFailed(f"{error}. Free disk space; the same command continues from the last checkpoint.") from None


def warm_up() -> None:
    """Imports the modules that every run needs, in the process that runs are forked from."""
    import_module("mimbench.experiments.pipeline")
    Plugins.instance()


def _check_mode(overrides: Sequence[str]) -> None:
    """Rejects launcher and sweeper overrides given without -m."""
    for word in overrides:
        if word.startswith(("hydra/launcher=", "hydra/sweeper=", "hydra.launcher.", "hydra.sweeper.")):
            raise UserError(f"{word.partition('=')[0]} applies to sweeps only; add -m, also for a single run.")


def _say(message: str, status: int) -> int:
    print(f"mimbench run: {message}", file=sys.stderr)
    return status
