"""Times of the parts of a computation, measured by the clock of the device."""

import time
from itertools import pairwise

import torch


class Stopwatch:
    """Records marks without waiting for the device; only `seconds` waits.

    On a CPU with one thread it measures the processor time of that thread, which other programs hardly change; with
    several threads, wall time.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self.clock = time.process_time if clock(device) == "processor" else time.perf_counter
        self._marks: list[tuple[str, float | torch.cuda.Event]] = []
        self.mark("")

    def mark(self, name: str) -> None:
        """Ends the part `name`, which started at the previous mark."""
        if self.device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self._marks.append((name, event))
        else:
            self._marks.append((name, self.clock()))

    def seconds(self) -> dict[str, float]:
        """The duration of each part, in order."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return {name: _between(a, b) for (_, a), (name, b) in pairwise(self._marks)}


def clock(device: torch.device) -> str:
    """The kind of clock: "gpu", "processor" (processor time) or "wall" (wall time)."""
    if device.type == "cuda":
        return "gpu"
    return "processor" if torch.get_num_threads() == 1 else "wall"


def _between(a: float | torch.cuda.Event, b: float | torch.cuda.Event) -> float:
    if isinstance(a, torch.cuda.Event) and isinstance(b, torch.cuda.Event):
        return a.elapsed_time(b) / 1000
    assert isinstance(a, float)
    assert isinstance(b, float)
    return b - a
