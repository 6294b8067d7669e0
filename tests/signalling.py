"""Signals that a process gets by itself, at a given place."""

import os
import pkgutil
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

INTERRUPTED = 130  # exit status


class Fault(NamedTuple):
    """A signal, and when it comes.

    Attributes:
        where: A hook of Lightning, or a function as "package.module:name"; the signal comes before its body.
        times: The how manieth call it is.
        group: Whether all processes of the group get it.
        argument: Only calls count whose first argument contains this.
    """

    where: str
    times: int
    signal: int
    rank: int = 0
    group: bool = False
    argument: str = ""

    @property
    def is_hook(self) -> bool:
        return ":" not in self.where

    def send(self, *_: Any) -> None:
        """The signal, now."""
        if self.group:
            os.killpg(os.getpgrp(), self.signal)
        else:
            os.kill(os.getpid(), self.signal)


def plant(faults: Sequence[Fault]) -> None:
    """Wraps functions."""
    for fault in faults:
        module, _, path = fault.where.partition(":")
        *outer, name = path.split(".")
        owner = pkgutil.resolve_name(f"{module}:{'.'.join(outer)}") if outer else pkgutil.resolve_name(module)
        setattr(owner, name, _wrapped(getattr(owner, name), fault))


def _wrapped(function: Callable[..., Any], fault: Fault) -> Callable[..., Any]:
    calls: list[int] = []

    def call(*args: Any, **kwargs: Any) -> Any:
        counts = not fault.argument or fault.argument in str(args[0])
        calls.extend([1] * counts)
        if counts and len(calls) == fault.times:
            fault.send()
        return function(*args, **kwargs)

    return call
