"""Server process that forks jobs: `python -P -u -m mimbench.experiments.launch.fork_server FD MODULE:FUNCTION`."""

import atexit
import gc
import json
import os
import pkgutil
import runpy
import select
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

_MAX_MESSAGE = 1 << 16  # bytes
_POLL_SECONDS = 0.1  # between two checks of the jobs


@dataclass(frozen=True)
class Request:
    """A job.

    Attributes:
        arguments: A module and its arguments, as after `python -m`.
        variables: Environment variables added to those of the server.
        log: Descriptor of the file for its output.
    """

    arguments: list[str]
    variables: dict[str, str]
    log: int


class FastExit:
    """Exit handler that ends the process without tearing down the interpreter.

    In a process with PyTorch and Lightning loaded, the teardown takes 2 to 3 seconds of CPU. It is skipped only after a
    normal end; after an uncaught exception the interpreter ends as usual.

    Attributes:
        status: Exit status; None if the job has not ended normally.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        atexit.register(self)  # before all others, so that it runs after them

    def __call__(self) -> None:
        if self.status is None:
            gc.unfreeze()  # otherwise some libraries report frozen objects as memory leaks
            return
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(self.status)


def main() -> None:
    """Forks a process for every request until the connection is closed; in the forked processes, runs the request."""
    fast_exit = FastExit()
    connection = socket.socket(fileno=int(sys.argv[1]))
    pkgutil.resolve_name(sys.argv[2])()
    gc.collect()
    gc.freeze()  # pages that the collector does not write to stay shared between the processes
    try:
        connection.send(b"{}")
        request = _serve(connection)
    except ConnectionError:
        return
    if request is not None:
        _run_module(request, fast_exit)


def _serve(connection: socket.socket) -> Request | None:
    """Returns the request in a forked process; returns None in the server when the connection is closed."""
    while True:
        for pid, status in _reap():
            connection.send(json.dumps({"ended": pid, "status": status}).encode())
        if not select.select([connection], [], [], _POLL_SECONDS)[0]:
            continue
        data, [*log], _, _ = socket.recv_fds(connection, _MAX_MESSAGE, 1)
        if not data:
            return None
        if (pid := _fork()) == 0:
            connection.close()
            return Request(**json.loads(data), log=log[0])
        os.close(log[0])
        connection.send(json.dumps({"started": pid}).encode())


def _fork() -> int:
    with warnings.catch_warnings():
        # Python 3.12 warns about threads; OpenBLAS starts some when it is imported, but handles forks.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _reap() -> Iterator[tuple[int, int]]:
    """Jobs that have ended and their exit statuses; -N for signal N."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            yield ended[0], os.waitstatus_to_exitcode(ended[1])


def _run_module(request: Request, fast_exit: FastExit) -> None:
    """Runs the module as `python -m` does, in a session of its own and with its output in the log."""
    os.setsid()
    for stream in (1, 2):
        os.dup2(request.log, stream)
    os.close(request.log)
    os.environ.update(request.variables)
    sys.argv = list(request.arguments)
    try:
        runpy.run_module(request.arguments[0], run_name="__main__", alter_sys=True)
        fast_exit.status = 0
    except SystemExit as end:
        if end.code is None or type(end.code) is int:
            fast_exit.status = (end.code or 0) & 0xFF
        raise


if __name__ == "__main__":
    main()
