"""Starts jobs by forking a process that has already imported what they need; the imports take seconds per job.

`multiprocessing`'s fork server would also start jobs in 0.03 s, but it runs the calling script again in every job,
stops with the sweep's process group, skips exit handlers (`atexit`), and cannot be closed through its public interface.
"""

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

from mimbench.experiments.launch.pool import Job, Process, Start, drop_rank_variables, start_process

# First words of a command that can be forked. -P: no module is imported from the working directory.
PYTHON = (sys.executable, "-P", "-u", "-m")
_MAX_MESSAGE = 1 << 16  # bytes


@contextmanager
def fork_server(warm_up: str, variables: Mapping[str, str]) -> Iterator[Start]:
    """Yields a function that starts jobs, for `run_jobs`; the server ends with the context.

    A forked job behaves like one of `start_process`, except for its name in process lists. Commands that do not run a
    Python module are started by `start_process`, and so are all jobs if the server fails.

    Args:
        warm_up: The function that the server calls first, as "module:function". It may import anything, but must not
            start threads or use a GPU: neither works after a fork.
        variables: Environment variables of the server. Libraries read some at import, such as OMP_NUM_THREADS; pass
            the values of the jobs.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        server = subprocess.Popen(
            [*PYTHON, "mimbench.experiments.launch.fork_server", str(theirs.fileno()), warm_up],
            stdin=subprocess.DEVNULL,
            env=drop_rank_variables(os.environ) | dict(variables),
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # Ctrl-C does not reach it, so it can report how the jobs ended
        )
    try:
        client = _Client(ours)
        client.receive()  # the server is ready
        yield client.start
    finally:
        ours.close()
        server.kill()
        server.wait()


class _Client:
    """Client side of the connection.

    Attributes:
        statuses: Exit statuses of ended jobs by process ID.
        lost: Whether the server has ended.
    """

    def __init__(self, connection: socket.socket):
        self.connection = connection
        self.statuses: dict[int, int] = {}
        self.lost = False

    def start(self, job: Job, variables: Mapping[str, str]) -> Process:
        """See `Start`."""
        request = json.dumps({"arguments": job.command[len(PYTHON) :], "variables": dict(variables)}).encode()
        if self.lost or tuple(job.command[: len(PYTHON)]) != PYTHON or len(request) > _MAX_MESSAGE:
            return start_process(job, variables)
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with job.log.open("ab") as log:
            try:
                socket.send_fds(self.connection, [request], [log.fileno()])
            except ConnectionError:
                self.lost = True
        pid = self._receive_pid()
        return start_process(job, variables) if pid is None else _ForkedProcess(pid, self)

    def _receive_pid(self) -> int | None:
        """Process ID of the job that was requested last; None if the server has ended."""
        try:
            while not self.lost:
                if (pid := self.receive()) is not None:
                    return pid
        except BaseException:  # the caller will not know this job and cannot stop it
            if (pid := self._receive_pid()) is not None:
                os.kill(pid, signal.SIGKILL)
            raise
        return None

    def receive(self) -> int | None:
        """Waits for the next message; returns the process ID if it reports a start."""
        try:
            message = json.loads(self.connection.recv(_MAX_MESSAGE) or "null")
        except ConnectionError:
            message = None
        if message is None:
            self.lost = True
            return None
        if "ended" in message:
            self.statuses[message["ended"]] = message["status"]
        return message.get("started")

    def status(self, pid: int) -> int | None:
        """Exit status of a job; None while it runs. Without a server it cannot be known: the job is then killed."""
        while not self.lost and select.select([self.connection], [], [], 0)[0]:
            self.receive()
        if self.lost and pid not in self.statuses:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            self.statuses[pid] = -signal.SIGKILL
        return self.statuses.get(pid)


class _ForkedProcess:
    """A forked job; the server, not this process, is its parent."""

    def __init__(self, pid: int, client: _Client):
        self.pid, self._client = pid, client

    def poll(self) -> int | None:
        return self._client.status(self.pid)

    def wait(self, timeout: float | None = None) -> int:
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(0.05)
        return status

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, sig)
