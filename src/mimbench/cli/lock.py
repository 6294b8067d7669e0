"""At most one process works on a run."""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from mimbench.cli.mistakes import Mistake
from mimbench.reporting.files import write_whole

_LOCK, _HOLDER = ".lock", ".holder.json"
_PATIENCE = 15.0  # seconds until the loader processes of a killed run have noticed


@dataclass(frozen=True)
class Holder:
    """Who works on a run.

    Attributes:
        since: ISO time.
    """

    host: str
    pid: int
    since: str

    @property
    def dead(self) -> bool:
        """Whether it is known to be gone; of other machines nothing is known."""
        if self.host != platform.node():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False


def holder(directory: Path) -> Holder | None:
    """Who works on a run's directory, or has died doing so; None if all have left in order."""
    try:
        return Holder(**json.loads((directory / _HOLDER).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Holds a run's directory.

    The operating system releases the lock of a process that dies, on NFS too, so a requeued run can go on on another
    machine. Where a file system has no locks (Lustre without `flock`), a file stands for one; see filelock.

    Raises:
        Mistake: Somebody else holds it; the message says who.
    """
    lock = FileLock(directory / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        other = holder(directory)
        try:  # a process that is gone may have left loader processes, which keep its lock for some seconds
            lock.acquire(timeout=_PATIENCE if other is not None and other.dead else 1.0)
        except Timeout:
            raise Mistake(_busy(directory, holder(directory))) from None
    try:
        write_whole(directory / _HOLDER, json.dumps(asdict(_myself())))
        yield
    finally:
        (directory / _HOLDER).unlink(missing_ok=True)
        lock.release()


def _myself() -> Holder:
    return Holder(platform.node(), os.getpid(), datetime.now(UTC).isoformat(timespec="seconds"))


def _busy(directory: Path, other: Holder | None) -> str:
    who = "" if other is None else f" (process {other.pid} on {other.host}, since {other.since})"
    return f"Another process{who} is working on {directory}; wait for it or stop it."
