"""Pickled arrays without the code that pickles can carry."""

import io
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy._core import multiarray, numeric


class Settings:
    """Stands for an argparse.Namespace and keeps what it held, unused."""

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _latin(text: str, encoding: str = "latin1") -> bytes:
    """How Python 3 writes bytes in the pickles of Python 2."""
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"The file asks for the codec {encoding}, which no array needs.")
    return text.encode("latin1")


# Whole names only: nothing is looked up inside a module, so that a name such as ndarray.tofile leads nowhere.
_ALLOWED: Mapping[tuple[str, str], Any] = (
    {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype}
    | {
        (f"numpy.{core}.{module}", name): value
        for core in ("core", "_core")
        for module, name, value in (
            ("multiarray", "_reconstruct", multiarray._reconstruct),
            ("multiarray", "scalar", multiarray.scalar),
            ("numeric", "_frombuffer", numeric._frombuffer),  # pyright: ignore[reportAttributeAccessIssue]
        )
    }
    | {
        (module, kind.__name__): kind
        for module in ("builtins", "__builtin__")
        for kind in (dict, list, tuple, set, frozenset, bytes, bytearray, str, int, float, bool, complex)
    }
    | {
        ("collections", "OrderedDict"): OrderedDict,
        ("argparse", "Namespace"): Settings,
        ("_codecs", "encode"): _latin,
    }
)


class RefusedPickleError(ValueError):
    """A pickle asks for something that no array needs."""


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        try:
            return _ALLOWED[module_name, global_name]
        except KeyError:
            raise RefusedPickleError(
                f"asks for {module_name}.{global_name}, which could run code; nothing of it was run. "
                "Weights are arrays, numbers and texts: do not open this file with anything that trusts it"
            ) from None


def read_arrays(data: bytes) -> Any:
    """What a pickle holds, as long as it is arrays, numbers, texts, containers and settings.

    Raises:
        RefusedPickleError: It asks for any other class or function; nothing of it was called.
        Exception: Whatever a broken pickle leads to.
    """
    return _ArraysOnly(io.BytesIO(data)).load()
