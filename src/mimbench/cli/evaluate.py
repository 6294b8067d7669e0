"""`mimbench evaluate`: runs protocols on finished runs, checkpoints and imported weights."""

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mimbench.core.errors import UserError
from mimbench.experiments.composition.errors import CAUSED_BY_USERS, explain
from mimbench.experiments.config import option_names
from mimbench.experiments.evaluation.config import choose_data, compose_evaluation, evaluation_keys, is_override


def main(argv: Sequence[str]) -> int:
    """Evaluates every given encoder and keeps finished results; exit status 2 for a user error, 130 if interrupted."""
    parser = _parser()
    options, words = parser.parse_known_args(list(argv))
    paths = [Path(word) for word in words if not is_override(word)]
    overrides = [word for word in words if is_override(word)]
    if unknown := [word for word in words if word.startswith("--")]:
        return _say(f"There is no option {unknown[0]}. See mimbench evaluate --help.", 2)
    if not paths:
        return _say("Give runs, checkpoints or imported weights. See mimbench evaluate --help.", 2)
    try:
        with _interruptible():
            return _evaluate(paths, overrides, options)
    except UserError as error:
        return _say(str(error), 2)
    except CAUSED_BY_USERS as error:
        return _say(explain(error, evaluation_keys(overrides)), 2)
    except KeyboardInterrupt:
        return _say("Interrupted; finished results are kept, the same command continues.", 130)


def _evaluate(paths: list[Path], overrides: list[str], options: argparse.Namespace) -> int:
    config, _ = compose_evaluation(overrides)
    # Heavy imports are deferred so that --help and errors are fast.
    from mimbench.experiments.build import build_protocols
    from mimbench.experiments.evaluation.encoder_sources import EncoderSource, expand_paths, find_source
    from mimbench.experiments.evaluation.evaluate import Evaluator
    from mimbench.experiments.evaluation.follow import follow

    found = expand_paths(paths)
    try:
        names = [protocol.label for protocol in build_protocols(config)]
    except (ValueError, TypeError) as error:
        raise UserError(str(error)) from error
    if not names:
        raise UserError("protocol is empty; see mimbench evaluate --help.")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    evaluator = Evaluator(config, options.again)

    def evaluate(source: EncoderSource) -> int:
        return evaluator.evaluate(source, choose_data(source, overrides))

    if options.every_checkpoint:
        follow(found, evaluate, options.interval)
        return 0
    failed = 0
    for path in found:
        try:
            evaluate(find_source(path))
        except UserError as error:
            if len(found) == 1:
                raise
            failed += 1
            print(error, file=sys.stderr)
    return _say(f"{failed} of {len(found)} could not be evaluated.", 2) if failed else 0


@contextmanager
def _interruptible() -> Iterator[None]:
    """Raises KeyboardInterrupt for SIGTERM and SIGHUP, so that no incomplete files are left."""
    previous = {
        number: signal.signal(number, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is signal.SIG_DFL and threading.current_thread() is threading.main_thread()
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _say(message: str, status: int) -> int:
    print(f"mimbench evaluate: {message}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    known = ", ".join(option_names("protocol"))
    parser = argparse.ArgumentParser(
        prog="mimbench evaluate",
        usage="mimbench evaluate RUN|CHECKPOINT|IMPORT... [protocol=a,b] [data=NAME] [key=value ...] [options]",
        description=__doc__,
        epilog=f"protocols: {known}. Writes results to RUN/evaluation/ and RUN/record.json; existing results are not "
        "computed again. Other keys: truncate=K removes the last K blocks, reinitialize=K initializes them anew; "
        "protocol.linear.epochs=5 changes a protocol, and its name; trainer.precision=bf16-mixed, paths.cache=DIR.",
        allow_abbrev=False,
    )
    parser.add_argument("--again", action="store_true", help="compute existing results again")
    parser.add_argument(
        "--every-checkpoint", action="store_true", help="follow runs and evaluate each of their checkpoints"
    )
    parser.add_argument(
        "--interval",
        type=float,
        default=5.0,
        metavar="S",
        help="seconds between two searches for checkpoints (default: %(default)s)",
    )
    return parser
