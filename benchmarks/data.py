"""Images per second and core from JPEG files to a training batch; all candidates alternate in one process.

    python benchmarks/data.py                        # 256 images of 500 x 375 px, in a temporary folder
    python benchmarks/data.py --width 2000 --height 1500 --num 64
    python benchmarks/data.py --workers 2            # also complete loaders, in wall time
    python benchmarks/data.py --disk-mb 2000         # also shards outside the page cache, in wall time

Seconds are processor time of the process, which other load hardly changes; every row is the median of all rounds.
Only ratios of rows of one run are meaningful; absolute rates depend on the machine and its state. JPEGs are decoded by
simplejpeg if it is installed, else by Pillow.
"""

import argparse
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import skimage.data
import torch
from torchvision.transforms import (
    Compose,
    InterpolationMode,
    Normalize,
    RandomHorizontalFlip,
    RandomResizedCrop,
    ToTensor,
)

from mimbench.core import IMAGENET_MEAN, IMAGENET_STD
from mimbench.data import Folder, ImageDataModule, Shards
from mimbench.data.images import pixels as decoding
from mimbench.data.images.decoding import EncodedSplit
from mimbench.data.images.unreadable import Damaged
from mimbench.data.shards.pack import pack
from mimbench.data.shards.readahead import StreamedSplit
from mimbench.data.shards.split import ShardSplit
from mimbench.data.transforms import TrainTransform

PHOTOGRAPHS = ("astronaut", "coffee", "rocket", "cat", "hubble_deep_field", "retina")
SIZE = 224
SHARD_BYTES, IMAGE_BYTES, BUFFER = 64 * 10**6, 110_000, 1500  # mean file size in ImageNet; a buffer of 2.6 shards


def write_folder(root: Path, num: int, width: int, height: int) -> None:
    """Writes crops of photographs as JPEGs in the folder layout of ImageNet."""
    rng = np.random.default_rng(0)
    for name in PHOTOGRAPHS:
        photograph = PIL.Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
        for split, count in (("train", -(-num // len(PHOTOGRAPHS))), ("val", 1)):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                side = int(rng.integers(photograph.height // 2, photograph.height) // 3 * 3)
                wide = min(photograph.width, side * 4 // 3)
                left = int(rng.integers(0, photograph.width - wide + 1))
                top = int(rng.integers(0, photograph.height - side + 1))
                part = photograph.crop((left, top, left + wide, top + side))
                part.resize((width, height), PIL.Image.Resampling.BICUBIC).save(folder / f"{number}.jpg", quality=92)


def torchvision_batch(split: EncodedSplit, index: list[int], interpolation: InterpolationMode) -> torch.Tensor:
    """A batch with the torchvision transforms that most training scripts use."""
    transform = Compose(
        [
            RandomResizedCrop(SIZE, (0.2, 1.0), interpolation=interpolation),
            RandomHorizontalFlip(),
            ToTensor(),
            Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )
    images = (PIL.Image.open(split.stream(i)) for i in index)
    return torch.stack([transform(image.convert("RGB")) for image in images])


def loader_batch(split: EncodedSplit, index: list[int]) -> torch.Tensor:
    """A batch of the training loader, which leaves normalization to the device."""
    transform = TrainTransform(SIZE, (0.2, 1.0), flip=True, seed=0)
    return transform.read(split, np.array(index), epoch=0)[0]


class InMemory(EncodedSplit):
    """A split whose files are in memory: the upper bound of a training loader."""

    def __init__(self, split: EncodedSplit) -> None:
        self.labels, self.damaged, self.min_size = split.labels, split.damaged, split.min_size
        self._content = [Path(split.title(i)).read_bytes() for i in range(len(split))]

    def title(self, i: int) -> str:
        return f"image {i}"

    def stream(self, i: int) -> io.BytesIO:
        return io.BytesIO(self._content[i])


def read_all(read: Callable[[int], object], index: list[int]) -> None:
    """Reads images and discards them."""
    for i in index:
        read(i)


def rows(root: Path, shard_mb: float) -> dict[str, Callable[[list[int]], object]]:
    """The candidates by name."""
    folder = Folder(root / "folder", holdout=0.01).split("train")
    pack(root / "folder", root / "shards", int(shard_mb * 1e6), told=lambda line: None)
    shards = Shards(root / "shards", holdout=0.01).split("train")
    memory = InMemory(folder)

    def pillow(i: int) -> torch.Tensor:
        return decoding.colors(PIL.Image.open(memory.stream(i)))

    return {
        "usual, bicubic": lambda index: torchvision_batch(folder, index, InterpolationMode.BICUBIC),
        "usual, bilinear": lambda index: torchvision_batch(folder, index, InterpolationMode.BILINEAR),
        "decode only, Pillow": lambda index: read_all(pillow, index),
        "decode only, ours": lambda index: read_all(memory.__getitem__, index),
        "ours, from memory": lambda index: loader_batch(memory, index),
        "ours, folder": lambda index: loader_batch(folder, index),
        "ours, shards": lambda index: loader_batch(shards, index),
    }


def rates(measured: dict[str, Callable[[list[int]], object]], num: int, rounds: int) -> dict[str, float]:
    """Images per second of processor time."""
    times: dict[str, list[float]] = {name: [] for name in measured}
    for number in range(rounds + 1):
        index = np.random.default_rng(number).permutation(num)[:32].tolist()
        for name, read in measured.items():
            begin = time.process_time()
            read(index)
            if number:  # the first round warms up
                times[name].append((time.process_time() - begin) / len(index))
    return {name: 1 / statistics.median(seconds) for name, seconds in times.items()}


def loader_rate(source: Folder | Shards, num_workers: int, batch_size: int = 32) -> float:
    """Images per second of wall time, over one epoch with workers."""
    data = ImageDataModule(source, SIZE, batch_size, num_workers=num_workers)
    loader = data.train_dataloader()
    begin, seen = 0.0, 0
    for epoch in range(2):  # the first starts the workers
        loader.sampler.set_epoch(epoch)
        begin, seen = time.perf_counter(), 0
        for batch in loader:
            seen += len(batch.images)
    return seen / (time.perf_counter() - begin)


def disk_split(root: Path, megabytes: int) -> ShardSplit:
    """Shards of random bytes on the disk, with the size of images."""
    per_shard = SHARD_BYTES // IMAGE_BYTES
    shards = [root / f"{number}.tar" for number in range(max(1, megabytes * 10**6 // SHARD_BYTES))]
    for shard in shards:
        with shard.open("wb") as stream:
            stream.write(os.urandom(SHARD_BYTES))
            os.fsync(stream.fileno())
    positions = [(s, n * IMAGE_BYTES, IMAGE_BYTES, 0) for s in range(len(shards)) for n in range(per_shard)]
    index = np.random.default_rng(0).permutation(np.array(positions))
    return ShardSplit(shards, index, torch.zeros(len(index), dtype=torch.long), Damaged(0), min_size=1)


def disk_rates(split: ShardSplit, rounds: int = 5) -> dict[str, tuple[float, float]]:
    """Megabytes per second of wall time, and milliseconds of processor time per image, of one reading process."""
    streamed = StreamedSplit(split, BUFFER)
    measured = {"full shuffle": split, "buffer": streamed, "buffer, read ahead": streamed.for_training()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in measured}
    for epoch in range(rounds):
        for name, each in measured.items():
            each._open.clear()
            for shard in split.shards:
                with shard.open("rb") as stream:
                    os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            order = each.order(0, epoch).tolist()
            begin, busy = time.perf_counter(), time.process_time()
            read = sum(len(each.read(i)) for i in order)
            seconds, busy = time.perf_counter() - begin, time.process_time() - busy
            times[name].append((read / seconds / 1e6, 1000 * busy / len(order)))
    return {name: tuple(np.median(rows, axis=0).tolist()) for name, rows in times.items()}


def main() -> None:
    """Prints one row per candidate, and all rates as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name, value in {"num": 256, "width": 500, "height": 375, "rounds": 15, "workers": 0, "disk-mb": 0}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--shard-mb", type=float, default=4)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        write_folder(root / "folder", arguments.num, arguments.width, arguments.height)
        measured = rows(root, arguments.shard_mb)
        found = rates(measured, arguments.num - len(PHOTOGRAPHS) - 6, arguments.rounds)
        print(f"{'':<20}{'images/s/core':>16}{'of usual':>10}")
        for name, rate in found.items():
            print(f"{name:<20}{rate:>16.0f}{rate / found['usual, bicubic']:>10.2f}")
        if arguments.workers:
            for kind, name in ((Folder, "folder"), (Shards, "shards")):
                rate = loader_rate(kind(root / name, holdout=0.01), arguments.workers)
                print(f"{name + ' loader':<20}{rate:>16.0f}")
        if arguments.disk_mb:
            (root / "disk").mkdir()
            for name, (rate, busy) in disk_rates(disk_split(root / "disk", arguments.disk_mb)).items():
                print(f"{name:<20}{rate:>11.0f} MB/s{busy:>10.3f} ms/image")
    print(json.dumps({name: round(rate, 1) for name, rate in found.items()}))


if __name__ == "__main__":
    main()
