"""Starts jobs by forking a process that has imported what they need, which spares each some seconds."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from mimbench.sweeps.pool import Job, Process, Start, start_process, without_ranks

PYTHON = (sys.executable, "-u", "-m")  # how the command of a job begins that can be forked
_LONGEST = 1 << 16  # bytes of a message


@contextmanager
def fork_server(warm_up: str, variables: Mapping[str, str]) -> Iterator[Start]:
    """What starts jobs, for `run_jobs`, as long as the context lasts.

    A forked job is one as `start_process` makes it, but for its name in lists of processes. Jobs that are no Python
    modules are started that way, and all jobs are where the server cannot be made or is gone.

    Args:
        warm_up: What the server calls first, as "module:function". It may import anything, but must neither start
            threads nor touch a GPU, which no fork survives.
        variables: Of the environment, for the server. Libraries read some when they are imported, OMP_NUM_THREADS for
            one; these should be those of the jobs.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        server = subprocess.Popen(
            [*PYTHON, "mimbench.sweeps.fork_server", str(theirs.fileno()), warm_up],
            stdin=subprocess.DEVNULL,
            env=without_ranks(os.environ) | dict(variables),
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # it outlives Ctrl-C, to tell how the jobs ended
        )
    try:
        client = _Client(ours)
        client.hear()  # that it is ready
        yield client.start
    finally:
        ours.close()
        server.kill()
        server.wait()


class _Client:
    """This side of the connection.

    Attributes:
        codes: How jobs have ended, by process.
        lost: Whether the server is gone.
    """

    def __init__(self, connection: socket.socket):
        self.connection = connection
        self.codes: dict[int, int] = {}
        self.lost = False

    def start(self, job: Job, variables: Mapping[str, str]) -> Process:
        """See `Start`."""
        request = json.dumps({"words": job.command[len(PYTHON) :], "variables": dict(variables)}).encode()
        if self.lost or tuple(job.command[: len(PYTHON)]) != PYTHON or len(request) > _LONGEST:
            return start_process(job, variables)
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with job.log.open("ab") as log:
            try:
                socket.send_fds(self.connection, [request], [log.fileno()])
            except ConnectionError:
                self.lost = True
        pid = self._started()
        return start_process(job, variables) if pid is None else _Forked(pid, self)

    def _started(self) -> int | None:
        try:
            while not self.lost:
                if (pid := self.hear()) is not None:
                    return pid
        except BaseException:  # nobody would know of the job
            if (pid := self._started()) is not None:
                os.kill(pid, signal.SIGKILL)
            raise
        return None

    def hear(self) -> int | None:
        """Takes in the next message; the process, if it says that one has started."""
        try:
            message = json.loads(self.connection.recv(_LONGEST) or "null")
        except ConnectionError:
            message = None
        if message is None:
            self.lost = True
            return None
        if "ended" in message:
            self.codes[message["ended"]] = message["code"]
        return message.get("started")

    def code(self, pid: int) -> int | None:
        """How a job has ended; None while it goes on. Without a server nobody would know, so that ends it too."""
        while not self.lost and select.select([self.connection], [], [], 0)[0]:
            self.hear()
        if self.lost and pid not in self.codes:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            self.codes[pid] = -signal.SIGKILL
        return self.codes.get(pid)


class _Forked:
    """A forked job, which is the server's child instead of ours."""

    def __init__(self, pid: int, client: _Client):
        self.pid, self._client = pid, client

    def poll(self) -> int | None:
        return self._client.code(self.pid)

    def wait(self, timeout: float | None = None) -> int:
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(0.05)
        return code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, sig)
