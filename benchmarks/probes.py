"""Time of layerwise-v1 relative to probes of one depth, from images to accuracies, in one process.

    python benchmarks/probes.py                                                     # the size of the demo, on the CPU
    python benchmarks/probes.py --device cuda --width 768 --depth 12 --heads 12 --image 224 --patch 16 \
        --train 100000 --classes 1000

Images are noise of the right size: accuracies are meaningless, times are not. On the CPU, times are processor time of
one thread.
"""

import argparse
import time

import torch

from mimbench.data import ImageDataModule, MemorySplit, Source
from mimbench.encoders import vit
from mimbench.evaluation import KNN, Layerwise, Linear, run_protocols
from mimbench.evaluation.base import Protocol


class Noise(Source):
    """Random images, repeated from a pool."""

    def __init__(self, side: int, num_train: int, num_classes: int):
        self.image_size, self.num_classes = side, num_classes
        self.sizes = {"train": num_train, "val": max(1, num_train // 4), "test": max(1, num_train // 2)}

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(map(str, range(self.num_classes)))

    def split(self, name: str) -> MemorySplit:
        size, side = self.sizes[name], self.image_size
        pool = torch.randint(0, 256, (min(size, 512), 3, side, side), dtype=torch.uint8)
        return Repeated(pool, torch.arange(size) % self.num_classes)


class Repeated(MemorySplit):
    """Image i is image i modulo the pool."""

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return self.images[i % len(self.images)], int(self.labels[i])

    def take(self, indices):
        index = torch.as_tensor(indices)
        return super().take(index % len(self.images))._replace(labels=self.labels[index])


def seconds(protocols: list[Protocol], arguments: argparse.Namespace) -> float:
    """Seconds from images to results."""
    torch.manual_seed(0)
    sizes = arguments.image, arguments.patch, arguments.width, arguments.depth, arguments.heads
    encoder, data = vit(*sizes), ImageDataModule(Noise(arguments.image, arguments.train, arguments.classes))
    clock = time.process_time if arguments.device == "cpu" else time.perf_counter
    begin = clock()
    run_protocols(protocols, encoder, data, device=arguments.device)
    return clock() - begin


def main() -> None:
    """Prints the seconds of each set of protocols, and their ratio to knn-v1 + linear-v1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = {"image": 32, "patch": 8, "width": 96, "depth": 4, "heads": 4, "train": 4000, "classes": 16}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.device == "cpu":
        torch.set_num_threads(1)
    kinds: dict[str, list[Protocol]] = {
        "knn-v1 + linear-v1": [KNN(), Linear()],
        "layerwise-v1": [Layerwise()],
        "linear-v1": [Linear()],
        "knn-v1": [KNN()],
    }
    seconds(kinds["knn-v1"], arguments)
    found = {name: min(seconds(kind, arguments) for _ in range(arguments.repeats)) for name, kind in kinds.items()}
    single = found["knn-v1 + linear-v1"]
    for name, value in found.items():
        print(f"{name:<20} {value:8.2f} s  {value / single:5.2f} x")


if __name__ == "__main__":
    main()
