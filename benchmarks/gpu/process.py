"""Executes a check in a process of its own: a crash, a hang or a broken GPU context does not reach the others."""

import multiprocessing
import os
import signal
import tempfile
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.gpu.checks import Check, PauseCheck, Setting, SkipCheck

_LOG_BYTES = 4000  # the end of a failed check's output
Outcome = dict[str, Any]


def execute(check: Check, setting: Setting, limit: float) -> Outcome:
    """Runs a check for at most `limit` seconds.

    Returns:
        `status`: "passed", "short" (a goal is missed), "skipped", "paused", "failed", "crashed" or "timed out"; and
        `values`, or `error` and the end of the output as `log`.
    """
    # Forked from a server that has imported everything and never touched the GPU.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mimbench.experiments.pipeline", "mimbench.experiments.benchmarks"])
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        process = context.Process(target=_enter, args=(check.run, replace(setting, limit=limit), theirs, log))
        process.start()
        theirs.close()
        try:
            outcome = _receive(ours, limit)
            if outcome is None:
                process.join(5)
                outcome = {"status": "crashed", "error": f"The process ended with status {process.exitcode}."}
        finally:
            assert process.pid is not None
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # also what the check has started
            process.kill()
            process.join()
        if outcome["status"] in ("failed", "crashed", "timed out") and log.exists():
            outcome["log"] = log.read_bytes()[-_LOG_BYTES:].decode(errors="replace")
    return outcome if setting.rehearsal else judge(outcome, check)


def judge(outcome: Outcome, check: Check) -> Outcome:
    """Compares the values with the goals; a missed one makes "passed" to "short".

    Raises:
        KeyError: The values lack one that has a goal.
    """
    if outcome["status"] != "passed":
        return outcome
    values = outcome["values"]
    missed = [key for key, goal in check.goals.items() if values[key] is not None and not goal.met(values[key])]
    return outcome | {"status": "short", "missed": missed} if missed else outcome


def _receive(connection: Connection, limit: float) -> Outcome | None:
    """The message of the process; None if it ended without one."""
    if not connection.poll(limit):
        return {"status": "timed out", "error": f"It was ended after {limit:.0f} s."}
    try:
        return connection.recv()
    except EOFError:
        return None


def _enter(run: Callable[[Setting], Mapping[str, Any]], setting: Setting, connection: Connection, log: Path) -> None:
    os.setsid()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    try:
        outcome: Outcome = {"status": "passed", "values": dict(run(setting))}
    except SkipCheck as reason:
        outcome = {"status": "skipped", "error": str(reason)}
    except PauseCheck as reason:
        outcome = {"status": "paused", "error": str(reason)}
    except BaseException as error:
        traceback.print_exc()
        outcome = {"status": "failed", "error": f"{type(error).__name__}: {error}"[:1000]}
    connection.send(outcome)
