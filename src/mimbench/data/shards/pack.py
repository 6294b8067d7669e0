"""Packs a folder in ImageNet's layout into WebDataset shards."""

import re
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from jaxtyping import Int64

from mimbench.core.counter_rng import permutation
from mimbench.core.extras import how_to_install
from mimbench.core.files import remove_partial, replacing, write_atomic
from mimbench.data.images.files import FileSplit
from mimbench.data.images.rules import Rules
from mimbench.data.images.unreadable import Damaged
from mimbench.data.shards.manifest import (
    MANIFEST,
    PARTS,
    Index,
    Manifest,
    Shard,
    check_sum,
    index_file,
    sha256,
)
from mimbench.data.sources.folder import Layout, read_layout

Places = Int64[np.ndarray, " n"]
_LOCK = ".pack.lock"
_OURS = re.compile(r"\.?(train|val)-\d{6,}(\.[a-z0-9]+)+")  # shards, their indices and checksums, and unfinished files


def pack(
    folder: Path,
    destination: Path,
    shard_bytes: int,
    seed: int = 0,
    told: Callable[[str], None] = print,
    follow_links: bool = False,
) -> Manifest:
    """Copies all images in random order into tar files of about `shard_bytes`; skips complete shards.

    Image files are copied unchanged, including damaged ones. The manifest is replaced last; shards of an earlier
    manifest that are not in the new one are then deleted.

    Args:
        seed: Determines the order in the shards, which matters for readers that shuffle only a little.
        told: Called with a message for each shard.
        follow_links: Whether symbolic links to files outside of the folder are followed.

    Raises:
        ValueError: The folder is not valid for `Folder` or has links to the outside, the destination contains other
            files or is in use by another process, or the package webdataset is missing.
    """
    if shard_bytes < 1:
        raise ValueError(f"A shard of {shard_bytes} bytes holds nothing; take a size above 0.")
    layout = read_layout(folder, Rules(Damaged(0)))
    if not follow_links:
        _check_links(folder, layout[1:])
    former = _check_destination(destination, layout.classes)
    destination.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(destination / _LOCK, timeout=0):
            manifest = _pack(layout, destination, shard_bytes, seed, told)
            for shard in former - {shard.file for shards in manifest.shards.values() for shard in shards}:
                for path in (destination / shard, index_file(destination / shard), checksum_file(destination / shard)):
                    path.unlink(missing_ok=True)
            return manifest
    except Timeout:
        raise ValueError(
            f"Another process is packing into {destination}; wait for it or choose another folder."
        ) from None


def _pack(layout: Layout, destination: Path, shard_bytes: int, seed: int, told: Callable[[str], None]) -> Manifest:
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


def _check_links(folder: Path, splits: Iterable[FileSplit]) -> None:
    root = folder.resolve()
    files = (split.file(i) for split in splits for i in range(len(split)))
    outside = [path for path in files if not path.resolve().is_relative_to(root)]
    if outside:
        raise ValueError(
            f"{outside[0]} is a link that leads out of {folder}, as are {len(outside) - 1} more. What they point to "
            "would be copied into the shards; add --follow-links if that is wanted."
        )


def _check_destination(destination: Path, classes: Sequence[str]) -> set[str]:
    """The shards of the existing manifest.

    Raises:
        ValueError: The folder contains other files than shards of a folder with these classes.
    """
    if not destination.exists():
        return set()
    known = {MANIFEST, _LOCK}
    others = [path.name for path in destination.iterdir() if path.name not in known and not _OURS.fullmatch(path.name)]
    if others:
        raise ValueError(f"{destination} contains {others[0]}, which is no shard; choose an empty folder.")
    if not (destination / MANIFEST).exists():
        return set()
    former = Manifest.read(destination)
    if former.classes != tuple(classes):
        raise ValueError(f"{destination} contains shards of another dataset; choose an empty folder, or delete it.")
    return {shard.file for shards in former.shards.values() for shard in shards}


def plan(split: FileSplit, shard_bytes: int, seed: int, part: str) -> Iterator[Places]:
    """Indices of the images of each shard."""
    order = permutation(len(split), seed, "pack", part)
    sizes = np.array([split.file(i).stat().st_size for i in order.tolist()])
    number = (np.cumsum(sizes) - 1) // shard_bytes
    return iter(np.split(order, np.flatnonzero(np.diff(number)) + 1))


def write_shard(path: Path, split: FileSplit, places: Places) -> None:
    """Writes a tar file, its index, and finally its checksum, which marks it as complete."""
    writer_of = tar_writer()
    sums = []
    remove_partial(path)
    with replacing(path) as stream:
        with writer_of(stream, mtime=0, format="GNU_FORMAT") as writer:  # USTAR does not allow long names
            for place in places.tolist():
                file = split.file(place)
                content, stem = file.read_bytes(), file.stem.replace(".", "_")  # WebDataset cuts keys at the first dot
                sums.append(zlib.crc32(content))
                key = f"{file.parent.name}/{stem}-{place}"
                writer.write({"__key__": key, "cls": int(split.labels[place]), file.suffix[1:].lower(): content})
        stream.flush()
        Index(np.column_stack([places, split.labels[places].numpy(), *extents(Path(stream.name)), sums])).write(path)
    write_atomic(checksum_file(path), f"{sha256(path)}  {path.name}\n")  # in the format of sha256sum


def extents(path: Path) -> tuple[list[int], list[int]]:
    """Offset and length of each image in the tar file."""
    with tarfile.open(path, "r:") as archive:
        images = [member for member in archive if not member.name.endswith(".cls")]
    return [member.offset_data for member in images], [member.size for member in images]


def is_there(path: Path, split: FileSplit, places: Places) -> bool:
    """Whether a shard is complete and has the current images of the folder."""
    if not (path.is_file() and index_file(path).is_file() and checksum_file(path).is_file()):
        return False
    try:
        rows = Index.read(path, len(places)).rows
    except ValueError:
        return False
    end = int(rows[-1, 2:4].sum())
    blocks = -(-end // tarfile.BLOCKSIZE) + 2  # tar ends with two empty blocks and pads its last record
    if path.stat().st_size != -(-blocks * tarfile.BLOCKSIZE // tarfile.RECORDSIZE) * tarfile.RECORDSIZE:
        return False
    lengths = [split.file(i).stat().st_size for i in places.tolist()]
    expected = np.column_stack([places, split.labels[places].numpy(), lengths])
    return np.array_equal(rows[:, [0, 1, 3]], expected)


def check(root: Path, told: Callable[[str], None] = print) -> Manifest:
    """Reads all shards, then raises ValueError if some are missing or damaged."""
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
        raise ValueError(f"Packing needs the webdataset package: {how_to_install('shards')}.") from missing
    return TarWriter
