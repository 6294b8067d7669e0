"""`mimbench evaluate`: protocols on finished runs, on checkpoints and on imported weights."""

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mimbench.cli.choices import chosen_data, compose, evaluate_keys, is_override
from mimbench.cli.config import config_directory
from mimbench.cli.mistakes import CAUSED_BY_USERS, Mistake, explain


def main(argv: Sequence[str]) -> int:
    """Evaluates everything that is named; 2 for a mistake, 130 for an interruption. What was measured stays."""
    parser = _parser()
    options, words = parser.parse_known_args(list(argv))
    paths = [Path(word) for word in words if not is_override(word)]
    overrides = [word for word in words if is_override(word)]
    if unknown := [word for word in words if word.startswith("--")]:
        return _say(f"There is no option {unknown[0]}. See mimbench evaluate --help.", 2)
    if not paths:
        return _say("Name runs, checkpoints or imported weights. See mimbench evaluate --help.", 2)
    try:
        with _interruptible():
            return _evaluate(paths, overrides, options)
    except Mistake as mistake:
        return _say(str(mistake), 2)
    except CAUSED_BY_USERS as error:
        return _say(explain(error, evaluate_keys(overrides)), 2)
    except KeyboardInterrupt:
        return _say("Interrupted; what was measured is kept, the same command does the rest.", 130)


def _evaluate(paths: list[Path], overrides: list[str], options: argparse.Namespace) -> int:
    config, _ = compose(overrides)
    # Heavy imports wait until they are needed: --help and mistakes answer at once.
    from mimbench.cli.build import protocols_of
    from mimbench.cli.evaluation import Task
    from mimbench.cli.follow import follow
    from mimbench.cli.subjects import Candidate, expand, find

    found = expand(paths)
    try:
        names = [protocol.label for protocol in protocols_of(config)]
    except (ValueError, TypeError) as error:
        raise Mistake(str(error)) from error
    if not names:
        raise Mistake("protocol names nothing to do; see mimbench evaluate --help.")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    task = Task(config, options.again)

    def evaluate(subject: Candidate) -> int:
        return task(subject, chosen_data(subject, overrides))

    if options.every_checkpoint:
        follow(found, evaluate, options.interval)
        return 0
    failed = 0
    for path in found:
        try:
            evaluate(find(path))
        except Mistake as mistake:
            if len(found) == 1:
                raise
            failed += 1
            print(mistake, file=sys.stderr)
    return _say(f"{failed} of {len(found)} could not be evaluated.", 2) if failed else 0


@contextmanager
def _interruptible() -> Iterator[None]:
    """Makes KeyboardInterrupt of the signals that end a process, so that nothing half-written is left behind."""
    usual = {
        number: signal.signal(number, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is signal.SIG_DFL and threading.current_thread() is threading.main_thread()
    }
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def _say(message: str, status: int) -> int:
    print(f"mimbench evaluate: {message}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    folder = config_directory() / "protocol"
    known = ", ".join(sorted(path.stem for path in folder.glob("*.yaml")))
    parser = argparse.ArgumentParser(
        prog="mimbench evaluate",
        usage="mimbench evaluate RUN|CHECKPOINT|IMPORT... [protocol=a,b] [data=NAME] [key=value ...] [options]",
        description=__doc__,
        epilog=f"protocols: {known}. Results go to RUN/evaluation/ and into RUN/record.json; what exists is not "
        "computed again. Other keys: truncate=K and reinitialise=K cut the last K blocks; protocol.linear.epochs=5 "
        "changes a protocol, and its name; trainer.precision=bf16-mixed, paths.cache=DIR.",
        allow_abbrev=False,
    )
    parser.add_argument("--again", action="store_true", help="compute what exists already")
    parser.add_argument(
        "--every-checkpoint", action="store_true", help="follow runs and evaluate each of their checkpoints"
    )
    parser.add_argument(
        "--interval", type=float, default=5.0, metavar="S", help="seconds between looks at a run (default: %(default)s)"
    )
    return parser
