"""Reads safetensors, PyTorch files and pickled arrays such as those of Paddle, without running code in them."""

import argparse
import hashlib
import io
import os
import pickle
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mimbench.core.foreign import foreign
from mimbench.core.json_files import read_json
from mimbench.core.text import printable
from mimbench.weights.pickles import PickledArray, RefusedPickleError, read_arrays
from mimbench.weights.wrappers import unwrap, without_prefix

# PyTorch's magic number as a pickle, at the start of files older than version 1.6.
_LEGACY_TORCH = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
_INDEX = ".safetensors.index.json"  # end of the name of a list of files, as Hugging Face writes it
_OTHERS = {b"\x89HDF": "it is an HDF5 file, as Keras writes it; save the weights as safetensors"}


@dataclass(frozen=True)
class WeightFile:
    """The weights of a file.

    Attributes:
        state: Tensors by name, on the CPU.
        beside: Names of other entries, such as the state of an optimizer, which are not used.
        parts: The files that the index at `path` lists; empty for a single file.
    """

    path: Path
    state: dict[str, Tensor]
    beside: tuple[str, ...] = ()
    parts: tuple[Path, ...] = ()

    def not_finite(self) -> list[str]:
        """Names of tensors with NaN or infinity."""
        floating = {name: tensor for name, tensor in self.state.items() if tensor.is_floating_point()}
        return [name for name, tensor in floating.items() if not bool(tensor.isfinite().all())]

    def sha256(self) -> str:
        """SHA-256 in hexadecimal of the file, or of an index followed by its parts."""
        digest = hashlib.sha256()
        for path in (self.path, *self.parts):
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a file by name; see `read_file`."""
    return read_file(path).state


def read_file(path: str | Path) -> WeightFile:
    """Reads a file of weights; its format follows from its content, not from its name.

    Formats are safetensors, also several files with an index, PyTorch files with only tensors, and pickles of NumPy
    arrays. Weights may be under "model" or "state_dict", and their names may begin with those of modules that contained
    the model; an entry of a pickle may be a pair of Paddle's internal name and the array.

    Raises:
        ValueError: The file does not exist, is truncated or of another format, or could run code.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path} is not a file; expected a file of weights.")
    with path.open("rb") as file:
        head = file.read(64)
    if kind := foreign(head, _OTHERS):
        raise ValueError(f"{path.name} contains no weights: {kind}.")
    try:
        parts = _parts(path) if path.name.endswith(_INDEX) else ()
        content = {k: v for part in parts for k, v in load_file(part).items()} if parts else _content(path, head)
    except RefusedPickleError as error:
        raise ValueError(f"{path.name} is refused: it {_one_line(error)}.") from None
    except MemoryError:
        raise
    except Exception as error:  # a broken file can raise anything
        said = _one_line(error)[:120]
        raise ValueError(f"{path.name} cannot be read; it is truncated or damaged ({said}).") from error
    entries, beside = unwrap(content, path.name)
    state, further = without_prefix({name: _tensor(name, value, path) for name, value in entries.items()}, path.name)
    return WeightFile(path, state, beside + further, parts)


def _parts(index: Path) -> tuple[Path, ...]:
    """The files of an index; they must lie beside it."""
    names = set(read_json(index)["weight_map"].values())
    if outside := sorted(name for name in names if Path(name).name != name):
        raise ValueError(f"it lists {outside[0]}, which does not lie beside it")
    return tuple(index.parent / name for name in sorted(names))


def _content(path: Path, head: bytes) -> Any:
    if head[8:9] == b"{":
        return load_file(path)
    if head.startswith(b"PK") or _LEGACY_TORCH in head:
        return _torch(path, archive=head.startswith(b"PK"))
    if head.startswith(b"\x80"):
        return read_arrays(path.read_bytes())
    raise SafetensorError("neither safetensors, nor PyTorch's, nor a pickle")


def _torch(path: Path, archive: bool) -> Any:
    if archive:
        _check_archive(path)
    try:
        # Files of MAE, DeepMIM and LocalMIM contain their parsed arguments as a Namespace, which runs no code.
        with torch.serialization.safe_globals([argparse.Namespace]):
            if archive:  # mapped, since only then PyTorch compares the sizes of tensors with that of the file
                return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            # From memory, since reading from a file would allocate any size that a pickle claims.
            return torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch's message would advise to trust the file.
        asked = re.search(r"GLOBAL (\w[\w.]*\.(\w+))", str(error))
        if asked and not _ends_within(path, asked[2].encode()):
            raise RefusedPickleError(
                f"asks for {asked[1]}, which could run code; nothing of it was run. Use a file with only tensors"
            ) from None
        raise ValueError("it contains other objects than tensors") from None


def _check_archive(path: Path) -> None:
    """Raises ValueError for compressed archives, which could grow when read; PyTorch does not compress."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("its archive is compressed, which PyTorch does not do; unpack it and save it again")
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise ValueError("its archive claims more bytes than the file has")


def _ends_within(path: Path, name: bytes) -> bool:
    """Whether the file ends one byte after `name`: it was truncated within a longer name."""
    with path.open("rb") as file:
        file.seek(-len(name) - 1, os.SEEK_END)
        return file.read()[:-1] == name


def _tensor(name: Any, value: Any, path: Path) -> Tensor:
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        value = value[1]  # Paddle's pair of internal name and array
    if isinstance(value, PickledArray):
        native = value.array()
        value = torch.from_numpy(np.array(native, native.dtype.newbyteorder("="), order="C"))
    if not isinstance(name, str) or not isinstance(value, Tensor):
        raise ValueError(f"Entry {name!r} of {path.name} is a {type(value).__name__}; weights are tensors by name.")
    return value.detach().clone()  # a copy that is not mapped from the file


def _one_line(error: BaseException) -> str:
    """The message of an error, which may quote the file, as one printable line."""
    return " ".join(printable(str(error)).split()) or type(error).__name__
