"""Processes that tests may kill: forked from one that has imported everything, which takes a quarter of a second."""

import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

# The fork server does not know pytest's sys.path.
os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["trials", "commands", "mimbench.cli.run", "mimbench.experiments.pipeline"])

Target = Callable[[], Any]


@contextmanager
def started(target: Target, log: Path, environment: Mapping[str, str] | None = None) -> Iterator[ForkServerProcess]:
    """A process that leads a group of its own; it is killed at the end, if it is still there."""
    process = SERVER.Process(target=enter, args=(target, log, dict(environment or {})))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def run(target: Target, log: Path) -> int:
    """Exit status of a process that ends by itself, negative for a signal."""
    with started(target, log) as process:
        return ended(process, log)


def run_ranks(count: int, target: Target, log: Path) -> list[int]:
    """Exit statuses of the ranks of one training, started as a cluster would; rank r logs to `log` with .r added."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    common = {"WORLD_SIZE": str(count), "NODE_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    logs = [log.with_name(f"{log.name}.{rank}") for rank in range(count)]
    with ExitStack() as stack:
        ranks = [
            stack.enter_context(started(target, path, common | {"LOCAL_RANK": str(rank)}))
            for rank, path in enumerate(logs)
        ]
        return [ended(process, path) for process, path in zip(ranks, logs, strict=True)]


def ended(process: ForkServerProcess, log: Path, timeout: float = 90) -> int:
    """Waits for a process; its exit status, negative for a signal."""
    process.join(timeout)
    assert process.exitcode is not None, f"still running after {timeout} s:\n{log.read_text()}"
    return process.exitcode


def wait_for(condition: Callable[[], Any], process: ForkServerProcess, log: Path, timeout: float = 60) -> None:
    """Looks until something has happened in a living process."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert process.is_alive(), f"ended with {process.exitcode}:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"nothing after {timeout} s:\n{log.read_text()}"
        time.sleep(0.002)


def enter(target: Target, log: Path, environment: dict[str, str]) -> None:
    """What the new process does first."""
    os.setsid()
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, closefd=False) for n in (1, 2))
    os.environ.update(environment)
    multiprocessing.set_start_method("fork", force=True)  # as in any other process, for loaders
    target()
