"""Signals that stop a run."""

import os
import signal
import threading
from types import FrameType, TracebackType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class InterruptedRun(Exception):
    """A signal stopped the run; everything that can be resumed has been saved."""


class StopSignals:
    """A context in which SIGINT, SIGTERM, SIGUSR1 and SIGUSR2 stop the run instead of ending the process.

    At first, signals raise immediately: KeyboardInterrupt for SIGINT, `InterruptedRun` for the others. After `defer`,
    they are only recorded, so that the run can stop after a whole step; a second SIGINT still raises. If a recorded
    signal has not been handled by the end of the context, it raises there. The previous handlers are restored at the
    end, so contexts can be nested.

    Attributes:
        received: The last signal, or None.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._deferred = False
        self._process = os.getpid()
        self._former: dict[int, object] = {}

    def defer(self) -> None:
        """Records signals from now on instead of raising; reinstalls the handlers if Lightning replaced them."""
        self._deferred = True
        self._install()

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            self._former = {number: signal.getsignal(number) for number in STOPPING}
        self._install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]  # as returned by getsignal
        if isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__  # Lightning converts Ctrl-C to SystemExit
        if error is None and self._deferred and self.received is not None:
            raise self.error("after the last step")

    def error(self, when: str) -> InterruptedRun:
        """The exception to raise; `when` completes the sentence "Stopped by SIGTERM"."""
        name = self.received.name if self.received is not None else "a signal to another process"
        return InterruptedRun(f"Stopped by {name} {when}; the same command resumes from there.")

    def _install(self) -> None:
        for number in self._former:
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return  # in a forked process, such as a data worker, which the main process stops
        again, self.received = self.received is not None, signal.Signals(number)
        if number == signal.SIGINT and (again or not self._deferred):
            raise KeyboardInterrupt
        if not self._deferred:
            raise self.error("outside training")
