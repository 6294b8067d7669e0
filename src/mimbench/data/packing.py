"""Packs a folder in ImageNet's layout into WebDataset shards."""

import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from mimbench.data.damaged import Damaged
from mimbench.data.draws import permutation
from mimbench.data.files import FileSplit
from mimbench.data.folder import read_layout
from mimbench.data.packed import MANIFEST, PARTS, Index, Manifest, Shard, check_sum, index_file, replace, sha256

Places = Int64[np.ndarray, " n"]


def pack(
    folder: Path, destination: Path, shard_bytes: int, seed: int = 0, told: Callable[[str], None] = print
) -> Manifest:
    """Copies all pictures, in random order, into tar files of about `shard_bytes`; skips those that are there.

    Picture files are copied as they are, damaged ones too.

    Args:
        seed: Decides the order in the shards, which matters to readers that shuffle a little only.
        told: Hears of every shard.

    Raises:
        ValueError: The folder is not as `Folder` wants it, or the webdataset package is missing.
    """
    if shard_bytes < 1:
        raise ValueError(f"A shard of {shard_bytes} bytes holds nothing; take a size above 0.")
    layout = read_layout(folder, Damaged(0), min_size=1)
    destination.mkdir(parents=True, exist_ok=True)
    (destination / MANIFEST).unlink(missing_ok=True)  # until all shards are those of this folder
    shards: dict[str, tuple[Shard, ...]] = {}
    for part, split in zip(PARTS, layout[1:], strict=True):
        planned = list(plan(split, shard_bytes, seed, part))
        made = []
        for number, places in enumerate(planned):
            path = destination / f"{part}-{number:06d}.tar"
            there = is_there(path, split, places)
            if not there:
                write_shard(path, split, places)
            made.append(Shard(path.name, len(places), path.stat().st_size, checksum_file(path).read_text().split()[0]))
            told(f"{path.name} {'is there' if there else 'written'} ({number + 1} of {len(planned)} of {part})")
        shards[part] = tuple(made)
    manifest = Manifest(layout.classes, shards)
    manifest.write(destination)
    return manifest


def plan(split: FileSplit, shard_bytes: int, seed: int, part: str) -> Iterator[Places]:
    """Places of the pictures of every shard."""
    order = permutation(len(split), seed, "pack", part)
    sizes = np.array([split.file(i).stat().st_size for i in order.tolist()])
    number = (np.cumsum(sizes) - 1) // shard_bytes
    return iter(np.split(order, np.flatnonzero(np.diff(number)) + 1))


def write_shard(path: Path, split: FileSplit, places: Places) -> None:
    """A tar file, its index, and last its checksum, which says that all is there."""
    writer_of = tar_writer()
    temporary = path.with_name(f".{path.name}.partial")
    sums = []
    with temporary.open("wb") as stream:
        with writer_of(stream, mtime=0, format="GNU_FORMAT") as writer:  # USTAR refuses long names
            for place in places.tolist():
                file = split.file(place)
                content, stem = file.read_bytes(), file.stem.replace(".", "_")  # a key ends at its first dot
                sums.append(zlib.crc32(content))
                key = f"{file.parent.name}/{stem}-{place}"
                writer.write({"__key__": key, "cls": int(split.labels[place]), file.suffix[1:].lower(): content})
        stream.flush()
        os.fsync(stream.fileno())
    Index(np.column_stack([places, split.labels[places].numpy(), *extents(temporary), sums])).write(path)
    temporary.replace(path)
    replace(checksum_file(path), f"{sha256(path)}  {path.name}\n".encode())  # as sha256sum writes and checks it


def extents(path: Path) -> tuple[list[int], list[int]]:
    """Offset and length of every picture."""
    with tarfile.open(path, "r:") as archive:
        pictures = [member for member in archive if not member.name.endswith(".cls")]
    return [member.offset_data for member in pictures], [member.size for member in pictures]


def is_there(path: Path, split: FileSplit, places: Places) -> bool:
    """Whether a shard was written to its end, from the pictures that the folder has now."""
    if not (path.is_file() and index_file(path).is_file() and checksum_file(path).is_file()):
        return False
    try:
        rows = Index.read(path, len(places)).rows
    except ValueError:
        return False
    end = int(rows[-1, 2:4].sum())
    blocks = -(-end // tarfile.BLOCKSIZE) + 2  # tar ends with two empty blocks, and fills its last record
    if path.stat().st_size != -(-blocks * tarfile.BLOCKSIZE // tarfile.RECORDSIZE) * tarfile.RECORDSIZE:
        return False
    lengths = [split.file(i).stat().st_size for i in places.tolist()]
    expected = np.column_stack([places, split.labels[places].numpy(), lengths])
    return np.array_equal(rows[:, [0, 1, 3]], expected)


def check(root: Path, told: Callable[[str], None] = print) -> Manifest:
    """Reads all shards. Raises ValueError, after all were read, where some are missing or damaged."""
    manifest = Manifest.read(root)
    wrong = []
    for shard in (shard for part in PARTS for shard in manifest.shards[part]):
        try:
            check_sum(root / shard.file, shard)
            Index.read(root / shard.file, shard.num_samples)
            told(f"{shard.file} is as it was written")
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        raise ValueError("\n".join(wrong))
    return manifest


def checksum_file(shard: Path) -> Path:
    return shard.with_suffix(".sha256")


def tar_writer() -> Callable:
    try:
        from webdataset.writer import TarWriter
    except ImportError as missing:
        raise ValueError("Packing needs the webdataset package: pip install 'mimbench[shards]'.") from missing
    return TarWriter
