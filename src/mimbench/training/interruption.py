"""Signals that ask a run to stop."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class InterruptedRun(Exception):
    """A signal asked the run to stop; its state is saved."""


class StopSignals:
    """Remembers SIGINT and SIGTERM instead of obeying at once; a second SIGINT raises KeyboardInterrupt.

    Attributes:
        received: Whether there was one.
    """

    def __init__(self) -> None:
        self.received = False
        self._process = os.getpid()

    def install(self) -> None:
        """Takes over the handlers, also from Lightning; `handlers_kept` gives them back."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        # Loader processes inherit this handler. They outlive a first signal to the whole group, so that the run can
        # finish its step; a second one ends them.
        if self.received and (number == signal.SIGINT or os.getpid() != self._process):
            raise KeyboardInterrupt
        self.received = True


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Gives the handlers back in the end, and leaves Ctrl-C a KeyboardInterrupt, of which Lightning makes an exit."""
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except SystemExit as end:
        raise end.__context__ if isinstance(end.__context__, KeyboardInterrupt) else end from None
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in former.items():
                signal.signal(number, handler)
