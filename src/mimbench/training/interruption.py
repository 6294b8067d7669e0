"""Signals that ask a run to stop."""

import os
import signal
import threading
from types import FrameType, TracebackType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class InterruptedRun(Exception):
    """A signal asked the run to stop; whatever can be saved is saved."""


class StopSignals:
    """A context in which SIGINT, SIGTERM, SIGUSR1 and SIGUSR2 stop the run instead of ending the process.

    At first they raise at once: a KeyboardInterrupt for SIGINT, `InterruptedRun` for the others. After `hold` they are
    remembered, for whoever knows a good moment; only a second SIGINT still raises. A remembered signal that nobody has
    acted on raises at the end. The former handlers come back, so that such contexts can be nested.

    Attributes:
        received: The last one, or None.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._held = False
        self._process = os.getpid()
        self._former: dict[int, object] = {}

    def hold(self) -> None:
        """From now on signals are remembered. Takes the handlers over again, should Lightning have changed them."""
        self._held = True
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
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]  # whatever getsignal gave
        if isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__  # Lightning makes an exit of Ctrl-C
        if error is None and self._held and self.received is not None:
            raise self.stopped("after the last step")

    def stopped(self, when: str) -> InterruptedRun:
        """What to raise."""
        name = self.received.name if self.received is not None else "a signal to another process"
        return InterruptedRun(f"Stopped by {name} {when}; the same command goes on from there.")

    def _install(self) -> None:
        for number in self._former:
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return  # a process forked from this one, which will tell it when to end
        again, self.received = self.received is not None, signal.Signals(number)
        if number == signal.SIGINT and (again or not self._held):
            raise KeyboardInterrupt
        if not self._held:
            raise self.stopped("outside training")
