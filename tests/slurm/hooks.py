"""Callbacks for jobs that something is to happen to; they change no result."""

import time
from pathlib import Path
from typing import Any

import lightning as L


class Pause(L.Callback):
    """Makes every batch last a second, without computing, until a file is there."""

    def __init__(self, until: str):
        self.until = Path(until)

    def on_train_batch_end(self, *_: Any) -> None:
        if not self.until.exists():
            time.sleep(1)


class FailOnce(L.Callback):
    """Breaks a run, unless a file is there, which it leaves behind."""

    def __init__(self, mark: str):
        self.mark = Path(mark)

    def on_train_batch_end(self, *_: Any) -> None:
        if not self.mark.exists():
            self.mark.touch()
            raise RuntimeError("broken on purpose")
