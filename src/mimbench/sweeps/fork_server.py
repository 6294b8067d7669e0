"""The process that jobs are forked from: `python -u -m mimbench.sweeps.fork_server DESCRIPTOR MODULE:FUNCTION`."""

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

_LONGEST = 1 << 16
_PATIENCE = 0.1  # seconds between two looks at the jobs


@dataclass(frozen=True)
class Request:
    """A job.

    Attributes:
        words: A module and its arguments, as after `python -m`.
        variables: Of the environment, beside the server's own.
        log: Descriptor of the file its output goes to.
    """

    words: list[str]
    variables: dict[str, str]
    log: int


def main() -> None:
    """Forks for requests until the other side hangs up; returns in the forked processes too, when they are done."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    pkgutil.resolve_name(sys.argv[2])()
    gc.collect()
    gc.freeze()  # what the collector does not touch stays shared memory
    atexit.register(gc.unfreeze)  # or what is then left would look to libraries like leaks of memory
    try:
        connection.send(b"{}")
        request = _serve(connection)
    except ConnectionError:
        return
    if request is not None:
        _become(request)


def _serve(connection: socket.socket) -> Request | None:
    """Returns in a forked process what it is to do; None in the server, once nobody listens."""
    while True:
        for pid, code in _ended():
            connection.send(json.dumps({"ended": pid, "code": code}).encode())
        if not select.select([connection], [], [], _PATIENCE)[0]:
            continue
        data, [*log], _, _ = socket.recv_fds(connection, _LONGEST, 1)
        if not data:
            return None
        if (pid := _fork()) == 0:
            connection.close()
            return Request(**json.loads(data), log=log[0])
        os.close(log[0])
        connection.send(json.dumps({"started": pid}).encode())


def _fork() -> int:
    with warnings.catch_warnings():
        # Python 3.12 warns of threads; OpenBLAS starts some at its import, but is prepared for forks.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _ended() -> Iterator[tuple[int, int]]:
    """The jobs that have ended and how, a negative code for a signal."""
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            yield found[0], os.waitstatus_to_exitcode(found[1])


def _become(request: Request) -> None:
    """Runs the module as the interpreter would have, in a session and with a log of its own."""
    os.setsid()
    for stream in (1, 2):
        os.dup2(request.log, stream)
    os.close(request.log)
    os.environ.update(request.variables)
    sys.argv = list(request.words)
    runpy.run_module(request.words[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
