"""The lock of a run, which lets one process at a time work on it and shows others whether one does."""

import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mimbench.core.errors import UserError
from mimbench.core.files import write_atomic
from mimbench.core.json_files import check_type, read_json
from mimbench.runs.directory import HOLDER, LOCK, PROGRESS, RECORD

_MAX_BYTES = 1 << 16  # of a holder file
_PATIENCE = 15.0  # seconds to wait until the loader processes of a killed run have ended
SILENCE = 600.0  # seconds without a sign of life after which a run on another host counts as dead


@dataclass(frozen=True)
class Holder:
    """The process that works on a run.

    Attributes:
        since: ISO 8601 time.
    """

    host: str
    pid: int
    since: str

    @property
    def dead(self) -> bool:
        """Whether the process is known to have ended; False for processes of other hosts."""
        if self.host != platform.node():
            return False
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError):
            return True
        except PermissionError:
            return False
        return False


def holder(directory: Path) -> Holder | None:
    """The process that works on a run, or that was killed while it did; None if the last one ended normally."""
    try:
        values = read_json(directory / HOLDER, _MAX_BYTES)
        for key, kind in (("host", str), ("pid", int), ("since", str)):
            check_type(key, values.get(key), kind)
        return Holder(values["host"], values["pid"], values["since"])
    except (OSError, ValueError):
        return None


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Holds the lock of a run while the context lasts.

    The operating system releases the lock of a process that dies, on NFS too, so a requeued run can continue on another
    host. On file systems without locks (Lustre without `flock`), filelock uses the existence of the file instead.

    Raises:
        UserError: Another process holds the lock; the message names it.
    """
    lock = FileLock(directory / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        other = holder(directory)
        try:  # loader processes of a killed process keep its lock for some seconds
            lock.acquire(timeout=_PATIENCE if other is not None and other.dead else 1.0)
        except Timeout:
            raise UserError(_busy(directory, holder(directory))) from None
    try:
        write_atomic(directory / HOLDER, json.dumps(asdict(_myself())))
        yield
    finally:
        (directory / HOLDER).unlink(missing_ok=True)
        lock.release()


def is_alive(run: Path) -> bool:
    """Whether a process works on a run.

    It does if it holds the lock. Locks of other hosts cannot be seen on every file system; a process there counts as
    alive while its last sign of life (record or progress file) is younger than `SILENCE`.
    """
    if _is_locked(run / LOCK):
        return True
    if _host(run) in (None, platform.node()):
        return False
    signs = [path.stat().st_mtime for name in (PROGRESS, RECORD) if (path := run / name).is_file()]
    return bool(signs) and time.time() - max(signs) < SILENCE


def _host(run: Path) -> str | None:
    """The host that last worked on a run; None if its files do not say."""
    if (last := holder(run)) is not None:
        return last.host
    for name, keys in ((PROGRESS, ("host",)), (RECORD, ("environment", "host"))):
        try:
            value: Any = read_json(run / name)
            for key in keys:
                value = value[key]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if isinstance(value, str):
            return value
    return None


def _is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # released when the file is closed
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _myself() -> Holder:
    return Holder(platform.node(), os.getpid(), datetime.now(UTC).isoformat(timespec="seconds"))


def _busy(directory: Path, other: Holder | None) -> str:
    who = "" if other is None else f" (process {other.pid} on {other.host}, since {other.since})"
    return f"Another process{who} is working on {directory}; wait for it or stop it."
