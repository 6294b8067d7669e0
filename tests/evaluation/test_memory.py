"""Features that are larger than the memory a protocol may take."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from mimbench.evaluation import KNN, Features, FewShot, Linear
from mimbench.evaluation.probes import heads, whitening
from mimbench.evaluation.protocols import fewshot, knn

NUM, WIDTH, CLASSES = 200_000, 128, 10
FILE = NUM * WIDTH * 4  # bytes: 98 MiB


def anonymous() -> int:
    """Bytes that this process has taken; pages of mapped files, which the kernel may drop, do not count."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


class Peak:
    """The highest value of `anonymous` above that at the start."""

    def __enter__(self) -> "Peak":
        self.start = self.highest = anonymous()
        self.done = threading.Event()
        self.watcher = threading.Thread(target=self.watch)
        self.watcher.start()
        return self

    def watch(self) -> None:
        while not self.done.wait(0.002):
            self.highest = max(self.highest, anonymous())

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.watcher.join()

    @property
    def taken(self) -> int:
        return self.highest - self.start


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Features]:
    draws = np.random.default_rng(0)
    centers = draws.normal(size=(CLASSES, WIDTH)).astype(np.float32)
    found = {}
    for name, size in {"train": NUM, "val": 200, "test": 200}.items():
        path = tmp_path_factory.mktemp("features") / f"{name}.npy"
        rows = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(size, WIDTH))
        labels = np.arange(size) % CLASSES
        for start in range(0, size, 10_000):
            part = slice(start, start + 10_000)
            noise = draws.normal(size=(len(labels[part]), WIDTH)).astype(np.float32)
            rows[part] = 0.3 * centers[labels[part]] + noise
        rows.flush()
        mapped = torch.from_numpy(np.load(path, mmap_mode="c"))
        found[name] = Features({0: mapped}, {}, torch.from_numpy(labels), torch.device("cpu"))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "protocol",
    [KNN(ks=[20]), Linear(lrs=[0.5], epochs=1, min_steps=1), FewShot(shots=[5], num_draws=1, cs=[1.0])],
    ids=lambda protocol: protocol.name,
)
def test_a_protocol_takes_a_fraction_of_the_features_it_reads(protocol, splits, monkeypatch):
    monkeypatch.setattr(knn, "_RESIDENT", 2**20)
    monkeypatch.setattr(knn, "_MAX_ENTRIES", 2**20)
    monkeypatch.setattr(heads, "_RESIDENT", 2**20)
    for module in (whitening, fewshot):
        monkeypatch.setattr(module, "_CHUNK", 4096)
    protocol({name: small(features) for name, features in splits.items()}.__getitem__)  # what libraries keep
    with Peak() as peak:
        result = protocol(splits.__getitem__)
    assert result["accuracy"] > 0.5
    assert peak.taken < FILE / 3


def small(features: Features) -> Features:
    return Features({0: features.patches[0][:500]}, {}, features.labels[:500], features.device)


@pytest.mark.slow
def test_the_measure_of_memory_notices_a_copy(splits):
    with Peak() as peak:
        copy = splits["train"].patches[0].clone()
        assert len(copy) == NUM
    assert peak.taken > 0.9 * FILE
