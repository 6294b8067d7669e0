"""`mimbench run`: one run, or with -m a sweep of runs."""

import errno
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from omegaconf import DictConfig

from mimbench.core.errors import UserError
from mimbench.experiments.config import check_overrides, config_directory, config_keys, describe, resolve, run_directory
from mimbench.experiments.errors import CAUSED_BY_USERS, explain
from mimbench.experiments.launch.pool import SweepFailed

_NO_ACCESS = (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EEXIST)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main(argv: Sequence[str]) -> int:
    """Runs Hydra with this command's words; see `mimbench.cli.main` for the exit status."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here instead of being printed by Hydra
    call = sys.argv
    raised: list[BaseException] = []  # what a run raises, kept from Hydra, which would print it

    def task(config: DictConfig) -> None:
        sys.argv = call  # Lightning starts further ranks with it
        try:
            _run(config)
        except (UserError, SweepFailed, KeyboardInterrupt) as error:
            raised.append(error)

    application = hydra.main(version_base="1.3", config_path=str(config_directory()), config_name="run")(task)
    try:
        check_overrides(argv)
        with tempfile.TemporaryDirectory() as scratch:  # where Hydra may write; a run writes its own directory
            os.environ["MIMBENCH_SCRATCH"] = scratch
            sys.argv = ["mimbench run", *argv]
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
        return _say("Interrupted; the same command goes on from here.", 130)
    finally:
        sys.argv = call
    return 0


def _run(config: DictConfig) -> None:
    _check_mode(HydraConfig.get().overrides.hydra)
    overrides = list(HydraConfig.get().overrides.task)
    resolved = resolve(config)
    # Heavy imports wait until they are needed: --help and errors answer at once.
    from mimbench.experiments.build import check_parts

    depth, refused = check_parts(resolved)
    if refused:
        raise UserError(refused)
    from mimbench.experiments.existing import use_existing
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
    except OSError as error:
        if error.errno in _NO_ACCESS and error.filename:
            place = "Choose places that can be written with paths.runs and paths.cache."
            raise UserError(f"{error.strerror}: {error.filename}. {place}") from None
        if error.errno not in _NO_ROOM:
            raise
        raise SweepFailed(f"{error}. Make room; the same command goes on from the last checkpoint.") from None


def warm_up() -> None:
    """Imports what every run needs, in a process that runs are forked from."""
    import_module("mimbench.experiments.pipeline")
    Plugins.instance()


def _check_mode(overrides: Sequence[str]) -> None:
    """Nobody means a run on this machine when she names a launcher; only -m heeds one."""
    for word in overrides:
        if word.startswith(("hydra/launcher=", "hydra/sweeper=", "hydra.launcher.", "hydra.sweeper.")):
            raise UserError(f"{word.partition('=')[0]} is heeded by sweeps only, even of one run: add -m.")


def _say(message: str, status: int) -> int:
    print(f"mimbench run: {message}", file=sys.stderr)
    return status
