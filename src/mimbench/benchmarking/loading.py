"""Comparison of the data loader with the training step."""

import statistics
import time
from collections.abc import Iterator
from typing import Any

from mimbench.benchmarking.interleave import measure_interleaved
from mimbench.benchmarking.step import MethodStep
from mimbench.data import ImageDataModule

_INPUT_BOUND = 0.1  # a larger share of waiting time is called input-bound


class TimedLoader:
    """Each call loads some batches and returns the seconds of wall time per batch."""

    def __init__(self, data: ImageDataModule, batches: int = 4):
        self.data, self.batches = data, batches
        self._iterator = self._endless()

    def _endless(self) -> Iterator[Any]:
        epoch = 0
        while True:
            loader = self.data.train_dataloader()
            loader.sampler.set_epoch(epoch)
            yield from loader
            epoch += 1

    def __call__(self) -> float:
        for _ in range(2 * self.data.num_workers):  # batches that workers have prepared since the last call
            next(self._iterator)
        begin = time.perf_counter()
        for _ in range(self.batches):
            next(self._iterator)
        return (time.perf_counter() - begin) / self.batches


def compare_loading(data: ImageDataModule, step: MethodStep, rounds: int) -> dict[str, Any]:
    """Images per second of loader and step alone, and the share of time in which training waits for input.

    Without workers, loading and training alternate; with workers, the slower one decides.
    """

    def train() -> float:
        begin = time.perf_counter()
        step()
        return time.perf_counter() - begin

    times = measure_interleaved({"loader": TimedLoader(data), "step": train}, rounds)
    loading, training = (statistics.median(times[name]) for name in ("loader", "step"))
    waiting = waiting_share(loading, training, data.num_workers)
    return {
        "batch": data.batch_size,
        "workers": data.num_workers,
        "loader_images_per_second": data.batch_size / loading,
        "step_images_per_second": data.batch_size / training,
        "waiting_share": waiting,
        "bound": "input-bound" if waiting > _INPUT_BOUND else "compute-bound",
    }


def waiting_share(loading: float, training: float, workers: int) -> float:
    """The share of time in which training waits for a batch, from the seconds per batch of loading and training.

    Example:
        >>> waiting_share(1.0, 3.0, workers=0), waiting_share(1.0, 3.0, workers=1), waiting_share(4.0, 3.0, workers=1)
        (0.25, 0.0, 0.25)
    """
    if workers == 0:
        return loading / (loading + training)
    return max(0.0, loading - training) / max(loading, training)
