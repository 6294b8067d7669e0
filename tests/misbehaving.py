"""Checks of benchmarks/gpu that go wrong; importable, since they are called in other processes."""

import os
import time
from typing import Any, NoReturn

from benchmarks.gpu.checks import PauseCheck


def crash(_: Any) -> NoReturn:
    os._exit(7)


def hang(_: Any) -> dict[str, Any]:
    time.sleep(600)
    return {}


def pause(setting: Any) -> NoReturn:
    raise PauseCheck(f"within {setting.limit:.0f} s")


def fail(_: Any) -> NoReturn:
    print("what was printed")
    raise ValueError("what is wrong")
